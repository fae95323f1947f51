"""Which native kernel computes an elementwise primitive."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ... import shapes
from ..trace import Call, Operand

CHAIN_OPERANDS = 32  # the executor's limits
AXES = 8

# Calls whose output is their input's memory.
VIEWS = frozenset({"reshape", "stop_gradient"})

_FLOAT32 = np.dtype("float32")

_SIGNATURES = frozenset(
    "unary unary_p unary_pq grad grad_p loss loss_grad binary".split()
)


@functools.cache
def signatures() -> dict[str, str]:
    """Return the signature of every kernel, by name."""
    from ...backend.compiled import native

    found: dict[str, str] = native.kernel_signatures()
    return found


def elementwise(call: Call) -> tuple[str, float, float] | None:
    """Return a primitive's kernel and its parameters, or None if it has none."""
    if call.kernel is False:  # the passes ask for it again and again
        call.kernel = _find_kernel(call)
    found: tuple[str, float, float] | None = call.kernel
    return found


def _find_kernel(call: Call) -> tuple[str, float, float] | None:
    for x in (*call.inputs, *call.outputs):
        if x.dtype != _FLOAT32:
            return None
    name, attrs = call.name, dict(call.attrs)
    p = q = 0.0
    if name in ("gelu", "gelu_grad"):
        form = "gelu_tanh" if attrs.pop("approximate") else "gelu_erf"
        name = name.replace("gelu", form)
    elif name in ("binary_crossentropy", "binary_crossentropy_grad"):
        if attrs.pop("from_logits"):
            name = name.replace("crossentropy", "crossentropy_logits")
    elif name in ("leaky_relu", "leaky_relu_grad"):
        p = attrs.pop("negative_slope")
    elif name in ("elu", "elu_grad"):
        p = attrs.pop("alpha")
    elif name == "clip":
        lo, hi = attrs.pop("lo"), attrs.pop("hi")
        p = float("-inf") if lo is None else lo
        q = float("inf") if hi is None else hi
        if p != p or q != q:
            return None
    kernel = f"{name}_f32"
    if attrs or signatures().get(kernel) not in _SIGNATURES:
        return None
    return kernel, float(p), float(q)


def is_chainable(call: Call) -> bool:
    """Tell whether a call maps whole arrays, or single numbers, element by element."""
    found = elementwise(call)
    if found is None:
        return False
    shape = call.outputs[0].shape
    for x in call.inputs:
        if x.shape != shape and (x.size != 1 or signatures()[found[0]] != "binary"):
            return False
    return True


TYPES = (
    "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float32 float64"
).split()
INTEGERS = frozenset({"uint8", "int32", "uint32", "int64"})
_LOGIC = frozenset(
    "equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_xor logical_not".split()
)
# What loops over types other than float32 compute, beside comparisons and logic.
_OF_INTEGERS = frozenset(
    "add subtract multiply square maximum minimum floor_divide mod sign negative "
    "absolute".split()
)
_OF_FLOATS = frozenset("isnan isinf isfinite floor ceil round floor_divide mod".split())
# What float32 has kernels for. Others of float64 are NumPy's, as in eager mode.
_OF_DOUBLES = frozenset(
    "add subtract multiply divide square sign negative absolute sqrt rsqrt "
    "reciprocal".split()
)


def is_typed(call: Call) -> bool:
    """Tell whether a plain loop over the elements, of any type, computes a call."""
    first = call.inputs[0].dtype
    if call.attrs or any(x.dtype != first for x in call.inputs):
        return False
    if call.outputs[0].ndim > AXES:
        return False
    dtype = shapes.DTYPE_NAMES[first]
    if call.name in _LOGIC:
        return dtype in INTEGERS or dtype in ("bool", "float32", "float64")
    if dtype in INTEGERS:
        return call.name in _OF_INTEGERS
    if dtype == "float64":
        return call.name in _OF_FLOATS | _OF_DOUBLES
    return call.name in _OF_FLOATS and dtype == "float32"


def widened(call: Call) -> list[Operand]:
    """Return the operands that are copied to the result's shape beforehand."""
    if call.name != "where" and not is_typed(call):
        return []
    shape = call.outputs[0].shape
    return [x for x in call.inputs if flat_step(x, shape) is None]


def rounded(nbytes: int) -> int:
    """Return a number of bytes as a multiple of 64."""
    return -(-nbytes // 64) * 64


def widened_bytes(x: Operand, shape: tuple[int, ...]) -> int:
    """Return the bytes of an operand copied to a shape, rounded up to 64."""
    return rounded(math.prod(shape) * int(x.dtype.itemsize))


def turned_bytes(call: Call) -> int:
    """Return the bytes of the input of argmax or argmin if it has to be transposed."""
    (x,), axis = call.inputs, call.attrs["axis"]
    turned = axis is not None and around(x, axis % x.ndim)[2] > 1
    return x.size * int(x.dtype.itemsize) if turned else 0


def around(x: Operand, axis: int) -> tuple[int, int, int]:
    """Return the number of elements before, along and after an axis."""
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    return before, x.shape[axis], after


def is_basic(key: Any) -> bool:
    """Tell whether an index is made of integers, slices, Ellipsis and None."""
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, slice)
        or (isinstance(part, int | np.integer) and not isinstance(part, bool))
        for part in (key if isinstance(key, tuple) else (key,))
    )


def steps(x: Operand, shape: tuple[int, ...]) -> list[int]:
    """Return the elements to move along each axis of a broadcast contiguous array."""
    result: list[int] = []
    step = 1
    for size in reversed(x.shape):
        result.append(0 if size == 1 else step)
        step *= size
    result += [0] * (len(shape) - len(result))
    return result[::-1]


def flat_step(x: Any, shape: tuple[int, ...]) -> int | None:
    """Return 1 for an array of `shape`, 0 for a single number, None for others."""
    if x.shape == tuple(shape):
        return 1
    return 0 if x.size == 1 else None
