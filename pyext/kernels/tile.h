/* Short rows, CNN_VLEN of them at a time.
 *
 * A tile holds rows of n <= CNN_SHORT elements, one vector per column: what a row needs
 * as a whole (its maximum, its sum, a logarithm) is then computed for all of them by one
 * instruction. Every lane of the numeric contract gets at most one element, so a column
 * is a lane, and folding columns as lanes.h folds lanes gives the same bits as a row
 * by itself.
 */
#ifndef CNN_TILE_H
#define CNN_TILE_H

#include "simd.h"
#include "transpose.h"

#define CNN_SHORT CNN_LANES

/* for each tile of the rows, then for the rows that are left; `r` is where they start */
#define CNN_FOR_TILES(rows, n, r)                                                    \
    for (; (n) <= CNN_SHORT && (r) + CNN_VLEN <= (rows); (r) += CNN_VLEN)

/* c[j][i] = x[i * n + j] */
static void CNN_FN(tile_load)(int64_t n, const float *x, v_f32 *c) {
    for (int64_t j = 0; n < 4 && j < n; j++) {
        CNN_UNROLL(16) for (int i = 0; i < CNN_VLEN; i++) c[j][i] = x[i * n + j];
    }
    for (int64_t j = 0; n >= 4 && j < n; j += 4) { /* the last four overlap */
        const int64_t at = j <= n - 4 ? j : n - 4;
        CNN_FN(transpose)(x + at, n, c + at);
    }
}

/* y[i * n + j] = c[j][i] */
static void CNN_FN(tile_store)(int64_t n, const v_f32 *c, float *y) {
    for (int64_t j = 0; n < 4 && j < n; j++) {
        CNN_UNROLL(16) for (int i = 0; i < CNN_VLEN; i++) y[i * n + j] = c[j][i];
    }
    for (int64_t j = 0; n >= 4 && j < n; j += 4) {
        const int64_t at = j <= n - 4 ? j : n - 4;
        CNN_FN(transpose_back)(c + at, y + at, n);
    }
}

/* one value per row: the columns folded as lanes are; 1 <= n <= CNN_SHORT. May write
 * to columns from n on. */
#define CNN_DEFINE_TILE_FOLD(name, vector_op, neutral)                               \
    CNN_INLINE v_f32 CNN_CAT(name, 4)(const v_f32 *c) {                              \
        return vector_op(vector_op(c[0], c[2]), vector_op(c[1], c[3]));              \
    }                                                                                \
    CNN_INLINE v_f32 CNN_CAT(name, 8)(const v_f32 *c) {                              \
        v_f32 s[4];                                                                  \
        CNN_UNROLL(4) for (int j = 0; j < 4; j++) {                                  \
            s[j] = vector_op(c[j], c[j + 4]);                                        \
        }                                                                            \
        return CNN_CAT(name, 4)(s);                                                  \
    }                                                                                \
    CNN_INLINE v_f32 name(int64_t n, v_f32 *c) {                                     \
        v_f32 s[CNN_SHORT / 2], *from = c;                                           \
        int64_t half = n > 8 ? 8 : n > 4 ? 4 : 2, j;                                 \
        while (2 * half < n) half *= 2;                                              \
        for (j = n; j < 2 * half; j++) c[j] = v_set(neutral);                        \
        for (; half > 8; half /= 2) {                                                \
            for (j = 0; j < half; j++) s[j] = vector_op(from[j], from[j + half]);    \
            from = s;                                                                \
        }                                                                            \
        if (half == 2) return CNN_CAT(name, 4)(from);                                \
        if (half == 4) return CNN_CAT(name, 8)(from);                                \
        CNN_UNROLL(8) for (j = 0; j < 8; j++) s[j] = vector_op(from[j], from[j + 8]); \
        return CNN_CAT(name, 8)(s);                                                  \
    }
CNN_DEFINE_TILE_FOLD(cnn_tile_add, cnn_add, 0.0f)
CNN_DEFINE_TILE_FOLD(cnn_tile_top, v_max, -__builtin_inff())
CNN_DEFINE_TILE_FOLD(cnn_tile_max, v_maximum, -__builtin_inff())
CNN_DEFINE_TILE_FOLD(cnn_tile_min, v_minimum, __builtin_inff())

/* lanes start at 0, so a sum is never -0 */
CNN_INLINE v_f32 cnn_tile_sum(int64_t n, v_f32 *c) {
    return cnn_tile_add(n, c) + 0.0f;
}

/* labels as floats, -1 where a label is none of the n classes; returns whether one is */
CNN_INLINE int cnn_tile_labels(int64_t n, const int64_t *labels, v_f32 *out) {
    v_i32 v = {0};
    CNN_UNROLL(16) for (int i = 0; i < CNN_VLEN; i++) {
        v[i] = (uint64_t)labels[i] < (uint64_t)n ? (int32_t)labels[i] : -1;
    }
    *out = __builtin_convertvector(v, v_f32);
    return v_any(v_lt(*out, v_zero()));
}

/* after a tile: rows whose label is no class have the loss 0 and no gradient */
static void CNN_FN(tile_erase)(int64_t n, const int64_t *labels, float *y, float *g) {
    for (int i = 0; i < CNN_VLEN; i++) {
        if ((uint64_t)labels[i] < (uint64_t)n) continue;
        if (y != NULL) y[i] = 0.0f;
        if (g != NULL) memset(g + i * n, 0, (size_t)n * sizeof(float));
    }
}

#endif
