/* x to the power y, for all float32 x and y.
 *
 * 2^(y log2 |x|) in float64 by products and sums without FMA: the same bits on every
 * instruction set, and the nearest float32 but for a few thousandths of a unit in the
 * last place. Special cases are those of C. Squares are x * x.
 */
#ifndef CNN_POWER_H
#define CNN_POWER_H

#include "vmath.h"

typedef double v_f64 __attribute__((vector_size(4 * CNN_VLEN)));
typedef int64_t v_i64 __attribute__((vector_size(4 * CNN_VLEN)));
typedef float v_half __attribute__((vector_size(2 * CNN_VLEN)));
typedef union {
    v_f32 all;
    v_half half[2];
} v_halves;

/* the compiler's own conversion takes two floats at a time */
CNN_INLINE v_f64 v_widen(v_half x) {
#if CNN_VLEN == 16
    return (v_f64)_mm512_cvtps_pd((__m256)x);
#elif CNN_VLEN == 8
    return (v_f64)_mm256_cvtps_pd((__m128)x);
#else
    return __builtin_convertvector(x, v_f64);
#endif
}

CNN_INLINE v_f64 v_bound_f64(v_f64 x, double limit) { /* NaN stays */
    v_f64 most = limit - (v_f64){0};
    v_i64 above = (v_i64)(x > most), below = (v_i64)(x < -most);
    x = (v_f64)((above & (v_i64)most) | (~above & (v_i64)x));
    return (v_f64)((below & (v_i64)-most) | (~below & (v_i64)x));
}

/* (m 2^e)^y, m in [sqrt(1/2), sqrt(2)), e an integer or infinite */
CNN_INLINE v_half v_pow_half(v_half m, v_half e, v_half y) {
    v_f64 a = v_widen(m);
    v_f64 s = (a - 1.0) / (a + 1.0), z = s * s;
    v_f64 zz = z * z, p = z * 0x1.ec709d124e03dp-1 + 0x1.71547652bee6fp+1;
    p = p + zz * (0x1.2777803c698edp-1 + z * 0x1.a58d6604bc00bp-2 +
                  zz * 0x1.5cea946af7dd3p-2); /* log2(m) / s */
    p = p * s;
    v_f64 t = v_widen(y);
    t = v_bound_f64(t * (v_widen(e) + p), 200.0);
    /* n + 1023 stands in the last bits of u: the exponent of 2^n */
    v_f64 u = t + (0x1.8p52 + 1023.0), f = t - (u - (0x1.8p52 + 1023.0));
    v_f64 scale = (v_f64)((v_i64)u << 52);
    v_f64 ff = f * f, q = 0x1.5d87269a055ccp-10 + f * 0x1.445c9961d51d6p-13;
    q = q + ff * 0x1.00efca0b28324p-16;
    q = q * ff + (0x1.c6b08df0a4027p-5 + f * 0x1.3b29f3ab6fc0cp-7);
    q = q * ff + (0x1.62e42fef7e0bep-1 + f * 0x1.ebfbe0771375cp-3);
    q = q * f; /* 2^f - 1, |f| <= 1/2 */
    return __builtin_convertvector((q + 1.0) * scale, v_half);
}

CNN_INLINE v_f32 v_pow(v_f32 x, v_f32 y) {
    const v_f32 one = v_set(1.0f), inf = v_set(__builtin_inff());
    const v_f32 nan = v_set(__builtin_nanf("")), a = v_abs(x), b = v_abs(y);
    v_mask tiny = v_lt(a, v_set(0x1p-126f));
    v_i32 exponent;
    v_halves m, e, w = {.all = y}, result;
    m.all = v_log_reduce(v_select(tiny, a * 0x1p23f, a), &exponent);
    e.all = __builtin_convertvector(exponent, v_f32);
    e.all = e.all - v_select(tiny, v_set(23.0f), v_zero());
    e.all = v_select(v_lt(a, inf), e.all, inf);
    e.all = v_select(v_eq(a, v_zero()), -inf, e.all);
    result.half[0] = v_pow_half(m.half[0], e.half[0], w.half[0]);
    result.half[1] = v_pow_half(m.half[1], e.half[1], w.half[1]);
    v_f32 r = v_select(v_eq(a, one), one, result.all); /* not 0 * inf */

    /* a negative x: its sign stays if y is odd; NaN if y is no integer */
    const v_f32 whole = v_set(0x1p24f), c = v_min(whole, b); /* even from here on */
    v_f32 rounded = v_select(v_lt(c, v_set(0x1p23f)), (c + 0x1p23f) - 0x1p23f, c);
    v_mask integer = v_eq(rounded, c);
    v_i32 odd = __builtin_convertvector(v_select(integer, c, v_zero()), v_i32) & 1;
    r = v_from_bits(v_bits(r) | ((odd << 31) & v_bits(x)));
    r = v_select(v_lt(x, v_zero()) & v_lt(a, inf),
                 v_select(integer, r, nan), r);

    r = v_select(v_is_nan(x) | v_is_nan(y), x + y, r);
    r = v_select(v_eq(y, v_zero()) | v_eq(x, one), one, r);
    return v_select(v_eq(y, v_set(2.0f)), x * x, r);
}

#endif
