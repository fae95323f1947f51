/* Elementwise arithmetic: one and two operands. */

CNN_LIGHT_MAP(negative_f32, -x)
CNN_LIGHT_MAP(absolute_f32, v_abs(x))
CNN_LIGHT_MAP(sign_f32, v_select(v_lt(v_zero(), x), v_set(1.0f),
                           v_select(v_lt(x, v_zero()), v_set(-1.0f), x)))
CNN_MAP(exp_f32, v_exp(x))
CNN_MAP(expm1_f32, v_expm1(x))
CNN_MAP(log_f32, v_log(x))
CNN_MAP(log1p_f32, v_log1p(x))
CNN_LIGHT_MAP(sqrt_f32, v_sqrt(x))
CNN_LIGHT_MAP(rsqrt_f32, 1.0f / v_sqrt(x))
CNN_LIGHT_MAP(square_f32, x * x)
CNN_LIGHT_MAP(reciprocal_f32, 1.0f / x)
CNN_MAP(erf_f32, v_erf(x))

static void CNN_FN(clip_f32)(int64_t n, const float *x, float p, float q, float *y) {
    const v_f32 low = v_set(p), high = v_set(q);
    CNN_FOR_STREAM(n, y, x == y, v_min(high, v_max(low, v_load_n(x + i, k))))
}

CNN_MAP_BINARY(add_f32, a + b)
CNN_MAP_BINARY(subtract_f32, a - b)
CNN_MAP_BINARY(multiply_f32, a * b)
CNN_MAP_BINARY(divide_f32, a / b)
CNN_MAP_BINARY(maximum_f32, v_maximum(a, b))
CNN_MAP_BINARY(minimum_f32, v_minimum(a, b))

CNN_MAP_BINARY(any_power_f32, v_pow(a, b))
static void CNN_FN(power_f32)(int64_t rows, int64_t cols, const float *a, int64_t a_row,
                              int64_t a_col, const float *b, int64_t b_row,
                              int64_t b_col, float *y) {
    if (rows > 0 && b_row == 0 && b_col == 0 && *b == 2.0f) {
        CNN_FN(multiply_f32)(rows, cols, a, a_row, a_col, a, a_row, a_col, y);
    } else {
        CNN_FN(any_power_f32)(rows, cols, a, a_row, a_col, b, b_row, b_col, y);
    }
}
