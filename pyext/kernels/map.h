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

/* A call with this many elements writes past the caches, which could not hold the result
 * anyway: so its lines need not be read first. */
#define CNN_STREAM (INT64_C(1) << 21)

/* y[i ...] = value, which sees i and k as above; `inputs` tells whether an input is y
 * itself, whose lines are in the cache. For formulas of few instructions, which wait for
 * memory. */
#define CNN_FOR_STREAM(n, y, inputs, value)                                          \
    {                                                                                \
        int64_t i = 0;                                                               \
        if ((n) >= CNN_STREAM && !(inputs)) {                                        \
            int64_t k = (int64_t)(-(uintptr_t)(y) % sizeof(v_f32) / sizeof(float));  \
            if (k > 0) v_store_n(y, value, k);                                       \
            for (i = k, k = CNN_VLEN; i + CNN_VLEN <= (n); i += CNN_VLEN) {          \
                v_stream((y) + i, value);                                            \
            }                                                                        \
            v_stream_end();                                                          \
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

/* unary: a formula in x; CNN_LIGHT_...: of few instructions */
#define CNN_MAP(name, ...)                                                           \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x) { return __VA_ARGS__; }               \
    static void CNN_FN(name)(int64_t n, const float *x, float *y) {                  \
        CNN_FOR_VECTORS(n, v_store_n(y + i, CNN_CAT(name, v)(v_load_n(x + i, k)), k)) \
    }
#define CNN_LIGHT_MAP(name, ...)                                                     \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x) { return __VA_ARGS__; }               \
    static void CNN_FN(name)(int64_t n, const float *x, float *y) {                  \
        CNN_FOR_STREAM(n, y, x == y, CNN_CAT(name, v)(v_load_n(x + i, k)))           \
    }

/* unary_p: a formula in x and the parameter p */
#define CNN_MAP_P(name, ...)                                                         \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 x, v_f32 p) { return __VA_ARGS__; }      \
    static void CNN_FN(name)(int64_t n, const float *x, float p, float *y) {         \
        const v_f32 vp = v_set(p);                                                   \
        CNN_FOR_VECTORS(                                                             \
            n, v_store_n(y + i, CNN_CAT(name, v)(v_load_n(x + i, k), vp), k))        \
    }

/* grad: a formula in the cotangent ct and the saved s */
#define CNN_MAP_GRAD(name, ...)                                                      \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s) { return __VA_ARGS__; }     \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *s, float *g) { \
        CNN_FOR_VECTORS(n, v_store_n(g + i,                                          \
                                     CNN_CAT(name, v)(v_load_n(ct + i, k),           \
                                                      v_load_n(s + i, k)),           \
                                     k))                                             \
    }

#define CNN_LIGHT_MAP_GRAD(name, ...)                                                \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s) { return __VA_ARGS__; }     \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *s, float *g) { \
        CNN_FOR_STREAM(n, g, ct == g || s == g,                                      \
                       CNN_CAT(name, v)(v_load_n(ct + i, k), v_load_n(s + i, k)))    \
    }

/* grad_p: the same with the parameter p */
#define CNN_MAP_GRAD_P(name, ...)                                                    \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 s, v_f32 p) {                  \
        return __VA_ARGS__;                                                          \
    }                                                                                \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *s, float p,    \
                             float *g) {                                             \
        const v_f32 vp = v_set(p);                                                   \
        CNN_FOR_VECTORS(n, v_store_n(g + i,                                          \
                                     CNN_CAT(name, v)(v_load_n(ct + i, k),           \
                                                      v_load_n(s + i, k), vp),       \
                                     k))                                             \
    }

/* binary: a formula in a and b */
#define CNN_MAP_BINARY(name, ...)                                                    \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 a, v_f32 b) { return __VA_ARGS__; }      \
    static void CNN_FN(name)(int64_t rows, int64_t cols, const float *a,             \
                             int64_t a_row, int64_t a_col, const float *b,           \
                             int64_t b_row, int64_t b_col, float *y) {               \
        for (int64_t r = 0; r < rows; r++, a += a_row, b += b_row, y += cols) {      \
            if (a_col && b_col) {                                                    \
                CNN_FOR_STREAM(cols, y, a == y || b == y,                            \
                               CNN_CAT(name, v)(v_load_n(a + i, k),                  \
                                                v_load_n(b + i, k)))                 \
            } else if (a_col) {                                                      \
                const v_f32 vb = v_set(*b);                                          \
                CNN_FOR_STREAM(cols, y, a == y,                                      \
                               CNN_CAT(name, v)(v_load_n(a + i, k), vb))             \
            } else if (b_col) {                                                      \
                const v_f32 va = v_set(*a);                                          \
                CNN_FOR_STREAM(cols, y, b == y,                                      \
                               CNN_CAT(name, v)(va, v_load_n(b + i, k)))             \
            } else {                                                                 \
                const v_f32 v = CNN_CAT(name, v)(v_set(*a), v_set(*b));              \
                CNN_FOR_VECTORS(cols, v_store_n(y + i, v, k))                        \
            }                                                                        \
        }                                                                            \
    }

/* loss: a formula in the target t and the output o; loss_grad: and the cotangent ct */
#define CNN_MAP_LOSS(name, ...)                                                      \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 t, v_f32 o) { return __VA_ARGS__; }      \
    static void CNN_FN(name)(int64_t n, const float *t, const float *o, float *y) {  \
        CNN_FOR_VECTORS(n, v_store_n(y + i,                                          \
                                     CNN_CAT(name, v)(v_load_n(t + i, k),            \
                                                      v_load_n(o + i, k)),           \
                                     k))                                             \
    }
#define CNN_MAP_LOSS_GRAD(name, ...)                                                 \
    CNN_INLINE v_f32 CNN_CAT(name, v)(v_f32 ct, v_f32 t, v_f32 o) {                  \
        return __VA_ARGS__;                                                          \
    }                                                                                \
    static void CNN_FN(name)(int64_t n, const float *ct, const float *t,             \
                             const float *o, float *g) {                             \
        CNN_FOR_VECTORS(n, v_store_n(g + i,                                          \
                                     CNN_CAT(name, v)(v_load_n(ct + i, k),           \
                                                      v_load_n(t + i, k),            \
                                                      v_load_n(o + i, k)),           \
                                     k))                                             \
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
