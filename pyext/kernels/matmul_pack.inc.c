/* Copies of the operands of a matrix product in tile order.
 *
 * A panel holds `width` rows of A (or columns of B) interleaved: element (w, k) lies at
 * panel[k * width + w]. Missing columns of B are zero; what they compute is discarded.
 */

/* to[k * width + i] = from[i * from_row + k] for i in 0..3 */
static void CNN_FN(pack_four)(int64_t steps, const float *from, int64_t from_row,
                              float *to, int64_t width) {
    int64_t k = 0;
    for (; k + CNN_VLEN <= steps; k += CNN_VLEN, to += CNN_VLEN * width) {
        v_f32 out[4];
        CNN_FN(transpose_blocks)(from + k, from_row, 4, out);
        CNN_UNROLL(4)
        for (int j = 0; j < 4; j++)
            CNN_FN(store_quads)(to + j * width, 4 * width, out[j]);
    }
    for (; k < steps; k++, to += width)
        for (int i = 0; i < 4; i++)
            to[i] = from[i * from_row + k];
}

/* panel[k * width + w] = x[w * x_row + k * x_col] for w < count; count <= width.
 * Lanes count..width-1 are not written. */
static void CNN_FN(pack_strided)(int64_t count, int64_t steps, const float *x,
                                 int64_t x_row, int64_t x_col, float *panel,
                                 int64_t width) {
    if (x_col == 1) {
        int64_t w = 0;
        for (; w + CNN_VLEN <= count; w += CNN_VLEN) {
            const float *from = x + w * x_row;
            float *to = panel + w;
            int64_t k = 0;
            for (; k + CNN_TRANSPOSE <= steps; k += CNN_TRANSPOSE) {
                v_f32 out[CNN_TRANSPOSE];
                CNN_FN(transpose_more)(from + k, x_row, out);
                CNN_UNROLL(8)
                for (int i = 0; i < CNN_TRANSPOSE; i++)
                    v_store(to + (k + i) * width, out[i]);
            }
            while (steps >= 4 && k < steps) {
                k = k + 4 <= steps ? k : steps - 4; /* the last four overlap */
                v_f32 out[4];
                CNN_FN(transpose)(from + k, x_row, out);
                CNN_UNROLL(4)
                for (int i = 0; i < 4; i++)
                    v_store(to + (k + i) * width, out[i]);
                k += 4;
            }
            for (; k < steps; k++)
                for (int i = 0; i < CNN_VLEN; i++)
                    to[k * width + i] = from[i * x_row + k];
        }
        for (; w + 4 <= count; w += 4)
            CNN_FN(pack_four)(steps, x + w * x_row, x_row, panel + w, width);
        if (w < count && count >= 4) { /* the last four overlap the ones before */
            w = count - 4;
            CNN_FN(pack_four)(steps, x + w * x_row, x_row, panel + w, width);
            w = count;
        }
        for (; w < count; w++)
            for (int64_t k = 0; k < steps; k++)
                panel[k * width + w] = x[w * x_row + k];
    } else if (x_row == 1 && count >= 4) {
        for (int64_t k = 0; k < steps; k++) { /* the last four overlap here, too */
            const float *from = x + k * x_col;
            float *to = panel + k * width;
            int64_t w = 0;
            for (; w + CNN_VLEN <= count; w += CNN_VLEN)
                v_store(to + w, v_load(from + w));
            for (; w + 4 <= count; w += 4)
                memcpy(to + w, from + w, 16);
            memcpy(to + count - 4, from + count - 4, 16);
        }
    } else {
        for (int64_t k = 0; k < steps; k++)
            for (int64_t w = 0; w < count; w++)
                panel[k * width + w] = x[w * x_row + k * x_col];
    }
}

/* Columns of B in panels of `width`; b points at (k0, n0). Eight rows at a time, so that
 * reads walk along the rows and writes along the panels. */
static void CNN_FN(pack_b)(int64_t steps, int64_t cols, const float *b, int64_t b_row,
                           int64_t b_col, float *panels, int64_t width) {
    const int64_t whole = cols / width * width, rest = cols - whole;
    if (b_col == 1) {
        for (int64_t k0 = 0; k0 < steps; k0 += 8) {
            const int64_t k1 = k0 + 8 < steps ? k0 + 8 : steps;
            for (int64_t n = 0; n < whole; n += width) {
                float *to = panels + n * steps + k0 * width;
                for (int64_t k = k0; k < k1; k++, to += width)
                    for (int64_t j = 0; j < width; j += CNN_VLEN)
                        v_store(to + j, v_load(b + k * b_row + n + j));
            }
        }
    } else {
        for (int64_t n = 0; n < whole; n += width)
            CNN_FN(pack_strided)(width, steps, b + n * b_col, b_col, b_row,
                                 panels + n * steps, width);
    }
    if (rest > 0) {
        float *panel = panels + whole * steps;
        for (int64_t k = 0; k < steps; k++)
            for (int64_t j = rest / CNN_VLEN * CNN_VLEN; j < width; j += CNN_VLEN)
                v_store(panel + k * width + j, (v_f32){0});
        CNN_FN(pack_strided)(rest, steps, b + whole * b_col, b_col, b_row, panel, width);
    }
}
