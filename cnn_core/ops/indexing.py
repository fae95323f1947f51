"""Operations that pick elements by their position, or put them there."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend, shapes
from ..graph import (
    KerasTensor,
    Primitive,
    Tensor,
    TensorLike,
    apply,
    as_tensor,
    per_argument,
)
from . import creation, reductions, shaping
from ._op import op

# --- indices known in advance -------------------------------------------------

_getitem = Primitive(
    "getitem",
    backend.getitem,
    lambda x, key: (shapes.indexed(x.shape, key), x.dtype),
    per_argument(lambda ct, y, x, key: scatter_add(x.shape, key, ct)),
)
_scatter_add = Primitive(
    "scatter_add",
    lambda updates, shape, key: backend.scatter_add(shape, key, updates),
    lambda updates, shape, key: (shape, updates.dtype),
    per_argument(lambda ct, y, updates, shape, key: apply(_getitem, ct, key=key)),
)


@op
def get_item(x: Any, key: Any) -> Any:
    """Return `x[key]`; `key` is what NumPy indexes with.

    Raises:
        IndexError: if there are too many indices, or one is out of range.
    """
    x = as_tensor(x)
    parts = key if isinstance(key, tuple) else (key,)
    gathers = [i for i, part in enumerate(parts) if _is_index_tensor(part)]
    kinds = (slice, type(None), type(Ellipsis))
    rest = [part for i, part in enumerate(parts) if i not in gathers]
    if len(gathers) == 1 and all(isinstance(part, kinds) for part in rest):
        return _get_along(x, parts, gathers[0])
    return apply(_getitem, x, key=tuple(_plain(part) for part in parts))


def _is_index_tensor(part: Any) -> bool:
    return isinstance(part, TensorLike) and part.dtype != "bool"


def _get_along(x: Any, parts: tuple[Any, ...], spot: int) -> Any:
    """Apply an index with one tensor in it, whose values stay in the graph."""
    whole = (*parts[:spot], slice(None), *parts[spot + 1 :])
    y = apply(_getitem, x, key=tuple(_plain(part) for part in whole))
    before_ellipsis = Ellipsis not in parts[:spot]
    axis = spot if before_ellipsis else spot - len(parts)
    return take(y, parts[spot], axis=axis)


def _plain(part: Any) -> Any:
    """Return one part of an index with an array in place of a tensor or list."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return part
    if isinstance(part, slice):
        edges = (part.start, part.stop, part.step)
        return slice(*(None if e is None else operator.index(e) for e in edges))
    if isinstance(part, KerasTensor):
        raise TypeError("getitem: symbolic booleans cannot be an index; use ops.where")
    if isinstance(part, list):
        part = np.asarray(part, dtype=None if part else np.int64)
    array = np.asarray(part)
    if array.ndim == 0 and array.dtype.kind in "iu":
        return int(array)
    if array.dtype.kind not in "biu":
        raise IndexError(
            "getitem: expected integers, slices, Ellipsis, None and integer or boolean "
            f"arrays as indices, got {part!r}"
        )
    return array


def scatter_add(shape: Sequence[int], key: Any, updates: Any) -> Any:
    """Return zeros of `shape` with `updates` added at `key`."""
    return apply(_scatter_add, updates, shape=tuple(shape), key=key)


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Return the slices along an axis as a list.

    Raises:
        ValueError: if their number is not known.
    """
    x = as_tensor(x)
    axis = shapes.normalize_axis(axis, x.ndim, "unstack")
    count = x.shape[axis] if num is None else num
    if count is None:
        raise ValueError(
            f"unstack: the size of axis {axis} must be known, or num given"
        )
    return [x[(slice(None),) * axis + (i,)] for i in range(count)]


def _corner(who: str, inputs: Any, starts: Any, sizes: Sequence[Any]) -> Any:
    """Return the index of a block."""
    firsts = np.asarray(starts).reshape(-1).tolist()
    if not len(firsts) == len(sizes) == inputs.ndim:
        raise ValueError(
            f"{who}: expected {inputs.ndim} start indices and sizes for shape "
            f"{inputs.shape}, got {firsts} and {tuple(sizes)}"
        )
    key = []
    for first, size, whole in zip(firsts, sizes, inputs.shape, strict=True):
        last = None if size in (-1, None) else int(first) + int(size)
        if first < 0 or (last is not None and whole is not None and last > whole):
            raise ValueError(
                f"{who}: the block of shape {tuple(sizes)} at {firsts} does not lie "
                f"within shape {inputs.shape}"
            )
        key.append(slice(int(first), last))
    return tuple(key)


@op
def slice_(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Return the block of `shape` that begins at `start_indices`.

    Raises:
        ValueError: if it does not lie within the tensor.
    """
    inputs = as_tensor(inputs)
    return apply(_getitem, inputs, key=_corner("slice", inputs, start_indices, shape))


def _run_slice_update(x: Any, updates: Any, key: Any) -> Any:
    result = x.copy()
    result[key] = updates
    return result


_slice_update: Primitive = Primitive(
    "slice_update",
    _run_slice_update,
    lambda x, updates, key: (x.shape, x.dtype),
    per_argument(
        lambda ct, y, x, updates, key: apply(
            _slice_update, ct, creation.zeros_like(updates), key=key
        ),
        lambda ct, y, x, updates, key: apply(_getitem, ct, key=key),
    ),
)


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Return `inputs` with the block that begins at `start_indices` replaced.

    Raises:
        ValueError: if the block does not lie within the tensor.
    """
    inputs = as_tensor(inputs)
    updates = as_tensor(updates, inputs.dtype)
    key = _corner("slice_update", inputs, start_indices, updates.shape)
    return apply(_slice_update, inputs, updates, key=key)


# --- indices from tensors -----------------------------------------------------


def integer_indices(who: str, indices: Any) -> Any:
    """Return `indices` as a tensor of integers."""
    indices = as_tensor(indices)
    if shapes.is_float(indices.dtype) or indices.dtype == "bool":
        raise TypeError(f"{who}: expected integer indices, got dtype {indices.dtype}")
    return indices


_take = Primitive(
    "take",
    lambda x, indices, axis: backend.take(x, indices, axis),
    lambda x, indices, axis: (
        (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]),
        x.dtype,
    ),
    per_argument(
        lambda ct, y, x, indices, axis: apply(
            _take_adjoint, ct, indices, axis=axis, shape=x.shape
        ),
        None,
    ),
)
_take_adjoint: Primitive = Primitive(
    "take_adjoint",
    backend.take_adjoint,
    lambda ct, indices, axis, shape: (shape, ct.dtype),
    per_argument(
        lambda ct, y, updates, indices, axis, shape: apply(
            _take, ct, indices, axis=axis
        ),
        None,
    ),
)


@op
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the elements at integer `indices` along an axis.

    Args:
        x: tensor.
        indices: integer tensor of any shape; negative ones count from the end.
        axis: axis; the flattened tensor by default.

    Raises:
        IndexError: if an index is out of range.
        TypeError: if the indices are not integers.
    """
    x, indices = as_tensor(x), integer_indices("take", indices)
    if axis is None:
        x, axis = shaping.ravel(x), 0
    axis = shapes.normalize_axis(axis, x.ndim, "take")
    return apply(_take, x, indices, axis=axis)


def _along_key(indices: Any, axis: int) -> tuple[Any, ...]:
    grid = list(np.ogrid[tuple(slice(s) for s in indices.shape)])
    grid[axis] = indices
    return tuple(grid)


_take_along_axis = Primitive(
    "take_along_axis",
    lambda x, indices, axis: backend.take_along_axis(x, indices, axis),
    lambda x, indices, axis: (indices.shape, x.dtype),
    per_argument(
        lambda ct, y, x, indices, axis: apply(
            _take_along_adjoint, ct, indices, axis=axis, shape=x.shape
        ),
        None,
    ),
)
_take_along_adjoint: Primitive = Primitive(
    "take_along_adjoint",
    lambda ct, indices, axis, shape: backend.scatter_add(
        shape, _along_key(np.ascontiguousarray(indices), axis), np.ascontiguousarray(ct)
    ),
    lambda ct, indices, axis, shape: (shape, ct.dtype),
    per_argument(
        lambda ct, y, updates, indices, axis, shape: apply(
            _take_along_axis, ct, indices, axis=axis
        ),
        None,
    ),
)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return elements at indices that differ per row, as `argsort` gives them.

    Args:
        x: tensor.
        indices: integer tensor with as many dimensions; all but `axis` broadcast.
        axis: axis; both flattened by default.

    Raises:
        IndexError: if an index is out of range.
        TypeError: if the indices are not integers.
        ValueError: if the shapes do not fit.
    """
    x, indices = as_tensor(x), integer_indices("take_along_axis", indices)
    if axis is None:
        x, indices, axis = shaping.ravel(x), shaping.ravel(indices), 0
    axis = shapes.normalize_axis(axis, x.ndim, "take_along_axis")
    if x.ndim != indices.ndim:
        raise ValueError(
            "take_along_axis: expected as many dimensions in x and indices, got "
            f"shapes {x.shape} and {indices.shape}"
        )

    def without(shape: shapes.Shape) -> shapes.Shape:
        return (*shape[:axis], *shape[axis + 1 :])

    rest = shapes.broadcast(
        without(x.shape), without(indices.shape), who="take_along_axis"
    )
    x, indices = (
        shaping.broadcast_to(t, (*rest[:axis], t.shape[axis], *rest[axis:]))
        for t in (x, indices)
    )
    return apply(_take_along_axis, x, indices, axis=axis)


# --- labels -------------------------------------------------------------------

_one_hot = Primitive(
    "one_hot",
    backend.one_hot,
    lambda x, num_classes, dtype: ((*x.shape, num_classes), dtype),
)


@op
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Return vectors with a one at the position of each label.

    Args:
        x: integer labels of any shape; a label outside [0, num_classes) gives zeros.
        num_classes: length of the vectors.
        axis: where the new axis goes.
        dtype: dtype of the result, `floatx()` by default.
        sparse: must be False; there are no sparse tensors.
    """
    if sparse:
        raise ValueError("one_hot: there are no sparse tensors; use sparse=False")
    x = as_tensor(x)
    if shapes.is_float(x.dtype):
        x = shaping.cast(x, "int32")
    count, name = operator.index(num_classes), shapes.dtype_name(dtype)
    y = apply(_one_hot, x, num_classes=count, dtype=name)
    return y if axis in (-1, x.ndim) else shaping.moveaxis(y, -1, axis)


@op
def multi_hot(
    inputs: Any,
    num_classes: int,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Any:
    """Return one vector per row of labels, with a one at each label of the row.

    Args:
        inputs: integer labels of shape (n,) or (batch, n).
        num_classes: length of the vectors.
        axis: where the axis of the classes goes.
        dtype: dtype of the result, `floatx()` by default.
        sparse: must be False; there are no sparse tensors.
    """
    if sparse:
        raise ValueError("multi_hot: there are no sparse tensors; use sparse=False")
    inputs = as_tensor(inputs)
    hot = one_hot(shaping.cast(inputs, "int32"), num_classes, axis, dtype)
    return reductions.max(hot, axis=1 if inputs.ndim >= 2 else 0)


# --- what depends on values ---------------------------------------------------


def known_values(who: str, x: Any) -> Any:
    """Return the values of `x`, which must not be symbolic, as an array."""
    x = as_tensor(x)
    if not isinstance(x, Tensor):
        raise TypeError(f"{who}: the shape of the result depends on values")
    return x._array


@op
def nonzero(x: Any) -> tuple[Any, ...]:
    """Return the int32 indices of the nonzero elements, one tensor per axis."""
    found = np.nonzero(np.atleast_1d(known_values("nonzero", x)))
    return tuple(as_tensor(i.astype(np.int32)) for i in found)
