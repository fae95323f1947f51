# Elementwise functions of one and of two arrays.

# y = f(x), any shape.
cdef class _Unary(_Kernel):

    def __call__(self, x):
        if not _is_float32(x):
            return _fallback(self.__name__)(x)
        return _call_map(_unary_part, _entry(self.offset), x, None, None, 0, 0)


def clip(x, lo, hi):
    """Return x limited to [lo, hi]; a bound of None does not limit."""
    cdef double low = float("-inf"), high = float("inf")
    cdef bint native = _is_float32(x)
    if lo is not None:
        native = native and (type(lo) is float or type(lo) is int)
        if native:
            low = lo
    if hi is not None:
        native = native and (type(hi) is float or type(hi) is int)
        if native:
            high = hi
    # NumPy's result for a limit that is NaN is NaN
    if not native or low != low or high != high:
        return _fallback("clip")(x, lo, hi)
    return _call_map(
        _unary_pq_part, <void *>cnn_table.clip_f32, x, None, None, low, high)


# ---- two operands that broadcast --------------------------------------------------

cdef enum:
    MAX_AXES = 16


# y[r, c] = f(a[r * a_row + c * a_col], b[...]); y contiguous, a_col and b_col 0 or 1.
cdef struct binary_task:
    cnn_binary_fn *fn
    int64_t cols
    const float *a
    int64_t a_row
    int64_t a_col
    const float *b
    int64_t b_row
    int64_t b_col
    float *y


cdef void _binary_rows(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef binary_task *t = <binary_task *>ctx
    t.fn(end - i, t.cols, t.a + i * t.a_row, t.a_row, t.a_col,
         t.b + i * t.b_row, t.b_row, t.b_col, t.y + i * t.cols)


cdef void _binary_cols(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef binary_task *t = <binary_task *>ctx
    t.fn(1, end - i, t.a + i * t.a_col, 0, t.a_col, t.b + i * t.b_col, 0, t.b_col,
         t.y + i)


cdef void run_binary(binary_task *task, int64_t rows) noexcept nogil:
    cdef binary_task row
    cdef int64_t r
    if rows * task.cols <= GRAIN:
        _binary_rows(task, 0, rows)
    elif task.cols <= GRAIN:
        cnn_parallel_for(rows, GRAIN // task.cols, _binary_rows, task)
    else:
        row = task[0]
        for r in range(rows):
            cnn_parallel_for(row.cols, GRAIN, _binary_cols, &row)
            row.a += row.a_row
            row.b += row.b_row
            row.y += row.cols


# The axes of a broadcast: adjacent ones that both operands walk through as one axis
# are merged, so nearly every real call becomes one or two axes.
cdef struct broadcast:
    int ndim
    int64_t shape[MAX_AXES]
    int64_t a[MAX_AXES]  # steps in elements
    int64_t b[MAX_AXES]


cdef int64_t _steps(cnp.ndarray x, int axis) noexcept:
    """Step of x along an axis of the result, counted from the last (0)."""
    cdef int i = cnp.PyArray_NDIM(x) - 1 - axis
    if i < 0 or cnp.PyArray_DIM(x, i) == 1:
        return 0
    return cnp.PyArray_STRIDE(x, i) // <int64_t>sizeof(float)


cdef bint _broadcast(cnp.ndarray a, cnp.ndarray b, cnp.npy_intp *full,
                     broadcast *out) noexcept:
    """Fill full (max(ndim) lengths) and out; False if the shapes do not broadcast."""
    cdef int na = cnp.PyArray_NDIM(a), nb = cnp.PyArray_NDIM(b)
    cdef int ndim = na if na > nb else nb
    cdef int axis, last
    cdef int64_t da, db, d, sa, sb
    out.ndim = 0
    for axis in range(ndim - 1, -1, -1):  # outer axes first
        da = cnp.PyArray_DIM(a, na - 1 - axis) if axis < na else 1
        db = cnp.PyArray_DIM(b, nb - 1 - axis) if axis < nb else 1
        if da != db and da != 1 and db != 1:
            return False
        d = db if da == 1 else da
        full[ndim - 1 - axis] = d
        if d == 1:
            continue
        sa = _steps(a, axis)
        sb = _steps(b, axis)
        last = out.ndim - 1
        if last >= 0 and out.a[last] == sa * d and out.b[last] == sb * d:
            out.shape[last] *= d
            out.a[last] = sa
            out.b[last] = sb
        else:
            out.shape[out.ndim] = d
            out.a[out.ndim] = sa
            out.b[out.ndim] = sb
            out.ndim += 1
    return True


cdef void run_broadcast(cnn_binary_fn *fn, broadcast *axes, const float *a,
                        const float *b, float *y) noexcept nogil:
    """The inner two axes go to the kernel, the others are walked here."""
    cdef binary_task task
    cdef int64_t index[MAX_AXES]
    cdef int64_t rows = 1, i
    cdef int axis, inner = axes.ndim - 1, outer = axes.ndim - 2
    task.fn = fn
    task.cols = axes.shape[inner] if inner >= 0 else 1
    task.a_col = axes.a[inner] if inner >= 0 else 0
    task.b_col = axes.b[inner] if inner >= 0 else 0
    task.a_row = task.b_row = 0
    if outer >= 0:
        rows = axes.shape[outer]
        task.a_row = axes.a[outer]
        task.b_row = axes.b[outer]
    for axis in range(outer):
        index[axis] = 0
    task.a = a
    task.b = b
    task.y = y
    while True:
        run_binary(&task, rows)
        task.y += rows * task.cols
        axis = outer - 1
        while axis >= 0:
            index[axis] += 1
            task.a += axes.a[axis]
            task.b += axes.b[axis]
            if index[axis] < axes.shape[axis]:
                break
            index[axis] = 0
            task.a -= axes.shape[axis] * axes.a[axis]
            task.b -= axes.shape[axis] * axes.b[axis]
            axis -= 1
        if axis < 0:
            return


cdef inline bint _walkable(cnp.ndarray x) noexcept:
    """Aligned, native byte order; so its steps are whole elements."""
    return cnp.PyArray_ISBEHAVED_RO(x)


# y = f(a, b), shapes broadcast as in NumPy.
cdef class _Binary(_Kernel):

    def __call__(self, a, b):
        cdef cnp.ndarray x, z, y
        cdef broadcast axes
        cdef cnp.npy_intp full[MAX_AXES]
        cdef cnn_binary_fn *fn = <cnn_binary_fn *>_entry(self.offset)
        cdef int64_t n
        cdef int ndim, inner
        if not (_is_float32(a) and _is_float32(b)):
            return _fallback(self.__name__)(a, b)
        x = a if _walkable(a) else _contiguous(a)
        z = b if _walkable(b) else _contiguous(b)
        ndim = cnp.PyArray_NDIM(x)
        if cnp.PyArray_NDIM(z) > ndim:
            ndim = cnp.PyArray_NDIM(z)
        if ndim > MAX_AXES or not _broadcast(x, z, full, &axes):
            return _fallback(self.__name__)(a, b)
        inner = axes.ndim - 1
        if inner >= 0 and not (0 <= axes.a[inner] <= 1 and 0 <= axes.b[inner] <= 1):
            # a step that the kernels do not have: copy what has it
            if not 0 <= axes.a[inner] <= 1:
                x = _contiguous_copy(x)
            if not 0 <= axes.b[inner] <= 1:
                z = _contiguous_copy(z)
            _broadcast(x, z, full, &axes)
        y = cnp.PyArray_EMPTY(ndim, full, cnp.NPY_FLOAT32, 0)
        n = cnp.PyArray_SIZE(y)
        if n == 0:
            return y
        if n <= NOGIL:
            run_broadcast(fn, &axes, _data(x), _data(z), _data(y))
        else:
            with nogil:
                run_broadcast(fn, &axes, _data(x), _data(z), _data(y))
        return y


cdef inline cnp.ndarray _contiguous_copy(cnp.ndarray x):
    return cnp.PyArray_NewCopy(x, cnp.NPY_CORDER)
