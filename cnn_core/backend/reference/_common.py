"""What every reference family shares: the array type and the float rules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Axis: TypeAlias = int | tuple[int, ...] | None

# NaN, Inf, overflow and division by zero propagate as IEEE 754 says, silently.
quiet = np.errstate(all="ignore")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def in_order(function: _Function) -> _Function:
    """Let a function that folds elements have them in the order of their indices.

    NumPy and BLAS add up in an order that depends on strides; the bits must not.
    """

    @functools.wraps(function)
    def ordered(*arguments: Any, **options: Any) -> Any:
        return function(
            *map(_ordered, arguments),
            **{name: _ordered(x) for name, x in options.items()},
        )

    return cast("_Function", ordered)


def _ordered(x: Any) -> Any:
    return np.asarray(x, order="C") if isinstance(x, np.ndarray) else x


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
