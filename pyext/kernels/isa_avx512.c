/* AVX-512 (F, BW, DQ, VL) and FMA: 16 floats per vector. */
#if defined(__x86_64__)
#define CNN_ISA avx512
#define CNN_VLEN 16
#define CNN_HAVE_FMA 1
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                        \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))),          \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#include "table.inc.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int cnn_not_this_architecture;
#endif
