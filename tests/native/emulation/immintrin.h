/* Stands in for the compiler's <immintrin.h> where 16-lane kernels are compiled for a
 * machine that lacks their instructions (isa.c): each intrinsic that the kernels use, by
 * its definition, an element at a time. It needs vector extensions of gcc or clang only.
 * An intrinsic that is missing here does not compile: add it. */
#ifndef CNN_EMULATED_IMMINTRIN_H
#define CNN_EMULATED_IMMINTRIN_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float __m128 __attribute__((vector_size(16)));
typedef float __m256 __attribute__((vector_size(32)));
typedef float __m512 __attribute__((vector_size(64)));
typedef double __m512d __attribute__((vector_size(64)));
typedef int64_t __m512i __attribute__((vector_size(64)));
typedef uint16_t __mmask16;

#define CNN_EMULATED static inline __attribute__((unused))
#define CNN_EACH(i, lanes) for (int i = 0; i < lanes; i++)

/* ---- arithmetic ------------------------------------------------------------------ */

CNN_EMULATED __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
    CNN_EACH(i, 16) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
}
CNN_EMULATED __m512d _mm512_fmadd_pd(__m512d a, __m512d b, __m512d c) {
    CNN_EACH(i, 8) c[i] = __builtin_fma(a[i], b[i], c[i]);
    return c;
}
CNN_EMULATED __m512 _mm512_sqrt_ps(__m512 a) {
    CNN_EACH(i, 16) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
/* b where either is NaN, and for two zeros */
CNN_EMULATED __m512 _mm512_max_ps(__m512 a, __m512 b) {
    CNN_EACH(i, 16) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
CNN_EMULATED __m512 _mm512_min_ps(__m512 a, __m512 b) {
    CNN_EACH(i, 16) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
/* a * 2^floor(b), rounded once */
CNN_EMULATED __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
    CNN_EACH(i, 16) {
        const float n = floorf(b[i]);
        if (isfinite(n)) /* beyond 1000 all is infinite or zero */
            a[i] = ldexpf(a[i], (int)fmaxf(fminf(n, 1000.0f), -1000.0f));
        else
            a[i] = a[i] * exp2f(n);
    }
    return a;
}
CNN_EMULATED __m512d _mm512_cvtps_pd(__m256 a) {
    return __builtin_convertvector(a, __m512d);
}

/* ---- integers -------------------------------------------------------------------- */

typedef int32_t cnn_emulated_i32 __attribute__((vector_size(64)));

CNN_EMULATED __m512i _mm512_max_epi32(__m512i a, __m512i b) {
    cnn_emulated_i32 x = (cnn_emulated_i32)a, y = (cnn_emulated_i32)b;
    CNN_EACH(i, 16) x[i] = x[i] > y[i] ? x[i] : y[i];
    return (__m512i)x;
}
CNN_EMULATED __m512i _mm512_min_epu32(__m512i a, __m512i b) {
    cnn_emulated_i32 x = (cnn_emulated_i32)a, y = (cnn_emulated_i32)b;
    CNN_EACH(i, 16) x[i] = (uint32_t)x[i] < (uint32_t)y[i] ? x[i] : y[i];
    return (__m512i)x;
}
CNN_EMULATED __m512i _mm512_mul_epu32(__m512i a, __m512i b) {
    CNN_EACH(i, 8) a[i] = (int64_t)((uint64_t)(uint32_t)a[i] * (uint32_t)b[i]);
    return a;
}

/* ---- masks ----------------------------------------------------------------------- */

enum { _CMP_EQ_OQ, _CMP_LT_OQ, _CMP_LE_OQ, _CMP_UNORD_Q };

CNN_EMULATED __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
    unsigned mask = 0;
    CNN_EACH(i, 16) {
        const int holds = predicate == _CMP_EQ_OQ   ? a[i] == b[i]
                          : predicate == _CMP_LT_OQ ? a[i] < b[i]
                          : predicate == _CMP_LE_OQ ? a[i] <= b[i]
                                                    : isunordered(a[i], b[i]);
        mask |= (unsigned)holds << i;
    }
    return (__mmask16)mask;
}
CNN_EMULATED __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
    CNN_EACH(i, 16) if (mask >> i & 1) a[i] = b[i];
    return a;
}

/* ---- memory: what the mask leaves out is not touched ----------------------------- */

CNN_EMULATED __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const float *p) {
    __m512 x = {0};
    CNN_EACH(i, 16) if (mask >> i & 1) x[i] = p[i];
    return x;
}
CNN_EMULATED void _mm512_mask_storeu_ps(float *p, __mmask16 mask, __m512 x) {
    CNN_EACH(i, 16) if (mask >> i & 1) p[i] = x[i];
}
CNN_EMULATED void _mm512_stream_ps(float *p, __m512 x) { *(__m512 *)p = x; }
CNN_EMULATED void _mm_sfence(void) {}
CNN_EMULATED __m128 _mm_loadu_ps(const float *p) {
    __m128 x;
    memcpy(&x, p, sizeof x);
    return x;
}
CNN_EMULATED void _mm_storeu_ps(float *p, __m128 x) { memcpy(p, &x, sizeof x); }

/* ---- quarters of a vector -------------------------------------------------------- */

CNN_EMULATED __m512 _mm512_insertf32x4(__m512 a, __m128 quarter, int at) {
    CNN_EACH(i, 4) a[4 * at + i] = quarter[i];
    return a;
}
CNN_EMULATED __m128 _mm512_extractf32x4_ps(__m512 a, int at) {
    __m128 x;
    CNN_EACH(i, 4) x[i] = a[4 * at + i];
    return x;
}
CNN_EMULATED __m512 _mm512_castps128_ps512(__m128 x) {
    return _mm512_insertf32x4((__m512){0}, x, 0);
}
CNN_EMULATED __m128 _mm512_castps512_ps128(__m512 a) {
    return _mm512_extractf32x4_ps(a, 0);
}
/* Of each quarter of a and b in turn, the elements first and first + 1. */
CNN_EMULATED __m512 cnn_emulated_zip(__m512 a, __m512 b, int first) {
    __m512 x;
    CNN_EACH(i, 16) x[i] = (i & 1 ? b : a)[(i & ~3) + first + (i >> 1 & 1)];
    return x;
}
CNN_EMULATED __m512 _mm512_unpacklo_ps(__m512 a, __m512 b) {
    return cnn_emulated_zip(a, b, 0);
}
CNN_EMULATED __m512 _mm512_unpackhi_ps(__m512 a, __m512 b) {
    return cnn_emulated_zip(a, b, 2);
}

/* Two quarters of a, two of b; two bits of `which` name each. */
CNN_EMULATED __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int which) {
    __m512 x;
    CNN_EACH(i, 16) x[i] = (i < 8 ? a : b)[(which >> i / 4 * 2 & 3) * 4 + i % 4];
    return x;
}
/* Within each quarter, two bits of `which` for each element. */
CNN_EMULATED __m512 _mm512_permute_ps(__m512 a, int which) {
    __m512 x;
    CNN_EACH(i, 16) x[i] = a[(i & ~3) + (which >> i % 4 * 2 & 3)];
    return x;
}
CNN_EMULATED __m512 _mm512_permutexvar_ps(__m512i which, __m512 a) {
    __m512 x;
    CNN_EACH(i, 16) x[i] = a[((cnn_emulated_i32)which)[i] & 15];
    return x;
}
CNN_EMULATED __m256 _mm512_castps512_ps256(__m512 a) {
    __m256 x;
    CNN_EACH(i, 8) x[i] = a[i];
    return x;
}

/* ---- AMX: amx.c ------------------------------------------------------------------ */

void _tile_loadconfig(const void *config);
void _tile_release(void);
void _tile_zero(int tile);
void _tile_loadd(int tile, const void *from, ptrdiff_t stride);
void _tile_stored(int tile, void *to, ptrdiff_t stride);
void _tile_dpbf16ps(int c, int a, int b);

#endif
