# What every family uses: the kernel table, argument checks, the work split, the way
# to the reference functions.

import inspect
import os

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cnp.import_array()


cdef extern from "kernels.h" nogil:
    const int64_t CNN_CHUNK

    ctypedef void cnn_unary_fn(int64_t, const float *, float *) noexcept
    ctypedef void cnn_unary_p_fn(int64_t, const float *, float, float *) noexcept
    ctypedef void cnn_unary_pq_fn(
        int64_t, const float *, float, float, float *) noexcept
    ctypedef void cnn_grad_fn(int64_t, const float *, const float *, float *) noexcept
    ctypedef void cnn_grad_p_fn(
        int64_t, const float *, const float *, float, float *) noexcept
    ctypedef void cnn_binary_fn(
        int64_t, int64_t, const float *, int64_t, int64_t,
        const float *, int64_t, int64_t, float *) noexcept
    ctypedef void cnn_reduce_fn(int64_t, int64_t, const float *, float *) noexcept
    ctypedef void cnn_index_fn(int64_t, int64_t, const float *, int64_t *) noexcept
    ctypedef void cnn_fold_fn(
        int64_t, int64_t, const float *, int64_t, float *) noexcept
    ctypedef void cnn_column_index_fn(
        int64_t, int64_t, const float *, int64_t, int64_t *) noexcept
    ctypedef void cnn_rowmap_fn(int64_t, int64_t, const float *, float *) noexcept
    ctypedef void cnn_rowmap_grad_fn(
        int64_t, int64_t, const float *, const float *, float *) noexcept
    ctypedef void cnn_loss_fn(int64_t, const float *, const float *, float *) noexcept
    ctypedef void cnn_loss_grad_fn(
        int64_t, const float *, const float *, const float *, float *) noexcept
    ctypedef void cnn_rowloss_fn(
        int64_t, int64_t, const float *, const float *, float *) noexcept
    ctypedef void cnn_rowloss_grad_fn(
        int64_t, int64_t, const float *, const float *, const float *,
        float *) noexcept
    ctypedef void cnn_labelloss_fn(
        int64_t, int64_t, const int64_t *, const float *, float *) noexcept
    ctypedef void cnn_labelloss_grad_fn(
        int64_t, int64_t, const float *, const int64_t *, const float *,
        float *) noexcept
    ctypedef void cnn_loss_with_grad_fn(
        int64_t, const float *, const float *, const float *, float *,
        float *) noexcept
    ctypedef void cnn_rowloss_with_grad_fn(
        int64_t, int64_t, const float *, const float *, const float *, float *,
        float *) noexcept
    ctypedef void cnn_labelloss_with_grad_fn(
        int64_t, int64_t, const float *, const int64_t *, const float *, float *,
        float *) noexcept

    ctypedef enum cnn_activation:
        CNN_LINEAR
        CNN_RELU
        CNN_LEAKY_RELU
        CNN_ELU
        CNN_SELU
        CNN_GELU
        CNN_GELU_TANH
        CNN_SILU
        CNN_SIGMOID
        CNN_HARD_SIGMOID
        CNN_TANH
        CNN_SOFTPLUS
        CNN_SOFTSIGN
        CNN_EXPONENTIAL

    ctypedef struct cnn_matmul:
        int64_t m, n, k
        const float *a
        int64_t a_row, a_col
        const float *b
        int64_t b_row, b_col
        int column
        int packed
        float *c
        int64_t c_row
        const float *bias
        cnn_activation activation
        cnn_activation grad
        float grad_p
        const float *saved
        float *sums
        int parts

    ctypedef struct cnn_matmul_plan:
        int tile_rows
        int panel
        int pack_a, pack_b
        int64_t scratch
        int64_t all_cols
        int64_t panels_size
        int parts
        int pays

    ctypedef void cnn_matmul_plan_fn(const cnn_matmul *, cnn_matmul_plan *) noexcept
    ctypedef void cnn_matmul_block_fn(
        const cnn_matmul *, const cnn_matmul_plan *, int64_t, int64_t, int64_t,
        int64_t, float *) noexcept
    ctypedef void cnn_matmul_pack_fn(
        const cnn_matmul *, const cnn_matmul_plan *, int64_t, int64_t,
        float *) noexcept
    ctypedef void cnn_philox_fn(uint64_t, uint64_t, int64_t, uint32_t *) noexcept
    ctypedef void cnn_uniform_fn(uint64_t, uint64_t, int64_t, float *) noexcept
    ctypedef int64_t cnn_peak_fn(int64_t, float, float *) noexcept
    ctypedef void cnn_stream_fn(
        int64_t, const float *, const float *, float, float *) noexcept

    # the fields that are called by name; the others are found by their offset
    ctypedef struct cnn_kernel_table:
        const char *isa
        cnn_unary_fn *gelu_erf_f32
        cnn_unary_fn *gelu_tanh_f32
        cnn_grad_fn *gelu_erf_grad_f32
        cnn_grad_fn *gelu_tanh_grad_f32
        cnn_unary_p_fn *leaky_relu_f32
        cnn_grad_p_fn *leaky_relu_grad_f32
        cnn_unary_p_fn *elu_f32
        cnn_grad_p_fn *elu_grad_f32
        cnn_unary_pq_fn *clip_f32
        cnn_binary_fn *add_f32
        cnn_binary_fn *divide_f32
        cnn_reduce_fn *sum_f32
        cnn_reduce_fn *max_f32
        cnn_reduce_fn *min_f32
        cnn_fold_fn *column_sum_f32
        cnn_fold_fn *column_max_f32
        cnn_fold_fn *column_min_f32
        cnn_column_index_fn *column_argmax_f32
        cnn_column_index_fn *column_argmin_f32
        cnn_rowloss_fn *mean_squared_error_f32
        cnn_rowloss_grad_fn *mean_squared_error_grad_f32
        cnn_rowloss_with_grad_fn *mean_squared_error_with_grad_f32
        cnn_loss_fn *binary_crossentropy_f32
        cnn_loss_fn *binary_crossentropy_logits_f32
        cnn_loss_grad_fn *binary_crossentropy_grad_f32
        cnn_loss_with_grad_fn *binary_crossentropy_with_grad_f32
        cnn_loss_grad_fn *binary_crossentropy_logits_grad_f32
        cnn_loss_with_grad_fn *binary_crossentropy_logits_with_grad_f32
        cnn_rowloss_fn *categorical_crossentropy_f32
        cnn_rowloss_fn *categorical_crossentropy_logits_f32
        cnn_rowloss_grad_fn *categorical_crossentropy_grad_f32
        cnn_rowloss_with_grad_fn *categorical_crossentropy_with_grad_f32
        cnn_rowloss_grad_fn *categorical_crossentropy_logits_grad_f32
        cnn_rowloss_with_grad_fn *categorical_crossentropy_logits_with_grad_f32
        cnn_labelloss_fn *sparse_categorical_crossentropy_f32
        cnn_labelloss_fn *sparse_categorical_crossentropy_logits_f32
        cnn_labelloss_grad_fn *sparse_categorical_crossentropy_grad_f32
        cnn_labelloss_with_grad_fn *sparse_categorical_crossentropy_with_grad_f32
        cnn_labelloss_grad_fn *sparse_categorical_crossentropy_logits_grad_f32
        cnn_labelloss_with_grad_fn *sparse_categorical_crossentropy_logits_with_grad_f32
        cnn_matmul_plan_fn *matmul_plan_f32
        cnn_matmul_block_fn *matmul_block_f32
        cnn_matmul_pack_fn *matmul_pack_f32
        cnn_philox_fn *philox_u32
        cnn_uniform_fn *uniform_f32
        cnn_uniform_fn *normal_f32
        cnn_peak_fn *peak_fma_f32
        cnn_peak_fn *peak_tiles_bf16
        cnn_stream_fn *stream_read_f32
        cnn_stream_fn *stream_write_f32
        cnn_stream_fn *stream_copy_f32
        cnn_stream_fn *stream_triad_f32


cdef extern from "dispatch.h" nogil:
    ctypedef struct cnn_kernel_info:
        const char *name
        const char *signature
        size_t offset

    const cnn_kernel_info *cnn_kernel_list
    const cnn_kernel_table *cnn_table
    const cnn_kernel_table *cnn_available(int index)
    int CNN_SELECTED
    int CNN_ISA_UNKNOWN
    int cnn_select(const char *isa)


cdef extern from "threads.h" nogil:
    int CNN_MAX_THREADS

    ctypedef void (*cnn_task_fn)(void *ctx, int64_t begin, int64_t end) noexcept nogil
    ctypedef void (*cnn_part_fn)(void *ctx, int64_t part, int slot) noexcept nogil
    void cnn_parallel_for(int64_t n, int64_t grain, cnn_task_fn fn, void *ctx)
    void cnn_parallel_parts(int64_t parts, int threads, int64_t work, cnn_part_fn fn,
                            void *ctx)
    int cnn_num_threads()
    void cnn_set_num_threads(int n)


cdef extern from "cpus.h" nogil:
    int cnn_available_cpus()


cdef enum:
    GRAIN = 32768  # elements below which a second thread does not pay
    NOGIL = 8192  # elements below which giving up the GIL does not pay


# ---- instruction sets -------------------------------------------------------------

def isa() -> str:
    """Name of the instruction set in use."""
    return cnn_table.isa.decode()


def available_isas() -> tuple:
    """Instruction sets this machine can run, slowest first."""
    names = []
    cdef int i = 0
    while cnn_available(i) != NULL:
        names.append(cnn_available(i).isa.decode())
        i += 1
    return tuple(names)


def set_isa(str name) -> None:
    """Use another instruction set from now on, for tests and benchmarks.

    Args:
        name: one of available_isas().

    Raises:
        ValueError: if the name is unknown or this machine cannot run it.
    """
    cdef int status = cnn_select(name.encode())
    if status == CNN_SELECTED:
        return
    what = "is unknown" if status == CNN_ISA_UNKNOWN else "cannot run on this machine"
    raise ValueError(
        f"set_isa: instruction set {name!r} {what}; "
        f"choose one of {', '.join(available_isas())} (CNN_CORE_ISA or set_isa)"
    )


def kernel_names() -> tuple:
    """Names of all kernels in the table."""
    names = []
    cdef const cnn_kernel_info *info = cnn_kernel_list
    while info.name != NULL:
        names.append(info.name.decode())
        info += 1
    return tuple(names)


# ---- the reference functions ------------------------------------------------------

cdef dict _reference = {}


def bind_reference(namespace) -> None:
    """Name the functions that serve the arguments no kernel supports.

    Args:
        namespace: module or dictionary with a function for each name of this module.
    """
    functions = namespace if isinstance(namespace, dict) else vars(namespace)
    _reference.clear()
    _reference.update(functions)


cdef object _fallback(str name):
    function = _reference.get(name)
    if function is None:
        raise TypeError(
            f"{name}: no kernel supports these arguments and no reference function "
            "is bound; call bind_reference first"
        )
    return function


cdef class _Kernel:
    """A function of this module that is made from a line of the kernel list.

    Calls go to the kernel of the instruction set in use.
    """

    cdef readonly str __name__
    cdef size_t offset

    def __repr__(self):
        return f"<compiled function {self.__name__}>"

    @property
    def __signature__(self):
        return inspect.signature(_fallback(self.__name__))


cdef inline void *_entry(size_t offset) noexcept:
    return (<void **>(<char *>cnn_table + offset))[0]


cdef _publish(dict namespace, dict classes):
    """Make a module function of every kernel whose signature has a class."""
    cdef _Kernel function
    cdef const cnn_kernel_info *info = cnn_kernel_list
    while info.name != NULL:
        kind = classes.get(info.signature.decode())
        if kind is not None:
            function = kind()
            function.__name__ = info.name.decode().removesuffix("_f32")
            function.offset = info.offset
            namespace.setdefault(function.__name__, function)
        info += 1


# ---- arrays -----------------------------------------------------------------------

cdef inline bint _is_float32(object x) noexcept:
    return cnp.PyArray_Check(x) and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_FLOAT32


cdef inline cnp.ndarray _contiguous(object x):
    """x itself, or a copy that is contiguous, aligned and in native byte order."""
    if cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x):
        return <cnp.ndarray>x
    return cnp.PyArray_FROM_OTF(
        x, cnp.PyArray_TYPE(<cnp.ndarray>x), cnp.NPY_ARRAY_CARRAY_RO)


cdef inline cnp.ndarray _empty_like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0)


cdef inline float *_data(cnp.ndarray x) noexcept nogil:
    return <float *>cnp.PyArray_DATA(x)


cdef inline bint _same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    return cnp.PyArray_SAMESHAPE(a, b)


# ---- elementwise work -------------------------------------------------------------

# One elementwise call: what the kernel of each signature needs. The run_ functions
# work on raw pointers without the GIL; the classes check arrays and call them.
cdef struct map_task:
    void *fn
    const float *a
    const float *b
    const float *c
    float p
    float q
    float *y
    float *g  # the gradient, of a loss with its gradient


cdef void _unary_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_unary_fn *>t.fn)(end - i, t.a + i, t.y + i)


cdef void _unary_p_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_unary_p_fn *>t.fn)(end - i, t.a + i, t.p, t.y + i)


cdef void _unary_pq_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_unary_pq_fn *>t.fn)(end - i, t.a + i, t.p, t.q, t.y + i)


cdef void _pair_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_grad_fn *>t.fn)(end - i, t.a + i, t.b + i, t.y + i)


cdef void _pair_p_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_grad_p_fn *>t.fn)(end - i, t.a + i, t.b + i, t.p, t.y + i)


cdef void _triple_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef map_task *t = <map_task *>ctx
    (<cnn_loss_grad_fn *>t.fn)(end - i, t.a + i, t.b + i, t.c + i, t.y + i)


cdef void run_map(cnn_task_fn part, map_task *task, int64_t n) noexcept nogil:
    if n <= GRAIN:
        part(task, 0, n)
    else:
        cnn_parallel_for(n, GRAIN, part, task)


cdef object _call_map(
    cnn_task_fn part, void *fn, object a, object b, object c, float p, float q
):
    """Run a kernel over one to three float32 arrays of one shape."""
    cdef cnp.ndarray first = _contiguous(a), second, third
    cdef cnp.ndarray y = _empty_like(first)
    cdef int64_t n = cnp.PyArray_SIZE(first)
    cdef map_task task
    task.fn = fn
    task.a = _data(first)
    if b is not None:
        second = _contiguous(b)
        task.b = _data(second)
    if c is not None:
        third = _contiguous(c)
        task.c = _data(third)
    task.p = p
    task.q = q
    task.y = _data(y)
    if n <= NOGIL:
        part(&task, 0, n)
    else:
        with nogil:
            run_map(part, &task, n)
    return y


cdef inline bint _same_pair(object a, object b) noexcept:
    return _is_float32(a) and _is_float32(b) and _same_shape(a, b)


# ---- work on rows -----------------------------------------------------------------

# A contiguous (rows, n) array whose rows are worked on one by one.
cdef struct rows_task:
    void *fn
    int64_t n
    const float *a
    const float *b
    const float *c
    const int64_t *labels
    float *y
    float *g  # the gradient, of a loss with its gradient
    int64_t *index


cdef inline void run_rows(
    cnn_task_fn part, rows_task *task, int64_t rows
) noexcept nogil:
    if rows * task.n <= GRAIN:
        part(task, 0, rows)
    else:
        cnn_parallel_for(rows, GRAIN // task.n + 1, part, task)


cdef inline cnp.ndarray _leading(cnp.ndarray x):
    """An empty float32 array of the shape of x without the last axis."""
    return cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(x) - 1, cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0)


def _start():
    """Choose the instruction set; called once, at the end of the module."""
    wanted = os.environ.get("CNN_CORE_ISA", "")
    if wanted:
        set_isa(wanted)
    else:
        cnn_select(NULL)
    _start_threads()
    _publish(globals(), {
        "unary": _Unary,
        "grad": _Grad,
        "binary": _Binary,
        "reduce": _Reduce,
        "index": _Index,
        "rowmap": _RowMap,
        "rowmap_grad": _RowMapGrad,
    })
