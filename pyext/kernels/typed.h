/* Plain loops over any of the library's types: conversions, integer arithmetic,
 * comparisons, selection. They serve the small odd jobs of a program (counters, labels,
 * masks); float32 work has kernels of its own. */
#ifndef CNN_TYPED_H
#define CNN_TYPED_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef enum {
    CNN_BOOL,
    CNN_U8,
    CNN_I8,
    CNN_U16,
    CNN_I16,
    CNN_U32,
    CNN_I32,
    CNN_U64,
    CNN_I64,
    CNN_F32,
    CNN_F64,
    CNN_TYPE_COUNT
} cnn_type;

#define CNN_TYPES(X)                                                                 \
    X(CNN_U8, uint8_t)                                                               \
    X(CNN_I8, int8_t)                                                                \
    X(CNN_U16, uint16_t)                                                             \
    X(CNN_I16, int16_t)                                                              \
    X(CNN_U32, uint32_t)                                                             \
    X(CNN_I32, int32_t)                                                              \
    X(CNN_U64, uint64_t)                                                             \
    X(CNN_I64, int64_t)                                                              \
    X(CNN_F32, float)                                                                \
    X(CNN_F64, double)

static inline int64_t cnn_type_size(cnn_type type) {
    static const int64_t sizes[CNN_TYPE_COUNT] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return sizes[type];
}

/* ---- conversion: y[i] = (type)x[i], as NumPy's astype ------------------------- */

#define CNN_CAST_TO(type, source, target)                                            \
    case type:                                                                       \
        for (int64_t i = 0; i < n; i++)                                              \
            ((target *)y)[i] = (target)((const source *)x)[i];                       \
        return;
#define CNN_CAST_ALL(type, target) CNN_CAST_TO(type, CNN_SOURCE, target)
#define CNN_CAST_BOOL                                                                \
    case CNN_BOOL:                                                                   \
        for (int64_t i = 0; i < n; i++)                                              \
            ((uint8_t *)y)[i] = ((const CNN_SOURCE *)x)[i] != 0;                     \
        return;
#define CNN_CAST_FROM(name)                                                          \
    static void cnn_cast_##name(cnn_type to, int64_t n, const void *x, void *y) {    \
        switch (to) {                                                                \
            CNN_CAST_BOOL                                                            \
            CNN_TYPES(CNN_CAST_ALL)                                                  \
        default:                                                                     \
            return;                                                                  \
        }                                                                            \
    }

#define CNN_SOURCE uint8_t
CNN_CAST_FROM(u8)
#undef CNN_SOURCE
#define CNN_SOURCE int8_t
CNN_CAST_FROM(i8)
#undef CNN_SOURCE
#define CNN_SOURCE uint16_t
CNN_CAST_FROM(u16)
#undef CNN_SOURCE
#define CNN_SOURCE int16_t
CNN_CAST_FROM(i16)
#undef CNN_SOURCE
#define CNN_SOURCE uint32_t
CNN_CAST_FROM(u32)
#undef CNN_SOURCE
#define CNN_SOURCE int32_t
CNN_CAST_FROM(i32)
#undef CNN_SOURCE
#define CNN_SOURCE uint64_t
CNN_CAST_FROM(u64)
#undef CNN_SOURCE
#define CNN_SOURCE int64_t
CNN_CAST_FROM(i64)
#undef CNN_SOURCE
#define CNN_SOURCE float
CNN_CAST_FROM(f32)
#undef CNN_SOURCE
#define CNN_SOURCE double
CNN_CAST_FROM(f64)
#undef CNN_SOURCE

static inline void cnn_cast(cnn_type from, cnn_type to, int64_t n, const void *x,
                            void *y) {
    if (from == to) {
        memcpy(y, x, (size_t)(n * cnn_type_size(from)));
        return;
    }
    switch (from) {
    case CNN_BOOL:
    case CNN_U8:
        cnn_cast_u8(to, n, x, y);
        return;
    case CNN_I8:
        cnn_cast_i8(to, n, x, y);
        return;
    case CNN_U16:
        cnn_cast_u16(to, n, x, y);
        return;
    case CNN_I16:
        cnn_cast_i16(to, n, x, y);
        return;
    case CNN_U32:
        cnn_cast_u32(to, n, x, y);
        return;
    case CNN_I32:
        cnn_cast_i32(to, n, x, y);
        return;
    case CNN_U64:
        cnn_cast_u64(to, n, x, y);
        return;
    case CNN_I64:
        cnn_cast_i64(to, n, x, y);
        return;
    case CNN_F32:
        cnn_cast_f32(to, n, x, y);
        return;
    case CNN_F64:
        cnn_cast_f64(to, n, x, y);
        return;
    case CNN_TYPE_COUNT:
        return;
    }
}

/* ---- y[i] = a[i * a_step] op b[i * b_step] -------------------------------------- */

typedef enum {
    CNN_OP_ADD,
    CNN_OP_SUBTRACT,
    CNN_OP_MULTIPLY,
    CNN_OP_EQUAL,
    CNN_OP_NOT_EQUAL,
    CNN_OP_LESS,
    CNN_OP_LESS_EQUAL,
    CNN_OP_GREATER,
    CNN_OP_GREATER_EQUAL,
    CNN_OP_LOGICAL_AND,
    CNN_OP_LOGICAL_OR,
    CNN_OP_LOGICAL_XOR,
    CNN_OP_MAXIMUM,
    CNN_OP_MINIMUM,
    CNN_OP_FLOOR_DIVIDE,
    CNN_OP_MOD,
    CNN_OP_DIVIDE,
    /* of a alone: */
    CNN_OP_SIGN,
    CNN_OP_NEGATIVE,
    CNN_OP_ABSOLUTE,
    CNN_OP_LOGICAL_NOT,
    CNN_OP_ISNAN,
    CNN_OP_ISINF,
    CNN_OP_ISFINITE,
    CNN_OP_FLOOR,
    CNN_OP_CEIL,
    CNN_OP_ROUND,
    CNN_OP_SQRT,
    CNN_OP_RSQRT,
    CNN_OP_RECIPROCAL
} cnn_typed_op;

#define CNN_LOOP(target, expression)                                                 \
    do {                                                                             \
        for (int64_t i = 0; i < n; i++)                                              \
            ((target *)y)[i] = (target)(expression);                                 \
        return;                                                                      \
    } while (0)
/* Quotients round towards minus infinity; as in NumPy, those by 0 are 0 and the one
 * that overflows wraps. */
#define CNN_QUOTIENTS(name, T, U)                                                    \
    static inline T cnn_floor_##name(T a, T b) {                                     \
        if (b == 0)                                                                  \
            return 0;                                                                \
        if (b == (T)-1 && (T)-1 < 0)                                                 \
            return (T)((U)0 - (U)a);                                                 \
        return (T)(a / b - ((a % b != 0) & ((a < 0) != (b < 0))));                   \
    }                                                                                \
    static inline void cnn_special_##name(cnn_typed_op op, int64_t n, const T *a,    \
                                          int64_t sa, const T *b, int64_t sb,        \
                                          void *y) {                                 \
        if (op == CNN_OP_FLOOR_DIVIDE)                                               \
            CNN_LOOP(T, cnn_floor_##name(a[i * sa], b[i * sb]));                     \
        if (op == CNN_OP_MOD)                                                        \
            CNN_LOOP(T, b[i * sb] == 0 ? 0                                           \
                                       : (U)a[i * sa] -                              \
                                             (U)cnn_floor_##name(a[i * sa],          \
                                                                 b[i * sb]) *        \
                                                 (U)b[i * sb]);                      \
    }
CNN_QUOTIENTS(u8, uint8_t, uint8_t)
CNN_QUOTIENTS(i32, int32_t, uint32_t)
CNN_QUOTIENTS(u32, uint32_t, uint32_t)
CNN_QUOTIENTS(i64, int64_t, uint64_t)

/* Floored quotient and remainder as NumPy computes them; the remainder has the sign of
 * b, also where it is zero. */
#define CNN_FLOORED(name, T, fmod, floor, copysign)                                  \
    static inline T cnn_remainder_##name(T a, T b, T *quotient) {                    \
        T rest = fmod(a, b), whole;                                                  \
        if (b == 0) {                                                                \
            *quotient = a / b;                                                       \
            return rest;                                                             \
        }                                                                            \
        *quotient = (a - rest) / b;                                                  \
        if (rest == 0)                                                               \
            rest = copysign(0, b);                                                   \
        else if ((b < 0) != (rest < 0)) {                                            \
            rest += b;                                                               \
            *quotient -= 1;                                                          \
        }                                                                            \
        if (*quotient == 0)                                                          \
            *quotient = copysign(0, a / b);                                          \
        else {                                                                       \
            whole = floor(*quotient);                                                \
            *quotient = *quotient - whole > (T)0.5 ? whole + 1 : whole;              \
        }                                                                            \
        return rest;                                                                 \
    }                                                                                \
    static inline T cnn_floored_##name(T a, T b) {                                   \
        T quotient;                                                                  \
        cnn_remainder_##name(a, b, &quotient);                                       \
        return quotient;                                                             \
    }
CNN_FLOORED(f32, float, fmodf, floorf, copysignf)
CNN_FLOORED(f64, double, fmod, floor, copysign)

/* What only floats have. */
#define CNN_SPECIAL_FLOATS(name, T, fabs, floor, ceil, rint)                         \
    case CNN_OP_FLOOR_DIVIDE:                                                        \
        CNN_LOOP(T, cnn_floored_##name(a[i * sa], b[i * sb]));                       \
    case CNN_OP_MOD: {                                                               \
        T quotient;                                                                  \
        CNN_LOOP(T, cnn_remainder_##name(a[i * sa], b[i * sb], &quotient));          \
    }                                                                                \
    case CNN_OP_ISNAN:                                                               \
        CNN_LOOP(uint8_t, a[i * sa] != a[i * sa]);                                   \
    case CNN_OP_ISINF:                                                               \
        CNN_LOOP(uint8_t, fabs(a[i * sa]) == INFINITY);                              \
    case CNN_OP_ISFINITE:                                                            \
        CNN_LOOP(uint8_t, fabs(a[i * sa]) < INFINITY);                               \
    case CNN_OP_FLOOR:                                                               \
        CNN_LOOP(T, floor(a[i * sa]));                                               \
    case CNN_OP_CEIL:                                                                \
        CNN_LOOP(T, ceil(a[i * sa]));                                                \
    case CNN_OP_ROUND:                                                               \
        CNN_LOOP(T, rint(a[i * sa]));

static inline void cnn_special_f32(cnn_typed_op op, int64_t n, const float *a,
                                   int64_t sa, const float *b, int64_t sb, void *y) {
    switch (op) {
        CNN_SPECIAL_FLOATS(f32, float, fabsf, floorf, ceilf, rintf)
    default:
        return;
    }
}

/* What has kernels of its own in float32, too. */
static inline void cnn_special_f64(cnn_typed_op op, int64_t n, const double *a,
                                   int64_t sa, const double *b, int64_t sb, void *y) {
    switch (op) {
        CNN_SPECIAL_FLOATS(f64, double, fabs, floor, ceil, rint)
    case CNN_OP_ABSOLUTE:
        CNN_LOOP(double, fabs(a[i * sa]));
    case CNN_OP_DIVIDE:
        CNN_LOOP(double, a[i * sa] / b[i * sb]);
    case CNN_OP_SQRT:
        CNN_LOOP(double, sqrt(a[i * sa]));
    case CNN_OP_RSQRT:
        CNN_LOOP(double, 1.0 / sqrt(a[i * sa]));
    case CNN_OP_RECIPROCAL:
        CNN_LOOP(double, 1.0 / a[i * sa]);
    default:
        return;
    }
}

/* Unsigned, so that overflow wraps as in NumPy. */
#define CNN_ARITHMETIC(name, T, U)                                                   \
    static inline void cnn_arithmetic_##name(cnn_typed_op op, int64_t n, const T *a, \
                                             int64_t sa, const T *b, int64_t sb,     \
                                             void *y) {                              \
        switch (op) {                                                                \
        case CNN_OP_ADD:                                                             \
            CNN_LOOP(T, (U)a[i * sa] + (U)b[i * sb]);                                \
        case CNN_OP_SUBTRACT:                                                        \
            CNN_LOOP(T, (U)a[i * sa] - (U)b[i * sb]);                                \
        case CNN_OP_MULTIPLY:                                                        \
            CNN_LOOP(T, (U)a[i * sa] * (U)b[i * sb]);                                \
        case CNN_OP_EQUAL:                                                           \
            CNN_LOOP(uint8_t, a[i * sa] == b[i * sb]);                               \
        case CNN_OP_NOT_EQUAL:                                                       \
            CNN_LOOP(uint8_t, a[i * sa] != b[i * sb]);                               \
        case CNN_OP_LESS:                                                            \
            CNN_LOOP(uint8_t, a[i * sa] < b[i * sb]);                                \
        case CNN_OP_LESS_EQUAL:                                                      \
            CNN_LOOP(uint8_t, a[i * sa] <= b[i * sb]);                               \
        case CNN_OP_GREATER:                                                         \
            CNN_LOOP(uint8_t, a[i * sa] > b[i * sb]);                                \
        case CNN_OP_GREATER_EQUAL:                                                   \
            CNN_LOOP(uint8_t, a[i * sa] >= b[i * sb]);                               \
        case CNN_OP_LOGICAL_AND:                                                     \
            CNN_LOOP(uint8_t, a[i * sa] && b[i * sb]);                               \
        case CNN_OP_LOGICAL_OR:                                                      \
            CNN_LOOP(uint8_t, a[i * sa] || b[i * sb]);                               \
        case CNN_OP_LOGICAL_XOR:                                                     \
            CNN_LOOP(uint8_t, !a[i * sa] != !b[i * sb]);                             \
        case CNN_OP_LOGICAL_NOT:                                                     \
            CNN_LOOP(uint8_t, !a[i * sa]);                                           \
        case CNN_OP_SIGN:                                                            \
            CNN_LOOP(T, a[i * sa] > 0   ? 1                                          \
                        : a[i * sa] < 0 ? (T)-1                                      \
                                        : a[i * sa] == 0 ? 0 : a[i * sa]);           \
        case CNN_OP_MAXIMUM:                                                         \
            CNN_LOOP(T, a[i * sa] > b[i * sb] ? a[i * sa] : b[i * sb]);              \
        case CNN_OP_MINIMUM:                                                         \
            CNN_LOOP(T, a[i * sa] < b[i * sb] ? a[i * sa] : b[i * sb]);              \
        case CNN_OP_NEGATIVE:                                                        \
            CNN_LOOP(T, -(U)a[i * sa]);                                              \
        case CNN_OP_ABSOLUTE:                                                        \
            CNN_LOOP(T, a[i * sa] < 0 ? (U)0 - (U)a[i * sa] : (U)a[i * sa]);         \
        default:                                                                     \
            cnn_special_##name(op, n, a, sa, b, sb, y);                              \
        }                                                                            \
    }
CNN_ARITHMETIC(u8, uint8_t, uint8_t)
CNN_ARITHMETIC(i32, int32_t, uint32_t)
CNN_ARITHMETIC(u32, uint32_t, uint32_t)
CNN_ARITHMETIC(i64, int64_t, uint64_t)
CNN_ARITHMETIC(f32, float, float)
CNN_ARITHMETIC(f64, double, double)

static inline void cnn_typed_binary(cnn_type type, cnn_typed_op op, int64_t n,
                                    const void *a, int64_t sa, const void *b,
                                    int64_t sb, void *y) {
    switch (type) {
    case CNN_BOOL:
    case CNN_U8:
        cnn_arithmetic_u8(op, n, a, sa, b, sb, y);
        return;
    case CNN_I32:
        cnn_arithmetic_i32(op, n, a, sa, b, sb, y);
        return;
    case CNN_U32:
        cnn_arithmetic_u32(op, n, a, sa, b, sb, y);
        return;
    case CNN_I64:
        cnn_arithmetic_i64(op, n, a, sa, b, sb, y);
        return;
    case CNN_F32:
        cnn_arithmetic_f32(op, n, a, sa, b, sb, y);
        return;
    case CNN_F64:
        if (op == CNN_OP_ABSOLUTE) /* of zeros and NaN, too */
            cnn_special_f64(op, n, a, sa, b, sb, y);
        else
            cnn_arithmetic_f64(op, n, a, sa, b, sb, y);
        return;
    default:
        return;
    }
}

/* y[i] = c[i * sc] ? a[i * sa] : b[i * sb], for elements of `size` bytes */
static inline void cnn_where(int64_t size, int64_t n, const uint8_t *c, int64_t sc,
                             const char *a, int64_t sa, const char *b, int64_t sb,
                             char *y) {
    if (size == 4) {
        const uint32_t *p = (const uint32_t *)a, *q = (const uint32_t *)b;
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)y)[i] = c[i * sc] ? p[i * sa] : q[i * sb];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * size, c[i * sc] ? a + i * sa * size : b + i * sb * size,
               (size_t)size);
}

/* y (rows, classes) = 1 at each row's label, 0 elsewhere */
static inline void cnn_one_hot(cnn_type type, int64_t rows, int64_t classes,
                               const int64_t *labels, char *y) {
    const int64_t size = cnn_type_size(type);
    const uint8_t one = 1;
    memset(y, 0, (size_t)(rows * classes * size));
    for (int64_t r = 0; r < rows; r++)
        if (labels[r] >= 0 && labels[r] < classes)
            cnn_cast(CNN_U8, type, 1, &one, y + (r * classes + labels[r]) * size);
}

#endif
