"""Which native kernel computes an elementwise primitive."""

from __future__ import annotations

import functools
from typing import Any

from ..trace import Call, Operand

CHAIN_OPERANDS = 32  # the executor's limit

_SIGNATURES = {"unary", "unary_p", "unary_pq", "grad", "grad_p", "loss", "loss_grad"}


@functools.cache
def signatures() -> dict[str, str]:
    """Return the signature of every kernel, by name."""
    from ...backend.compiled import native

    found: dict[str, str] = native.kernel_signatures()
    return found


def elementwise(call: Call) -> tuple[str, float, float] | None:
    """Return a primitive's kernel and its parameters, or None if it has none."""
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
    if attrs or signatures().get(kernel) not in _SIGNATURES | {"binary"}:
        return None
    if any(x.dtype != "float32" for x in (*call.inputs, *call.outputs)):
        return None
    return kernel, float(p), float(q)


def is_chainable(call: Call) -> bool:
    """Tell whether a call maps whole arrays, or single numbers, element by element."""
    found = elementwise(call)
    if found is None:
        return False
    shape = call.outputs[0].shape
    binary = signatures()[found[0]] == "binary"
    return all(x.shape == shape or (binary and x.size == 1) for x in call.inputs)


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
