"""Functions that move elements: shapes, indexing, joining, sorting, casting.

Both backends use these. Results may be views of the arguments (`reshape`,
`transpose`, `getitem` ...), so callers must not write into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnn_core.backend.reference._common import Array, quiet

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "argsort",
    "broadcast_to",
    "cast",
    "concatenate",
    "diagonal",
    "expand_dims",
    "flip",
    "getitem",
    "moveaxis",
    "one_hot",
    "pad",
    "repeat",
    "reshape",
    "roll",
    "scatter_add",
    "searchsorted",
    "sort",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "take",
    "take_adjoint",
    "take_along_axis",
    "tile",
    "transpose",
    "tril",
    "triu",
]


def reshape(x: Array, shape: int | tuple[int, ...]) -> Array:
    """Return the elements in row-major order as an array of `shape` (one -1 fits)."""
    return np.reshape(x, shape)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """Return `x` with its axes in the order `axes` (None: reversed)."""
    return np.transpose(x, axes)


def moveaxis(
    x: Array, source: int | Sequence[int], destination: int | Sequence[int]
) -> Array:
    """Move axes to new positions; the others keep their order."""
    return np.moveaxis(x, source, destination)


def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """Exchange two axes."""
    return np.swapaxes(x, axis1, axis2)


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """Insert axes of length 1 at the positions `axis` of the result."""
    return np.expand_dims(x, axis)


def squeeze(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Remove the given axes of length 1 (None: all of them)."""
    return np.asarray(np.squeeze(x, axis))


def broadcast_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Return a read-only view of `x` broadcast to `shape`."""
    return np.broadcast_to(x, shape)


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Join arrays along an existing axis."""
    return np.concatenate(arrays, axis=axis)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Join arrays of one shape along a new axis."""
    return np.stack(arrays, axis=axis)


def split(
    x: Array, indices_or_sections: int | Sequence[int], axis: int = 0
) -> list[Array]:
    """Cut `x` along an axis into equal sections, or before the given indices."""
    return np.split(x, indices_or_sections, axis=axis)


def tile(x: Array, repeats: int | Sequence[int]) -> Array:
    """Repeat the whole array `repeats` times along each axis."""
    return np.tile(x, repeats)


def repeat(
    x: Array, repeats: int | Sequence[int] | Array, axis: int | None = None
) -> Array:
    """Repeat every element along an axis (None: of the flattened array)."""
    return np.repeat(x, repeats, axis=axis)


def flip(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Reverse the order along the given axes (None: all)."""
    return np.asarray(np.flip(x, axis))


def roll(
    x: Array,
    shift: int | tuple[int, ...],
    axis: int | tuple[int, ...] | None = None,
) -> Array:
    """Shift elements along axes; what leaves at one end enters at the other."""
    return np.roll(x, shift, axis=axis)


def pad(
    x: Array,
    pad_width: int | Sequence[Any],
    mode: str = "constant",
    constant_values: Any = 0,
) -> Array:
    """Add elements before and after each axis.

    Args:
        x: array of any shape.
        pad_width: a number, or (before, after) for each axis.
        mode: "constant", "reflect", "symmetric", "edge" or another mode of NumPy.
        constant_values: the value used by mode "constant".

    Returns:
        Array of the padded shape.
    """
    options: dict[str, Any] = {"mode": mode}
    if mode == "constant":
        options["constant_values"] = constant_values
    padding: Any = pad_width
    return np.asarray(np.pad(x, padding, **options))


def diagonal(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Return the diagonal of two axes as the last axis of the result."""
    return np.diagonal(x, offset=offset, axis1=axis1, axis2=axis2)


def tril(x: Array, k: int = 0) -> Array:
    """Return `x` with zeros above the k-th diagonal of its last two axes."""
    return np.tril(x, k)


def triu(x: Array, k: int = 0) -> Array:
    """Return `x` with zeros below the k-th diagonal of its last two axes."""
    return np.triu(x, k)


def sort(x: Array, axis: int = -1) -> Array:
    """Return `x` in ascending order along an axis; NaN comes last."""
    return np.sort(x, axis=axis, kind="stable")


def argsort(x: Array, axis: int = -1) -> Array:
    """Return the int64 indices of `sort`; equal elements keep their order."""
    if x.dtype == np.uint32 and x.ndim == 1 and axis in (0, -1) and x.size < 2**32:
        # Random orders are made so: values with their places behind them are distinct,
        # and sorting them is several times as fast as a stable argsort.
        pairs = x.astype(np.uint64) << np.uint64(32)
        pairs |= np.arange(x.size, dtype=np.uint64)
        pairs.sort()
        return (pairs & np.uint64(2**32 - 1)).astype(np.int64)
    return np.argsort(x, axis=axis, kind="stable").astype(np.int64, copy=False)


def searchsorted(
    sorted_sequence: Array, values: Array, side: Literal["left", "right"] = "left"
) -> Array:
    """Return the int64 positions at which `values` keep the sequence sorted.

    Args:
        sorted_sequence: ascending array (n,).
        values: array of any shape.
        side: whether equal values go before ("left") or after ("right").

    Returns:
        int64 array of the shape of `values`.
    """
    position = np.searchsorted(sorted_sequence, values, side=side)
    return np.asarray(position, dtype=np.int64)


def take(x: Array, indices: Array, axis: int | None = None) -> Array:
    """Return the elements at integer `indices` along an axis (None: flattened).

    Raises:
        IndexError: if an index is out of range; negative ones count from the end.
    """
    return np.asarray(np.take(x, indices, axis=axis))


def take_adjoint(ct: Array, indices: Array, axis: int, shape: tuple[int, ...]) -> Array:
    """Return zeros of `shape` with `ct` added at `indices`: the adjoint of `take`.

    Args:
        ct: array of the shape of `take(x, indices, axis)`.
        indices: integers; rows named twice are added twice, in their order.
        axis: axis >= 0 of `shape` that the indices count along.
        shape: shape of the result.

    Raises:
        IndexError: if an index is out of range.
    """
    key = (*(slice(None),) * axis, np.ascontiguousarray(indices))
    return scatter_add(shape, key, np.ascontiguousarray(ct))


def take_along_axis(x: Array, indices: Array, axis: int | None = None) -> Array:
    """Return elements at indices that differ per row, as `argsort` gives them."""
    return np.take_along_axis(x, indices, axis=axis)


def getitem(x: Array, key: Any) -> Array:
    """Return x[key]; `key` is anything NumPy can index with."""
    return np.asarray(np.asarray(x)[key])


def scatter_add(shape: tuple[int, ...], key: Any, updates: Array) -> Array:
    """Return zeros of `shape` with `updates` added at `key`: the adjoint of `getitem`.

    Args:
        shape: shape of the result.
        key: anything NumPy can index with; elements named twice are added twice.
        updates: array of the shape of `result[key]`.

    Returns:
        Array of `shape` and the dtype of `updates`.
    """
    updates = np.asarray(updates)
    result = np.zeros(shape, dtype=updates.dtype)
    if _names_each_element_once(key):
        result[key] = updates
    else:
        np.add.at(result, key, updates)
    return result


def _names_each_element_once(key: Any) -> bool:
    """Tell whether a key consists of integers, slices, Ellipsis and None only."""
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, slice):
            continue
        if isinstance(part, int | np.integer):
            continue
        return False
    return True


@quiet
def one_hot(x: Array, num_classes: int, dtype: DTypeLike = "float32") -> Array:
    """Return rows with a one at the position of each label.

    Args:
        x: integer labels (...).
        num_classes: length of a row.
        dtype: dtype of the result.

    Returns:
        Array (..., num_classes); the row of a label outside [0, num_classes) is zero.
    """
    label = np.asarray(x)[..., np.newaxis]
    return np.asarray(label == np.arange(num_classes), dtype=dtype)


@quiet
def cast(x: Array, dtype: DTypeLike) -> Array:
    """Return `x` as `dtype`; `x` itself if it has that dtype already."""
    return np.asarray(x).astype(dtype, copy=False)
