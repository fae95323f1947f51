# Counter-based random numbers: threads take parts of the stream.

import numpy

cdef struct philox_task:
    uint64_t seed
    uint64_t offset
    int64_t n
    uint32_t *words
    float *floats
    cnn_uniform_fn *draw  # makes floats


cdef void _philox_blocks(void *ctx, int64_t i, int64_t end) noexcept nogil:
    """Blocks i to end of the task, four words each."""
    cdef philox_task *t = <philox_task *>ctx
    cdef int64_t n = (4 * end if 4 * end < t.n else t.n) - 4 * i
    if t.words != NULL:
        cnn_table.philox_u32(t.seed, t.offset + <uint64_t>i, n, t.words + 4 * i)
    else:
        t.draw(t.seed, t.offset + <uint64_t>i, n, t.floats + 4 * i)


cdef _run_philox(object seed, object offset, cnp.ndarray y, cnn_uniform_fn *draw):
    cdef philox_task task
    task.seed = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF)
    task.offset = <uint64_t>(offset & 0xFFFFFFFFFFFFFFFF)
    task.n = cnp.PyArray_SIZE(y)
    task.words = <uint32_t *>cnp.PyArray_DATA(y) if draw == NULL else NULL
    task.floats = _data(y)
    task.draw = draw
    with nogil:
        cnn_parallel_for((task.n + 3) // 4, GRAIN // 8, _philox_blocks, &task)


def philox_uint32(seed, offset, n):
    """Return n random words of the stream `seed`, from block `offset` on."""
    cdef cnp.ndarray y
    cdef cnp.npy_intp length = n
    if length < 0:
        raise ValueError(f"philox_uint32: expected n >= 0, got {n}")
    y = cnp.PyArray_EMPTY(1, &length, cnp.NPY_UINT32, 0)
    _run_philox(seed, offset, y, NULL)
    return y


def random_uniform(seed, offset, shape):
    """Return float32 numbers in [0, 1): the top 24 bits of each word times 2**-24."""
    cdef cnp.ndarray y = numpy.empty(shape, numpy.float32)
    _run_philox(seed, offset, y, cnn_table.uniform_f32)
    return y


def random_normal(seed, offset, shape):
    """Return float32 numbers from the standard normal distribution."""
    cdef cnp.ndarray y = numpy.empty(shape, numpy.float32)
    _run_philox(seed, offset, y, cnn_table.normal_f32)
    return y
