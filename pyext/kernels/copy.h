/* Copies between arrays with any strides: joining, cutting, turning and widening are
 * all made of them. */
#ifndef CNN_COPY_H
#define CNN_COPY_H

#include <stdint.h>
#include <string.h>

#define CNN_COPY_AXES 8
#define CNN_COPY_TILE 16 /* elements of a row copied before the next row's */
#define CNN_PREFETCHED 512 /* bytes of a row asked for ahead */

typedef struct {
    int64_t size; /* bytes of an element: 1, 2, 4 or 8 */
    int ndim;     /* at least 2 */
    int64_t shape[CNN_COPY_AXES];
    int64_t from[CNN_COPY_AXES]; /* bytes to move along each axis; 0 repeats */
    int64_t to[CNN_COPY_AXES];
    const char *x;
    char *y;
} cnn_copy_task;

#define CNN_COPY_CASE(bytes, T)                                                      \
    case bytes:                                                                      \
        for (int64_t j = 0; j < n; j++)                                              \
            *(T *)(y + j * to) = *(const T *)(x + j * from);                         \
        return

static inline void cnn_copy_row(int64_t size, int64_t n, const char *x, int64_t from,
                                char *y, int64_t to) {
    if (from == size && to == size) {
        memcpy(y, x, (size_t)(n * size));
        return;
    }
    switch (size) {
        CNN_COPY_CASE(1, uint8_t);
        CNN_COPY_CASE(2, uint16_t);
        CNN_COPY_CASE(4, uint32_t);
        CNN_COPY_CASE(8, uint64_t);
    }
}

/* The rows begin .. end - 1 of the last two axes. Rows that jump through memory are
 * copied in narrow tiles, so that whole cache lines are read. */
static inline void cnn_copy_plane(const cnn_copy_task *t, int64_t begin, int64_t end,
                                  const char *x, char *y) {
    const int row = t->ndim - 2, col = t->ndim - 1;
    const int64_t cols = t->shape[col], from = t->from[col], to = t->to[col];
    const int jumps = from != t->size && from != 0;
    const int64_t tile = jumps ? CNN_COPY_TILE : cols;
    for (int64_t j = 0; j < cols; j += tile) {
        const int64_t n = cols - j < tile ? cols - j : tile;
        for (int64_t i = begin; i < end; i++)
            cnn_copy_row(t->size, n, x + i * t->from[row] + j * from, from,
                         y + i * t->to[row] + j * to, to);
    }
}

static inline void cnn_copy_axes(const cnn_copy_task *t, int axis, const char *x,
                                 char *y) {
    if (axis >= t->ndim - 2 || axis >= CNN_COPY_AXES - 2) {
        cnn_copy_plane(t, 0, t->shape[axis], x, y);
        return;
    }
    for (int64_t i = 0; i < t->shape[axis]; i++)
        cnn_copy_axes(t, axis + 1, x + i * t->from[axis], y + i * t->to[axis]);
}

/* Ask for the start of `size` bytes; where a long row goes on, the hardware sees. */
static inline void cnn_prefetch(const char *x, int64_t size) {
    for (int64_t i = 0; i < size && i < CNN_PREFETCHED; i += 64)
        __builtin_prefetch(x + i);
}

/* y = x, the steps begin .. end - 1 of the first axis */
static inline void cnn_copy_part(void *task, int64_t begin, int64_t end) {
    const cnn_copy_task *t = task;
    if (t->ndim == 2) {
        cnn_copy_plane(t, begin, end, t->x, t->y);
        return;
    }
    for (int64_t i = begin; i < end; i++)
        cnn_copy_axes(t, 1, t->x + i * t->from[0], t->y + i * t->to[0]);
}

#endif
