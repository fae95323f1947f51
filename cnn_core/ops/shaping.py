"""Operations that change the dtype, the shape or the order of elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
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
from . import elementwise, indexing
from ._op import op

Rule = Callable[..., Any]


def view_primitive(name: str, infer: Rule, rule: Rule) -> Primitive:
    """Return the primitive of a one-operand operation that keeps the dtype."""
    return Primitive(
        name,
        getattr(backend, name),
        lambda x, **attrs: (infer(x.shape, **attrs), x.dtype),
        per_argument(rule),
    )


def symbolic(x: Any, shape: Sequence[int | None]) -> KerasTensor:
    """Return a symbolic tensor of the dtype of `x`."""
    return KerasTensor(tuple(shape), x.dtype)


# --- dtype --------------------------------------------------------------------

_cast = Primitive(
    "cast",
    backend.cast,
    lambda x, dtype: (x.shape, dtype),
    per_argument(lambda ct, y, x, dtype: cast(ct, x.dtype)),
)


@op
def cast(x: Any, dtype: Any) -> Any:
    """Return `x` with another dtype.

    Args:
        x: tensor of any shape.
        dtype: name of the dtype, e.g. "float32".
    """
    x, dtype = as_tensor(x), shapes.dtype_name(dtype)
    return x if x.dtype == dtype else apply(_cast, x, dtype=dtype)


def _run_view(x: Any, dtype: str) -> Any:
    return np.ascontiguousarray(x).view(dtype)


def _infer_bits(x: Any, dtype: str) -> Any:
    old, new = np.dtype(x.dtype).itemsize, np.dtype(dtype).itemsize
    if old == new:
        return x.shape, dtype
    last = x.shape[-1] if x.shape else 1
    if not x.shape or (last is not None and last * old % new):
        raise ValueError(
            f"view: {x.dtype} of shape {x.shape} does not divide into {dtype}"
        )
    return (*x.shape[:-1], None if last is None else last * old // new), dtype


_bits = Primitive("view", _run_view, _infer_bits)


@op
def view(x: Any, dtype: Any = None) -> Any:
    """Return the bits of `x`, unchanged, as elements of another dtype.

    Args:
        x: tensor of any shape.
        dtype: dtype; where its size differs, the last axis grows or shrinks.

    Raises:
        ValueError: if the last axis does not hold a whole number of elements.
    """
    x = as_tensor(x)
    return x if dtype is None else apply(_bits, x, dtype=shapes.dtype_name(dtype))


# --- shape --------------------------------------------------------------------

_reshape = view_primitive(
    "reshape",
    lambda s, shape: shapes.reshaped(s, shape),
    lambda ct, y, x, shape: reshape(ct, x.shape),
)


@op
def reshape(x: Any, newshape: Any) -> Any:
    """Return the elements, in row-major order, in another shape.

    Args:
        x: tensor of any shape.
        newshape: sizes, one of which may be -1. None is one, too; next to a -1 it
            keeps the size of that axis, as in `(ops.shape(x)[0], -1)`.

    Raises:
        ValueError: if the number of elements would change.
    """
    x = as_tensor(x)
    sizes = newshape if isinstance(newshape, (tuple, list)) else (newshape,)
    if None in sizes and -1 in sizes:
        kept = (*x.shape, *[-1] * len(sizes))
        target = tuple(
            kept[i] if s is None else operator.index(s) for i, s in enumerate(sizes)
        )
    else:
        target = tuple(-1 if s is None else operator.index(s) for s in sizes)
    return apply(_reshape, x, shape=target)


def resize(x: Any, shape: Sequence[int | None]) -> Any:
    """Reshape to a shape that may keep sizes not known yet."""
    if isinstance(x, KerasTensor):
        return symbolic(x, shape)
    return apply(_reshape, x, shape=tuple(shape))


@op
def ravel(x: Any) -> Any:
    """Return the elements as a vector."""
    return reshape(x, (-1,))


@op
def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """Insert axes of size 1.

    Args:
        x: tensor of any shape.
        axis: position, or positions, in the result.
    """
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = shapes.normalize_axes(axis, x.ndim + count, "expand_dims")
    sizes = iter(x.shape)
    ndim = x.ndim + count
    return resize(x, [1 if i in axes else next(sizes) for i in range(ndim)])


@op
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Remove axes of size 1.

    Args:
        x: tensor of any shape.
        axis: axis or axes to remove; every one of size 1 by default.

    Raises:
        ValueError: if a named axis does not have size 1.
    """
    x = as_tensor(x)
    if axis is None:
        axes: tuple[int, ...] = tuple(i for i, s in enumerate(x.shape) if s == 1)
    else:
        axes = shapes.normalize_axes(axis, x.ndim, "squeeze")
        if any(x.shape[i] not in (1, None) for i in axes):
            raise ValueError(
                f"squeeze: axis {axis} of shape {x.shape} does not have size 1"
            )
    return resize(x, [s for i, s in enumerate(x.shape) if i not in axes])


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


_transpose = view_primitive(
    "transpose",
    lambda s, axes: tuple(s[i] for i in axes),
    lambda ct, y, x, axes: transpose(ct, _inverse(axes)),
)


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Return `x` with its axes in another order.

    Args:
        x: tensor of any shape.
        axes: a permutation of the axes; reversed by default.

    Raises:
        ValueError: if `axes` is not a permutation.
    """
    x = as_tensor(x)
    if axes is None:
        order = tuple(reversed(range(x.ndim)))
    else:
        order = tuple(shapes.normalize_axis(a, x.ndim, "transpose") for a in axes)
        if sorted(order) != list(range(x.ndim)):
            raise ValueError(
                f"transpose: expected a permutation of {x.ndim} axes, got {axes}"
            )
    return x if order == tuple(range(x.ndim)) else apply(_transpose, x, axes=order)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Move axes to new positions; the others keep their order."""
    x = as_tensor(x)
    sources, targets = (
        [
            shapes.normalize_axis(a, x.ndim, "moveaxis")
            for a in (axes if isinstance(axes, (tuple, list)) else [axes])
        ]
        for axes in (source, destination)
    )
    if len(sources) != len(targets):
        raise ValueError(
            f"moveaxis: {len(sources)} source axes, {len(targets)} destinations"
        )
    order = [i for i in range(x.ndim) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(x, order)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    a = shapes.normalize_axis(axis1, x.ndim, "swapaxes")
    b = shapes.normalize_axis(axis2, x.ndim, "swapaxes")
    order[a], order[b] = b, a
    return transpose(x, order)


def _infer_broadcast(s: shapes.Shape, shape: Any) -> Any:
    result = shapes.broadcast(s, shape, who="broadcast_to")
    if not shapes.compatible(result, shape):
        raise ValueError(f"broadcast_to: shape {s} does not broadcast to {shape}")
    return shapes.merged(result, shape)


_broadcast_to = view_primitive(
    "broadcast_to",
    _infer_broadcast,
    lambda ct, y, x, shape: elementwise.unbroadcast(ct, x),
)


@op
def broadcast_to(x: Any, shape: Any) -> Any:
    """Return `x` repeated along axes of size 1 (and new leading ones) to `shape`."""
    x = as_tensor(x)
    target = shapes.standardize_shape(shape, "broadcast_to")
    if None in target:
        return symbolic(x, _infer_broadcast(x.shape, target))
    return x if target == x.shape else apply(_broadcast_to, x, shape=target)


def shape(x: Any) -> tuple[Any, ...]:
    """Return the sizes of the dimensions; None where not known yet."""
    return tuple(as_tensor(x).shape)


# --- repeating and turning ----------------------------------------------------


@op
def tile(x: Any, repeats: Any) -> Any:
    """Repeat the whole tensor `repeats` times along each axis."""
    x = as_tensor(x)
    counts = [repeats] if isinstance(repeats, int) else list(repeats)
    counts = [1] * (x.ndim - len(counts)) + counts
    sizes = (1,) * (len(counts) - x.ndim) + x.shape
    pairs = list(zip(counts, sizes, strict=True))
    narrow = [part for _, size in pairs for part in (1, size)]
    wide = [part for pair in pairs for part in pair]
    final = [None if size is None else count * size for count, size in pairs]
    return resize(broadcast_to(resize(x, narrow), wide), final)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat every element along an axis.

    Args:
        x: tensor.
        repeats: how often, one number or one per element.
        axis: axis; the flattened tensor by default.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = shapes.normalize_axis(axis, x.ndim, "repeat")
    lead, size, tail = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    counts = np.asarray(repeats)
    if counts.size == 1:
        count = int(counts.item())
        wide = broadcast_to(
            resize(x, (*lead, size, 1, *tail)), (*lead, size, count, *tail)
        )
        return resize(wide, (*lead, None if size is None else size * count, *tail))
    if size not in (None, counts.size):
        raise ValueError(
            f"repeat: expected one number or {size}, the size of axis {axis} of shape "
            f"{x.shape}, got {counts.size}"
        )
    return indexing.take(x, np.repeat(np.arange(counts.size), counts), axis=axis)


@op
def flip(x: Any, axis: Any = None) -> Any:
    """Reverse the order along the given axes, or along all."""
    x = as_tensor(x)
    axes = shapes.normalize_axes(axis, x.ndim, "flip")
    return x[tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))]


@op
def fliplr(x: Any) -> Any:
    """Reverse the order along the second axis."""
    return flip(x, 1)


@op
def flipud(x: Any) -> Any:
    """Reverse the order along the first axis."""
    return flip(x, 0)


@op
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turn by `k` quarters in the plane of two axes, from the first to the second."""
    x = as_tensor(array)
    a, b = (shapes.normalize_axis(axis, x.ndim, "rot90") for axis in axes)
    if a == b:
        raise ValueError(f"rot90: expected two different axes, got {axes}")
    if k % 4 == 0:
        return x
    if k % 4 == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k % 4 == 1 else flip(swapaxes(x, a, b), b)


_roll: Primitive = view_primitive(
    "roll",
    lambda s, shift, axis: s,
    lambda ct, y, x, shift, axis: apply(
        _roll, ct, shift=tuple(-s for s in shift), axis=axis
    ),
)


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Shift elements along an axis, those that fall off come in at the other end.

    Args:
        x: tensor.
        shift: by how much, one number or one per axis.
        axis: axis or axes; the flattened tensor by default.
    """
    x = as_tensor(x)
    if axis is None:
        return resize(roll(ravel(x), shift, 0), x.shape)
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    axes = tuple(shapes.normalize_axis(a, x.ndim, "roll") for a in axes)
    shifts = shift if isinstance(shift, (list, tuple)) else [shift] * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts do not fit {len(axes)} axes")
    return apply(_roll, x, shift=tuple(map(operator.index, shifts)), axis=axes)


# --- grids ---------------------------------------------------------------------


@op
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Return the coordinates of a grid, one tensor per vector given.

    Args:
        x: vectors.
        indexing: "xy" (the first vector runs along the second axis) or "ij".
    """
    if indexing not in ("xy", "ij"):
        raise shapes.unknown_name("indexing", indexing, ("xy", "ij"))
    vectors = [ravel(v) for v in x]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[:2] = 1, 0
    full = [vectors[i].shape[0] for i in order]
    grids = []
    for i, vector in enumerate(vectors):
        position = order.index(i)
        row = [vector.shape[0] if k == position else 1 for k in range(len(full))]
        grids.append(broadcast_to(resize(vector, row), full))
    return grids


@op
def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Return the coordinates, one tensor per axis, of positions in a flat tensor."""
    flat = as_tensor(indices)
    coordinates: list[Any] = []
    for size in reversed(shapes.standardize_shape(shape, "unravel_index")):
        coordinates.append(cast(elementwise.mod(flat, size), flat.dtype))
        flat = elementwise.floor_divide(flat, size)
    return tuple(reversed(coordinates))


def known_product(sizes: Sequence[Any]) -> int:
    """Return the product of the sizes, -1 if one is not known."""
    return -1 if None in sizes else math.prod(sizes)
