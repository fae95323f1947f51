/* What the machine can do at best: arithmetic without memory, memory without
 * arithmetic.  The roofline benchmark compares the other kernels with it. */

static int64_t CNN_FN(peak_fma_f32)(int64_t rounds, float x, float *y) {
    v_f32 chain[CNN_PEAK_CHAINS], sum = v_zero();
    const v_f32 factor = v_set(x), more = v_set(1.0f - x);
    CNN_UNROLL(12)
    for (int j = 0; j < CNN_PEAK_CHAINS; j++) chain[j] = v_set((float)j);
    for (int64_t i = 0; i < rounds; i++) {
        CNN_UNROLL(12)
        for (int j = 0; j < CNN_PEAK_CHAINS; j++) {
            chain[j] = v_fma(chain[j], factor, more);
            CNN_KEEP(chain[j]);
        }
    }
    CNN_UNROLL(12)
    for (int j = 0; j < CNN_PEAK_CHAINS; j++) sum = sum + chain[j];
    *y = 0.0f;
    for (int j = 0; j < CNN_VLEN; j++) *y += sum[j];
    return 2 * CNN_PEAK_CHAINS * CNN_VLEN;
}

static int64_t CNN_FN(peak_tiles_bf16)(int64_t rounds, float x, float *y) {
    *y = x;
#if CNN_HAVE_AMX
    _tile_loadconfig(&CNN_FN(amx_config)); /* which leaves zeros in the tiles */
    for (; rounds > 0; rounds--) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return 4 * 2 * 16 * 16 * 32;
#else
    (void)rounds;
    return 0;
#endif
}

/* so that the compiler makes no memset and no memcpy of a loop */
#define CNN_PEAK_BARRIER __asm__ volatile("" ::: "memory")

/* y[0] = sum of a: as many independent chains as the latency needs */
static void CNN_FN(stream_read_f32)(int64_t n, const float *a, const float *b, float s,
                                    float *y) {
    (void)b;
    (void)s;
    v_f32 c0 = v_zero(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    int64_t i = 0;
    for (; i + 8 * CNN_VLEN <= n; i += 8 * CNN_VLEN) {
        c0 = c0 + v_load(a + i);
        c1 = c1 + v_load(a + i + 1 * CNN_VLEN);
        c2 = c2 + v_load(a + i + 2 * CNN_VLEN);
        c3 = c3 + v_load(a + i + 3 * CNN_VLEN);
        c4 = c4 + v_load(a + i + 4 * CNN_VLEN);
        c5 = c5 + v_load(a + i + 5 * CNN_VLEN);
        c6 = c6 + v_load(a + i + 6 * CNN_VLEN);
        c7 = c7 + v_load(a + i + 7 * CNN_VLEN);
    }
    c0 = ((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7));
    float sum = 0.0f;
    for (int j = 0; j < CNN_VLEN; j++) sum += c0[j];
    for (; i < n; i++) sum += a[i];
    *y = sum;
}

/* y[i] = formula, four vectors a turn; tail is the formula for one element */
#define CNN_PEAK_LOOP(put, formula)                                                  \
    for (; i + 4 * CNN_VLEN <= n; i += 4 * CNN_VLEN) {                               \
        CNN_UNROLL(4)                                                                \
        for (int j = 0; j < 4; j++) {                                                \
            const int64_t k = i + j * CNN_VLEN;                                      \
            put(y + k, formula);                                                     \
        }                                                                            \
        CNN_PEAK_BARRIER;                                                            \
    }
#define CNN_PEAK_STREAM(name, formula, tail)                                         \
    static void CNN_FN(name)(int64_t n, const float *a, const float *b, float s,     \
                             float *y) {                                             \
        const v_f32 vs = v_set(s);                                                   \
        int64_t i = 0;                                                               \
        (void)a, (void)b, (void)vs;                                                  \
        if (n >= CNN_STREAM) { /* past the caches, as the other kernels */           \
            for (; (uintptr_t)(y + i) % (4 * CNN_VLEN); i++) y[i] = tail;            \
            CNN_PEAK_LOOP(v_stream, formula)                                         \
            v_stream_end();                                                          \
        }                                                                            \
        CNN_PEAK_LOOP(v_store, formula)                                              \
        for (; i < n; i++) {                                                         \
            y[i] = tail;                                                             \
            CNN_PEAK_BARRIER;                                                        \
        }                                                                            \
    }

CNN_PEAK_STREAM(stream_write_f32, vs, s)
CNN_PEAK_STREAM(stream_copy_f32, v_load(a + k), a[i])
CNN_PEAK_STREAM(stream_triad_f32, v_fma(v_load(b + k), vs, v_load(a + k)),
                a[i] + s * b[i])
