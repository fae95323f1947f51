/* Losses and their gradients with respect to the output.
 *
 * t is the target, o the output (probabilities, or logits where the name says so).
 * Probabilities are clipped to [epsilon, 1 - epsilon]; where the limit cuts, the
 * gradient is 0.
 */

#define CNN_EPSILON 1e-7f
#define CNN_ONE_LESS (1.0f - 1e-7f)

CNN_INLINE v_f32 v_clip_probability(v_f32 p) {
    return v_max(v_set(CNN_EPSILON), v_min(v_set(CNN_ONE_LESS), p));
}
CNN_INLINE v_mask v_not_clipped(v_f32 p) {
    return v_le(v_set(CNN_EPSILON), p) & v_le(p, v_set(CNN_ONE_LESS));
}

/* ---- mean squared error: (rows, n) -> (rows,) ---- */

#define CNN_STEP(acc, i, k)                                                          \
    {                                                                                \
        v_f32 d = v_load_n(o + (i), k) - v_load_n(t + (i), k);                       \
        acc = v_fma(d, d, acc);                                                      \
    }
CNN_DEFINE_ROW_SUM(cnn_row_squares, (int64_t n, const float *t, const float *o),
                   CNN_STEP)
#undef CNN_STEP

static void CNN_FN(mean_squared_error_f32)(int64_t rows, int64_t n, const float *t,
                                           const float *o, float *y) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n) {
        y[r] = CNN_FN(cnn_row_squares)(n, t, o) / (float)n;
    }
}

static void CNN_FN(mean_squared_error_grad_f32)(int64_t rows, int64_t n,
                                                const float *ct, const float *t,
                                                const float *o, float *g) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n, g += n) {
        const v_f32 scale = v_set(2.0f * ct[r] / (float)n);
        CNN_FOR_VECTORS(
            n, v_store_n(g + i, scale * (v_load_n(o + i, k) - v_load_n(t + i, k)), k))
    }
}

/* ---- binary crossentropy, elementwise ---- */

CNN_INLINE v_f32 v_binary_crossentropy(v_f32 t, v_f32 o) {
    v_f32 p = v_clip_probability(o);
    return -v_fma(t, v_log(p), (1.0f - t) * v_log(1.0f - p));
}
CNN_MAP_LOSS(binary_crossentropy_f32, v_binary_crossentropy(t, o))
CNN_MAP_LOSS(binary_crossentropy_logits_f32,
             v_fma(-o, t, v_max(o, v_zero())) + v_log1p_exp_neg(o))

CNN_INLINE v_f32 v_binary_crossentropy_slope(v_f32 t, v_f32 p) {
    return v_select(v_not_clipped(p), (p - t) / (p * (1.0f - p)), v_zero());
}
CNN_MAP_LOSS_GRAD(binary_crossentropy_grad_f32, ct * v_binary_crossentropy_slope(t, o))
CNN_MAP_LOSS_GRAD(binary_crossentropy_logits_grad_f32, ct * (v_sigmoid(o) - t))

/* ---- categorical crossentropy: (rows, n) -> (rows,) ---- */

#define CNN_STEP(acc, i, k)                                                          \
    acc = v_fma(v_load_n(t + (i), k), v_load_n(o + (i), k) - shift - lse, acc)
CNN_DEFINE_ROW_SUM(cnn_row_log_likelihood,
                   (int64_t n, const float *t, const float *o, v_f32 shift, v_f32 lse),
                   CNN_STEP)
#undef CNN_STEP

#define CNN_STEP(acc, i, k)                                                          \
    acc = v_fma(v_load_n(t + (i), k),                                                \
                v_keep(v_log(v_clip_probability(v_load_n(o + (i), k) / mass)), k), acc)
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_log_probability,
                         (int64_t n, const float *t, const float *o, v_f32 mass),
                         CNN_STEP)
#undef CNN_STEP

/* sum of the targets whose probability is not clipped */
#define CNN_STEP(acc, i, k)                                                          \
    acc = acc + v_select(v_not_clipped(v_load_n(o + (i), k) / mass),                \
                         v_load_n(t + (i), k), v_zero())
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_free_target,
                         (int64_t n, const float *t, const float *o, v_f32 mass),
                         CNN_STEP)
#undef CNN_STEP

static void CNN_FN(categorical_crossentropy_f32)(int64_t rows, int64_t n,
                                                 const float *t, const float *o,
                                                 float *y) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n) {
        const v_f32 total = v_set(CNN_FN(cnn_row_sum)(n, o));
        y[r] = -CNN_FN(cnn_row_log_probability)(n, t, o, total);
    }
}

static void CNN_FN(categorical_crossentropy_logits_f32)(int64_t rows, int64_t n,
                                                        const float *t, const float *o,
                                                        float *y) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n) {
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, o));
        const v_f32 lse = v_set(cnn_log1(CNN_FN(cnn_row_sum_exp)(n, o, shift)));
        y[r] = -CNN_FN(cnn_row_log_likelihood)(n, t, o, shift, lse);
    }
}

/* with p = o / sum(o): g[j] = ct (A - t[j] / p[j]) / sum(o), A = sum of free targets */
static void CNN_FN(categorical_crossentropy_grad_f32)(int64_t rows, int64_t n,
                                                      const float *ct, const float *t,
                                                      const float *o, float *g) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n, g += n) {
        const v_f32 total = v_set(CNN_FN(cnn_row_sum)(n, o));
        const v_f32 a = v_set(CNN_FN(cnn_row_free_target)(n, t, o, total));
        const v_f32 scale = v_set(ct[r]) / total;
        CNN_FOR_VECTORS(n, {
            v_f32 p = v_load_n(o + i, k) / total;
            v_f32 q = v_load_n(t + i, k) / p;
            q = v_select(v_not_clipped(p), q, v_zero());
            v_store_n(g + i, scale * (a - q), k);
        })
    }
}

/* g = ct (softmax(o) sum(t) - t) */
static void CNN_FN(categorical_crossentropy_logits_grad_f32)(
    int64_t rows, int64_t n, const float *ct, const float *t, const float *o,
    float *g) {
    for (int64_t r = 0; r < rows; r++, t += n, o += n, g += n) {
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, o));
        const float exps = CNN_FN(cnn_row_exp)(n, o, shift, g);
        const v_f32 scale = v_set(CNN_FN(cnn_row_sum)(n, t) / exps);
        const v_f32 c = v_set(ct[r]);
        CNN_FOR_VECTORS(n, v_store_n(g + i,
                                     c * v_fma(v_load_n(g + i, k), scale,
                                               -v_load_n(t + i, k)),
                                     k))
    }
}

/* ---- the same with one label per row ---- */

static void CNN_FN(sparse_categorical_crossentropy_f32)(int64_t rows, int64_t n,
                                                        const int64_t *labels,
                                                        const float *o, float *y) {
    for (int64_t r = 0; r < rows; r++, o += n) {
        const int64_t j = labels[r];
        y[r] = 0.0f;
        if (j < 0 || j >= n) continue;
        const v_f32 p = v_set(o[j] / CNN_FN(cnn_row_sum)(n, o));
        y[r] = -v_log(v_clip_probability(p))[0];
    }
}

static void CNN_FN(sparse_categorical_crossentropy_logits_f32)(int64_t rows, int64_t n,
                                                               const int64_t *labels,
                                                               const float *o,
                                                               float *y) {
    for (int64_t r = 0; r < rows; r++, o += n) {
        const int64_t j = labels[r];
        y[r] = 0.0f;
        if (j < 0 || j >= n) continue;
        const float top = CNN_FN(cnn_row_max)(n, o);
        const float lse = cnn_log1(CNN_FN(cnn_row_sum_exp)(n, o, v_set(top)));
        y[r] = lse - (o[j] - top);
    }
}

static void CNN_FN(sparse_categorical_crossentropy_grad_f32)(
    int64_t rows, int64_t n, const float *ct, const int64_t *labels, const float *o,
    float *g) {
    for (int64_t r = 0; r < rows; r++, o += n, g += n) {
        const int64_t j = labels[r];
        const float total = CNN_FN(cnn_row_sum)(n, o);
        const float p = j >= 0 && j < n ? o[j] / total : 0.0f;
        /* not clipped; NaN stays in */
        const int free_target = !(p < CNN_EPSILON || p > CNN_ONE_LESS);
        const float scale = free_target ? ct[r] / total : 0.0f;
        const v_f32 v = v_set(scale);
        CNN_FOR_VECTORS(n, v_store_n(g + i, v, k))
        if (free_target) g[j] = scale * (1.0f - 1.0f / p);
    }
}

static void CNN_FN(sparse_categorical_crossentropy_logits_grad_f32)(
    int64_t rows, int64_t n, const float *ct, const int64_t *labels, const float *o,
    float *g) {
    for (int64_t r = 0; r < rows; r++, o += n, g += n) {
        const int64_t j = labels[r];
        if (j < 0 || j >= n) {
            memset(g, 0, (size_t)n * sizeof(float));
            continue;
        }
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, o));
        const v_f32 scale = v_set(1.0f / CNN_FN(cnn_row_exp)(n, o, shift, g));
        const v_f32 c = v_set(ct[r]);
        const v_f32 target = v_set(1.0f);
        const float at_label = (c * v_fma(v_set(g[j]), scale, -target))[0];
        CNN_FOR_VECTORS(n, v_store_n(g + i, c * (v_load_n(g + i, k) * scale), k))
        g[j] = at_label;
    }
}
