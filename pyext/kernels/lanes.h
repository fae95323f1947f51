/* Sums and extremes over a contiguous row in the fixed order that kernels.h describes.
 *
 * Lanes that got nothing hold the neutral element, so folding them in may be left out.
 */
#ifndef CNN_LANES_H
#define CNN_LANES_H

#include "simd.h"

typedef float v_quad __attribute__((vector_size(16)));
typedef int32_t v_quad_i __attribute__((vector_size(16)));
typedef union {
    v_f32 all;
    v_quad quad[CNN_VLEN / 4];
} cnn_quads;

CNN_INLINE v_quad cnn_add_quad(v_quad a, v_quad b) { return a + b; }
CNN_INLINE v_quad cnn_max_quad(v_quad a, v_quad b) {
    v_quad_i m = (a > b) | (a != a);
    return (v_quad)((m & (v_quad_i)a) | (~m & (v_quad_i)b));
}
CNN_INLINE v_quad cnn_min_quad(v_quad a, v_quad b) {
    v_quad_i m = (a < b) | (a != a);
    return (v_quad)((m & (v_quad_i)a) | (~m & (v_quad_i)b));
}
CNN_INLINE v_f32 cnn_add(v_f32 a, v_f32 b) { return a + b; }
CNN_INLINE float cnn_add1(float a, float b) { return a + b; }
CNN_INLINE float cnn_max1(float a, float b) { return a > b || a != a ? a : b; }
CNN_INLINE float cnn_min1(float a, float b) { return a < b || a != a ? a : b; }

/* fold `width` vectors (a power of two) to four lanes, and these to one */
#define CNN_DEFINE_TREE(name, vector_op, quad_op, scalar_op)                         \
    CNN_INLINE v_quad CNN_CAT(name, quad)(v_f32 *lanes, int width) {                 \
        for (int half = width / 2; half >= 1; half /= 2) {                           \
            for (int j = 0; j < half; j++) {                                         \
                lanes[j] = vector_op(lanes[j], lanes[j + half]);                     \
            }                                                                        \
        }                                                                            \
        cnn_quads v = {.all = lanes[0]};                                             \
        for (int half = CNN_VLEN / 8; half >= 1; half /= 2) {                        \
            for (int j = 0; j < half; j++) {                                         \
                v.quad[j] = quad_op(v.quad[j], v.quad[j + half]);                    \
            }                                                                        \
        }                                                                            \
        return v.quad[0];                                                            \
    }                                                                                \
    CNN_INLINE float name(v_f32 *lanes, int width) {                                 \
        v_quad q = CNN_CAT(name, quad)(lanes, width);                                \
        return scalar_op(scalar_op(q[0], q[2]), scalar_op(q[1], q[3]));              \
    }
CNN_DEFINE_TREE(cnn_tree_sum, cnn_add, cnn_add_quad, cnn_add1)
CNN_DEFINE_TREE(cnn_tree_max, v_maximum, cnn_max_quad, cnn_max1)
CNN_DEFINE_TREE(cnn_tree_min, v_minimum, cnn_min_quad, cnn_min1)

/* Rows of at most two vectors are summed four at a time, each to four lanes before the
 * rows are put side by side: the row sums of CNN_DEFINE_ROW_SUM for the rows r .. r + 3,
 * whose four lanes are q[0 .. 3]. */
#define CNN_FOR_FOURS(rows, n, r)                                                    \
    for (; (n) <= 2 * CNN_VLEN && (r) + 4 <= (rows); (r) += 4)

CNN_INLINE v_quad cnn_four_sums(const v_quad *q) {
    v_quad a = {q[0][0], q[0][1], q[1][0], q[1][1]};
    v_quad b = {q[0][2], q[0][3], q[1][2], q[1][3]};
    v_quad c = {q[2][0], q[2][1], q[3][0], q[3][1]};
    v_quad d = {q[2][2], q[2][3], q[3][2], q[3][3]};
    a = a + b;
    c = c + d;
    return (v_quad){a[0], a[2], c[0], c[2]} + (v_quad){a[1], a[3], c[1], c[3]};
}
CNN_INLINE void cnn_store_quad(float *p, v_quad x) { memcpy(p, &x, sizeof x); }

/* vectors that hold the lanes of a row of n elements: a power of two */
CNN_INLINE int cnn_lane_vectors(int64_t n) {
    int width = CNN_ACCS;
    while (width > 1 && (int64_t)(width / 2) * CNN_VLEN >= n) width /= 2;
    return width;
}

/* A row of W = 1 or 2 vectors needs no loop (2: of more than one vector). */
#define CNN_SHORT_ROW(W, STEP, fold)                                                 \
    {                                                                                \
        v_f32 acc[W];                                                                \
        CNN_UNROLL(2) for (int j = 0; j < W; j++) {                                  \
            const int64_t i = (int64_t)j * CNN_VLEN;                                 \
            acc[j] = v_zero();                                                       \
            if (j < W / 2) {                                                         \
                STEP(acc[j], i, CNN_VLEN);                                           \
            } else if (i < n) {                                                      \
                STEP(acc[j], i, n - i);                                              \
            }                                                                        \
        }                                                                            \
        return fold(acc, W);                                                         \
    }

/* Define `static float CNN_FN(name) params`, the sum over a row of n elements, and
 * name_quad: its last four lanes, for a row of at most two vectors.
 * STEP(acc, i, k) adds the terms of the k elements from i on to the vector acc; terms
 * of the missing elements (k < CNN_VLEN) must be 0.  Accumulators stay in registers:
 * for terms of a few instructions. */
#define CNN_DEFINE_ROW_SUM(name, params, STEP)                                       \
    CNN_INLINE v_quad CNN_CAT(name, quad) params {                                   \
        if (n <= CNN_VLEN) CNN_SHORT_ROW(1, STEP, CNN_CAT(cnn_tree_sum, quad))       \
        CNN_SHORT_ROW(2, STEP, CNN_CAT(cnn_tree_sum, quad))                          \
    }                                                                                \
    static float CNN_FN(name) params {                                               \
        if (n <= CNN_VLEN) CNN_SHORT_ROW(1, STEP, cnn_tree_sum)                      \
        if (n <= 2 * CNN_VLEN) CNN_SHORT_ROW(2, STEP, cnn_tree_sum)                  \
        float total = 0.0f;                                                          \
        for (int64_t start = 0; start < n; start += CNN_CHUNK) {                     \
            const int64_t end = n - start < CNN_CHUNK ? n : start + CNN_CHUNK;       \
            int64_t i = start;                                                       \
            v_f32 acc[CNN_ACCS];                                                     \
            CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) acc[j] = v_zero();     \
            for (; i + CNN_LANES <= end; i += CNN_LANES) {                           \
                CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) {                  \
                    STEP(acc[j], i + j * CNN_VLEN, CNN_VLEN);                        \
                }                                                                    \
            }                                                                        \
            CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) {                      \
                if (i >= end) break;                                                 \
                STEP(acc[j], i, end - i);                                            \
                i += CNN_VLEN;                                                       \
            }                                                                        \
            total += cnn_tree_sum(acc, CNN_ACCS);                                    \
        }                                                                            \
        return total;                                                                \
    }

/* The same with accumulators in memory: for terms of many instructions, as exp.  Of four
 * vectors, VALUE(i, k) is worked out before ADD(acc, i, k, value) adds their terms. */
#define CNN_DEFINE_ROW_SUM_HEAVY(name, params, VALUE, ADD)                           \
    static float CNN_FN(name) params {                                               \
        if (n <= CNN_VLEN) CNN_SHORT_ROW(1, CNN_HEAVY_STEP, cnn_tree_sum)            \
        if (n <= 2 * CNN_VLEN) CNN_SHORT_ROW(2, CNN_HEAVY_STEP, cnn_tree_sum)        \
        const int width = cnn_lane_vectors(n);                                       \
        float total = 0.0f;                                                          \
        for (int64_t start = 0; start < n; start += CNN_CHUNK) {                     \
            const int64_t end = n - start < CNN_CHUNK ? n : start + CNN_CHUNK;       \
            int64_t i = start;                                                       \
            v_f32 acc[CNN_ACCS];                                                     \
            int j = 0;                                                               \
            for (; j < width; j++) acc[j] = v_zero();                                \
            for (j = 0; i + 4 * CNN_VLEN <= end; i += 4 * CNN_VLEN) {                \
                v_f32 four[4];                                                       \
                CNN_UNROLL(4) for (int h = 0; h < 4; h++) {                          \
                    four[h] = VALUE(i + h * CNN_VLEN, CNN_VLEN);                     \
                }                                                                    \
                CNN_UNROLL(4) for (int h = 0; h < 4; h++) {                          \
                    ADD(acc[j + h], i + h * CNN_VLEN, CNN_VLEN, four[h]);            \
                }                                                                    \
                j = (j + 4) & (CNN_ACCS - 1);                                        \
            }                                                                        \
            for (; i < end; i += CNN_VLEN, j++) {                                    \
                const int64_t k = end - i < CNN_VLEN ? end - i : CNN_VLEN;           \
                ADD(acc[j], i, k, VALUE(i, k));                                      \
            }                                                                        \
            total += cnn_tree_sum(acc, width);                                       \
        }                                                                            \
        return total;                                                                \
    }
#define CNN_HEAVY_STEP(acc, i, k) CNN_ADD(acc, i, k, CNN_VALUE(i, k))

#endif
