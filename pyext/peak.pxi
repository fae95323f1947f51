# What the machine can do at best, on all threads that calls may use.

cdef enum:
    MUCH_WORK = 1 << 20  # every thread is wanted at once


cdef struct stream_task:
    cnn_stream_fn *fn
    const float *a
    const float *b
    float *y
    int64_t n  # elements of a thread's part
    int64_t repeats


cdef struct peak_task:
    cnn_peak_fn *fn
    int64_t rounds


cdef void _peak_part(void *ctx, int64_t part, int slot) noexcept nogil:
    cdef peak_task *t = <peak_task *>ctx
    cdef float total
    t.fn(t.rounds, 0.5, &total)


cdef int64_t _peak(cnn_peak_fn *fn, int64_t rounds):
    cdef float total
    cdef peak_task task
    cdef int64_t threads = cnn_num_threads()
    task.fn = fn
    task.rounds = rounds
    with nogil:
        cnn_parallel_parts(threads, <int>threads, MUCH_WORK, _peak_part, &task)
    return threads * rounds * fn(0, 0.5, &total)


cdef void _stream_part(void *ctx, int64_t part, int slot) noexcept nogil:
    cdef stream_task *t = <stream_task *>ctx
    cdef int64_t at = part * t.n
    cdef float total
    for _ in range(t.repeats):
        t.fn(t.n, t.a + at, t.b + at, 1.5, t.y + at if t.y != NULL else &total)


def fma_peak(int64_t rounds) -> int:
    """Run chains of fused multiply-adds in registers, on every thread.

    Args:
        rounds: steps of the chains of a thread.

    Returns:
        The number of floating-point operations: two for each fused multiply-add.
    """
    return _peak(cnn_table.peak_fma_f32, rounds)


def tile_peak(int64_t rounds) -> int:
    """Multiply bfloat16 tiles that lie in tile units, on every thread.

    Args:
        rounds: products of a thread, each of two by two tiles.

    Returns:
        The number of floating-point operations; 0 if there are no tile units.
    """
    return _peak(cnn_table.peak_tiles_bf16, rounds)


def stream(str kind, a, b, y, int64_t repeats) -> int:
    """Move arrays through the caches; every thread has an equal part of its own.

    Args:
        kind: "read", "write", "copy", or "triad" (y = a + 1.5 b).
        a: contiguous float32 array.
        b: another one of the same shape.
        y: another one of the same shape; "read" leaves it alone.
        repeats: how often each thread walks through its part.

    Returns:
        The number of bytes read and written.
    """
    cdef stream_task task
    cdef int64_t threads = cnn_num_threads()
    cdef cnp.ndarray one
    for name, x in (("a", a), ("b", b), ("y", y)):
        if not (_is_float32(x) and cnp.PyArray_IS_C_CONTIGUOUS(x)
                and cnp.PyArray_SIZE(x) == cnp.PyArray_SIZE(a)):
            raise ValueError(
                f"stream: expected {name} to be a contiguous float32 array like a")
    arrays = {"read": 1, "write": 1, "copy": 2, "triad": 3}
    if kind == "read":
        task.fn = cnn_table.stream_read_f32
    elif kind == "write":
        task.fn = cnn_table.stream_write_f32
    elif kind == "copy":
        task.fn = cnn_table.stream_copy_f32
    elif kind == "triad":
        task.fn = cnn_table.stream_triad_f32
    else:
        raise ValueError(
            f"stream: kind {kind!r} is unknown; choose one of {', '.join(arrays)}")
    one = a
    task.a = <const float *>cnp.PyArray_DATA(one)
    task.n = cnp.PyArray_SIZE(one) // threads
    one = b
    task.b = <const float *>cnp.PyArray_DATA(one)
    one = y
    task.y = NULL if kind == "read" else <float *>cnp.PyArray_DATA(one)
    task.repeats = repeats
    with nogil:
        cnn_parallel_parts(threads, <int>threads, MUCH_WORK, _stream_part, &task)
    return arrays[kind] * 4 * threads * task.n * repeats
