/* Losses and their gradients with respect to the output.
 *
 * t is the target, o the output (probabilities, or logits where the name says so).
 * Probabilities are clipped to [epsilon, 1 - epsilon]; where the limit cuts, the
 * gradient is 0.
 *
 * What works on rows is written once, as a body that computes the losses y, the
 * gradient g, or both; one that is not wanted is NULL, which the compiler knows.
 */

#define CNN_EPSILON 1e-7f
#define CNN_ONE_LESS (1.0f - 1e-7f)

CNN_INLINE v_f32 v_clip_probability(v_f32 p) {
    return v_max(v_set(CNN_EPSILON), v_min(v_set(CNN_ONE_LESS), p));
}
CNN_INLINE v_mask v_not_clipped(v_f32 p) {
    return v_le(v_set(CNN_EPSILON), p) & v_le(p, v_set(CNN_ONE_LESS));
}

/* an array from row r on, or still none */
#define CNN_FROM(p, offset) ((p) == NULL ? NULL : (p) + (offset))

/* the three kernels of a body; T is the type of the targets */
#define CNN_LOSS_KERNELS_OF(name, body, T)                                           \
    static void CNN_FN(name##_f32)(int64_t rows, int64_t n, const T *t,              \
                                   const float *o, float *y) {                       \
        body(rows, n, NULL, t, o, y, NULL);                                          \
    }                                                                                \
    static void CNN_FN(name##_grad_f32)(int64_t rows, int64_t n, const float *ct,    \
                                        const T *t, const float *o, float *g) {      \
        body(rows, n, ct, t, o, NULL, g);                                            \
    }                                                                                \
    static void CNN_FN(name##_with_grad_f32)(int64_t rows, int64_t n,                \
                                             const float *ct, const T *t,            \
                                             const float *o, float *y, float *g) {   \
        body(rows, n, ct, t, o, y, g);                                               \
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

CNN_INLINE void cnn_squares_slope(int64_t n, float ct, const float *t, const float *o,
                                  float *g) {
    const v_f32 scale = v_set(2.0f * ct / (float)n);
    CNN_FOR_VECTORS(
        n, v_store_n(g + i, scale * (v_load_n(o + i, k) - v_load_n(t + i, k)), k))
}

CNN_INLINE void cnn_mean_squared_error(int64_t rows, int64_t n, const float *ct,
                                       const float *t, const float *o, float *y,
                                       float *g) {
    int64_t r = 0;
    CNN_FOR_FOURS(rows, n, r) {
        v_quad q[4] = {{0}};
        CNN_UNROLL(4) for (int64_t j = r; j < r + 4; j++) {
            if (y != NULL) q[j - r] = cnn_row_squares_quad(n, t + j * n, o + j * n);
            if (g != NULL) cnn_squares_slope(n, ct[j], t + j * n, o + j * n, g + j * n);
        }
        if (y != NULL) cnn_store_quad(y + r, cnn_four_sums(q) / (float)n);
    }
    for (; r < rows; r++) {
        if (y != NULL) {
            y[r] = CNN_FN(cnn_row_squares)(n, t + r * n, o + r * n) / (float)n;
        }
        if (g != NULL) cnn_squares_slope(n, ct[r], t + r * n, o + r * n, g + r * n);
    }
}
CNN_LOSS_KERNELS_OF(mean_squared_error, cnn_mean_squared_error, float)

/* ---- binary crossentropy, elementwise ---- */

CNN_INLINE v_f32 v_binary_crossentropy(v_f32 t, v_f32 o) {
    v_f32 p = v_clip_probability(o);
    return -v_fma(t, v_log_unit(p), (1.0f - t) * v_log_unit(1.0f - p));
}
CNN_MAP_LOSS(binary_crossentropy_f32, v_binary_crossentropy(t, o))
CNN_MAP_LOSS(binary_crossentropy_logits_f32,
             v_fma(-o, t, v_max(o, v_zero())) + v_log1p_exp_neg(o))

CNN_INLINE v_f32 v_binary_crossentropy_slope(v_f32 t, v_f32 p) {
    return v_select(v_not_clipped(p), (p - t) / (p * (1.0f - p)), v_zero());
}
CNN_MAP_LOSS_GRAD(binary_crossentropy_grad_f32, ct * v_binary_crossentropy_slope(t, o))
CNN_MAP_LOSS_GRAD(binary_crossentropy_logits_grad_f32, ct * (v_sigmoid(o) - t))

CNN_MAP_LOSS_WITH_GRAD(binary_crossentropy_with_grad_f32, binary_crossentropy_f32,
                       binary_crossentropy_grad_f32)
CNN_MAP_LOSS_WITH_GRAD(binary_crossentropy_logits_with_grad_f32,
                       binary_crossentropy_logits_f32,
                       binary_crossentropy_logits_grad_f32)

/* ---- categorical crossentropy: (rows, n) -> (rows,) ---- */

#define CNN_STEP(acc, i, k)                                                          \
    acc = v_fma(v_load_n(t + (i), k), v_load_n(o + (i), k) - shift - lse, acc)
CNN_DEFINE_ROW_SUM(cnn_row_log_likelihood,
                   (int64_t n, const float *t, const float *o, v_f32 shift, v_f32 lse),
                   CNN_STEP)
#undef CNN_STEP

#define CNN_VALUE(i, k) v_log_unit(v_clip_probability(v_load_n(o + (i), k) / mass))
#define CNN_ADD(acc, i, k, value)                                                    \
    acc = v_fma(v_load_n(t + (i), k), v_keep(value, k), acc)
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_log_probability,
                         (int64_t n, const float *t, const float *o, v_f32 mass),
                         CNN_VALUE, CNN_ADD)
#undef CNN_VALUE
#undef CNN_ADD

/* sum of the targets whose probability is not clipped */
#define CNN_VALUE(i, k)                                                              \
    v_select(v_not_clipped(v_load_n(o + (i), k) / mass), v_load_n(t + (i), k), v_zero())
#define CNN_ADD(acc, i, k, value) acc = acc + value
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_free_target,
                         (int64_t n, const float *t, const float *o, v_f32 mass),
                         CNN_VALUE, CNN_ADD)
#undef CNN_VALUE
#undef CNN_ADD

/* With p = o / sum(o): g[j] = ct (A - t[j] / p[j]) / sum(o), A = sum of the targets
 * that are free. */
CNN_INLINE void cnn_categorical_tile(int64_t n, const float *ct, const float *t,
                                     const float *o, float *y, float *g) {
    v_f32 c[CNN_SHORT], d[CNN_SHORT], terms[CNN_SHORT];
    CNN_FN(tile_load)(n, o, c);
    CNN_FN(tile_load)(n, t, d);
    const v_f32 total = cnn_tile_sum(n, c);
    for (int64_t j = 0; j < n; j++) c[j] = c[j] / total;
    if (y != NULL) {
        for (int64_t j = 0; j < n; j++) {
            terms[j] = d[j] * v_log_unit(v_clip_probability(c[j]));
        }
        v_store(y, -cnn_tile_sum(n, terms));
    }
    if (g == NULL) return;
    for (int64_t j = 0; j < n; j++) {
        terms[j] = v_select(v_not_clipped(c[j]), d[j], v_zero());
    }
    const v_f32 a = cnn_tile_sum(n, terms), scale = v_load(ct) / total;
    for (int64_t j = 0; j < n; j++) {
        v_f32 q = v_select(v_not_clipped(c[j]), d[j] / c[j], v_zero());
        c[j] = scale * (a - q);
    }
    CNN_FN(tile_store)(n, c, g);
}

CNN_INLINE void cnn_categorical_crossentropy(int64_t rows, int64_t n, const float *ct,
                                             const float *t, const float *o, float *y,
                                             float *g) {
    int64_t r = 0;
    CNN_FOR_TILES(rows, n, r) {
        cnn_categorical_tile(n, CNN_FROM(ct, r), t + r * n, o + r * n, CNN_FROM(y, r),
                             CNN_FROM(g, r * n));
    }
    for (t += r * n, o += r * n; r < rows; r++, t += n, o += n) {
        const v_f32 total = v_set(CNN_FN(cnn_row_sum)(n, o));
        if (y != NULL) y[r] = -CNN_FN(cnn_row_log_probability)(n, t, o, total);
        if (g == NULL) continue;
        const v_f32 a = v_set(CNN_FN(cnn_row_free_target)(n, t, o, total));
        const v_f32 scale = v_set(ct[r]) / total;
        float *to = g + r * n;
        CNN_FOR_VECTORS(n, {
            v_f32 p = v_load_n(o + i, k) / total;
            v_f32 q = v_load_n(t + i, k) / p;
            q = v_select(v_not_clipped(p), q, v_zero());
            v_store_n(to + i, scale * (a - q), k);
        })
    }
}
CNN_LOSS_KERNELS_OF(categorical_crossentropy, cnn_categorical_crossentropy, float)

/* g = ct (softmax(o) sum(t) - t) */
CNN_INLINE void cnn_categorical_logits_tile(int64_t n, const float *ct, const float *t,
                                            const float *o, float *y, float *g) {
    v_f32 c[CNN_SHORT], d[CNN_SHORT], terms[CNN_SHORT];
    CNN_FN(tile_load)(n, o, c);
    CNN_FN(tile_load)(n, t, d);
    const v_f32 exps = cnn_tile_exp(n, c, terms);
    if (y != NULL) {
        const v_f32 lse = v_log(exps);
        for (int64_t j = 0; j < n; j++) c[j] = d[j] * (c[j] - lse);
        v_store(y, -cnn_tile_sum(n, c));
    }
    if (g == NULL) return;
    const v_f32 scale = cnn_tile_sum(n, d) / exps, cotangent = v_load(ct);
    for (int64_t j = 0; j < n; j++) {
        terms[j] = cotangent * v_fma(terms[j], scale, -d[j]);
    }
    CNN_FN(tile_store)(n, terms, g);
}

CNN_INLINE void cnn_categorical_logits(int64_t rows, int64_t n, const float *ct,
                                       const float *t, const float *o, float *y,
                                       float *g) {
    int64_t r = 0;
    CNN_FOR_TILES(rows, n, r) {
        cnn_categorical_logits_tile(n, CNN_FROM(ct, r), t + r * n, o + r * n,
                                    CNN_FROM(y, r), CNN_FROM(g, r * n));
    }
    for (t += r * n, o += r * n; r < rows; r++, t += n, o += n) {
        float *to = g + r * n;
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, o));
        const float exps = g != NULL ? CNN_FN(cnn_row_exp)(n, o, shift, to)
                                     : CNN_FN(cnn_row_sum_exp)(n, o, shift);
        if (y != NULL) {
            const v_f32 lse = v_set(cnn_log1(exps));
            y[r] = -CNN_FN(cnn_row_log_likelihood)(n, t, o, shift, lse);
        }
        if (g == NULL) continue;
        const v_f32 scale = v_set(CNN_FN(cnn_row_sum)(n, t) / exps);
        const v_f32 c = v_set(ct[r]);
        CNN_FOR_VECTORS(n, v_store_n(to + i,
                                     c * v_fma(v_load_n(to + i, k), scale,
                                               -v_load_n(t + i, k)),
                                     k))
    }
}
CNN_LOSS_KERNELS_OF(categorical_crossentropy_logits, cnn_categorical_logits, float)

/* ---- the same with one label per row ---- */

CNN_INLINE void cnn_sparse_tile(int64_t n, const float *ct, const int64_t *labels,
                                const float *o, float *y, float *g) {
    v_f32 c[CNN_SHORT], label, column = v_zero(), p = column;
    const int outside = cnn_tile_labels(n, labels, &label);
    CNN_FN(tile_load)(n, o, c);
    const v_f32 total = cnn_tile_sum(n, c);
    CNN_UNROLL(2) for (int64_t j = 0; j < n; j++, column = column + 1.0f) {
        p = v_select(v_eq(label, column), c[j], p);
    }
    p = p / total;
    if (y != NULL) v_store(y, -v_log_unit(v_clip_probability(p)));
    if (g != NULL) {
        const v_mask cut = v_lt(p, v_set(CNN_EPSILON)) | v_lt(v_set(CNN_ONE_LESS), p);
        const v_f32 scale = v_select(cut, v_zero(), v_load(ct) / total);
        const v_f32 at_label = v_select(cut, v_zero(), scale * (1.0f - 1.0f / p));
        column = v_zero();
        CNN_UNROLL(2) for (int64_t j = 0; j < n; j++, column = column + 1.0f) {
            c[j] = v_select(v_eq(label, column), at_label, scale);
        }
        CNN_FN(tile_store)(n, c, g);
    }
    if (outside) CNN_FN(tile_erase)(n, labels, y, g);
}

CNN_INLINE void cnn_sparse_crossentropy(int64_t rows, int64_t n, const float *ct,
                                        const int64_t *labels, const float *o, float *y,
                                        float *g) {
    int64_t r = 0;
    if (y != NULL) { /* the gradient alone has nothing that a tile makes cheaper */
        CNN_FOR_TILES(rows, n, r) {
            cnn_sparse_tile(n, CNN_FROM(ct, r), labels + r, o + r * n, y + r,
                            CNN_FROM(g, r * n));
        }
    }
    for (o += r * n; r < rows; r++, o += n) {
        const int64_t j = labels[r];
        const int is_class = j >= 0 && j < n;
        const float total = CNN_FN(cnn_row_sum)(n, o);
        const float p = is_class ? o[j] / total : 0.0f;
        if (y != NULL) {
            y[r] = is_class ? -v_log_unit(v_clip_probability(v_set(p)))[0] : 0.0f;
        }
        if (g == NULL) continue;
        /* not clipped; NaN stays in */
        const int free_target = !(p < CNN_EPSILON || p > CNN_ONE_LESS);
        const float scale = free_target ? ct[r] / total : 0.0f;
        const v_f32 v = v_set(scale);
        float *to = g + r * n;
        CNN_FOR_VECTORS(n, v_store_n(to + i, v, k))
        if (free_target) to[j] = scale * (1.0f - 1.0f / p);
    }
}
CNN_LOSS_KERNELS_OF(sparse_categorical_crossentropy, cnn_sparse_crossentropy, int64_t)

CNN_INLINE void cnn_sparse_logits_tile(int64_t n, const float *ct,
                                       const int64_t *labels, const float *o, float *y,
                                       float *g) {
    v_f32 c[CNN_SHORT], terms[CNN_SHORT], label, column = v_zero(), at_label = column;
    const int outside = cnn_tile_labels(n, labels, &label);
    CNN_FN(tile_load)(n, o, c);
    const v_f32 exps = cnn_tile_exp(n, c, terms);
    const v_f32 scale = 1.0f / exps, cotangent = g != NULL ? v_load(ct) : v_zero();
    CNN_UNROLL(2) for (int64_t j = 0; j < n; j++, column = column + 1.0f) {
        const v_mask here = v_eq(label, column);
        if (y != NULL) at_label = v_select(here, c[j], at_label);
        if (g != NULL) { /* -0 leaves the product as it is */
            const v_f32 target = v_select(here, v_set(-1.0f), v_set(-0.0f));
            terms[j] = cotangent * v_fma(terms[j], scale, target);
        }
    }
    if (g != NULL) CNN_FN(tile_store)(n, terms, g);
    if (y != NULL) v_store(y, v_log(exps) - at_label);
    if (outside) CNN_FN(tile_erase)(n, labels, y, g);
}

CNN_INLINE void cnn_sparse_logits(int64_t rows, int64_t n, const float *ct,
                                  const int64_t *labels, const float *o, float *y,
                                  float *g) {
    int64_t r = 0;
    CNN_FOR_TILES(rows, n, r) {
        cnn_sparse_logits_tile(n, CNN_FROM(ct, r), labels + r, o + r * n,
                               CNN_FROM(y, r), CNN_FROM(g, r * n));
    }
    for (o += r * n; r < rows; r++, o += n) {
        const int64_t j = labels[r];
        float *to = g + r * n;
        if (j < 0 || j >= n) {
            if (y != NULL) y[r] = 0.0f;
            if (g != NULL) memset(to, 0, (size_t)n * sizeof(float));
            continue;
        }
        const float top = CNN_FN(cnn_row_max)(n, o);
        const float exps = g != NULL ? CNN_FN(cnn_row_exp)(n, o, v_set(top), to)
                                     : CNN_FN(cnn_row_sum_exp)(n, o, v_set(top));
        if (y != NULL) y[r] = cnn_log1(exps) - (o[j] - top);
        if (g == NULL) continue;
        const v_f32 scale = v_set(1.0f / exps), c = v_set(ct[r]);
        const v_f32 target = v_set(1.0f);
        const float at_label = (c * v_fma(v_set(to[j]), scale, -target))[0];
        CNN_FOR_VECTORS(n, v_store_n(to + i, c * (v_load_n(to + i, k) * scale), k))
        to[j] = at_label;
    }
}
CNN_LOSS_KERNELS_OF(sparse_categorical_crossentropy_logits, cnn_sparse_logits, int64_t)
