/* Prints a digest of the results of every kernel of one instruction set, a line each.
 * test_other_machines.py builds it with several compilers, also for other processors,
 * and compares. Usage: kernel_digests ISA */
#include "dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 40000 /* elements of an array */
#define COUNT(array) (sizeof array / sizeof *array)

static const int64_t lengths[] = {1,  3,  4,  7,   8,   15,   16,
                                  17, 33, 64, 65, 130, 1000, 19990};
static float ct[LARGEST], x[LARGEST], z[LARGEST], y[2 * LARGEST];
static int64_t labels[LARGEST], index_of[LARGEST];
static uint32_t words[LARGEST];
static uint64_t digest;

static void add_word(uint32_t word) {
    digest = (digest ^ word) * 1099511628211u;
}

/* NaN has many bit patterns; all count as one. */
static void add_floats(int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t word = 0x7fc00000;
        if (y[i] == y[i])
            memcpy(&word, y + i, sizeof word);
        add_word(word);
    }
}

static void fill(float *to, uint64_t state, float low, float high) {
    static const float special[] = {0.0f, -0.0f, 1.0f, 1e-40f, -3e38f, 1e30f, -88.9f};
    for (int64_t i = 0; i < LARGEST; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const float unit = (float)(state >> 40) * 0x1p-24f;
        to[i] = low + (high - low) * unit;
        if (low < 0 && i % 97 == 96)
            to[i] = special[i / 97 % (int64_t)COUNT(special)];
    }
}

/* ---- one function for each signature --------------------------------------------- */

static void run_map(const char *signature, void *kernel) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t n = lengths[i];
        if (!strcmp(signature, "unary"))
            (*(cnn_unary_fn **)kernel)(n, x, y);
        else if (!strcmp(signature, "unary_p"))
            (*(cnn_unary_p_fn **)kernel)(n, x, 0.3f, y);
        else if (!strcmp(signature, "unary_pq"))
            (*(cnn_unary_pq_fn **)kernel)(n, x, -1.0f, 2.0f, y);
        else if (!strcmp(signature, "grad"))
            (*(cnn_grad_fn **)kernel)(n, ct, x, y);
        else if (!strcmp(signature, "grad_p"))
            (*(cnn_grad_p_fn **)kernel)(n, ct, x, 0.3f, y);
        else if (!strcmp(signature, "loss"))
            (*(cnn_loss_fn **)kernel)(n, z, x, y);
        else
            (*(cnn_loss_grad_fn **)kernel)(n, ct, z, x, y);
        add_floats(n);
    }
}

static void run_binary(const char *signature, void *kernel) {
    cnn_binary_fn *fn = *(cnn_binary_fn **)kernel;
    (void)signature;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t n = lengths[i];
        for (int step = 0; step < 4; step++) {
            fn(2, n, x, step & 1 ? n : 0, step >> 1, ct, n, 1, y);
            add_floats(2 * n);
            fn(2, n, ct, 0, 1, x, 1, !(step >> 1), y);
            add_floats(2 * n);
        }
    }
}

static void run_rows(const char *signature, void *kernel) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t n = lengths[i], rows = 2;
        int64_t results = rows * n;
        if (!strcmp(signature, "reduce"))
            (*(cnn_reduce_fn **)kernel)(results = rows, n, x, y);
        else if (!strcmp(signature, "rowmap"))
            (*(cnn_rowmap_fn **)kernel)(rows, n, x, y);
        else if (!strcmp(signature, "rowmap_grad"))
            (*(cnn_rowmap_grad_fn **)kernel)(rows, n, ct, z, y);
        else if (!strcmp(signature, "rowloss"))
            (*(cnn_rowloss_fn **)kernel)(results = rows, n, z, x, y);
        else if (!strcmp(signature, "rowloss_grad"))
            (*(cnn_rowloss_grad_fn **)kernel)(rows, n, ct, z, x, y);
        else if (!strcmp(signature, "labelloss"))
            (*(cnn_labelloss_fn **)kernel)(results = rows, n, labels, x, y);
        else
            (*(cnn_labelloss_grad_fn **)kernel)(rows, n, ct, labels, x, y);
        add_floats(results);
    }
}

/* Losses first, then their gradients. */
static void run_losses(const char *signature, void *kernel) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t n = lengths[i], rows = 2;
        int64_t results = rows;
        float *const g = y + 2 * n;
        if (!strcmp(signature, "loss_with_grad"))
            (*(cnn_loss_with_grad_fn **)kernel)(results = rows * n, ct, z, x, y, g);
        else if (!strcmp(signature, "rowloss_with_grad"))
            (*(cnn_rowloss_with_grad_fn **)kernel)(rows, n, ct, z, x, y, g);
        else
            (*(cnn_labelloss_with_grad_fn **)kernel)(rows, n, ct, labels, x, y, g);
        add_floats(results);
        memmove(y, g, (size_t)(rows * n) * sizeof *y);
        add_floats(rows * n);
    }
}

static void run_column_index(const char *signature, void *kernel) {
    (void)signature;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t cols = lengths[i], rows = LARGEST / (2 * cols) % 300 + 1;
        (*(cnn_column_index_fn **)kernel)(rows, cols, x, cols, index_of);
        for (int64_t j = 0; j < cols; j++)
            add_word((uint32_t)index_of[j]);
    }
}

static void run_index(const char *signature, void *kernel) {
    (void)signature;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        (*(cnn_index_fn **)kernel)(2, lengths[i], x, index_of);
        add_word((uint32_t)index_of[0]);
        add_word((uint32_t)index_of[1]);
    }
}

static void run_fold(const char *signature, void *kernel) {
    (void)signature;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t cols = lengths[i], rows = LARGEST / (2 * cols) % 300 + 1;
        (*(cnn_fold_fn **)kernel)(rows, cols, x, cols, y);
        add_floats(cols);
    }
}

static void run_philox(const char *signature, void *kernel) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const int64_t n = lengths[i];
        if (!strcmp(signature, "uniform")) {
            (*(cnn_uniform_fn **)kernel)(42, UINT64_MAX - 5, n, y);
            add_floats(n);
            continue;
        }
        (*(cnn_philox_fn **)kernel)(UINT64_C(1) << 40, 7, n, words);
        for (int64_t j = 0; j < n; j++)
            add_word(words[j]);
    }
}

/* A product with one column, y = A x, as the row x.T @ A.T. */
static void make_column(int layout, cnn_matmul *p) {
    p->column = 1;
    p->n = p->m;
    p->m = 1;
    p->a = z;
    p->a_col = layout & 2 ? 2 : 1;
    p->b = ct;
    p->b_row = layout == 0 ? 1 : layout == 3 ? 2 : p->n;
    p->b_col = layout == 0 ? p->k : layout == 3 ? 2 * p->k + 1 : 1;
    p->c_row = p->n;
    p->sums = NULL;
}

static void run_product(const char *signature, void *kernel) {
    static const int64_t sizes[][3] = {
        {1, 1, 5},     {1, 70, 30},   {60, 1, 300}, {5, 33, 257},  {13, 16, 64},
        {40, 65, 600}, {100, 300, 9}, {7, 129, 77}, {29, 260, 40}, {64, 64, 64},
        {1, 21, 1900}, {3, 5, 1100},  {2, 45, 800},  {16, 1, 1024}, {1, 130, 300},
        {1, 1, 37},    {500, 1, 3},   {501, 1, 9},   {300, 1, 32},  {140, 1, 130},
        {4, 1, 4400},  {20, 512, 70}, {135, 260, 100},
    };
    (void)signature;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int layout = 0; layout < 4; layout++)
            for (int after = CNN_LINEAR; after < CNN_ACTIVATION_COUNT; after++) {
                const int64_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
                cnn_matmul p = {.m = m, .n = n, .k = k, .a = ct, .b = z, .c = y};
                cnn_matmul_plan plan = {0};
                p.a_row = layout & 1 ? 1 : k;
                p.a_col = layout & 1 ? m : 1;
                p.b_row = layout & 2 ? 1 : n;
                p.b_col = layout & 2 ? k : 1;
                p.c_row = n;
                p.bias = after % 2 ? x + 100 : NULL;
                if ((after + layout) % 3) {
                    p.activation = (cnn_activation)after;
                } else {
                    p.grad = (cnn_activation)after;
                    p.grad_p = 0.3f;
                    p.saved = x;
                    p.sums = y + LARGEST;
                }
                if (n == 1)
                    make_column(layout, &p);
                cnn_table->matmul_plan_f32(&p, &plan);
                const size_t bytes = ((size_t)plan.scratch * 4 + 127) / 64 * 64;
                float *scratch = aligned_alloc(64, bytes);
                if (!scratch)
                    exit(3);
                (*(cnn_matmul_block_fn **)kernel)(&p, &plan, 0, p.m, 0, p.n, scratch);
                free(scratch);
                add_floats(m * n);
                if (p.sums) {
                    memcpy(y, p.sums, (size_t)n * sizeof *y);
                    add_floats(n);
                }
            }
}

static const struct {
    const char *signature;
    void (*run)(const char *signature, void *kernel);
} runners[] = {
    {"unary", run_map},
    {"unary_p", run_map},
    {"unary_pq", run_map},
    {"grad", run_map},
    {"grad_p", run_map},
    {"loss", run_map},
    {"loss_grad", run_map},
    {"binary", run_binary},
    {"reduce", run_rows},
    {"rowmap", run_rows},
    {"rowmap_grad", run_rows},
    {"rowloss", run_rows},
    {"rowloss_grad", run_rows},
    {"labelloss", run_rows},
    {"labelloss_grad", run_rows},
    {"loss_with_grad", run_losses},
    {"rowloss_with_grad", run_losses},
    {"labelloss_with_grad", run_losses},
    {"index", run_index},
    {"column_index", run_column_index},
    {"fold", run_fold},
    {"philox", run_philox},
    {"uniform", run_philox},
    {"matmul_block", run_product},
};

int main(int argc, char **argv) {
    if (argc != 2 || cnn_select(argv[1]) != CNN_SELECTED)
        return 2;
    fill(ct, 1, -3, 3);
    fill(x, 2, -9, 9);
    fill(z, 3, 0.01f, 0.99f);
    for (int64_t i = 0; i < LARGEST; i++)
        labels[i] = i % 7 - 1;
    for (const cnn_kernel_info *at = cnn_kernel_list; at->name; at++)
        for (size_t i = 0; i < COUNT(runners); i++)
            if (!strcmp(at->signature, runners[i].signature)) {
                digest = 14695981039346656037u;
                runners[i].run(at->signature, (char *)cnn_table + at->offset);
                printf("%s %016llx\n", at->name, (unsigned long long)digest);
            }
    return 0;
}
