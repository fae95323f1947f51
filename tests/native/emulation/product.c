/* A matrix product of the emulated instruction sets for tests in Python (emulated.py). */
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

/* Whether tile units also take products that fused multiply-adds finish sooner. */
int cnn_test_always = 0;

#define GUARD 64 /* floats behind an array that must stay as they are */

/* `count` floats and a guard: all bytes 0xff, so that what nobody wrote is NaN */
static float *allocate(int64_t count) {
    const size_t bytes = ((size_t)(count + GUARD) * sizeof(float) + 63) / 64 * 64;
    float *p = aligned_alloc(64, bytes);
    if (p)
        memset(p, 0xff, bytes);
    return p;
}

static int intact(const float *p, int64_t count) {
    static const float zero;
    unsigned char guard[GUARD * sizeof zero];
    memset(guard, 0xff, sizeof guard);
    return !memcmp(p + count, guard, sizeof guard);
}

/* Compute the blocks (m0, m1, n0, n1) one after the other. With `pieces`, B is packed
 * before, in so many pieces, the last one first; `column` is that of cnn_matmul. Returns
 * how many bfloat16 parts the plan uses; -1: no such instruction set, -2: no memory, -3:
 * written beyond an end. Fills `grid` with the rows and columns at whose multiples blocks
 * may begin. */
int cnn_test_product(const char *isa, int parts, const int64_t *size, const float *a,
                     const int64_t *a_steps, const float *b, const int64_t *b_steps,
                     int64_t pieces, float *c, int64_t c_row, const float *bias,
                     int activation, int grad, float grad_p, const float *saved,
                     float *sums, int64_t blocks, const int64_t *block, int64_t *grid,
                     int always, int column) {
    cnn_test_always = always;
    if (cnn_select(isa) != CNN_SELECTED)
        return -1;
    cnn_matmul p = {.m = size[0],
                    .n = size[1],
                    .k = size[2],
                    .a = a,
                    .a_row = a_steps[0],
                    .a_col = a_steps[1],
                    .b = b,
                    .b_row = b_steps[0],
                    .b_col = b_steps[1],
                    .column = column,
                    .packed = pieces > 0,
                    .c = c,
                    .c_row = c_row,
                    .bias = bias,
                    .activation = (cnn_activation)activation,
                    .grad = (cnn_activation)grad,
                    .grad_p = grad_p,
                    .saved = saved,
                    .sums = sums,
                    .parts = parts};
    cnn_matmul_plan plan;
    memset(&plan, 0xff, sizeof plan); /* all of it must be filled */
    cnn_table->matmul_plan_f32(&p, &plan);
    grid[0] = plan.tile_rows;
    grid[1] = plan.panel;
    float *const scratch = allocate(plan.scratch);
    float *const panels = pieces > 0 ? allocate(plan.panels_size) : NULL;
    int answer = scratch && (panels || !pieces) ? plan.parts : -2;
    if (answer >= 0 && panels) {
        const int64_t count = plan.all_cols / plan.panel;
        for (int64_t i = pieces; i > 0; i--)
            cnn_table->matmul_pack_f32(&p, &plan, (i - 1) * count / pieces,
                                       i * count / pieces, panels);
        p.b = panels;
    }
    for (int64_t i = 0; answer >= 0 && i < blocks; i++, block += 4) {
        memset(scratch, 0xff, (size_t)plan.scratch * sizeof *scratch);
        cnn_table->matmul_block_f32(&p, &plan, block[0], block[1], block[2], block[3],
                                    scratch);
    }
    if (answer >= 0 && (!intact(scratch, plan.scratch) ||
                        (panels && !intact(panels, plan.panels_size))))
        answer = -3;
    free(scratch);
    free(panels);
    return answer;
}
