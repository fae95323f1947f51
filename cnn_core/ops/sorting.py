"""Operations that compare elements with each other: order, ranks, quantiles."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import backend, shapes
from ..graph import Primitive, Tensor, apply, as_tensor, promote
from . import elementwise, reductions, shaping
from ._op import op
from .elementwise import as_float, where
from .indexing import known_values, take_along_axis

_argsort = Primitive(
    "argsort",
    lambda x, axis: backend.argsort(x, axis).astype(np.int32),
    lambda x, axis: (x.shape, "int32"),
)


@op
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Return the int32 indices that sort `x`; equal elements keep their order.

    Args:
        x: tensor.
        axis: axis to sort along; the flattened tensor if None.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = shaping.ravel(x), -1
    return apply(_argsort, x, axis=shapes.normalize_axis(axis, x.ndim, "argsort"))


@op
def sort(x: Any, axis: int | None = -1) -> Any:
    """Return the elements in ascending order along an axis, NaN last.

    Args:
        x: tensor.
        axis: axis to sort along; the flattened tensor if None.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = shaping.ravel(x), -1
    axis = shapes.normalize_axis(axis, x.ndim, "sort")
    return take_along_axis(x, argsort(x, axis), axis)


_argpartition = Primitive(
    "argpartition",
    lambda x, kth, axis: np.argpartition(x, kth, axis).astype(np.int32),
    lambda x, kth, axis: (x.shape, "int32"),
)


@op
def argpartition(x: Any, kth: int, axis: int = -1) -> Any:
    """Return int32 indices that put the kth smallest element in its sorted place.

    Smaller ones come before it and larger ones after it, in no special order.

    Raises:
        ValueError: if the axis has no kth element.
    """
    x = as_tensor(x)
    axis = shapes.normalize_axis(axis, x.ndim, "argpartition")
    size = x.shape[axis]
    if size is not None and not -size <= kth < size:
        raise ValueError(f"argpartition: no element {kth} on axis {axis} of {x.shape}")
    return apply(_argpartition, x, kth=operator.index(kth), axis=axis)


def _descending_key(x: Any) -> Any:
    """Return a tensor whose ascending order is the descending order of `x`."""
    if shapes.is_float(x.dtype):
        return elementwise.negative(x)
    if x.dtype == "bool":
        return elementwise.logical_not(x)
    return elementwise.bitwise_not(x)  # -1 - x, which cannot overflow


@op
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """Return the k largest elements of the last axis and their int32 indices.

    Args:
        x: tensor of shape (..., n).
        k: how many.
        sorted: accepted for compatibility; the result is always in descending order.

    Returns:
        Two tensors of shape (..., k). Of equal elements the first comes first.

    Raises:
        ValueError: if the axis has fewer than k elements.
    """
    x = as_tensor(x)
    count = operator.index(k)
    size = x.shape[-1] if x.ndim else 0
    if count < 0 or x.ndim == 0 or (size is not None and count > size):
        raise ValueError(f"top_k: cannot take k={k} elements from shape {x.shape}")
    order = argsort(_descending_key(x), -1)
    indices = order[..., :count]
    if indices.shape[-1] is None:
        indices = shaping.resize(indices, (*x.shape[:-1], count))
    return take_along_axis(x, indices, -1), indices


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Tell whether each target class is among the k most likely.

    Args:
        targets: integer classes of shape (n,).
        predictions: scores of shape (n, classes).
        k: how many of the best count. Classes tied with the k-th best are in.
    """
    targets, predictions = as_tensor(targets), as_tensor(predictions)
    targets = shaping.expand_dims(shaping.cast(targets, "int32"), -1)
    own = take_along_axis(predictions, targets, -1)
    better = reductions.sum(shaping.cast(predictions > own, "int32"), axis=-1)
    finite = elementwise.isfinite(shaping.squeeze(own, -1))
    return elementwise.logical_and(better < k, finite)


_searchsorted = Primitive(
    "searchsorted",
    lambda a, v, side: backend.searchsorted(a, v, side).astype(np.int32),
    lambda a, v, side: (v.shape, "int32"),
)


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return the int32 positions at which `values` keep a sorted vector sorted.

    Args:
        sorted_sequence: ascending vector.
        values: tensor of any shape.
        side: whether equal values go before ("left") or after ("right").
    """
    sequence, values = promote(sorted_sequence, values)
    if sequence.ndim != 1:
        raise ValueError(f"searchsorted: expected a vector, got {sequence.shape}")
    if side not in ("left", "right"):
        raise shapes.unknown_name("side", side, ("left", "right"))
    return apply(_searchsorted, sequence, values, side=side)


@op
def digitize(x: Any, bins: Any) -> Any:
    """Return the int32 number of the bin that each element falls into.

    Args:
        x: tensor.
        bins: ascending vector; bin i holds `bins[i - 1] <= x < bins[i]`.
    """
    return searchsorted(bins, x, side="right")


@op
def histogram(
    x: Any, bins: int = 10, range: tuple[float, float] | None = None
) -> tuple[Any, Any]:
    """Return how many elements fall into bins of equal width, and the bins' edges.

    Args:
        x: tensor of any shape.
        bins: number of bins.
        range: lowest and highest edge; those of the elements by default.

    Returns:
        int32 counts of shape (bins,) and edges of shape (bins + 1,).
    """
    x = as_float(x)
    if not isinstance(x, Tensor):
        raise TypeError("histogram: a symbolic tensor has no values to count")
    counts, edges = np.histogram(x._array, bins=bins, range=range)
    return as_tensor(counts.astype(np.int32)), as_tensor(edges, x.dtype)


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Tell for each element of `x1` whether it is among those of `x2`.

    Args:
        x1: tensor.
        x2: tensor.
        assume_unique: accepted for compatibility.
        invert: whether to tell the opposite.
    """
    a, b = promote(x1, x2)
    hits = elementwise.equal(shaping.expand_dims(a, -1), shaping.ravel(b))
    found = reductions.any(hits, axis=-1)
    return elementwise.logical_not(found) if invert else found


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return the different elements, or slices along an axis, in ascending order.

    Args:
        x: tensor.
        sorted: accepted for compatibility; the result is always sorted.
        return_index: whether to return also where each occurs first.
        return_inverse: whether to return also where in the result each element is.
        return_counts: whether to return also how often each occurs.
        axis: axis of the slices; elements of the flattened tensor by default.
        size: length of the result, which is cut or filled up.
        fill_value: what to fill up with; the smallest element by default.
    """
    values, index, inverse, counts = np.unique(
        known_values("unique", x),
        return_index=True,
        return_inverse=True,
        return_counts=True,
        axis=axis,
    )
    along = 0 if axis is None else axis
    if size is not None:
        missing = max(0, size - values.shape[along])
        values = np.take(values, range(min(size, values.shape[along])), axis=along)
        filler = np.take(values, [0] * missing, axis=along)
        if fill_value is not None:
            filler = np.full_like(filler, fill_value)
        values = np.concatenate([values, filler], axis=along)
        index = np.pad(index[:size], (0, missing))
        counts = np.pad(counts[:size], (0, missing))
    extras = ((return_index, index), (return_inverse, inverse), (return_counts, counts))
    wanted = [as_tensor(a.astype(np.int32)) for given, a in extras if given]
    result = as_tensor(values)
    return (result, *wanted) if wanted else result


# --- quantiles ----------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    who: str,
    x: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    *,
    skip_nan: bool = False,
    whole: int = 1,
) -> Any:
    if method not in _METHODS:
        raise shapes.unknown_name("method", method, _METHODS)
    x = as_float(x)
    q = as_tensor(q, x.dtype) / whole
    axes = shapes.normalize_axes(axis, x.ndim, who)
    if q.ndim > 1:
        raise ValueError(f"{who}: expected a number or vector q, got shape {q.shape}")
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = shaping.transpose(x, kept + list(axes))
    count = shaping.known_product([x.shape[i] for i in axes])
    lead = [x.shape[i] for i in kept]
    rows = sort(shaping.resize(moved, [*lead, None if count < 0 else count]), -1)
    y = _between(rows, q, method, skip_nan)  # q.shape + lead
    if keepdims:
        shape = shapes.reduced(x.shape, axes, True)
        y = shaping.resize(y, (*q.shape, *shape))
    return y


def _between(rows: Any, q: Any, method: str, skip_nan: bool) -> Any:
    """Interpolate in sorted rows of shape (..., n) at the fractions `q`."""
    missing = elementwise.isnan(rows)
    numbers = shaping.cast(elementwise.logical_not(missing), rows.dtype)
    last = reductions.sum(numbers, axis=-1) - 1
    if not skip_nan:
        last = reductions.sum(numbers * 0 + 1, axis=-1) - 1
    q = shaping.resize(q, (*q.shape, *(1,) * last.ndim))
    place = elementwise.maximum(q * last, 0)
    low, high = elementwise.floor(place), elementwise.ceil(place)
    below, above = (_pick(rows, spot) for spot in (low, high))
    if method == "linear":
        y = below + (above - below) * (place - low)
    elif method == "midpoint":
        y = (below + above) / 2
    elif method == "nearest":
        y = where(elementwise.nearest(place) > low, above, below)
    else:
        y = below if method == "lower" else above
    if skip_nan:
        return y
    return where(reductions.any(missing, axis=-1), math.nan, y)


def _pick(rows: Any, spots: Any) -> Any:
    """Return the elements of rows (..., n) at spots (q..., ...)."""
    depth = spots.ndim - (rows.ndim - 1)
    spots = shaping.cast(spots, "int32")
    if depth == 0:
        return shaping.squeeze(
            take_along_axis(rows, shaping.expand_dims(spots, -1), -1), -1
        )
    picked = take_along_axis(rows, shaping.moveaxis(spots, 0, -1), -1)
    return shaping.moveaxis(picked, -1, 0)


@op
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the q-th quantiles, NaN where an element is NaN.

    Args:
        x: tensor.
        q: fraction in [0, 1], or a vector of them, which adds a first axis.
        axis: axis or axes to go through; all by default.
        method: "linear", "lower", "higher", "midpoint" or "nearest", for fractions
            that fall between two elements.
        keepdims: whether those axes stay, with size 1.
    """
    return _quantile("quantile", x, q, axis, method, keepdims)


@op
def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the q-th quantiles of the elements that are not NaN, as `quantile`."""
    return _quantile("nanquantile", x, q, axis, method, keepdims, skip_nan=True)


@op
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the q-th percentiles: `quantile` with `q` in [0, 100]."""
    return _quantile("percentile", x, q, axis, method, keepdims, whole=100)


@op
def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the q-th percentiles of the elements that are not NaN."""
    who = "nanpercentile"
    return _quantile(who, x, q, axis, method, keepdims, skip_nan=True, whole=100)


@op
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle of the sorted elements, NaN where an element is NaN."""
    return _quantile("median", x, 0.5, axis, "linear", keepdims)


@op
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle of the sorted elements that are not NaN."""
    return _quantile("nanmedian", x, 0.5, axis, "linear", keepdims, skip_nan=True)
