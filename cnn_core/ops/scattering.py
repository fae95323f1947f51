"""Operations that put elements where tensors of indices say."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend, shapes
from ..graph import (
    KerasTensor,
    Primitive,
    apply,
    as_tensor,
    per_argument,
)
from . import creation, elementwise, joining, shaping
from ._op import op
from .indexing import integer_indices, known_values


def _columns(indices: Any) -> tuple[Any, ...]:
    return tuple(np.moveaxis(indices, -1, 0))


def _infer_gather(x: Any, indices: Any) -> Any:
    return (*indices.shape[:-1], *x.shape[indices.shape[-1] :]), x.dtype


_gather = Primitive(
    "gather_nd",
    lambda x, indices: np.asarray(x[_columns(indices)]),
    _infer_gather,
    per_argument(
        lambda ct, y, x, indices: apply(_scatter, ct, indices, shape=x.shape), None
    ),
)
_scatter: Primitive = Primitive(
    "scatter",
    lambda values, indices, shape: backend.scatter_add(
        shape, _columns(indices), values
    ),
    lambda values, indices, shape: (shape, values.dtype),
    per_argument(
        lambda ct, y, values, indices, shape: apply(_gather, ct, indices), None
    ),
)


def _check_scatter(who: str, indices: Any, values: Any, shape: shapes.Shape) -> None:
    if indices.ndim == 0 or indices.shape[-1] is None:
        raise ValueError(f"{who}: expected indices of shape (..., n), got a scalar")
    if indices.shape[-1] > len(shape):
        raise ValueError(
            f"{who}: indices of {indices.shape[-1]} coordinates do not fit shape "
            f"{shape}"
        )
    expected = (*indices.shape[:-1], *shape[indices.shape[-1] :])
    if not shapes.compatible(expected, values.shape):
        raise ValueError(
            f"{who}: expected values of shape {expected} for indices of shape "
            f"{indices.shape}, got {values.shape}"
        )


@op
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros of `shape` with `values` added at `indices`.

    Args:
        indices: integer tensor of shape (..., n): coordinates on the first n axes.
        values: tensor of shape (...) + shape[n:].
        shape: shape of the result.
    """
    indices, values = integer_indices("scatter", indices), as_tensor(values)
    sizes = shapes.standardize_shape(shape, "scatter")
    _check_scatter("scatter", indices, values, sizes)
    return apply(_scatter, values, indices, shape=sizes)


def _run_scatter_update(x: Any, updates: Any, indices: Any) -> Any:
    result = x.copy()
    result[_columns(indices)] = updates
    return result


def _run_last_writer(indices: Any, shape: Any) -> Any:
    """Tell for each row of indices whether no later one names the same element."""
    rows = np.ravel_multi_index(_columns(indices), shape, mode="wrap")
    flat = rows.reshape(-1)
    last = np.zeros(flat.shape, bool)
    last[len(flat) - 1 - np.unique(flat[::-1], return_index=True)[1]] = True
    return last.reshape(rows.shape)


_last_writer = Primitive(
    "last_writer",
    _run_last_writer,
    lambda indices, shape: (indices.shape[:-1], "bool"),
)


def _updates_rule(ct: Any, y: Any, x: Any, updates: Any, indices: Any) -> Any:
    part = apply(_gather, ct, indices)
    depth = indices.shape[-1]
    last = apply(_last_writer, indices, shape=x.shape[:depth])
    last = shaping.reshape(last, (*last.shape, *(1,) * (x.ndim - depth)))
    return elementwise.where(last, part, 0)


_scatter_update: Primitive = Primitive(
    "scatter_update",
    _run_scatter_update,
    lambda x, updates, indices: (x.shape, x.dtype),
    per_argument(
        lambda ct, y, x, updates, indices: apply(
            _scatter_update, ct, creation.zeros_like(updates), indices
        ),
        _updates_rule,
        None,
    ),
)
_REDUCTIONS = ("add", "max", "min", "mul")


@op
def scatter_update(
    inputs: Any, indices: Any, updates: Any, reduction: str | None = None
) -> Any:
    """Return `inputs` with the elements at `indices` replaced by `updates`.

    Where an element is named twice, the last update stands.

    Args:
        inputs: tensor.
        indices: integer tensor of shape (..., n): coordinates on the first n axes.
        updates: tensor of shape (...) + inputs.shape[n:].
        reduction: None to replace; "add", "max", "min" or "mul" to combine the old
            elements with all updates.
    """
    inputs, indices = as_tensor(inputs), integer_indices("scatter_update", indices)
    updates = as_tensor(updates, inputs.dtype)
    _check_scatter("scatter_update", indices, updates, inputs.shape)
    if reduction is None:
        return apply(_scatter_update, inputs, updates, indices)
    if reduction not in _REDUCTIONS:
        raise shapes.unknown_name("reduction", reduction, _REDUCTIONS)
    if reduction == "add":
        return inputs + apply(_scatter, updates, indices, shape=inputs.shape)
    return apply(_combining[reduction], inputs, updates, indices)


def _combiner(name: str, ufunc: Any, rules: Any) -> Primitive:
    """Return the primitive of a scatter_update that combines old and new elements."""

    def run(x: Any, updates: Any, indices: Any) -> Any:
        result = x.copy()
        ufunc.at(result, _columns(indices), updates)
        return result

    return Primitive(
        f"scatter_{name}",
        run,
        lambda x, updates, indices: (x.shape, x.dtype),
        per_argument(
            lambda *args: rules(*args)[0], lambda *args: rules(*args)[1], None
        ),
    )


def _share(ct: Any, y: Any, x: Any, updates: Any, indices: Any) -> tuple[Any, Any]:
    """Part the cotangent of an extreme among the elements, old and new, that won."""
    kept = shaping.cast(elementwise.equal(x, y), ct.dtype)
    best = apply(_gather, y, indices)
    won = shaping.cast(elementwise.equal(updates, best), ct.dtype)
    part = ct / (kept + apply(_scatter, won, indices, shape=x.shape))
    return kept * part, won * apply(_gather, part, indices)


def _factors(ct: Any, y: Any, x: Any, updates: Any, indices: Any) -> tuple[Any, Any]:
    """Multiply the cotangent of a product with the other factors."""
    multiply = _combining["mul"]
    zero = elementwise.equal(updates, 0)
    nonzero_updates = elementwise.where(zero, 1, updates)
    zeros = apply(_scatter, shaping.cast(zero, ct.dtype), indices, shape=x.shape)
    product = apply(multiply, x, nonzero_updates, indices)  # but for factors of 0
    # An update of 0 sees the product of the others if it is the only one.
    alone = elementwise.where(elementwise.equal(zeros, 1), ct * product, 0)
    by_updates = elementwise.where(
        zero,
        apply(_gather, alone, indices),
        apply(_gather, ct * y, indices) / nonzero_updates,
    )
    ones = creation.ones_like(x)
    return ct * apply(multiply, ones, updates, indices), by_updates


_combining = {
    "max": _combiner("max", np.maximum, _share),
    "min": _combiner("min", np.minimum, _share),
    "mul": _combiner("mul", np.multiply, _factors),
}


# --- segments -----------------------------------------------------------------


def _segments(data: Any, ids: Any, num_segments: int | None, who: str) -> Any:
    data, ids = as_tensor(data), integer_indices(who, ids)
    if ids.ndim != 1 or data.ndim < 1:
        raise ValueError(
            f"{who}: expected a vector of segment numbers, one per row of data, got "
            f"shapes {ids.shape} and {data.shape}"
        )
    if num_segments is None:
        if isinstance(ids, KerasTensor):
            raise ValueError(f"{who}: num_segments is needed for symbolic segment ids")
        num_segments = int(ids._array.max(initial=-1)) + 1
    shape = (num_segments + 1, *data.shape[1:])
    # Rows outside go to one segment more, which is cut off again.
    outside = elementwise.logical_or(ids < 0, ids >= num_segments)
    ids = elementwise.where(outside, num_segments, ids)
    return data, shaping.expand_dims(ids, 1), shape


@op
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the sums of the rows of `data` that share a segment number.

    Args:
        data: tensor of shape (n, ...).
        segment_ids: n integers; rows with one outside [0, num_segments) are left out.
        num_segments: size of the result; by default the largest number plus one.
        sorted: accepted for compatibility.
    """
    data, rows, shape = _segments(data, segment_ids, num_segments, "segment_sum")
    return scatter(rows, data, shape)[:-1]


def _segment_extreme(
    who: str, data: Any, segment_ids: Any, num_segments: int | None, reduction: str
) -> Any:
    data, rows, shape = _segments(data, segment_ids, num_segments, who)
    if reduction == "mul":
        start: Any = 1
    elif shapes.is_float(data.dtype):
        start = float("-inf") if reduction == "max" else float("inf")
    else:
        limits = np.iinfo(data.dtype)
        start = limits.min if reduction == "max" else limits.max
    blank = creation.full_like(scatter(rows, creation.zeros_like(data), shape), start)
    return scatter_update(blank, rows, data, reduction=reduction)[:-1]


@op
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the largest elements of the rows that share a segment number.

    The arguments are those of `segment_sum`; an empty segment has the lowest number.
    """
    return _segment_extreme("segment_max", data, segment_ids, num_segments, "max")


@op
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the smallest elements of the rows that share a segment number.

    The arguments are those of `segment_sum`; an empty segment has the highest number.
    """
    return _segment_extreme("segment_min", data, segment_ids, num_segments, "min")


@op
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the products of the rows that share a segment number.

    The arguments are those of `segment_sum`; an empty segment has the product 1.
    """
    return _segment_extreme("segment_prod", data, segment_ids, num_segments, "mul")


# --- counts ---


@op
def bincount(
    x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False
) -> Any:
    """Count how often each number from 0 to the largest occurs in every row.

    Args:
        x: integers >= 0 of shape (n,) or (batch, n).
        weights: weights of the same shape to add up in place of ones.
        minlength: length of the result at least.
        sparse: must be False; there are no sparse tensors.

    Returns:
        int32 counts, or sums of the dtype of `weights`.
    """
    if sparse:
        raise ValueError("bincount: there are no sparse tensors; use sparse=False")
    labels = integer_indices("bincount", x)
    count = max(int(known_values("bincount", labels).max(initial=-1)) + 1, minlength)
    weights = creation.ones_like(labels, "int32") if weights is None else weights
    rows = shaping.expand_dims(labels, -1)
    if labels.ndim > 1:
        numbers = np.arange(labels.shape[0], dtype=np.int32)[:, None, None]
        numbers = shaping.broadcast_to(numbers, rows.shape)
        rows = joining.concatenate([numbers, rows], axis=-1)
    return scatter(rows, weights, (*labels.shape[:-1], count))
