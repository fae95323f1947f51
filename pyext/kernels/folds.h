/* Folds and running folds along the middle axis of x (outer, n, inner), of any type.
 * Elements are taken one after the other; whole numbers have no other result. */
#ifndef CNN_FOLDS_H
#define CNN_FOLDS_H

#include "typed.h"

typedef struct {
    cnn_type type;
    cnn_typed_op op; /* add, multiply, maximum, minimum, logical and, logical or */
    int64_t n;
    int64_t inner;
    const char *x;
    char *y; /* (outer, inner), or (outer, n, inner) for a running fold */
} cnn_fold_task;

/* y[j] = y[j] op x[j]; rows of one element are accumulated in a register. */
#define CNN_FOLD_ROWS(T, expression)                                                 \
    do {                                                                             \
        for (int64_t o = begin; o < end; o++, x += n * inner, y += inner) {          \
            if (inner == 1) {                                                        \
                T a = x[0];                                                          \
                for (int64_t i = 1; i < n; i++) {                                    \
                    const T b = x[i];                                                \
                    a = (T)(expression);                                             \
                }                                                                    \
                y[0] = a;                                                            \
                continue;                                                            \
            }                                                                        \
            memcpy(y, x, (size_t)inner * sizeof(T));                                 \
            for (int64_t i = 1; i < n; i++)                                          \
                for (int64_t j = 0; j < inner; j++) {                                \
                    const T a = y[j], b = x[i * inner + j];                          \
                    y[j] = (T)(expression);                                          \
                }                                                                    \
        }                                                                            \
        return;                                                                      \
    } while (0)

#define CNN_RUN_ROWS(T, expression)                                                  \
    do {                                                                             \
        for (int64_t o = begin; o < end; o++, x += n * inner, y += n * inner) {      \
            memcpy(y, x, (size_t)inner * sizeof(T));                                 \
            for (int64_t k = inner; k < n * inner; k++) {                            \
                const T a = y[k - inner], b = x[k];                                  \
                y[k] = (T)(expression);                                              \
            }                                                                        \
        }                                                                            \
        return;                                                                      \
    } while (0)

/* U is unsigned, so that overflow wraps as in NumPy. */
#define CNN_FOLDS_OF(name, T, U)                                                     \
    static inline void cnn_fold_##name(const cnn_fold_task *t, int64_t begin,        \
                                       int64_t end) {                                \
        const int64_t n = t->n, inner = t->inner;                                    \
        const T *x = (const T *)t->x + begin * n * inner;                            \
        T *y = (T *)t->y + begin * inner;                                            \
        switch (t->op) {                                                             \
        case CNN_OP_ADD:                                                             \
            CNN_FOLD_ROWS(T, (U)a + (U)b);                                           \
        case CNN_OP_MULTIPLY:                                                        \
            CNN_FOLD_ROWS(T, (U)a * (U)b);                                           \
        case CNN_OP_MAXIMUM:                                                         \
            CNN_FOLD_ROWS(T, a > b ? a : b);                                         \
        case CNN_OP_MINIMUM:                                                         \
            CNN_FOLD_ROWS(T, a < b ? a : b);                                         \
        case CNN_OP_LOGICAL_AND:                                                     \
            CNN_FOLD_ROWS(T, (T)(a & b));                                            \
        case CNN_OP_LOGICAL_OR:                                                      \
            CNN_FOLD_ROWS(T, (T)(a | b));                                            \
        default:                                                                     \
            return;                                                                  \
        }                                                                            \
    }
CNN_FOLDS_OF(u8, uint8_t, uint8_t)
CNN_FOLDS_OF(i32, int32_t, uint32_t)
CNN_FOLDS_OF(u32, uint32_t, uint32_t)
CNN_FOLDS_OF(i64, int64_t, uint64_t)

#define CNN_RUNS_OF(name, T, U)                                                      \
    static inline void cnn_run_##name(const cnn_fold_task *t, int64_t begin,         \
                                      int64_t end) {                                 \
        const int64_t n = t->n, inner = t->inner;                                    \
        const T *x = (const T *)t->x + begin * n * inner;                            \
        T *y = (T *)t->y + begin * n * inner;                                        \
        if (t->op == CNN_OP_ADD)                                                     \
            CNN_RUN_ROWS(T, (U)a + (U)b);                                            \
        CNN_RUN_ROWS(T, (U)a * (U)b);                                                \
    }
CNN_RUNS_OF(u8, uint8_t, uint8_t)
CNN_RUNS_OF(i32, int32_t, uint32_t)
CNN_RUNS_OF(u32, uint32_t, uint32_t)
CNN_RUNS_OF(i64, int64_t, uint64_t)
CNN_RUNS_OF(f32, float, float)
CNN_RUNS_OF(f64, double, double)

/* y = fold of x, for the steps begin .. end - 1 of the outer axis; no floats */
static inline void cnn_fold_part(void *task, int64_t begin, int64_t end) {
    const cnn_fold_task *t = task;
    switch (t->type) {
    case CNN_BOOL:
    case CNN_U8:
        cnn_fold_u8(t, begin, end);
        return;
    case CNN_I32:
        cnn_fold_i32(t, begin, end);
        return;
    case CNN_U32:
        cnn_fold_u32(t, begin, end);
        return;
    case CNN_I64:
        cnn_fold_i64(t, begin, end);
        return;
    default:
        return;
    }
}

/* y = running fold of x, for the steps begin .. end - 1 of the outer axis */
static inline void cnn_run_part(void *task, int64_t begin, int64_t end) {
    const cnn_fold_task *t = task;
    switch (t->type) {
    case CNN_U8:
        cnn_run_u8(t, begin, end);
        return;
    case CNN_I32:
        cnn_run_i32(t, begin, end);
        return;
    case CNN_U32:
        cnn_run_u32(t, begin, end);
        return;
    case CNN_I64:
        cnn_run_i64(t, begin, end);
        return;
    case CNN_F32:
        cnn_run_f32(t, begin, end);
        return;
    case CNN_F64:
        cnn_run_f64(t, begin, end);
        return;
    default:
        return;
    }
}

#endif
