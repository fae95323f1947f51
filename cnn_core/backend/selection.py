"""Which backend serves this process, and what it runs on."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable
from importlib import util
from types import ModuleType
from typing import Any

import numpy as np

from cnn_core import config
from cnn_core.shapes import unknown_name

__all__ = ["FUNCTIONS", "info", "isa", "name", "num_threads", "set_num_threads"]

NATIVE_MODULE = "cnn_core._native"
BUILD_COMMAND = "pip install ."
MAX_THREADS = 256  # as in pyext/kernels/threads.h
BACKENDS = ("compiled", "reference")
OPTIONAL_MODULES = (
    "h5py",
    "matplotlib",
    "mpi4py",
    "onnx",
    "pandas",
    "PIL",
    "pydot",
    "rich",
    "sklearn",
)


def _requested() -> str | None:
    """Return the backend that the environment asks for, None if it does not."""
    value = os.environ.get("CNN_CORE_BACKEND", "")
    if value and value not in BACKENDS:
        raise unknown_name("backend in CNN_CORE_BACKEND", value, BACKENDS)
    return value or None


def _load_compiled() -> ModuleType | None:
    """Return the compiled backend, None if its extension module does not exist.

    An extension that exists but fails to load is an error, never a silent fallback.
    """
    try:
        from cnn_core.backend import compiled
    except ModuleNotFoundError as error:
        if error.name != NATIVE_MODULE:
            raise
        return None
    return compiled


def _is_source_tree() -> bool:
    """Tell whether the package lies in a source tree, next to its C sources."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.isdir(os.path.join(os.path.dirname(package), "pyext"))


def _choose() -> ModuleType | None:
    """Return the compiled backend, or None where the reference has to serve."""
    requested = _requested()
    if requested == "reference":
        return None
    compiled = _load_compiled()
    if compiled is not None:
        return compiled
    if requested == "compiled":
        raise ImportError(
            f"CNN_CORE_BACKEND=compiled: the extension module {NATIVE_MODULE} was not "
            f"built; build it with `{BUILD_COMMAND}` in the source tree, or unset the "
            "variable to use the NumPy reference",
            name=NATIVE_MODULE,
        )
    if _is_source_tree():
        warnings.warn(
            "cnn_core was imported from a source tree that was not built and runs on "
            f"the slow NumPy reference; build it with `{BUILD_COMMAND}`, or set "
            "CNN_CORE_BACKEND=reference if this is intended",
            RuntimeWarning,
            stacklevel=2,
        )
    return None


def _default_threads() -> int:
    """Return CNN_CORE_NUM_THREADS, or the number of CPUs this process may use."""
    value = os.environ.get("CNN_CORE_NUM_THREADS", "")
    if value:
        digits = value.strip()
        known = digits.isascii() and digits.isdecimal()
        if not known or not 1 <= int(digits) <= MAX_THREADS:
            raise ValueError(
                f"CNN_CORE_NUM_THREADS: expected an integer from 1 to {MAX_THREADS}, "
                f"got {value!r}; correct or unset the environment variable"
            )
        return int(digits)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _portable_from_start() -> bool:
    """Tell whether CNN_CORE_PORTABLE_BITS asks for bits that all machines share."""
    value = os.environ.get("CNN_CORE_PORTABLE_BITS", "")
    if value.strip() not in ("", "0", "1"):
        raise ValueError(
            f"CNN_CORE_PORTABLE_BITS: expected 1 or 0, got {value!r}; correct or unset "
            "the environment variable"
        )
    return value.strip() == "1"


_compiled = _choose()
_native: Any = None if _compiled is None else _compiled.native
# The reference runs on NumPy's own threads; it only remembers the number.
_reference_threads = _default_threads() if _native is None else 0

# The compiled functions that replace reference functions of the same name.
FUNCTIONS: dict[str, Callable[..., Any]] = (
    {} if _compiled is None else _compiled.FUNCTIONS
)


def name() -> str:
    """Return the name of the backend in use, "compiled" or "reference"."""
    return "reference" if _native is None else "compiled"


def isa() -> str | None:
    """Return the instruction set in use, None for the reference backend."""
    return None if _native is None else str(_native.isa())


def num_threads() -> int:
    """Return how many threads the kernels may use."""
    return _reference_threads if _native is None else int(_native.num_threads())


def set_num_threads(n: int) -> None:
    """Set how many threads the kernels may use; results do not depend on it.

    The reference backend checks and remembers the number, which has no effect there.

    Args:
        n: number of threads, at least 1.

    Raises:
        TypeError: if `n` is not an integer.
        ValueError: if `n` is less than 1.
    """
    global _reference_threads
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(
            f"set_num_threads: expected an integer number of threads, got {n!r}"
        )
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1 thread, got {n}")
    if _native is None:
        _reference_threads = int(n)
    else:
        _native.set_num_threads(int(n))


def _set_matmul_parts(parts: int) -> None:
    """Hand `config.matmul_parts()` on to the kernels; the reference has no use."""
    if _native is not None:
        _native.set_matmul_parts(parts)


def info() -> dict[str, Any]:
    """Return what this process runs on.

    Returns:
        Dictionary with the keys "version", "backend", "isa" and "available_isas"
        (None and empty for the reference), "threads", "float32_matmul_precision" and
        "portable_bits" (see `config`; both matter on tile units only), "python",
        "numpy", "machine" and "missing" (the optional packages that are not installed).
    """
    return {
        "version": _version(),
        "backend": name(),
        "isa": isa(),
        "available_isas": [] if _native is None else list(_native.available_isas()),
        "threads": num_threads(),
        "float32_matmul_precision": config.float32_matmul_precision(),
        "portable_bits": config.portable_bits(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "missing": [m for m in OPTIONAL_MODULES if util.find_spec(m) is None],
    }


def _version() -> str:
    from importlib import metadata  # slow to import, and only needed here

    try:
        return metadata.version("cnn_core")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


config.bind_threads(num_threads, set_num_threads)
config.bind_matmul_parts(_set_matmul_parts)
if _portable_from_start():
    config.set_portable_bits(True)
