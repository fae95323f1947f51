"""Instructions for reductions, and for running sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import shapes
from ..trace import Call, Operand
from . import kernels

_FLOAT32 = np.dtype("float32")
_FLOATS = frozenset({"sum", "mean", "max", "min"})
# What whole numbers are folded with; the order does not matter to their bits.
_WHOLE = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "all": "logical_and",
    "any": "logical_or",
}
NAMES = frozenset({*_FLOATS, *_WHOLE})
_RUNNING = {"cumsum": "add", "cumprod": "multiply"}
_RUNNING_TYPES = frozenset({"uint8", "int32", "uint32", "int64", "float32", "float64"})

Place = tuple[int, int]


def stages(call: Call) -> list[tuple[int, int, int]] | None:
    """Return the (outer, n, inner) of each step of a reduction, None if there is none.

    Axes side by side are reduced at once; of several groups the last one is first.
    """
    (x,) = call.inputs
    axis = call.attrs["axis"]
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in given]
    if not len(axes):
        return None
    groups: list[list[Any]] = []  # [whether it is reduced, size]
    for i, size in enumerate(x.shape):
        if size == 1:
            continue
        if groups and groups[-1][0] == (i in axes):
            groups[-1][1] *= size
        else:
            groups.append([i in axes, size])
    found = []
    inner = 1
    for k in reversed(range(len(groups))):
        reduced, size = groups[k]
        if reduced:
            outer = math.prod(size for _, size in groups[:k])
            found.append((outer, size, inner))
        else:
            inner *= size
    return found or [(x.size, 1, 1)]


def _native_type(call: Call) -> str | None:
    """Return the type that a reduction works in, None if NumPy has to do it."""
    source, target = (
        shapes.DTYPE_NAMES[v.dtype] for v in (*call.inputs, *call.outputs)
    )
    if source == target == "float32":
        return target if call.name in _FLOATS else None
    if call.name not in _WHOLE or source.startswith("float"):
        return None
    known = target in kernels.INTEGERS or target == source == "bool"
    return target if known and source in kernels.TYPES else None


def scratch_bytes(call: Call) -> int:
    """Return what a reduction over groups of axes keeps between its steps."""
    if _native_type(call) is None:
        return 0
    (x,), (y,) = call.inputs, call.outputs
    found = stages(call) or []
    sizes = [outer * inner for outer, _, inner in found[:-1]]
    if x.dtype != y.dtype:
        sizes.append(x.size)
    return sum(kernels.rounded(size * y.dtype.itemsize) for size in sizes)


class Folds:
    """Rules for reductions; a part of `Lowering`."""

    program: Any
    plan: Any
    _at: Callable[[Operand], Place]

    def _bias_gradient(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if x.dtype != _FLOAT32:
            return False
        columns = x.shape[-1]
        self.program.reduce(
            "sum", 1, x.size // columns, columns, self._at(x), self._at(y)
        )
        return True

    def _reduce(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        dtype, steps = _native_type(call), stages(call)
        if dtype is None or steps is None:
            return False
        scratch = self._scratch(call)
        source = self._at(x)
        if x.dtype != y.dtype:
            wide = scratch(x.size * y.dtype.itemsize)
            given = shapes.DTYPE_NAMES[x.dtype]
            self.program.cast(x.size, source, given, wide, dtype)
            source = wide
        name = call.name
        if dtype == "float32" and name == "mean" and len(steps) > 1:
            name = "sum"  # divided once, at the end
        for outer, n, inner in steps:
            last = (outer, n, inner) == steps[-1]
            to = self._at(y) if last else scratch(outer * inner * y.dtype.itemsize)
            if dtype == "float32":
                self.program.reduce(name, outer, n, inner, source, to)
            else:
                self.program.fold(_WHOLE[name], dtype, outer, n, inner, source, to)
            source = to
        if name != call.name:
            count = self._at(np.array(x.size // y.size, _FLOAT32))
            self.program.binary(
                "divide_f32", (y.size,), source, (1,), count, (0,), source
            )
        return True

    _sum = _mean = _max = _min = _prod = _any = _all = _reduce

    def _scratch(self, call: Call) -> Callable[[int], Place]:
        """Return a function that gives the next bytes of a call's scratch."""
        used = 0

        def take(nbytes: int) -> Place:
            nonlocal used
            slot, offset = self.plan.temporary(call)
            used += kernels.rounded(nbytes)
            return slot, offset + used - kernels.rounded(nbytes)

        return take

    def _running(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        dtype = shapes.DTYPE_NAMES[x.dtype]
        if x.dtype != y.dtype or dtype not in _RUNNING_TYPES:
            return False
        outer, n, inner = kernels.around(x, call.attrs["axis"])
        op = _RUNNING[call.name]
        self.program.fold(op, dtype, outer, n, inner, self._at(x), self._at(y), True)
        return True

    _cumsum = _cumprod = _running

    def _index(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        axis = call.attrs["axis"]
        if x.dtype != _FLOAT32:
            return False
        n = x.size if axis is None else x.shape[axis]
        slot, offset = wide = self.plan.temporary(call)
        source = self._at(x)
        if kernels.turned_bytes(call):  # the axis has to be the last one
            outer, n, inner = kernels.around(x, axis % x.ndim)
            source = slot, offset + kernels.rounded(y.size * 8)
            self.program.copy(
                x.dtype.itemsize,
                (outer, inner, n),
                [x.dtype.itemsize * step for step in (n * inner, 1, inner)],
                self._at(x),
                [x.dtype.itemsize * step for step in (n * inner, n, 1)],
                source,
            )
        self.program.rows(f"{call.name}_f32", x.size // n, n, wide, a=source)
        self.program.cast(y.size, wide, "int64", self._at(y), "int32")
        return True

    _argmax = _argmin = _index
