# Building a program: kernel calls, one after the other; program_run.pxi runs them.

from libc.stdlib cimport calloc, free, realloc


cdef class Instructions:
    """A list of prepared kernel calls on numbered slots; slot 0 is the arena."""

    cdef object __weakref__
    cdef const cnn_kernel_table *table  # whose kernels and plans the tasks hold
    cdef readonly int matmul_parts  # with which the products are prepared
    cdef instruction *code
    cdef int64_t count
    cdef int64_t capacity
    cdef reference *references
    cdef int64_t reference_count
    cdef int64_t reference_capacity
    cdef int64_t *starts  # of each slot's references, once they are sorted by slot
    cdef list bound  # the array of every slot
    cdef list bases  # address that the tasks have for every slot
    cdef list calls  # Python callables, kept alive

    def __cinit__(self):
        self.table = cnn_table
        self.matmul_parts = _matmul_parts
        self.bound = [None]
        self.bases = [0]
        self.calls = []

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.count):
            if self.code[i].kind == DO_CHAIN:
                free((<chain_task *>self.code[i].task).op)
            if self.code[i].kind != DO_CALL:
                free(self.code[i].task)
            free(self.code[i].held)
        free(self.code)
        free(self.references)
        free(self.starts)

    def __len__(self):
        return self.count

    # ---- building ----

    cdef void *_add(self, Kind kind, size_t size, int64_t n) except NULL:
        cdef instruction *code
        cdef void *task
        cdef int64_t capacity = 2 * self.capacity + 16
        if self.count == self.capacity:
            code = <instruction *>realloc(self.code, capacity * sizeof(instruction))
            if code == NULL:
                raise MemoryError()
            self.code = code
            self.capacity = capacity
        task = calloc(1, size)
        if task == NULL:
            raise MemoryError()
        self.code[self.count].kind = kind
        self.code[self.count].n = n
        self.code[self.count].task = task
        self.code[self.count].held = NULL
        self.count += 1
        return task

    cdef int _reserve(self, int slot) except -1:
        while len(self.bound) <= slot:
            self.bound.append(None)
            self.bases.append(0)
        return 0

    cdef int _refer(self, void *field, operand) except -1:
        cdef reference *grown
        cdef int64_t capacity = 2 * self.reference_capacity + 32
        if self.starts != NULL:
            raise ValueError("Program: all instructions come before the first array")
        self._reserve(operand[0])
        if self.reference_count == self.reference_capacity:
            grown = <reference *>realloc(
                self.references, capacity * sizeof(reference))
            if grown == NULL:
                raise MemoryError()
            self.references = grown
            self.reference_capacity = capacity
        self.references[self.reference_count].field = <char **>field
        self.references[self.reference_count].slot = operand[0]
        self.references[self.reference_count].offset = operand[1]
        self.reference_count += 1
        return 0

    def map(self, str kernel, int64_t n, inputs, y, float p=0, float q=0, g=None):
        """y = kernel(*inputs): float32 arrays of n elements.

        A loss with its gradient takes (cotangent, target, output); it writes the losses
        to y and the gradient to g.
        """
        cdef int k
        cdef map_task *t = <map_task *>self._add(DO_MAP, sizeof(map_task), n)
        cdef instruction *at = self.code + self.count - 1
        cdef ChainKind kind
        if g is not None:
            if _signature(kernel, &t.fn) != "loss_with_grad":
                raise ValueError(f"Program.map: {kernel} writes no gradient to g")
            at.part = _loss_with_grad_part
            self._refer(&t.g, g)
            for k, operand in enumerate(inputs):
                self._refer(&t.a + k, operand)
            self._refer(&t.y, y)
            return
        kind = _chain_kind(kernel, &t.fn)
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
             labels=None, g=None):
        """One call per row of n elements: softmax, losses, arg-extremes.

        A loss with its gradient writes the losses to y and the gradient to g.
        """
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
        elif signature == "rowloss_with_grad":
            at.part = _rowloss_with_grad_part
        elif signature == "labelloss_with_grad":
            at.part = _labelloss_with_grad_part
        elif signature == "index":
            at.part = _index_part
        else:
            raise ValueError(f"Program.rows: {kernel} is not a kernel of rows")
        for k, operand in enumerate((a, b, c)):
            if operand is not None:
                self._refer(&t.a + k, operand)
        if labels is not None:
            self._refer(&t.labels, labels)
        if (g is not None) != signature.endswith("_with_grad"):
            raise ValueError(f"Program.rows: g is for a loss with its gradient, "
                             f"got kernel {kernel} and g={g}")
        if g is not None:
            self._refer(&t.g, g)
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
               bint transpose_b, c, bias=None, activation=None, grad=None,
               parameter=None, saved=None, bias_gradient=None, held=None):
        """c (m, n) = activation(a @ b + bias), contiguous matrices; c lies alone.

        Everything below has the bits of the separate instructions.

        Args:
            grad: name of an activation, as for `activation`; c becomes the gradient of
                it for the cotangent c and the array `saved` (m, n), the output or input
                that its gradient kernel takes ("exponential": the output).
            parameter: slope of "leaky_relu" (0.2) or alpha of "elu" (1.0) in `grad`.
            bias_gradient: place (n,) for the sums of the columns of b, as the bias
                gradient of b.
            held: place of b in panels, which runs that have them read instead of b (see
                Program.arguments); not with what belongs to gradients, nor with n = 1.

        Returns:
            Number of the instruction.
        """
        cdef matmul_task *t
        cdef int64_t at = self.count
        if held is not None and n == 1:
            raise ValueError("Program.matmul: a matrix of one column has no panels")
        t = <matmul_task *>self._add(DO_MATMUL, sizeof(matmul_task), 0)
        self._product(t, m, n, k, a, transpose_a, b, transpose_b, c, bias, activation,
                      False, grad, parameter, saved, bias_gradient)
        if held is not None:
            t = <matmul_task *>calloc(1, sizeof(matmul_task))
            if t == NULL:
                raise MemoryError()
            self.code[at].held = t
            self._product(t, m, n, k, a, transpose_a, held, False, c, bias, activation,
                          True, None, None, None, None)
        return at

    cdef int _product(self, matmul_task *t, int64_t m, int64_t n, int64_t k, a,
                      bint transpose_a, b, bint transpose_b, c, bias, activation,
                      bint packed, grad, parameter, saved, bias_gradient) except -1:
        cdef float mark_a, mark_b
        _product_of_rows(&t.p, m, n, k, transpose_a, transpose_b)
        t.p.a = &mark_a
        t.p.b = &mark_b
        t.p.packed = packed
        t.p.activation = <cnn_activation>(
            <int>(0 if activation is None else _ACTIVATIONS[activation]))
        if grad is not None:
            t.p.grad = <cnn_activation>(<int>_ACTIVATIONS[grad])
            t.p.grad_p = _grad_parameter(t.p.grad, parameter)
        if bias_gradient is not None:
            t.p.sums = &mark_a
        prepare_matmul(t)
        if bias_gradient is not None and n == 1:
            self._refer(&t.column, b)
            self._refer(&t.column_sum, bias_gradient)
            t.p.sums = NULL
        elif bias_gradient is not None:
            self._refer(&t.p.sums, bias_gradient)
        if saved is not None:
            self._refer(&t.p.saved, saved)
        if t.p.a == &mark_b:  # computed as the transposed product
            a, b = b, a
        t.p.a = t.p.b = NULL
        self._refer(&t.p.a, a)
        self._refer(&t.p.b, b)
        self._refer(&t.p.c, c)
        if bias is not None:
            self._refer(&t.p.bias, bias)
        return 0

    def products(self, int64_t m, int64_t n, int64_t k, a, bint transpose_a, b,
                 bint transpose_b, c, shape, a_steps, b_steps):
        """c (*shape, m, n) = a @ b; steps in elements along each axis of shape."""
        cdef matmul_task *t = <matmul_task *>self._add(
            DO_MATMUL, sizeof(matmul_task), 0)
        cdef float mark_a, mark_b
        _product_of_rows(&t.p, m, n, k, transpose_a, transpose_b)
        t.p.a = &mark_a
        t.p.b = &mark_b
        t.ndim = len(shape)
        for i in range(t.ndim):
            t.shape[i], t.a_step[i], t.b_step[i] = shape[i], a_steps[i], b_steps[i]
        prepare_matmul(t)
        if t.p.a == &mark_b:
            a, b = b, a
        t.p.a = t.p.b = NULL
        self._refer(&t.p.a, a)
        self._refer(&t.p.b, b)
        self._refer(&t.p.c, c)

    def cast(self, int64_t n, x, str source, y, str target):
        """y = x as another type, n elements."""
        cdef typed_task *t = self._add_typed(_cast_part, n)
        t.type = _TYPES[source]
        t.target = _TYPES[target]
        self._refer(&t.a, x)
        self._refer(&t.y, y)

    cdef typed_task *_add_typed(self, cnn_task_fn part, int64_t n) except NULL:
        cdef typed_task *t = <typed_task *>self._add(DO_TYPED, sizeof(typed_task), n)
        self.code[self.count - 1].part = part
        return t

    def typed(self, str op, str dtype, int64_t n, a, int64_t a_step, b,
              int64_t b_step, y, str target):
        """y = a op b, n elements of any type; a step is 0 for a single number."""
        cdef typed_task *t = self._add_typed(_typed_part, n)
        t.type = _TYPES[dtype]
        t.target = _TYPES[target]
        t.op = _TYPED_OPS[op]
        t.a_step = a_step
        t.b_step = b_step
        self._refer(&t.a, a)
        self._refer(&t.b, b)
        self._refer(&t.y, y)

    def where(self, str dtype, int64_t n, c, int64_t c_step, a, int64_t a_step, b,
              int64_t b_step, y):
        """y = c ? a : b, n elements; a step is 0 for a single number."""
        cdef typed_task *t = self._add_typed(_where_part, n)
        t.type = _TYPES[dtype]
        t.c_step = c_step
        t.a_step = a_step
        t.b_step = b_step
        self._refer(&t.c, c)
        self._refer(&t.a, a)
        self._refer(&t.b, b)
        self._refer(&t.y, y)

    def copy(self, int64_t size, shape, source, x, to, y):
        """y = x, elements of `size` bytes.

        Args:
            size: 1, 2, 4 or 8.
            shape: what is copied.
            source: bytes to move in x along each axis; 0 repeats an element.
            x: where the first element is.
            to: bytes to move in y along each axis.
            y: where the first element goes.
        """
        cdef cnn_copy_task *t
        cdef int64_t n = 1
        axes, last = [], None
        for d, f, g in zip(shape, source, to):
            n *= d
            if d == 1:
                continue
            if last is not None and last[1] == f * d and last[2] == g * d:
                axes.pop()
                d *= last[0]
            last = (d, f, g)
            axes.append(last)
        axes = [(1, 0, 0)] * (2 - len(axes)) + axes
        if len(axes) > CNN_COPY_AXES:
            raise ValueError("Program.copy: too many axes")
        t = <cnn_copy_task *>self._add(DO_COPY, sizeof(cnn_copy_task), n)
        t.size = size
        t.ndim = len(axes)
        for k in range(t.ndim):
            t.shape[k], t.source[k], t.to[k] = axes[k]
        self._refer(&t.x, x)
        self._refer(&t.y, y)

    def fold(self, str op, str dtype, int64_t outer, int64_t n, int64_t inner, x, y,
             bint running=False):
        """y (outer, inner) = fold of x (outer, n, inner), whole numbers.

        With `running`, y (outer, n, inner) is what came out after each step, for sums
        and products of any numbers.
        """
        cdef cnn_fold_task *t = <cnn_fold_task *>self._add(
            DO_FOLD, sizeof(cnn_fold_task), outer)
        self.code[self.count - 1].part = cnn_run_part if running else cnn_fold_part
        t.type = _TYPES[dtype]
        t.op = _TYPED_OPS[op]
        t.n = n
        t.inner = inner
        self._refer(&t.x, x)
        self._refer(&t.y, y)

    def argsort(self, str dtype, int64_t outer, int64_t n, int64_t inner, x, y):
        """y (outer, n, inner), int32 = the places that sort x along its middle axis."""
        cdef cnn_sort_task *t = <cnn_sort_task *>self._add(
            DO_SORT, sizeof(cnn_sort_task), outer * inner)
        t.type = _SORT_TYPES[dtype]
        t.n = n
        t.inner = inner
        self._refer(&t.x, x)
        self._refer(&t.y, y)

    def one_hot(self, str dtype, int64_t rows, int64_t classes, labels, y):
        """y (rows, classes) = 1 at the int64 label of each row, 0 elsewhere."""
        cdef one_hot_task *t = <one_hot_task *>self._add(
            DO_ONE_HOT, sizeof(one_hot_task), rows)
        t.type = _TYPES[dtype]
        t.classes = classes
        self._refer(&t.labels, labels)
        self._refer(&t.y, y)

    def take(self, int64_t outer, int64_t n, int64_t count, int64_t nbytes, x, indices,
             y, otherwise):
        """y (outer, count) = rows of nbytes of x (outer, n) at indices.

        They are given as a place and whether they are int32 instead of int64.
        `otherwise` is called if an index is out of range.
        """
        cdef pick_task *t = self._add_index(
            outer, n, count, nbytes, x, indices, y, otherwise)
        t.part = NULL

    def add_rows(self, str dtype, int64_t outer, int64_t n, int64_t count,
                 int64_t columns, x, indices, y, otherwise):
        """y (outer, n, columns) = 0, then y[:, indices] += x, index after index.

        `otherwise` is called if an index is out of range.
        """
        cdef pick_task *t = self._add_index(
            outer, n, count, columns, x, indices, y, otherwise)
        t.part = cnn_add_rows_f32 if dtype == "float32" else cnn_add_rows_f64

    def along(self, int64_t outer, int64_t n, int64_t count, int64_t inner, x,
              indices, y, otherwise, int64_t size=0, str dtype=None):
        """y[o, i, j] = x[o, indices[o, i, j], j], elements of `size` bytes.

        With a dtype instead, y (outer, n, inner) = 0 and then the same elements of y
        += x, one i after the other. `otherwise` is called if an index is out of range.
        """
        cdef pick_task *t = self._add_index(
            outer, n, count, inner, x, indices, y, otherwise)
        t.along = True
        t.rows.size = size
        t.rows.all = outer * count * inner
        t.part = cnn_along_part
        if dtype is not None:
            t.part = cnn_add_along_f32 if dtype == "float32" else cnn_add_along_f64

    cdef pick_task *_add_index(
        self, int64_t outer, int64_t n, int64_t count, int64_t row, x, indices, y,
        otherwise
    ) except NULL:
        cdef pick_task *t = <pick_task *>self._add(DO_PICK, sizeof(pick_task), 0)
        t.rows.outer = outer
        t.rows.n = n
        t.rows.count = t.rows.all = count
        t.rows.row = row
        t.otherwise = <void *>otherwise
        self.calls.append(otherwise)
        place, t.rows.narrow = indices
        self._refer(<void *>&t.rows.indices, place)
        self._refer(&t.rows.source, x)
        self._refer(&t.rows.to, y)
        return t

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

    def random(self, int64_t n, bint normal, state, y):
        """y = n numbers from the state (key, counter): in [0, 1), or normal ones."""
        cdef random_task *t = <random_task *>self._add(
            DO_RANDOM, sizeof(random_task), 0)
        t.n = n
        t.normal = normal
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
