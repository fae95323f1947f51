# The instructions of the native executor and the loop that runs them.
#
# A program's arrays lie in slots: slot 0 is the arena, the others are bound to arrays
# (variables, constants, data). An operand is a pair (slot, offset in bytes). Binding a
# slot writes addresses into the prepared tasks, so that a step only calls kernels.

from libc.string cimport memcpy

cdef extern from "copy.h" nogil:
    enum:
        CNN_COPY_AXES
    ctypedef struct cnn_copy_task:
        int64_t size
        int ndim
        int64_t *shape
        # "from" is a keyword here
        int64_t *source "from"
        int64_t *to
        const char *x
        char *y

    void cnn_copy_part(void *task, int64_t begin, int64_t end)
    void cnn_prefetch(const char *x, int64_t size)


cdef extern from "folds.h" nogil:
    ctypedef struct cnn_fold_task:
        cnn_type type
        cnn_typed_op op
        int64_t n
        int64_t inner
        const char *x
        char *y

    void cnn_fold_part(void *task, int64_t begin, int64_t end)
    void cnn_run_part(void *task, int64_t begin, int64_t end)


cdef dict _SORT_TYPES = {
    "uint32": CNN_SORT_U32, "int32": CNN_SORT_I32, "float32": CNN_SORT_F32,
}
cdef dict _FOLDS = {
    "sum": FOLD_SUM, "mean": FOLD_MEAN, "max": FOLD_MAX, "min": FOLD_MIN,
}

cdef enum:
    CHAIN_BLOCK = 2048  # elements of a chain worked on at once: 8 KiB stay in L1
    CHAIN_OPERANDS = 32  # streams and intermediate blocks of a chain


cdef enum Kind:
    DO_MAP
    DO_ROWS
    DO_BINARY
    DO_REDUCE
    DO_MATMUL
    DO_TYPED
    DO_COPY
    DO_ONE_HOT
    DO_PICK
    DO_FOLD
    DO_SORT
    DO_LOAD
    DO_STORE
    DO_RANDOM
    DO_CHAIN
    DO_CALL


cdef struct instruction:
    Kind kind
    cnn_task_fn part
    int64_t n
    void *task
    void *held  # the task of a product that reads panels; it is done if n is 1


# An address in a task that follows a slot.
cdef struct reference:
    char **field
    int slot
    int64_t offset


cdef struct broadcast_task:
    cnn_binary_fn *fn
    broadcast axes
    const float *a
    const float *b
    float *y


cdef struct fold_task:
    Fold fold
    int64_t outer
    int64_t n
    int64_t inner
    const float *x
    float *y
    int64_t scratch


# Rows of a user's array, in order or by index, converted; or the way back.
cdef struct load_task:
    cnn_type source
    cnn_type target
    int64_t rows
    int64_t elements  # in a row
    const char *x
    const int64_t *index
    char *y


cdef struct one_hot_task:
    cnn_type type
    int64_t classes
    const int64_t *labels
    char *y


# Rows taken, or added (then `part` does it), or elements of every step of `outer`.
cdef struct pick_task:
    cnn_index_task rows
    bint along
    cnn_task_fn part
    void *otherwise


cdef struct random_task:
    int64_t n
    bint normal
    const uint32_t *state
    float *y


cdef enum ChainKind:
    CHAIN_UNARY
    CHAIN_UNARY_P
    CHAIN_UNARY_PQ
    CHAIN_PAIR
    CHAIN_PAIR_P
    CHAIN_TRIPLE
    CHAIN_BINARY


cdef struct chain_op:
    ChainKind kind
    void *fn
    int a
    int b
    int c
    int y
    float p
    float q


# Operands below `streams` are arrays, the others blocks of a thread's scratch.
cdef struct chain_task:
    int ops
    int streams
    int blocks
    chain_op *op
    char *stream[CHAIN_OPERANDS]
    int step[CHAIN_OPERANDS]  # 0 for a single number
    bint no_memory  # a thread got no scratch


cdef void _chain_part(void *ctx, int64_t begin, int64_t end) noexcept nogil:
    cdef chain_task *t = <chain_task *>ctx
    cdef float *at[CHAIN_OPERANDS]
    cdef int step[CHAIN_OPERANDS]
    cdef float *scratch = <float *>cnn_workspace(
        (t.blocks * CHAIN_BLOCK + 1) * sizeof(float))
    cdef chain_op *op
    cdef int64_t i = begin, n
    cdef int k
    if scratch == NULL:
        t.no_memory = True
        return
    for k in range(t.blocks):
        at[t.streams + k] = scratch + k * CHAIN_BLOCK
        step[t.streams + k] = 1
    for k in range(t.streams):
        step[k] = t.step[k]
    while i < end:
        n = end - i if end - i < CHAIN_BLOCK else CHAIN_BLOCK
        for k in range(t.streams):
            at[k] = <float *>t.stream[k] + (i if step[k] else 0)
        for k in range(t.ops):
            op = t.op + k
            if op.kind == CHAIN_BINARY:
                (<cnn_binary_fn *>op.fn)(1, n, at[op.a], 0, step[op.a],
                                         at[op.b], 0, step[op.b], at[op.y])
            elif op.kind == CHAIN_UNARY:
                (<cnn_unary_fn *>op.fn)(n, at[op.a], at[op.y])
            elif op.kind == CHAIN_PAIR:
                (<cnn_grad_fn *>op.fn)(n, at[op.a], at[op.b], at[op.y])
            elif op.kind == CHAIN_UNARY_P:
                (<cnn_unary_p_fn *>op.fn)(n, at[op.a], op.p, at[op.y])
            elif op.kind == CHAIN_UNARY_PQ:
                (<cnn_unary_pq_fn *>op.fn)(n, at[op.a], op.p, op.q, at[op.y])
            elif op.kind == CHAIN_PAIR_P:
                (<cnn_grad_p_fn *>op.fn)(n, at[op.a], at[op.b], op.p, at[op.y])
            else:
                (<cnn_loss_grad_fn *>op.fn)(
                    n, at[op.a], at[op.b], at[op.c], at[op.y])
        i += n


cdef struct load_step:
    const load_task *task
    int64_t first  # row, or place in the index
    bint more  # whether another step follows


cdef void _load_rows(void *ctx, int64_t begin, int64_t end) noexcept nogil:
    cdef const load_step *step = <const load_step *>ctx
    cdef const load_task *t = step.task
    cdef int64_t row = t.elements * cnn_type_size(t.source)
    cdef char *y = t.y + begin * t.elements * cnn_type_size(t.target)
    cdef int64_t r
    if t.index == NULL:
        cnn_cast(t.source, t.target, (end - begin) * t.elements,
                 t.x + (step.first + begin) * row, y)
        return
    for r in range(step.first + begin, step.first + end):
        cnn_cast(t.source, t.target, t.elements, t.x + t.index[r] * row, y)
        y += t.elements * cnn_type_size(t.target)
    if step.more:
        for r in range(step.first + begin, step.first + end):
            cnn_prefetch(t.x + t.index[r + t.rows] * row, row)


cdef void _load(const load_task *t, int64_t step, bint more) noexcept nogil:
    cdef load_step rows
    rows.task = t
    rows.first = step * t.rows
    rows.more = more
    cnn_parallel_for(t.rows, GRAIN // (t.elements + 1) + 1, _load_rows, &rows)


cdef void _store(load_task *t, int64_t step) noexcept nogil:
    cdef int64_t size = t.rows * t.elements * cnn_type_size(t.source)
    memcpy(t.y + step * size, t.x, size)


cdef int _execute(instruction *code, int64_t count, int64_t step,
                  bint more) except -1 nogil:
    """Run every instruction once; `more` tells that another step follows."""
    cdef instruction *at
    cdef broadcast_task *pair
    cdef chain_task *chain
    cdef cnn_copy_task *copy
    cdef one_hot_task *hot
    cdef cnn_fold_task *folded
    cdef pick_task *pick
    cdef fold_task *fold
    cdef matmul_task *product
    cdef random_task *random
    cdef philox_task philox
    cdef float *scratch
    cdef int64_t i
    for i in range(count):
        at = code + i
        if at.kind == DO_MAP:
            run_map(at.part, <map_task *>at.task, at.n)
        elif at.kind == DO_CHAIN:
            chain = <chain_task *>at.task
            if at.n <= GRAIN:
                _chain_part(chain, 0, at.n)
            else:
                cnn_parallel_for(at.n, GRAIN, _chain_part, chain)
            if chain.no_memory:
                chain.no_memory = False
                with gil:
                    raise MemoryError("chain: no memory for scratch")
        elif at.kind == DO_MATMUL:
            product = <matmul_task *>(at.held if at.n else at.task)
            scratch = <float *>cnn_workspace(product.scratch_size * sizeof(float))
            if scratch == NULL and product.scratch_size > 0:
                with gil:
                    raise MemoryError("matmul: no memory for scratch")
            run_matmul(product, scratch)
        elif at.kind == DO_BINARY:
            pair = <broadcast_task *>at.task
            run_broadcast(pair.fn, &pair.axes, pair.a, pair.b, pair.y)
        elif at.kind == DO_ROWS:
            run_rows(at.part, <rows_task *>at.task, at.n)
        elif at.kind == DO_REDUCE:
            fold = <fold_task *>at.task
            scratch = <float *>cnn_workspace((fold.scratch + 1) * sizeof(float))
            if scratch == NULL:
                with gil:
                    raise MemoryError("reduction: no memory for scratch")
            run_reduce(fold.fold, fold.outer, fold.n, fold.inner, fold.x, fold.y,
                       scratch)
        elif at.kind == DO_TYPED:
            run_typed(at.part, <typed_task *>at.task, at.n)
        elif at.kind == DO_COPY:
            copy = <cnn_copy_task *>at.task
            if at.n <= GRAIN:
                cnn_copy_part(copy, 0, copy.shape[0])
            else:
                cnn_parallel_for(copy.shape[0], GRAIN * copy.shape[0] // at.n + 1,
                                 cnn_copy_part, copy)
        elif at.kind == DO_ONE_HOT:
            hot = <one_hot_task *>at.task
            cnn_one_hot(hot.type, at.n, hot.classes, hot.labels, hot.y)
        elif at.kind == DO_PICK:
            pick = <pick_task *>at.task
            if not cnn_indices_fit(&pick.rows):
                with gil:
                    (<object>pick.otherwise)()
            elif pick.along:
                cnn_parallel_for(pick.rows.outer,
                                 GRAIN // (pick.rows.all // pick.rows.outer) + 1,
                                 pick.part, &pick.rows)
            elif pick.part == NULL:
                run_take(&pick.rows)
            else:
                run_add_rows(pick.part, &pick.rows)
        elif at.kind == DO_SORT:
            cnn_parallel_for(at.n, GRAIN // (16 * (<cnn_sort_task *>at.task).n) + 1,
                             run_sort, at.task)
        elif at.kind == DO_FOLD:
            folded = <cnn_fold_task *>at.task
            cnn_parallel_for(at.n, GRAIN // (folded.n * folded.inner) + 1, at.part,
                             folded)
        elif at.kind == DO_LOAD:
            _load(<load_task *>at.task, step, more)
        elif at.kind == DO_STORE:
            _store(<load_task *>at.task, step)
        elif at.kind == DO_RANDOM:
            random = <random_task *>at.task
            philox.seed = random.state[0]
            philox.offset = <uint64_t>random.state[1] << 32
            philox.n = random.n
            philox.words = NULL
            philox.floats = random.y
            philox.draw = cnn_table.uniform_f32
            if random.normal:
                philox.draw = cnn_table.normal_f32
            cnn_parallel_for((philox.n + 3) // 4, GRAIN // 8, _philox_blocks, &philox)
        else:
            with gil:
                (<object>at.task)()
    return 0
