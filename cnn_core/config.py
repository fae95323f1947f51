"""Global defaults: float type, fuzz factor, image layout, number of threads."""

from __future__ import annotations

from collections.abc import Callable

FLOAT_TYPES = ("float16", "float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_interactive_logging = True
_changes = 0

# The backend, one floor up, installs the functions that reach the thread pool.
_get_threads: Callable[[], int] | None = None
_set_threads: Callable[[int], None] | None = None


def changes() -> int:
    """Return how often a default that layers may read was set."""
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
