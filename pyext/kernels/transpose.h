/* Transposed loads and stores: four columns of CNN_VLEN rows at a time. */
#ifndef CNN_TRANSPOSE_H
#define CNN_TRANSPOSE_H

#include "simd.h"

/* Halves of two vectors interleaved within every four lanes, and a vector from or to the
 * four floats at p, at p + stride, ... */
#if CNN_VLEN == 16
#define CNN_ZIP_LOW(x, y) (v_f32) _mm512_unpacklo_ps((__m512)(x), (__m512)(y))
#define CNN_ZIP_HIGH(x, y) (v_f32) _mm512_unpackhi_ps((__m512)(x), (__m512)(y))
CNN_INLINE v_f32 CNN_FN(load_quads)(const float *p, int64_t stride) {
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + stride), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 2 * stride), 2);
    return (v_f32)_mm512_insertf32x4(x, _mm_loadu_ps(p + 3 * stride), 3);
}
CNN_INLINE void CNN_FN(store_quads)(float *p, int64_t stride, v_f32 x) {
    _mm_storeu_ps(p, _mm512_castps512_ps128((__m512)x));
    _mm_storeu_ps(p + stride, _mm512_extractf32x4_ps((__m512)x, 1));
    _mm_storeu_ps(p + 2 * stride, _mm512_extractf32x4_ps((__m512)x, 2));
    _mm_storeu_ps(p + 3 * stride, _mm512_extractf32x4_ps((__m512)x, 3));
}
#elif CNN_VLEN == 8
#define CNN_ZIP_LOW(x, y) (v_f32) _mm256_unpacklo_ps((__m256)(x), (__m256)(y))
#define CNN_ZIP_HIGH(x, y) (v_f32) _mm256_unpackhi_ps((__m256)(x), (__m256)(y))
CNN_INLINE v_f32 CNN_FN(load_quads)(const float *p, int64_t stride) {
    __m256 x = _mm256_castps128_ps256(_mm_loadu_ps(p));
    return (v_f32)_mm256_insertf128_ps(x, _mm_loadu_ps(p + stride), 1);
}
CNN_INLINE void CNN_FN(store_quads)(float *p, int64_t stride, v_f32 x) {
    _mm_storeu_ps(p, _mm256_castps256_ps128((__m256)x));
    _mm_storeu_ps(p + stride, _mm256_extractf128_ps((__m256)x, 1));
}
#else
#if defined(__SSE2__)
#define CNN_ZIP_LOW(x, y) (v_f32) _mm_unpacklo_ps((__m128)(x), (__m128)(y))
#define CNN_ZIP_HIGH(x, y) (v_f32) _mm_unpackhi_ps((__m128)(x), (__m128)(y))
#elif CNN_HAVE_FMA
#define CNN_ZIP_LOW(x, y) (v_f32) vzip1q_f32((float32x4_t)(x), (float32x4_t)(y))
#define CNN_ZIP_HIGH(x, y) (v_f32) vzip2q_f32((float32x4_t)(x), (float32x4_t)(y))
#else
#define CNN_ZIP_LOW(x, y) ((v_f32){(x)[0], (y)[0], (x)[1], (y)[1]})
#define CNN_ZIP_HIGH(x, y) ((v_f32){(x)[2], (y)[2], (x)[3], (y)[3]})
#endif
CNN_INLINE v_f32 CNN_FN(load_quads)(const float *p, int64_t stride) {
    (void)stride;
    return v_load(p);
}
CNN_INLINE void CNN_FN(store_quads)(float *p, int64_t stride, v_f32 x) {
    (void)stride;
    v_store(p, x);
}
#endif

/* Every 4 x 4 block across four vectors. */
CNN_INLINE void CNN_FN(transpose_quads)(v_f32 a, v_f32 b, v_f32 c, v_f32 d, v_f32 out[4]) {
    v_f32 ac_low = CNN_ZIP_LOW(a, c), ac_high = CNN_ZIP_HIGH(a, c); /* a0 c0 a1 c1 */
    v_f32 bd_low = CNN_ZIP_LOW(b, d), bd_high = CNN_ZIP_HIGH(b, d);
    out[0] = CNN_ZIP_LOW(ac_low, bd_low);
    out[1] = CNN_ZIP_HIGH(ac_low, bd_low);
    out[2] = CNN_ZIP_LOW(ac_high, bd_high);
    out[3] = CNN_ZIP_HIGH(ac_high, bd_high);
}

/* Transpose blocks of 4 x 4, which lie `block` apart, side by side: four rows,
 * `from_row` apart, become the four vectors out. */
CNN_INLINE void CNN_FN(transpose_blocks)(const float *from, int64_t from_row,
                                         int64_t block, v_f32 out[4]) {
    CNN_FN(transpose_quads)(CNN_FN(load_quads)(from, block),
                            CNN_FN(load_quads)(from + from_row, block),
                            CNN_FN(load_quads)(from + 2 * from_row, block),
                            CNN_FN(load_quads)(from + 3 * from_row, block), out);
}

/* out[j][i] = from[i * from_row + j] for j in 0..3, i in 0..CNN_VLEN-1 */
CNN_INLINE void CNN_FN(transpose)(const float *from, int64_t from_row, v_f32 out[4]) {
    CNN_FN(transpose_blocks)(from, from_row, 4 * from_row, out);
}

/* The same of CNN_TRANSPOSE columns: eight of eight rows take half the loads. */
#if CNN_VLEN == 8
#define CNN_TRANSPOSE 8
CNN_INLINE void CNN_FN(transpose_more)(const float *from, int64_t from_row,
                                       v_f32 out[CNN_TRANSPOSE]) {
    v_f32 half[2][4]; /* of four rows each: columns j and 4 + j */
    CNN_UNROLL(2)
    for (int h = 0; h < 2; h++) {
        const float *p = from + 4 * h * from_row;
        CNN_FN(transpose_quads)(v_load(p), v_load(p + from_row), v_load(p + 2 * from_row),
                                v_load(p + 3 * from_row), half[h]);
    }
    CNN_UNROLL(4)
    for (int j = 0; j < 4; j++) {
        const __m256 low = (__m256)half[0][j], high = (__m256)half[1][j];
        out[j] = (v_f32)_mm256_permute2f128_ps(low, high, 0x20);
        out[4 + j] = (v_f32)_mm256_permute2f128_ps(low, high, 0x31);
    }
}
#else
#define CNN_TRANSPOSE 4
CNN_INLINE void CNN_FN(transpose_more)(const float *from, int64_t from_row,
                                       v_f32 out[CNN_TRANSPOSE]) {
    CNN_FN(transpose)(from, from_row, out);
}
#endif

/* The way back: to[i * to_row + j] = in[j][i]. */
CNN_INLINE void CNN_FN(transpose_back)(const v_f32 in[4], float *to, int64_t to_row) {
    v_f32 out[4];
    CNN_FN(transpose_quads)(in[0], in[1], in[2], in[3], out);
    CNN_UNROLL(4)
    for (int i = 0; i < 4; i++)
        CNN_FN(store_quads)(to + i * to_row, 4 * to_row, out[i]);
}

#endif
