/* Dense matrix product: register tiles, blocking, epilogue. The numeric contract is in
 * kernels_matmul.h; the copies in tile order are in matmul_pack.inc.c. */
#include "matmul_pack.inc.c"

/* Tile of the instruction set. ROWS x VECTORS accumulators, VECTORS of B and one
 * broadcast of A live in registers; two fused multiply-adds per cycle of latency 4 want
 * at least 8 accumulators. Fewer rows get more columns.
 *   avx512   32 registers: 14 x 2 (28 + 2 + 1), for a wide B 6 x 4 (24 + 4 + 1), which
 *            touches fewer rows of A at a time
 *   avx2     16 registers:  6 x 2 (12 + 2 + 1)
 *   neon     32 registers:  5 x 4 (20 + 4 + 5)
 *   baseline 16 registers:  4 x 2 (8 + 2 + 2, a product needs its own register)
 * A panel of B (256 steps) lies in L1 while it meets GROUP rows of tiles, whose part of
 * A lies in L2: 48 rows (48 KiB) of an A in place, 192 of a packed one, whose rows do not
 * evict each other. So a block of BLOCK_COLS columns of B is read from L2 or L3 once per
 * group, and A once per block: the wider the block, the less often.
 *   avx512   768 columns: 768 KiB of 2 MiB of L2
 *   others   512 columns: 512 KiB, partly in L3; 1024 pay for an A that is packed
 * A product of more than PACK_SIZE rows * columns packs B. In place, B costs no copy, but
 * the rows of a wide B fall into the same few sets of L1, once per row of tiles, above
 * all where they lie a multiple of COLLIDE apart. Up to FEW_ROWS rows, twice as many if B
 * is transposed, use a panel up at once: it never leaves L1.
 */
#define CNN_MATMUL_GROUP 8
#define CNN_MATMUL_PACKED_GROUP 32
#define CNN_MATMUL_FEW_ROWS 64
#define CNN_MATMUL_COLLIDE 512
#if CNN_VLEN == 16
#define CNN_MATMUL_ROWS 14
#define CNN_MATMUL_VECTORS 2
#define CNN_MATMUL_WIDE_ROWS 6
#define CNN_MATMUL_WIDE_VECTORS 4
#define CNN_MATMUL_BLOCK_COLS 768
#define CNN_MATMUL_PACKED_COLS 768
#define CNN_MATMUL_PACK_SIZE 32768
#define CNN_TILES(T)                                                                 \
    T(1, 1) T(1, 2) T(1, 4) T(1, 8) T(1, 16)                                         \
    T(2, 1) T(2, 2) T(2, 4) T(2, 8) T(3, 1) T(3, 2) T(3, 4) T(3, 8)                  \
    T(4, 1) T(4, 2) T(4, 4) T(5, 1) T(5, 2) T(5, 4) T(6, 1) T(6, 2) T(6, 4)          \
    T(7, 1) T(7, 2) T(8, 1) T(8, 2) T(9, 1) T(9, 2) T(10, 1) T(10, 2)                \
    T(11, 1) T(11, 2) T(12, 1) T(12, 2) T(13, 1) T(13, 2) T(14, 1) T(14, 2)
#elif CNN_VLEN == 8
#define CNN_MATMUL_ROWS 6
#define CNN_MATMUL_VECTORS 2
#define CNN_TILES(T)                                                                 \
    T(1, 1) T(1, 2) T(1, 4) T(1, 8) T(2, 1) T(2, 2) T(2, 4) T(3, 1) T(3, 2) T(3, 4)  \
    T(4, 1) T(4, 2) T(5, 1) T(5, 2) T(6, 1) T(6, 2)
#elif CNN_HAVE_FMA
#define CNN_MATMUL_ROWS 5
#define CNN_MATMUL_VECTORS 4
#define CNN_TILES(T)                                                                 \
    T(1, 1) T(1, 2) T(1, 4) T(1, 8) T(1, 16) T(2, 1) T(2, 2) T(2, 4) T(2, 8)         \
    T(3, 1) T(3, 2) T(3, 4) T(4, 1) T(4, 2) T(4, 4) T(5, 1) T(5, 2) T(5, 4)
#else
#define CNN_MATMUL_ROWS 4
#define CNN_MATMUL_VECTORS 2
#define CNN_TILES(T)                                                                 \
    T(1, 1) T(1, 2) T(1, 4) T(1, 8) T(2, 1) T(2, 2) T(2, 4) T(3, 1) T(3, 2)          \
    T(4, 1) T(4, 2)
#endif
#if !defined(CNN_MATMUL_BLOCK_COLS)
#define CNN_MATMUL_BLOCK_COLS 512
#endif
#if !defined(CNN_MATMUL_PACK_SIZE)
#define CNN_MATMUL_PACK_SIZE 16384
#endif
#if !defined(CNN_MATMUL_PACKED_COLS) /* of a block where A is packed */
#define CNN_MATMUL_PACKED_COLS 1024
#endif
#if !defined(CNN_MATMUL_WIDE_ROWS)
#define CNN_MATMUL_WIDE_ROWS CNN_MATMUL_ROWS
#define CNN_MATMUL_WIDE_VECTORS CNN_MATMUL_VECTORS
#endif
#include "matmul_tile.inc.c"
#include "matmul_epilogue.inc.c"
#include "matmul_column.inc.c"

/* `cols` are those left in the panel: fewer than the tile has at the edge. */
typedef void CNN_FN(tile_fn)(const CNN_FN(tile_job) * job, const float *a, const float *b,
                             const float *bias, float *c, int64_t cols);

#define CNN_TILE_CALL(R, V, CHUNKS)                                                  \
    (part >= CNN_VLEN                                                                \
         ? CNN_FN(tile)(R, V, CHUNKS, 0, 0, job, a, b, bias, c, CNN_VLEN)            \
         : CNN_FN(tile)(R, V, CHUNKS, 1, 0, job, a, b, bias, c, part))
#define CNN_TILE_FUNCTION(R, V)                                                      \
    static void CNN_FN(tile_##R##_##V)(const CNN_FN(tile_job) * job, const float *a, \
                                       const float *b, const float *bias, float *c,  \
                                       int64_t cols) {                               \
        const int64_t part = cols - (V - 1) * CNN_VLEN;                              \
        if ((V == CNN_MATMUL_VECTORS || V == CNN_MATMUL_WIDE_VECTORS) && job->copy)  \
            CNN_FN(tile)(R, V, 1, 0, 1, job, a, b, bias, c, CNN_VLEN);               \
        else if (R * V * 4 <= CNN_TILE_CHAINS && job->chunks == 4)                   \
            CNN_TILE_CALL(R, V, 4);                                                  \
        else if (R * V * 2 <= CNN_TILE_CHAINS && job->chunks == 2)                   \
            CNN_TILE_CALL(R, V, 2);                                                  \
        else                                                                         \
            CNN_TILE_CALL(R, V, 1);                                                  \
    }
CNN_TILES(CNN_TILE_FUNCTION)

#define CNN_TILE_ENTRY(R, V) [R][V] = CNN_FN(tile_##R##_##V),
static CNN_FN(tile_fn) *const CNN_FN(tiles)[CNN_MATMUL_ROWS + 1][17] = {
    CNN_TILES(CNN_TILE_ENTRY)};

/* What follows a chunk of K. */
CNN_INLINE void CNN_FN(set_epilogue)(CNN_FN(tile_job) * job, const cnn_matmul *p,
                                     int first, int last) {
    job->first = first;
    job->relu = last && p->activation == CNN_RELU;
    job->relu_grad = last && p->grad == CNN_RELU && !CNN_FN(has_epilogue)(p);
    job->saved_at = (uintptr_t)p->saved - (uintptr_t)p->c;
}

#if CNN_HAVE_AMX
#include "amx.inc.c"
#endif

/* ---- blocking ------------------------------------------------------------------ */

static void CNN_FN(matmul_plan_f32)(const cnn_matmul *p, cnn_matmul_plan *plan) {
    if (p->column) {
        CNN_FN(column_plan)(p, plan);
        return;
    }
    const int64_t m = p->m, n = p->n, k = p->k;
    const int64_t steps = k < CNN_MATMUL_CHUNK ? k : CNN_MATMUL_CHUNK;
    const int wide = n >= 256 || n % (CNN_MATMUL_WIDE_VECTORS * CNN_VLEN) == 0;
    int vectors = wide ? CNN_MATMUL_WIDE_VECTORS : CNN_MATMUL_VECTORS;
    plan->tile_rows = wide ? CNN_MATMUL_WIDE_ROWS : CNN_MATMUL_ROWS;
    if (m >= 1 && m <= CNN_MATMUL_ROWS) { /* one row of tiles, as wide as they come */
        plan->tile_rows = CNN_MATMUL_ROWS;
        for (vectors = 16; !CNN_FN(tiles)[m][vectors];)
            vectors /= 2;
    }
    plan->panel = vectors * CNN_VLEN;
    const int large = m > 2 * CNN_MATMUL_ROWS && n > CNN_MATMUL_PACK_SIZE / m;
    const int collide = m > CNN_MATMUL_ROWS && k > 64 && n > plan->panel &&
                        p->b_row % CNN_MATMUL_COLLIDE == 0;
    plan->dots = !p->packed && !p->sums && m == 1 && p->b_row == 1 && p->b_col != 1;
    plan->stream = !p->packed && !p->sums && m == 1 && p->b_col == 1 &&
                   n > plan->panel && k > CNN_STREAM_SIZE / n;
    plan->pack_b = !p->packed && (large || collide || p->b_col != 1);
    plan->panels = p->packed || plan->pack_b;
    /* Rows of A are read in place, as long as they are not so many, and so far apart,
     * that they evict each other. A column of A is a new line, maybe a new page, at
     * every step. */
    const int by_column = k > 64 && (n > 4 * plan->panel || p->a_col >= 2048);
    const int by_row = CNN_MATMUL_ROWS > 8 ? n > 256 && k > 1024
                                           : n >= 2048 && m > CNN_MATMUL_FEW_ROWS;
    plan->pack_a = large && (p->a_col == 1 ? by_row : by_column);
    plan->group = plan->pack_a ? CNN_MATMUL_PACKED_GROUP : CNN_MATMUL_GROUP;
    plan->block_cols = plan->panel;
    const int few =
        m <= (p->b_col == 1 ? 1 : 2) * CNN_MATMUL_FEW_ROWS && !plan->pack_a;
    if (plan->panels && !few)
        plan->block_cols =
            (plan->pack_a ? CNN_MATMUL_PACKED_COLS : CNN_MATMUL_BLOCK_COLS) /
            plan->panel * plan->panel;
    /* A long narrow B is packed once for all chunks of K: then a few rows of A are read
     * to their end, and their part of c stays in cache from chunk to chunk. */
    plan->all_cols = (n + plan->panel - 1) / plan->panel * plan->panel;
    plan->keep_b =
        plan->panels && !few && k > CNN_MATMUL_CHUNK &&
        plan->all_cols <= (int64_t)CNN_MATMUL_BLOCK_COLS * CNN_MATMUL_CHUNK / k;
    if (plan->keep_b)
        plan->block_cols = plan->all_cols;
    /* Rows of B that lie far apart are better read a few at a time, to their end. */
    plan->copying = plan->pack_b && !p->sums && p->b_col == 1 &&
                    (few || p->b_row <= 2 * CNN_MATMUL_COLLIDE);
    /* One panel of a row-major B is as good in place; with many rows the copy is a small
     * part of the work. */
    plan->pays =
        n > 1 && m <= 1024 && (p->b_col != 1 || plan->all_cols > plan->panel);
    plan->packed_b = plan->pack_b ? plan->block_cols * (plan->keep_b ? k : steps) : 0;
    plan->scratch = plan->stream ? CNN_STREAM_COLS : plan->packed_b;
    if (plan->pack_a)
        plan->scratch += plan->group * CNN_MATMUL_ROWS * steps;
    plan->panels_size = k * plan->all_cols;
    plan->parts = 0;
#if CNN_HAVE_AMX
    CNN_FN(amx_plan)(p, plan);
#endif
}

/* `height` rows of A against the last, narrow panel of B: in tiles as wide as fit. */
static void CNN_FN(last_panel)(const CNN_FN(tile_job) * job, int height, const float *a,
                               const float *b, const float *bias, float *c,
                               int64_t cols) {
    CNN_FN(tile_fn) *const *tiles = CNN_FN(tiles)[height];
    for (int64_t j = 0; j < cols;) {
        const int64_t vectors = (cols - j + CNN_VLEN - 1) / CNN_VLEN;
        int width = 16;
        while (width > vectors || !tiles[width])
            width /= 2;
        tiles[width](job, a, b + j, bias ? bias + j : NULL, c + j,
                     cols - j);
        j += width * CNN_VLEN;
    }
}

/* Chunks of K to take side by side, of `left` steps, so that there are chains enough. */
CNN_INLINE int CNN_FN(chunks_at_once)(int64_t chains, int64_t left) {
    int chunks = 1;
    while (chunks < CNN_TILE_CHUNKS && 2 * chunks * chains <= CNN_TILE_CHAINS &&
           2 * chunks * CNN_MATMUL_CHUNK <= left)
        chunks *= 2;
    return chunks;
}

/* Row m of c, columns [n0, n1); returns the next column, n1 unless they are fewer than
 * a vector. */
static int64_t CNN_FN(dots_f32)(const cnn_matmul *p, int64_t m, int64_t n0, int64_t n1) {
    CNN_FN(tile_job) job = {.a_col = p->a_col};
    /* columns of B that fall into the same few sets of L1: few of them side by side */
    const int collide = p->b_col % 512 == 0;
    while (n1 - n0 >= CNN_VLEN) {
        const int wide = n1 - n0 >= 4 * CNN_VLEN && !(collide && p->k >= 512);
        int64_t k0 = 0;
        do {
            const int64_t left = p->k - k0;
            job.chunks = wide ? 1 : CNN_FN(chunks_at_once)(1, left);
            job.steps = left < CNN_MATMUL_CHUNK ? left : CNN_MATMUL_CHUNK;
            const int last = job.steps * job.chunks == left;
            CNN_FN(set_epilogue)(&job, p, k0 == 0, last);
            const float *a = p->a + m * p->a_row + k0 * p->a_col;
            const float *b = p->b + k0 + n0 * p->b_col;
            const float *bias = last && p->bias ? p->bias + n0 : NULL;
            float *c = p->c + m * p->c_row + n0;
            if (wide)
                CNN_FN(dots)(4, 1, &job, a, b, p->b_col, bias, c);
            else if (job.chunks == 4)
                CNN_FN(dots)(1, 4, &job, a, b, p->b_col, bias, c);
            else if (job.chunks == 2)
                CNN_FN(dots)(1, 2, &job, a, b, p->b_col, bias, c);
            else
                CNN_FN(dots)(1, 1, &job, a, b, p->b_col, bias, c);
            k0 += job.steps * job.chunks;
        } while (k0 < p->k);
        n0 += wide ? 4 * CNN_VLEN : CNN_VLEN;
        /* the last vector overlaps the one before */
        if (n0 < n1 && n1 - n0 < CNN_VLEN)
            n0 = n1 - CNN_VLEN;
    }
    return n0;
}

/* Row m of c, columns [n0, n1) as far as whole vectors go, from rows of B as they lie: a
 * panel of a wide B would be short pieces of many pages. Returns the next column. */
static int64_t CNN_FN(stream_f32)(const cnn_matmul *p, int64_t m, int64_t n0, int64_t n1,
                                  float *sums) {
    CNN_FN(tile_job) job = {.chunks = 1};
    while (n1 - n0 >= CNN_VLEN) {
        const int64_t whole = (n1 - n0) / CNN_VLEN * CNN_VLEN;
        const int64_t cols = whole < CNN_STREAM_COLS ? whole : CNN_STREAM_COLS;
        for (int64_t k0 = 0; k0 < p->k; k0 += CNN_MATMUL_CHUNK) {
            const int64_t left = p->k - k0;
            const int64_t steps = left < CNN_MATMUL_CHUNK ? left : CNN_MATMUL_CHUNK;
            const float *a = p->a + m * p->a_row + k0 * p->a_col;
            const float *b = p->b + k0 * p->b_row + n0;
            int64_t k = 0;
            for (; k + CNN_STREAM_STEPS <= steps; k += CNN_STREAM_STEPS)
                CNN_FN(add_scaled)(CNN_STREAM_STEPS, k == 0, a + k * p->a_col, p->a_col,
                                   b + k * p->b_row, p->b_row, cols, sums);
            for (; k < steps; k++)
                CNN_FN(add_scaled)(1, k == 0, a + k * p->a_col, p->a_col,
                                   b + k * p->b_row, p->b_row, cols, sums);
            const int last = steps == left;
            CNN_FN(set_epilogue)(&job, p, k0 == 0, last);
            for (int64_t j = 0; j < cols; j += CNN_VLEN) {
                v_f32 acc[1][16] = {{v_load(sums + j)}};
                const float *bias =
                    last && p->bias ? p->bias + n0 + j : NULL;
                CNN_FN(finish)(1, 1, 1, 0, &job, acc, bias,
                               p->c + m * p->c_row + n0 + j, CNN_VLEN);
            }
        }
        n0 += cols;
    }
    return n0;
}

/* Rows cut evenly into tiles: 8 rows are 4 + 4, not 6 + 2. */
typedef struct {
    int64_t count;
    int low;      /* rows of a tile */
    int64_t high; /* tiles that have one more, the first ones */
} CNN_FN(tile_rows);

CNN_INLINE CNN_FN(tile_rows) CNN_FN(cut_rows)(int64_t rows, int64_t most) {
    const int64_t count = rows <= most ? 1 : (rows + most - 1) / most;
    const int64_t low = count == 1 ? rows : rows / count;
    return (CNN_FN(tile_rows)){count, (int)low, rows - low * count};
}

CNN_INLINE int CNN_FN(tile_height)(CNN_FN(tile_rows) tiles, int64_t t) {
    return tiles.low + (t < tiles.high);
}

/* Rows of the first t tiles. */
CNN_INLINE int64_t CNN_FN(rows_of)(CNN_FN(tile_rows) tiles, int64_t t) {
    return tiles.low * t + (t < tiles.high ? t : tiles.high);
}

/* Tiles t0 .. t1-1 of A, the first of which starts at a: rows to their end, or as many
 * columns at a time as may fall into one set of L1. */
static void CNN_FN(pack_a)(const cnn_matmul *p, CNN_FN(tile_rows) tiles, int64_t t0,
                           int64_t t1, int64_t steps, const float *a, float *packed) {
    const int64_t few = p->a_row == 1 ? 8 : steps;
    for (int64_t k = 0; k < steps; k += few) {
        const int64_t part = steps - k < few ? steps - k : few;
        const float *from = a + k * p->a_col;
        float *to = packed;
        for (int64_t t = t0; t < t1; t++) {
            const int height = CNN_FN(tile_height)(tiles, t);
            CNN_FN(pack_strided)(height, part, from, p->a_row, p->a_col, to + k * height,
                                 height);
            from += height * p->a_row;
            to += height * steps;
        }
    }
}

static void CNN_FN(matmul_pack_f32)(const cnn_matmul *p, const cnn_matmul_plan *plan,
                                    int64_t first, int64_t last, float *y) {
#if CNN_HAVE_AMX
    if (plan->parts) {
        CNN_FN(amx_pack)(p, plan, first, last, y);
        return;
    }
#endif
    const int64_t n0 = first * plan->panel;
    const int64_t n1 = last * plan->panel < p->n ? last * plan->panel : p->n;
    for (int64_t k0 = 0; k0 < p->k; k0 += CNN_MATMUL_CHUNK) {
        const int64_t left = p->k - k0;
        const int64_t steps = left < CNN_MATMUL_CHUNK ? left : CNN_MATMUL_CHUNK;
        CNN_FN(pack_b)(steps, n1 - n0, p->b + k0 * p->b_row + n0 * p->b_col, p->b_row,
                       p->b_col, y + k0 * plan->all_cols + n0 * steps, plan->panel);
    }
}

/* Tiles t0 .. t1-1 of A, which starts at a, against one panel of B with `cols` columns of
 * c left. If it is to be copied (job->copy), the first tile does so and the others read
 * the copy. */
static void CNN_FN(meet_panel)(CNN_FN(tile_job) * job, const cnn_matmul_plan *plan,
                               CNN_FN(tile_rows) tiles, int64_t t0, int64_t t1,
                               const float *a, int64_t a_row, const float *b,
                               const float *bias, float *c, int64_t cols) {
    for (int64_t t = t0; t < t1; t++) {
        const int height = CNN_FN(tile_height)(tiles, t);
        if (plan->pack_a)
            job->a_col = height;
        if (cols < plan->panel)
            CNN_FN(last_panel)(job, height, a, b, bias, c, cols);
        else
            CNN_FN(tiles)[height][plan->panel / CNN_VLEN](job, a, b, bias, c, cols);
        if (job->copy) {
            b = job->copy;
            job->b_row = plan->panel;
            job->copy = NULL;
        }
        a += height * (plan->pack_a ? job->steps : a_row);
        c += height * job->c_row;
    }
}

static void CNN_FN(matmul_block_f32)(const cnn_matmul *p, const cnn_matmul_plan *plan,
                                     int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                                     float *scratch) {
    if (p->column) {
        CNN_FN(column_block)(p, n0, n1, scratch);
        return;
    }
#if CNN_HAVE_AMX
    if (plan->parts) {
        CNN_FN(amx_block)(p, plan, m0, m1, n0, n1, scratch);
        return;
    }
#endif
    const int64_t panel = plan->panel, rows = m1 - m0;
    const CNN_FN(tile_rows) tiles = CNN_FN(cut_rows)(rows, plan->tile_rows);
    const int64_t count = tiles.count;
    const int64_t pass = plan->keep_b ? plan->group : count;
    float *const packed_b = scratch;
    float *const packed_a = packed_b + plan->packed_b;
    CNN_FN(tile_job) job; /* filled where it is used: clearing it takes 40 cycles */
    job.c_row = p->c_row;
    job.copy = NULL;
    /* 1: after a group of tiles, 2: after all of them, few as they are */
    int epilogue = 0;
    if (CNN_FN(has_epilogue)(p))
        epilogue = plan->dots || rows * (n1 - n0) <= CNN_EPILOGUE_SIZE ? 2 : 1;
    int64_t begin = n0;
    if (plan->dots)
        begin = CNN_FN(dots_f32)(p, m0, n0, n1);
    else if (plan->stream)
        begin = CNN_FN(stream_f32)(p, m0, n0, n1, scratch);
    for (int64_t nb = begin; nb < n1; nb += plan->block_cols) {
        const int64_t cols = n1 - nb < plan->block_cols ? n1 - nb : plan->block_cols;
        for (int64_t t0 = 0; t0 < count; t0 += pass) {
            const int64_t t1 = count - t0 < pass ? count : t0 + pass;
            int64_t k0 = 0;
            do { /* once even for k == 0, which leaves the bias */
                const int64_t left = p->k - k0;
                const int64_t steps = left < CNN_MATMUL_CHUNK ? left : CNN_MATMUL_CHUNK;
                job.steps = steps;
                job.chunks = 1;
                if (left >= 2 * CNN_MATMUL_CHUNK && cols <= panel && !plan->pack_a &&
                    !plan->pack_b && !p->sums)
                    job.chunks = CNN_FN(chunks_at_once)(
                        CNN_FN(tile_height)(tiles, 0) *
                            ((cols + CNN_VLEN - 1) / CNN_VLEN),
                        left);
                const int last = steps * job.chunks == left;
                const float *const in_place = p->b + k0 * p->b_row + nb * p->b_col;
                const float *b = in_place;
                const float *bias = last ? p->bias : NULL;
                job.a_row = plan->pack_a ? 1 : p->a_row;
                job.a_col = p->a_col;
                job.b_row = p->b_row;
                job.b_chunk = CNN_MATMUL_CHUNK * p->b_row;
                CNN_FN(set_epilogue)(&job, p, k0 == 0, last);
                if (p->packed) {
                    b = p->b + k0 * plan->all_cols + nb * steps;
                    job.b_row = panel;
                    job.b_chunk = CNN_MATMUL_CHUNK * plan->all_cols;
                } else if (plan->pack_b) {
                    float *panels = packed_b;
                    if (plan->keep_b)
                        panels += k0 * ((cols + panel - 1) / panel * panel);
                    if (t0 == 0) { /* all of it, or what tiles do not copy */
                        const int64_t copied = plan->copying ? cols / panel * panel : 0;
                        CNN_FN(pack_b)(steps, cols - copied, in_place + copied * p->b_col,
                                       p->b_row, p->b_col, panels + copied * steps,
                                       panel);
                    }
                    b = panels;
                    job.b_row = panel;
                }
                if (p->sums && m0 == 0 && t0 == 0) { /* while B is in cache */
                    for (int64_t j = 0; j < cols; j += panel)
                        CNN_FN(add_rows)(steps, cols - j < panel ? cols - j : panel,
                                         plan->panels ? b + j * steps : b + j, job.b_row,
                                         k0 == 0, p->sums + nb + j);
                }
                for (int64_t t = t0; t < t1; t += plan->group) {
                    const int64_t end = t1 - t < plan->group ? t1 : t + plan->group;
                    const int64_t i = m0 + CNN_FN(rows_of)(tiles, t);
                    const float *a = p->a + i * p->a_row + k0 * p->a_col;
                    if (plan->pack_a) {
                        CNN_FN(pack_a)(p, tiles, t, end, steps, a, packed_a);
                        a = packed_a;
                    }
                    for (int64_t j = 0; j < cols; j += panel) {
                        const float *b_at = b + (plan->panels ? j * steps : j);
                        if (plan->copying && t == 0 && cols - j >= panel) {
                            job.copy = (float *)b_at;
                            job.b_row = p->b_row;
                            b_at = in_place + j;
                        }
                        CNN_FN(meet_panel)(
                            &job, plan, tiles, t, end, a, p->a_row, b_at,
                            bias ? bias + nb + j : NULL,
                            p->c + i * p->c_row + nb + j,
                            cols - j < panel ? cols - j : panel);
                    }
                    if (epilogue == 1 && last)
                        CNN_FN(epilogue)(p, i, m0 + CNN_FN(rows_of)(tiles, end), nb,
                                         nb + cols);
                }
                k0 += steps * job.chunks;
            } while (k0 < p->k);
        }
    }
    if (epilogue == 2)
        CNN_FN(epilogue)(p, m0, m1, n0, n1);
}
