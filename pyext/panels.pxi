# Matrices of variables in the panels that products read fastest, held between runs.

from cpython.ref cimport PyObject
from cpython.weakref cimport PyWeakref_NewRef


cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray, int, PyObject *, int)
    cnp.ndarray PyArray_NewCopy(cnp.ndarray, int)


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)


cdef class Panels:
    """A variable's matrix in panels, see packed_size; written again when it changed.

    Args:
        variable: what has the matrix, as `_array` that is replaced, or written to in
            place by programs that count `_version`.
        m: rows of the products.
        n: columns of the products.
        k: inner length of the products.
        transpose_b: whether the matrix is (n, k) instead of (k, n).
    """

    cdef object __weakref__
    cdef object variable
    cdef pack_task task
    cdef const cnn_kernel_table *table
    cdef cnp.ndarray memory
    cdef object seen  # weak reference to the array last looked at
    cdef object version  # of the variable then
    cdef bint written  # whether the memory holds it
    cdef readonly int64_t nbytes

    def __cinit__(self, variable, int64_t m, int64_t n, int64_t k, bint transpose_b):
        self.variable = variable
        self.table = cnn_table
        prepare_pack(&self.task, m, n, k, transpose_b)
        self.nbytes = 4 * self.task.plan.panels_size

    @property
    def layout(self) -> tuple:
        """What panels share that hold one matrix alike, for any number of rows."""
        p = &self.task.p
        return (p.n, p.k, p.b_row, p.b_col, self.task.plan.panel,
                self.task.plan.all_cols, self.task.plan.parts, <size_t>self.table)

    cdef cnp.ndarray current(self, cnp.ndarray array, bint at_once):
        """Return the panels of the variable's present array; None if they do not pay.

        Unless `at_once`, a matrix is written the second time it comes unchanged.
        """
        version = self.variable._version
        if (self.seen is None or version != self.version
                or self.seen() is not array):
            self.seen = PyWeakref_NewRef(array, None)
            self.version = version
            self.written = False
            if not at_once:
                return None
        if not self.written:
            # a run in another thread may be reading what was written before
            if self.memory is None or Py_REFCNT(<PyObject *>self.memory) > 1:
                self.memory = _aligned_bytes(self.nbytes)
            self.task.p.b = _data(array)
            self.task.y = _data(self.memory)
            run_pack(&self.task)
            self.written = True
        return self.memory


cdef cnp.ndarray _aligned_bytes(int64_t nbytes):
    """Return memory that starts at a multiple of 64, as a cache line does."""
    cdef cnp.npy_intp size = nbytes + 64
    cdef cnp.ndarray memory = cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
    start = -<size_t>cnp.PyArray_DATA(memory) % 64
    return memory[start:start + nbytes]
