/* THE list of kernels.
 *
 * One macro list feeds the table, the declarations, the names seen from Python,
 * the tests and the benchmarks.  A line is X(name, signature): `name` is a field of
 * `cnn_kernel_table`, `signature` names the function type `cnn_<signature>_fn`.
 * The code of a kernel is written once, in a <family>.inc.c, as
 * `static void CNN_FN(name)(...)`, and compiled once per instruction set.
 *
 * Rules for every kernel: no Python, no allocation, no globals; inputs are only
 * read; an elementwise output may be the same array as an input, but must not
 * overlap it otherwise; n >= 0; the result never depends on alignment, on the
 * position of an element or on the vector width.
 *
 * Order of sums (the numeric contract): a contiguous row is summed in CNN_LANES lanes:
 * lane j adds the elements j, j + 64, j + 128, ... in this order, a tail goes to the
 * first lanes, then the upper half of the lanes is added to the lower half until one is
 * left (lanes.h).  Rows longer than CNN_CHUNK are cut; chunk sums are added in order.
 * Columns are summed row after row in chunks of rows.
 */
#ifndef CNN_KERNELS_H
#define CNN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define CNN_LANES 64
#define CNN_CHUNK 16384

/* ---- signatures: elementwise ------------------------------------------------ */

/* y[i] = f(x[i]) */
typedef void cnn_unary_fn(int64_t n, const float *x, float *y);
/* y[i] = f(x[i]; p) */
typedef void cnn_unary_p_fn(int64_t n, const float *x, float p, float *y);
/* y[i] = f(x[i]; p, q) */
typedef void cnn_unary_pq_fn(int64_t n, const float *x, float p, float q, float *y);
/* g[i] = cotangent of the input; s is the saved input or output of the forward */
typedef void cnn_grad_fn(int64_t n, const float *ct, const float *s, float *g);
typedef void cnn_grad_p_fn(int64_t n, const float *ct, const float *s, float p,
                           float *g);
/* y[r, c] = f(a[r * a_row + c * a_col], b[r * b_row + c * b_col]), y contiguous
 * (rows, cols); a_col and b_col are 0 (one value for the row) or 1 */
typedef void cnn_binary_fn(int64_t rows, int64_t cols,
                           const float *a, int64_t a_row, int64_t a_col,
                           const float *b, int64_t b_row, int64_t b_col, float *y);

/* ---- signatures: rows of a contiguous (rows, n) array ------------------------ */

/* y (rows,): one value per row */
typedef void cnn_reduce_fn(int64_t rows, int64_t n, const float *x, float *y);
/* y (rows,): index of one element per row, n >= 1 */
typedef void cnn_index_fn(int64_t rows, int64_t n, const float *x, int64_t *y);
/* y (cols,) from the rows x[r * x_row + c], r = 0 .. rows-1 in this order, rows >= 1 */
typedef void cnn_fold_fn(int64_t rows, int64_t cols, const float *x, int64_t x_row,
                         float *y);
/* y (cols,): which of these rows has a column's extreme, 1 <= rows < 2^31 */
typedef void cnn_column_index_fn(int64_t rows, int64_t cols, const float *x,
                                 int64_t x_row, int64_t *y);
/* y (rows, n): every row by itself, as softmax */
typedef void cnn_rowmap_fn(int64_t rows, int64_t n, const float *x, float *y);
typedef void cnn_rowmap_grad_fn(int64_t rows, int64_t n, const float *ct,
                                const float *s, float *g);

/* ---- signatures: losses ------------------------------------------------------- */

/* y[i] = loss(target t[i], output o[i]) */
typedef void cnn_loss_fn(int64_t n, const float *t, const float *o, float *y);
typedef void cnn_loss_grad_fn(int64_t n, const float *ct, const float *t,
                              const float *o, float *g);
/* y (rows,): one loss per row; t, o (rows, n) */
typedef void cnn_rowloss_fn(int64_t rows, int64_t n, const float *t, const float *o,
                            float *y);
/* ct (rows,); g (rows, n) */
typedef void cnn_rowloss_grad_fn(int64_t rows, int64_t n, const float *ct,
                                 const float *t, const float *o, float *g);
/* the same with one label per row; a label outside 0 .. n-1 gives 0 */
typedef void cnn_labelloss_fn(int64_t rows, int64_t n, const int64_t *labels,
                              const float *o, float *y);
typedef void cnn_labelloss_grad_fn(int64_t rows, int64_t n, const float *ct,
                                   const int64_t *labels, const float *o, float *g);
/* a loss and its gradient at once, with the bits of the two kernels; y and g overlap
 * nothing */
typedef void cnn_loss_with_grad_fn(int64_t n, const float *ct, const float *t,
                                   const float *o, float *y, float *g);
typedef void cnn_rowloss_with_grad_fn(int64_t rows, int64_t n, const float *ct,
                                      const float *t, const float *o, float *y,
                                      float *g);
typedef void cnn_labelloss_with_grad_fn(int64_t rows, int64_t n, const float *ct,
                                        const int64_t *labels, const float *o,
                                        float *y, float *g);

/* ---- signatures: matmul, random ----------------------------------------------- */

/* ---- the list ------------------------------------------------------------------ */

#define CNN_ELEMENTWISE_KERNELS(X)                                                   \
    X(negative_f32, unary)                                                           \
    X(absolute_f32, unary)                                                           \
    X(sign_f32, unary)                                                               \
    X(exp_f32, unary)                                                                \
    X(expm1_f32, unary)                                                              \
    X(log_f32, unary)                                                                \
    X(log1p_f32, unary)                                                              \
    X(sqrt_f32, unary)                                                               \
    X(rsqrt_f32, unary)                                                              \
    X(square_f32, unary)                                                             \
    X(reciprocal_f32, unary)                                                         \
    X(erf_f32, unary)                                                                \
    X(sin_f32, unary)                                                                \
    X(cos_f32, unary)                                                                \
    X(clip_f32, unary_pq)                                                            \
    X(add_f32, binary)                                                               \
    X(subtract_f32, binary)                                                          \
    X(multiply_f32, binary)                                                          \
    X(divide_f32, binary)                                                            \
    X(maximum_f32, binary)                                                           \
    X(minimum_f32, binary)                                                           \
    X(power_f32, binary)

#define CNN_ACTIVATION_KERNELS(X)                                                    \
    X(relu_f32, unary)                                                               \
    X(leaky_relu_f32, unary_p)                                                       \
    X(elu_f32, unary_p)                                                              \
    X(selu_f32, unary)                                                               \
    X(gelu_erf_f32, unary)                                                           \
    X(gelu_tanh_f32, unary)                                                          \
    X(silu_f32, unary)                                                               \
    X(sigmoid_f32, unary)                                                            \
    X(hard_sigmoid_f32, unary)                                                       \
    X(tanh_f32, unary)                                                               \
    X(softplus_f32, unary)                                                           \
    X(softsign_f32, unary)                                                           \
    X(relu_grad_f32, grad)                                                           \
    X(leaky_relu_grad_f32, grad_p)                                                   \
    X(elu_grad_f32, grad_p)                                                          \
    X(selu_grad_f32, grad)                                                           \
    X(gelu_erf_grad_f32, grad)                                                       \
    X(gelu_tanh_grad_f32, grad)                                                      \
    X(silu_grad_f32, grad)                                                           \
    X(sigmoid_grad_f32, grad)                                                        \
    X(hard_sigmoid_grad_f32, grad)                                                   \
    X(tanh_grad_f32, grad)                                                           \
    X(softplus_grad_f32, grad)                                                       \
    X(softsign_grad_f32, grad)                                                       \
    X(softmax_f32, rowmap)                                                           \
    X(softmax_grad_f32, rowmap_grad)                                                 \
    X(log_softmax_f32, rowmap)                                                       \
    X(log_softmax_grad_f32, rowmap_grad)

#define CNN_REDUCTION_KERNELS(X)                                                     \
    X(sum_f32, reduce)                                                               \
    X(max_f32, reduce)                                                               \
    X(min_f32, reduce)                                                               \
    X(argmax_f32, index)                                                             \
    X(argmin_f32, index)                                                             \
    X(column_argmax_f32, column_index)                                               \
    X(column_argmin_f32, column_index)                                               \
    X(column_max_f32, fold)                                                          \
    X(column_min_f32, fold)

#define CNN_LOSS_KERNELS(X)                                                          \
    X(mean_squared_error_f32, rowloss)                                               \
    X(mean_squared_error_grad_f32, rowloss_grad)                                     \
    X(mean_squared_error_with_grad_f32, rowloss_with_grad)                           \
    X(binary_crossentropy_f32, loss)                                                 \
    X(binary_crossentropy_grad_f32, loss_grad)                                       \
    X(binary_crossentropy_with_grad_f32, loss_with_grad)                             \
    X(binary_crossentropy_logits_f32, loss)                                          \
    X(binary_crossentropy_logits_grad_f32, loss_grad)                                \
    X(binary_crossentropy_logits_with_grad_f32, loss_with_grad)                      \
    X(categorical_crossentropy_f32, rowloss)                                         \
    X(categorical_crossentropy_grad_f32, rowloss_grad)                               \
    X(categorical_crossentropy_with_grad_f32, rowloss_with_grad)                     \
    X(categorical_crossentropy_logits_f32, rowloss)                                  \
    X(categorical_crossentropy_logits_grad_f32, rowloss_grad)                        \
    X(categorical_crossentropy_logits_with_grad_f32, rowloss_with_grad)              \
    X(sparse_categorical_crossentropy_f32, labelloss)                                \
    X(sparse_categorical_crossentropy_grad_f32, labelloss_grad)                      \
    X(sparse_categorical_crossentropy_with_grad_f32, labelloss_with_grad)            \
    X(sparse_categorical_crossentropy_logits_f32, labelloss)                         \
    X(sparse_categorical_crossentropy_logits_grad_f32, labelloss_grad)               \
    X(sparse_categorical_crossentropy_logits_with_grad_f32, labelloss_with_grad)

#include "kernels_matmul.h" /* CNN_MATMUL_KERNELS, CNN_RANDOM_KERNELS */
#include "kernels_peak.h"   /* CNN_PEAK_KERNELS */

#define CNN_KERNELS(X)                                                               \
    CNN_ELEMENTWISE_KERNELS(X)                                                       \
    CNN_ACTIVATION_KERNELS(X)                                                        \
    CNN_REDUCTION_KERNELS(X)                                                         \
    CNN_LOSS_KERNELS(X)                                                              \
    CNN_MATMUL_KERNELS(X)                                                            \
    CNN_RANDOM_KERNELS(X)                                                            \
    CNN_PEAK_KERNELS(X)

#define CNN_KERNEL_FIELD(name, signature) cnn_##signature##_fn *name;
typedef struct {
    const char *isa;
    CNN_KERNELS(CNN_KERNEL_FIELD)
} cnn_kernel_table;

#endif
