/* Products with one column, y = A x, in an order of their own (kernels_matmul.h): the 16
 * lanes of an output run along K, so that rows of A are read as they lie.
 *
 * They come as the row y.T = x.T @ A.T: m is 1, x is a, A.T is b, and what b calls a column
 * is a row of A. A -0, which steps beyond the end of K turn into +0, does not come out of
 * the sum with +0.
 */
#include "lanes.h"

#define CNN_COLUMN_LANES 16
#define CNN_COLUMN_VECTORS (CNN_COLUMN_LANES / CNN_VLEN)
/* Chains that keep two fused multiply-adds of latency 4 per cycle busy. */
#define CNN_COLUMN_CHAINS 8
#define CNN_COLUMN_ROWS (CNN_COLUMN_CHAINS / CNN_COLUMN_VECTORS)
/* Outputs whose sums lie in L1 until the epilogue, and, where they lie side by side, whose
 * lanes lie in L2. */
#define CNN_COLUMN_BLOCK 4096
/* Fewest outputs side by side for a thread: long pieces of rows of A.T come in fastest. */
#define CNN_COLUMN_PIECE 1024
/* Most outputs side by side whose lanes stay in registers. */
#define CNN_COLUMN_NARROW (8 * CNN_VLEN)
/* Outputs that are gathered at a time: a line of what lies side by side. */
#define CNN_COLUMN_GATHER 16
/* Longest rows that are transposed rather than folded, and how far apart they may lie:
 * less than a page. */
#define CNN_COLUMN_SHORT 12
#define CNN_COLUMN_NEAR 512
/* Steps of rows after which the next ones no longer fit into L1 with them, and how far to
 * fetch ahead in longer ones. */
#define CNN_COLUMN_LONG 512
#define CNN_COLUMN_AHEAD 64

/* A block of outputs and a chunk of K. */
typedef struct {
    int64_t steps;
    const float *x; /* contiguous */
    const float *b;
    int64_t b_row, b_col;
    int first;     /* c is written, not added to */
    int64_t apart; /* from the sums of a lane to those of the next */
    float *sums;   /* scratch; of the lanes, and a row of zeros */
} CNN_FN(column_job);

static int64_t CNN_FN(column_steps)(int64_t left) {
    return left < CNN_COLUMN_CHUNK ? left : CNN_COLUMN_CHUNK;
}

/* Floats of scratch for a copy of x. */
static int64_t CNN_FN(column_x)(const cnn_matmul *p) {
    return p->a_col == 1 ? 0 : (CNN_FN(column_steps)(p->k) + 15) / 16 * 16;
}

/* Floats of scratch for a lane of the outputs that are summed there; one line more, so
 * that lanes do not fall into the same few sets of L1. */
static int64_t CNN_FN(column_apart)(const cnn_matmul *p) {
    const int64_t most = p->n < CNN_COLUMN_BLOCK ? p->n : CNN_COLUMN_BLOCK;
    const int side_by_side = p->b_row != 1 && p->b_col == 1;
    return side_by_side && most > CNN_COLUMN_NARROW ? (most + 15) / 16 * 16 + 16 : 0;
}

static void CNN_FN(column_plan)(const cnn_matmul *p, cnn_matmul_plan *plan) {
    *plan = (cnn_matmul_plan){.tile_rows = 1};
    const int64_t apart = CNN_FN(column_apart)(p);
    plan->panel = p->b_row == 1 ? CNN_COLUMN_ROWS
                  : apart > 0   ? CNN_COLUMN_PIECE
                                : CNN_COLUMN_GATHER;
    plan->scratch = CNN_FN(column_x)(p) + (CNN_COLUMN_LANES + 1) * apart;
    if (p->b_row != 1 && p->b_col != 1)
        plan->scratch += CNN_FN(column_steps)(p->k) * CNN_COLUMN_GATHER;
}

/* ---- rows of A ---------------------------------------------------------------------- */

/* Add up to 16 steps, `left` of them, of `rows` rows. */
CNN_INLINE void CNN_FN(column_step)(const int rows, int64_t left, const float *x,
                                    const float *b, int64_t b_col,
                                    v_f32 acc[][CNN_COLUMN_VECTORS]) {
    CNN_UNROLL(4)
    for (int j = 0; j < CNN_COLUMN_VECTORS; j++, left -= CNN_VLEN) {
        if (left <= 0)
            break;
        const v_f32 xv = v_load_n(x + j * CNN_VLEN, left);
        CNN_UNROLL(8)
        for (int i = 0; i < rows; i++)
            acc[i][j] =
                v_fma(v_load_n(b + i * b_col + j * CNN_VLEN, left), xv, acc[i][j]);
    }
}

#if CNN_VLEN == 16
typedef float v_eight __attribute__((vector_size(32)));

/* Two quarters of x, two of y */
#define CNN_QUARTERS(x, y, which)                                                    \
    (v_f32) _mm512_shuffle_f32x4((__m512)(x), (__m512)(y), which)

/* The sums of eight rows in the order of cnn_tree_sum: rows are put side by side as soon
 * as a fold leaves room, which takes half the shuffles. */
CNN_INLINE v_eight CNN_FN(column_eight)(v_f32 acc[][CNN_COLUMN_VECTORS]) {
    v_f32 pair[4], four[2];
    CNN_UNROLL(4)
    for (int i = 0; i < 4; i++) { /* quarters 0 1 and 2 3 */
        const v_f32 x = acc[2 * i][0], y = acc[2 * i + 1][0];
        pair[i] = CNN_QUARTERS(x, y, 0x44) + CNN_QUARTERS(x, y, 0xee);
    }
    CNN_UNROLL(2)
    for (int i = 0; i < 2; i++) { /* quarters 0 2 and 1 3 */
        const v_f32 x = pair[2 * i], y = pair[2 * i + 1];
        four[i] = CNN_QUARTERS(x, y, 0x88) + CNN_QUARTERS(x, y, 0xdd);
    }
    const v_f32 two = CNN_ZIP_LOW(four[0], four[1]) + CNN_ZIP_HIGH(four[0], four[1]);
    const v_f32 one = two + (v_f32)_mm512_permute_ps((__m512)two, 0x4e);
    static const int32_t first[16] = {0, 4, 8, 12, 1, 5, 9, 13};
    const __m512 sums =
        _mm512_permutexvar_ps((__m512i)v_load_i(first), (__m512)one);
    return (v_eight)_mm512_castps512_ps256(sums);
}
#undef CNN_QUARTERS
#endif

/* c (rows): the folds are done side by side. */
CNN_INLINE void CNN_FN(column_rows)(const int rows, const CNN_FN(column_job) * t,
                                    const float *b, float *c) {
    v_f32 acc[CNN_COLUMN_ROWS][CNN_COLUMN_VECTORS];
    /* the next rows, unless these fill L1 */
    const int64_t ahead = t->steps <= CNN_COLUMN_LONG ? rows * t->b_col : CNN_COLUMN_AHEAD;
    CNN_UNROLL(8)
    for (int i = 0; i < rows; i++) {
        CNN_UNROLL(4)
        for (int j = 0; j < CNN_COLUMN_VECTORS; j++)
            acc[i][j] = v_zero();
    }
    int64_t k = 0;
    CNN_UNROLL(1)
    for (; k + CNN_COLUMN_LANES <= t->steps; k += CNN_COLUMN_LANES) {
        CNN_UNROLL(8)
        for (int i = 0; i < rows; i++)
            __builtin_prefetch(b + k + i * t->b_col + ahead);
        CNN_FN(column_step)(rows, CNN_COLUMN_LANES, t->x + k, b + k, t->b_col, acc);
    }
    if (k < t->steps)
        CNN_FN(column_step)(rows, t->steps - k, t->x + k, b + k, t->b_col, acc);
#if CNN_VLEN == 16
    if (rows == 8) {
        v_eight before = {0};
        if (!t->first)
            memcpy(&before, c, sizeof before);
        before = before + CNN_FN(column_eight)(acc);
        memcpy(c, &before, sizeof before);
        return;
    }
#endif
    v_quad q[CNN_COLUMN_ROWS];
    CNN_UNROLL(8)
    for (int i = 0; i < rows; i++)
        q[i] = cnn_tree_sum_quad(acc[i], CNN_COLUMN_VECTORS);
    CNN_UNROLL(2)
    for (int i = 0; i + 4 <= rows; i += 4) {
        v_quad before = {0};
        if (!t->first)
            memcpy(&before, c + i, sizeof before);
        cnn_store_quad(c + i, before + cnn_four_sums(q + i));
    }
    CNN_UNROLL(4)
    for (int i = rows / 4 * 4; i < rows; i++)
        c[i] = (t->first ? 0.0f : c[i]) + ((q[i][0] + q[i][2]) + (q[i][1] + q[i][3]));
}

/* c (CNN_VLEN) of rows of at most 4 * `quads` elements: an element is a lane. Reads as if
 * the rows had all of these. */
CNN_INLINE void CNN_FN(column_short)(const int quads, const CNN_FN(column_job) * t,
                                     const float *b, float *c) {
    v_f32 sum[2][4];
    CNN_UNROLL(4)
    for (int g = 0; g < quads; g++) {
        v_f32 lane[4];
        CNN_FN(transpose)(b + 4 * g, t->b_col, lane);
        CNN_UNROLL(4)
        for (int j = 0; j < 4; j++) {
            const int64_t k = 4 * g + j;
            const int mine = g < quads - 1 || k < t->steps;
            lane[j] = mine ? lane[j] * v_set(t->x[k]) : v_zero();
            sum[g & 1][j] = g < 2 ? lane[j] : sum[g & 1][j] + lane[j];
        }
    }
    CNN_UNROLL(4)
    for (int j = 0; quads > 1 && j < 4; j++)
        sum[0][j] = sum[0][j] + sum[1][j];
    const v_f32 before = t->first ? v_zero() : v_load(c);
    v_store(c, before + ((sum[0][0] + sum[0][2]) + (sum[0][1] + sum[0][3])));
}

static void CNN_FN(column_of_rows)(const CNN_FN(column_job) * t, int64_t count, float *c) {
    const int64_t step = t->b_col;
    const float *b = t->b;
    int64_t i = 0;
    if (t->steps <= CNN_COLUMN_SHORT && step > 0 && step <= CNN_COLUMN_NEAR) {
        const int64_t quads = (t->steps + 3) / 4;
        /* what is read behind a row lies before the end of the last one */
        for (; (count - i - CNN_VLEN) * step >= 4 * quads - t->steps; i += CNN_VLEN) {
            if (quads == 1)
                CNN_FN(column_short)(1, t, b + i * step, c + i);
            else if (quads == 2)
                CNN_FN(column_short)(2, t, b + i * step, c + i);
            else
                CNN_FN(column_short)(3, t, b + i * step, c + i);
        }
    }
    for (; i + CNN_COLUMN_ROWS <= count; i += CNN_COLUMN_ROWS)
        CNN_FN(column_rows)(CNN_COLUMN_ROWS, t, b + i * step, c + i);
    for (; CNN_COLUMN_ROWS > 4 && i + 4 <= count; i += 4)
        CNN_FN(column_rows)(4, t, b + i * step, c + i);
    for (; CNN_COLUMN_ROWS > 2 && i + 2 <= count; i += 2)
        CNN_FN(column_rows)(2, t, b + i * step, c + i);
    for (; i < count; i++)
        CNN_FN(column_rows)(1, t, b + i * step, c + i);
}

/* ---- columns of A.T ----------------------------------------------------------------- */

#define CNN_LANES_OF(j) (edge && (j) == vectors - 1 ? part : CNN_VLEN)

/* Add a step of each of `lanes` lanes, or of the first `count`, to acc. */
CNN_INLINE void CNN_FN(column_across)(const int vectors, const int edge, const int lanes,
                                      int64_t count, const float *x, const float *b,
                                      int64_t b_row, int64_t part, v_f32 acc[][4]) {
    const int64_t apart = CNN_COLUMN_LANES / lanes;
    CNN_UNROLL(8)
    for (int i = 0; i < lanes; i++) {
        if (i < count) {
            const v_f32 xv = v_set(x[i * apart]);
            CNN_UNROLL(4)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_fma(v_load_n(b + j * CNN_VLEN, CNN_LANES_OF(j)), xv,
                                  acc[i][j]);
        }
        b += apart * b_row;
    }
}

/* Fold `lanes` sums in place. */
CNN_INLINE void CNN_FN(column_fold)(const int vectors, const int lanes, v_f32 acc[][4]) {
    CNN_UNROLL(4)
    for (int half = lanes / 2; half > 0; half /= 2) {
        CNN_UNROLL(8)
        for (int i = 0; i < half; i++) {
            CNN_UNROLL(4)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = acc[i][j] + acc[i + half][j];
        }
    }
}

/* c, `vectors` vectors of which the last has `part` lanes if it is the `edge`: some lanes
 * evenly apart at a time, CHAINS chains in registers. */
CNN_INLINE void CNN_FN(column_strip)(const int vectors, const int edge,
                                     const CNN_FN(column_job) * t, const float *b,
                                     float *c, int64_t part) {
    const int lanes = vectors > 2 ? 2 : CNN_COLUMN_CHAINS / vectors;
    const int apart = CNN_COLUMN_LANES / lanes;
    v_f32 sum[CNN_COLUMN_LANES / 2][4];
    CNN_UNROLL(1)
    for (int g = 0; g < apart; g++) {
        v_f32 acc[CNN_COLUMN_CHAINS][4];
        CNN_UNROLL(8)
        for (int i = 0; i < lanes; i++) {
            CNN_UNROLL(4)
            for (int j = 0; j < vectors; j++)
                acc[i][j] = v_zero();
        }
        const float *from = b + g * t->b_row;
        int64_t k = g;
        CNN_UNROLL(1)
        for (; k + (lanes - 1) * apart < t->steps; k += CNN_COLUMN_LANES) {
            CNN_FN(column_across)(vectors, edge, lanes, lanes, t->x + k, from, t->b_row,
                                  part, acc);
            from += CNN_COLUMN_LANES * t->b_row;
        }
        const int copied = edge && lanes > 2 ? lanes : 0; /* or the loop stores acc */
        v_f32 copy[CNN_COLUMN_CHAINS][4], (*const last)[4] = copied ? copy : acc;
        CNN_UNROLL(8)
        for (int i = 0; i < copied; i++) {
            CNN_UNROLL(4)
            for (int j = 0; j < vectors; j++)
                copy[i][j] = acc[i][j];
        }
        if (k < t->steps)
            CNN_FN(column_across)(vectors, edge, lanes,
                                  (t->steps - k + apart - 1) / apart, t->x + k, from,
                                  t->b_row, part, last);
        CNN_FN(column_fold)(vectors, lanes, last);
        CNN_UNROLL(4)
        for (int j = 0; j < vectors; j++)
            sum[g][j] = last[0][j];
    }
    CNN_FN(column_fold)(vectors, apart, sum);
    CNN_UNROLL(4)
    for (int j = 0; j < vectors; j++) {
        float *const to = c + j * CNN_VLEN;
        const v_f32 before = t->first ? v_zero() : v_load_n(to, CNN_LANES_OF(j));
        v_store_n(to, before + sum[0][j], CNN_LANES_OF(j));
    }
}
#undef CNN_LANES_OF
#define CNN_COLUMN_STRIP(vectors, cols)                                              \
    ((cols) == (vectors)*CNN_VLEN                                                    \
         ? CNN_FN(column_strip)(vectors, 0, t, b, c, CNN_VLEN)                       \
         : CNN_FN(column_strip)(vectors, 1, t, b, c, (cols) - (vectors - 1) * CNN_VLEN))

/* Steps of some rows of A.T: `rows` steps of each lane. */
typedef struct {
    const float *from[CNN_COLUMN_CHAINS];
    v_f32 x[CNN_COLUMN_CHAINS];
} CNN_FN(column_pass);

/* sum (part) of column j: these steps, their lanes folded, added to it unless `first`. */
CNN_INLINE void CNN_FN(column_add)(const int lanes, const int rows, int first,
                                   const CNN_FN(column_pass) * pass, int64_t j,
                                   int64_t part, float *sum) {
    v_f32 acc[CNN_COLUMN_CHAINS][4];
    CNN_UNROLL(8)
    for (int i = 0; i < lanes; i++) {
        acc[i][0] = first ? v_zero() : v_load(sum + j);
        CNN_UNROLL(8)
        for (int r = i * rows; r < (i + 1) * rows; r++)
            acc[i][0] = v_fma(v_load_n(pass->from[r] + j, part), pass->x[r], acc[i][0]);
    }
    CNN_FN(column_fold)(1, lanes, acc);
    v_store(sum + j, acc[0][0]);
}

/* sum (cols) of the lanes of step k and others evenly apart, CHAINS steps in all; those
 * beyond the last one meet zeros. */
CNN_INLINE void CNN_FN(column_lanes)(const int lanes, int first,
                                     const CNN_FN(column_job) * t, int64_t k,
                                     const float *b, int64_t cols, const float *zeros,
                                     float *sum) {
    const int rows = CNN_COLUMN_CHAINS / lanes;
    CNN_FN(column_pass) pass;
    CNN_UNROLL(8)
    for (int i = 0; i < CNN_COLUMN_CHAINS; i++) {
        const int64_t at =
            k + i / rows * (CNN_COLUMN_LANES / lanes) + i % rows * CNN_COLUMN_LANES;
        const int none = at >= t->steps;
        pass.x[i] = v_set(none ? 0.0f : t->x[at]);
        pass.from[i] = none ? zeros : b + at * t->b_row;
    }
    int64_t j = 0;
    for (; j + CNN_VLEN <= cols; j += CNN_VLEN)
        CNN_FN(column_add)(lanes, rows, first, &pass, j, CNN_VLEN, sum);
    if (j < cols)
        CNN_FN(column_add)(lanes, rows, first, &pass, j, cols - j, sum);
}

/* c (cols) by rows of A.T in long pieces, CHAINS of them at a time, of `lanes` lanes; more
 * than one lane if they have no more steps than that. The others' sums lie in scratch,
 * with them a row of zeros. */
CNN_INLINE void CNN_FN(column_wide)(const int lanes, const CNN_FN(column_job) * t,
                                    const float *b, int64_t cols, float *c) {
    const int count = CNN_COLUMN_LANES / lanes;
    const int64_t apart = t->apart;
    float *const sums = t->sums, *const zeros = sums + CNN_COLUMN_LANES * apart;
    int64_t k = 0;
    if (t->steps % (CNN_COLUMN_CHAINS * count) != 0)
        memset(zeros, 0, (size_t)cols * sizeof *zeros);
    do {
        for (int i = 0; i < count; i++)
            CNN_FN(column_lanes)(lanes, k == 0, t, k + i, b, cols, zeros,
                                 sums + i * apart);
        k += CNN_COLUMN_CHAINS * CNN_COLUMN_LANES;
    } while (lanes == 1 && k < t->steps);
    for (int64_t j = 0; j < cols; j += CNN_VLEN) {
        v_f32 sum[CNN_COLUMN_LANES][4];
        CNN_UNROLL(16)
        for (int i = 0; i < count; i++)
            sum[i][0] = v_load(sums + i * apart + j);
        CNN_FN(column_fold)(1, count, sum);
        const v_f32 before = t->first ? v_zero() : v_load_n(c + j, cols - j);
        v_store_n(c + j, before + sum[0][0], cols - j);
    }
}

static void CNN_FN(column_of_columns)(const CNN_FN(column_job) * t, int64_t count,
                                      float *c) {
    const float *b = t->b;
    if (count > CNN_COLUMN_NARROW) {
        if (t->steps <= CNN_COLUMN_LANES)
            CNN_FN(column_wide)(8, t, b, count, c);
        else if (t->steps <= 2 * CNN_COLUMN_LANES)
            CNN_FN(column_wide)(4, t, b, count, c);
        else if (t->steps <= 4 * CNN_COLUMN_LANES)
            CNN_FN(column_wide)(2, t, b, count, c);
        else
            CNN_FN(column_wide)(1, t, b, count, c);
        return;
    }
    for (; count >= 4 * CNN_VLEN; count -= 4 * CNN_VLEN) {
        CNN_FN(column_strip)(4, 0, t, b, c, CNN_VLEN);
        b += 4 * CNN_VLEN;
        c += 4 * CNN_VLEN;
    }
    if (count > 3 * CNN_VLEN)
        CNN_FN(column_strip)(4, 1, t, b, c, count - 3 * CNN_VLEN);
    else if (count > 2 * CNN_VLEN)
        CNN_COLUMN_STRIP(3, count);
    else if (count > CNN_VLEN)
        CNN_COLUMN_STRIP(2, count);
    else if (count > 0)
        CNN_COLUMN_STRIP(1, count);
}

/* ---- both --------------------------------------------------------------------------- */

/* Outputs with any strides, copied side by side. */
static void CNN_FN(column_of_copies)(const CNN_FN(column_job) * t, int64_t count, float *c,
                                     float *copy) {
    CNN_FN(column_job) part = *t;
    part.b = copy;
    part.b_row = CNN_COLUMN_GATHER;
    part.b_col = 1;
    for (int64_t i = 0; i < count; i += CNN_COLUMN_GATHER) {
        const int64_t some = count - i < CNN_COLUMN_GATHER ? count - i : CNN_COLUMN_GATHER;
        CNN_FN(pack_strided)(some, t->steps, t->b + i * t->b_col, t->b_col, t->b_row, copy,
                             CNN_COLUMN_GATHER);
        CNN_FN(column_of_columns)(&part, some, c + i);
    }
}

/* Outputs [n0, n1) of c. */
static void CNN_FN(column_block)(const cnn_matmul *p, int64_t n0, int64_t n1,
                                 float *scratch) {
    float *const x = scratch, *const rest = x + CNN_FN(column_x)(p);
    CNN_FN(column_job) t = {.b_row = p->b_row,
                            .b_col = p->b_col,
                            .apart = CNN_FN(column_apart)(p),
                            .sums = rest};
    for (; n0 < n1; n0 += CNN_COLUMN_BLOCK) {
        const int64_t count = n1 - n0 < CNN_COLUMN_BLOCK ? n1 - n0 : CNN_COLUMN_BLOCK;
        float *const c = p->c + n0;
        int64_t k0 = 0;
        do { /* once even for k == 0, which leaves the bias */
            t.steps = CNN_FN(column_steps)(p->k - k0);
            t.x = p->a + k0 * p->a_col;
            t.b = p->b + k0 * p->b_row + n0 * p->b_col;
            t.first = k0 == 0;
            if (p->a_col != 1) {
                for (int64_t k = 0; k < t.steps; k++)
                    x[k] = t.x[k * p->a_col];
                t.x = x;
            }
            if (p->b_row == 1)
                CNN_FN(column_of_rows)(&t, count, c);
            else if (p->b_col == 1)
                CNN_FN(column_of_columns)(&t, count, c);
            else
                CNN_FN(column_of_copies)(&t, count, c, rest);
            k0 += t.steps;
        } while (k0 < p->k);
        if (p->bias) {
            const v_f32 bias = v_set(*p->bias);
            for (int64_t j = 0; j < count; j += CNN_VLEN)
                v_store_n(c + j, v_load_n(c + j, count - j) + bias, count - j);
        }
        if (p->activation != CNN_LINEAR)
            CNN_FN(activate)(p->activation, count, c);
        if (p->grad != CNN_LINEAR)
            CNN_FN(activate_grad)(p->grad, p->grad_p, count, p->saved + n0, c);
    }
}
