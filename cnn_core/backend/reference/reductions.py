"""Reductions over axes and cumulative sums and products.

`axis` is None (all axes), an integer or a tuple of integers. Sums and means of
float16 and float32 accumulate in float64 and round once.
"""

from __future__ import annotations

import numpy as np

from cnn_core.backend.reference._common import Array, Axis, as_float, in_order, quiet

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "max",
    "mean",
    "min",
    "prod",
    "sum",
]


def _total_dtype(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """Return the dtype of a total: small integers grow to 32 bits, others stay."""
    if dtype.kind in "bi" and dtype.itemsize < 4:
        return np.dtype(np.int32)
    if dtype.kind == "u" and dtype.itemsize < 4:
        return np.dtype(np.uint32)
    return dtype


def _accumulator(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    if dtype.kind == "f" and dtype.itemsize < 8:
        return np.dtype(np.float64)
    return _total_dtype(dtype)


@quiet
@in_order
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the sum over `axis`; 0 where it is empty."""
    x = np.asarray(x)
    total = np.sum(x, axis=axis, keepdims=keepdims, dtype=_accumulator(x.dtype))
    return np.asarray(total, dtype=_total_dtype(x.dtype))


@quiet
@in_order
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the mean over `axis`; NaN where it is empty, float32 for integers."""
    x = as_float(x)
    total = np.asarray(
        np.sum(x, axis=axis, keepdims=keepdims, dtype=_accumulator(x.dtype))
    )
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    count = np.prod([x.shape[i] for i in axes], dtype=np.int64)
    return np.asarray(total / total.dtype.type(count), dtype=x.dtype)


@quiet
@in_order
def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the product over `axis`; 1 where it is empty."""
    x = np.asarray(x)
    dtype = _total_dtype(x.dtype)
    return np.asarray(np.prod(x, axis=axis, keepdims=keepdims, dtype=dtype))


@quiet
@in_order
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the largest element over `axis`; NaN if one is NaN.

    Raises:
        ValueError: if there is no element to choose from.
    """
    return np.asarray(np.max(x, axis=axis, keepdims=keepdims))


@quiet
@in_order
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the smallest element over `axis`; NaN if one is NaN.

    Raises:
        ValueError: if there is no element to choose from.
    """
    return np.asarray(np.min(x, axis=axis, keepdims=keepdims))


@quiet
def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the int64 index of the first maximum; NaN counts as the maximum.

    Raises:
        ValueError: if there is no element to choose from.
    """
    return np.asarray(np.argmax(x, axis=axis, keepdims=keepdims), dtype=np.int64)


@quiet
def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the int64 index of the first minimum; NaN counts as the minimum.

    Raises:
        ValueError: if there is no element to choose from.
    """
    return np.asarray(np.argmin(x, axis=axis, keepdims=keepdims), dtype=np.int64)


@quiet
def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return whether an element over `axis` is nonzero."""
    return np.asarray(np.any(x, axis=axis, keepdims=keepdims))


@quiet
def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return whether every element over `axis` is nonzero."""
    return np.asarray(np.all(x, axis=axis, keepdims=keepdims))


@quiet
def cumsum(x: Array, axis: int | None = None) -> Array:
    """Return the running sum along `axis` (None: of the flattened array)."""
    return np.asarray(np.cumsum(x, axis=axis, dtype=_running_dtype(x)))


@quiet
def cumprod(x: Array, axis: int | None = None) -> Array:
    """Return the running product along `axis` (None: of the flattened array)."""
    return np.asarray(np.cumprod(x, axis=axis, dtype=_running_dtype(x)))


def _running_dtype(x: Array) -> np.dtype[np.generic]:
    dtype = np.asarray(x).dtype
    return np.dtype(np.int32) if dtype.kind == "b" else dtype
