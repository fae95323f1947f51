/* softmax, log_softmax and their gradients, row by row. */

/* y = exp(x - top) */
#define CNN_STEP(acc, i, k)                                                          \
    {                                                                                \
        v_f32 e = v_exp_low(v_load_n(x + (i), k) - shift);                           \
        v_store_n(y + (i), e, k);                                                    \
        acc = acc + v_keep(e, k);                                                    \
    }
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_exp,
                         (int64_t n, const float *x, v_f32 shift, float *y), CNN_STEP)
#undef CNN_STEP

/* the same sum without the array */
#define CNN_STEP(acc, i, k)                                                          \
    acc = acc + v_keep(v_exp_low(v_load_n(x + (i), k) - shift), k)
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_sum_exp, (int64_t n, const float *x, v_f32 shift),
                         CNN_STEP)
#undef CNN_STEP

#define CNN_STEP(acc, i, k)                                                          \
    acc = v_fma(v_load_n(a + (i), k), v_load_n(b + (i), k), acc)
CNN_DEFINE_ROW_SUM(cnn_row_dot, (int64_t n, const float *a, const float *b), CNN_STEP)
#undef CNN_STEP

CNN_INLINE float cnn_log1(float x) { return v_log(v_set(x))[0]; }

static void CNN_FN(softmax_f32)(int64_t rows, int64_t n, const float *x, float *y) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, x));
        const v_f32 scale = v_set(1.0f / CNN_FN(cnn_row_exp)(n, x, shift, y));
        CNN_FOR_VECTORS(n, v_store_n(y + i, v_load_n(y + i, k) * scale, k))
    }
}

static void CNN_FN(log_softmax_f32)(int64_t rows, int64_t n, const float *x, float *y) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, x));
        const v_f32 lse = v_set(cnn_log1(CNN_FN(cnn_row_sum_exp)(n, x, shift)));
        CNN_FOR_VECTORS(n, v_store_n(y + i, v_load_n(x + i, k) - shift - lse, k))
    }
}

/* s is the output: g = s (ct - sum(ct s)) */
static void CNN_FN(softmax_grad_f32)(int64_t rows, int64_t n, const float *ct,
                                     const float *s, float *g) {
    for (int64_t r = 0; r < rows; r++, ct += n, s += n, g += n) {
        const v_f32 dot = v_set(CNN_FN(cnn_row_dot)(n, ct, s));
        CNN_FOR_VECTORS(
            n, v_store_n(g + i, v_load_n(s + i, k) * (v_load_n(ct + i, k) - dot), k))
    }
}

/* s is the output: g = ct - exp(s) sum(ct) */
static void CNN_FN(log_softmax_grad_f32)(int64_t rows, int64_t n, const float *ct,
                                         const float *s, float *g) {
    for (int64_t r = 0; r < rows; r++, ct += n, s += n, g += n) {
        const v_f32 total = v_set(-CNN_FN(cnn_row_sum)(n, ct));
        CNN_FOR_VECTORS(n, v_store_n(g + i,
                                     v_fma(v_exp(v_load_n(s + i, k)), total,
                                           v_load_n(ct + i, k)),
                                     k))
    }
}
