/* AVX-512 (F, BW, DQ, VL), FMA and tile units for bfloat16: 16 floats per vector. */
#include "dispatch.h"
#if CNN_BUILD_AMX
#define CNN_ISA amx
#define CNN_VLEN 16
#define CNN_HAVE_FMA 1
#define CNN_HAVE_AMX 1
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                        \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,amx-tile,"    \
                          "amx-bf16"))),                                             \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,amx-tile,amx-bf16")
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
