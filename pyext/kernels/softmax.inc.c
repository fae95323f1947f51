/* softmax, log_softmax and their gradients: short rows in tiles, others row by row. */

/* y = exp(x - top), and the same sum without the array */
#define CNN_VALUE(i, k) v_exp_neg(v_load_n(x + (i), k) - shift)
#define CNN_ADD(acc, i, k, e)                                                        \
    {                                                                                \
        const v_f32 term = e;                                                        \
        v_store_n(y + (i), term, k);                                                 \
        acc = acc + v_keep(term, k);                                                 \
    }
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_exp,
                         (int64_t n, const float *x, v_f32 shift, float *y), CNN_VALUE,
                         CNN_ADD)
#undef CNN_ADD
#define CNN_ADD(acc, i, k, e) acc = acc + v_keep(e, k)
CNN_DEFINE_ROW_SUM_HEAVY(cnn_row_sum_exp, (int64_t n, const float *x, v_f32 shift),
                         CNN_VALUE, CNN_ADD)
#undef CNN_VALUE
#undef CNN_ADD

#define CNN_STEP(acc, i, k)                                                          \
    acc = v_fma(v_load_n(a + (i), k), v_load_n(b + (i), k), acc)
CNN_DEFINE_ROW_SUM(cnn_row_dot, (int64_t n, const float *a, const float *b), CNN_STEP)
#undef CNN_STEP

CNN_INLINE float cnn_log1(float x) { return v_log(v_set(x))[0]; }

/* c = c - top by rows and exps = exp(c), one array or two; returns the sums of exps */
CNN_INLINE v_f32 cnn_tile_exp(int64_t n, v_f32 *c, v_f32 *exps) {
    const v_f32 top = cnn_tile_top(n, c);
    for (int64_t j = 0; j < n; j++) {
        c[j] = c[j] - top;
        exps[j] = v_exp_neg(c[j]);
    }
    return cnn_tile_sum(n, exps);
}

static void CNN_FN(softmax_f32)(int64_t rows, int64_t n, const float *x, float *y) {
    int64_t r = 0;
    CNN_FOR_TILES(rows, n, r) {
        v_f32 c[CNN_SHORT];
        CNN_FN(tile_load)(n, x + r * n, c);
        const v_f32 scale = 1.0f / cnn_tile_exp(n, c, c);
        for (int64_t j = 0; j < n; j++) c[j] = c[j] * scale;
        CNN_FN(tile_store)(n, c, y + r * n);
    }
    for (; r < rows; r++) {
        const float *from = x + r * n;
        float *to = y + r * n;
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, from));
        const v_f32 scale = v_set(1.0f / CNN_FN(cnn_row_exp)(n, from, shift, to));
        CNN_FOR_VECTORS(n, v_store_n(to + i, v_load_n(to + i, k) * scale, k))
    }
}

static void CNN_FN(log_softmax_f32)(int64_t rows, int64_t n, const float *x, float *y) {
    int64_t r = 0;
    CNN_FOR_TILES(rows, n, r) {
        v_f32 c[CNN_SHORT], exps[CNN_SHORT];
        CNN_FN(tile_load)(n, x + r * n, c);
        const v_f32 lse = v_log(cnn_tile_exp(n, c, exps));
        for (int64_t j = 0; j < n; j++) c[j] = c[j] - lse;
        CNN_FN(tile_store)(n, c, y + r * n);
    }
    for (; r < rows; r++) {
        const float *from = x + r * n;
        float *to = y + r * n;
        const v_f32 shift = v_set(CNN_FN(cnn_row_max)(n, from));
        const v_f32 lse = v_set(cnn_log1(CNN_FN(cnn_row_sum_exp)(n, from, shift)));
        CNN_FOR_VECTORS(n, v_store_n(to + i, v_load_n(from + i, k) - shift - lse, k))
    }
}

/* s is the output: g = s (ct - sum(ct s)) */
CNN_INLINE void cnn_softmax_slope(int64_t n, const float *ct, const float *s, float dot,
                                  float *g) {
    const v_f32 d = v_set(dot);
    CNN_FOR_VECTORS(n,
                    v_store_n(g + i, v_load_n(s + i, k) * (v_load_n(ct + i, k) - d), k))
}

static void CNN_FN(softmax_grad_f32)(int64_t rows, int64_t n, const float *ct,
                                     const float *s, float *g) {
    int64_t r = 0;
    CNN_FOR_FOURS(rows, n, r) {
        v_quad q[4];
        CNN_UNROLL(4) for (int j = 0; j < 4; j++) {
            q[j] = cnn_row_dot_quad(n, ct + (r + j) * n, s + (r + j) * n);
        }
        const v_quad dots = cnn_four_sums(q);
        CNN_UNROLL(4) for (int j = 0; j < 4; j++) {
            cnn_softmax_slope(n, ct + (r + j) * n, s + (r + j) * n, dots[j],
                              g + (r + j) * n);
        }
    }
    for (; r < rows; r++) {
        const float dot = CNN_FN(cnn_row_dot)(n, ct + r * n, s + r * n);
        cnn_softmax_slope(n, ct + r * n, s + r * n, dot, g + r * n);
    }
}

/* s is the output: g = ct - exp(s) sum(ct) */
CNN_INLINE void cnn_log_softmax_slope(int64_t n, const float *ct, const float *s,
                                      float sum, float *g) {
    const v_f32 total = v_set(-sum);
    CNN_FOR_VECTORS(
        n, v_store_n(g + i,
                     v_fma(v_exp(v_load_n(s + i, k)), total, v_load_n(ct + i, k)), k))
}

static void CNN_FN(log_softmax_grad_f32)(int64_t rows, int64_t n, const float *ct,
                                         const float *s, float *g) {
    int64_t r = 0;
    CNN_FOR_FOURS(rows, n, r) {
        v_quad q[4];
        CNN_UNROLL(4) for (int j = 0; j < 4; j++) {
            q[j] = cnn_row_sum_quad(n, ct + (r + j) * n);
        }
        const v_quad sums = cnn_four_sums(q);
        for (int j = 0; j < 4; j++) {
            cnn_log_softmax_slope(n, ct + (r + j) * n, s + (r + j) * n, sums[j],
                                  g + (r + j) * n);
        }
    }
    for (; r < rows; r++) {
        const float sum = CNN_FN(cnn_row_sum)(n, ct + r * n);
        cnn_log_softmax_slope(n, ct + r * n, s + r * n, sum, g + r * n);
    }
}
