/* The order of 32-bit keys, which random orders are made of. */
#ifndef CNN_SORTING_H
#define CNN_SORTING_H

#include <stdint.h>
#include <string.h>

#define CNN_DIGIT_BITS 11 /* three passes; their 2,048 counters stay in L1 */
#define CNN_DIGITS (1 << CNN_DIGIT_BITS)

/* order[i] = place of the i-th smallest key; equal keys keep their order. Keys travel
 * with their places behind them; `pairs` is scratch for 2 * n of them. n < 2^32. */
static inline void cnn_argsort_u32(int64_t n, const uint32_t *keys, int64_t *order,
                                   uint64_t *pairs) {
    uint64_t *from = pairs, *to = pairs + n;
    for (int64_t i = 0; i < n; i++)
        from[i] = (uint64_t)keys[i] << 32 | (uint64_t)i;
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
    for (int64_t i = 0; i < n; i++)
        order[i] = (int64_t)(from[i] & UINT32_MAX);
}

#endif
