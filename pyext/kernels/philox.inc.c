/* Philox 4x32-10: random words as a function of key and counter only.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 * The counter of block i is (low word of i, high word of i, 0, 0); its four output
 * words are words 4 i .. 4 i + 3 of the stream.
 */

#define CNN_PHILOX_BLOCKS 16 /* side by side */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the lower half of 64 bits is the first word of a pair");

/* words[j][i]: word j of block `block + i`. A word is the lower half of 64 bits, whose
 * upper half is of no account: so a product is used as it comes. Even and odd blocks lie
 * in different vectors. */
CNN_INLINE void CNN_FN(philox_blocks)(uint64_t seed, uint64_t block,
                                      uint32_t words[4][CNN_PHILOX_BLOCKS]) {
    static const uint64_t evens[8] = {0, 2, 4, 6, 8, 10, 12, 14};
    for (int at = 0; at < CNN_PHILOX_BLOCKS; at += CNN_VLEN) {
        uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
        v_u64 x[4][2];
        CNN_UNROLL(2)
        for (int h = 0; h < 2; h++) {
            memcpy(&x[0][h], evens, sizeof x[0][h]);
            x[0][h] = x[0][h] + (block + (uint64_t)(at + h));
            x[1][h] = x[0][h] >> 32;
            x[2][h] = x[3][h] = (v_u64){0};
        }
        CNN_UNROLL(10)
        for (int round = 0; round < 10; round++) {
            CNN_UNROLL(2)
            for (int h = 0; h < 2; h++) {
                const v_u64 p = v_mul_lower(x[0][h], 0xD2511F53u);
                const v_u64 q = v_mul_lower(x[2][h], 0xCD9E8D57u);
                x[0][h] = (q >> 32) ^ x[1][h] ^ key0;
                x[2][h] = (p >> 32) ^ x[3][h] ^ key1;
                x[1][h] = q;
                x[3][h] = p;
            }
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
        CNN_UNROLL(4)
        for (int j = 0; j < 4; j++)
            v_store_i((int32_t *)words[j] + at,
                      (v_i32)((x[j][0] & 0xffffffff) | x[j][1] << 32));
    }
}

/* Words or floats: to[4 * i + j] = from[j * CNN_PHILOX_BLOCKS + i] */
CNN_INLINE void CNN_FN(interleave)(const void *from, void *to) {
    for (int at = 0; at < CNN_PHILOX_BLOCKS; at += CNN_VLEN) {
        v_f32 in[4];
        CNN_UNROLL(4)
        for (int j = 0; j < 4; j++)
            in[j] = v_load((const float *)from + j * CNN_PHILOX_BLOCKS + at);
        CNN_FN(transpose_back)(in, (float *)to + 4 * at, 4);
    }
}

static void CNN_FN(philox_u32)(uint64_t seed, uint64_t block, int64_t n, uint32_t *y) {
    enum { STEP = 4 * CNN_PHILOX_BLOCKS };
    uint32_t words[4][CNN_PHILOX_BLOCKS], rest[STEP];
    for (; n > 0; n -= STEP, y += STEP, block += CNN_PHILOX_BLOCKS) {
        CNN_FN(philox_blocks)(seed, block, words);
        CNN_FN(interleave)(words, n < STEP ? rest : y);
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}

static void CNN_FN(uniform_f32)(uint64_t seed, uint64_t block, int64_t n, float *y) {
    enum { STEP = 4 * CNN_PHILOX_BLOCKS };
    uint32_t words[4][CNN_PHILOX_BLOCKS];
    float numbers[4][CNN_PHILOX_BLOCKS], rest[STEP];
    for (; n > 0; n -= STEP, y += STEP, block += CNN_PHILOX_BLOCKS) {
        CNN_FN(philox_blocks)(seed, block, words);
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < CNN_PHILOX_BLOCKS; i++)
                numbers[j][i] = (float)(int32_t)(words[j][i] >> 8) * 0x1p-24f;
        CNN_FN(interleave)(numbers, n < STEP ? rest : y);
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}
