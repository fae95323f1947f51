"""Global defaults: float type, fuzz factor, image layout, threads, precision."""

from __future__ import annotations

from collections.abc import Callable

FLOAT_TYPES = ("float16", "float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")
# bfloat16 parts of an operand at each precision of float32 products.
MATMUL_PARTS = {"highest": 3, "high": 2, "medium": 1}

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_interactive_logging = True
_matmul_precision = "highest"
_portable_bits = False
_changes = 0

# The backend, one floor up, installs the functions that reach the compiled module.
_get_threads: Callable[[], int] | None = None
_set_threads: Callable[[int], None] | None = None
_set_matmul_parts: Callable[[int], None] | None = None


def changes() -> int:
    """Return how often a default that layers or their products may read was set."""
    return _changes


def floatx() -> str:
    """Return the default float type of new tensors and weights, e.g. 'float32'."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float type.

    Args:
        value: "float16", "float32" or "float64".

    Raises:
        ValueError: for any other name.
    """
    global _floatx, _changes
    if value not in FLOAT_TYPES:
        raise ValueError(
            f"set_floatx: expected one of {', '.join(FLOAT_TYPES)}, got {value!r}"
        )
    _floatx = value
    _changes += 1


def epsilon() -> float:
    """Return the fuzz factor that keeps divisions and logarithms finite."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the fuzz factor.

    Raises:
        ValueError: if `value` is not a positive number.
    """
    global _epsilon, _changes
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"set_epsilon: expected a positive number, got {value!r}")
    _epsilon = float(value)
    _changes += 1


def image_data_format() -> str:
    """Return the default image layout, "channels_last" or "channels_first"."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default image layout.

    Raises:
        ValueError: if it is neither "channels_last" nor "channels_first".
    """
    global _image_data_format, _changes
    if data_format not in DATA_FORMATS:
        raise ValueError(
            "set_image_data_format: expected 'channels_last' or 'channels_first', "
            f"got {data_format!r}"
        )
    _image_data_format = data_format
    _changes += 1


def backend() -> str:
    """Return the name of this library, where Keras returns its backend's."""
    return "cnn_core"


def is_interactive_logging_enabled() -> bool:
    """Tell whether progress is shown as a bar that is redrawn (the default)."""
    return _interactive_logging


def enable_interactive_logging() -> None:
    """Show progress as a bar that is redrawn."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Write progress as plain lines, as suits a log file."""
    global _interactive_logging
    _interactive_logging = False


def bind_threads(get: Callable[[], int], set_: Callable[[int], None]) -> None:
    """Connect the thread functions of the backend in use."""
    global _get_threads, _set_threads
    _get_threads, _set_threads = get, set_


def num_threads() -> int:
    """Return how many threads the kernels may use."""
    assert _get_threads is not None, "the backend binds this on import"
    return _get_threads()


def set_num_threads(value: int) -> None:
    """Set how many threads the kernels may use; results do not depend on it.

    Raises:
        ValueError: if `value` is not a positive integer.
    """
    assert _set_threads is not None, "the backend binds this on import"
    _set_threads(value)


def bind_matmul_parts(set_: Callable[[int], None]) -> None:
    """Connect the function of the backend in use that takes `matmul_parts()`."""
    global _set_matmul_parts
    _set_matmul_parts = set_


def matmul_parts() -> int:
    """Return how many bfloat16 parts tile units may make of an operand; 0 for none."""
    return 0 if _portable_bits else MATMUL_PARTS[_matmul_precision]


def float32_matmul_precision() -> str:
    """Return the precision of float32 products: "highest", "high" or "medium"."""
    return _matmul_precision


def set_float32_matmul_precision(precision: str) -> None:
    """Set the precision of float32 products on tile units, for the whole process.

    Tile units (AMX) multiply bfloat16 numbers. A float32 operand is cut into several of
    these, and the products of the parts are added in float32:

    | precision | parts | products | relative error (Frobenius norm) about |
    | --- | --- | --- | --- |
    | "highest" | 3 | 6 | 2e-7, as fused multiply-adds have |
    | "high" | 2 | 3 | 5e-6 |
    | "medium" | 1 | 1 | 2.5e-3 |

    Large products gain most; small ones, and all where the instruction set has no tile
    units, or with `set_portable_bits(True)`, or on the NumPy backend, are computed with
    float32 multiply-adds whatever is set here. Models follow at their next step.

    Args:
        precision: "highest" (the default), "high" or "medium".

    Raises:
        ValueError: for any other name.
    """
    global _matmul_precision
    if not isinstance(precision, str) or precision not in MATMUL_PARTS:
        raise ValueError(
            "set_float32_matmul_precision: expected one of "
            f"{', '.join(MATMUL_PARTS)}, got {precision!r}"
        )
    _matmul_precision = precision
    _parts_changed()


def portable_bits() -> bool:
    """Tell whether results keep to the bits that every machine with FMA gives."""
    return _portable_bits


def set_portable_bits(value: bool) -> None:
    """Give every product the bits it has on all machines with FMA, or not.

    Fused multiply-adds in one fixed order give the same bits on AVX2, AVX-512 and NEON,
    and for any split of a batch. Tile units (AMX) add in another order, are faster on
    large products, and serve those by default where the machine has them. With True
    they stay unused, for the whole process; the relative error (Frobenius norm) is
    about 2e-7 either way. It changes nothing where there are no tile units, and on the
    NumPy backend. Models follow at their next step. CNN_CORE_PORTABLE_BITS=1 in the
    environment sets it from the start.

    Args:
        value: True or False (the default).

    Raises:
        TypeError: if it is neither.
    """
    global _portable_bits
    if not isinstance(value, bool):
        raise TypeError(f"set_portable_bits: expected True or False, got {value!r}")
    _portable_bits = value
    _parts_changed()


def _parts_changed() -> None:
    global _changes
    assert _set_matmul_parts is not None, "the backend binds this on import"
    _set_matmul_parts(matmul_parts())
    _changes += 1
