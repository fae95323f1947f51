/* One register tile of the matrix product. tile() is a template: CNN_TILES (matmul.inc.c)
 * instantiates it with constant `rows` and `vectors`, and every loop over the tile
 * unrolls. One call does one chunk of K. */

/* gcc keeps accumulators in memory, or peels the first step, unless told that they
 * changed. */
#if defined(__x86_64__)
#define CNN_KEEP(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define CNN_KEEP(x) __asm__("" : "+w"(x))
#else
#define CNN_KEEP(x) (void)(x)
#endif
/* Rows of B to fetch ahead: unpacked rows lie too far apart for the hardware. */
#define CNN_MATMUL_AHEAD 8

typedef struct {
    int64_t steps;       /* of this chunk */
    int64_t whole_steps; /* of these, how many rows of B allow a load past the edge */
    int64_t a_row, a_col, b_row, c_row;
    const float *tail;   /* the other rows of B, zero padded */
    int64_t bias_col;
    int first;           /* first chunk: c is written, not added to */
    cnn_activation activation; /* CNN_LINEAR unless this is the last chunk */
} CNN_FN(tile_job);

/* The end of a chunk: add to the chunks before; after the last, bias and activation. */
CNN_INLINE void CNN_FN(finish)(const int rows, const int vectors,
                               const CNN_FN(tile_job) * job, v_f32 acc[][16],
                               const float *bias, float *out, int64_t out_row) {
    CNN_UNROLL(16)
    for (int i = 0; i < rows; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++)
            CNN_KEEP(acc[i][j]);
    }
    if (!job->first) {
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_load(out + i * out_row + j * CNN_VLEN) + acc[i][j];
        }
    }
    if (bias) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            const v_f32 bv = job->bias_col ? v_load(bias + j * CNN_VLEN) : v_set(*bias);
            CNN_UNROLL(16)
            for (int i = 0; i < rows; i++)
                acc[i][j] = acc[i][j] + bv;
        }
    }
    if (job->activation == CNN_RELU) {
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_relu(acc[i][j]);
        }
    }
    CNN_UNROLL(16)
    for (int i = 0; i < rows; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++)
            v_store(out + i * out_row + j * CNN_VLEN, acc[i][j]);
    }
    if (job->activation > CNN_RELU) /* the tile still lies in L1 */
        CNN_FN(activate)(job->activation, rows, vectors * CNN_VLEN, out, out_row);
}

/* c (rows, cols) from a (rows, steps) and b (steps, vectors * CNN_VLEN), both `at`
 * columns into the panel that bias and tail belong to. Only the first
 * vectors * CNN_VLEN of cols are computed. */
CNN_INLINE void CNN_FN(tile)(const int rows, const int vectors,
                             const CNN_FN(tile_job) * job, int64_t at, const float *a,
                             const float *b, const float *bias, float *c, int64_t cols) {
    const int width = vectors * CNN_VLEN;
    float edge[CNN_MATMUL_ACCUMULATORS * CNN_VLEN], edge_bias[16 * CNN_VLEN];
    v_f32 acc[CNN_MATMUL_ROWS][16];
    const int over_edge = cols < width;
    if (bias)
        bias += at * job->bias_col;
    float *out = c;
    int64_t out_row = job->c_row;
    if (over_edge) { /* work on a copy */
        out = edge;
        out_row = width;
        if (!job->first)
            CNN_FN(copy_rows)(rows, cols, c, job->c_row, edge, width);
        if (bias && job->bias_col)
            bias = memcpy(edge_bias, bias, (size_t)cols * sizeof(float));
    }

    CNN_UNROLL(16)
    for (int i = 0; i < rows; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            acc[i][j] = (v_f32){0};
            CNN_KEEP(acc[i][j]);
        }
    }
    /* Three rows of A share a pointer: base, base + a_row, base + 2 a_row. */
    const char *row[(CNN_MATMUL_ROWS + 2) / 3];
    const int64_t a_row = job->a_row * 4, a_col = job->a_col * 4;
    CNN_UNROLL(16)
    for (int g = 0; 3 * g < rows; g++)
        row[g] = (const char *)a + 3 * g * a_row;

    int64_t b_row = job->b_row;
    int64_t whole = over_edge ? job->whole_steps : job->steps;
    for (int64_t left = whole, rest = job->steps - whole;;) {
        const int64_t ahead = CNN_MATMUL_AHEAD * b_row;
        CNN_UNROLL(1)
        for (; left > 0; left--) {
            v_f32 bv[16];
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++) {
                bv[j] = v_load(b + j * CNN_VLEN);
                if (j * CNN_VLEN % 16 == 0)
                    __builtin_prefetch(b + ahead + j * CNN_VLEN);
            }
            CNN_UNROLL(16)
            for (int i = 0; i < rows; i++) {
                const v_f32 av = v_set(*(const float *)(row[i / 3] + i % 3 * a_row));
                CNN_UNROLL(16)
                for (int j = 0; j < vectors; j++)
                    acc[i][j] = v_fma(av, bv[j], acc[i][j]);
            }
            CNN_UNROLL(16)
            for (int g = 0; 3 * g < rows; g++)
                row[g] += a_col;
            b += b_row;
        }
        if (rest == 0)
            break;
        left = rest;
        rest = 0;
        b = job->tail + at;
        b_row = CNN_MATMUL_TAIL_WIDTH;
    }

    CNN_FN(finish)(rows, vectors, job, acc, bias, out, out_row);
    if (over_edge)
        CNN_FN(copy_rows)(rows, cols, edge, width, c, job->c_row);
}

/* One row of A against `vectors` vectors of columns of B that are contiguous along K
 * (b_row == 1): transposed in registers. */
CNN_INLINE void CNN_FN(dots)(const int vectors, const CNN_FN(tile_job) * job,
                             const float *a, const float *b, int64_t b_col,
                             const float *bias, float *c) {
    v_f32 acc[1][16];
    CNN_UNROLL(16)
    for (int j = 0; j < vectors; j++)
        acc[0][j] = (v_f32){0};
    int64_t k = 0;
    for (; k + 4 <= job->steps; k += 4) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            v_f32 bv[4];
            CNN_FN(transpose)(b + j * CNN_VLEN * b_col + k, b_col, bv);
            CNN_UNROLL(4)
            for (int i = 0; i < 4; i++)
                acc[0][j] = v_fma(v_set(a[(k + i) * job->a_col]), bv[i], acc[0][j]);
        }
    }
    for (; k < job->steps; k++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            float column[CNN_VLEN];
            for (int i = 0; i < CNN_VLEN; i++)
                column[i] = b[(j * CNN_VLEN + i) * b_col + k];
            acc[0][j] = v_fma(v_set(a[k * job->a_col]), v_load(column), acc[0][j]);
        }
    }
    CNN_FN(finish)(1, vectors, job, acc, bias, c, 0);
}
