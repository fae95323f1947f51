"""Element-wise functions composed of primitives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..graph import as_tensor, promote
from . import creation, reductions, shaping
from ._op import alias, op
from .elementwise import (
    absolute,
    arctan2,
    as_float,
    divide,
    equal,
    exp,
    isfinite,
    isnan,
    log1p,
    logical_and,
    logical_or,
    maximum,
    minimum,
    nearest,
    power,
    promote_floats,
    sin,
    where,
)


@op
def round(x: Any, decimals: int = 0) -> Any:
    """Round to `decimals` places, halves to even.

    Args:
        x: tensor of any shape.
        decimals: number of places after the point; negative ones before it.
    """
    x = as_tensor(x)
    if not decimals:
        return nearest(x)
    scale = 10.0**decimals
    rounded = nearest(as_float(x) * scale) / scale
    return shaping.cast(rounded, x.dtype)


@op
def fabs(x: Any) -> Any:
    """Return `|x|` as a float."""
    return absolute(as_float(x))


@op
def deg2rad(x: Any) -> Any:
    """Convert degrees to radians."""
    return as_float(x) * (math.pi / 180)


@op
def rad2deg(x: Any) -> Any:
    """Convert radians to degrees."""
    return as_float(x) * (180 / math.pi)


@op
def sinc(x: Any) -> Any:
    """Return `sin(pi x) / (pi x)`, 1 at 0."""
    x = as_float(x)
    zero = equal(x, 0)
    angle = where(zero, 1, x) * math.pi
    return where(zero, 1, sin(angle) / angle)


@op
def heaviside(x1: Any, x2: Any) -> Any:
    """Return 0 where `x1` is negative, 1 where positive, and `x2` where it is 0."""
    a, b = promote_floats(x1, x2)
    step = where(a > 0, 1, where(equal(a, 0), b, 0))
    return where(isnan(a), a, step)


@op
def ldexp(x1: Any, x2: Any) -> Any:
    """Return `x1 * 2**x2`.

    Raises:
        TypeError: if `x2` does not hold integers.
    """
    a, b = as_float(x1), as_tensor(x2)
    if shapes.is_float(b.dtype):
        raise TypeError(f"ldexp: expected integer exponents, got dtype {b.dtype}")
    return a * power(2.0, shaping.cast(b, a.dtype))


@op
def logaddexp(x1: Any, x2: Any) -> Any:
    """Return `log(exp(x1) + exp(x2))` without overflow.

    Args:
        x1: tensor.
        x2: tensor whose shape broadcasts with that of `x1`.
    """
    a, b = promote_floats(x1, x2)
    gap = absolute(a - b)
    # Equal infinities have no gap (inf - inf is NaN), and none is needed.
    gap = where(logical_and(isnan(gap), equal(a, b)), 0, gap)
    return maximum(a, b) + log1p(exp(-gap))


@op
def logaddexp2(x1: Any, x2: Any) -> Any:
    """Return `log2(2**x1 + 2**x2)` without overflow.

    Args:
        x1: tensor.
        x2: tensor whose shape broadcasts with that of `x1`.
    """
    a, b = promote_floats(x1, x2)
    return logaddexp(a * math.log(2), b * math.log(2)) / math.log(2)


@op
def fmax(x1: Any, x2: Any) -> Any:
    """Return the larger of `x1` and `x2`, the other one where one is NaN."""
    a, b = promote(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


@op
def fmin(x1: Any, x2: Any) -> Any:
    """Return the smaller of `x1` and `x2`, the other one where one is NaN."""
    a, b = promote(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


@op
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Return `x1 / x2`, and 0 where `x2` is 0."""
    a, b = promote_floats(x1, x2)
    zero = equal(b, 0)
    return where(zero, 0, divide(a, where(zero, 1, b)))


@op
def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Replace NaN and the infinities by finite numbers.

    Args:
        x: tensor of any shape.
        nan: what NaN becomes.
        posinf: what infinity becomes; the largest finite number by default.
        neginf: what minus infinity becomes; the smallest finite number by default.
    """
    x = as_tensor(x)
    if not shapes.is_float(x.dtype):
        return x
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    x = where(isnan(x), nan, x)
    return where(equal(x, math.inf), high, where(equal(x, -math.inf), low, x))


@op
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Tell where `|x1 - x2| <= atol + rtol * |x2|`.

    Args:
        x1: tensor.
        x2: tensor whose shape broadcasts with that of `x1`.
        rtol: relative tolerance.
        atol: absolute tolerance.
        equal_nan: whether NaN equals NaN.
    """
    a, b = promote_floats(x1, x2)
    near = absolute(a - b) <= atol + rtol * absolute(b)
    close = logical_or(equal(a, b), logical_and(near, isfinite(b)))
    return logical_or(close, logical_and(isnan(a), isnan(b))) if equal_nan else close


@op
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Tell whether `isclose` holds for all elements, as a boolean tensor."""
    return reductions.all(isclose(x1, x2, rtol, atol, equal_nan))


@op
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Return for each element the choice of the first condition that holds.

    Args:
        condlist: boolean tensors.
        choicelist: as many tensors, which broadcast with the conditions.
        default: value where no condition holds.

    Raises:
        ValueError: if the lists are empty or differ in length.
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            "select: expected as many choices as conditions, at least one, got "
            f"{len(choicelist)} and {len(condlist)}"
        )
    result, *choices = promote(default, *choicelist)
    for condition, choice in reversed(list(zip(condlist, choices, strict=True))):
        result = where(condition, choice, result)
    return result


@op
def angle(x: Any) -> Any:
    """Return the angle of real numbers in the complex plane: 0 or pi."""
    x = as_float(x)
    return arctan2(creation.zeros_like(x), x)


@op
def real(x: Any) -> Any:
    """Return the real part, which is `x`: there are no complex tensors."""
    return as_tensor(x)


conj = conjugate = alias(real, "conj", "conjugate")


@op
def imag(x: Any) -> Any:
    """Return the imaginary part, zeros: there are no complex tensors."""
    return creation.zeros_like(x)


@op
def isreal(x: Any) -> Any:
    """Tell where `x` is real: everywhere."""
    return creation.ones_like(x, "bool")
