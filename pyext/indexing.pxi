# Rows picked by number, and their adjoint. Indices out of range, and types that are
# neither float32 nor float64 in sums, go to NumPy.

cdef extern from "indexing.h" nogil:
    int64_t CNN_INDEX_GRAIN
    ctypedef struct cnn_index_task:
        int64_t outer
        int64_t n
        int64_t count
        int64_t row
        int64_t size
        int64_t all
        int narrow
        const void *indices
        const char *source
        char *to

    int cnn_indices_fit(const cnn_index_task *t)
    void cnn_take_part(void *task, int64_t begin, int64_t end)
    void cnn_add_rows_f32(void *task, int64_t begin, int64_t end)
    void cnn_add_rows_f64(void *task, int64_t begin, int64_t end)
    void cnn_along_part(void *task, int64_t begin, int64_t end)
    void cnn_add_along_f32(void *task, int64_t begin, int64_t end)
    void cnn_add_along_f64(void *task, int64_t begin, int64_t end)


cdef inline void run_take(cnn_index_task *t) noexcept nogil:
    cdef int64_t rows = t.outer * t.count
    if rows * t.row <= 4 * GRAIN:
        cnn_take_part(t, 0, rows)
    else:
        cnn_parallel_for(rows, 4 * GRAIN // t.row + 1, cnn_take_part, t)


cdef inline void run_add_rows(cnn_task_fn part, cnn_index_task *t) noexcept nogil:
    cdef int64_t columns = t.outer * t.row
    cdef int64_t grain = GRAIN // (t.n + t.count) + CNN_INDEX_GRAIN
    if columns <= grain:
        part(t, 0, columns)
    else:
        cnn_parallel_for(columns, grain, part, t)


cdef bint _index_shape(cnp.ndarray x, object indices, int axis,
                       cnn_index_task *t) noexcept:
    """Fill the sizes of a task from x of the whole shape; False if they do not fit."""
    cdef int i
    if not (cnp.PyArray_Check(indices) and cnp.PyArray_ISINTEGER(indices)
            and cnp.PyArray_TYPE(indices) != cnp.NPY_UINT64):
        return False
    t.count = t.all = cnp.PyArray_SIZE(indices)
    t.outer = t.row = 1
    for i in range(axis):
        t.outer *= cnp.PyArray_DIM(x, i)
    for i in range(axis + 1, cnp.PyArray_NDIM(x)):
        t.row *= cnp.PyArray_DIM(x, i)
    t.n = cnp.PyArray_DIM(x, axis)
    return t.outer > 0 and t.n > 0 and t.count > 0 and t.row > 0


cdef inline cnp.ndarray _wide_indices(indices):
    return cnp.PyArray_FROMANY(indices, cnp.NPY_INT64, 0, 0, cnp.NPY_ARRAY_CARRAY_RO
                               | cnp.NPY_ARRAY_FORCECAST)


def take(x, indices, axis=None):
    """Return the elements at integer `indices` along an axis (None: flattened)."""
    cdef cnn_index_task task
    cdef cnp.ndarray source, wide, y
    cdef int at = 0
    if not (cnp.PyArray_Check(x) and type(axis) is int and _valid_axis(x, axis, &at)
            and cnp.PyTypeNum_ISNUMBER(cnp.PyArray_TYPE(x))
            and cnp.PyArray_ISCARRAY_RO(x) and _index_shape(x, indices, at, &task)):
        return _fallback("take")(x, indices, axis)
    source = x
    wide = _wide_indices(indices)
    task.row *= cnp.PyArray_ITEMSIZE(source)
    task.narrow = False
    task.indices = cnp.PyArray_DATA(wide)
    if not cnn_indices_fit(&task):
        return _fallback("take")(x, indices, axis)
    y = numpy.empty(x.shape[:at] + indices.shape + x.shape[at + 1:], x.dtype)
    task.source = <const char *>cnp.PyArray_DATA(source)
    task.to = <char *>cnp.PyArray_DATA(y)
    if cnp.PyArray_SIZE(y) <= NOGIL:
        run_take(&task)
    else:
        with nogil:
            run_take(&task)
    return y


def take_adjoint(ct, indices, axis, shape):
    """Return zeros of `shape` with ct added at `indices` along an axis."""
    cdef cnn_index_task task
    cdef cnp.ndarray updates, wide, y
    cdef cnn_task_fn part = cnn_add_rows_f32
    cdef int at = 0
    y = numpy.empty(shape, ct.dtype)
    if not (cnp.PyArray_Check(ct) and _valid_axis(y, axis, &at)
            and cnp.PyArray_TYPE(ct) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
            and cnp.PyArray_ISNOTSWAPPED(ct) and _index_shape(y, indices, at, &task)):
        return _fallback("take_adjoint")(ct, indices, axis, shape)
    updates = cnp.PyArray_GETCONTIGUOUS(ct)
    wide = _wide_indices(indices)
    task.narrow = False
    task.indices = cnp.PyArray_DATA(wide)
    if not (cnn_indices_fit(&task)
            and cnp.PyArray_SIZE(updates) == task.outer * task.count * task.row):
        return _fallback("take_adjoint")(ct, indices, axis, shape)
    task.source = <const char *>cnp.PyArray_DATA(updates)
    task.to = <char *>cnp.PyArray_DATA(y)
    if cnp.PyArray_TYPE(ct) == cnp.NPY_FLOAT64:
        part = cnn_add_rows_f64
    with nogil:
        run_add_rows(part, &task)
    return y
