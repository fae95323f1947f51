/* One register tile of the matrix product. tile() is a template: CNN_TILES (matmul.inc.c)
 * instantiates it with constant `rows` and `vectors`, and every loop over the tile
 * unrolls. One call does one chunk of K. */

/* gcc keeps accumulators in memory, or peels the first step, unless told that they
 * changed. */
#if defined(CNN_KEEP)
#elif defined(__x86_64__)
#define CNN_KEEP(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define CNN_KEEP(x) __asm__("" : "+w"(x))
#else
#define CNN_KEEP(x) (void)(x)
#endif
/* ... and makes a second copy of the loop for a_col == 1. */
#define CNN_HOLD(pointer) __asm__("" : "+r"(pointer))
/* Rows of B to fetch ahead: unpacked rows lie too far apart for the hardware. */
#define CNN_MATMUL_AHEAD 8

/* Steps in whose time a line of c comes from memory. */
#define CNN_MATMUL_LONG 64

typedef struct {
    int64_t steps; /* of this chunk */
    int64_t a_row, a_col, b_row, c_row;
    int64_t bias_col;
    int first; /* first chunk: c is written, not added to */
    int relu, relu_grad; /* after the last chunk */
    uintptr_t saved_at; /* address of an element of saved minus that of c */
} CNN_FN(tile_job);

CNN_INLINE const float *CNN_FN(saved_for)(const CNN_FN(tile_job) * job, const float *c) {
    return (const float *)((uintptr_t)c + job->saved_at);
}

/* The end of a chunk: add to the chunks before; after the last, bias, relu or its
 * gradient. Of the last vector of a row, `part` lanes belong to c, all if not `edge`. */
CNN_INLINE void CNN_FN(finish)(const int rows, const int vectors, const int edge,
                               const CNN_FN(tile_job) * job, v_f32 acc[][16],
                               const float *bias, float *c, int64_t part) {
#define CNN_LANES_OF(j) (edge && (j) == vectors - 1 ? part : CNN_VLEN)
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
                acc[i][j] = v_load_n(c + i * job->c_row + j * CNN_VLEN, CNN_LANES_OF(j)) +
                            acc[i][j];
        }
    }
    if (bias) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            const v_f32 bv = job->bias_col
                                 ? v_load_n(bias + j * CNN_VLEN, CNN_LANES_OF(j))
                                 : v_set(*bias);
            CNN_UNROLL(16)
            for (int i = 0; i < rows; i++)
                acc[i][j] = acc[i][j] + bv;
        }
    }
    if (job->relu) {
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_relu(acc[i][j]);
        }
    }
    if (job->relu_grad) {
        const float *saved = CNN_FN(saved_for)(job, c);
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_relu_grad(
                    acc[i][j],
                    v_load_n(saved + i * job->c_row + j * CNN_VLEN, CNN_LANES_OF(j)));
        }
    }
    CNN_UNROLL(16)
    for (int i = 0; i < rows; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++)
            v_store_n(c + i * job->c_row + j * CNN_VLEN, acc[i][j], CNN_LANES_OF(j));
    }
#undef CNN_LANES_OF
}

/* ---- tiles ---------------------------------------------------------------------- */

/* c (rows, vectors * CNN_VLEN) from a (rows, steps) and b (steps, vectors * CNN_VLEN);
 * at the right edge of the matrix the last vector has only `part` columns. */
CNN_INLINE void CNN_FN(tile)(const int rows, const int vectors, const int edge,
                             const CNN_FN(tile_job) * job, const float *a,
                             const float *b, const float *bias, float *c, int64_t part) {
    v_f32 acc[CNN_MATMUL_ROWS][16];
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

    if (job->steps >= CNN_MATMUL_LONG) { /* what finish() needs of c */
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors * CNN_VLEN; j += 16)
                __builtin_prefetch(c + i * job->c_row + j, 1);
        }
    }
    const int64_t b_row = job->b_row, ahead = CNN_MATMUL_AHEAD * b_row;
    CNN_UNROLL(1)
    for (int64_t left = job->steps; left > 0; left--) {
        v_f32 bv[16];
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            bv[j] = edge && j == vectors - 1 ? v_load_part(b + j * CNN_VLEN, part)
                                             : v_load(b + j * CNN_VLEN);
            if (j * CNN_VLEN % 16 == 0)
                __builtin_prefetch(b + ahead + j * CNN_VLEN);
        }
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            const v_f32 av = v_set(*(const float *)(row[i / 3] + i % 3 * a_row));
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++) {
                acc[i][j] = v_fma(av, bv[j], acc[i][j]);
                CNN_KEEP(acc[i][j]);
            }
        }
        CNN_UNROLL(16)
        for (int g = 0; 3 * g < rows; g++) {
            row[g] += a_col;
            CNN_HOLD(row[g]);
        }
        b += b_row;
    }
    CNN_FN(finish)(rows, vectors, edge, job, acc, bias, c, part);
}

/* One row of A against `vectors` vectors of columns of B that are contiguous along K
 * (b_row == 1): transposed in registers, `span` steps of a vector at a time. */
CNN_INLINE void CNN_FN(dots)(const int vectors, const int span,
                             const CNN_FN(tile_job) * job, const float *a,
                             const float *b, int64_t b_col, const float *bias,
                             float *c) {
    v_f32 acc[1][16];
    CNN_UNROLL(16)
    for (int j = 0; j < vectors; j++)
        acc[0][j] = (v_f32){0};
    int64_t k = 0;
    for (; k + span <= job->steps; k += span) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            CNN_UNROLL(4)
            for (int64_t q = k; q < k + span; q += 4) {
                v_f32 bv[4];
                CNN_FN(transpose)(b + j * CNN_VLEN * b_col + q, b_col, bv);
                CNN_UNROLL(4)
                for (int i = 0; i < 4; i++)
                    acc[0][j] = v_fma(v_set(a[(q + i) * job->a_col]), bv[i], acc[0][j]);
            }
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
    CNN_FN(finish)(1, vectors, 0, job, acc, bias, c, CNN_VLEN);
}
