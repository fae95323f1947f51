"""Operations that join, cut and widen tensors."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend, shapes
from ..graph import (
    Primitive,
    apply,
    as_tensor,
    per_argument,
    promote,
)
from . import indexing, shaping
from ._op import op
from .shaping import symbolic

# --- joining ------------------------------------------------------------------


def _vjp_concatenate(ct: Any, out: Any, *inputs: Any, needs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x, need in zip(inputs, needs, strict=True):
        stop = start + x.shape[axis]
        key = (slice(None),) * axis + (slice(start, stop),)
        parts.append(ct[key] if need else None)
        start = stop
    return parts


_concatenate = Primitive(
    "concatenate",
    lambda *arrays, axis: backend.concatenate(arrays, axis=axis),
    lambda *xs, axis: (shapes.concatenated([x.shape for x in xs], axis), xs[0].dtype),
    _vjp_concatenate,
)


def _several(who: str, xs: Any) -> tuple[Any, ...]:
    """Return the tensors of a list in their common dtype."""
    if not isinstance(xs, (list, tuple)):
        xs = indexing.unstack(xs)
    if not xs:
        raise ValueError(f"{who}: expected at least one tensor, got none")
    return promote(*xs)


@op
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Join tensors along an existing axis.

    Args:
        xs: tensors of equal shapes except along `axis`.
        axis: axis to join along.

    Raises:
        ValueError: if there are none or the shapes do not fit.
    """
    tensors = _several("concatenate", xs)
    axis = shapes.normalize_axis(axis, tensors[0].ndim, "concatenate")
    return apply(_concatenate, *tensors, axis=axis)


@op
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Join tensors of one shape along a new axis.

    Raises:
        ValueError: if there are none or the shapes differ.
    """
    tensors = _several("stack", x)
    if not all(shapes.compatible(t.shape, tensors[0].shape) for t in tensors):
        raise ValueError(
            "stack: expected tensors of one shape, got "
            f"{', '.join(str(t.shape) for t in tensors)}"
        )
    axis = shapes.normalize_axis(axis, tensors[0].ndim + 1, "stack")
    rows = [shaping.expand_dims(t, axis) for t in tensors]
    return apply(_concatenate, *rows, axis=axis)


@op
def vstack(xs: Sequence[Any]) -> Any:
    """Join tensors along the first axis; vectors become rows."""
    rows = [
        shaping.reshape(x, (1, -1)) if x.ndim < 2 else x for x in _several("vstack", xs)
    ]
    return concatenate(rows)


@op
def hstack(xs: Sequence[Any]) -> Any:
    """Join tensors along the second axis, vectors along their only one."""
    tensors = [shaping.ravel(x) if x.ndim == 0 else x for x in _several("hstack", xs)]
    return concatenate(tensors, axis=0 if tensors[0].ndim < 2 else 1)


@op
def dstack(xs: Sequence[Any]) -> Any:
    """Join tensors along the third axis, which vectors and matrices lack."""
    deep = []
    for x in _several("dstack", xs):
        x = shaping.reshape(x, (1, -1)) if x.ndim < 2 else x
        deep.append(shaping.expand_dims(x, 2) if x.ndim == 2 else x)
    return concatenate(deep, axis=2)


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Join two tensors along `axis`, or both flattened."""
    if axis is None:
        return concatenate([shaping.ravel(x1), shaping.ravel(x2)])
    return concatenate([x1, x2], axis=axis)


# --- cutting ------------------------------------------------------------------


def _pieces(x: Any, cuts: Sequence[int], axis: int) -> list[Any]:
    lead = (slice(None),) * axis
    edges = [0, *cuts, None]
    return [x[(*lead, slice(a, b))] for a, b in itertools.pairwise(edges)]


def _cut(
    who: str, x: Any, indices_or_sections: Any, axis: int, equal: bool
) -> list[Any]:
    x = as_tensor(x)
    axis = shapes.normalize_axis(axis, x.ndim, who)
    if not isinstance(indices_or_sections, int):
        return _pieces(x, [operator.index(i) for i in indices_or_sections], axis)
    size, count = x.shape[axis], indices_or_sections
    if count < 1 or (equal and size is not None and size % count):
        raise ValueError(
            f"{who}: axis {axis} of shape {x.shape} does not divide into "
            f"{count} equal parts"
        )
    if size is None:
        part = (*x.shape[:axis], None, *x.shape[axis + 1 :])
        return [symbolic(x, part) for _ in range(count)]
    lengths = [size // count + (i < size % count) for i in range(count)]
    return _pieces(x, np.cumsum(lengths)[:-1].tolist(), axis)


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut `x` along an axis.

    Args:
        x: tensor.
        indices_or_sections: number of equal parts, or the indices to cut before.
        axis: axis to cut.

    Raises:
        ValueError: if the parts cannot be equal.
    """
    return _cut("split", x, indices_or_sections, axis, equal=True)


@op
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut `x` along an axis; where equal parts cannot be, the first are longer."""
    return _cut("array_split", x, indices_or_sections, axis, equal=False)


@op
def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut `x` along its second axis, a vector along its only one."""
    axis = 1 if as_tensor(x).ndim > 1 else 0
    return _cut("hsplit", x, indices_or_sections, axis, equal=True)


@op
def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut `x` along its first axis."""
    return _cut("vsplit", x, indices_or_sections, 0, equal=True)


@op
def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut `x` along its third axis."""
    return _cut("dsplit", x, indices_or_sections, 2, equal=True)


# --- widening -----------------------------------------------------------------


def _infer_pad(x: Any, pad_width: Any, mode: str, constant_values: Any) -> Any:
    return tuple(
        None if size is None else size + before + after
        for size, (before, after) in zip(x.shape, pad_width, strict=True)
    ), x.dtype


def _pad_rule(ct: Any, y: Any, x: Any, pad_width: Any, mode: str, **_: Any) -> Any:
    if mode == "constant":
        pairs = zip(pad_width, x.shape, strict=True)
        return ct[tuple(slice(before, before + size) for (before, _), size in pairs)]
    # Send every padded position's cotangent to the element it was copied from.
    positions = np.arange(x.size).reshape(x.shape)
    origin = backend.pad(positions, pad_width, mode).ravel()
    return shaping.reshape(
        indexing.scatter_add((x.size,), origin, shaping.ravel(ct)), x.shape
    )


_pad = Primitive(
    "pad",
    lambda x, pad_width, mode, constant_values: (
        backend.pad(x, pad_width, mode, constant_values)
        if mode == "constant"
        else backend.pad(x, pad_width, mode)
    ),
    _infer_pad,
    per_argument(_pad_rule),
)
_PAD_MODES = ("constant", "reflect", "symmetric", "edge", "wrap")


@op
def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Any:
    """Widen a tensor.

    Args:
        x: tensor.
        pad_width: `(before, after)` for each axis, or one pair or number for all.
        mode: "constant", "reflect", "symmetric", "edge" or "wrap".
        constant_values: value of the new elements in mode "constant", 0 by default.

    Raises:
        ValueError: for an unknown mode, or widths that are negative or do not fit.
    """
    x = as_tensor(x)
    if mode not in _PAD_MODES:
        raise shapes.unknown_name("pad mode", mode, _PAD_MODES)
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: constant_values does not go with mode={mode!r}")
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    except ValueError:
        raise ValueError(
            f"pad: expected a pair (before, after) for each of the {x.ndim} axes of "
            f"shape {x.shape}, got {pad_width}"
        ) from None
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError(f"pad: expected widths >= 0, got {pad_width}")
    value = 0 if constant_values is None else np.asarray(constant_values).item()
    return apply(
        _pad,
        x,
        pad_width=tuple((b, a) for b, a in widths),
        mode=mode,
        constant_values=value,
    )
