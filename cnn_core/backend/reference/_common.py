"""What every reference family shares: the array type and the float rules."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Axis: TypeAlias = int | tuple[int, ...] | None

# NaN, Inf, overflow and division by zero propagate as IEEE 754 says, silently.
quiet = np.errstate(all="ignore")


def as_float(x: Array) -> Array:
    """Return `x` with a floating dtype: integers and booleans become float32."""
    array = np.asarray(x)
    if array.dtype.kind in "fc":
        return array
    return array.astype(np.float32)


def widen(x: Array) -> Array:
    """Return `x` as a float that formulas of several steps may be computed in.

    float16 becomes float32, because its range and precision do not survive the
    intermediate results; other dtypes stay (integers follow `as_float`).
    """
    array = as_float(x)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def narrow(x: Array, like: Array) -> Array:
    """Round the result `x` to the float dtype that belongs to the input `like`."""
    dtype = like.dtype if like.dtype.kind in "fc" else np.dtype(np.float32)
    return np.asarray(x, dtype=dtype)
