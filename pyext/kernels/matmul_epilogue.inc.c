/* What follows a product and is not done in registers: activations and their gradients,
 * by the elementwise kernels, on rows of c that still lie in cache. So a fused product
 * gives the bits of a plain one followed by the kernel. */

/* Elements of c up to which the whole waits for its epilogue: half of L1. */
#define CNN_EPILOGUE_SIZE 4096

/* y = activation(y), n elements */
static void CNN_FN(activate)(cnn_activation activation, int64_t n, float *y) {
    switch (activation) {
    case CNN_RELU:
        CNN_FN(relu_f32)(n, y, y);
        break;
    case CNN_LEAKY_RELU:
        CNN_FN(leaky_relu_f32)(n, y, 0.2f, y);
        break;
    case CNN_ELU:
        CNN_FN(elu_f32)(n, y, 1.0f, y);
        break;
    case CNN_SELU:
        CNN_FN(selu_f32)(n, y, y);
        break;
    case CNN_GELU:
        CNN_FN(gelu_erf_f32)(n, y, y);
        break;
    case CNN_GELU_TANH:
        CNN_FN(gelu_tanh_f32)(n, y, y);
        break;
    case CNN_SILU:
        CNN_FN(silu_f32)(n, y, y);
        break;
    case CNN_SIGMOID:
        CNN_FN(sigmoid_f32)(n, y, y);
        break;
    case CNN_HARD_SIGMOID:
        CNN_FN(hard_sigmoid_f32)(n, y, y);
        break;
    case CNN_TANH:
        CNN_FN(tanh_f32)(n, y, y);
        break;
    case CNN_SOFTPLUS:
        CNN_FN(softplus_f32)(n, y, y);
        break;
    case CNN_SOFTSIGN:
        CNN_FN(softsign_f32)(n, y, y);
        break;
    case CNN_EXPONENTIAL:
        CNN_FN(exp_f32)(n, y, y);
        break;
    case CNN_LINEAR:
    case CNN_ACTIVATION_COUNT:
        break;
    }
}

/* y = gradient(y, saved), n elements */
static void CNN_FN(activate_grad)(cnn_activation activation, float p, int64_t n,
                                  const float *saved, float *y) {
    switch (activation) {
    case CNN_RELU:
        CNN_FN(relu_grad_f32)(n, y, saved, y);
        break;
    case CNN_LEAKY_RELU:
        CNN_FN(leaky_relu_grad_f32)(n, y, saved, p, y);
        break;
    case CNN_ELU:
        CNN_FN(elu_grad_f32)(n, y, saved, p, y);
        break;
    case CNN_SELU:
        CNN_FN(selu_grad_f32)(n, y, saved, y);
        break;
    case CNN_GELU:
        CNN_FN(gelu_erf_grad_f32)(n, y, saved, y);
        break;
    case CNN_GELU_TANH:
        CNN_FN(gelu_tanh_grad_f32)(n, y, saved, y);
        break;
    case CNN_SILU:
        CNN_FN(silu_grad_f32)(n, y, saved, y);
        break;
    case CNN_SIGMOID:
        CNN_FN(sigmoid_grad_f32)(n, y, saved, y);
        break;
    case CNN_HARD_SIGMOID:
        CNN_FN(hard_sigmoid_grad_f32)(n, y, saved, y);
        break;
    case CNN_TANH:
        CNN_FN(tanh_grad_f32)(n, y, saved, y);
        break;
    case CNN_SOFTPLUS:
        CNN_FN(softplus_grad_f32)(n, y, saved, y);
        break;
    case CNN_SOFTSIGN:
        CNN_FN(softsign_grad_f32)(n, y, saved, y);
        break;
    case CNN_EXPONENTIAL: /* its derivative is its output */
        CNN_FN(multiply_f32)(1, n, y, 0, 1, saved, 0, 1, y);
        break;
    case CNN_LINEAR:
    case CNN_ACTIVATION_COUNT:
        break;
    }
}

/* Whether the registers of a tile leave something to do. */
CNN_INLINE int CNN_FN(has_epilogue)(const cnn_matmul *p) {
    return p->activation > CNN_RELU || p->grad > CNN_RELU;
}

/* Rows [m0, m1) and columns [n0, n1) of c, which all chunks of K have gone into. */
static void CNN_FN(epilogue)(const cnn_matmul *p, int64_t m0, int64_t m1, int64_t n0,
                             int64_t n1) {
    const int together = n1 - n0 == p->c_row; /* rows without a gap */
    const int64_t rows = together ? 1 : m1 - m0;
    const int64_t count = together ? (m1 - m0) * (n1 - n0) : n1 - n0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = (m0 + i) * p->c_row + n0;
        if (p->activation > CNN_RELU)
            CNN_FN(activate)(p->activation, count, p->c + at);
        if (p->grad != CNN_LINEAR)
            CNN_FN(activate_grad)(p->grad, p->grad_p, count, p->saved + at, p->c + at);
    }
}
