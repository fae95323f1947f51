# Matrix products: checks, the split over threads, and what goes with them in a Dense.

cdef extern from "workspace.h" nogil:
    void *cnn_workspace(size_t nbytes)


from libc.string cimport memset


cdef enum:
    THREAD_FLOPS = 262144  # floating-point operations that pay for one more thread
    PART_FLOPS = 131072  # fewest operations in a part, the unit that threads take
    PARTS_PER_THREAD = 2  # so that a slow core does not hold up the others
    PACK_COST = 14  # copying one element of a panel, in multiply-adds of one column
    CUT_COST = 90  # the same for cutting it into parts for tile units


# bfloat16 parts that tile units may cut an operand into; 0: fused multiply-adds only
cdef int _matmul_parts = 3


def matmul_parts() -> int:
    """Return the bfloat16 parts of an operand that products on tile units may use."""
    return _matmul_parts


def set_matmul_parts(parts) -> None:
    """Set them: 3, 2 or 1; 0 keeps to fused multiply-adds.

    Raises:
        ValueError: for any other number.
    """
    global _matmul_parts
    if isinstance(parts, bool) or not isinstance(parts, int) or not 0 <= parts <= 3:
        raise ValueError(f"set_matmul_parts: expected 0, 1, 2 or 3, got {parts!r}")
    _matmul_parts = parts


cdef dict _ACTIVATIONS = {
    "linear": CNN_LINEAR,
    "relu": CNN_RELU,
    "leaky_relu": CNN_LEAKY_RELU,
    "elu": CNN_ELU,
    "selu": CNN_SELU,
    "gelu": CNN_GELU,
    "gelu_tanh": CNN_GELU_TANH,
    "silu": CNN_SILU,
    "sigmoid": CNN_SIGMOID,
    "hard_sigmoid": CNN_HARD_SIGMOID,
    "tanh": CNN_TANH,
    "softplus": CNN_SOFTPLUS,
    "softsign": CNN_SOFTSIGN,
    "exponential": CNN_EXPONENTIAL,
}


# ---- on raw pointers --------------------------------------------------------------

# `batch` products. The caller fills the first group, prepare_matmul the second.
cdef struct matmul_task:
    cnn_matmul p  # the first product
    int ndim  # axes of the batch; a_step and b_step count floats
    int64_t shape[MAX_AXES]
    int64_t a_step[MAX_AXES]
    int64_t b_step[MAX_AXES]

    cnn_matmul_plan plan
    int64_t batch
    int64_t batch_part  # products per part
    int64_t rows  # rows and columns of a product per part
    int64_t cols
    int64_t grid_cols  # parts side by side in a product
    int64_t grid  # parts in a product
    int64_t parts
    int threads
    int64_t work  # see cnn_parallel_parts
    int64_t scratch_size  # floats that run_matmul needs
    float *scratch
    const float *column  # where b is one column with sums: it, contiguous, and its sum
    float *column_sum


cdef inline int64_t _ceil_div(int64_t n, int64_t d) noexcept nogil:
    return (n + d - 1) // d


cdef inline int64_t _even_step(int64_t n, int64_t parts, int64_t unit) noexcept nogil:
    """Length of each of `parts` parts of n, in whole units."""
    return _ceil_div(_ceil_div(n, parts), unit) * unit


cdef double _choose_grid(matmul_task *t, int64_t parts) noexcept nogil:
    """Cut a product into a grid of about `parts` parts: even, with few copies. Return
    what the thread with the most parts has to do, in multiply-adds per step of K."""
    cdef int64_t grid_cols, rows, cols, count
    cdef int pack_cost = CUT_COST if t.plan.parts else PACK_COST
    cdef double cost, best = -1
    for grid_cols in range(1, parts + 1):
        rows = _even_step(t.p.m, parts // grid_cols, t.plan.tile_rows)
        cols = _even_step(t.p.n, grid_cols, t.plan.panel)
        count = _ceil_div(t.p.m, rows) * _ceil_div(t.p.n, cols)
        cost = <double>rows * cols
        if t.plan.pack_a:
            cost += pack_cost * rows
        if t.plan.pack_b:
            cost += pack_cost * cols
        cost *= _ceil_div(count, t.threads)
        if best < 0 or cost < best:
            best = cost
            t.rows = rows
            t.cols = cols
    return best


cdef void _split_product(matmul_task *t, int64_t parts) noexcept nogil:
    """Cut a product into `parts` parts, or half as many where that saves copies."""
    cdef double cost = _choose_grid(t, parts)
    if parts >= 2 * t.threads and _choose_grid(t, parts // 2) > 0.98 * cost:
        _choose_grid(t, parts)
    t.grid_cols = _ceil_div(t.p.n, t.cols)
    t.grid = t.grid_cols * _ceil_div(t.p.m, t.rows)


cdef void prepare_matmul(matmul_task *t) noexcept nogil:
    """Choose how to compute the products: path, parts, threads, scratch."""
    cdef cnn_matmul *p = &t.p
    cdef double flops
    cdef int64_t parts
    cdef int i
    p.column = p.n == 1
    if p.column:
        # computed as the row b.T @ a.T
        p.n = p.m
        p.m = 1
        p.a, p.b = p.b, p.a
        p.a_row, p.b_col = p.b_col, p.a_row
        p.a_col, p.b_row = p.b_row, p.a_col
        for i in range(t.ndim):
            t.a_step[i], t.b_step[i] = t.b_step[i], t.a_step[i]
        p.sums = NULL  # see column_sum
    p.parts = _matmul_parts
    cnn_table.matmul_plan_f32(p, &t.plan)
    t.batch = 1
    for i in range(t.ndim):
        t.batch *= t.shape[i]
    t.batch_part = t.batch
    t.rows = p.m
    t.cols = p.n
    t.grid = t.grid_cols = 1
    t.threads = 1
    flops = 2.0 * p.m * p.n * p.k * t.batch
    t.work = <int64_t>min(flops / THREAD_FLOPS, 1e6)
    if flops >= 2 * THREAD_FLOPS:
        t.threads = cnn_num_threads()
        if flops < <double>THREAD_FLOPS * t.threads:
            t.threads = <int>(flops / THREAD_FLOPS)
    if t.threads > 1:
        parts = t.threads * PARTS_PER_THREAD
        if flops < <double>PART_FLOPS * parts:
            parts = <int64_t>(flops / PART_FLOPS)
        if t.batch < parts:
            _split_product(t, _ceil_div(parts, t.batch))
        t.batch_part = _ceil_div(t.batch * t.grid, parts) if t.grid == 1 else 1
    t.parts = _ceil_div(t.batch, t.batch_part) * t.grid
    if t.parts < t.threads:
        t.threads = <int>t.parts
    t.scratch_size = t.threads * ((t.plan.scratch + 15) // 16 * 16)


cdef void _matmul_part(void *ctx, int64_t part, int slot) noexcept nogil:
    cdef matmul_task *t = <matmul_task *>ctx
    cdef cnn_matmul p = t.p
    cdef float *scratch = t.scratch + slot * (t.scratch_size // t.threads)
    cdef int64_t cell = part % t.grid
    cdef int64_t first = part // t.grid * t.batch_part
    cdef int64_t last = first + t.batch_part
    cdef int64_t m0 = cell // t.grid_cols * t.rows, m1 = m0 + t.rows
    cdef int64_t n0 = cell % t.grid_cols * t.cols, n1 = n0 + t.cols
    cdef int64_t index, rest, at
    cdef int i
    last = t.batch if last > t.batch else last
    m1 = p.m if m1 > p.m else m1
    n1 = p.n if n1 > p.n else n1
    for index in range(first, last):
        p.a = t.p.a
        p.b = t.p.b
        p.c = t.p.c + index * p.m * p.n
        p.saved = t.p.saved + index * p.m * p.n
        rest = index
        for i in range(t.ndim - 1, -1, -1):
            at = rest % t.shape[i]
            rest //= t.shape[i]
            p.a += at * t.a_step[i]
            p.b += at * t.b_step[i]
        cnn_table.matmul_block_f32(&p, &t.plan, m0, m1, n0, n1, scratch)


cdef void run_matmul(matmul_task *t, float *scratch) noexcept nogil:
    """Compute the prepared products; scratch is 64-byte aligned."""
    t.scratch = scratch
    if t.parts == 1 and t.batch == 1:
        cnn_table.matmul_block_f32(&t.p, &t.plan, 0, t.p.m, 0, t.p.n, scratch)
    elif t.parts == 1:
        _matmul_part(t, 0, 0)
    else:
        cnn_parallel_parts(t.parts, t.threads, t.work, _matmul_part, t)
    if t.column_sum != NULL:
        cnn_table.sum_f32(1, t.p.k, t.column, t.column_sum)


# The matrix b of a product, written in panels before it.
cdef struct pack_task:
    cnn_matmul p
    cnn_matmul_plan plan
    float *y


cdef void _product_of_rows(cnn_matmul *p, int64_t m, int64_t n, int64_t k,
                           bint transpose_a, bint transpose_b) noexcept nogil:
    """Fill sizes and strides of a product of contiguous matrices."""
    p.m = m
    p.n = n
    p.k = k
    # the stride of an axis of length 1 is arbitrary
    p.a_row = (1 if transpose_a else k) if m > 1 else 0
    p.a_col = (m if transpose_a else 1) if k > 1 else 1
    p.b_row = (1 if transpose_b else n) if k > 1 else n
    p.b_col = (k if transpose_b else 1) if n > 1 else 1
    p.c_row = n


cdef void _pack_part(void *ctx, int64_t first, int64_t last) noexcept nogil:
    cdef pack_task *t = <pack_task *>ctx
    cnn_table.matmul_pack_f32(&t.p, &t.plan, first, last, t.y)


cdef void prepare_pack(pack_task *t, int64_t m, int64_t n, int64_t k,
                       bint transpose_b) noexcept nogil:
    _product_of_rows(&t.p, m, n, k, False, transpose_b)
    t.p.packed = 1
    t.p.parts = _matmul_parts
    cnn_table.matmul_plan_f32(&t.p, &t.plan)


cdef void run_pack(pack_task *t) noexcept nogil:
    cdef int64_t column = t.p.k * t.plan.panel
    cnn_parallel_for(t.plan.all_cols // t.plan.panel, GRAIN // column + 1,
                     _pack_part, t)


def packed_size(int64_t m, int64_t n, int64_t k, transpose_b=False) -> int:
    """Bytes of `b` in panels, or 0 where these are not worth it.

    Args:
        m: rows of the product, 1 or more.
        n: columns of the product, 1 or more.
        k: inner length.
        transpose_b: whether `b` is (n, k) instead of (k, n).

    Returns:
        A multiple of 4; it depends on the sizes, the instruction set and the parts of
        `set_matmul_parts`. 0 where a product reads `b` as it lies about as fast as it
        would read panels.
    """
    cdef pack_task t
    memset(&t, 0, sizeof(t))
    prepare_pack(&t, m, n, k, transpose_b)
    return 4 * t.plan.panels_size if t.plan.pays else 0


# ---- on arrays --------------------------------------------------------------------

cdef inline int64_t _stride(cnp.ndarray x, int axis) noexcept:
    return cnp.PyArray_STRIDE(x, axis) // <int64_t>sizeof(float)


cdef bint _batch_axes(cnp.ndarray a, cnp.ndarray b, cnp.npy_intp *full,
                      matmul_task *t) noexcept:
    """Fill full with the broadcast leading axes of a and b, and t with those that are
    longer than 1, merged where possible; False if they do not broadcast."""
    cdef int na = cnp.PyArray_NDIM(a), nb = cnp.PyArray_NDIM(b)
    cdef int ndim = na if na > nb else nb
    cdef int axis, last
    cdef int64_t da, db, d, sa, sb
    t.ndim = 0
    for axis in range(ndim - 2):
        da = db = 1
        sa = sb = 0
        if axis >= ndim - na:
            da = cnp.PyArray_DIM(a, axis - ndim + na)
            sa = _stride(a, axis - ndim + na) if da != 1 else 0
        if axis >= ndim - nb:
            db = cnp.PyArray_DIM(b, axis - ndim + nb)
            sb = _stride(b, axis - ndim + nb) if db != 1 else 0
        if da != db and da != 1 and db != 1:
            return False
        d = db if da == 1 else da
        full[axis] = d
        if d == 1:
            continue
        last = t.ndim - 1
        if last >= 0 and t.a_step[last] == sa * d and t.b_step[last] == sb * d:
            t.shape[last] *= d
        else:
            last += 1
            t.ndim += 1
            t.shape[last] = d
        t.a_step[last] = sa
        t.b_step[last] = sb
    return True


# What follows a product; the numbers are those of _ACTIVATIONS.
cdef struct epilogue:
    int activation
    int grad
    float grad_p
    bint sums


cdef object _product(a, b, bias, bint swap_a, bint swap_b, const epilogue *after,
                     saved):
    """The product, or the pair (product, sums); None if no kernel serves the arrays."""
    cdef cnp.ndarray x, y, c, row, kept, sums
    cdef matmul_task t
    cdef cnn_matmul *p = &t.p
    cdef cnp.npy_intp full[MAX_AXES]
    cdef int na, nb, ndim
    cdef float *scratch
    if not (_is_float32(a) and _is_float32(b)
            and (bias is None or (_is_float32(bias) and cnp.PyArray_NDIM(bias) == 1))):
        return None
    x = a if cnp.PyArray_ISBEHAVED_RO(a) else _contiguous(a)
    y = b if cnp.PyArray_ISBEHAVED_RO(b) else _contiguous(b)
    na = cnp.PyArray_NDIM(x)
    nb = cnp.PyArray_NDIM(y)
    ndim = na if na > nb else nb
    if na < 2 or nb < 2 or ndim > MAX_AXES or (after.sums and ndim > 2):
        return None
    p.m = cnp.PyArray_DIM(x, na - 1 if swap_a else na - 2)
    p.k = cnp.PyArray_DIM(x, na - 2 if swap_a else na - 1)
    p.n = cnp.PyArray_DIM(y, nb - 2 if swap_b else nb - 1)
    t.ndim = 0
    if (cnp.PyArray_DIM(y, nb - 1 if swap_b else nb - 2) != p.k
            or (bias is not None and cnp.PyArray_DIM(bias, 0) != p.n)
            or (ndim > 2 and not _batch_axes(x, y, full, &t))):
        return None
    full[ndim - 2] = p.m
    full[ndim - 1] = p.n
    c = cnp.PyArray_EMPTY(ndim, full, cnp.NPY_FLOAT32, 0)
    if cnp.PyArray_SIZE(c) == 0:
        return None if after.sums or after.grad else c

    p.packed = 0
    # the stride of an axis of length 1 is arbitrary
    p.a_row = _stride(x, na - 1 if swap_a else na - 2) if p.m > 1 else 0
    if ndim > 2 and nb == 2 and not swap_a:
        # One matrix for a whole stack: one taller product, whatever the strides, as in
        # a program; for the number of rows decides whether tile units are used.
        if t.ndim > 1 or (t.ndim == 1 and p.m > 1 and t.a_step[0] != p.a_row * p.m):
            x = _contiguous(x)  # no one stride leads from row to row
            p.a_row = p.k
        elif t.ndim == 1 and p.m == 1:
            p.a_row = t.a_step[0]
        p.m = cnp.PyArray_SIZE(c) // p.n
        t.ndim = 0
    p.a = _data(x)
    p.b = _data(y)
    p.c = _data(c)
    p.a_col = _stride(x, na - 2 if swap_a else na - 1) if p.k > 1 else 1
    p.b_col = _stride(y, nb - 2 if swap_b else nb - 1) if p.n > 1 else 1
    p.b_row = _stride(y, nb - 1 if swap_b else nb - 2) if p.k > 1 else p.n
    p.bias = NULL
    if bias is not None:
        row = _contiguous(bias)
        p.bias = _data(row)
    p.activation = <cnn_activation>after.activation
    p.grad = <cnn_activation>after.grad
    p.grad_p = after.grad_p
    p.saved = NULL
    if after.grad:
        if not (_is_float32(saved) and _same_shape(saved, c)):
            return None
        kept = _contiguous(saved)
        p.saved = _data(kept)
    p.sums = NULL
    t.column_sum = NULL
    if after.sums:
        sums = cnp.PyArray_EMPTY(1, &full[1], cnp.NPY_FLOAT32, 0)
        if p.n > 1:
            p.sums = _data(sums)
        else:
            y = _contiguous(y)
            t.column = _data(y)
            t.column_sum = _data(sums)
    p.c_row = p.n

    prepare_matmul(&t)
    scratch = <float *>cnn_workspace(t.scratch_size * sizeof(float))
    if scratch == NULL and t.scratch_size > 0:
        raise MemoryError(
            f"matmul: no memory for {4 * t.scratch_size} bytes of scratch")
    if p.m * p.n * p.k * t.batch <= NOGIL:
        run_matmul(&t, scratch)
    else:
        with nogil:
            run_matmul(&t, scratch)
    return (c, sums) if after.sums else c


def matmul(a, b, bias=None, transpose_a=False, transpose_b=False, activation=None):
    """Return activation(a @ b + bias); see the reference function."""
    cdef epilogue after
    after.grad = after.sums = 0
    known = 0 if activation is None else _ACTIVATIONS.get(activation)
    if known is not None:
        after.activation = known
        c = _product(a, b, bias, transpose_a, transpose_b, &after, None)
        if c is not None:
            return c
    return _fallback("matmul")(a, b, bias, transpose_a, transpose_b, activation)


def matmul_grad(a, b, saved, activation, parameter=None, transpose_a=False,
                transpose_b=False):
    """Return the gradient of an activation for the cotangent a @ b."""
    cdef epilogue after
    after.activation = after.sums = 0
    known = _ACTIVATIONS.get(activation)
    if known is not None:
        after.grad = known
        after.grad_p = _grad_parameter(known, parameter)
        c = _product(a, b, None, transpose_a, transpose_b, &after, saved)
        if c is not None:
            return c
    return _fallback("matmul_grad")(
        a, b, saved, activation, parameter, transpose_a, transpose_b)


cdef float _grad_parameter(int activation, parameter) except *:
    """The slope or alpha of a gradient: as given or its default."""
    if parameter is None:
        return 0.2 if activation == CNN_LEAKY_RELU else 1.0
    return parameter


def matmul_bias_gradient(a, b, transpose_a=False, transpose_b=False):
    """Return a @ b and the sums of the columns of b; see the reference function."""
    cdef epilogue after
    after.activation = after.grad = 0
    after.sums = True
    pair = _product(a, b, None, transpose_a, transpose_b, &after, None)
    if pair is not None:
        return pair
    return _fallback("matmul_bias_gradient")(a, b, transpose_a, transpose_b)


def bias_add(x, bias):
    """Add bias (N,) to every row of x (..., N)."""
    cdef cnp.ndarray rows, row, y
    cdef binary_task task
    if not (_is_float32(x) and _is_float32(bias) and cnp.PyArray_NDIM(x) >= 1
            and cnp.PyArray_NDIM(bias) == 1 and cnp.PyArray_SIZE(x) > 0
            and cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
            == cnp.PyArray_DIM(bias, 0)):
        return _fallback("bias_add")(x, bias)
    rows = _contiguous(x)
    row = _contiguous(bias)
    y = _empty_like(rows)
    task.fn = cnn_table.add_f32
    task.cols = cnp.PyArray_DIM(row, 0)
    task.a = _data(rows)
    task.a_row = task.cols
    task.a_col = 1
    task.b = _data(row)
    task.b_row = 0
    task.b_col = 1
    task.y = _data(y)
    if cnp.PyArray_SIZE(rows) <= NOGIL:
        run_binary(&task, cnp.PyArray_SIZE(rows) // task.cols)
    else:
        with nogil:
            run_binary(&task, cnp.PyArray_SIZE(rows) // task.cols)
    return y


def bias_gradient(ct):
    """Return the sum of all rows of ct (..., N): the gradient of bias_add."""
    cdef bint reduced[MAX_AXES]
    cdef int ndim, i
    if not (_is_float32(ct) and 1 <= cnp.PyArray_NDIM(ct) <= MAX_AXES
            and cnp.PyArray_SIZE(ct) > 0):
        return _fallback("bias_gradient")(ct)
    ndim = cnp.PyArray_NDIM(ct)
    for i in range(ndim):
        reduced[i] = i < ndim - 1
    return _call_reduce(FOLD_SUM, ct, reduced, False)
