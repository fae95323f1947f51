/* Sines, cosines and normal random numbers, computed in double and rounded once.
 *
 * Largest error 0.501 units in the last place.  Instruction sets without FMA call the C
 * library, which rounds to the same float but for rare ties.
 *
 * Box and Muller: "A note on the generation of random normal deviates", Annals of
 * Mathematical Statistics 29 (1958).
 */

#define CNN_BLOCK 16 /* elements side by side; the loops over them vectorize */
#define CNN_QUARTER 1.5707963267948966 /* pi / 2 */
#define CNN_HALF_TURN 3.141592653589793 /* pi, and the rest of it: */
#define CNN_HALF_TURN_REST 1.2246467991473532e-16
#define CNN_FAR 0x1p27f /* from here on the reduction loses digits */

#if CNN_HAVE_FMA

CNN_INLINE int64_t CNN_FN(bits64)(double x) {
    int64_t n;
    memcpy(&n, &x, sizeof n);
    return n;
}

CNN_INLINE double CNN_FN(double_of)(int64_t n) {
    double x;
    memcpy(&x, &n, sizeof x);
    return x;
}

/* sin(r) and cos(r) for |r| <= pi / 4: Taylor's polynomials, the rest is below 2^-36 */
CNN_INLINE double CNN_FN(sin_near)(double r) {
    const double z = r * r;
    double p = __builtin_fma(z, -1.0 / 39916800, 1.0 / 362880);
    p = __builtin_fma(z, p, -1.0 / 5040);
    p = __builtin_fma(z, p, 1.0 / 120);
    p = __builtin_fma(z, p, -1.0 / 6);
    return r * __builtin_fma(z, p, 1.0); /* keeps the sign of zero */
}

CNN_INLINE double CNN_FN(cos_near)(double r) {
    const double z = r * r;
    double p = __builtin_fma(z, 1.0 / 479001600, -1.0 / 3628800);
    p = __builtin_fma(z, p, 1.0 / 40320);
    p = __builtin_fma(z, p, -1.0 / 720);
    p = __builtin_fma(z, p, 1.0 / 24);
    p = __builtin_fma(z, p, -0.5);
    return __builtin_fma(z, p, 1.0);
}

/* sin(r + quarter * pi / 2) */
CNN_INLINE double CNN_FN(sin_turned)(double r, int64_t quarter) {
    const int64_t odd = -(quarter & 1), minus = (quarter & 2) << 62;
    const int64_t s = CNN_FN(bits64)(CNN_FN(sin_near)(r));
    const int64_t c = CNN_FN(bits64)(CNN_FN(cos_near)(r));
    return CNN_FN(double_of)(((s & ~odd) | (c & odd)) ^ minus);
}

/* log(u) for 2^-32 <= u <= 1 */
CNN_INLINE double CNN_FN(log_unit)(double u) {
    const int64_t half = 0x3FE6A09E667F3BCD; /* sqrt(1/2): u = 2^e m, m from here on */
    const int64_t magic = 0x4330000000000000; /* 2^52 */
    const uint64_t biased =
        (uint64_t)(CNN_FN(bits64)(u) - half + ((int64_t)1023 << 52)) >> 52;
    const double e = CNN_FN(double_of)((int64_t)biased | magic) - (0x1p52 + 1023);
    const double m =
        CNN_FN(double_of)(CNN_FN(bits64)(u) - (int64_t)((biased - 1023) << 52));
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = __builtin_fma(z, 1.0 / 13, 1.0 / 11);
    p = __builtin_fma(z, p, 1.0 / 9);
    p = __builtin_fma(z, p, 1.0 / 7);
    p = __builtin_fma(z, p, 1.0 / 5);
    p = __builtin_fma(z, p, 1.0 / 3);
    p = __builtin_fma(z, p, 1.0);
    return __builtin_fma(e, 0.6931471805599453, 2.0 * s * p);
}

CNN_INLINE v_f64 v_fma_f64(v_f64 a, v_f64 b, v_f64 c) {
#if CNN_VLEN == 16
    return (v_f64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif CNN_VLEN == 8
    return (v_f64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return (v_f64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#endif
}

/* sin(x + ahead pi / 2) for |x| < CNN_FAR, ahead 0 or 1: with x = (n - ahead / 2) pi + r
 * it is sin(r), or -sin(r) for an odd n */
CNN_INLINE v_half v_sin_half(v_half x, int ahead) {
    const v_f64 zero = {0}, d = v_widen(x), magic = zero + 0x1.8p52;
    v_f64 turns = v_fma_f64(d, zero + 1.0 / CNN_HALF_TURN, ahead ? zero + 0.5 : magic);
    if (ahead) turns = turns + magic;
    const v_i64 odd = (v_i64)turns << 63; /* n stands in the last bits */
    v_f64 n = turns - magic;
    if (ahead) n = n - 0.5;
    v_f64 r = v_fma_f64(n, zero - CNN_HALF_TURN, d);
    r = v_fma_f64(n, zero - CNN_HALF_TURN_REST, r);
    r = (v_f64)((v_i64)r ^ odd);
    const v_f64 z = r * r;
    v_f64 p = zero - 0x1.9a6782648ecf4p-26; /* (sin(r) - r) / r^3 in r^2, 2^-35 of it */
    p = v_fma_f64(p, z, zero + 0x1.717074d277544p-19);
    p = v_fma_f64(p, z, zero - 0x1.a017d94a4b67cp-13);
    p = v_fma_f64(p, z, zero + 0x1.11110c4901939p-7);
    p = v_fma_f64(p, z, zero - 0x1.5555554765bedp-3);
    p = v_fma_f64(p, z, zero + 1.0);
    return __builtin_convertvector(r * p, v_half); /* keeps the sign of zero */
}

CNN_INLINE v_f32 v_sin(v_f32 x, int ahead) {
    v_halves y = {.all = x};
    y.half[0] = v_sin_half(y.half[0], ahead);
    y.half[1] = v_sin_half(y.half[1], ahead);
    return y.all;
}

#endif

CNN_INLINE float CNN_FN(sin_far)(float x, int ahead) {
    return (float)(ahead ? cos((double)x) : sin((double)x));
}

CNN_INLINE void CNN_FN(sin_ahead)(int64_t n, const float *x, int ahead, float *y) {
#if CNN_HAVE_FMA
    CNN_FOR_VECTORS(n, {
        const v_f32 v = v_load_n(x + i, k);
        v_store_n(y + i, v_sin(v, ahead), k);
        if (v_any(v_le(v_set(CNN_FAR), v_abs(v)))) {
            for (int64_t j = 0; j < k; j++)
                if (fabsf(v[j]) >= CNN_FAR) y[i + j] = CNN_FN(sin_far)(v[j], ahead);
        }
    })
#else
    for (int64_t i = 0; i < n; i++) y[i] = CNN_FN(sin_far)(x[i], ahead);
#endif
}

static void CNN_FN(sin_f32)(int64_t n, const float *x, float *y) {
    CNN_FN(sin_ahead)(n, x, 0, y);
}

static void CNN_FN(cos_f32)(int64_t n, const float *x, float *y) {
    CNN_FN(sin_ahead)(n, x, 1, y);
}

/* Words a and b of the stream give two normal numbers: sqrt(-2 log u) times the cosine
 * and the sine of 2 pi v, with u = (a + 1) / 2^32 and v = b / 2^32. */
CNN_INLINE void CNN_FN(normal_pairs)(const uint32_t *a, const uint32_t *b, float *c,
                                     float *s) {
    for (int i = 0; i < CNN_BLOCK; i++) {
        const double u = ((double)(int32_t)(a[i] ^ 0x80000000u) + 2147483649.0) * 0x1p-32;
#if CNN_HAVE_FMA
        const uint32_t quarter = (b[i] + (1u << 29)) >> 30;
        const double r =
            (double)(int32_t)(b[i] - (quarter << 30)) * (CNN_QUARTER * 0x1p-30);
        const double radius = __builtin_sqrt(-2.0 * CNN_FN(log_unit)(u));
        c[i] = (float)(radius * CNN_FN(sin_turned)(r, (int64_t)quarter + 1));
        s[i] = (float)(radius * CNN_FN(sin_turned)(r, (int64_t)quarter));
#else
        const double angle = (double)b[i] * (CNN_QUARTER * 0x1p-30);
        const double radius = sqrt(-2.0 * log(u));
        c[i] = (float)(radius * cos(angle));
        s[i] = (float)(radius * sin(angle));
#endif
    }
}

static void CNN_FN(normal_f32)(uint64_t seed, uint64_t block, int64_t n, float *y) {
    enum { STEP = 4 * CNN_PHILOX_BLOCKS };
    uint32_t words[4][CNN_PHILOX_BLOCKS];
    float numbers[4][CNN_PHILOX_BLOCKS], rest[STEP];
    for (; n > 0; n -= STEP, y += STEP, block += CNN_PHILOX_BLOCKS) {
        CNN_FN(philox_blocks)(seed, block, words);
        CNN_FN(normal_pairs)(words[0], words[1], numbers[0], numbers[1]);
        CNN_FN(normal_pairs)(words[2], words[3], numbers[2], numbers[3]);
        CNN_FN(interleave)(numbers, n < STEP ? rest : y);
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}
