/* Matrix products on tile units (AMX): every operand is cut into bfloat16 parts,
 * x = x1 + x2 + x3, each rounded to nearest from what the ones before left. Three parts
 * of 8 bits hold the 24 bits of a float exactly, and the products of parts whose numbers
 * sum to 4 or less leave an error of 2^-27 |a| |b| each: float32 accuracy. Two parts
 * (sum 3 or less) leave 2^-17, one part 2^-9.
 *
 * Order of a sum (it differs from that of kernels_matmul.h): K is cut into chunks of
 * amx_length(K), a chunk into steps of 32. A step of a product is two chains over the even
 * and the odd k from +0, summed, and added to the chunk's sum; small products come first.
 * Chunks are added in order, then bias and activation follow as ever. An element depends
 * on its row, its column, K and on whether its rows and columns fit; so blocks begin at
 * multiples of CNN_AMX_SIDE, and no thread count changes a bit.
 *
 * The units treat denormals as zero and make more of an overflow than an FMA would. A
 * block of CNN_AMX_SIDE rows and columns whose operands could meet that in a chunk is
 * computed by fused multiply-adds: not finite, so small that a part is denormal, or large
 * or small to the extent that a product of a row's and a column's largest elements, or a
 * part of it that still counts, leaves the range of normal numbers.
 */

/* The parts of SIDE columns in a chunk of 128 steps (24 KiB for three) stay in L1 (48 KiB)
 * while the parts of rows pass by. Where K is long, so many sums of chunks lose more than
 * fused multiply-adds do, if the sums grow; then twice that. */
#define CNN_AMX_CHUNK 128
#define CNN_AMX_LONG 4096
/* Rows whose sums are added to c together. */
#define CNN_AMX_FINISH 4
/* 256 rows (192 KiB in three parts) and 1024 columns (768 KiB) lie in L2 (2 MiB). */
#define CNN_AMX_GROUP 8
#define CNN_AMX_BLOCK_COLS 1024
#if !defined(CNN_AMX_PAYS) /* tests/native/emulation has its own: small products, too */
#define CNN_AMX_PAYS(faster) (faster)
#endif

#include "amx_parts.inc.c"

/* Steps of a chunk. */
CNN_INLINE int64_t CNN_FN(amx_length)(int64_t k) {
    return k > CNN_AMX_LONG ? 2 * CNN_AMX_CHUNK : CNN_AMX_CHUNK;
}

/* Where the panels of the chunk at k0 begin in what amx_pack wrote. */
CNN_INLINE int64_t CNN_FN(amx_chunk_at)(const cnn_matmul *p, const cnn_matmul_plan *plan,
                                        int64_t k0) {
    const int64_t chunk = CNN_FN(amx_length)(p->k);
    return k0 / chunk * (plan->all_cols / CNN_AMX_SIDE) *
           CNN_FN(amx_size)(chunk, plan->parts);
}

static void CNN_FN(amx_pack)(const cnn_matmul *p, const cnn_matmul_plan *plan,
                             int64_t first, int64_t last, float *y) {
    const int64_t n0 = first * CNN_AMX_SIDE;
    const int64_t n1 = last * CNN_AMX_SIDE < p->n ? last * CNN_AMX_SIDE : p->n;
    const int64_t chunk = CNN_FN(amx_length)(p->k);
    for (int64_t k0 = 0; k0 < p->k; k0 += chunk) {
        const int64_t left = p->k - k0;
        const int64_t steps = left < chunk ? left : chunk;
        float *to = y + CNN_FN(amx_chunk_at)(p, plan, k0) +
                    first * CNN_FN(amx_size)(steps, plan->parts);
        const float *b = p->b + k0 * p->b_row + n0 * p->b_col;
        CNN_FN(amx_pack_b)(plan->parts, n1 - n0, steps, b, p->b_row, p->b_col, to);
    }
}

/* ---- one block of SIDE rows and columns ------------------------------------------- */

/* Tiles: C in 0 to 3 (row by row), A in 4 and 5, B in 6 and 7. */
static const struct {
    uint8_t palette, start_row, unused[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} CNN_FN(amx_config) = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

/* to (SIDE, SIDE) = the product of a chunk, of which `high` tiles of rows and `wide`
 * tiles of columns are wanted */
CNN_INLINE void CNN_FN(amx_tiles)(const int parts, const int high, const int wide,
                                  int64_t steps, const uint32_t *a, const uint32_t *b,
                                  float *to) {
#define CNN_AMX_A(part)                                                              \
    do {                                                                             \
        _tile_loadd(4, a + (part - 1) * CNN_AMX_PART, 64);                           \
        if (high > 1)                                                                \
            _tile_loadd(5, a + (part - 1) * CNN_AMX_PART + CNN_AMX_TILE, 64);        \
    } while (0)
#define CNN_AMX_B(part)                                                              \
    do {                                                                             \
        _tile_loadd(6, b + (part - 1) * CNN_AMX_PART, 64);                           \
        if (wide > 1)                                                                \
            _tile_loadd(7, b + (part - 1) * CNN_AMX_PART + CNN_AMX_TILE, 64);        \
    } while (0)
#define CNN_AMX_MULTIPLY()                                                           \
    do {                                                                             \
        _tile_dpbf16ps(0, 4, 6);                                                     \
        if (wide > 1)                                                                \
            _tile_dpbf16ps(1, 4, 7);                                                 \
        if (high > 1)                                                                \
            _tile_dpbf16ps(2, 5, 6);                                                 \
        if (high > 1 && wide > 1)                                                    \
            _tile_dpbf16ps(3, 5, 7);                                                 \
    } while (0)
    /* gcc does not know that the instructions read and write memory */
    __asm__ volatile("" ::: "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; steps > 0; steps--) { /* one operand changes between two products */
        CNN_AMX_A(1);
        CNN_AMX_B(parts);
        CNN_AMX_MULTIPLY();
        if (parts == 3) {
            CNN_AMX_B(2);
            CNN_AMX_MULTIPLY();
            CNN_AMX_A(2);
            CNN_AMX_MULTIPLY();
            CNN_AMX_B(1);
            CNN_AMX_MULTIPLY();
            CNN_AMX_A(3);
            CNN_AMX_MULTIPLY();
            CNN_AMX_A(1);
            CNN_AMX_MULTIPLY();
        } else if (parts == 2) {
            CNN_AMX_A(2);
            CNN_AMX_B(1);
            CNN_AMX_MULTIPLY();
            CNN_AMX_A(1);
            CNN_AMX_MULTIPLY();
        }
        a += parts * CNN_AMX_PART;
        b += parts * CNN_AMX_PART;
    }
    const int row_bytes = CNN_AMX_SIDE * sizeof(float);
    _tile_stored(0, to, row_bytes);
    if (wide > 1)
        _tile_stored(1, to + 16, row_bytes);
    if (high > 1)
        _tile_stored(2, to + 16 * CNN_AMX_SIDE, row_bytes);
    if (high > 1 && wide > 1)
        _tile_stored(3, to + 16 * CNN_AMX_SIDE + 16, row_bytes);
    __asm__ volatile("" ::: "memory");
#undef CNN_AMX_A
#undef CNN_AMX_B
#undef CNN_AMX_MULTIPLY
}

#define CNN_AMX_FUNCTIONS(X) X(1) X(2) X(3)
#define CNN_AMX_FUNCTION(parts)                                                      \
    static void CNN_FN(amx_tiles_##parts)(int64_t rows, int64_t cols, int64_t steps, \
                                          const uint32_t *a, const uint32_t *b,      \
                                          float *to) {                               \
        if (rows > 16 && cols > 16)                                                  \
            CNN_FN(amx_tiles)(parts, 2, 2, steps, a, b, to);                         \
        else if (rows > 16)                                                          \
            CNN_FN(amx_tiles)(parts, 2, 1, steps, a, b, to);                         \
        else if (cols > 16)                                                          \
            CNN_FN(amx_tiles)(parts, 1, 2, steps, a, b, to);                         \
        else                                                                         \
            CNN_FN(amx_tiles)(parts, 1, 1, steps, a, b, to);                         \
    }
CNN_AMX_FUNCTIONS(CNN_AMX_FUNCTION)

/* The same by fused multiply-adds; floats (steps, SIDE) is scratch. */
static void CNN_FN(amx_fma)(const cnn_matmul *p, int parts, int64_t rows, int64_t steps,
                            const float *a, const CNN_FN(amx_side) * b, float *floats,
                            float *to) {
    const float *panel = (const float *)(b + 1);
    if (b->fits) { /* put the parts together again, which is exact */
        const uint32_t *words = (const uint32_t *)(b + 1);
        for (int64_t k = 0; k < steps; k += 32, words += parts * CNN_AMX_PART) {
            for (int at = 0; at < CNN_AMX_PART; at += 16) {
                v_f32 even = v_zero(), odd = v_zero();
                for (int q = 0; q < parts; q++) {
                    const v_u32 word =
                        (v_u32)v_load_i((const int32_t *)words + q * CNN_AMX_PART + at);
                    even = even + (v_f32)(word << 16);
                    odd = odd + (v_f32)(word & 0xffff0000);
                }
                const int64_t row = k + at % CNN_AMX_TILE / 16 * 2;
                float *cell = floats + row * CNN_AMX_SIDE + at / CNN_AMX_TILE * 16;
                v_store(cell, even);
                v_store(cell + CNN_AMX_SIDE, odd);
            }
        }
        panel = floats;
    }
    const CNN_FN(tile_job) job = {.steps = steps,
                                  .chunks = 1,
                                  .a_row = p->a_row,
                                  .a_col = p->a_col,
                                  .b_row = CNN_AMX_SIDE,
                                  .c_row = CNN_AMX_SIDE,
                                  .first = 1};
    for (int64_t i = 0; i < rows; i += 8) {
        const int64_t height = rows - i < 8 ? rows - i : 8;
        CNN_FN(tiles)[height][2](&job, a + i * p->a_row, panel, NULL,
                                 to + i * CNN_AMX_SIDE, CNN_AMX_SIDE);
    }
}

/* What follows a chunk: c (rows, cols) from `from` (SIDE, SIDE). */
CNN_INLINE void CNN_FN(amx_finish_rows)(const int rows, const CNN_FN(tile_job) * job,
                                        int64_t cols, const float *from,
                                        const float *bias, float *c) {
    v_f32 acc[CNN_AMX_FINISH][16];
    CNN_UNROLL(CNN_AMX_FINISH)
    for (int i = 0; i < rows; i++) {
        acc[i][0] = v_load(from + i * CNN_AMX_SIDE);
        acc[i][1] = v_load(from + i * CNN_AMX_SIDE + 16);
    }
    if (cols == CNN_AMX_SIDE)
        CNN_FN(finish)(rows, 2, 1, 0, job, acc, bias, c, 16);
    else if (cols > 16)
        CNN_FN(finish)(rows, 2, 1, 1, job, acc, bias, c, cols - 16);
    else
        CNN_FN(finish)(rows, 1, 1, 1, job, acc, bias, c, cols);
}

static void CNN_FN(amx_finish)(const CNN_FN(tile_job) * job, int64_t rows, int64_t cols,
                               const float *from, const float *bias, float *c) {
    int64_t i = 0;
    for (; i + CNN_AMX_FINISH <= rows; i += CNN_AMX_FINISH)
        CNN_FN(amx_finish_rows)(CNN_AMX_FINISH, job, cols, from + i * CNN_AMX_SIDE, bias,
                                c + i * job->c_row);
    for (; i < rows; i++)
        CNN_FN(amx_finish_rows)(1, job, cols, from + i * CNN_AMX_SIDE, bias,
                                c + i * job->c_row);
}

/* ---- blocking ---------------------------------------------------------------------- */

/* Cycles: 16 per tile product, about 1.1 to cut an element, and what ends a chunk of a
 * block, against 27 fused multiply-adds per cycle. The choice rests on the sizes alone, so
 * that an operand held in panels gives the same bits. */
static int CNN_FN(amx_pays)(const cnn_matmul *p) {
    static const int products[4] = {0, 1, 3, 6};
    const double rows = (double)((p->m + 15) / 16), cols = (double)((p->n + 15) / 16);
    const double steps = (double)CNN_FN(amx_steps)(p->k);
    const int64_t chunk = CNN_FN(amx_length)(p->k);
    const double chunks = (double)((p->k + chunk - 1) / chunk);
    const double cycles = rows * cols * (17.0 * products[p->parts] * steps + 55 * chunks) +
                          1.1 * 512 * steps * (rows + cols);
    return p->parts > 0 && p->k > 16 &&
           CNN_AMX_PAYS(cycles < (double)p->m * (double)p->n * (double)p->k / 27);
}

/* Change the plan of fused multiply-adds into one for tile units where these are faster. */
static void CNN_FN(amx_plan)(const cnn_matmul *p, cnn_matmul_plan *plan) {
    /* the sums of columns read the rows of b */
    if ((p->sums && (p->packed || p->b_col != 1)) || !CNN_FN(amx_pays)(p))
        return;
    const int64_t chunk = CNN_FN(amx_length)(p->k), steps = p->k < chunk ? p->k : chunk;
    const int64_t size = CNN_FN(amx_size)(steps, p->parts);
    plan->parts = p->parts;
    plan->tile_rows = plan->panel = CNN_AMX_SIDE;
    plan->pack_a = 1;
    plan->pack_b = !p->packed;
    plan->copying = 0;
    plan->all_cols = (p->n + CNN_AMX_SIDE - 1) / CNN_AMX_SIDE * CNN_AMX_SIDE;
    const int64_t panels = plan->all_cols / CNN_AMX_SIDE, rest = p->k % chunk;
    plan->panels_size = CNN_FN(amx_chunk_at)(p, plan, p->k);
    if (rest > 0)
        plan->panels_size += panels * CNN_FN(amx_size)(rest, p->parts);
    plan->pays = p->m <= 4096;
    plan->block_cols = CNN_AMX_BLOCK_COLS * CNN_AMX_CHUNK / chunk;
    if (plan->all_cols < plan->block_cols)
        plan->block_cols = plan->all_cols;
    plan->packed_b = p->packed ? 0 : plan->block_cols / CNN_AMX_SIDE * size;
    plan->scratch = plan->packed_b + CNN_AMX_GROUP * size + CNN_AMX_SIDE * CNN_AMX_SIDE +
                    chunk * CNN_AMX_SIDE;
}

/* A chunk of K of a block of c. */
typedef struct {
    CNN_FN(tile_job) job;
    int64_t size; /* floats of a side */
    const float *bias; /* NULL, or that of column 0: after the last chunk */
    float *product, *floats; /* scratch of a cell */
} CNN_FN(amx_chunk);

/* The cell of up to SIDE rows from i, `high`, and columns from j, `wide`; a is at its
 * first row. */
static void CNN_FN(amx_cell)(const cnn_matmul *p, int parts, const CNN_FN(amx_chunk) * t,
                             int64_t i, int64_t high, int64_t j, int64_t wide,
                             const float *a, const CNN_FN(amx_side) * rows,
                             const CNN_FN(amx_side) * cols) {
    static void (*const tiles[4])(int64_t, int64_t, int64_t, const uint32_t *,
                                  const uint32_t *, float *) = {
        NULL, CNN_FN(amx_tiles_1), CNN_FN(amx_tiles_2), CNN_FN(amx_tiles_3)};
    float *c = p->c + i * p->c_row + j;
    for (int64_t r = 0; r < high; r++) { /* what finish needs */
        __builtin_prefetch(c + r * p->c_row, 1);
        __builtin_prefetch(c + r * p->c_row + 16, 1);
    }
    if (CNN_FN(amx_fit)(rows, cols))
        tiles[parts](high, wide, CNN_FN(amx_steps)(t->job.steps),
                     (const uint32_t *)(rows + 1), (const uint32_t *)(cols + 1),
                     t->product);
    else
        CNN_FN(amx_fma)(p, parts, high, t->job.steps, a, cols, t->floats, t->product);
    CNN_FN(amx_finish)(&t->job, high, wide, t->product,
                       t->bias ? t->bias + j : NULL, c);
}

static void CNN_FN(amx_block)(const cnn_matmul *p, const cnn_matmul_plan *plan,
                              int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                              float *scratch) {
    const int64_t group = CNN_AMX_GROUP * CNN_AMX_SIDE, side = CNN_AMX_SIDE;
    const int parts = plan->parts;
    float *const packed_b = scratch, *const packed_a = packed_b + plan->packed_b;
    CNN_FN(amx_chunk) t = {.job = {.c_row = p->c_row}};
    const int64_t chunk = CNN_FN(amx_length)(p->k), longest = p->k < chunk ? p->k : chunk;
    t.product = packed_a + CNN_AMX_GROUP * CNN_FN(amx_size)(longest, parts);
    t.floats = t.product + side * side;
    _tile_loadconfig(&CNN_FN(amx_config));
    for (int64_t nb = n0; nb < n1; nb += plan->block_cols) {
        const int64_t cols = n1 - nb < plan->block_cols ? n1 - nb : plan->block_cols;
        for (int64_t k0 = 0; k0 < p->k; k0 += chunk) {
            const int64_t left = p->k - k0;
            const int64_t steps = left < chunk ? left : chunk;
            const int last = steps == left;
            const float *b = p->b + k0 * p->b_row + nb * p->b_col;
            t.size = CNN_FN(amx_size)(steps, parts);
            t.bias = last ? p->bias : NULL;
            t.job.steps = steps;
            CNN_FN(set_epilogue)(&t.job, p, k0 == 0, last);
            if (p->sums && m0 == 0 && k0 % CNN_MATMUL_CHUNK == 0)
                CNN_FN(add_rows)(left < CNN_MATMUL_CHUNK ? left : CNN_MATMUL_CHUNK, cols,
                                 b, p->b_row, k0 == 0, p->sums + nb);
            if (p->packed) {
                b = p->b + CNN_FN(amx_chunk_at)(p, plan, k0) + nb / side * t.size;
            } else {
                CNN_FN(amx_pack_b)(parts, cols, steps, b, p->b_row, p->b_col, packed_b);
                b = packed_b;
            }
            for (int64_t i0 = m0; i0 < m1; i0 += group) {
                const int64_t i1 = m1 - i0 < group ? m1 : i0 + group;
                const float *a = p->a + i0 * p->a_row + k0 * p->a_col;
                CNN_FN(amx_pack_a)(parts, i1 - i0, steps, a, p->a_row, p->a_col, packed_a);
                for (int64_t j = 0; j < cols; j += side) {
                    const void *right = b + j / side * t.size;
                    for (int64_t i = 0; i < i1 - i0; i += side)
                        CNN_FN(amx_cell)(
                            p, parts, &t, i0 + i, i1 - i0 - i < side ? i1 - i0 - i : side,
                            nb + j, cols - j < side ? cols - j : side, a + i * p->a_row,
                            (const void *)(packed_a + i / side * t.size), right);
                }
                if (last && CNN_FN(has_epilogue)(p))
                    CNN_FN(epilogue)(p, i0, i1, nb, nb + cols);
            }
        }
    }
    _tile_release();
}
