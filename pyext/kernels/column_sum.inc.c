/* Sums of columns: the gradient of a bias. */

/* y = the sum of the rows of x, or y + it, in `vectors` vectors of columns at once; only
 * `part` lanes of the last one where this is less than a vector. */
CNN_INLINE void CNN_FN(column_sums)(const int vectors, int64_t part, int64_t rows,
                                    const float *x, int64_t x_row, int first, float *y) {
    const int last = vectors - 1;
    v_f32 sum[8];
    CNN_UNROLL(8)
    for (int j = 0; j < vectors; j++)
        sum[j] = v_zero();
    for (int64_t r = 0; r < rows; r++, x += x_row) {
        CNN_UNROLL(8)
        for (int j = 0; j < last; j++)
            sum[j] = sum[j] + v_load(x + j * CNN_VLEN);
        sum[last] = sum[last] + v_load_n(x + last * CNN_VLEN, part);
    }
    CNN_UNROLL(8)
    for (int j = 0; j < vectors; j++) {
        float *to = y + j * CNN_VLEN;
        const int64_t n = j == last ? part : CNN_VLEN;
        v_store_n(to, first ? sum[j] : v_load_n(to, n) + sum[j], n);
    }
}

/* One chunk of rows: y (cols,) = its sums if it is the first one, else y + its sums. */
static void CNN_FN(add_rows)(int64_t rows, int64_t cols, const float *x, int64_t x_row,
                             int first, float *y) {
    int64_t c = 0;
    for (; c + 8 * CNN_VLEN <= cols; c += 8 * CNN_VLEN)
        CNN_FN(column_sums)(8, CNN_VLEN, rows, x + c, x_row, first, y + c);
    for (; c + 2 * CNN_VLEN <= cols; c += 2 * CNN_VLEN)
        CNN_FN(column_sums)(2, CNN_VLEN, rows, x + c, x_row, first, y + c);
    if (cols - c > CNN_VLEN)
        CNN_FN(column_sums)(2, cols - c - CNN_VLEN, rows, x + c, x_row, first, y + c);
    else if (cols > c)
        CNN_FN(column_sums)(1, cols - c, rows, x + c, x_row, first, y + c);
}

static void CNN_FN(column_sum_f32)(int64_t rows, int64_t cols, const float *x,
                                   int64_t x_row, float *y) {
    CNN_FN(add_rows)(rows, cols, x, x_row, 1, y);
}
