"""Diagonals and triangles of matrices."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import shapes
from ..graph import (
    apply,
    as_tensor,
)
from . import elementwise, indexing, reductions, shaping
from ._op import named, op
from .shaping import symbolic, view_primitive

Rule = Callable[..., Any]


def _diagonal_size(rows: int | None, columns: int | None, offset: int) -> int | None:
    if rows is None or columns is None:
        return None
    return max(0, min(rows + min(offset, 0), columns - max(offset, 0)))


def _diagonal_key(size: int, offset: int) -> tuple[Any, ...]:
    steps = np.arange(size)
    return (..., steps - min(offset, 0), steps + max(offset, 0))


_diagonal = view_primitive(
    "diagonal",
    lambda s, offset, axis1, axis2: (
        *(n for i, n in enumerate(s) if i not in (axis1, axis2)),
        _diagonal_size(s[axis1], s[axis2], offset),
    ),
    lambda ct, y, x, offset, axis1, axis2: shaping.moveaxis(
        indexing.scatter_add(
            shaping.moveaxis(x, (axis1, axis2), (-2, -1)).shape,
            _diagonal_key(ct.shape[-1], offset),
            ct,
        ),
        (-2, -1),
        (axis1, axis2),
    ),
)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal of two axes as the last axis of the result."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"diagonal: expected at least 2 dimensions, got {x.shape}")
    a = shapes.normalize_axis(axis1, x.ndim, "diagonal")
    b = shapes.normalize_axis(axis2, x.ndim, "diagonal")
    if a == b:
        raise ValueError(f"diagonal: expected two different axes, got {axis1}, {axis2}")
    return apply(_diagonal, x, offset=operator.index(offset), axis1=a, axis2=b)


@op
def diag(x: Any, k: int = 0) -> Any:
    """Return the k-th diagonal of a matrix, or the matrix with that diagonal."""
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: expected 1 or 2 dimensions, got shape {x.shape}")
    if x.shape[0] is None:
        return symbolic(x, (None, None))
    size = x.shape[0] + abs(k)
    return indexing.scatter_add((size, size), _diagonal_key(x.shape[0], k)[1:], x)


@op
def diagflat(x: Any, k: int = 0) -> Any:
    """Return the matrix with the elements of `x` on its k-th diagonal."""
    return diag(shaping.ravel(x), k)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sum of a diagonal."""
    return reductions.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _triangle(name: str, doc: str) -> Rule:
    primitive = view_primitive(
        name, lambda s, k: s, lambda ct, y, x, k: apply(primitive, ct, k=k)
    )

    def function(x: Any, k: int = 0) -> Any:
        x = as_tensor(x)
        if x.ndim < 2:
            raise ValueError(f"{name}: expected at least 2 dimensions, got {x.shape}")
        return apply(primitive, x, k=operator.index(k))

    return named(
        function,
        name,
        doc,
        x="tensor of at least 2 dimensions.",
        k="number of the diagonal, counted upwards from the main one.",
    )


tril: Rule = _triangle(
    "tril", "Return `x` with zeros above the k-th diagonal of its last two axes."
)
triu: Rule = _triangle(
    "triu", "Return `x` with zeros below the k-th diagonal of its last two axes."
)


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803 - NumPy's name
    """Return the powers of a vector as columns, from `N - 1` down to 0.

    Args:
        x: vector.
        N: number of columns, the length of `x` by default.
        increasing: whether the powers increase.

    Raises:
        ValueError: if `x` is not a vector.
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: expected a vector, got shape {x.shape}")
    count = x.shape[0] if N is None else N
    if count is None:
        return symbolic(x, (None, None))
    powers = np.arange(count) if increasing else np.arange(count)[::-1]
    return elementwise.power(shaping.expand_dims(x, 1), as_tensor(powers, x.dtype))
