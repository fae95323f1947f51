/* Vector mathematics, the same polynomials on every instruction set.
 *
 * Largest error against the exact result over all float32 inputs, in units in the last
 * place (tests/native/test_vmath.py holds the code to it):
 *
 *                 with FMA   baseline
 *   v_exp             0.90       1.20
 *   v_expm1           1.35       1.35
 *   v_log             0.90       0.95
 *   v_log1p           1.50       1.60
 *   v_tanh            1.40       1.40
 *   v_sigmoid         1.65       1.65
 *   v_erf             1.05       1.20
 *   v_softplus        1.90       1.90
 *
 * Denormal inputs and results are exact to the same bounds (denormal results in units
 * of the smallest denormal); infinities, zeros and NaN behave as in C.  Polynomials are
 * minimax fits of the remainder named beside them, rounded to float32.
 */
#ifndef CNN_VMATH_H
#define CNN_VMATH_H

#include "simd.h"

#define CNN_LOG2E 1.44269504f
#define CNN_LN2_HI 0.693359375f /* 9 bits: n * CNN_LN2_HI is exact */
#define CNN_LN2_LO (-2.12194440e-4f)
#define CNN_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer */

/* x = n ln2 + r with |r| <= ln2 / 2; returns r. The last bits of *t are n + bias. */
CNN_INLINE v_f32 v_exp_reduce(v_f32 x, int bias, v_f32 *n, v_i32 *t) {
    const float magic = CNN_ROUND_MAGIC + (float)bias;
    v_f32 rounded = v_fma(x, v_set(CNN_LOG2E), v_set(magic));
    *n = rounded - magic;
    *t = v_bits(rounded);
    v_f32 r = v_fma(*n, v_set(-CNN_LN2_HI), x);
    return v_fma(*n, v_set(-CNN_LN2_LO), r);
}

/* (exp(r) - 1 - r) / r^2 */
CNN_INLINE v_f32 v_exp_poly(v_f32 r) {
    v_f32 q = v_set(0x1.6a2432p-10f);
    q = v_fma(q, r, v_set(0x1.1239e2p-7f));
    q = v_fma(q, r, v_set(0x1.5558f2p-5f));
    q = v_fma(q, r, v_set(0x1.555492p-3f));
    return v_fma(q, r, v_set(0x1.fffffcp-2f));
}

CNN_INLINE v_f32 v_exp_sum(v_f32 r) {
    return v_fma(v_fma(v_exp_poly(r), r, v_set(1.0f)), r, v_set(1.0f));
}

/* p and *scale = 2^(n + shift), where exp(x) = p 2^n */
CNN_INLINE v_f32 v_exp_parts(v_f32 x, int shift, v_f32 *n, v_f32 *scale) {
    v_i32 t;
    v_f32 r = v_exp_reduce(x, 127 + shift, n, &t);
    *scale = v_from_bits(t << 23);
    return v_exp_sum(r);
}

/* exp for |x| <= 80 or NaN */
CNN_INLINE v_f32 v_exp_mid(v_f32 x) {
    v_f32 n, scale, p = v_exp_parts(x, 0, &n, &scale);
    return p * scale;
}

/* exp for x <= 0 or NaN */
CNN_INLINE v_f32 v_exp_neg(v_f32 x) {
    v_f32 n, scale, p = v_exp_parts(v_max(v_set(-104.0f), x), 64, &n, &scale);
#if CNN_VLEN == 16
    return (v_f32)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    return p * scale * 0x1p-64f; /* 2^n itself may not be a float */
#endif
}

CNN_INLINE v_f32 v_exp(v_f32 x) {
    v_f32 n, c = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    v_i32 t;
    v_f32 p = v_exp_sum(v_exp_reduce(c, 2 * 127, &n, &t));
#if CNN_VLEN == 16
    return (v_f32)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    v_i32 half = t >> 1; /* two steps: 2^n itself may not be a float */
    return p * v_from_bits(half << 23) * v_from_bits((t - half) << 23);
#endif
}

CNN_INLINE v_f32 v_expm1(v_f32 x) {
    v_f32 n, c = v_max(v_set(-20.0f), v_min(v_set(89.0f), x));
    v_i32 t;
    v_f32 r = v_exp_reduce(c, 126, &n, &t);
    /* 2 (2^(n-1) (r + r^2 q) + 2^(n-1) - 1/2): 2^128 is no float, 2^127 is */
    v_f32 s = v_from_bits(t << 23);
    v_f32 y = v_fma(s, r, s - 0.5f);
    y = v_fma(s, r * r * v_exp_poly(r), y);
    return v_select(v_lt(v_abs(x), v_set(0x1p-25f)), x, y + y);
}

/* 1 / (1 + exp(-x)): with exp(-|x|) = 2^n / exp(r), the smaller half is
 * 2^n / (2^n + exp(r)) */
CNN_INLINE v_f32 v_sigmoid(v_f32 x) {
    v_f32 c = v_max(v_set(-104.0f), -v_abs(x));
    const float magic = CNN_ROUND_MAGIC + 127.0f + 64.0f;
    v_f32 t = v_fma(c, v_set(CNN_LOG2E), v_set(magic)), n = t - magic;
    v_f32 scale = v_from_bits(v_bits(t) << 23); /* 2^(n + 64) */
    v_f32 r = v_fma(n, v_set(CNN_LN2_HI), -c);
    r = v_fma(n, v_set(CNN_LN2_LO), r);
    v_f32 p = v_fma(v_exp_poly(r), r, v_set(1.0f)); /* exp(r) = 1 + r p */
    v_f32 e = scale * 0x1p-64f, base = 1.0f + e, lost = e - (base - 1.0f);
    v_f32 d = base + v_fma(r, p, lost); /* 2^n + exp(r) */
    v_f32 y = scale / d * 0x1p-64f;
    return v_select(v_lt(x, v_zero()), y, 1.0f - y);
}

/* log(1 + f) + e ln2, 1 + f in [sqrt(1/2), sqrt(2)) */
CNN_INLINE v_f32 v_log_poly(v_f32 f, v_f32 e) {
    /* (log(1 + f) - f + f^2 / 2) / f^3 */
    v_f32 p = v_set(-0x1.38b698p-4f);
    p = v_fma(p, f, v_set(0x1.055bb4p-3f));
    p = v_fma(p, f, v_set(-0x1.0d852cp-3f));
    p = v_fma(p, f, v_set(0x1.22da12p-3f));
    p = v_fma(p, f, v_set(-0x1.547246p-3f));
    p = v_fma(p, f, v_set(0x1.99a008p-3f));
    p = v_fma(p, f, v_set(-0x1.000226p-2f));
    p = v_fma(p, f, v_set(0x1.555554p-2f));
    p = v_fma(p, f, v_set(-0.5f));
    p = v_fma(f * f, p, e * CNN_LN2_LO);
    return v_fma(e, v_set(CNN_LN2_HI), f + p);
}

/* x = m 2^e, m in [sqrt(1/2), sqrt(2)), for x positive and normal; returns m */
CNN_INLINE v_f32 v_log_reduce(v_f32 x, v_i32 *e) {
    *e = (v_bits(x) - 0x3f3504f3) >> 23;
    return v_from_bits(v_bits(x) - (*e << 23));
}

/* y where 0 < x < inf; log's values at 0, inf and below 0 otherwise */
CNN_INLINE v_f32 v_log_edges(v_f32 x, v_f32 y) {
    v_f32 outside = v_select(v_eq(x, v_zero()), v_set(-__builtin_inff()),
                             v_set(__builtin_nanf("")));
    y = v_select(v_lt(x, v_set(__builtin_inff())), y, x);
    return v_select(v_lt(v_zero(), x), y, outside);
}

CNN_INLINE v_f32 v_log_any(v_f32 x) {
    v_mask tiny = v_lt(x, v_set(0x1p-126f));
    v_i32 e;
    v_f32 m = v_log_reduce(v_select(tiny, x * 0x1p23f, x), &e);
    v_f32 n = __builtin_convertvector(e, v_f32);
    n = n - v_select(tiny, v_set(23.0f), v_zero());
    return v_log_edges(x, v_log_poly(m - 1.0f, n));
}

CNN_INLINE v_f32 v_log(v_f32 x) {
    v_mask usual = v_le(v_set(0x1p-126f), x) & v_lt(x, v_set(__builtin_inff()));
    if (v_any(~usual)) return v_log_any(x); /* elements that are usual: the same bits */
    v_i32 e;
    v_f32 m = v_log_reduce(x, &e);
    return v_log_poly(m - 1.0f, __builtin_convertvector(e, v_f32));
}

/* log for x in (2^-126, 1], or NaN */
CNN_INLINE v_f32 v_log_unit(v_f32 x) {
    v_i32 e;
    v_f32 m = v_log_reduce(x, &e);
    v_f32 y = v_log_poly(m - 1.0f, __builtin_convertvector(e, v_f32));
    return v_select(v_is_nan(x), x, y);
}

/* log(1 + x) for 0 > x > -1 and for x >= 0 up to inf (not inf), or NaN */
CNN_INLINE v_f32 v_log1p_inner(v_f32 x) {
    v_f32 one = v_set(1.0f);
    v_f32 u = x + one;
    v_f32 lost = v_min(one, x) - (u - v_max(one, x)); /* 1 + x = u + lost */
    v_i32 e;
    v_f32 m = v_log_reduce(u, &e);
    v_i32 k = 127 - e; /* lost 2^-e; nothing where 2^-e is not a float */
    v_f32 f = v_fma(lost, v_from_bits((k << 23) & ~(k >> 31)), m - one);
    return v_log_poly(f, __builtin_convertvector(e, v_f32));
}

CNN_INLINE v_f32 v_log1p(v_f32 x) {
    v_f32 y = v_log_edges(x + 1.0f, v_log1p_inner(x));
    return v_select(v_lt(v_abs(x), v_set(0x1p-25f)), x, y);
}

/* log(1 + exp(-|x|)), what softplus and the logits losses are made of: v_log1p_inner
 * between 0 and 1 */
CNN_INLINE v_f32 v_log1p_exp_neg(v_f32 x) {
    v_f32 y = v_exp_neg(-v_abs(x)), u = y + 1.0f;
    v_f32 lost = y - (u - 1.0f); /* 1 + y = u + lost */
    v_i32 e;
    v_f32 m = v_log_reduce(u, &e);
    v_f32 f = v_fma(lost, v_from_bits((127 - e) << 23), m - 1.0f);
    return v_log_poly(f, __builtin_convertvector(e, v_f32));
}

CNN_INLINE v_f32 v_softplus(v_f32 x) {
    return v_max(x, v_zero()) + v_log1p_exp_neg(x);
}

CNN_INLINE v_f32 v_tanh(v_f32 x) {
    v_f32 t = v_abs(x), s = x * x;
    v_f32 p = v_set(-0x1.75e1ccp-8f); /* (tanh(x) - x) / x^3 in x^2, |x| < 0.625 */
    p = v_fma(p, s, v_set(0x1.52269cp-6f));
    p = v_fma(p, s, v_set(-0x1.b83c5ap-5f));
    p = v_fma(p, s, v_set(0x1.110726p-3f));
    p = v_fma(p, s, v_set(-0x1.555532p-2f));
    p = v_fma(x * s, p, x);
    v_f32 n, scale, e = v_exp_parts(2.0f * v_min(v_set(10.0f), t), 0, &n, &scale);
    v_f32 y = 1.0f - 2.0f / v_fma(e, scale, v_set(1.0f));
    return v_copysign(v_select(v_lt(t, v_set(0.625f)), p, y), x);
}

CNN_INLINE v_f32 v_erf(v_f32 x) {
    v_f32 t = v_abs(x), s = x * x;
    v_f32 p = v_set(0x1.5f1144p-14f); /* (erf(x) - x) / x in x^2, |x| < 0.921875 */
    p = v_fma(p, s, v_set(-0x1.aae986p-11f));
    p = v_fma(p, s, v_set(0x1.54dad8p-8f));
    p = v_fma(p, s, v_set(-0x1.b8107cp-6f));
    p = v_fma(p, s, v_set(0x1.ce2e20p-4f));
    p = v_fma(p, s, v_set(-0x1.812744p-2f));
    p = v_fma(p, s, v_set(0x1.06eba8p-3f));
    p = v_fma(x, p, x);
    v_f32 c = v_min(v_set(4.0f), t);
    v_f32 q = v_set(0x1.84ef44p-17f); /* (-log(erfc(t)) - t) / t */
    q = v_fma(q, c, v_set(-0x1.563288p-12f));
    q = v_fma(q, c, v_set(0x1.df46d2p-9f));
    q = v_fma(q, c, v_set(-0x1.85cc2ap-6f));
    q = v_fma(q, c, v_set(0x1.b34854p-4f));
    q = v_fma(q, c, v_set(0x1.452ffap-1f));
    q = v_fma(q, c, v_set(0x1.077b56p-3f));
    v_f32 y = 1.0f - v_exp_mid(v_fma(-c, q, -c));
    return v_copysign(v_select(v_lt(t, v_set(0.921875f)), p, y), x);
}

/* For a standard normal Z and |x|: P(Z > |x|), and exp(-x^2 / 2) in *bell.  Accurate
 * to a few units in the last place down to where it underflows (not on the baseline,
 * where the rounding of x^2 shows). */
CNN_INLINE v_f32 v_normal_tail(v_f32 x, v_f32 *bell) {
    v_f32 a = v_min(v_set(14.5f), v_abs(x));
    v_f32 u = 1.0f / (a + 2.5f), q = (a - 2.5f) * u;
    v_f32 p = v_set(-0x1.49ce38p-13f); /* (a + 2.5) erfc(a / sqrt 2) / (2 bell) in q */
    p = v_fma(p, q, v_set(-0x1.45f634p-12f));
    p = v_fma(p, q, v_set(0x1.66cab2p-11f));
    p = v_fma(p, q, v_set(0x1.4abbacp-9f));
    p = v_fma(p, q, v_set(-0x1.a3ae92p-10f));
    p = v_fma(p, q, v_set(-0x1.0c77f4p-6f));
    p = v_fma(p, q, v_set(0x1.2ea478p-7f));
    p = v_fma(p, q, v_set(0x1.0e4f2ep-3f));
    p = v_fma(p, q, v_set(-0x1.bc19c2p-2f));
    p = v_fma(p, q, v_set(0x1.69cee6p-1f));
    v_f32 half = 0.5f * a, square = half * a;
    v_f32 lost = v_fma(half, a, -square); /* what rounding took from x^2 / 2 */
    v_f32 e = v_exp_neg(-square);
    *bell = v_fma(-e, lost, e);
    return *bell * (p * u);
}

#endif
