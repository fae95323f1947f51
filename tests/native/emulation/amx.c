/* Tile units (AMX, palette 1) in C: what TILELOADD, TDPBF16PS and so on do to eight tiles
 * of 16 rows of 64 bytes. What a processor would answer with a fault ends the program. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64, WORDS = ROW_BYTES / 4 };

typedef struct {
    int rows, row_bytes; /* 0, 0: not configured */
    uint32_t word[ROWS][WORDS];
} tile;

static _Thread_local tile tiles[TILES];

static void fault(const char *instruction, const char *why) {
    fprintf(stderr, "emulated tiles: %s: %s\n", instruction, why);
    abort();
}

static tile *checked(const char *instruction, int number) {
    if (number < 0 || number >= TILES || tiles[number].rows == 0)
        fault(instruction, "a tile that is not configured");
    if (tiles[number].row_bytes % 4)
        fault(instruction, "rows that end inside a word");
    return &tiles[number];
}

/* ---- configuration and memory -------------------------------------------------------- */

void _tile_release(void) {
    memset(tiles, 0, sizeof tiles);
}

void _tile_loadconfig(const void *config) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c;
    memcpy(&c, config, sizeof c);
    _tile_release();
    if (c.palette == 0)
        return;
    if (c.palette != 1 || c.start_row != 0) /* start_row is for interrupted loads */
        fault("LDTILECFG", "palette 1 and start row 0 are emulated");
    for (int i = 0; i < (int)sizeof c.reserved; i++)
        if (c.reserved[i])
            fault("LDTILECFG", "a reserved byte is set");
    for (int i = 0; i < 16; i++) {
        if (i >= TILES && (c.rows[i] || c.row_bytes[i]))
            fault("LDTILECFG", "palette 1 has eight tiles");
        if (c.rows[i] > ROWS || c.row_bytes[i] > ROW_BYTES)
            fault("LDTILECFG", "a tile is too large");
        if (!c.rows[i] != !c.row_bytes[i])
            fault("LDTILECFG", "a tile has rows or columns only");
    }
    for (int i = 0; i < TILES; i++) {
        tiles[i].rows = c.rows[i];
        tiles[i].row_bytes = c.row_bytes[i];
    }
}

void _tile_zero(int number) {
    tile *t = checked("TILEZERO", number);
    memset(t->word, 0, sizeof t->word);
}

void _tile_loadd(int number, const void *from, ptrdiff_t stride) {
    tile *t = checked("TILELOADD", number);
    memset(t->word, 0, sizeof t->word);
    for (int i = 0; i < t->rows; i++)
        memcpy(t->word[i], (const char *)from + i * stride, (size_t)t->row_bytes);
}

void _tile_stored(int number, void *to, ptrdiff_t stride) {
    const tile *t = checked("TILESTORED", number);
    for (int i = 0; i < t->rows; i++)
        memcpy((char *)to + i * stride, t->word[i], (size_t)t->row_bytes);
}

/* ---- product --------------------------------------------------------------------------- */

/* The float with these bits; a denormal is zero. */
static inline float value(uint32_t bits) {
    float x;
    if ((bits & 0x7f800000) == 0)
        bits &= 0x80000000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x rounded to a float as if its exponent had no end below; a denormal is zero. Halfway
 * between the largest of those and the smallest normal number x becomes the latter.
 * Rounding twice is harmless: a product of bfloat16 has 16 bits, so a sum with a float
 * that does not fit into the 53 of a double lies far from all halves. */
static inline double rounded(double x) {
    const double y = (float)x;
    return __builtin_fabs(x) < 0x1p-126 - 0x1p-151 ? __builtin_copysign(0.0, x) : y;
}

/* c += a @ b for pairs along K: of each word, the lower half is the even element. */
void _tile_dpbf16ps(int c_number, int a_number, int b_number) {
    static const char name[] = "TDPBF16PS";
    tile *c = checked(name, c_number);
    const tile *a = checked(name, a_number), *b = checked(name, b_number);
    const int pairs = b->rows, columns = c->row_bytes / 4;
    if (c == a || c == b || a == b)
        fault(name, "the tiles must be three");
    if (c->rows != a->rows || c->row_bytes != b->row_bytes || a->row_bytes != 4 * pairs)
        fault(name, "the tiles do not fit together");
    double b_even[ROWS][WORDS], b_odd[ROWS][WORDS];
    for (int k = 0; k < pairs; k++)
        for (int j = 0; j < WORDS; j++) {
            b_even[k][j] = value(b->word[k][j] << 16);
            b_odd[k][j] = value(b->word[k][j] & 0xffff0000);
        }
    for (int i = 0; i < c->rows; i++) {
        double even[WORDS] = {0}, odd[WORDS] = {0};
        for (int k = 0; k < pairs; k++) {
            const double a_even = value(a->word[i][k] << 16);
            const double a_odd = value(a->word[i][k] & 0xffff0000);
            for (int j = 0; j < WORDS; j++) {
                even[j] = rounded(a_even * b_even[k][j] + even[j]);
                odd[j] = rounded(a_odd * b_odd[k][j] + odd[j]);
            }
        }
        for (int j = 0; j < columns; j++) {
            const double sum = rounded(even[j] + odd[j]);
            const float y = (float)rounded(value(c->word[i][j]) + sum);
            memcpy(&c->word[i][j], &y, sizeof y);
        }
    }
}
