/* Sines, cosines and normal random numbers, computed in double and rounded once.
 *
 * Largest error 0.501 units in the last place; the polynomials are Taylor's, cut where
 * the rest is below 2^-36.  Instruction sets without FMA call the C library, which
 * rounds to the same float but for rare ties.
 *
 * Box and Muller: "A note on the generation of random normal deviates", Annals of
 * Mathematical Statistics 29 (1958).
 */

#define CNN_BLOCK 16 /* elements side by side; the loops over them vectorize */
#define CNN_QUARTER 1.5707963267948966     /* pi / 2, and the rest of it: */
#define CNN_QUARTER_REST 6.123233995736766e-17
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

/* sin(r) and cos(r) for |r| <= pi / 4 */
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

/* y = sin(x + ahead * pi / 2), a block */
CNN_INLINE void CNN_FN(sin_block)(const float *x, int64_t ahead, float *y) {
    const double magic = 0x1.8p52; /* adding it rounds to an integer */
    for (int i = 0; i < CNN_BLOCK; i++) {
        const double d = x[i];
        const double sum = __builtin_fma(d, 1.0 / CNN_QUARTER, magic);
        const double n = sum - magic;
        double r = __builtin_fma(-n, CNN_QUARTER, d);
        r = __builtin_fma(-n, CNN_QUARTER_REST, r);
        y[i] = (float)CNN_FN(sin_turned)(r, CNN_FN(bits64)(sum) + ahead);
    }
}

#endif

CNN_INLINE void CNN_FN(sin_ahead)(int64_t n, const float *x, int64_t ahead, float *y) {
    float from[CNN_BLOCK] = {0}, to[CNN_BLOCK];
    for (int64_t k = 0; k < n; k += CNN_BLOCK) {
        const int64_t count = n - k < CNN_BLOCK ? n - k : CNN_BLOCK;
        int far = !CNN_HAVE_FMA;
        memcpy(from, x + k, (size_t)count * sizeof *x);
#if CNN_HAVE_FMA
        CNN_FN(sin_block)(from, ahead, to);
        for (int i = 0; i < CNN_BLOCK; i++)
            far |= fabsf(from[i]) >= CNN_FAR;
#endif
        for (int64_t i = 0; far && i < count; i++)
            if (!CNN_HAVE_FMA || fabsf(from[i]) >= CNN_FAR)
                to[i] = (float)(ahead ? cos((double)from[i]) : sin((double)from[i]));
        memcpy(y + k, to, (size_t)count * sizeof *y);
    }
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
        float *to = n < STEP ? rest : y;
        CNN_FN(philox_blocks)(seed, block, words);
        CNN_FN(normal_pairs)(words[0], words[1], numbers[0], numbers[1]);
        CNN_FN(normal_pairs)(words[2], words[3], numbers[2], numbers[3]);
        for (int i = 0; i < CNN_PHILOX_BLOCKS; i++)
            for (int j = 0; j < 4; j++)
                to[4 * i + j] = numbers[j][i];
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}
