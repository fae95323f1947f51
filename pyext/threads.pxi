# The number of threads of the pool.

import os


def num_threads() -> int:
    """Number of threads that one call may use."""
    return cnn_num_threads()


def set_num_threads(n) -> None:
    """Use at most n threads per call from now on; results do not depend on it.

    Args:
        n: 1 to 256; more than there are CPUs is allowed.

    Raises:
        TypeError: if n is not an integer.
        ValueError: if n is out of range.
    """
    _set_threads("set_num_threads", n)


cdef _set_threads(str who, object n):
    if not hasattr(n, "__index__") or isinstance(n, bool):
        raise TypeError(f"{who}: expected an integer, got {n!r}")
    n = n.__index__()
    if not 1 <= n <= CNN_MAX_THREADS:
        raise ValueError(
            f"{who}: expected 1 to {CNN_MAX_THREADS} threads, got {n}")
    cnn_set_num_threads(n)


cdef _start_threads():
    """Read CNN_CORE_NUM_THREADS; empty or unset means as many as there are CPUs."""
    value = os.environ.get("CNN_CORE_NUM_THREADS", "").strip()
    if not value:
        cnn_set_num_threads(cnn_available_cpus())
    elif not (value.isascii() and value.isdigit()):
        raise ValueError(
            "CNN_CORE_NUM_THREADS: expected a number of threads from 1 to "
            f"{CNN_MAX_THREADS}, got {value!r}; unset it to use every CPU")
    else:
        _set_threads("CNN_CORE_NUM_THREADS", int(value))
