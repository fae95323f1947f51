"""Instructions for what only moves elements: strided copies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..trace import Call, Operand, Value
from . import kernels

_SIZES = (1, 2, 4, 8)  # bytes of an element that it can copy

Place = tuple[int, int]


class Block:
    """Where the elements of a part of a contiguous array are.

    Args:
        x: the whole array.
        key: what `x` is indexed with: integers, slices, Ellipsis and None.
    """

    __slots__ = ("offset", "shape", "strides")

    def __init__(self, x: Operand, key: Any = ()) -> None:
        whole = np.lib.stride_tricks.as_strided(
            np.empty(1, x.dtype), x.shape, strides(x.shape, x.dtype.itemsize)
        )
        parts = key if isinstance(key, tuple) else (key,)
        if Ellipsis not in parts:
            parts = (*parts, Ellipsis)  # always an array, never a number
        part = whole[parts]
        self.offset = _address(part) - _address(whole)
        self.shape = part.shape
        self.strides = part.strides


def _address(x: Any) -> int:
    return int(x.__array_interface__["data"][0])


def strides(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return the bytes to move along each axis of a contiguous array."""
    found = []
    for d in reversed(shape):
        found.append(size)
        size *= d
    return tuple(found[::-1])


class Moves:
    """Rules for primitives that copy elements; a part of `Lowering`."""

    program: Any
    plan: Any

    _checked: Callable[[Call], Callable[[], None]]
    _python: Callable[[Call], Callable[[], None]]
    _in_range: set[tuple[int, int]]  # indices that a call before has looked at

    def _at(self, x: Operand) -> Place:
        place: Place = self.plan.place(x)
        return place

    def _copy_elements(
        self, x: Operand, source: Any, y: Operand, to: Any, shape: tuple[int, ...]
    ) -> None:
        """Emit a copy; `source` and `to` are pairs of offset and strides."""
        a, b = self._at(x), self._at(y)
        self.program.copy(
            x.dtype.itemsize,
            shape,
            source[1],
            (a[0], a[1] + source[0]),
            to[1],
            (b[0], b[1] + to[0]),
        )

    def _fill(self, y: Value, value: Any) -> None:
        """Emit a copy of one number everywhere."""
        one = np.array(value, y.dtype)
        whole = (0, strides(y.shape, y.dtype.itemsize))
        self._copy_elements(one, (0, (0,) * y.ndim), y, whole, y.shape)

    def _put(self, x: Operand, y: Value, key: Any) -> None:
        """Emit a copy of all of `x` to a part of `y`."""
        block = Block(y, key)
        source = (0, strides(x.shape, x.dtype.itemsize))
        self._copy_elements(x, source, y, (block.offset, block.strides), x.shape)

    def _spread(self, x: Operand, shape: tuple[int, ...], to: Place) -> None:
        """Emit a copy of `x`, broadcast to a shape, to a place."""
        size = x.dtype.itemsize
        steps = [size * step for step in kernels.steps(x, shape)]
        self.program.copy(size, shape, steps, self._at(x), strides(shape, size), to)

    def _broadcast_to(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if not _movable(y):
            return False
        self._spread(x, y.shape, self._at(y))
        return True

    def _transpose(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if not _movable(y):
            return False
        steps = strides(x.shape, x.dtype.itemsize)
        source = (0, tuple(steps[axis] for axis in call.attrs["axes"]))
        to = (0, strides(y.shape, y.dtype.itemsize))
        self._copy_elements(x, source, y, to, y.shape)
        return True

    def _concatenate(self, call: Call) -> bool:
        (y,), axis = call.outputs, call.attrs["axis"] % call.outputs[0].ndim
        if not _movable(y) or any(x.dtype != y.dtype for x in call.inputs):
            return False
        start = 0
        for x in call.inputs:
            stop = start + x.shape[axis]
            self._put(x, y, (slice(None),) * axis + (slice(start, stop),))
            start = stop
        return True

    def _getitem(self, call: Call) -> bool:
        (x,), (y,), key = call.inputs, call.outputs, call.attrs["key"]
        if not kernels.is_basic(key) or not (_movable(x) and _movable(y)):
            return False
        block = Block(x, key)
        to = (0, strides(y.shape, y.dtype.itemsize))
        self._copy_elements(x, (block.offset, block.strides), y, to, y.shape)
        return True

    def _scatter_add(self, call: Call) -> bool:
        (x,), (y,), key = call.inputs, call.outputs, call.attrs["key"]
        if not kernels.is_basic(key) or not (_movable(x) and _movable(y)):
            return False
        if Block(y, key).shape != x.shape:
            return False
        self._fill(y, 0)
        self._put(x, y, key)
        return True

    def _slice_update(self, call: Call) -> bool:
        (x, part), (y,), key = call.inputs, call.outputs, call.attrs["key"]
        if not kernels.is_basic(key) or not _movable(y) or part.dtype != y.dtype:
            return False
        if Block(y, key).shape != part.shape:
            return False
        self._put(x, y, ())
        self._put(part, y, key)
        return True

    def _pad(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        value, mode = call.attrs["constant_values"], call.attrs["mode"]
        if mode != "constant" or not isinstance(value, int | float) or not _movable(y):
            return False
        if y.dtype.kind != "f" and value not in (0, 1):
            return False
        self._fill(y, value)
        pairs = zip(call.attrs["pad_width"], x.shape, strict=True)
        self._put(x, y, tuple(slice(first, first + size) for (first, _), size in pairs))
        return True

    def _roll(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if not _movable(x):
            return False
        shifts = dict.fromkeys(range(x.ndim), 0)
        for axis, shift in zip(call.attrs["axis"], call.attrs["shift"], strict=True):
            shifts[axis] += shift
        parts = []  # along each axis, from where to where the two parts go
        for size, shift in zip(x.shape, shifts.values(), strict=True):
            cut = size - shift % size
            both = [(slice(0, cut), slice(size - cut, size))]
            if cut < size:
                both.append((slice(cut, size), slice(0, size - cut)))
            parts.append(both)
        for pairs in itertools.product(*parts):
            a = Block(x, tuple(source for source, _ in pairs))
            b = Block(y, tuple(to for _, to in pairs))
            self._copy_elements(
                x, (a.offset, a.strides), y, (b.offset, b.strides), a.shape
            )
        return True

    def _one_hot(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if y.dtype.name not in kernels.TYPES:
            return False
        labels = self._labels(call, x)
        if labels is None:
            return False
        classes = y.shape[-1]
        self.program.one_hot(
            y.dtype.name, math.prod(x.shape), classes, labels, self._at(y)
        )
        return True

    def _take(self, call: Call) -> bool:
        (x, indices), (y,) = call.inputs, call.outputs
        places = self._indices(call, indices)
        if places is None or not _movable(x):
            return False
        outer, n, columns = kernels.around(x, call.attrs["axis"])
        self.program.take(
            *(outer, n, indices.size, columns * x.dtype.itemsize),
            *(self._at(x), places, self._at(y), self._checked(call)),
        )
        self._in_range.add(self._range(indices, n))
        return True

    def _take_adjoint(self, call: Call) -> bool:
        (ct, indices), (y,) = call.inputs, call.outputs
        places = self._indices(call, indices)
        if places is None or y.dtype.name not in ("float32", "float64"):
            return False
        outer, n, columns = kernels.around(y, call.attrs["axis"])
        known = self._range(indices, n) in self._in_range
        self.program.add_rows(
            *(y.dtype.name, outer, n, indices.size, columns),
            *(self._at(ct), places, self._at(y)),
            self._python(call) if known else self._checked(call),
        )
        return True

    def _indices(self, call: Call, x: Operand) -> tuple[Place, bool] | None:
        """Return where indices are, and whether they are int32 instead of int64."""
        if x.dtype.name == "int32":
            return self._at(x), True
        wide = self._labels(call, x)
        return None if wide is None else (wide, False)

    def _range(self, indices: Operand, n: int) -> tuple[int, int]:
        x = self.plan.root(indices) if isinstance(indices, Value) else indices
        return id(x), n

    def _take_along_axis(self, call: Call) -> bool:
        (x, indices), (y,) = call.inputs, call.outputs
        places = self._indices(call, indices)
        if places is None or not _movable(x):
            return False
        outer, n, inner = kernels.around(x, call.attrs["axis"])
        self.program.along(
            *(outer, n, indices.size // (outer * inner), inner, self._at(x), places),
            *(self._at(y), self._checked(call)),
            size=x.dtype.itemsize,
        )
        self._in_range.add(self._range(indices, n))
        return True

    def _take_along_adjoint(self, call: Call) -> bool:
        (ct, indices), (y,) = call.inputs, call.outputs
        places = self._indices(call, indices)
        if places is None or y.dtype.name not in ("float32", "float64"):
            return False
        outer, n, inner = kernels.around(y, call.attrs["axis"])
        known = self._range(indices, n) in self._in_range
        self.program.along(
            *(outer, n, indices.size // (outer * inner), inner, self._at(ct), places),
            self._at(y),
            self._python(call) if known else self._checked(call),
            dtype=y.dtype.name,
        )
        return True

    def _argsort(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if x.dtype.name not in ("float32", "int32", "uint32"):
            return False
        around = kernels.around(x, call.attrs["axis"])
        self.program.argsort(x.dtype.name, *around, self._at(x), self._at(y))
        return True

    def _triangle(self, call: Call) -> bool:
        (x,), (y,), k = call.inputs, call.outputs, call.attrs["k"]
        if y.ndim > kernels.AXES or y.dtype.name not in kernels.TYPES:
            return False
        lower = call.name == "tril"
        kept = np.tri(y.shape[-2], y.shape[-1], k if lower else k - 1, dtype=bool)
        kept = np.broadcast_to(kept if lower else ~kept, y.shape)
        zero = np.zeros((), y.dtype)
        operands = self._at(kept), 1, self._at(x), 1, self._at(zero), 0
        self.program.where(y.dtype.name, y.size, *operands, self._at(y))
        return True

    _tril = _triu = _triangle

    def _labels(self, call: Call, target: Operand) -> Place | None:
        """Return where the labels are as int64, converted if need be."""
        dtype = target.dtype.name
        if dtype == "int64":
            return self._at(target)
        if dtype not in kernels.TYPES or dtype in ("float32", "float64", "uint64"):
            return None
        wide: Place = self.plan.temporary(call)
        self.program.cast(target.size, self._at(target), dtype, wide, "int64")
        return wide


def _movable(x: Operand) -> bool:
    return (
        x.ndim <= kernels.AXES and x.dtype.itemsize in _SIZES and x.dtype.kind in "biuf"
    )
