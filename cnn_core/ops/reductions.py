"""Sums, means, extremes and other reductions over axes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend, shapes
from ..graph import Primitive, apply, as_tensor, per_argument
from . import creation, elementwise, joining, shaping
from ._op import named, op

Axis = int | Sequence[int] | None


def _spread(x: Any, like: Any, axis: Any, keepdims: bool) -> Any:
    """Give a reduced tensor its axes of size 1 back, ready to broadcast to `like`."""
    if keepdims or x.ndim == like.ndim:
        return x
    axes = shapes.normalize_axes(axis, like.ndim)
    return shaping.reshape(x, shapes.reduced(like.shape, axes, True))


def _count(x: Any, axis: Any) -> int:
    axes = shapes.normalize_axes(axis, x.ndim)
    return math.prod(x.shape[i] for i in axes)


def _infer(name: str, dtype: Callable[[str], str]) -> Callable[..., Any]:
    def infer(x: Any, axis: Any, keepdims: bool) -> Any:
        axes = shapes.normalize_axes(axis, x.ndim, name)
        if name in ("max", "min", "argmax", "argmin") and builtins.any(
            x.shape[i] == 0 for i in axes
        ):
            raise ValueError(f"{name}: no element to choose from in shape {x.shape}")
        return shapes.reduced(x.shape, axes, keepdims), dtype(x.dtype)

    return infer


def _same(dtype: str) -> str:
    return dtype


def _reduction(
    name: str,
    rule: Callable[..., Any] | None,
    dtype: Callable[[str], str] = _same,
    run: Callable[..., Any] | None = None,
) -> Primitive:
    vjp = None
    if rule is not None:

        def vjp(
            ct: Any, out: Any, x: Any, needs: Any, axis: Any, keepdims: bool
        ) -> Any:
            ct = _spread(ct, x, axis, keepdims)
            out = _spread(out, x, axis, keepdims)
            return [rule(ct, out, x, axis)]

    return Primitive(name, run or getattr(backend, name), _infer(name, dtype), vjp)


def _extreme_rule(ct: Any, y: Any, x: Any, axis: Any) -> Any:
    """Share the cotangent of a maximum between the elements that reach it."""
    hit = shaping.cast(elementwise.equal(x, y), ct.dtype)
    return hit * (ct / sum(hit, axis=axis, keepdims=True))


def _prod_rule(ct: Any, y: Any, x: Any, axis: Any) -> Any:
    # Products of the other elements, by running products from both sides, so that
    # zeros need no division.
    axes = shapes.normalize_axes(axis, x.ndim)
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    moved = shaping.transpose(x, order)
    rows = shaping.reshape(moved, (*moved.shape[: x.ndim - len(axes)], _count(x, axis)))
    one = creation.ones_like(rows[..., :1])
    before = cumprod(joining.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
    after = joining.concatenate([rows[..., 1:], one], axis=-1)
    after = shaping.flip(cumprod(shaping.flip(after, -1), axis=-1), -1)
    others = shaping.reshape(before * after, moved.shape)
    return ct * shaping.moveaxis(others, list(range(x.ndim)), order)


def _total_dtype(dtype: str) -> str:
    if dtype in ("bool", "int8", "int16"):
        return "int32"
    return "uint32" if dtype in ("uint8", "uint16") else dtype


_sum = _reduction(
    "sum", lambda ct, y, x, axis: shaping.broadcast_to(ct, x.shape), _total_dtype
)
_mean = _reduction(
    "mean",
    lambda ct, y, x, axis: shaping.broadcast_to(ct / _count(x, axis), x.shape),
)
_prod = _reduction("prod", _prod_rule, _total_dtype)
_max = _reduction("max", _extreme_rule)
_min = _reduction("min", _extreme_rule)
_any = _reduction("any", None, lambda dtype: "bool")
_all = _reduction("all", None, lambda dtype: "bool")


def _index(name: str) -> Primitive:
    find = getattr(backend, name)
    return _reduction(
        name,
        None,
        lambda dtype: "int32",
        lambda x, axis, keepdims: find(x, axis, keepdims).astype(np.int32),
    )


_argmax, _argmin = _index("argmax"), _index("argmin")


def _apply(primitive: Primitive, x: Any, axis: Any, keepdims: bool) -> Any:
    if isinstance(axis, list):
        axis = tuple(axis)
    return apply(primitive, x, axis=axis, keepdims=keepdims)


@op
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the sum over `axis`.

    Args:
        x: tensor of any shape.
        axis: axis or axes to sum over; all by default.
        keepdims: whether the summed axes stay, with size 1.
    """
    return _apply(_sum, as_tensor(x), axis, keepdims)


@op
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean over `axis`, NaN if there are no elements.

    Args:
        x: tensor of any shape; integers are averaged as floats.
        axis: axis or axes to average over; all by default.
        keepdims: whether those axes stay, with size 1.
    """
    return _apply(_mean, elementwise.as_float(x), axis, keepdims)


@op
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the product over `axis`.

    Args:
        x: tensor of any shape.
        axis: axis or axes to multiply over; all by default.
        keepdims: whether those axes stay, with size 1.
        dtype: dtype to compute in.
    """
    x = as_tensor(x, None if dtype is None else shapes.dtype_name(dtype))
    y = _apply(_prod, x, axis, keepdims)
    return y if dtype is None else shaping.cast(y, dtype)


def _filled(x: Any, axis: Axis, keepdims: bool, initial: Any, choose: Any) -> Any:
    """Return the extreme with `initial` as one more candidate."""
    axes = shapes.normalize_axes(axis, x.ndim)
    initial = as_tensor(initial, x.dtype)
    if builtins.any(x.shape[i] == 0 for i in axes):
        shape = shapes.reduced(x.shape, axes, keepdims)
        return shaping.broadcast_to(initial, shape)
    pick = _max if choose is elementwise.maximum else _min
    return choose(_apply(pick, x, axis, keepdims), initial)


@op
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the largest element over `axis`, NaN if one is NaN.

    Args:
        x: tensor of any shape.
        axis: axis or axes to search; all by default.
        keepdims: whether those axes stay, with size 1.
        initial: one more candidate, and the result where there is no element.

    Raises:
        ValueError: if there is no element and no `initial`.
    """
    x = as_tensor(x)
    if initial is not None:
        return _filled(x, axis, keepdims, initial, elementwise.maximum)
    return _apply(_max, x, axis, keepdims)


@op
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the smallest element over `axis`, NaN if one is NaN.

    Args:
        x: tensor of any shape.
        axis: axis or axes to search; all by default.
        keepdims: whether those axes stay, with size 1.
        initial: one more candidate, and the result where there is no element.

    Raises:
        ValueError: if there is no element and no `initial`.
    """
    x = as_tensor(x)
    if initial is not None:
        return _filled(x, axis, keepdims, initial, elementwise.minimum)
    return _apply(_min, x, axis, keepdims)


@op
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the largest element over `axis`: `max` without `initial`."""
    return max(x, axis, keepdims)


@op
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the smallest element over `axis`: `min` without `initial`."""
    return min(x, axis, keepdims)


@op
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Tell whether an element over `axis` is nonzero."""
    return _apply(_any, as_tensor(x, "bool"), axis, keepdims)


@op
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Tell whether every element over `axis` is nonzero."""
    return _apply(_all, as_tensor(x, "bool"), axis, keepdims)


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the int32 index of the first largest element along `axis`.

    Args:
        x: tensor of any shape.
        axis: axis to search; the flattened tensor by default.
        keepdims: whether the axis stays, with size 1.
    """
    return _apply(_argmax, as_tensor(x), axis, keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the int32 index of the first smallest element along `axis`.

    Args:
        x: tensor of any shape.
        axis: axis to search; the flattened tensor by default.
        keepdims: whether the axis stays, with size 1.
    """
    return _apply(_argmin, as_tensor(x), axis, keepdims)


@op
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the variance over `axis` (the mean squared distance from the mean)."""
    x = elementwise.as_float(x)
    centered = x - mean(x, axis=axis, keepdims=True)
    return mean(elementwise.square(centered), axis=axis, keepdims=keepdims)


@op
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the standard deviation over `axis`."""
    return elementwise.sqrt(var(x, axis=axis, keepdims=keepdims))


@op
def moments(
    x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False
) -> Any:
    """Return mean and variance over `axes`.

    Raises:
        ValueError: if `synchronized`, which needs several devices, is asked for.
    """
    if synchronized:
        raise ValueError("moments: synchronized=True needs several devices; use False")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


@op
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return `log(sum(exp(x)))` over `axis`, without overflow."""
    x = elementwise.as_float(x)
    top = max(x, axis=axis, keepdims=True)
    # An infinite maximum shifted by itself would be NaN.
    top = elementwise.where(elementwise.isfinite(top), top, 0.0)
    total = sum(elementwise.exp(x - top), axis=axis, keepdims=True)
    result = elementwise.log(total) + top
    if keepdims:
        return result
    axes = shapes.normalize_axes(axis, x.ndim)
    return shaping.squeeze(result, axes) if axes else result


@op
def count_nonzero(x: Any, axis: Axis = None) -> Any:
    """Return how many elements over `axis` are not zero, as int32."""
    return sum(shaping.cast(elementwise.not_equal(as_tensor(x), 0), "int32"), axis)


def _running(name: str, rule: Callable[..., Any]) -> Primitive:
    return Primitive(
        name,
        getattr(backend, name),
        lambda x, axis: (x.shape, "int32" if x.dtype == "bool" else x.dtype),
        per_argument(rule),
    )


def _reversed_cumsum(x: Any, axis: int) -> Any:
    return shaping.flip(cumsum(shaping.flip(x, axis), axis), axis)


def _cumprod_rule(ct: Any, y: Any, x: Any, axis: int) -> Any:
    # d y[k] / d x[j] is y[k] / x[j]. A first zero in x sees the products without it;
    # what comes after one has no influence.
    zero = elementwise.equal(x, 0)
    seen = cumsum(shaping.cast(zero, "int32"), axis)
    first = elementwise.logical_and(zero, elementwise.equal(seen, 1))
    without = cumprod(elementwise.where(first, 1, x), axis)
    quotient = _reversed_cumsum(ct * y, axis) / elementwise.where(zero, 1, x)
    return elementwise.where(
        first,
        _reversed_cumsum(ct * without, axis),
        elementwise.where(zero, 0, quotient),
    )


_cumsum = _running("cumsum", lambda ct, y, x, axis: _reversed_cumsum(ct, axis))
_cumprod = _running("cumprod", _cumprod_rule)


def _run_along(primitive: Primitive, x: Any, axis: int | None, dtype: Any) -> Any:
    x = as_tensor(x, None if dtype is None else shapes.dtype_name(dtype))
    if axis is None:
        x, axis = shaping.ravel(x), 0
    axis = shapes.normalize_axis(axis, x.ndim, primitive.name)
    return apply(primitive, x, axis=axis)


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running sum along `axis` (of the flattened tensor by default)."""
    return _run_along(_cumsum, x, axis, dtype)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running product along `axis` (of the flattened tensor by default)."""
    return _run_along(_cumprod, x, axis, dtype)


@op
def average(x: Any, axis: Axis = None, weights: Any = None) -> Any:
    """Return the mean over `axis`, weighted if `weights` are given.

    Args:
        x: tensor.
        axis: axis or axes to average over; all by default.
        weights: tensor shaped like `x`, or a vector along the one `axis`.

    Raises:
        ValueError: if the weights do not fit.
    """
    x = elementwise.as_float(x)
    if weights is None:
        return mean(x, axis)
    x, weights = elementwise.promote_floats(x, weights)
    if weights.ndim == 1 and x.ndim > 1 and axis is not None:
        (along,) = shapes.normalize_axes(axis, x.ndim, "average")
        row = [1] * x.ndim
        row[along] = -1
        weights = shaping.reshape(weights, row)
    elif not shapes.compatible(weights.shape, x.shape):
        raise ValueError(
            f"average: expected weights of shape {x.shape}, or a vector along one "
            f"axis, got {weights.shape}"
        )
    weights = weights * creation.ones_like(x)
    return sum(x * weights, axis) / sum(weights, axis)


@op
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the largest minus the smallest element over `axis`."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


# --- reductions that leave out NaN --------------------------------------------


def _without_nan(
    name: str, reduce: Callable[..., Any], neutral: float, doc: str
) -> Any:
    def function(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        x = as_tensor(x)
        if not shapes.is_float(x.dtype):
            return reduce(x, axis, keepdims)
        missing = elementwise.isnan(x)
        y = reduce(elementwise.where(missing, neutral, x), axis, keepdims)
        if math.isfinite(neutral):
            return y
        return elementwise.where(all(missing, axis, keepdims), math.nan, y)

    return named(
        function,
        name,
        doc,
        x="tensor of any shape.",
        axis="axis or axes to reduce; all by default.",
        keepdims="whether those axes stay, with size 1.",
    )


nansum = _without_nan("nansum", sum, 0, "Return the sum, NaN counting as 0.")
nanprod = _without_nan("nanprod", prod, 1, "Return the product, NaN counting as 1.")
nanmax = _without_nan(
    "nanmax", max, -math.inf, "Return the largest element that is not NaN."
)
nanmin = _without_nan(
    "nanmin", min, math.inf, "Return the smallest element that is not NaN."
)


@op
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean of the elements over `axis` that are not NaN."""
    x = elementwise.as_float(x)
    numbers = shaping.cast(elementwise.logical_not(elementwise.isnan(x)), x.dtype)
    return nansum(x, axis, keepdims) / sum(numbers, axis, keepdims)


@op
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the variance of the elements over `axis` that are not NaN."""
    x = elementwise.as_float(x)
    return nanmean(elementwise.square(x - nanmean(x, axis, True)), axis, keepdims)


@op
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the standard deviation of the elements over `axis` that are not NaN."""
    return elementwise.sqrt(nanvar(x, axis, keepdims))


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running sum along `axis`, NaN counting as 0."""
    x = as_tensor(x)
    return cumsum(elementwise.where(elementwise.isnan(x), 0, x), axis, dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running product along `axis`, NaN counting as 1."""
    x = as_tensor(x)
    return cumprod(elementwise.where(elementwise.isnan(x), 1, x), axis, dtype)


def _nan_index(x: Any, axis: int | None, keepdims: bool, pick: Any, worst: Any) -> Any:
    x = elementwise.as_float(x)
    missing = elementwise.isnan(x)
    index = pick(elementwise.where(missing, worst, x), axis, keepdims)
    return elementwise.where(all(missing, axis, keepdims), -1, index)


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the int32 index of the first largest number, -1 if all are NaN."""
    return _nan_index(x, axis, keepdims, argmax, -math.inf)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the int32 index of the first smallest number, -1 if all are NaN."""
    return _nan_index(x, axis, keepdims, argmin, math.inf)
