/* Philox 4x32-10: random words as a function of key and counter only.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 * The counter of block i is (low word of i, high word of i, 0, 0); its four output
 * words are words 4 i .. 4 i + 3 of the stream.
 */

#define CNN_PHILOX_BLOCKS 16 /* side by side; the loops over them vectorize */

/* words[j][i]: word j of block `block + i` */
CNN_INLINE void CNN_FN(philox_blocks)(uint64_t seed, uint64_t block,
                                      uint32_t words[4][CNN_PHILOX_BLOCKS]) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t *x0 = words[0], *x1 = words[1], *x2 = words[2], *x3 = words[3];
    for (int i = 0; i < CNN_PHILOX_BLOCKS; i++) {
        const uint64_t counter = block + (uint64_t)i;
        x0[i] = (uint32_t)counter;
        x1[i] = (uint32_t)(counter >> 32);
        x2[i] = x3[i] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < CNN_PHILOX_BLOCKS; i++) {
            const uint64_t p = (uint64_t)x0[i] * 0xD2511F53u;
            const uint64_t q = (uint64_t)x2[i] * 0xCD9E8D57u;
            x0[i] = (uint32_t)(q >> 32) ^ x1[i] ^ key0;
            x2[i] = (uint32_t)(p >> 32) ^ x3[i] ^ key1;
            x1[i] = (uint32_t)q;
            x3[i] = (uint32_t)p;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

static void CNN_FN(philox_u32)(uint64_t seed, uint64_t block, int64_t n, uint32_t *y) {
    enum { STEP = 4 * CNN_PHILOX_BLOCKS };
    uint32_t words[4][CNN_PHILOX_BLOCKS], rest[STEP];
    for (; n > 0; n -= STEP, y += STEP, block += CNN_PHILOX_BLOCKS) {
        uint32_t *to = n < STEP ? rest : y;
        CNN_FN(philox_blocks)(seed, block, words);
        for (int i = 0; i < CNN_PHILOX_BLOCKS; i++)
            for (int j = 0; j < 4; j++)
                to[4 * i + j] = words[j][i];
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}

static void CNN_FN(uniform_f32)(uint64_t seed, uint64_t block, int64_t n, float *y) {
    enum { STEP = 4 * CNN_PHILOX_BLOCKS };
    uint32_t words[4][CNN_PHILOX_BLOCKS];
    float rest[STEP];
    for (; n > 0; n -= STEP, y += STEP, block += CNN_PHILOX_BLOCKS) {
        float *to = n < STEP ? rest : y;
        CNN_FN(philox_blocks)(seed, block, words);
        for (int i = 0; i < CNN_PHILOX_BLOCKS; i++)
            for (int j = 0; j < 4; j++)
                to[4 * i + j] = (float)(int32_t)(words[j][i] >> 8) * 0x1p-24f;
        if (n < STEP)
            memcpy(y, rest, (size_t)n * sizeof *y);
    }
}
