# Losses and their gradients with respect to the output.

cdef void _rowloss_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_rowloss_fn *>t.fn)(
        end - i, t.n, t.a + i * t.n, t.b + i * t.n, t.y + i)


cdef void _rowloss_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_rowloss_grad_fn *>t.fn)(
        end - i, t.n, t.c + i, t.a + i * t.n, t.b + i * t.n, t.y + i * t.n)


cdef void _labelloss_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_labelloss_fn *>t.fn)(end - i, t.n, t.labels + i, t.b + i * t.n, t.y + i)


cdef void _labelloss_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_labelloss_grad_fn *>t.fn)(
        end - i, t.n, t.c + i, t.labels + i, t.b + i * t.n, t.y + i * t.n)


# A loss and its gradient at once.
cdef void _loss_with_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_loss_with_grad_fn *>t.fn)(
        end - i, t.a + i, t.b + i, t.c + i, t.y + i, t.g + i)


cdef void _rowloss_with_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_rowloss_with_grad_fn *>t.fn)(
        end - i, t.n, t.c + i, t.a + i * t.n, t.b + i * t.n, t.y + i, t.g + i * t.n)


cdef void _labelloss_with_grad_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef rows_task *t = <rows_task *>ctx
    (<cnn_labelloss_with_grad_fn *>t.fn)(
        end - i, t.n, t.c + i, t.labels + i, t.b + i * t.n, t.y + i, t.g + i * t.n)


cdef inline bint _has_rows(object output) noexcept:
    """float32 with at least one axis and one element."""
    return (_is_float32(output) and cnp.PyArray_NDIM(output) >= 1
            and cnp.PyArray_SIZE(output) > 0)


cdef inline bint _leads(object ct, object output) noexcept:
    """Whether the array ct has the shape of output without its last axis."""
    cdef int i
    if cnp.PyArray_NDIM(ct) != cnp.PyArray_NDIM(output) - 1:
        return False
    for i in range(cnp.PyArray_NDIM(ct)):
        if cnp.PyArray_DIM(ct, i) != cnp.PyArray_DIM(output, i):
            return False
    return True


cdef inline bint _is_real(object x) noexcept:
    return cnp.PyArray_Check(x) and (
        cnp.PyArray_ISINTEGER(x) or cnp.PyArray_ISFLOAT(x) or cnp.PyArray_ISBOOL(x))


cdef object _as_target(object target):
    """target as float32; a 0/1 target may come in any real type."""
    if _is_real(target) and cnp.PyArray_TYPE(target) != cnp.NPY_FLOAT32:
        return cnp.PyArray_Cast(target, cnp.NPY_FLOAT32)
    return target


cdef object _as_labels(object target, object output):
    """target as contiguous int64, or None if it is not one label per row."""
    cdef cnp.ndarray labels
    cdef const double *value
    cdef int64_t *label
    cdef int64_t i
    if not (_is_real(target) and _leads(target, output)):
        return None
    if cnp.PyArray_TYPE(target) == cnp.NPY_INT64:
        return _contiguous(target)
    if not cnp.PyArray_ISFLOAT(target):
        return cnp.PyArray_Cast(target, cnp.NPY_INT64)
    # what is no int64 (NaN, too large) is no label either
    target = _contiguous(cnp.PyArray_Cast(target, cnp.NPY_DOUBLE))
    labels = cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(target), cnp.PyArray_DIMS(target), cnp.NPY_INT64, 0)
    value = <const double *>cnp.PyArray_DATA(target)
    label = <int64_t *>cnp.PyArray_DATA(labels)
    for i in range(cnp.PyArray_SIZE(labels)):
        label[i] = <int64_t>value[i] if -1.0 < value[i] < 9e18 else -1
    return labels


cdef enum Wanted:
    LOSS
    GRADIENT
    LOSS_AND_GRADIENT


cdef object _call_rows(cnn_task_fn part, void *fn, Wanted wanted, object target,
                       object labels, object output, object ct):
    """Run a row kernel; return what it writes."""
    cdef cnp.ndarray o = _contiguous(output), t, k, c, y = None, g = None
    cdef rows_task task
    cdef int64_t rows
    task.fn = fn
    task.n = cnp.PyArray_DIM(o, cnp.PyArray_NDIM(o) - 1)
    task.b = _data(o)
    if target is not None:
        t = _contiguous(target)
        task.a = _data(t)
    if labels is not None:
        k = labels
        task.labels = <const int64_t *>cnp.PyArray_DATA(k)
    if wanted != GRADIENT:
        y = _leading(o)
        task.y = _data(y)
    if wanted != LOSS:
        c = _contiguous(ct)
        task.c = _data(c)
        g = _empty_like(o)
        task.g = _data(g)
    if wanted == GRADIENT:
        task.y = task.g
    rows = cnp.PyArray_SIZE(o) // task.n
    if rows * task.n <= NOGIL:
        part(&task, 0, rows)
    else:
        with nogil:
            run_rows(part, &task, rows)
    if wanted == LOSS_AND_GRADIENT:
        return y, g
    return y if wanted == LOSS else g


def mean_squared_error(target, output):
    """Return the mean of (output - target)**2 over the last axis."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output)):
        return _fallback("mean_squared_error")(target, output)
    return _call_rows(_rowloss_part, <void *>cnn_table.mean_squared_error_f32,
                      LOSS, t, None, output, None)


def mean_squared_error_grad(ct, target, output):
    """Return the gradient of `mean_squared_error` with respect to the output."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output) and _is_float32(ct)
            and _leads(ct, output)):
        return _fallback("mean_squared_error_grad")(ct, target, output)
    return _call_rows(
        _rowloss_grad_part, <void *>cnn_table.mean_squared_error_grad_f32,
        GRADIENT, t, None, output, ct)


def mean_squared_error_with_grad(ct, target, output):
    """Return `mean_squared_error` and its gradient."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output) and _is_float32(ct)
            and _leads(ct, output)):
        return _fallback("mean_squared_error_with_grad")(ct, target, output)
    return _call_rows(
        _rowloss_with_grad_part, <void *>cnn_table.mean_squared_error_with_grad_f32,
        LOSS_AND_GRADIENT, t, None, output, ct)


def binary_crossentropy(target, output, from_logits=False):
    """Return -(t log p + (1 - t) log(1 - p)) of every element."""
    t = _as_target(target)
    if not _same_pair(t, output):
        return _fallback("binary_crossentropy")(target, output, from_logits)
    return _call_map(
        _pair_part,
        <void *>(cnn_table.binary_crossentropy_logits_f32 if from_logits
                 else cnn_table.binary_crossentropy_f32),
        t, output, None, 0, 0)


def binary_crossentropy_grad(ct, target, output, from_logits=False):
    """Return the gradient of `binary_crossentropy` with respect to the output."""
    t = _as_target(target)
    if not (_same_pair(t, output) and _same_pair(ct, output)):
        return _fallback("binary_crossentropy_grad")(ct, target, output, from_logits)
    return _call_map(
        _triple_part,
        <void *>(cnn_table.binary_crossentropy_logits_grad_f32 if from_logits
                 else cnn_table.binary_crossentropy_grad_f32),
        ct, t, output, 0, 0)


def binary_crossentropy_with_grad(ct, target, output, from_logits=False):
    """Return `binary_crossentropy` and its gradient."""
    cdef cnp.ndarray a, b, c, y, g
    cdef map_task task
    cdef int64_t n
    t = _as_target(target)
    if not (_same_pair(t, output) and _same_pair(ct, output)):
        return _fallback("binary_crossentropy_with_grad")(
            ct, target, output, from_logits)
    a, b, c = _contiguous(ct), _contiguous(t), _contiguous(output)
    y, g = _empty_like(c), _empty_like(c)
    n = cnp.PyArray_SIZE(c)
    task.fn = <void *>(
        cnn_table.binary_crossentropy_logits_with_grad_f32 if from_logits
        else cnn_table.binary_crossentropy_with_grad_f32)
    task.a, task.b, task.c = _data(a), _data(b), _data(c)
    task.y, task.g = _data(y), _data(g)
    if n <= NOGIL:
        _loss_with_grad_part(&task, 0, n)
    else:
        with nogil:
            run_map(_loss_with_grad_part, &task, n)
    return y, g


def categorical_crossentropy(target, output, from_logits=False):
    """Return -sum(t log p) over the last axis."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output)):
        return _fallback("categorical_crossentropy")(target, output, from_logits)
    return _call_rows(
        _rowloss_part,
        <void *>(cnn_table.categorical_crossentropy_logits_f32 if from_logits
                 else cnn_table.categorical_crossentropy_f32),
        LOSS, t, None, output, None)


def categorical_crossentropy_grad(ct, target, output, from_logits=False):
    """Return the gradient of `categorical_crossentropy` for the output."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output) and _is_float32(ct)
            and _leads(ct, output)):
        return _fallback("categorical_crossentropy_grad")(
            ct, target, output, from_logits)
    return _call_rows(
        _rowloss_grad_part,
        <void *>(cnn_table.categorical_crossentropy_logits_grad_f32 if from_logits
                 else cnn_table.categorical_crossentropy_grad_f32),
        GRADIENT, t, None, output, ct)


def categorical_crossentropy_with_grad(ct, target, output, from_logits=False):
    """Return `categorical_crossentropy` and its gradient."""
    t = _as_target(target)
    if not (_has_rows(output) and _same_pair(t, output) and _is_float32(ct)
            and _leads(ct, output)):
        return _fallback("categorical_crossentropy_with_grad")(
            ct, target, output, from_logits)
    return _call_rows(
        _rowloss_with_grad_part,
        <void *>(cnn_table.categorical_crossentropy_logits_with_grad_f32
                 if from_logits
                 else cnn_table.categorical_crossentropy_with_grad_f32),
        LOSS_AND_GRADIENT, t, None, output, ct)


def sparse_categorical_crossentropy(target, output, from_logits=False):
    """Return -log p[label] of the last axis; a label outside it gives 0."""
    labels = _as_labels(target, output) if _has_rows(output) else None
    if labels is None:
        return _fallback("sparse_categorical_crossentropy")(
            target, output, from_logits)
    return _call_rows(
        _labelloss_part,
        <void *>(cnn_table.sparse_categorical_crossentropy_logits_f32 if from_logits
                 else cnn_table.sparse_categorical_crossentropy_f32),
        LOSS, None, labels, output, None)


def sparse_categorical_crossentropy_grad(ct, target, output, from_logits=False):
    """Return the gradient of `sparse_categorical_crossentropy` for the output."""
    labels = _as_labels(target, output) if _has_rows(output) else None
    if labels is None or not (_is_float32(ct) and _leads(ct, output)):
        return _fallback("sparse_categorical_crossentropy_grad")(
            ct, target, output, from_logits)
    return _call_rows(
        _labelloss_grad_part,
        <void *>(cnn_table.sparse_categorical_crossentropy_logits_grad_f32
                 if from_logits
                 else cnn_table.sparse_categorical_crossentropy_grad_f32),
        GRADIENT, None, labels, output, ct)


def sparse_categorical_crossentropy_with_grad(ct, target, output, from_logits=False):
    """Return `sparse_categorical_crossentropy` and its gradient."""
    labels = _as_labels(target, output) if _has_rows(output) else None
    if labels is None or not (_is_float32(ct) and _leads(ct, output)):
        return _fallback("sparse_categorical_crossentropy_with_grad")(
            ct, target, output, from_logits)
    return _call_rows(
        _labelloss_with_grad_part,
        <void *>(cnn_table.sparse_categorical_crossentropy_logits_with_grad_f32
                 if from_logits
                 else cnn_table.sparse_categorical_crossentropy_with_grad_f32),
        LOSS_AND_GRADIENT, None, labels, output, ct)
