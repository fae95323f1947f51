/* Activation functions and their gradients.
 *
 * First the functions on one vector, which the epilogues of matmul use too, then the
 * kernels.  A gradient takes the cotangent ct and what its forward saved: the output y
 * where the derivative follows from it, else the input x.
 */

#define CNN_SELU_SCALE 1.05070098735548f
#define CNN_SELU_ALPHA 1.67326324235438f
#define CNN_SQRT_2_OVER_PI 0.797884560802865356f
#define CNN_INV_SQRT_2PI 0.398942280401432678f

CNN_INLINE v_f32 v_relu(v_f32 x) { return v_select(v_lt(x, v_zero()), v_zero(), x); }

CNN_INLINE v_f32 v_leaky_relu(v_f32 x, v_f32 slope) {
    return v_select(v_lt(x, v_zero()), x * slope, x);
}

CNN_INLINE v_f32 v_elu(v_f32 x, v_f32 alpha) {
    return v_select(v_lt(v_zero(), x), x, alpha * v_expm1(v_min(v_zero(), x)));
}

CNN_INLINE v_f32 v_selu(v_f32 x) {
    return CNN_SELU_SCALE * v_elu(x, v_set(CNN_SELU_ALPHA));
}

/* x P(Z <= x); the tail keeps its accuracy where 1 + erf would cancel */
CNN_INLINE v_f32 v_gelu(v_f32 x) {
    v_f32 bell, tail = v_normal_tail(x, &bell);
    return x * v_select(v_lt(x, v_zero()), tail, 1.0f - tail);
}

/* x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
CNN_INLINE v_f32 v_gelu_tanh_gate(v_f32 x) {
    v_f32 inner = v_fma(x * x, v_set(0.044715f), v_set(1.0f));
    return v_sigmoid(2.0f * CNN_SQRT_2_OVER_PI * x * inner);
}

CNN_INLINE v_f32 v_gelu_tanh(v_f32 x) { return x * v_gelu_tanh_gate(x); }

CNN_INLINE v_f32 v_silu(v_f32 x) { return x * v_sigmoid(x); }

CNN_INLINE v_f32 v_hard_sigmoid(v_f32 x) {
    v_f32 y = v_fma(x, v_set(1.0f / 6.0f), v_set(0.5f));
    return v_max(v_zero(), v_min(v_set(1.0f), y));
}

CNN_INLINE v_f32 v_softsign(v_f32 x) { return x / (1.0f + v_abs(x)); }

CNN_LIGHT_MAP(relu_f32, v_relu(x))
CNN_LIGHT_MAP_P(leaky_relu_f32, v_leaky_relu(x, p))
CNN_MAP_P(elu_f32, v_elu(x, p))
CNN_MAP(selu_f32, v_selu(x))
CNN_MAP(gelu_erf_f32, v_gelu(x))
CNN_MAP(gelu_tanh_f32, v_gelu_tanh(x))
CNN_MAP(silu_f32, v_silu(x))
CNN_MAP(sigmoid_f32, v_sigmoid(x))
CNN_LIGHT_MAP(hard_sigmoid_f32, v_hard_sigmoid(x))
CNN_MAP(tanh_f32, v_tanh(x))
CNN_MAP(softplus_f32, v_softplus(x))
CNN_LIGHT_MAP(softsign_f32, v_softsign(x))

/* ---- gradients: s is y for relu, elu, selu, sigmoid, tanh, else x ---- */

CNN_INLINE v_f32 v_relu_grad(v_f32 ct, v_f32 s) {
    return v_select(v_lt(v_zero(), s), ct, v_zero());
}
CNN_LIGHT_MAP_GRAD(relu_grad_f32, v_relu_grad(ct, s))
CNN_MAP_GRAD_P(leaky_relu_grad_f32, v_select(v_lt(v_zero(), s), ct, ct * p))
/* y = alpha (exp(x) - 1) has the derivative y + alpha */
CNN_MAP_GRAD_P(elu_grad_f32, v_select(v_lt(v_zero(), s), ct, ct * (s + p)))
CNN_LIGHT_MAP_GRAD(selu_grad_f32,
             ct * v_select(v_lt(v_zero(), s), v_set(CNN_SELU_SCALE),
                           s + CNN_SELU_SCALE * CNN_SELU_ALPHA))

CNN_INLINE v_f32 v_gelu_slope(v_f32 x) {
    v_f32 bell, tail = v_normal_tail(x, &bell);
    v_f32 gate = v_select(v_lt(x, v_zero()), tail, 1.0f - tail);
    /* the bell is 0 beyond 15; the limits keep inf * 0 out */
    v_f32 c = v_max(v_set(-15.0f), v_min(v_set(15.0f), x));
    return v_fma(c * CNN_INV_SQRT_2PI, bell, gate);
}
CNN_MAP_GRAD(gelu_erf_grad_f32, ct * v_gelu_slope(s))

CNN_INLINE v_f32 v_gelu_tanh_slope(v_f32 x) {
    v_f32 c = v_max(v_set(-20.0f), v_min(v_set(20.0f), x));
    v_f32 gate = v_gelu_tanh_gate(c);
    v_f32 du = v_fma(c * c, v_set(3.0f * 0.044715f), v_set(1.0f));
    du = 2.0f * CNN_SQRT_2_OVER_PI * du;
    return v_fma(c * gate * (1.0f - gate), du, gate);
}
CNN_MAP_GRAD(gelu_tanh_grad_f32, ct * v_gelu_tanh_slope(s))

CNN_INLINE v_f32 v_silu_slope(v_f32 x) {
    v_f32 gate = v_sigmoid(x);
    v_f32 c = v_max(v_set(-120.0f), v_min(v_set(120.0f), x));
    return v_fma(c * gate, 1.0f - gate, gate);
}
CNN_MAP_GRAD(silu_grad_f32, ct * v_silu_slope(s))

CNN_LIGHT_MAP_GRAD(sigmoid_grad_f32, ct * (s * (1.0f - s)))
CNN_LIGHT_MAP_GRAD(hard_sigmoid_grad_f32,
             v_select(v_lt(v_abs(s), v_set(3.0f)), ct * (1.0f / 6.0f), v_zero()))
CNN_LIGHT_MAP_GRAD(tanh_grad_f32, ct * v_fma(-s, s, v_set(1.0f)))
CNN_MAP_GRAD(softplus_grad_f32, ct * v_sigmoid(s))

CNN_INLINE v_f32 v_softsign_slope(v_f32 x) {
    v_f32 d = 1.0f + v_abs(x);
    return 1.0f / (d * d);
}
CNN_LIGHT_MAP_GRAD(softsign_grad_f32, ct * v_softsign_slope(s))
