/* The order of 32-bit keys, which random orders are made of. */
#ifndef CNN_SORTING_H
#define CNN_SORTING_H

#include <stdint.h>
#include <string.h>

#define CNN_DIGIT_BITS 11 /* three passes; their 2,048 counters stay in L1 */
#define CNN_DIGITS (1 << CNN_DIGIT_BITS)

/* Sort n pairs by their upper halves, equal ones in the order they have; n < 2^32. There
 * is room for 2 * n of them; the result is in one of the halves of it. */
static inline uint64_t *cnn_sort_pairs(int64_t n, uint64_t *pairs) {
    uint64_t *from = pairs, *to = pairs + n;
    for (int shift = 32; shift < 64; shift += CNN_DIGIT_BITS) {
        int64_t start[CNN_DIGITS] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++)
            start[from[i] >> shift & (CNN_DIGITS - 1)]++;
        for (int d = 0; d < CNN_DIGITS; d++) {
            const int64_t count = start[d];
            start[d] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++)
            to[start[from[i] >> shift & (CNN_DIGITS - 1)]++] = from[i];
        uint64_t *other = from;
        from = to;
        to = other;
    }
    return from;
}

/* The same for few pairs, whose lower halves ascend. */
static inline uint64_t *cnn_sort_few(int64_t n, uint64_t *pairs) {
    for (int64_t i = 1; i < n; i++) {
        const uint64_t pair = pairs[i];
        int64_t k = i;
        for (; k > 0 && pairs[k - 1] > pair; k--)
            pairs[k] = pairs[k - 1];
        pairs[k] = pair;
    }
    return pairs;
}

/* order[i] = place of the i-th smallest key; equal keys keep their order. Keys travel
 * with their places behind them; `pairs` is scratch for 2 * n of them. n < 2^32. */
static inline void cnn_argsort_u32(int64_t n, const uint32_t *keys, int64_t *order,
                                   uint64_t *pairs) {
    for (int64_t i = 0; i < n; i++)
        pairs[i] = (uint64_t)keys[i] << 32 | (uint64_t)i;
    const uint64_t *sorted = cnn_sort_pairs(n, pairs);
    for (int64_t i = 0; i < n; i++)
        order[i] = (int64_t)(sorted[i] & UINT32_MAX);
}

typedef enum { CNN_SORT_U32, CNN_SORT_I32, CNN_SORT_F32 } cnn_sort_type;

/* Keys of 32 bits in the order of the numbers; NaN comes last, zeros are equal. */
static inline uint32_t cnn_sort_key(cnn_sort_type type, uint32_t bits) {
    if (type == CNN_SORT_U32)
        return bits;
    if (type == CNN_SORT_I32 || bits == 0 || bits == 0x80000000u)
        return type == CNN_SORT_I32 ? bits ^ 0x80000000u : 0x80000000u;
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return UINT32_MAX;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* y (outer, n, inner) = the places that sort x along its middle axis */
typedef struct {
    cnn_sort_type type;
    int64_t n;
    int64_t inner;
    const uint32_t *x;
    int32_t *y;
    uint64_t *pairs; /* room for 2 * n */
} cnn_sort_task;

#define CNN_FEW 48 /* the fixed cost of the passes is that of sorting so many */

/* Rows begin .. end - 1 of the outer * inner rows of n numbers. */
static inline void cnn_sort_rows(const cnn_sort_task *t, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row / t->inner * t->n * t->inner + row % t->inner;
        for (int64_t i = 0; i < t->n; i++)
            t->pairs[i] = (uint64_t)cnn_sort_key(t->type, t->x[at + i * t->inner]) << 32 |
                          (uint64_t)i;
        const uint64_t *sorted = t->n <= CNN_FEW ? cnn_sort_few(t->n, t->pairs)
                                                 : cnn_sort_pairs(t->n, t->pairs);
        for (int64_t i = 0; i < t->n; i++)
            t->y[at + i * t->inner] = (int32_t)sorted[i];
    }
}

#endif
