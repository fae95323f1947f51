/* Kernels that only tell what the machine can do; for benchmarks. Included by kernels.h.
 */
#ifndef CNN_KERNELS_PEAK_H
#define CNN_KERNELS_PEAK_H

#include <stdint.h>

/* Chains of fused multiply-adds that do not wait for each other: enough of them to hide
 * a latency of 4 to 6 cycles on two units, few enough for 16 registers. */
#define CNN_PEAK_CHAINS 12

/* `rounds` steps of all chains; returns how many operations a step took: 2 for each
 * element of CNN_PEAK_CHAINS vectors.  x in (0, 1) keeps the numbers normal; *y takes
 * their sum.  Of tiles: the products of bfloat16 pairs; 0 without tile units. */
typedef int64_t cnn_peak_fn(int64_t rounds, float x, float *y);
/* n elements of the arrays that a kernel of this kind reads or writes */
typedef void cnn_stream_fn(int64_t n, const float *a, const float *b, float s, float *y);

#define CNN_PEAK_KERNELS(X)                                                          \
    X(peak_fma_f32, peak)                                                            \
    X(peak_tiles_bf16, peak)                                                         \
    X(stream_read_f32, stream)                                                       \
    X(stream_write_f32, stream)                                                      \
    X(stream_copy_f32, stream)                                                       \
    X(stream_triad_f32, stream)

#endif
