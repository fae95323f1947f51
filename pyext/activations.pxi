# Activations and their gradients. Those without a parameter are made from the kernel
# list; gradients take the cotangent and what the forward saved.

# Gradient from the cotangent ct and the saved array, of one shape.
cdef class _Grad(_Kernel):

    def __call__(self, ct, saved):
        if not _same_pair(ct, saved):
            return _fallback(self.__name__)(ct, saved)
        return _call_map(_pair_part, _entry(self.offset), ct, saved, None, 0, 0)


def leaky_relu(x, negative_slope=0.2):
    """Return x where positive, `negative_slope * x` elsewhere."""
    if not _is_float32(x):
        return _fallback("leaky_relu")(x, negative_slope)
    return _call_map(_unary_p_part, <void *>cnn_table.leaky_relu_f32,
                     x, None, None, negative_slope, 0)


def leaky_relu_grad(ct, x, negative_slope=0.2):
    """Return the gradient of `leaky_relu` from its input `x`."""
    if not _same_pair(ct, x):
        return _fallback("leaky_relu_grad")(ct, x, negative_slope)
    return _call_map(_pair_p_part, <void *>cnn_table.leaky_relu_grad_f32,
                     ct, x, None, negative_slope, 0)


def elu(x, alpha=1.0):
    """Return x where positive, `alpha * (exp(x) - 1)` elsewhere."""
    if not _is_float32(x):
        return _fallback("elu")(x, alpha)
    return _call_map(_unary_p_part, <void *>cnn_table.elu_f32, x, None, None, alpha, 0)


def elu_grad(ct, y, alpha=1.0):
    """Return the gradient of `elu` from its output `y`."""
    if not _same_pair(ct, y):
        return _fallback("elu_grad")(ct, y, alpha)
    return _call_map(_pair_p_part, <void *>cnn_table.elu_grad_f32,
                     ct, y, None, alpha, 0)


def gelu(x, approximate=True):
    """Return x times the standard normal distribution function of x."""
    if not _is_float32(x):
        return _fallback("gelu")(x, approximate)
    return _call_map(
        _unary_part,
        <void *>(cnn_table.gelu_tanh_f32 if approximate else cnn_table.gelu_erf_f32),
        x, None, None, 0, 0)


def gelu_grad(ct, x, approximate=True):
    """Return the gradient of `gelu` from its input `x`."""
    if not _same_pair(ct, x):
        return _fallback("gelu_grad")(ct, x, approximate)
    return _call_map(
        _pair_part,
        <void *>(cnn_table.gelu_tanh_grad_f32 if approximate
                 else cnn_table.gelu_erf_grad_f32),
        ct, x, None, 0, 0)


# ---- softmax and log_softmax: along one axis --------------------------------------

cdef void _rowmap_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_rowmap_fn *>t.fn)(end - i, t.n, t.a + i * t.n, t.y + i * t.n)


cdef void _rowmap_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_rowmap_grad_fn *>t.fn)(
        end - i, t.n, t.a + i * t.n, t.b + i * t.n, t.y + i * t.n)


cdef inline bint _valid_axis(cnp.ndarray x, object axis, int *out) except -1:
    """Whether axis is an int that x has; out counts from the front."""
    cdef int ndim = cnp.PyArray_NDIM(x), i
    if type(axis) is not int or not -ndim <= axis < ndim:
        return False
    i = axis
    out[0] = i + ndim if i < 0 else i
    return True


cdef object _call_rowmap(cnn_task_fn part, void *fn, object a, object b, int axis):
    """Run a kernel over the rows along axis of one or two arrays of one shape."""
    cdef cnp.ndarray first = a, second, y
    cdef int last = cnp.PyArray_NDIM(first) - 1
    cdef rows_task task
    cdef int64_t rows
    if axis != last:
        first = cnp.PyArray_SwapAxes(first, axis, last)
        if b is not None:
            b = cnp.PyArray_SwapAxes(b, axis, last)
        y = _call_rowmap(part, fn, first, b, last)
        return _contiguous(cnp.PyArray_SwapAxes(y, axis, last))
    first = _contiguous(first)
    y = _empty_like(first)
    task.fn = fn
    task.n = cnp.PyArray_DIM(first, last)
    task.a = _data(first)
    if b is not None:
        second = _contiguous(b)
        task.b = _data(second)
    task.y = _data(y)
    rows = cnp.PyArray_SIZE(first) // task.n
    if rows * task.n <= NOGIL:
        part(&task, 0, rows)
    else:
        with nogil:
            run_rows(part, &task, rows)
    return y


# y = f(x) along one axis.
cdef class _RowMap(_Kernel):

    def __call__(self, x, axis=-1):
        cdef int i = 0
        if not (_is_float32(x) and cnp.PyArray_SIZE(x) and _valid_axis(x, axis, &i)):
            return _fallback(self.__name__)(x, axis)
        return _call_rowmap(_rowmap_part, _entry(self.offset), x, None, i)


# Its gradient from the cotangent ct and the output y.
cdef class _RowMapGrad(_Kernel):

    def __call__(self, ct, y, axis=-1):
        cdef int i = 0
        if not (_same_pair(ct, y) and cnp.PyArray_SIZE(y) and _valid_axis(y, axis, &i)):
            return _fallback(self.__name__)(ct, y, axis)
        return _call_rowmap(_rowmap_grad_part, _entry(self.offset), ct, y, i)
