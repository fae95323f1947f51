# Orders. What is not made of 32-bit keys goes to NumPy.

cdef extern from "sorting.h" nogil:
    void cnn_argsort_u32(int64_t n, const uint32_t *keys, int64_t *order,
                         uint64_t *pairs)

    ctypedef enum cnn_sort_type:
        CNN_SORT_U32
        CNN_SORT_I32
        CNN_SORT_F32

    ctypedef struct cnn_sort_task:
        cnn_sort_type type
        int64_t n
        int64_t inner
        const uint32_t *x
        int32_t *y
        uint64_t *pairs

    void cnn_sort_rows(const cnn_sort_task *t, int64_t begin, int64_t end)


cdef void run_sort(void *ctx, int64_t begin, int64_t end) noexcept nogil:
    cdef cnn_sort_task task = (<cnn_sort_task *>ctx)[0]
    task.pairs = <uint64_t *>cnn_workspace(2 * task.n * sizeof(uint64_t))
    if task.pairs != NULL:
        cnn_sort_rows(&task, begin, end)


def argsort(x, axis=-1):
    """Return the int64 indices that sort x; see the reference function."""
    cdef cnp.ndarray keys, order, pairs
    cdef cnp.npy_intp n, scratch
    if not (cnp.PyArray_Check(x) and cnp.PyArray_TYPE(x) == cnp.NPY_UINT32
            and cnp.PyArray_NDIM(x) == 1 and cnp.PyArray_ISNOTSWAPPED(x)
            and cnp.PyArray_SIZE(x) < 1 << 32 and axis in (0, -1)):
        return _fallback("argsort")(x, axis)
    keys = cnp.PyArray_GETCONTIGUOUS(x)
    n = cnp.PyArray_SIZE(keys)
    order = cnp.PyArray_EMPTY(1, &n, cnp.NPY_INT64, 0)
    scratch = 2 * n
    pairs = cnp.PyArray_EMPTY(1, &scratch, cnp.NPY_UINT64, 0)
    with nogil:
        cnn_argsort_u32(n, <uint32_t *>cnp.PyArray_DATA(keys),
                        <int64_t *>cnp.PyArray_DATA(order),
                        <uint64_t *>cnp.PyArray_DATA(pairs))
    return order
