/* Floats cut into bfloat16 parts, in the order in which tile units read them; what for is
 * told in amx.inc.c. */

/* Rows of A and columns of B that are cut and multiplied together: two tiles. Four tiles
 * of C, two of A and two of B are the eight there are. */
#define CNN_AMX_SIDE 32
/* Words (two bfloat16) of a tile, and of the two side by side in a part. */
#define CNN_AMX_TILE 256
#define CNN_AMX_PART (2 * CNN_AMX_TILE)

/* A chunk of SIDE rows of A, or columns of B. The words of its tiles follow, ordered by
 * step, part, tile; or, of B, the floats (step, column), where it does not fit. */
typedef struct {
    float low, high; /* least and largest of the lines' largest magnitudes; no zeros */
    int fits;
    int unused[13]; /* to a line of cache */
} CNN_FN(amx_side);

typedef uint32_t v_u32 __attribute__((vector_size(4 * CNN_VLEN)));

CNN_INLINE int64_t CNN_FN(amx_steps)(int64_t steps) { return (steps + 31) / 32; }

/* Floats of an amx_side and what follows it. */
CNN_INLINE int64_t CNN_FN(amx_size)(int64_t steps, int parts) {
    const int64_t room = parts < 2 ? 2 : parts; /* the floats need that of two parts */
    return (int64_t)(sizeof(CNN_FN(amx_side)) / sizeof(float)) +
           CNN_FN(amx_steps)(steps) * room * CNN_AMX_PART;
}

/* The bits of 2^-103: the last bit of a smaller number, and so its last part, may be
 * denormal. */
#define CNN_AMX_TINY 0x0c000000u

/* What was seen of lines: magnitudes as the integers of their bits, less one. */
typedef struct {
    v_i32 high[16]; /* largest ones, NaN above all */
    v_u32 low;      /* least of all but zeros */
} CNN_FN(amx_range);

CNN_INLINE void CNN_FN(amx_look)(CNN_FN(amx_range) * range, int line, v_f32 x) {
    const __m512i below = (__m512i)((v_bits(x) & 0x7fffffff) - 1);
    range->high[line] = (v_i32)_mm512_max_epi32((__m512i)range->high[line], below);
    range->low = (v_u32)_mm512_min_epu32((__m512i)range->low, below);
}

/* The first 8 bits of x, to nearest, ties to even: the sum lacks the last 16 bits of x. */
CNN_INLINE v_f32 CNN_FN(amx_round)(v_f32 x) {
    const v_f32 sum = v_fma(x, v_set(-65536.0f), x);
    return v_fma(x, v_set(65536.0f), sum);
}

/* Write the parts of 16 pairs of elements that follow each other along K: the even ones
 * in the lower halves of the words. A third part is what is left of 24 bits. */
CNN_INLINE void CNN_FN(amx_cut)(v_f32 even, v_f32 odd, const int parts, uint32_t *to) {
    CNN_UNROLL(3)
    for (int q = 0; q < parts; q++) {
        const v_f32 e = q == 2 ? even : CNN_FN(amx_round)(even);
        const v_f32 o = q == 2 ? odd : CNN_FN(amx_round)(odd);
        v_store_i((int32_t *)to + q * CNN_AMX_PART, (v_i32)((v_u32)e >> 16 | (v_u32)o));
        even = even - e;
        odd = odd - o;
    }
}

CNN_INLINE float CNN_FN(amx_float)(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sum up what was seen of SIDE lines. */
static void CNN_FN(amx_judge)(CNN_FN(amx_side) * side, const int32_t *lines,
                              const CNN_FN(amx_range) * range) {
    int32_t high = -1;
    uint32_t low = UINT32_MAX;
    for (int i = 0; i < CNN_AMX_SIDE; i++) {
        high = lines[i] > high ? lines[i] : high;
        low = (uint32_t)lines[i] < low ? (uint32_t)lines[i] : low;
    }
    side->low = low == UINT32_MAX ? INFINITY : CNN_FN(amx_float)(low + 1);
    side->high = CNN_FN(amx_float)((uint32_t)high + 1);
    const v_u32 tiny = (v_u32)(range->low < CNN_AMX_TINY - 1);
    side->fits = !v_any(v_is_nan((v_f32)tiny)) && side->high <= 0x1p100f &&
                 side->low >= 0x1p-90f;
}

/* Whether tile units may multiply these: rounded parts of 2^-27 of the largest product
 * of a row and a column are normal numbers, and the sum of a chunk is finite. */
CNN_INLINE int CNN_FN(amx_fit)(const CNN_FN(amx_side) * a, const CNN_FN(amx_side) * b) {
    return a->fits && b->fits && (double)a->low * b->low >= 0x1p-90 &&
           (double)a->high * b->high <= 0x1p115;
}

/* `count` (1 to SIDE) lines of x, rows of A or columns of B, `steps` of a chunk: element
 * (line, k) lies at x[i * line + k * step]. A tile of A has a row for each line, one of B a
 * row for each pair of steps. */
CNN_INLINE void CNN_FN(amx_cut_side)(const int of_a, const int parts, int64_t count,
                                     int64_t steps, const float *x, int64_t line,
                                     int64_t step, CNN_FN(amx_side) * side) {
    const int64_t row = of_a ? line : step, col = of_a ? step : line;
    const int height = of_a ? 16 : 32, width = of_a ? 32 : 16;
    uint32_t *const words = (uint32_t *)(side + 1);
    int32_t lines[CNN_AMX_SIDE];
    for (int i = 0; i < CNN_AMX_SIDE; i++)
        lines[i] = -1;
    CNN_FN(amx_range) range;
    range.low = ~(v_u32){0};
    for (int half = 0; half < 2 && 16 * half < count; half++) {
        const int64_t some = count - 16 * half < 16 ? count - 16 * half : 16;
        for (int i = 0; i < (of_a ? 16 : 1); i++)
            range.high[i] = v_set_i(-1);
        for (int64_t k = 0; k < steps; k += 32) {
            const int64_t depth = steps - k < 32 ? steps - k : 32;
            const int64_t rows = of_a ? some : depth, cols = of_a ? depth : some;
            const int whole = rows == height && cols == width;
            const float *from = x + 16 * half * line + k * step;
            int64_t from_row = row;
            float block[16 * 32];
            if (col != 1 || !whole) {
                if (!whole)
                    memset(block, 0, sizeof block);
                CNN_FN(pack_strided)(cols, rows, from, col, row, block, width);
                from = block;
                from_row = width;
            }
            uint32_t *to = words + k / 32 * parts * CNN_AMX_PART + half * CNN_AMX_TILE;
            for (int i = 0; i < 16; i++, to += 16) {
                const v_f32 u = v_load(from), w = v_load(from + (of_a ? 16 : from_row));
                CNN_FN(amx_look)(&range, of_a ? i : 0, u);
                CNN_FN(amx_look)(&range, of_a ? i : 0, w);
                if (of_a)
                    CNN_FN(amx_cut)(
                        __builtin_shufflevector(u, w, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                                20, 22, 24, 26, 28, 30),
                        __builtin_shufflevector(u, w, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,
                                                21, 23, 25, 27, 29, 31),
                        parts, to);
                else
                    CNN_FN(amx_cut)(u, w, parts, to);
                from += of_a ? from_row : 2 * from_row;
            }
        }
        if (!of_a)
            memcpy(lines + 16 * half, &range.high[0], sizeof range.high[0]);
        for (int i = 0; of_a && i < 16; i++) {
            int32_t high = -1;
            for (int j = 0; j < CNN_VLEN; j++)
                high = range.high[i][j] > high ? range.high[i][j] : high;
            lines[16 * half + i] = high;
        }
    }
    CNN_FN(amx_judge)(side, lines, &range);
    if (!of_a && !side->fits) {
        float *floats = (float *)(side + 1);
        memset(floats, 0, steps * CNN_AMX_SIDE * sizeof(float));
        CNN_FN(pack_strided)(count, steps, x, line, step, floats, CNN_AMX_SIDE);
    }
}

/* Any number of lines, one amx_side after the other. */
CNN_INLINE void CNN_FN(amx_cut_sides)(const int of_a, int parts, int64_t count,
                                      int64_t steps, const float *x, int64_t line,
                                      int64_t step, float *to) {
    for (int64_t i = 0; i < count; i += CNN_AMX_SIDE, x += CNN_AMX_SIDE * line) {
        const int64_t some = count - i < CNN_AMX_SIDE ? count - i : CNN_AMX_SIDE;
        CNN_FN(amx_side) *side = (CNN_FN(amx_side) *)to;
        if (parts == 3)
            CNN_FN(amx_cut_side)(of_a, 3, some, steps, x, line, step, side);
        else if (parts == 2)
            CNN_FN(amx_cut_side)(of_a, 2, some, steps, x, line, step, side);
        else
            CNN_FN(amx_cut_side)(of_a, 1, some, steps, x, line, step, side);
        to += CNN_FN(amx_size)(steps, parts);
    }
}

static void CNN_FN(amx_pack_a)(int parts, int64_t rows, int64_t steps, const float *a,
                               int64_t a_row, int64_t a_col, float *to) {
    CNN_FN(amx_cut_sides)(1, parts, rows, steps, a, a_row, a_col, to);
}

static void CNN_FN(amx_pack_b)(int parts, int64_t cols, int64_t steps, const float *b,
                               int64_t b_row, int64_t b_col, float *to) {
    CNN_FN(amx_cut_sides)(0, parts, cols, steps, b, b_col, b_row, to);
}
