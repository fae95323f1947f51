/* Sums of columns: the gradient of a bias. */

/* `vectors` vectors of columns at once: enough independent sums to hide the latency. */
CNN_INLINE void CNN_FN(column_sums)(const int vectors, int64_t rows, const float *x,
                                    int64_t x_row, float *y) {
    v_f32 sum[8];
    CNN_UNROLL(8)
    for (int j = 0; j < vectors; j++)
        sum[j] = v_load(x + j * CNN_VLEN);
    for (int64_t r = 1; r < rows; r++) {
        x += x_row;
        CNN_UNROLL(8)
        for (int j = 0; j < vectors; j++)
            sum[j] = sum[j] + v_load(x + j * CNN_VLEN);
    }
    CNN_UNROLL(8)
    for (int j = 0; j < vectors; j++)
        v_store(y + j * CNN_VLEN, sum[j]);
}

static void CNN_FN(column_sum_f32)(int64_t rows, int64_t cols, const float *x,
                                   int64_t x_row, float *y) {
    int64_t c = 0;
    for (; c + 8 * CNN_VLEN <= cols; c += 8 * CNN_VLEN)
        CNN_FN(column_sums)(8, rows, x + c, x_row, y + c);
    for (; c + CNN_VLEN <= cols; c += CNN_VLEN)
        CNN_FN(column_sums)(1, rows, x + c, x_row, y + c);
    const int64_t rest = cols - c;
    if (rest > 0) {
        v_f32 sum = v_load_part(x + c, rest);
        for (int64_t r = 1; r < rows; r++)
            sum = sum + v_load_part(x + r * x_row + c, rest);
        v_store_part(y + c, sum, rest);
    }
}
