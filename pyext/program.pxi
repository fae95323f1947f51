# The native executor: prepared kernel calls, run one after the other without the GIL.
#
# A program's arrays lie in slots: slot 0 is the arena, the others are bound to arrays
# (variables, constants, data). An operand is a pair (slot, offset in bytes). Binding a
# slot writes addresses into the prepared tasks, so that a step only calls kernels.

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

cdef extern from "typed.h" nogil:
    ctypedef enum cnn_type:
        CNN_BOOL
        CNN_U8
        CNN_I8
        CNN_U16
        CNN_I16
        CNN_U32
        CNN_I32
        CNN_U64
        CNN_I64
        CNN_F32
        CNN_F64

    ctypedef enum cnn_typed_op:
        CNN_OP_ADD
        CNN_OP_SUBTRACT
        CNN_OP_MULTIPLY
        CNN_OP_EQUAL
        CNN_OP_NOT_EQUAL
        CNN_OP_LESS
        CNN_OP_LESS_EQUAL
        CNN_OP_GREATER
        CNN_OP_GREATER_EQUAL
        CNN_OP_LOGICAL_AND
        CNN_OP_LOGICAL_OR
        CNN_OP_LOGICAL_XOR
        CNN_OP_POWER

    int64_t cnn_type_size(cnn_type type)
    void cnn_cast(cnn_type source, cnn_type target, int64_t n, const void *x, void *y)
    void cnn_typed_binary(cnn_type type, cnn_typed_op op, int64_t n, const void *a,
                          int64_t sa, const void *b, int64_t sb, void *y)
    void cnn_where(int64_t size, int64_t n, const unsigned char *c, int64_t sc,
                   const char *a, int64_t sa, const char *b, int64_t sb, char *y)


cdef dict _TYPES = {
    "bool": CNN_BOOL, "uint8": CNN_U8, "int8": CNN_I8, "uint16": CNN_U16,
    "int16": CNN_I16, "uint32": CNN_U32, "int32": CNN_I32, "uint64": CNN_U64,
    "int64": CNN_I64, "float32": CNN_F32, "float64": CNN_F64,
}
cdef dict _TYPED_OPS = {
    "add": CNN_OP_ADD, "subtract": CNN_OP_SUBTRACT, "multiply": CNN_OP_MULTIPLY,
    "equal": CNN_OP_EQUAL, "not_equal": CNN_OP_NOT_EQUAL, "less": CNN_OP_LESS,
    "less_equal": CNN_OP_LESS_EQUAL, "greater": CNN_OP_GREATER,
    "greater_equal": CNN_OP_GREATER_EQUAL, "logical_and": CNN_OP_LOGICAL_AND,
    "logical_or": CNN_OP_LOGICAL_OR, "logical_xor": CNN_OP_LOGICAL_XOR,
    "power": CNN_OP_POWER,
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
    DO_CAST
    DO_TYPED
    DO_WHERE
    DO_LOAD
    DO_STORE
    DO_UNIFORM
    DO_CHAIN
    DO_CALL


cdef struct instruction:
    Kind kind
    cnn_task_fn part
    int64_t n
    void *task


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


# Casts, integer arithmetic, selection: c, a, b -> y.
cdef struct typed_task:
    cnn_type type
    cnn_type target
    cnn_typed_op op
    const char *c
    int64_t c_step
    const char *a
    int64_t a_step
    const char *b
    int64_t b_step
    char *y


# Rows of a user's array, in order or by index, converted; or the way back.
cdef struct load_task:
    cnn_type source
    cnn_type target
    int64_t rows
    int64_t elements  # in a row
    const char *x
    const int64_t *index
    char *y


cdef struct uniform_task:
    int64_t n
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


cdef void _load(load_task *t, int64_t step) noexcept nogil:
    cdef int64_t r, row = t.elements * cnn_type_size(t.source)
    cdef int64_t out = t.elements * cnn_type_size(t.target)
    cdef int64_t first = step * t.rows
    if t.index == NULL:
        cnn_cast(t.source, t.target, t.rows * t.elements, t.x + first * row, t.y)
        return
    for r in range(t.rows):
        cnn_cast(t.source, t.target, t.elements, t.x + t.index[first + r] * row,
                 t.y + r * out)


cdef void _store(load_task *t, int64_t step) noexcept nogil:
    cdef int64_t size = t.rows * t.elements * cnn_type_size(t.source)
    memcpy(t.y + step * size, t.x, size)


cdef int _execute(instruction *code, int64_t count, int64_t step) except -1 nogil:
    """Run every instruction once."""
    cdef instruction *at
    cdef typed_task *typed
    cdef broadcast_task *pair
    cdef fold_task *fold
    cdef matmul_task *product
    cdef uniform_task *uniform
    cdef philox_task philox
    cdef float *scratch
    cdef int64_t i
    for i in range(count):
        at = code + i
        if at.kind == DO_MAP:
            run_map(at.part, <map_task *>at.task, at.n)
        elif at.kind == DO_CHAIN:
            if at.n <= GRAIN:
                _chain_part(at.task, 0, at.n)
            else:
                cnn_parallel_for(at.n, GRAIN, _chain_part, at.task)
        elif at.kind == DO_MATMUL:
            product = <matmul_task *>at.task
            scratch = <float *>cnn_workspace(product.scratch_size * sizeof(float))
            if scratch == NULL:
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
        elif at.kind == DO_CAST:
            typed = <typed_task *>at.task
            cnn_cast(typed.type, typed.target, at.n, typed.a, typed.y)
        elif at.kind == DO_TYPED:
            typed = <typed_task *>at.task
            cnn_typed_binary(typed.type, typed.op, at.n, typed.a, typed.a_step,
                             typed.b, typed.b_step, typed.y)
        elif at.kind == DO_WHERE:
            typed = <typed_task *>at.task
            cnn_where(cnn_type_size(typed.type), at.n, <const unsigned char *>typed.c,
                      typed.c_step, typed.a, typed.a_step, typed.b, typed.b_step,
                      typed.y)
        elif at.kind == DO_LOAD:
            _load(<load_task *>at.task, step)
        elif at.kind == DO_STORE:
            _store(<load_task *>at.task, step)
        elif at.kind == DO_UNIFORM:
            uniform = <uniform_task *>at.task
            philox.seed = uniform.state[0]
            philox.offset = <uint64_t>uniform.state[1] << 32
            philox.n = uniform.n
            philox.words = NULL
            philox.floats = uniform.y
            cnn_parallel_for((philox.n + 3) // 4, GRAIN // 8, _philox_blocks, &philox)
        else:
            with gil:
                (<object>at.task)()
    return 0


cdef class Program:
    """A list of prepared kernel calls on numbered slots; slot 0 is the arena."""

    cdef instruction *code
    cdef int64_t count
    cdef int64_t capacity
    cdef reference *references
    cdef int64_t reference_count
    cdef int64_t reference_capacity
    cdef list bound  # the array of every slot
    cdef list calls  # Python callables, kept alive

    def __cinit__(self):
        self.bound = [None]
        self.calls = []

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.count):
            if self.code[i].kind == DO_CHAIN:
                free((<chain_task *>self.code[i].task).op)
            if self.code[i].kind != DO_CALL:
                free(self.code[i].task)
        free(self.code)
        free(self.references)

    def __len__(self):
        return self.count

    # ---- building ----

    cdef void *_add(self, Kind kind, size_t size, int64_t n) except NULL:
        cdef instruction *code
        cdef void *task
        if self.count == self.capacity:
            self.capacity = 2 * self.capacity + 16
            code = <instruction *>realloc(
                self.code, self.capacity * sizeof(instruction))
            if code == NULL:
                raise MemoryError()
            self.code = code
        task = calloc(1, size)
        if task == NULL:
            raise MemoryError()
        self.code[self.count].kind = kind
        self.code[self.count].n = n
        self.code[self.count].task = task
        self.count += 1
        return task

    cdef int _refer(self, void *field, operand) except -1:
        cdef reference *grown
        while len(self.bound) <= operand[0]:
            self.bound.append(None)
        if self.reference_count == self.reference_capacity:
            self.reference_capacity = 2 * self.reference_capacity + 32
            grown = <reference *>realloc(
                self.references, self.reference_capacity * sizeof(reference))
            if grown == NULL:
                raise MemoryError()
            self.references = grown
        self.references[self.reference_count].field = <char **>field
        self.references[self.reference_count].slot = operand[0]
        self.references[self.reference_count].offset = operand[1]
        self.reference_count += 1
        return 0

    def map(self, str kernel, int64_t n, inputs, y, float p=0, float q=0):
        """y = kernel(*inputs): float32 arrays of n elements."""
        cdef int k
        cdef map_task *t = <map_task *>self._add(DO_MAP, sizeof(map_task), n)
        cdef ChainKind kind = _chain_kind(kernel, &t.fn)
        cdef instruction *at = self.code + self.count - 1
        if kind == CHAIN_UNARY:
            at.part = _unary_part
        elif kind == CHAIN_UNARY_P:
            at.part = _unary_p_part
        elif kind == CHAIN_UNARY_PQ:
            at.part = _unary_pq_part
        elif kind == CHAIN_PAIR:
            at.part = _pair_part
        elif kind == CHAIN_PAIR_P:
            at.part = _pair_p_part
        elif kind == CHAIN_TRIPLE:
            at.part = _triple_part
        else:
            raise ValueError(f"Program.map: {kernel} is not a kernel of equal arrays")
        t.p = p
        t.q = q
        for k, operand in enumerate(inputs):
            self._refer(&t.a + k, operand)
        self._refer(&t.y, y)

    def binary(self, str kernel, shape, a, a_steps, b, b_steps, y):
        """y = kernel(a, b); steps in elements for each axis of the result."""
        cdef broadcast_task *t = <broadcast_task *>self._add(
            DO_BINARY, sizeof(broadcast_task), 0)
        cdef int last
        cdef int64_t d, sa, sb
        _chain_kind(kernel, <void **>&t.fn)
        for d, sa, sb in zip(shape, a_steps, b_steps):
            last = t.axes.ndim - 1
            if last >= 0 and t.axes.a[last] == sa * d and t.axes.b[last] == sb * d:
                t.axes.shape[last] *= d
            else:
                last += 1
                t.axes.ndim += 1
                t.axes.shape[last] = d
            t.axes.a[last] = sa
            t.axes.b[last] = sb
        self._refer(&t.a, a)
        self._refer(&t.b, b)
        self._refer(&t.y, y)

    def rows(self, str kernel, int64_t rows, int64_t n, y, a=None, b=None, c=None,
             labels=None):
        """One call per row of n elements: softmax, losses, arg-extremes."""
        cdef int k
        cdef rows_task *t = <rows_task *>self._add(DO_ROWS, sizeof(rows_task), rows)
        cdef instruction *at = self.code + self.count - 1
        signature = _signature(kernel, &t.fn)
        t.n = n
        if signature == "rowmap":
            at.part = _rowmap_part
        elif signature == "rowmap_grad":
            at.part = _rowmap_grad_part
        elif signature == "rowloss":
            at.part = _rowloss_part
        elif signature == "rowloss_grad":
            at.part = _rowloss_grad_part
        elif signature == "labelloss":
            at.part = _labelloss_part
        elif signature == "labelloss_grad":
            at.part = _labelloss_grad_part
        elif signature == "index":
            at.part = _index_part
        else:
            raise ValueError(f"Program.rows: {kernel} is not a kernel of rows")
        for k, operand in enumerate((a, b, c)):
            if operand is not None:
                self._refer(&t.a + k, operand)
        if labels is not None:
            self._refer(&t.labels, labels)
        self._refer(&t.index if signature == "index" else <void *>&t.y, y)

    def reduce(self, str fold, int64_t outer, int64_t n, int64_t inner, x, y):
        """y (outer, inner) = fold of x (outer, n, inner) over the middle axis."""
        cdef fold_task *t = <fold_task *>self._add(DO_REDUCE, sizeof(fold_task), 0)
        cdef int64_t chunks = reduce_chunks(n, inner)
        t.fold = _FOLDS[fold]
        t.outer = outer
        t.n = n
        t.inner = inner
        t.scratch = outer * chunks * inner if chunks > 1 else 0
        self._refer(&t.x, x)
        self._refer(&t.y, y)

    def matmul(self, int64_t m, int64_t n, int64_t k, a, bint transpose_a, b,
               bint transpose_b, c, bias=None, activation=None):
        """c (m, n) = activation(a @ b + bias), contiguous matrices."""
        cdef matmul_task *t = <matmul_task *>self._add(
            DO_MATMUL, sizeof(matmul_task), 0)
        cdef float mark_a, mark_b
        t.p.m = m
        t.p.n = n
        t.p.k = k
        t.p.a = &mark_a
        t.p.b = &mark_b
        t.p.a_row = (1 if transpose_a else k) if m > 1 else 0
        t.p.a_col = (m if transpose_a else 1) if k > 1 else 1
        t.p.b_row = (1 if transpose_b else n) if k > 1 else n
        t.p.b_col = (k if transpose_b else 1) if n > 1 else 1
        t.p.c_row = n
        t.p.bias_col = 1
        t.p.activation = <cnn_activation>(
            <int>(0 if activation is None else _ACTIVATIONS[activation]))
        prepare_matmul(t)
        if t.p.a == &mark_b:  # computed as the transposed product
            a, b = b, a
        t.p.a = t.p.b = NULL
        self._refer(&t.p.a, a)
        self._refer(&t.p.b, b)
        self._refer(&t.p.c, c)
        if bias is not None:
            self._refer(&t.p.bias, bias)

    def cast(self, int64_t n, x, str source, y, str target):
        """y = x as another type, n elements."""
        cdef typed_task *t = <typed_task *>self._add(DO_CAST, sizeof(typed_task), n)
        t.type = _TYPES[source]
        t.target = _TYPES[target]
        self._refer(&t.a, x)
        self._refer(&t.y, y)

    def typed(self, str op, str dtype, int64_t n, a, int64_t a_step, b,
              int64_t b_step, y):
        """y = a op b, n elements of any type; a step is 0 for a single number."""
        cdef typed_task *t = <typed_task *>self._add(DO_TYPED, sizeof(typed_task), n)
        t.type = _TYPES[dtype]
        t.op = _TYPED_OPS[op]
        t.a_step = a_step
        t.b_step = b_step
        self._refer(&t.a, a)
        self._refer(&t.b, b)
        self._refer(&t.y, y)

    def where(self, str dtype, int64_t n, c, int64_t c_step, a, int64_t a_step, b,
              int64_t b_step, y):
        """y = c ? a : b, n elements; a step is 0 for a single number."""
        cdef typed_task *t = <typed_task *>self._add(DO_WHERE, sizeof(typed_task), n)
        t.type = _TYPES[dtype]
        t.c_step = c_step
        t.a_step = a_step
        t.b_step = b_step
        self._refer(&t.c, c)
        self._refer(&t.a, a)
        self._refer(&t.b, b)
        self._refer(&t.y, y)

    def load(self, int64_t rows, int64_t elements, x, str source, y, str target,
             index=None):
        """y = the step's rows of x, in order or by index, converted."""
        cdef load_task *t = <load_task *>self._add(DO_LOAD, sizeof(load_task), 0)
        t.rows = rows
        t.elements = elements
        t.source = _TYPES[source]
        t.target = _TYPES[target]
        self._refer(&t.x, x)
        self._refer(&t.y, y)
        if index is not None:
            self._refer(&t.index, index)

    def store(self, int64_t rows, int64_t elements, str dtype, x, y):
        """The step's rows of y = x."""
        cdef load_task *t = <load_task *>self._add(DO_STORE, sizeof(load_task), 0)
        t.rows = rows
        t.elements = elements
        t.source = t.target = _TYPES[dtype]
        self._refer(&t.x, x)
        self._refer(&t.y, y)

    def uniform(self, int64_t n, state, y):
        """y = n numbers in [0, 1) from the state (key, counter)."""
        cdef uniform_task *t = <uniform_task *>self._add(
            DO_UNIFORM, sizeof(uniform_task), 0)
        t.n = n
        self._refer(&t.state, state)
        self._refer(&t.y, y)

    def chain(self, int64_t n, streams, int blocks, ops):
        """A list of elementwise calls in one pass over memory.

        Args:
            n: elements.
            streams: pairs (operand, step); step 0 is a single number.
            blocks: number of intermediate blocks.
            ops: tuples (kernel, (a, b, c), y, p, q); numbers below len(streams) are
                streams, the others blocks.
        """
        cdef chain_task *t
        cdef chain_op *op
        cdef int i
        if len(streams) + blocks > CHAIN_OPERANDS:
            raise ValueError("Program.chain: too many operands")
        t = <chain_task *>self._add(DO_CHAIN, sizeof(chain_task), n)
        t.op = <chain_op *>calloc(len(ops), sizeof(chain_op))
        if t.op == NULL:
            raise MemoryError()
        t.ops = len(ops)
        t.streams = len(streams)
        t.blocks = blocks
        for i, (operand, step) in enumerate(streams):
            t.step[i] = step
            self._refer(&t.stream[i], operand)
        for i, (kernel, inputs, y, p, q) in enumerate(ops):
            op = t.op + i
            op.kind = _chain_kind(kernel, &op.fn)
            inputs = (*inputs, 0, 0)
            op.a, op.b, op.c = inputs[0], inputs[1], inputs[2]
            op.y = y
            op.p = p
            op.q = q

    def call(self, function):
        """Call a Python function without arguments."""
        self._add(DO_CALL, 1, 0)
        free(self.code[self.count - 1].task)
        self.code[self.count - 1].task = <void *>function
        self.calls.append(function)

    # ---- running ----

    def bind(self, int slot, cnp.ndarray array):
        """Let a slot be an array, which the program keeps alive."""
        cdef int64_t i
        cdef char *base
        if slot >= len(self.bound) or self.bound[slot] is array:
            return
        if not cnp.PyArray_IS_C_CONTIGUOUS(array):
            raise ValueError("Program.bind: expected a contiguous array")
        base = <char *>cnp.PyArray_DATA(array)
        for i in range(self.reference_count):
            if self.references[i].slot == slot:
                self.references[i].field[0] = base + self.references[i].offset
        self.bound[slot] = array

    def array(self, int slot):
        """Return the array that a slot is bound to, or None."""
        return self.bound[slot] if slot < len(self.bound) else None

    def run(self, int64_t first, int64_t count):
        """Run the steps first .. first + count - 1."""
        cdef int64_t step
        for slot, array in enumerate(self.bound):
            if array is None:
                raise ValueError(f"Program.run: slot {slot} is not bound")
        with nogil:
            for step in range(first, first + count):
                _execute(self.code, self.count, step)


cdef str _signature(str kernel, void **fn):
    """Find a kernel by its name in the list; return its signature."""
    cdef const cnn_kernel_info *info = cnn_kernel_list
    name = kernel.encode()
    while info.name != NULL:
        if info.name == name:
            fn[0] = _entry(info.offset)
            return info.signature.decode()
        info += 1
    raise ValueError(f"Program: there is no kernel {kernel!r}")


cdef dict _CHAIN_KINDS = {
    "unary": CHAIN_UNARY, "unary_p": CHAIN_UNARY_P, "unary_pq": CHAIN_UNARY_PQ,
    "grad": CHAIN_PAIR, "loss": CHAIN_PAIR, "grad_p": CHAIN_PAIR_P,
    "loss_grad": CHAIN_TRIPLE, "binary": CHAIN_BINARY,
}


cdef ChainKind _chain_kind(str kernel, void **fn) except *:
    signature = _signature(kernel, fn)
    if signature not in _CHAIN_KINDS:
        raise ValueError(f"Program: {kernel} is not an elementwise kernel")
    return _CHAIN_KINDS[signature]


def kernel_signatures() -> dict:
    """Signature of every kernel in the table, by name."""
    signatures = {}
    cdef const cnn_kernel_info *info = cnn_kernel_list
    while info.name != NULL:
        signatures[info.name.decode()] = info.signature.decode()
        info += 1
    return signatures
