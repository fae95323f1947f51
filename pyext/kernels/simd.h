/* The vector type of the instruction set being compiled.
 *
 * An isa_<name>.c file defines, before it opens its target region,
 *   CNN_ISA       suffix of its functions: baseline, avx2, avx512, amx, neon
 *   CNN_VLEN      floats per vector: 4, 8, 16, 16, 4
 *   CNN_HAVE_FMA  1 if v_fma is one rounding, 0 if it is a product and a sum
 *   CNN_HAVE_AMX  1 if there are tile units
 * and includes this file inside the region (clang's target attribute defines no
 * __AVX2__, so only these macros may be tested).  + - * / and the comparison of bits
 * use the compiler's vector operators; the few things C lacks are below.
 */
#ifndef CNN_SIMD_H
#define CNN_SIMD_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define CNN_CAT_(a, b) a##_##b
#define CNN_CAT(a, b) CNN_CAT_(a, b)
#define CNN_FN(name) CNN_CAT(name, CNN_ISA)

/* Code for speed; where vectors are emulated (tests/native/emulation) it only takes long to
 * compile, and CNN_INLINE, CNN_UNROLL and CNN_KEEP come defined. */
#if !defined(CNN_INLINE)
#define CNN_INLINE static inline __attribute__((always_inline, unused))
#endif
#define CNN_PRAGMA(text) _Pragma(#text)
#if defined(CNN_UNROLL)
#elif defined(__clang__)
#define CNN_UNROLL(n) CNN_PRAGMA(clang loop unroll_count(n))
#else
#define CNN_UNROLL(n) CNN_PRAGMA(GCC unroll n)
#endif

#define CNN_ACCS (CNN_LANES / CNN_VLEN) /* vectors that hold the lanes */

typedef float v_f32 __attribute__((vector_size(4 * CNN_VLEN)));
typedef int32_t v_i32 __attribute__((vector_size(4 * CNN_VLEN)));
typedef uint64_t v_u64 __attribute__((vector_size(4 * CNN_VLEN)));
typedef float v_f32_any
    __attribute__((vector_size(4 * CNN_VLEN), aligned(4), may_alias));
typedef int32_t v_i32_any
    __attribute__((vector_size(4 * CNN_VLEN), aligned(4), may_alias));

/* A mask has one truth value per lane; combine masks with & | ^, not with !. */
#if CNN_VLEN == 16
typedef __mmask16 v_mask;
#else
typedef v_i32 v_mask; /* 0 or -1 */
#endif

CNN_INLINE v_f32 v_load(const float *p) { return *(const v_f32_any *)p; }
CNN_INLINE void v_store(float *p, v_f32 x) { *(v_f32_any *)p = x; }
CNN_INLINE v_i32 v_load_i(const int32_t *p) { return *(const v_i32_any *)p; }
CNN_INLINE void v_store_i(int32_t *p, v_i32 x) { *(v_i32_any *)p = x; }
CNN_INLINE v_f32 v_zero(void) { return (v_f32){0}; }
CNN_INLINE v_f32 v_set(float x) { return x - (v_f32){0}; }
CNN_INLINE v_i32 v_set_i(int32_t x) { return x - (v_i32){0}; }
CNN_INLINE v_i32 v_bits(v_f32 x) { return (v_i32)x; }
CNN_INLINE v_f32 v_from_bits(v_i32 x) { return (v_f32)x; }
CNN_INLINE v_f32 v_abs(v_f32 x) { return (v_f32)((v_i32)x & 0x7fffffff); }
/* |magnitude| with the sign of s */
CNN_INLINE v_f32 v_copysign(v_f32 magnitude, v_f32 s) {
    return (v_f32)(((v_i32)magnitude & 0x7fffffff) | ((v_i32)s & INT32_MIN));
}

/* 0, 1, 2, ... of which the first n lanes are wanted */
static const int32_t CNN_IOTA[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                     8, 9, 10, 11, 12, 13, 14, 15};

#if CNN_VLEN == 16 /* ---- AVX-512 ---- */

CNN_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) {
    return (v_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
CNN_INLINE v_f32 v_sqrt(v_f32 x) { return (v_f32)_mm512_sqrt_ps((__m512)x); }
CNN_INLINE v_mask v_lt(v_f32 a, v_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
}
CNN_INLINE v_mask v_le(v_f32 a, v_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
}
CNN_INLINE v_mask v_eq(v_f32 a, v_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
}
CNN_INLINE v_mask v_is_nan(v_f32 a) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q);
}
CNN_INLINE v_mask v_first(int64_t n) { /* lanes 0 .. n-1, 0 <= n <= 16 */
    return (v_mask)((1u << n) - 1u);
}
CNN_INLINE v_f32 v_select(v_mask m, v_f32 a, v_f32 b) { /* m ? a : b */
    return (v_f32)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
}
CNN_INLINE int v_any(v_mask m) { return m != 0; }
/* the larger; b where either is NaN (one instruction; see v_maximum) */
CNN_INLINE v_f32 v_max(v_f32 a, v_f32 b) {
    return (v_f32)_mm512_max_ps((__m512)a, (__m512)b);
}
CNN_INLINE v_f32 v_min(v_f32 a, v_f32 b) {
    return (v_f32)_mm512_min_ps((__m512)a, (__m512)b);
}
CNN_INLINE v_f32 v_load_part(const float *p, int64_t n) {
    return (v_f32)_mm512_maskz_loadu_ps(v_first(n), p);
}
CNN_INLINE void v_store_part(float *p, v_f32 x, int64_t n) {
    _mm512_mask_storeu_ps(p, v_first(n), (__m512)x);
}

#else

CNN_INLINE v_mask v_lt(v_f32 a, v_f32 b) { return (v_mask)(a < b); }
CNN_INLINE v_mask v_le(v_f32 a, v_f32 b) { return (v_mask)(a <= b); }
CNN_INLINE v_mask v_eq(v_f32 a, v_f32 b) { return (v_mask)(a == b); }
CNN_INLINE v_mask v_is_nan(v_f32 a) { return (v_mask)(a != a); }
CNN_INLINE v_mask v_first(int64_t n) {
    return v_load_i(CNN_IOTA) < v_set_i((int32_t)n);
}

#if CNN_VLEN == 8 /* ---- AVX2 ---- */

CNN_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) {
    return (v_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
CNN_INLINE v_f32 v_sqrt(v_f32 x) { return (v_f32)_mm256_sqrt_ps((__m256)x); }
CNN_INLINE v_f32 v_select(v_mask m, v_f32 a, v_f32 b) {
    return (v_f32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
}
CNN_INLINE int v_any(v_mask m) { return _mm256_movemask_ps((__m256)m) != 0; }
CNN_INLINE v_f32 v_max(v_f32 a, v_f32 b) {
    return (v_f32)_mm256_max_ps((__m256)a, (__m256)b);
}
CNN_INLINE v_f32 v_min(v_f32 a, v_f32 b) {
    return (v_f32)_mm256_min_ps((__m256)a, (__m256)b);
}
CNN_INLINE v_f32 v_load_part(const float *p, int64_t n) {
    return (v_f32)_mm256_maskload_ps(p, (__m256i)v_first(n));
}
CNN_INLINE void v_store_part(float *p, v_f32 x, int64_t n) {
    /* not maskstore: it is slow on some machines, and no load can forward from it */
    __m128 part = _mm256_castps256_ps128((__m256)x);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps((__m256)x, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

#else /* ---- 4 lanes ---- */

#if CNN_HAVE_FMA /* NEON */
CNN_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) {
    return (v_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#else
CNN_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return a * b + c; }
#endif

#if defined(__SSE2__)
CNN_INLINE v_f32 v_sqrt(v_f32 x) { return (v_f32)_mm_sqrt_ps((__m128)x); }
CNN_INLINE int v_any(v_mask m) { return _mm_movemask_ps((__m128)m) != 0; }
CNN_INLINE v_f32 v_max(v_f32 a, v_f32 b) {
    return (v_f32)_mm_max_ps((__m128)a, (__m128)b);
}
CNN_INLINE v_f32 v_min(v_f32 a, v_f32 b) {
    return (v_f32)_mm_min_ps((__m128)a, (__m128)b);
}
#else
CNN_INLINE v_f32 v_sqrt(v_f32 x) {
    for (int j = 0; j < CNN_VLEN; j++) x[j] = __builtin_sqrtf(x[j]);
    return x;
}
CNN_INLINE int v_any(v_mask m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }
CNN_INLINE v_f32 v_max(v_f32 a, v_f32 b) {
    v_mask m = v_lt(b, a);
    return (v_f32)((m & (v_i32)a) | (~m & (v_i32)b));
}
CNN_INLINE v_f32 v_min(v_f32 a, v_f32 b) {
    v_mask m = v_lt(a, b);
    return (v_f32)((m & (v_i32)a) | (~m & (v_i32)b));
}
#endif

CNN_INLINE v_f32 v_select(v_mask m, v_f32 a, v_f32 b) {
    return (v_f32)((m & (v_i32)a) | (~m & (v_i32)b));
}
CNN_INLINE v_f32 v_load_part(const float *p, int64_t n) {
    v_f32 x = {0};
    if (n & 2) memcpy(&x, p, 8);
    if (n & 1) x[n & 2] = p[n & 2];
    return x;
}
CNN_INLINE void v_store_part(float *p, v_f32 x, int64_t n) {
    for (int64_t j = 0; j < n; j++) p[j] = x[j];
}

#endif
#endif

/* a store to an aligned address that passes by the caches; v_stream_end comes after the
 * last one */
#if defined(__SSE2__)
CNN_INLINE void v_stream(float *p, v_f32 x) {
#if CNN_VLEN == 16
    _mm512_stream_ps(p, (__m512)x);
#elif CNN_VLEN == 8
    _mm256_stream_ps(p, (__m256)x);
#else
    _mm_stream_ps(p, (__m128)x);
#endif
}
CNN_INLINE void v_stream_end(void) { _mm_sfence(); }
#else
CNN_INLINE void v_stream(float *p, v_f32 x) { v_store(p, x); }
CNN_INLINE void v_stream_end(void) {}
#endif

/* the lower halves times b */
CNN_INLINE v_u64 v_mul_lower(v_u64 a, uint32_t b) {
    const v_u64 factor = (v_u64){0} + b;
#if CNN_VLEN == 16
    return (v_u64)_mm512_mul_epu32((__m512i)a, (__m512i)factor);
#elif CNN_VLEN == 8
    return (v_u64)_mm256_mul_epu32((__m256i)a, (__m256i)factor);
#elif defined(__SSE2__)
    return (v_u64)_mm_mul_epu32((__m128i)a, (__m128i)factor);
#elif CNN_HAVE_FMA
    return (v_u64)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)factor));
#else
    return (a & 0xffffffff) * factor;
#endif
}

/* ---- the same on every instruction set ---- */

/* a min(n, CNN_VLEN)-element load, missing lanes 0; a constant n costs nothing */
CNN_INLINE v_f32 v_load_n(const float *p, int64_t n) {
    return n >= CNN_VLEN ? v_load(p) : v_load_part(p, n);
}
CNN_INLINE void v_store_n(float *p, v_f32 x, int64_t n) {
    if (n >= CNN_VLEN) {
        v_store(p, x);
    } else {
        v_store_part(p, x, n);
    }
}
/* lanes n and above become 0 */
CNN_INLINE v_f32 v_keep(v_f32 x, int64_t n) {
    return n >= CNN_VLEN ? x : v_select(v_first(n), x, (v_f32){0});
}
/* NaN if either is NaN, as NumPy's maximum and minimum */
CNN_INLINE v_f32 v_maximum(v_f32 a, v_f32 b) {
    return v_select(v_is_nan(a), a, v_max(a, b));
}
CNN_INLINE v_f32 v_minimum(v_f32 a, v_f32 b) {
    return v_select(v_is_nan(a), a, v_min(a, b));
}
/* round to nearest even, |x| < 2^22 */
CNN_INLINE v_f32 v_rint(v_f32 x) { return (x + 12582912.0f) - 12582912.0f; }

#endif
