# The native executor: arrays are bound to slots, the instructions run without the GIL,
# and what they made is handed out.

from cpython.pythread cimport (
    NOWAIT_LOCK,
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec


# A variable's old value, in case its step fails.
cdef struct saved:
    char *at
    char *copy
    int64_t nbytes


cdef class Program(Instructions):
    """Instructions that run on the arrays of variables, data and results."""

    cdef PyThread_type_lock lock  # one run at a time: the tasks hold its addresses
    cdef Arenas arenas  # where slot 0 is borrowed for a run; None if it is bound
    cdef int64_t arena_bytes
    cdef int threads  # for which the tasks are cut into parts
    # what a run binds, and lets go of at its end
    cdef list variables  # (variable, slot, whether it is written)
    cdef list panels  # (slot of b, slot, Panels, matmul, whether to write at once)
    cdef list data  # (slot, type number, dtype)
    cdef list results  # slots
    cdef list outputs  # (slot, offset, an array of shape and dtype)
    cdef int index  # slot of the row numbers, or -1
    cdef saved *saves  # what a failing step has to leave as it was
    cdef int64_t save_count

    def __cinit__(self):
        self.variables = []
        self.panels = []
        self.data = []
        self.results = []
        self.outputs = []
        self.index = -1
        self.threads = cnn_num_threads()
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError()

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.save_count):
            free(self.saves[i].copy)
        free(self.saves)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def arguments(self, variables, panels, data, results, outputs, index=None):
        """Say what `run` binds.

        Args:
            variables: tuples (variable, slot, whether the program writes it).
            panels: tuples (slot of a variable, slot of its panels, Panels, number of
                the matmul that reads them, whether they pay for a single run).
            data: pairs (slot, dtype), one for each input.
            results: slots of the arrays that take the outputs of all steps.
            outputs: tuples (operand, array of shape and dtype): what `run` returns.
            index: slot of the row numbers.
        """
        self.variables = list(variables)
        self.panels = list(panels)
        self.data = [(slot, dtype.num, dtype) for slot, dtype in data]
        self.results = list(results)
        self.outputs = [(slot, offset, like) for (slot, offset), like in outputs]
        self.index = -1 if index is None else index
        for slot, _, _ in self.outputs:  # no instruction need refer to it
            self._reserve(slot)

    def borrow(self, Arenas arenas not None, int64_t nbytes):
        """Let slot 0 be a block of so many bytes, borrowed for each run."""
        self.arenas = arenas
        self.arena_bytes = nbytes

    def undo(self, arrays):
        """Say what gets its old value back when an instruction raises.

        Args:
            arrays: pairs (slot, bytes); each step copies them before anything else.
        """
        self.saves = <saved *>calloc(len(arrays) + 1, sizeof(saved))
        if self.saves == NULL:
            raise MemoryError()
        for slot, nbytes in arrays:
            self.saves[self.save_count].nbytes = nbytes
            self.saves[self.save_count].copy = <char *>calloc(1, nbytes + 1)
            if self.saves[self.save_count].copy == NULL:
                raise MemoryError()
            self._refer(&self.saves[self.save_count].at, (slot, 0))
            self.save_count += 1

    cdef void _save(self) noexcept nogil:
        cdef int64_t i
        for i in range(self.save_count):
            memcpy(self.saves[i].copy, self.saves[i].at, self.saves[i].nbytes)

    cdef void _restore(self) noexcept nogil:
        cdef int64_t i
        for i in range(self.save_count):
            memcpy(self.saves[i].at, self.saves[i].copy, self.saves[i].nbytes)

    cdef int _sort_references(self) except -1:
        """Bring each slot's references together; nothing is emitted after that."""
        cdef int64_t slots = len(self.bound), i
        cdef reference *unsorted = self.references
        cdef int64_t *starts = <int64_t *>calloc(slots + 2, sizeof(int64_t))
        cdef reference *references = <reference *>calloc(
            self.reference_count + 1, sizeof(reference))
        if starts == NULL or references == NULL:
            free(starts)
            free(references)
            raise MemoryError()
        for i in range(self.reference_count):
            starts[unsorted[i].slot + 2] += 1
        for i in range(slots):
            starts[i + 2] += starts[i + 1]
        for i in range(self.reference_count):  # starts[slot + 1] is the next free place
            references[starts[unsorted[i].slot + 1]] = unsorted[i]
            starts[unsorted[i].slot + 1] += 1
        free(unsorted)
        self.references = references
        self.starts = starts
        return 0

    def bind(self, int slot, cnp.ndarray array):
        """Let a slot be an array, which is kept alive until it is released."""
        if slot >= len(self.bound):
            return
        if not cnp.PyArray_IS_C_CONTIGUOUS(array):
            raise ValueError("Program.bind: expected a contiguous array")
        self._bind(slot, array)

    cdef int _bind(self, int slot, cnp.ndarray array) except -1:
        cdef int64_t i
        cdef char *base = <char *>cnp.PyArray_DATA(array)
        if slot >= len(self.bound):
            return 0
        if self.bases[slot] != <size_t>base:
            if self.starts == NULL:
                self._sort_references()
            for i in range(self.starts[slot], self.starts[slot + 1]):
                self.references[i].field[0] = base + self.references[i].offset
            self.bases[slot] = <size_t>base
        self.bound[slot] = array
        return 0

    cdef int _bind_variables(self, int64_t count) except -1:
        cdef cnp.ndarray array
        cdef int slot
        cdef bint written
        for variable, slot, written in self.variables:
            array = variable._array
            if written:
                # Tensors read before must keep their values: work on a copy if anyone
                # but the variable holds the array, or the memory that it shows.
                if (Py_REFCNT(<PyObject *>array) > 2 or not cnp.PyArray_ISCARRAY(array)
                        or not cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA)):
                    array = PyArray_NewCopy(array, cnp.NPY_CORDER)
                    variable._array = array
            elif not cnp.PyArray_ISCARRAY_RO(array):
                array = _contiguous(array)
                variable._array = array
            self._bind(slot, array)
        self._bind_panels(count)
        return 0

    cdef int _bind_panels(self, int64_t count) except -1:
        cdef Panels panels
        cdef cnp.ndarray memory
        cdef int matrix, slot
        cdef int64_t at
        cdef bint at_once
        for matrix, slot, panels, at, at_once in self.panels:
            memory = None
            # they differ if the parts were set in the middle of the building
            if panels.task.plan.parts == (<matmul_task *>self.code[at].held).plan.parts:
                memory = panels.current(self.bound[matrix], at_once or count > 1)
            self.code[at].n = memory is not None
            if memory is None:
                self.bound[slot] = False  # nobody reads it in this run
            else:
                self._bind(slot, memory)
        return 0

    cdef int _bind_data(self, data, index, results) except -1:
        cdef cnp.ndarray array
        cdef int slot, number
        if len(data) != len(self.data) or len(results) != len(self.results):
            raise ValueError("Program.run: expected an array for every input")
        for given, (slot, number, dtype) in zip(data, self.data):
            array = given
            if not (cnp.PyArray_TYPE(array) == number
                    and cnp.PyArray_ISCARRAY_RO(array)):
                array = _contiguous(array.astype(dtype))
            self._bind(slot, array)
        if self.index >= 0:
            array = index
            if not (cnp.PyArray_TYPE(array) == cnp.NPY_INT64
                    and cnp.PyArray_ISCARRAY_RO(array)):
                array = _contiguous(array.astype("int64"))
            self._bind(self.index, array)
        for given, slot in zip(results, self.results):
            self.bind(slot, given)
        return 0

    cdef list _returned(self):
        """Copies of the outputs."""
        cdef cnp.ndarray like, array
        cdef int slot
        cdef int64_t offset
        found = []
        for slot, offset, like in self.outputs:
            array = PyArray_NewLikeArray(like, cnp.NPY_CORDER, NULL, 0)
            memcpy(cnp.PyArray_DATA(array),
                   <char *>cnp.PyArray_DATA(<cnp.ndarray>self.bound[slot]) + offset,
                   cnp.PyArray_NBYTES(array))
            found.append(array)
        return found

    cdef int _let_go(self) except -1:
        """Hold no array of others between runs."""
        cdef int slot
        cdef bint written
        for variable, slot, written in self.variables:
            self.release(slot)
            if written:
                variable._version += 1
        for _, slot, _, _, _ in self.panels:
            self.release(slot)
        for slot, _, _ in self.data:
            self.release(slot)
        for slot in self.results:
            self.release(slot)
        if self.index >= 0:
            self.release(self.index)
        if self.arenas is not None and self.bound[0] is not None:
            self.arenas.give(<cnp.ndarray>self.bound[0])
            self.bound[0] = None
        return 0

    def release(self, int slot):
        """Let go of a slot's array; it has to be bound again before the next run."""
        if slot < len(self.bound):
            self.bound[slot] = None

    def array(self, int slot):
        """Return the array that a slot is bound to, or None."""
        return self.bound[slot] if slot < len(self.bound) else None

    @property
    def is_current(self) -> bool:
        """Whether kernels, threads and parts of products are those it was made for."""
        return (self.table == cnn_table and self.threads == cnn_num_threads()
                and self.matmul_parts == _matmul_parts)

    def run(self, int64_t first, int64_t count, data=(), index=None, results=()):
        """Run the steps first .. first + count - 1.

        Args:
            first: first step.
            count: number of steps.
            data: the array behind each input.
            index: row numbers.
            results: arrays for the outputs of all steps.

        Returns:
            New arrays: the outputs of the last step.
        """
        return self._run(first, count, data, index, results, None)

    def profile(self, int64_t first, int64_t count, data=(), index=None, results=()):
        """Do the same one instruction at a time; return the seconds spent in each.

        Variables change as in `run`, also back where a step fails.
        """
        seconds = [0.0] * self.count
        self._run(first, count, data, index, results, seconds)
        return seconds

    cdef _run(self, int64_t first, int64_t count, data, index, results, list seconds):
        cdef int64_t step, last = first + count - 1
        if self.table != cnn_table:
            raise RuntimeError(
                f"Program.run: built for {self.table.isa.decode()}, but the set of "
                f"instructions is now {isa()}; build it anew after set_isa"
            )
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)
        try:
            if self.arenas is not None:
                self._bind(0, self.arenas.take(self.arena_bytes))
            self._bind_variables(count)
            self._bind_data(data, index, results)
            for array in self.bound:
                if array is None:
                    raise ValueError("Program.run: a slot is not bound")
            try:
                if seconds is None:
                    with nogil:
                        for step in range(first, last + 1):
                            self._save()
                            _execute(self.code, self.count, step, step < last)
                else:
                    for step in range(first, last + 1):
                        self._save()
                        self._profile(step, seconds)
            except BaseException:
                self._restore()
                raise
            return self._returned()
        finally:
            self._let_go()
            PyThread_release_lock(self.lock)

    cdef int _profile(self, int64_t step, list seconds) except -1:
        cdef int64_t i
        cdef timespec begin, end
        for i in range(self.count):
            clock_gettime(CLOCK_MONOTONIC, &begin)
            _execute(self.code + i, 1, step, False)
            clock_gettime(CLOCK_MONOTONIC, &end)
            seconds[i] += (end.tv_sec - begin.tv_sec
                           + 1e-9 * (end.tv_nsec - begin.tv_nsec))
        return 0
