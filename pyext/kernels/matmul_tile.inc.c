/* One register tile of the matrix product. tile() is a template: CNN_TILES (matmul.inc.c)
 * instantiates it with constant `rows` and `vectors`, and every loop over the tile
 * unrolls. One call does one chunk of K, a small tile also several of them side by side:
 * each is a chain of its own, and one chain waits for every fused multiply-add. */

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
/* Rows of B to fetch ahead: unpacked rows lie too far apart for the hardware. The rows
 * of a panel that is being copied were not in cache before. */
#define CNN_MATMUL_AHEAD 8
#define CNN_MATMUL_COPY_AHEAD 16

/* Steps in whose time a line of c comes from memory. */
#define CNN_MATMUL_LONG 64

/* Chains that keep two fused multiply-adds of latency 4 per cycle busy, and the most
 * chunks side by side. */
#define CNN_TILE_CHAINS 8
#define CNN_TILE_CHUNKS 4
#define CNN_TILE_ACCS                                                                \
    (CNN_MATMUL_ROWS > CNN_TILE_CHAINS ? CNN_MATMUL_ROWS : CNN_TILE_CHAINS)

typedef struct {
    int64_t steps;   /* of a chunk */
    int chunks;      /* 1, 2 or CNN_TILE_CHUNKS; more than 1 if they are whole ones */
    int64_t b_chunk; /* from a chunk of B to the next */
    int64_t a_row, a_col, b_row, c_row;
    float *copy; /* NULL, or the panel that the rows of b are written to on the way */
    int first; /* first chunk: c is written, not added to */
    int relu, relu_grad; /* after the last chunk */
    uintptr_t saved_at; /* address of an element of saved minus that of c */
} CNN_FN(tile_job);

CNN_INLINE const float *CNN_FN(saved_for)(const CNN_FN(tile_job) * job, const float *c) {
    return (const float *)((uintptr_t)c + job->saved_at);
}

/* The end of a chunk: add to the chunks before; after the last, bias, relu or its
 * gradient. Row i of chunk h is acc[h * rows + i]. Of the last vector of a row, `part`
 * lanes belong to c, all if not `edge`. */
CNN_INLINE void CNN_FN(finish)(const int rows, const int vectors, const int chunks,
                               const int edge, const CNN_FN(tile_job) * job,
                               v_f32 acc[][16], const float *bias, float *c,
                               int64_t part) {
#define CNN_LANES_OF(j) (edge && (j) == vectors - 1 ? part : CNN_VLEN)
    CNN_UNROLL(16)
    for (int i = 0; i < rows * chunks; i++) {
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
    CNN_UNROLL(16)
    for (int i = rows; i < rows * chunks; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++)
            acc[i % rows][j] = acc[i % rows][j] + acc[i][j];
    }
    if (bias) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            const v_f32 bv = v_load_n(bias + j * CNN_VLEN, CNN_LANES_OF(j));
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

/* c (rows, vectors * CNN_VLEN) from a (rows, chunks * steps) and b (chunks * steps,
 * vectors * CNN_VLEN); at the right edge of the matrix the last vector has only `part`
 * columns. */
CNN_INLINE void CNN_FN(tile)(const int rows, const int vectors, const int chunks,
                             const int edge, const int copies,
                             const CNN_FN(tile_job) * job, const float *a,
                             const float *b, const float *bias, float *c, int64_t part) {
    v_f32 acc[CNN_TILE_ACCS][16];
    CNN_UNROLL(16)
    for (int i = 0; i < rows * chunks; i++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            acc[i][j] = (v_f32){0};
            CNN_KEEP(acc[i][j]);
        }
    }
    /* Three rows of A share a pointer: base, base + a_row, base + 2 a_row. */
    const char *row[CNN_TILE_CHUNKS][(CNN_MATMUL_ROWS + 2) / 3];
    const int64_t a_row = job->a_row * 4, a_col = job->a_col * 4;
    CNN_UNROLL(16)
    for (int h = 0; h < chunks; h++) {
        CNN_UNROLL(16)
        for (int g = 0; 3 * g < rows; g++)
            row[h][g] = (const char *)a + 3 * g * a_row + h * CNN_MATMUL_CHUNK * a_col;
    }

    if (job->steps >= CNN_MATMUL_LONG) { /* what finish() needs of c */
        CNN_UNROLL(16)
        for (int i = 0; i < rows; i++) {
            CNN_UNROLL(16)
            for (int j = 0; j < vectors * CNN_VLEN; j += 16)
                __builtin_prefetch(c + i * job->c_row + j, 1);
        }
    }
    const int64_t b_row = job->b_row;
    const int64_t ahead = (copies ? CNN_MATMUL_COPY_AHEAD : CNN_MATMUL_AHEAD) * b_row;
    float *copy = job->copy;
    CNN_UNROLL(1)
    for (int64_t left = job->steps; left > 0; left--) {
        CNN_UNROLL(16)
        for (int h = 0; h < chunks; h++) {
            const float *from = h == 0 ? b : b + h * job->b_chunk;
            v_f32 bv[16];
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++) {
                bv[j] = edge && j == vectors - 1 ? v_load_part(from + j * CNN_VLEN, part)
                                                 : v_load(from + j * CNN_VLEN);
                if (j * CNN_VLEN % 16 == 0)
                    __builtin_prefetch(from + ahead + j * CNN_VLEN);
                if (copies)
                    v_store(copy + j * CNN_VLEN, bv[j]);
            }
            CNN_UNROLL(16)
            for (int i = 0; i < rows; i++) {
                const v_f32 av = v_set(*(const float *)(row[h][i / 3] + i % 3 * a_row));
                v_f32 *const sum = acc[h * rows + i];
                CNN_UNROLL(16)
                for (int j = 0; j < vectors; j++) {
                    sum[j] = v_fma(av, bv[j], sum[j]);
                    CNN_KEEP(sum[j]);
                }
            }
            CNN_UNROLL(16)
            for (int g = 0; 3 * g < rows; g++) {
                row[h][g] += a_col;
                CNN_HOLD(row[h][g]);
            }
        }
        b += b_row;
        if (copies)
            copy += vectors * CNN_VLEN;
    }
    CNN_FN(finish)(rows, vectors, chunks, edge, job, acc, bias, c, part);
}

/* Steps to fetch ahead along every one of many rows: three lines. */
#define CNN_DOTS_AHEAD 48

/* One row of A against `vectors` vectors of columns of B that are contiguous along K
 * (b_row == 1): transposed in registers, four steps of a vector at a time. */
CNN_INLINE void CNN_FN(dots)(const int vectors, const int chunks,
                             const CNN_FN(tile_job) * job, const float *a,
                             const float *b, int64_t b_col, const float *bias,
                             float *c) {
    v_f32 acc[CNN_TILE_ACCS][16];
    const float *from[CNN_TILE_CHUNKS][4];
    CNN_UNROLL(16)
    for (int h = 0; h < chunks; h++) {
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            acc[h][j] = (v_f32){0};
            from[h][j] = b + h * CNN_MATMUL_CHUNK + j * CNN_VLEN * b_col;
        }
    }
    const int64_t a_col = job->a_col;
    int64_t left = job->steps;
    CNN_UNROLL(1)
    for (; left >= 4; left -= 4) {
        CNN_UNROLL(16)
        for (int h = 0; h < chunks; h++) {
            const float *x = a + h * CNN_MATMUL_CHUNK * a_col;
            CNN_UNROLL(16)
            for (int j = 0; j < vectors; j++) {
                const float *line = /* every line once: a fourth of them at a time */
                    from[h][j] + left / 4 % 4 * (CNN_VLEN / 4) * b_col;
                CNN_UNROLL(4)
                for (int i = 0; i < CNN_VLEN / 4; i++)
                    __builtin_prefetch(line + i * b_col + CNN_DOTS_AHEAD);
                v_f32 bv[4];
                CNN_FN(transpose)(from[h][j], b_col, bv);
                CNN_UNROLL(4)
                for (int i = 0; i < 4; i++) {
                    acc[h][j] = v_fma(v_set(x[i * a_col]), bv[i], acc[h][j]);
                    CNN_KEEP(acc[h][j]);
                }
                from[h][j] += 4;
                CNN_HOLD(from[h][j]);
            }
        }
        a += 4 * a_col;
    }
    for (; left > 0; left--) { /* less than a whole chunk: one */
        CNN_UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            float column[CNN_VLEN];
            for (int i = 0; i < CNN_VLEN; i++)
                column[i] = from[0][j][i * b_col];
            acc[0][j] = v_fma(v_set(*a), v_load(column), acc[0][j]);
            from[0][j]++;
        }
        a += a_col;
    }
    CNN_FN(finish)(1, vectors, chunks, 0, job, acc, bias, c, CNN_VLEN);
}

/* Rows of B that a row of A takes at a time: more streams are slower to come in; the
 * columns whose sums take half of L1; the elements of B above which it does not lie in L1
 * and its order matters more than loads and stores of sums. */
#define CNN_STREAM_STEPS 4
#define CNN_STREAM_SIZE 8192
#define CNN_STREAM_COLS 4096

/* sums (cols) + `steps` of one row of A times as many rows of B; cols is a multiple of
 * the vector. The sums start at 0 if `first`. */
CNN_INLINE void CNN_FN(add_scaled)(const int steps, int first, const float *a,
                                   int64_t a_col, const float *b, int64_t b_row,
                                   int64_t cols, float *sums) {
    v_f32 av[CNN_STREAM_STEPS];
    CNN_UNROLL(16)
    for (int i = 0; i < steps; i++)
        av[i] = v_set(a[i * a_col]);
    for (int64_t j = 0; j < cols; j += CNN_VLEN) {
        v_f32 sum = first ? (v_f32){0} : v_load(sums + j);
        CNN_UNROLL(16)
        for (int i = 0; i < steps; i++)
            sum = v_fma(av[i], v_load(b + i * b_row + j), sum);
        v_store(sums + j, sum);
    }
}
