# Memory that programs work in, borrowed for the time of a run.


cdef class Arenas:
    """Blocks for programs that share them: a block goes to whoever runs next.

    Programs that never run at the same time take no more than the largest one needs.
    """

    cdef cnp.ndarray spare  # in which nobody works
    cdef list others  # such blocks, too, where several programs ran at once

    def __cinit__(self):
        self.others = []

    @property
    def nbytes(self) -> int:
        """Number of bytes of the blocks in which nobody works."""
        blocks = [*self.others, self.spare]
        return sum([block.nbytes for block in blocks if block is not None])

    cdef cnp.ndarray take(self, int64_t nbytes):
        """Return a block of at least so many bytes, in the place of a smaller one."""
        cdef cnp.ndarray block = self.spare
        self.spare = None
        if block is None and self.others:
            block = self.others.pop()
        if block is not None and cnp.PyArray_DIM(block, 0) >= nbytes:
            return block
        block = None  # its memory may serve the larger one
        return _aligned_bytes(nbytes)

    cdef int give(self, cnp.ndarray block) except -1:
        """Take a block back."""
        if self.spare is None:
            self.spare = block
        else:
            self.others.append(block)
        return 0
