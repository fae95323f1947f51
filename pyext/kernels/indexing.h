/* Rows picked by number, and rows added where they were picked. */
#ifndef CNN_INDEXING_H
#define CNN_INDEXING_H

#include <stdint.h>
#include <string.h>

#include "copy.h"

#define CNN_ROWS_AHEAD 8 /* how early a row is asked for, which may lie anywhere */
#define CNN_INDEX_GRAIN 16 /* columns, so that threads do not share cache lines */

/* x (outer, n, row) and y (outer, count, row), where y[:, i] = x[:, indices[i]]; or, where
 * every element has an index of its own, y[o, i, c] = x[o, indices[o, i, c], c] */
typedef struct {
    int64_t outer;
    int64_t n;
    int64_t count;
    int64_t row;  /* bytes in y[:, i] = ..., elements otherwise */
    int64_t size; /* bytes of an element, for elements one by one */
    int64_t all;  /* number of indices */
    int narrow;   /* whether they have 32 bits instead of 64 */
    const void *indices;
    const char *source;
    char *to;
} cnn_index_task;

static inline int64_t cnn_index(const cnn_index_task *t, int64_t i) {
    return t->narrow ? ((const int32_t *)t->indices)[i]
                     : ((const int64_t *)t->indices)[i];
}

/* Tell whether every index is in -n .. n - 1. */
static inline int cnn_indices_fit(const cnn_index_task *t) {
    const uint64_t n = (uint64_t)t->n;
    uint64_t wrong = 0;
    for (int64_t i = 0; i < t->all; i++)
        wrong |= (uint64_t)cnn_index(t, i) + n >= 2 * n;
    return !wrong;
}

static inline int64_t cnn_place(const cnn_index_task *t, int64_t i) {
    const int64_t index = cnn_index(t, i);
    return index < 0 ? index + t->n : index;
}

#define CNN_TAKE_CASE(bytes, T)                                                      \
    case bytes:                                                                      \
        *(T *)y = *(const T *)x;                                                     \
        break

/* y[:, i] = x[:, indices[i]] for the rows begin .. end - 1 of y (outer * count) */
static inline void cnn_take_part(void *task, int64_t begin, int64_t end) {
    const cnn_index_task *t = task;
    for (int64_t k = begin; k < end; k++) {
        const int64_t o = k / t->count, i = k % t->count;
        const char *x = t->source + (o * t->n + cnn_place(t, i)) * t->row;
        char *y = t->to + k * t->row;
        if (i + CNN_ROWS_AHEAD < t->count) {
            const int64_t place = o * t->n + cnn_place(t, i + CNN_ROWS_AHEAD);
            cnn_prefetch(t->source + place * t->row, t->row);
        }
        switch (t->row) {
            CNN_TAKE_CASE(1, uint8_t);
            CNN_TAKE_CASE(2, uint16_t);
            CNN_TAKE_CASE(4, uint32_t);
            CNN_TAKE_CASE(8, uint64_t);
        default:
            memcpy(y, x, (size_t)t->row);
        }
    }
}

/* x = 0 and then x[:, indices[i]] += y[:, i], one i after the other, for the columns
 * begin .. end - 1 of all outer * row */
#define CNN_ADD_ROWS(name, T)                                                        \
    static inline void cnn_add_rows_##name(void *task, int64_t begin, int64_t end) { \
        const cnn_index_task *t = task;                                              \
        for (int64_t o = begin / t->row; o * t->row < end; o++) {                    \
            const int64_t first = begin - o * t->row > 0 ? begin - o * t->row : 0;   \
            const int64_t last = end - o * t->row < t->row ? end - o * t->row        \
                                                           : t->row;                 \
            const T *y = (const T *)t->source + o * t->count * t->row;               \
            T *x = (T *)t->to + o * t->n * t->row;                                   \
            const int64_t whole = last - first == t->row ? t->n : 1;                 \
            for (int64_t i = 0; i < t->n; i += whole)                                \
                memset(x + i * t->row + first, 0,                                    \
                       (size_t)(whole * (last - first)) * sizeof(T));                \
            for (int64_t i = 0; i < t->count; i++) {                                 \
                T *to = x + cnn_place(t, i) * t->row;                                \
                if (i + CNN_ROWS_AHEAD < t->count)                                   \
                    cnn_prefetch((const char *)(x + first +                          \
                                                cnn_place(t, i + CNN_ROWS_AHEAD) *   \
                                                    t->row),                         \
                                 (last - first) * (int64_t)sizeof(T));               \
                for (int64_t c = first; c < last; c++)                               \
                    to[c] += y[i * t->row + c];                                      \
            }                                                                        \
        }                                                                            \
    }
CNN_ADD_ROWS(f32, float)
CNN_ADD_ROWS(f64, double)

#define CNN_ALONG(T)                                                                 \
    do {                                                                             \
        const T *x = (const T *)t->source + o * t->n * t->row;                       \
        T *y = (T *)t->to + o * t->count * t->row;                                   \
        for (int64_t i = 0; i < t->count; i++)                                       \
            for (int64_t c = 0; c < t->row; c++)                                     \
                y[i * t->row + c] =                                                  \
                    x[cnn_place(t, (o * t->count + i) * t->row + c) * t->row + c];   \
    } while (0)

/* y[o, i, c] = x[o, indices[o, i, c], c] for o = begin .. end - 1 */
static inline void cnn_along_part(void *task, int64_t begin, int64_t end) {
    const cnn_index_task *t = task;
    for (int64_t o = begin; o < end; o++)
        switch (t->size) {
        case 1:
            CNN_ALONG(uint8_t);
            break;
        case 2:
            CNN_ALONG(uint16_t);
            break;
        case 4:
            CNN_ALONG(uint32_t);
            break;
        case 8:
            CNN_ALONG(uint64_t);
            break;
        }
}

/* x = 0 and then x[o, indices[o, i, c], c] += y[o, i, c], one i after the other */
#define CNN_ADD_ALONG(name, T)                                                       \
    static inline void cnn_add_along_##name(void *task, int64_t begin,               \
                                            int64_t end) {                           \
        const cnn_index_task *t = task;                                              \
        for (int64_t o = begin; o < end; o++) {                                      \
            const T *y = (const T *)t->source + o * t->count * t->row;               \
            T *x = (T *)t->to + o * t->n * t->row;                                   \
            memset(x, 0, (size_t)(t->n * t->row) * sizeof(T));                       \
            for (int64_t k = 0; k < t->count * t->row; k++)                          \
                x[cnn_place(t, o * t->count * t->row + k) * t->row + k % t->row] +=  \
                    y[k];                                                            \
        }                                                                            \
    }
CNN_ADD_ALONG(f32, float)
CNN_ADD_ALONG(f64, double)

#endif
