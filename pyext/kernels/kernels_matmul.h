/* Signatures and list of the matmul and random kernels; included by kernels.h.
 *
 * Numeric contract of every matrix product: K is cut into chunks of CNN_MATMUL_CHUNK.
 * Inside a chunk an output element is a chain of fused multiply-adds over k in order,
 * starting from +0; the chunks are added in order, then the bias, then the activation
 * is applied, or the gradient of one. The column sums of b, if it has several, are the
 * product with a row of ones. Vectors run along N (or M), never along K, so an element
 * depends on its row, its column and K only: no tile, path, thread count or batch split
 * changes a bit.
 * A product with one column (n == 1, whatever m is) has another order, for there is nothing
 * else for vectors to run along: K is cut into chunks of CNN_COLUMN_CHUNK; in a chunk,
 * element k goes to lane k % 16, each a chain of fused multiply-adds in order, starting
 * from +0; the lanes are folded by halves, l + (l + 8), then l + (l + 4), l + (l + 2),
 * l + (l + 1); these sums are added in order, starting from +0; bias, activation and
 * gradient follow as above. An element depends on its row, the column and K.
 * Products on tile units have an order of their own, see amx.inc.c.
 */
#ifndef CNN_KERNELS_MATMUL_H
#define CNN_KERNELS_MATMUL_H

#include <stdint.h>

/* 256 steps of a 16-column panel (16 KiB) and of 6 rows of A (6 KiB) share a 32 KiB L1;
 * a whole panel of 32 columns for AVX-512 (32 KiB) still leaves room in 48 KiB. */
#define CNN_MATMUL_CHUNK 256
/* The same of products with one column: a chunk of x (16 KiB) takes half of L1. */
#define CNN_COLUMN_CHUNK 4096
typedef enum {
    CNN_LINEAR,
    CNN_RELU,
    CNN_LEAKY_RELU,
    CNN_ELU,
    CNN_SELU,
    CNN_GELU,
    CNN_GELU_TANH,
    CNN_SILU,
    CNN_SIGMOID,
    CNN_HARD_SIGMOID,
    CNN_TANH,
    CNN_SOFTPLUS,
    CNN_SOFTSIGN,
    CNN_EXPONENTIAL,
    CNN_ACTIVATION_COUNT
} cnn_activation;

/* c (m, n) = activation(a (m, k) @ b (k, n) + bias), then c = grad(c, saved). Strides
 * count floats and may be anything (0, negative); the columns of c are contiguous. c
 * overlaps no operand. */
typedef struct {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t b_row, b_col;
    int column; /* c is the column A x as a row: m is 1, a is x, b is A transposed */
    int packed; /* b is what matmul_pack_f32 wrote; its strides are not looked at */
    float *c;
    int64_t c_row;
    const float *bias; /* NULL: none */
    cnn_activation activation;
    cnn_activation grad; /* its gradient, CNN_LINEAR for none */
    float grad_p;        /* slope or alpha of this gradient */
    const float *saved;  /* what it saved of the forward, laid out as c */
    float *sums;         /* NULL, or (n,): the sum of every column of b */
    int parts; /* bfloat16 parts that an operand may be cut into: 3, 2, 1, or 0 for fused
                * multiply-adds only; without tile units it is not looked at */
} cnn_matmul;

/* How matmul_block_f32 will walk through a product; filled by matmul_plan_f32. */
typedef struct {
    int tile_rows;        /* most rows of a register tile */
    int panel;            /* columns per panel of B, a multiple of the vector */
    int pack_a, pack_b;   /* copy the operand into tile order first */
    int panels;           /* B lies in panels, packed here or before */
    int dots;             /* one row, B contiguous along K */
    int stream;           /* one row, a wide B read along its rows */
    int copying;          /* B in panels is written by the first row of tiles */
    int group;            /* rows of tiles that a panel meets in turn */
    int keep_b;           /* a few rows of A are read to their end, chunk by chunk */
    int64_t block_cols;   /* columns of B per pass over A */
    int64_t packed_b;     /* floats of packed B at a time */
    int64_t scratch;      /* floats of scratch one matmul_block_f32 call needs */
    int64_t all_cols;     /* columns of all panels */
    int64_t panels_size;  /* floats that matmul_pack_f32 writes for all of B */
    int parts;            /* of an operand on tile units, 0: fused multiply-adds */
    int pays;             /* B packed before saves more time than its reading costs */
} cnn_matmul_plan;

typedef void cnn_matmul_plan_fn(const cnn_matmul *p, cnn_matmul_plan *plan);
/* Compute rows [m0, m1) and columns [n0, n1) of c; scratch is 64-byte aligned and
 * holds plan->scratch floats. Blocks may be computed in any order, at the same time; they
 * begin at multiples of plan->tile_rows and plan->panel. */
typedef void cnn_matmul_block_fn(const cnn_matmul *p, const cnn_matmul_plan *plan,
                                 int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                                 float *scratch);
/* Write the panels [first, last) of B for a plan made with packed = 1: the whole of each
 * chunk of K after the other, in it panel after panel. */
typedef void cnn_matmul_pack_fn(const cnn_matmul *p, const cnn_matmul_plan *plan,
                                int64_t first, int64_t last, float *y);
/* Words [4 * block, 4 * block + n) of the Philox 4x32-10 stream of `seed`. */
typedef void cnn_philox_fn(uint64_t seed, uint64_t block, int64_t n, uint32_t *y);
/* The same words as floats in [0, 1), the top 24 bits times 2^-24, or as numbers of
 * the standard normal distribution. */
typedef void cnn_uniform_fn(uint64_t seed, uint64_t block, int64_t n, float *y);

#define CNN_MATMUL_KERNELS(X)                                                        \
    X(matmul_plan_f32, matmul_plan)                                                  \
    X(matmul_block_f32, matmul_block)                                                \
    X(matmul_pack_f32, matmul_pack)                                                  \
    X(column_sum_f32, fold)

#define CNN_RANDOM_KERNELS(X)                                                        \
    X(philox_u32, philox)                                                            \
    X(uniform_f32, uniform)                                                          \
    X(normal_f32, uniform)

#endif
