/* Sums, means, extremes and their places, over rows and over columns. */

#define CNN_STEP(acc, i, k) acc = acc + v_load_n(x + (i), k)
CNN_DEFINE_ROW_SUM(cnn_row_sum, (int64_t n, const float *x), CNN_STEP)
#undef CNN_STEP

static void CNN_FN(sum_f32)(int64_t rows, int64_t n, const float *x, float *y) {
    int64_t r = 0;
    CNN_FOR_FOURS(rows, n, r) {
        v_quad q[4];
        CNN_UNROLL(4) for (int j = 0; j < 4; j++) {
            q[j] = cnn_row_sum_quad(n, x + (r + j) * n);
        }
        cnn_store_quad(y + r, cnn_four_sums(q));
    }
    for (; r < rows; r++) y[r] = CNN_FN(cnn_row_sum)(n, x + r * n);
}

/* Extremes: NaN if the row has one, as in NumPy.  n >= 1. */
#define CNN_DEFINE_EXTREME(row, kernel, column, vector_op, scalar_op, tree, neutral, \
                           fold)                                                     \
    static float CNN_FN(row)(int64_t n, const float *x) {                            \
        const v_f32 none = v_set(neutral);                                           \
        if (n <= 2 * CNN_VLEN) {                                                     \
            const int64_t k = n - CNN_VLEN;                                          \
            v_f32 v = v_load_n(x, n);                                                \
            if (k < 0) v = v_select(v_first(n), v, none);                            \
            if (k > 0) {                                                             \
                v_f32 w = v_load_n(x + CNN_VLEN, k);                                 \
                v = vector_op(v, k < CNN_VLEN ? v_select(v_first(k), w, none) : w);  \
            }                                                                        \
            return tree(&v, 1);                                                      \
        }                                                                            \
        const int width = cnn_lane_vectors(n);                                       \
        float extreme = x[0];                                                        \
        for (int64_t start = 0; start < n; start += CNN_CHUNK) {                     \
            const int64_t end = n - start < CNN_CHUNK ? n : start + CNN_CHUNK;       \
            int64_t i = start;                                                       \
            v_f32 acc[CNN_ACCS];                                                     \
            CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) acc[j] = none;         \
            for (; i + CNN_LANES <= end; i += CNN_LANES) {                           \
                CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) {                  \
                    acc[j] = vector_op(acc[j], v_load(x + i + j * CNN_VLEN));        \
                }                                                                    \
            }                                                                        \
            CNN_UNROLL(16) for (int j = 0; j < CNN_ACCS; j++) {                      \
                if (i >= end) break;                                                 \
                v_f32 v = v_load_n(x + i, end - i);                                  \
                if (end - i < CNN_VLEN) v = v_select(v_first(end - i), v, none);     \
                acc[j] = vector_op(acc[j], v);                                       \
                i += CNN_VLEN;                                                       \
            }                                                                        \
            const float part = tree(acc, width);                                     \
            extreme = start == 0 ? part : scalar_op(extreme, part);                  \
        }                                                                            \
        return extreme;                                                              \
    }                                                                                \
    static void CNN_FN(kernel)(int64_t rows, int64_t n, const float *x, float *y) {  \
        int64_t r = 0;                                                               \
        CNN_FOR_TILES(rows, n, r) {                                                  \
            v_f32 c[CNN_SHORT];                                                      \
            CNN_FN(tile_load)(n, x + r * n, c);                                      \
            v_store(y + r, fold(n, c));                                              \
        }                                                                            \
        for (; r < rows; r++) y[r] = CNN_FN(row)(n, x + r * n);                      \
    }                                                                                \
    static void CNN_FN(column)(int64_t rows, int64_t cols, const float *x,           \
                               int64_t x_row, float *y) {                            \
        memcpy(y, x, (size_t)cols * sizeof(float));                                  \
        for (int64_t r = 1; r < rows; r++) {                                         \
            const float *from = x + r * x_row;                                       \
            CNN_FOR_VECTORS(cols, v_store_n(y + i,                                   \
                                            vector_op(v_load_n(y + i, k),            \
                                                      v_load_n(from + i, k)),        \
                                            k))                                      \
        }                                                                            \
    }
CNN_DEFINE_EXTREME(cnn_row_max, max_f32, column_max_f32, v_maximum, cnn_max1,
                   cnn_tree_max, -__builtin_inff(), cnn_tile_max)
CNN_DEFINE_EXTREME(cnn_row_min, min_f32, column_min_f32, v_minimum, cnn_min1,
                   cnn_tree_min, __builtin_inff(), cnn_tile_min)

/* first place of `wanted` in x, or of the first NaN if it is NaN */
CNN_INLINE int64_t cnn_find(int64_t n, const float *x, float wanted) {
    const v_f32 w = v_set(wanted);
    int64_t i = 0;
    for (; i + CNN_VLEN <= n; i += CNN_VLEN) {
        v_f32 v = v_load(x + i);
        if (v_any(wanted != wanted ? v_is_nan(v) : v_eq(v, w))) break;
    }
    for (; i < n - 1; i++) {
        if (x[i] == wanted || (wanted != wanted && x[i] != x[i])) break;
    }
    return i;
}

/* the same in every row of a tile */
CNN_INLINE void cnn_tile_find(int64_t n, const v_f32 *c, v_f32 wanted, int64_t *y) {
    v_f32 place = v_zero(), column = v_set((float)(n - 1));
    for (int64_t j = n - 1; j >= 0; j--, column = column - 1.0f) {
        place = v_select(v_eq(c[j], wanted) | v_is_nan(c[j]), column, place);
    }
    const v_i32 index = __builtin_convertvector(place, v_i32);
    CNN_UNROLL(16) for (int i = 0; i < CNN_VLEN; i++) y[i] = index[i];
}

#define CNN_DEFINE_INDEX(kernel, row, fold)                                          \
    static void CNN_FN(kernel)(int64_t rows, int64_t n, const float *x, int64_t *y) { \
        int64_t r = 0;                                                               \
        CNN_FOR_TILES(rows, n, r) {                                                  \
            v_f32 c[CNN_SHORT];                                                      \
            CNN_FN(tile_load)(n, x + r * n, c);                                      \
            cnn_tile_find(n, c, fold(n, c), y + r);                                  \
        }                                                                            \
        for (; r < rows; r++) {                                                      \
            y[r] = cnn_find(n, x + r * n, CNN_FN(row)(n, x + r * n));                \
        }                                                                            \
    }
CNN_DEFINE_INDEX(argmax_f32, cnn_row_max, cnn_tile_max)
CNN_DEFINE_INDEX(argmin_f32, cnn_row_min, cnn_tile_min)

/* Rows are walked in order over a block of columns, whose extremes so far and their
 * places stay in the cache. Fewer and fewer rows have a new one. */
#define CNN_INDEX_BLOCK 1024
#define CNN_DEFINE_COLUMN_INDEX(kernel, beats)                                       \
    static void CNN_FN(kernel)(int64_t rows, int64_t cols, const float *x,           \
                               int64_t x_row, int64_t *y) {                          \
        float best[CNN_INDEX_BLOCK];                                                 \
        int32_t place[CNN_INDEX_BLOCK];                                              \
        for (; cols > 0; cols -= CNN_INDEX_BLOCK, x += CNN_INDEX_BLOCK) {            \
            const int64_t width = cols < CNN_INDEX_BLOCK ? cols : CNN_INDEX_BLOCK;   \
            memset(place, 0, sizeof place);                                          \
            CNN_FOR_VECTORS(width, v_store(best + i, v_load_n(x + i, k)))            \
            for (int64_t r = 1; r < rows; r++) {                                     \
                const float *row = x + r * x_row;                                    \
                CNN_FOR_VECTORS(width, {                                             \
                    const v_f32 v = v_load_n(row + i, k), b = v_load(best + i);      \
                    v_mask wins = beats | v_is_nan(v);                               \
                    if (v_any(wins)) {                                               \
                        const v_f32 here = v_from_bits(v_set_i((int32_t)r));         \
                        const v_f32 old = v_from_bits(v_load_i(place + i));          \
                        wins = wins & v_eq(b, b); /* the first NaN stays */          \
                        v_store(best + i, v_select(wins, v, b));                     \
                        v_store_i(place + i, v_bits(v_select(wins, here, old)));     \
                    }                                                                \
                })                                                                   \
            }                                                                        \
            for (int64_t i = 0; i < width; i++) *y++ = place[i];                     \
        }                                                                            \
    }
CNN_DEFINE_COLUMN_INDEX(column_argmax_f32, v_lt(b, v))
CNN_DEFINE_COLUMN_INDEX(column_argmin_f32, v_lt(v, b))
