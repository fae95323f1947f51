"""Tensors from nothing: constants, ranges, grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..graph import KerasTensor, Tensor, TensorLike, as_tensor, is_symbolic_scope
from . import shaping
from ._op import alias, op


def _number(x: Any) -> Any:
    """Return the value of a tensor of one element, or `x` itself."""
    return np.asarray(x)[()] if isinstance(x, TensorLike) else x


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of zeros.

    Args:
        shape: sizes.
        dtype: dtype, `floatx()` by default.
    """
    return _made(np.zeros, shape, dtype, "zeros")


def ones(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of ones.

    Args:
        shape: sizes.
        dtype: dtype, `floatx()` by default.
    """
    return _made(np.ones, shape, dtype, "ones")


def empty(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor whose values do not matter (zeros, here)."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return a tensor filled with one value.

    Args:
        shape: sizes.
        fill_value: a number, or a tensor that broadcasts to `shape`.
        dtype: dtype, `floatx()` by default.
    """
    value = as_tensor(fill_value, shapes.dtype_name(dtype))
    shape = shapes.standardize_shape(shape, "full")
    if _is_open(shape, "full"):
        return KerasTensor(shape, value.dtype)
    return shaping.broadcast_to(value, shape)


def _made(make: Any, shape: Any, dtype: Any, who: str) -> Any:
    shape, dtype = shapes.standardize_shape(shape, who), shapes.dtype_name(dtype)
    if _is_open(shape, who):
        return KerasTensor(shape, dtype)
    return Tensor(make(shape, dtype))


def _is_open(shape: shapes.Shape, who: str) -> bool:
    """Tell whether a size is unknown, which it may be while a layer finds its shape."""
    if None not in shape:
        return False
    if not is_symbolic_scope():
        raise ValueError(f"{who}: every size must be known, got {shape}")
    return True


def _like(x: Any, make: Any, dtype: Any) -> Any:
    x = as_tensor(x)
    dtype = x.dtype if dtype is None else shapes.dtype_name(dtype)
    if isinstance(x, KerasTensor):
        return KerasTensor(x.shape, dtype)
    return make(x.shape, dtype)


@op
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros with the shape (and by default the dtype) of `x`."""
    return _like(x, zeros, dtype)


@op
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Return ones with the shape (and by default the dtype) of `x`."""
    return _like(x, ones, dtype)


empty_like = alias(zeros_like, "empty_like")


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return `fill_value` with the shape (and by default the dtype) of `x`."""
    return _like(x, lambda s, d: full(s, fill_value, d), dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803 - NumPy's names
    """Return a matrix with ones on its k-th diagonal.

    Args:
        N: number of rows.
        M: number of columns, `N` by default.
        k: which diagonal.
        dtype: dtype, `floatx()` by default.
    """
    return Tensor(np.eye(N, M, k, dtype=shapes.dtype_name(dtype)))


def identity(n: int, dtype: Any = None) -> Any:
    """Return the identity matrix of shape (n, n)."""
    return eye(n, dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return numbers from `start` up to, not including, `stop`.

    Args:
        start: first number; with no `stop`, the end of a range from 0.
        stop: end.
        step: distance, 1 by default.
        dtype: dtype; by default int32, or `floatx()` if an argument is a float.
    """
    given = [_number(v) for v in (start, stop, step) if v is not None]
    if dtype is None:
        kinds = [v.dtype if hasattr(v, "dtype") else type(v) for v in given]
        dtype = shapes.result_type(*kinds)
    array = np.arange(
        _number(start), _number(stop), 1 if step is None else _number(step)
    )
    return Tensor(array.astype(shapes.dtype_name(dtype)))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return `num` evenly spaced numbers from `start` to `stop`.

    Args:
        start: first number or tensor.
        stop: last number or tensor.
        num: how many.
        endpoint: whether `stop` is among them.
        retstep: whether to return the distance, too.
        dtype: dtype, `floatx()` by default.
        axis: axis of the result along which the numbers run.
    """
    values, step = np.linspace(
        np.asarray(start),
        np.asarray(stop),
        num,
        endpoint=endpoint,
        retstep=True,
        axis=axis,
    )
    tensor = Tensor(np.asarray(values).astype(shapes.dtype_name(dtype)))
    return (tensor, as_tensor(step, shapes.dtype_name(dtype))) if retstep else tensor


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return `base` to the power of `linspace(start, stop, ...)`."""
    values = np.logspace(
        np.asarray(start),
        np.asarray(stop),
        num,
        endpoint=endpoint,
        base=base,
        axis=axis,
    )
    return Tensor(values.astype(shapes.dtype_name(dtype)))


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803 - NumPy's names
    """Return a matrix with ones at and below its k-th diagonal."""
    return Tensor(np.tri(N, M, k, dtype=shapes.dtype_name(dtype)))


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return `num` numbers from `start` to `stop`, each the same multiple of the last.

    Args:
        start: first number or tensor.
        stop: last number or tensor, of the sign of `start`.
        num: how many.
        endpoint: whether `stop` is among them.
        dtype: dtype, `floatx()` by default.
        axis: axis of the result along which the numbers run.
    """
    values = np.geomspace(
        np.asarray(start), np.asarray(stop), num, endpoint=endpoint, axis=axis
    )
    return Tensor(np.asarray(values).astype(shapes.dtype_name(dtype)))


# --- windows ------------------------------------------------------------------


def _window(name: str, doc: str) -> Any:
    def function(x: int) -> Any:
        return Tensor(getattr(np, name)(int(x)).astype(shapes.dtype_name(None)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}\n\n    Args:\n        x: number of points.\n    "
    return function


bartlett = _window("bartlett", "Return the triangular window of Bartlett.")
blackman = _window("blackman", "Return the window of Blackman.")
hamming = _window("hamming", "Return the window of Hamming.")
hanning = _window("hanning", "Return the window of Hann.")


def kaiser(x: int, beta: float) -> Any:
    """Return the window of Kaiser.

    Args:
        x: number of points.
        beta: shape: 0 is a rectangle, 14 a good start for a narrow window.
    """
    return Tensor(np.kaiser(int(x), float(beta)).astype(shapes.dtype_name(None)))
