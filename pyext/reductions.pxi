# Reductions. Every one is seen as x (outer, n, inner) -> y (outer, inner): rows where
# inner is 1, else columns. Long rows and columns are cut at fixed places whatever the
# number of threads, and the parts are folded in order.

cdef enum:
    COLUMN_CHUNK = 256  # rows of x that one partial result of a column covers
    COLUMN_BLOCK = 4096  # columns a thread takes at once
    INDEX_BLOCK = 1024  # the same for argmax and argmin
    INT32_MAX = 2147483647


cdef enum Fold:
    FOLD_SUM
    FOLD_MEAN
    FOLD_MAX
    FOLD_MIN


cdef struct reduce_task:
    cnn_reduce_fn *row
    cnn_fold_fn *column
    int64_t n
    int64_t inner
    int64_t chunks  # parts of one row or column
    int64_t blocks  # of COLUMN_BLOCK columns
    const float *x
    float *parts  # (outer, chunks, inner)


cdef int64_t reduce_chunks(int64_t n, int64_t inner) noexcept nogil:
    """How many parts a row or column of n elements is cut into."""
    cdef int64_t chunk = CNN_CHUNK if inner == 1 else COLUMN_CHUNK
    return (n + chunk - 1) // chunk


cdef void _row_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef reduce_task *t = <reduce_task *>ctx
    t.row(end - i, t.n, t.x + i * t.n, t.parts + i)


cdef void _row_chunks_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef reduce_task *t = <reduce_task *>ctx
    cdef int64_t k, start, length
    for k in range(i, end):
        start = k % t.chunks * CNN_CHUNK
        length = t.n - start if t.n - start < CNN_CHUNK else CNN_CHUNK
        t.row(1, length, t.x + k // t.chunks * t.n + start, t.parts + k)


cdef void _column_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef reduce_task *t = <reduce_task *>ctx
    cdef int64_t k, part, first, start, length, cols
    for k in range(i, end):
        part = k // t.blocks
        first = k % t.blocks * COLUMN_BLOCK
        cols = t.inner - first if t.inner - first < COLUMN_BLOCK else COLUMN_BLOCK
        start = part % t.chunks * COLUMN_CHUNK
        length = t.n - start if t.n - start < COLUMN_CHUNK else COLUMN_CHUNK
        t.column(length, cols,
                 t.x + (part // t.chunks * t.n + start) * t.inner + first, t.inner,
                 t.parts + part * t.inner + first)


cdef void run_reduce(Fold fold, int64_t outer, int64_t n, int64_t inner,
                     const float *x, float *y, float *scratch) noexcept nogil:
    """Reduce the middle axis of x (outer, n, inner), no length 0.

    scratch holds outer * reduce_chunks(n, inner) * inner floats; it is not used where
    there is one chunk.
    """
    cdef reduce_task t
    cdef int64_t i, cols
    cdef float count = n
    t.row = cnn_table.sum_f32
    t.column = cnn_table.column_sum_f32
    if fold == FOLD_MAX:
        t.row = cnn_table.max_f32
        t.column = cnn_table.column_max_f32
    elif fold == FOLD_MIN:
        t.row = cnn_table.min_f32
        t.column = cnn_table.column_min_f32
    t.n = n
    t.inner = inner
    t.x = x
    t.chunks = reduce_chunks(n, inner)
    t.parts = y if t.chunks == 1 else scratch
    if inner == 1 and (t.chunks == 1 or outer >= 64 or outer * n <= GRAIN):
        t.parts = y
        t.chunks = 1  # the kernel folds the chunks itself, in the same order
        if outer * n <= GRAIN:
            _row_part(&t, 0, outer)
        else:
            cnn_parallel_for(outer, GRAIN // n + 1, _row_part, &t)
    elif inner == 1:
        cnn_parallel_for(outer * t.chunks, 2, _row_chunks_part, &t)
    else:
        t.blocks = (inner + COLUMN_BLOCK - 1) // COLUMN_BLOCK
        cols = inner if inner < COLUMN_BLOCK else COLUMN_BLOCK
        i = (n if n < COLUMN_CHUNK else COLUMN_CHUNK) * cols
        cnn_parallel_for(outer * t.chunks * t.blocks, GRAIN // i + 1, _column_part, &t)
    if t.chunks > 1:
        for i in range(outer):
            t.column(t.chunks, inner, scratch + i * t.chunks * inner, inner,
                     y + i * inner)
    if fold == FOLD_MEAN:
        cnn_table.divide_f32(1, outer * inner, y, 0, 1, &count, 0, 0, y)


cdef bint _reduced_axes(cnp.ndarray x, object axis, bint *reduced) except -1:
    """Mark the axes that axis (None, int or tuple) names; False if it is not valid."""
    cdef int ndim = cnp.PyArray_NDIM(x), i
    if ndim > MAX_AXES:
        return False
    for i in range(ndim):
        reduced[i] = axis is None
    if axis is None:
        return True
    if type(axis) is int:
        axis = (axis,)
    elif type(axis) is not tuple:
        return False
    for item in axis:
        if type(item) is not int or not -ndim <= item < ndim:
            return False
        i = item
        if i < 0:
            i += ndim
        if reduced[i]:
            return False
        reduced[i] = True
    return True


cdef object _call_reduce(Fold fold, cnp.ndarray x, bint *reduced, bint keepdims):
    cdef int ndim = cnp.PyArray_NDIM(x), kept = 0, i
    cdef int stage = 0  # 0: before the reduced axes, 1: in them, 2: after
    cdef int64_t outer = 1, n = 1, inner = 1, d
    cdef cnp.npy_intp shape[MAX_AXES]
    cdef cnp.ndarray y, scratch
    cdef float *parts = NULL
    for i in range(ndim):
        d = cnp.PyArray_DIM(x, i)
        if not reduced[i] or keepdims:
            shape[kept] = 1 if reduced[i] else d
            kept += 1
        if d == 1:
            continue
        if reduced[i]:
            if stage == 2:
                return _call_reduce_twice(fold, x, reduced, keepdims)
            stage = 1
            n *= d
        elif stage == 0:
            outer *= d
        else:
            stage = 2
            inner *= d
    x = _contiguous(x)
    y = cnp.PyArray_EMPTY(kept, shape, cnp.NPY_FLOAT32, 0)
    d = reduce_chunks(n, inner)
    if d > 1:
        d *= outer * inner
        scratch = cnp.PyArray_EMPTY(1, <cnp.npy_intp *>&d, cnp.NPY_FLOAT32, 0)
        parts = _data(scratch)
    if outer * n * inner <= NOGIL:
        run_reduce(fold, outer, n, inner, _data(x), _data(y), parts)
    else:
        with nogil:
            run_reduce(fold, outer, n, inner, _data(x), _data(y), parts)
    return y


cdef object _call_reduce_twice(Fold fold, cnp.ndarray x, bint *reduced, bint keepdims):
    """Reduce axes that are not side by side: the last group first, then the others."""
    cdef int ndim = cnp.PyArray_NDIM(x), i
    cdef bint now[MAX_AXES]
    cdef bint later[MAX_AXES]
    cdef bint seen = False, passed = False
    cdef cnp.ndarray y
    cdef float count
    for i in range(ndim - 1, -1, -1):
        if cnp.PyArray_DIM(x, i) > 1:
            passed = passed or (seen and not reduced[i])
            seen = seen or reduced[i]
        now[i] = reduced[i] and not passed
        later[i] = reduced[i] and passed
    y = _call_reduce(FOLD_SUM if fold == FOLD_MEAN else fold, x, now, True)
    y = _call_reduce(FOLD_SUM if fold == FOLD_MEAN else fold, y, later, True)
    if fold == FOLD_MEAN:
        count = cnp.PyArray_SIZE(x) // cnp.PyArray_SIZE(y)
        cnn_table.divide_f32(
            1, cnp.PyArray_SIZE(y), _data(y), 0, 1, &count, 0, 0, _data(y))
    if keepdims:
        return y
    return y.reshape([y.shape[i] for i in range(ndim) if not reduced[i]])


# Sum, max, min (and mean) over axis: None, an int or a tuple.
cdef class _Reduce(_Kernel):

    def __call__(self, x, axis=None, keepdims=False):
        cdef bint reduced[MAX_AXES]
        cdef Fold fold = FOLD_SUM
        if not (_is_float32(x) and cnp.PyArray_SIZE(x)
                and _reduced_axes(x, axis, reduced)):
            return _fallback(self.__name__)(x, axis=axis, keepdims=keepdims)
        if self.__name__ == "max":
            fold = FOLD_MAX
        elif self.__name__ == "min":
            fold = FOLD_MIN
        return _call_reduce(fold, x, reduced, keepdims)


def mean(x, axis=None, keepdims=False):
    """Return the mean over `axis`; NaN where it is empty."""
    cdef bint reduced[MAX_AXES]
    if not (_is_float32(x) and cnp.PyArray_SIZE(x) and _reduced_axes(x, axis, reduced)):
        return _fallback("mean")(x, axis=axis, keepdims=keepdims)
    return _call_reduce(FOLD_MEAN, x, reduced, keepdims)


# ---- argmax, argmin ---------------------------------------------------------------

cdef void _index_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_index_fn *>t.fn)(end - i, t.n, t.a + i * t.n, t.index + i)


# x (outer, n, inner) -> index (outer, inner), inner > 1
cdef struct column_index_task:
    cnn_column_index_fn *fn
    int64_t n
    int64_t inner
    int64_t blocks  # of INDEX_BLOCK columns
    const float *x
    int64_t *index


cdef void _column_index_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef column_index_task *t = <column_index_task *>ctx
    cdef int64_t k, outer, first, cols
    for k in range(i, end):
        outer = k // t.blocks
        first = k % t.blocks * INDEX_BLOCK
        cols = t.inner - first if t.inner - first < INDEX_BLOCK else INDEX_BLOCK
        t.fn(t.n, cols, t.x + outer * t.n * t.inner + first, t.inner,
             t.index + outer * t.inner + first)


cdef void run_index(cnn_index_fn *row, cnn_column_index_fn *column, int64_t outer,
                    int64_t n, int64_t inner, const float *x,
                    int64_t *index) noexcept nogil:
    """Places of the extremes along the middle axis of x (outer, n, inner)."""
    cdef rows_task rows
    cdef column_index_task columns
    cdef int64_t cols = inner if inner < INDEX_BLOCK else INDEX_BLOCK
    if inner == 1:
        rows.fn = <void *>row
        rows.n = n
        rows.a = x
        rows.index = index
        run_rows(_index_part, &rows, outer)
        return
    columns.fn = column
    columns.n = n
    columns.inner = inner
    columns.blocks = (inner + INDEX_BLOCK - 1) // INDEX_BLOCK
    columns.x = x
    columns.index = index
    cnn_parallel_for(outer * columns.blocks, GRAIN // (n * cols) + 1,
                     _column_index_part, &columns)


# Index of an extreme along axis, of the flattened array for None.
cdef class _Index(_Kernel):

    def __call__(self, x, axis=None, keepdims=False):
        cdef cnp.ndarray from_, y
        cdef cnn_index_fn *row
        cdef cnn_column_index_fn *column = cnn_table.column_argmin_f32
        cdef int64_t *index
        cdef cnp.npy_intp shape[MAX_AXES]
        cdef int ndim, i, at = 0, kept = 0
        cdef int64_t outer = 1, n = 1, inner = 1, d
        if not (_is_float32(x) and cnp.PyArray_SIZE(x)
                and cnp.PyArray_NDIM(x) <= MAX_AXES
                and (axis is None or _valid_axis(x, axis, &at))):
            return _fallback(self.__name__)(x, axis=axis, keepdims=keepdims)
        if self.__name__ == "argmax":
            column = cnn_table.column_argmax_f32
        ndim = cnp.PyArray_NDIM(x)
        for i in range(ndim):
            d = cnp.PyArray_DIM(x, i)
            if axis is None or i == at:
                n *= d
            elif i < at:
                outer *= d
            else:
                inner *= d
            if keepdims or not (axis is None or i == at):
                shape[kept] = 1 if axis is None or i == at else d
                kept += 1
        if inner > 1 and n > INT32_MAX:
            return _fallback(self.__name__)(x, axis=axis, keepdims=keepdims)
        y = cnp.PyArray_EMPTY(kept, shape, cnp.NPY_INT64, 0)
        from_ = _contiguous(x)
        row = <cnn_index_fn *>_entry(self.offset)
        index = <int64_t *>cnp.PyArray_DATA(y)
        if outer * n * inner <= NOGIL:
            run_index(row, column, outer, n, inner, _data(from_), index)
        else:
            with nogil:
                run_index(row, column, outer, n, inner, _data(from_), index)
        return y
