# Orders. What is not made of 32-bit keys goes to NumPy.

cdef extern from "sorting.h" nogil:
    void cnn_argsort_u32(int64_t n, const uint32_t *keys, int64_t *order,
                         uint64_t *pairs)


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
