# Memory that programs work in, borrowed for the time of a run.


cdef class Arenas:
    """Blocks for programs that share them: a block goes to whoever runs next.

    Programs that never run at the same time take no more than the largest one needs.
    """

    cdef list blocks  # in which nobody works

    def __cinit__(self):
        self.blocks = []

    @property
    def nbytes(self) -> int:
        """Number of bytes of the blocks in which nobody works."""
        return sum(block.nbytes for block in self.blocks)

    cdef cnp.ndarray take(self, int64_t nbytes):
        """Return the smallest block of at least so many bytes."""
        cdef int64_t i, best = -1, last = len(self.blocks) - 1
        cdef int64_t size, smallest = 0
        for i in range(last + 1):
            size = cnp.PyArray_NBYTES(<cnp.ndarray>self.blocks[i])
            if size >= nbytes and (best < 0 or size < smallest):
                best = i
                smallest = size
        if best >= 0:
            return self.blocks.pop(best)
        if last >= 0:  # a larger block takes its place
            del self.blocks[last]
        return _aligned_bytes(nbytes)

    cdef int give(self, cnp.ndarray block) except -1:
        """Take a block back."""
        self.blocks.append(block)
        return 0
