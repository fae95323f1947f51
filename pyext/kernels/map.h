/* Loops over elements.
 *
 * CNN_MAP...(name, formula) defines the kernel `name`; the formula is written on
 * vectors.  The tail runs through the same vector code on a partly filled vector, so
 * the value of an element does not depend on where it stands.
 */
#ifndef CNN_MAP_H
#define CNN_MAP_H

#include "simd.h"

/* the step on CNN_VLEN elements at a time, then once on those that are left; it sees
 * the position i and the number of elements k */
#define CNN_FOR_VECTORS(n, ...)                                                      \
    {                                                                                \
        int64_t i = 0;                                                               \
        for (; i + CNN_VLEN <= (n); i += CNN_VLEN) {                                 \
            const int64_t k = CNN_VLEN;                                              \
            __VA_ARGS__;                                                             \
        }                                                                            \
        if (i < (n)) {                                                               \
            const int64_t k = (n) - i;                                               \
            __VA_ARGS__;                                                             \
        }                                                                            \
    }

/* before a function of long formulas: gcc is to mix the instructions of several vectors,
 * not to compute one vector after the other; loops of short ones get slower by it */
#if defined(__GNUC__) && !defined(__clang__)
#define CNN_MIXED __attribute__((optimize("schedule-insns", "sched-pressure")))
#else
#define CNN_MIXED
#endif

/* y[i ...] = value, which sees i and k as above, four vectors at a time: a formula of many
 * instructions waits for itself, and another vector's can run meanwhile. */
#define CNN_FOR_VALUES(n, y, value)                                                  \
    {                                                                                \
        int64_t i = 0;                                                               \
        while (i + 4 * CNN_VLEN <= (n)) {                                            \
            v_f32 four[4];                                                           \
            CNN_UNROLL(4) for (int j = 0; j < 4; j++, i += CNN_VLEN) {               \
                const int64_t k = CNN_VLEN;                                          \
                four[j] = value;                                                     \
            }                                                                        \
            CNN_UNROLL(4) for (int j = 0; j < 4; j++) {                              \
                v_store((y) + i + (j - 4) * CNN_VLEN, four[j]);                      \
            }                                                                        \
        }                                                                            \
        for (; i < (n); i += CNN_VLEN) {                                             \
            const int64_t k = (n) - i;                                               \
            v_store_n((y) + i, value, k);                                            \
        }                                                                            \
    }

/* A call with this many elements writes past the caches, which could not hold the result
 * anyway: so its lines need not be read first. */
#define CNN_STREAM (INT64_C(1) << 21)

/* y[i ...] = value, which sees i and k as above, past the caches or not */
#define CNN_FOR_STORES(n, y, past, value)                                            \
    {                                                                                \
        int64_t i = 0;                                                               \
        if (past) {                                                                  \
            int64_t k = (int64_t)(-(uintptr_t)(y) % sizeof(v_f32) / sizeof(float));  \
            if (k > (n)) k = (n);                                                    \
            if (k > 0) v_store_n(y, value, k);                                       \
            for (i = k, k = CNN_VLEN; i + CNN_VLEN <= (n); i += CNN_VLEN) {          \
                v_stream((y) + i, value);                                            \
            }                                                                        \
        }                                                                            \
        for (; i + CNN_VLEN <= (n); i += CNN_VLEN) {                                 \
            const int64_t k = CNN_VLEN;                                              \
            v_store((y) + i, value);                                                 \
        }                                                                            \
        if (i < (n)) {                                                               \
            const int64_t k = (n) - i;                                               \
            v_store_n((y) + i, value, k);                                            \
        }                                                                            \
    }

/* the same, past the caches where y is large; `inputs` tells whether an input is y
 * itself, whose lines are in the cache. For formulas of few instructions, which wait for
 * memory. */
#define CNN_FOR_STREAM(n, y, inputs, value)                                          \
    {                                                                                \
        const int past = (n) >= CNN_STREAM && !(inputs);                             \
        CNN_FOR_STORES(n, y, past, value)                                            \
        if (past) v_stream_end();                                                    \
    }

/* unary: a formula in x; CNN_LIGHT_...: of few instructions */
#define CNN_MAP(name, ...)                                                           \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x) { return __VA_ARGS__; }               \
    CNN_MIXED static void CNN_FN(name)(int64_t n, const float *x, float *y) {        \
        CNN_FOR_VALUES(n, y, CNN_CAT(name, v)(v_load_n(x + i, k)))                   \
    }
#define CNN_LIGHT_MAP(name, ...)                                                     \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x) { return __VA_ARGS__; }               \
    static void CNN_FN(name)(int64_t n, const float *x, float *y) {                  \
        CNN_FOR_STREAM(n, y, x == y, CNN_CAT(name, v)(v_load_n(x + i, k)))           \
    }

/* unary_p: a formula in x and the parameter p */
#define CNN_LIGHT_MAP_P(name, ...)                                                   \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x, v_f32 p) { return __VA_ARGS__; }      \
    static void CNN_FN(name)(int64_t n, const float *x, float p, float *y) {         \
        const v_f32 vp = v_set(p);                                                   \
        CNN_FOR_STREAM(n, y, x == y, CNN_CAT(name, v)(v_load_n(x + i, k), vp))       \
    }
#define CNN_MAP_P(name, ...)                                                         \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x, v_f32 p) { return __VA_ARGS__; }      \
    CNN_MIXED static void CNN_FN(name)(int64_t n, const float *x, float p,           \
                                       float *y) {                                   \
        const v_f32 vp = v_set(p);                                                   \
        CNN_FOR_VALUES(n, y, CNN_CAT(name, v)(v_load_n(x + i, k), vp))               \
    }

/* grad: a formula in the cotangent ct and the saved s */
#define CNN_MAP_GRAD(name, ...)                                                      \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s) { return __VA_ARGS__; }     \
    CNN_MIXED static void CNN_FN(name)(int64_t n, const float *ct, const float *s,   \
                                       float *g) {                                   \
        CNN_FOR_VALUES(n, g,                                                         \
                       CNN_CAT(name, v)(v_load_n(ct + i, k), v_load_n(s + i, k)))    \
    }

#define CNN_LIGHT_MAP_GRAD(name, ...)                                                \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s) { return __VA_ARGS__; }     \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *s, float *g) { \
        CNN_FOR_STREAM(n, g, ct == g || s == g,                                      \
                       CNN_CAT(name, v)(v_load_n(ct + i, k), v_load_n(s + i, k)))    \
    }

/* grad_p: the same with the parameter p; all of them are light */
#define CNN_MAP_GRAD_P(name, ...)                                                    \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s, v_f32 p) {                  \
        return __VA_ARGS__;                                                          \
    }                                                                                \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *s, float p,    \
                             float *g) {                                             \
        const v_f32 vp = v_set(p);                                                   \
        CNN_FOR_STREAM(                                                              \
            n, g, ct == g || s == g,                                                 \
            CNN_CAT(name, v)(v_load_n(ct + i, k), v_load_n(s + i, k), vp))           \
    }

/* Narrow rows are worked on many at a time: where one operand has the elements of y in
 * their order and the other one a row or a column for them, this one is written out for
 * as many rows as CNN_SPREAD holds. A column of whole vectors gains only what passes by
 * the caches. */
#define CNN_NARROW 64
#define CNN_SPREAD 1024
#define CNN_WIDE 1024 /* from here on, what a row leaves of its first line is nothing */

/* how many rows of x are written out at a time, 0 for none; w is the other operand */
CNN_INLINE int64_t cnn_spread_rows(int64_t rows, int64_t cols, int64_t w_row,
                                   int64_t w_col, int64_t x_row, int64_t x_col) {
    const int is_row = x_row == 0 && x_col == 1, is_column = x_row != 0 && x_col == 0;
    const int pays = cols % CNN_VLEN != 0 || rows * cols >= CNN_STREAM;
    if (rows < 2 || cols < 2 || cols > CNN_NARROW || w_row != cols || w_col != 1 ||
        !(is_row || (is_column && pays)))
        return 0;
    const int64_t most = CNN_SPREAD / cols / 16 * 16; /* so the next one starts alike */
    return rows < most ? rows : most;
}

/* to = x for so many rows; may write two vectors more */
static void CNN_FN(spread)(int64_t rows, int64_t cols, const float *x, int64_t x_row,
                           int64_t x_col, float *to) {
    for (int64_t r = 0; r < rows && x_col; r++, to += cols) {
        CNN_FOR_VECTORS(cols, v_store(to + i, v_load_n(x + i, k)))
    }
    for (int64_t r = 0; r < rows && !x_col; r++, to += cols) {
        const v_f32 v = v_set(x[r * x_row]);
        v_store(to, v);
        v_store(to + CNN_VLEN, v);
        for (int64_t c = 2 * CNN_VLEN; c < cols; c += CNN_VLEN) v_store(to + c, v);
    }
}

/* binary: a formula in a and b */
#define CNN_MAP_BINARY(name, ...)                                                    \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 a, v_f32 b) { return __VA_ARGS__; }      \
    /* rows one after the other */                                                   \
    static void CNN_CAT(CNN_FN(name), rows)(                                         \
        int64_t rows, int64_t cols, const float *a, int64_t a_row, int64_t a_col,    \
        const float *b, int64_t b_row, int64_t b_col, float *y) {                    \
        const int past = rows * cols >= CNN_STREAM && cols >= CNN_WIDE && a != y &&  \
                         b != y;                                                     \
        for (int64_t r = 0; r < rows; r++, a += a_row, b += b_row, y += cols) {      \
            if (a_col && b_col) {                                                    \
                CNN_FOR_STORES(cols, y, past,                                        \
                               CNN_CAT(name, v)(v_load_n(a + i, k),                  \
                                                v_load_n(b + i, k)))                 \
            } else if (a_col) {                                                      \
                const v_f32 vb = v_set(*b);                                          \
                CNN_FOR_STORES(cols, y, past,                                        \
                               CNN_CAT(name, v)(v_load_n(a + i, k), vb))             \
            } else if (b_col) {                                                      \
                const v_f32 va = v_set(*a);                                          \
                CNN_FOR_STORES(cols, y, past,                                        \
                               CNN_CAT(name, v)(va, v_load_n(b + i, k)))             \
            } else {                                                                 \
                const v_f32 v = CNN_CAT(name, v)(v_set(*a), v_set(*b));              \
                CNN_FOR_STORES(cols, y, past, ((void)k, v))                          \
            }                                                                        \
        }                                                                            \
        if (past) v_stream_end();                                                    \
    }                                                                                \
    static void CNN_FN(name)(int64_t rows, int64_t cols, const float *a,             \
                             int64_t a_row, int64_t a_col, const float *b,           \
                             int64_t b_row, int64_t b_col, float *y) {               \
        int64_t some = cnn_spread_rows(rows, cols, a_row, a_col, b_row, b_col);      \
        const int of_b = some > 0;                                                   \
        if (!of_b) some = cnn_spread_rows(rows, cols, b_row, b_col, a_row, a_col);   \
        if (some == 0) {                                                             \
            CNN_CAT(CNN_FN(name), rows)(rows, cols, a, a_row, a_col, b, b_row, b_col, \
                                        y);                                          \
            return;                                                                  \
        }                                                                            \
        float spread[CNN_SPREAD + 2 * CNN_VLEN];                                     \
        const int past = rows * cols >= CNN_STREAM && a != y && b != y;              \
        for (int64_t r = 0; r < rows; r += some, a += some * a_row,                  \
                     b += some * b_row, y += some * cols) {                          \
            if (some > rows - r) some = rows - r;                                    \
            if (of_b && (r == 0 || b_row))                                           \
                CNN_FN(spread)(some, cols, b, b_row, b_col, spread);                 \
            if (!of_b && (r == 0 || a_row))                                          \
                CNN_FN(spread)(some, cols, a, a_row, a_col, spread);                 \
            const float *u = of_b ? a : spread, *w = of_b ? spread : b;              \
            CNN_FOR_STORES(some * cols, y, past,                                     \
                           CNN_CAT(name, v)(v_load_n(u + i, k), v_load_n(w + i, k))) \
        }                                                                            \
        if (past) v_stream_end();                                                    \
    }

/* loss: a formula in the target t and the output o; loss_grad: and the cotangent ct */
#define CNN_MAP_LOSS(name, ...)                                                      \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 t, v_f32 o) { return __VA_ARGS__; }      \
    CNN_MIXED static void CNN_FN(name)(int64_t n, const float *t, const float *o,    \
                                       float *y) {                                   \
        CNN_FOR_VALUES(n, y,                                                         \
                       CNN_CAT(name, v)(v_load_n(t + i, k), v_load_n(o + i, k)))     \
    }
#define CNN_MAP_LOSS_GRAD(name, ...)                                                 \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 t, v_f32 o) {                  \
        return __VA_ARGS__;                                                          \
    }                                                                                \
    CNN_MIXED static void CNN_FN(name)(int64_t n, const float *ct, const float *t,   \
                                       const float *o, float *g) {                   \
        CNN_FOR_VALUES(n, g,                                                         \
                       CNN_CAT(name, v)(v_load_n(ct + i, k), v_load_n(t + i, k),     \
                                        v_load_n(o + i, k)))                         \
    }

/* loss_with_grad: the kernels `name` and `grad_name` in one pass; the compiler finds
 * what their formulas have in common */
#define CNN_MAP_LOSS_WITH_GRAD(both_name, name, grad_name)                           \
    static void CNN_FN(both_name)(int64_t n, const float *ct, const float *t,        \
                                  const float *o, float *y, float *g) {              \
        CNN_FOR_VECTORS(n, {                                                         \
            const v_f32 vt = v_load_n(t + i, k), vo = v_load_n(o + i, k);            \
            v_store_n(y + i, CNN_CAT(name, v)(vt, vo), k);                           \
            v_store_n(g + i, CNN_CAT(grad_name, v)(v_load_n(ct + i, k), vt, vo), k); \
        })                                                                           \
    }

#endif
