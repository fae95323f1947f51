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

/* Largest magnitudes, as the integers of their bits, which sort NaN above all. */
typedef struct {
    v_u32 high[16];
    v_u32 denormal; /* all bits of a lane that saw one: a NaN */
} CNN_FN(amx_range);

CNN_INLINE void CNN_FN(amx_look)(CNN_FN(amx_range) * range, int line, v_f32 x) {
    const v_u32 magnitude = (v_u32)x & 0x7fffffff, high = range->high[line];
    const v_u32 larger = (v_u32)(magnitude > high);
    range->high[line] = (magnitude & larger) | (high & ~larger);
    range->denormal |= (v_u32)(magnitude - 1 < 0x7fffff);
}

/* Write the parts of 16 pairs of elements that follow each other along K: the even ones
 * in the lower halves of the words. */
CNN_INLINE void CNN_FN(amx_cut)(v_f32 even, v_f32 odd, const int parts, uint32_t *to) {
    CNN_UNROLL(3)
    for (int q = 0; q < parts; q++) {
        v_u32 e = (v_u32)even, o = (v_u32)odd;
        e = (e + 0x7fff + ((e >> 16) & 1)) & 0xffff0000; /* to nearest, ties to even */
        o = (o + 0x7fff + ((o >> 16) & 1)) & 0xffff0000;
        v_store_i((int32_t *)to + q * CNN_AMX_PART, (v_i32)(e >> 16 | o));
        even = even - (v_f32)e;
        odd = odd - (v_f32)o;
    }
}

/* Sum up what was seen of `count` lines' largest magnitudes. */
static void CNN_FN(amx_judge)(CNN_FN(amx_side) * side, const uint32_t *lines, int count,
                              const CNN_FN(amx_range) * range) {
    union {
        uint32_t bits;
        float value;
    } low = {.value = INFINITY}, high = {.bits = 0};
    for (int i = 0; i < count; i++) {
        if (lines[i] > high.bits)
            high.bits = lines[i];
        if (lines[i] && lines[i] < low.bits)
            low.bits = lines[i];
    }
    side->low = low.value;
    side->high = high.value;
    side->fits = !v_any(v_is_nan((v_f32)range->denormal)) && high.value <= 0x1p100f &&
                 low.value >= 0x1p-90f;
}

/* Whether tile units may multiply these: rounded parts of 2^-27 of the largest product
 * of a row and a column are normal numbers, and the sum of a chunk is finite. */
CNN_INLINE int CNN_FN(amx_fit)(const CNN_FN(amx_side) * a, const CNN_FN(amx_side) * b) {
    return a->fits && b->fits && (double)a->low * b->low >= 0x1p-90 &&
           (double)a->high * b->high <= 0x1p115;
}

/* `rows` (1 to SIDE) rows of A from a, `steps` of a chunk. */
CNN_INLINE void CNN_FN(amx_cut_rows)(const int parts, int64_t rows, int64_t steps,
                                     const float *a, int64_t a_row, int64_t a_col,
                                     CNN_FN(amx_side) * side) {
    uint32_t *const words = (uint32_t *)(side + 1);
    uint32_t lines[CNN_AMX_SIDE];
    CNN_FN(amx_range) range;
    range.denormal = (v_u32){0};
    for (int half = 0; half < 2 && 16 * half < rows; half++) {
        const int64_t height = rows - 16 * half < 16 ? rows - 16 * half : 16;
        for (int i = 0; i < 16; i++)
            range.high[i] = (v_u32){0};
        for (int64_t k = 0; k < steps; k += 32) {
            const int64_t width = steps - k < 32 ? steps - k : 32;
            const float *from = a + 16 * half * a_row + k * a_col;
            int64_t from_row = a_row;
            float block[16 * 32];
            if (a_col != 1 || width < 32 || height < 16) {
                if (width < 32 || height < 16)
                    memset(block, 0, sizeof block);
                CNN_FN(pack_strided)(width, height, from, a_col, a_row, block, 32);
                from = block;
                from_row = 32;
            }
            uint32_t *to = words + k / 32 * parts * CNN_AMX_PART + half * CNN_AMX_TILE;
            for (int i = 0; i < 16; i++, from += from_row, to += 16) {
                const v_f32 x = v_load(from), y = v_load(from + 16);
                CNN_FN(amx_look)(&range, i, x);
                CNN_FN(amx_look)(&range, i, y);
                CNN_FN(amx_cut)(
                    __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                            22, 24, 26, 28, 30),
                    __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21,
                                            23, 25, 27, 29, 31),
                    parts, to);
            }
        }
        for (int i = 0; i < 16; i++) {
            uint32_t high = 0;
            for (int j = 0; j < CNN_VLEN; j++)
                high = range.high[i][j] > high ? range.high[i][j] : high;
            lines[16 * half + i] = high;
        }
    }
    CNN_FN(amx_judge)(side, lines, rows > 16 ? 32 : 16, &range);
}

/* `cols` (1 to SIDE) columns of B from b. */
CNN_INLINE void CNN_FN(amx_cut_cols)(const int parts, int64_t cols, int64_t steps,
                                     const float *b, int64_t b_row, int64_t b_col,
                                     CNN_FN(amx_side) * side) {
    uint32_t *const words = (uint32_t *)(side + 1);
    uint32_t lines[CNN_AMX_SIDE];
    CNN_FN(amx_range) range;
    range.denormal = (v_u32){0};
    for (int half = 0; half < 2 && 16 * half < cols; half++) {
        const int64_t width = cols - 16 * half < 16 ? cols - 16 * half : 16;
        range.high[0] = (v_u32){0};
        for (int64_t k = 0; k < steps; k += 32) {
            const int64_t height = steps - k < 32 ? steps - k : 32;
            const float *from = b + 16 * half * b_col + k * b_row;
            int64_t from_row = b_row;
            float block[32 * 16];
            if (b_col != 1 || width < 16 || height < 32) {
                if (width < 16 || height < 32)
                    memset(block, 0, sizeof block);
                CNN_FN(pack_strided)(width, height, from, b_col, b_row, block, 16);
                from = block;
                from_row = 16;
            }
            uint32_t *to = words + k / 32 * parts * CNN_AMX_PART + half * CNN_AMX_TILE;
            for (int i = 0; i < 16; i++, from += 2 * from_row, to += 16) {
                const v_f32 x = v_load(from), y = v_load(from + from_row);
                CNN_FN(amx_look)(&range, 0, x);
                CNN_FN(amx_look)(&range, 0, y);
                CNN_FN(amx_cut)(x, y, parts, to);
            }
        }
        memcpy(lines + 16 * half, &range.high[0], sizeof range.high[0]);
    }
    CNN_FN(amx_judge)(side, lines, cols > 16 ? 32 : 16, &range);
    if (!side->fits) {
        float *floats = (float *)(side + 1);
        memset(floats, 0, steps * CNN_AMX_SIDE * sizeof(float));
        CNN_FN(pack_strided)(cols, steps, b, b_col, b_row, floats, CNN_AMX_SIDE);
    }
}

static void CNN_FN(amx_pack_a)(int parts, int64_t rows, int64_t steps, const float *a,
                               int64_t a_row, int64_t a_col, float *to) {
    for (int64_t i = 0; i < rows; i += CNN_AMX_SIDE) {
        const int64_t part = rows - i < CNN_AMX_SIDE ? rows - i : CNN_AMX_SIDE;
        CNN_FN(amx_side) *side = (CNN_FN(amx_side) *)to;
        const float *from = a + i * a_row;
        if (parts == 3)
            CNN_FN(amx_cut_rows)(3, part, steps, from, a_row, a_col, side);
        else if (parts == 2)
            CNN_FN(amx_cut_rows)(2, part, steps, from, a_row, a_col, side);
        else
            CNN_FN(amx_cut_rows)(1, part, steps, from, a_row, a_col, side);
        to += CNN_FN(amx_size)(steps, parts);
    }
}

static void CNN_FN(amx_pack_b)(int parts, int64_t cols, int64_t steps, const float *b,
                               int64_t b_row, int64_t b_col, float *to) {
    for (int64_t j = 0; j < cols; j += CNN_AMX_SIDE) {
        const int64_t part = cols - j < CNN_AMX_SIDE ? cols - j : CNN_AMX_SIDE;
        CNN_FN(amx_side) *side = (CNN_FN(amx_side) *)to;
        const float *from = b + j * b_col;
        if (parts == 3)
            CNN_FN(amx_cut_cols)(3, part, steps, from, b_row, b_col, side);
        else if (parts == 2)
            CNN_FN(amx_cut_cols)(2, part, steps, from, b_row, b_col, side);
        else
            CNN_FN(amx_cut_cols)(1, part, steps, from, b_row, b_col, side);
        to += CNN_FN(amx_size)(steps, parts);
    }
}
