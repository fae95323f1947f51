"""Primitives: a shape rule, a kernel and a VJP, and the one way to apply them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy import ndarray

from .. import shapes
from .errors import name_operation
from .symbolic import KerasTensor
from .tensor import Node, Tensor, recording

Spec = Any  # anything with `.shape` and `.dtype`
ShapeAndDtype = tuple[shapes.Shape, str]


PRIMITIVES: dict[str, Primitive] = {}  # every primitive by its name


class Primitive:
    """An operation the graph knows; everything else is composed of them.

    Args:
        name: name in programs and messages, unlike that of any other primitive.
        run: kernel: arrays and attributes in, one array (or a tuple of them) out.
        infer: shape rule: specs and attributes in, `(shape, dtype)` out (or a list of
            them). It raises the error a user sees when shapes do not fit.
        vjp: `vjp(ct, out, *inputs, needs, **attrs)` returns one cotangent per input
            (None where nothing flows), computed with primitives. `ct` and `out` are
            tuples for primitives with several outputs; `needs[i]` tells whether input
            `i` wants its cotangent. None for an operation without derivative.
    """

    __slots__ = ("infer", "name", "run", "vjp")

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        infer: Callable[..., Any],
        vjp: Callable[..., Sequence[Any]] | None = None,
    ) -> None:
        if PRIMITIVES.setdefault(name, self) is not self:
            raise ValueError(f"Primitive: there is one named {name!r} already")
        self.name = name
        self.run = run
        self.infer = infer
        self.vjp = vjp

    def __repr__(self) -> str:
        return f"<Primitive {self.name}>"


def per_argument(*rules: Callable[..., Any] | None) -> Callable[..., list[Any]]:
    """Build a VJP from one rule per input, `rule(ct, out, *inputs, **attrs)`.

    Only the rules of inputs that want a cotangent are run.
    """

    def vjp(ct: Any, out: Any, *inputs: Any, needs: Any, **attrs: Any) -> list[Any]:
        return [
            rule(ct, out, *inputs, **attrs) if need and rule is not None else None
            for rule, need in zip(rules, needs, strict=True)
        ]

    return vjp


def apply(primitive: Primitive, *inputs: Any, **attrs: Any) -> Any:
    """Apply a primitive to tensors: run it, or infer shapes if one is symbolic.

    Raises:
        Exception: what the shape rule raises if the shapes do not fit, else what the
            kernel raises; it names the operation.
    """
    for x in inputs:
        if type(x) is KerasTensor:
            return _infer(primitive, inputs, attrs)
    trace = recording.trace
    try:
        if trace is not None and any(type(x._array) is not ndarray for x in inputs):
            result = trace.emit(primitive, inputs, attrs)
        else:
            result = primitive.run(*[x._array for x in inputs], **attrs)
    except Exception as error:
        raise _explained(error, primitive, inputs, attrs) from None
    if type(result) is tuple:
        node = _node(primitive, inputs, attrs, result) if recording.tapes else None
        return tuple(
            Tensor(array, node if array.dtype.kind == "f" else None, i)
            for i, array in enumerate(result)
        )
    if recording.tapes and result.dtype.kind == "f":
        return Tensor(result, _node(primitive, inputs, attrs, (result,)))
    return Tensor(result)


def _node(
    primitive: Primitive,
    inputs: tuple[Any, ...],
    attrs: dict[str, Any],
    outputs: tuple[Any, ...],
) -> Node | None:
    """Return the node to record, or None if no gradient could flow through it."""
    if primitive.vjp is not None:
        for x in inputs:
            if x._node is not None:
                return Node(primitive, inputs, attrs, outputs)
    return None


def _explained(
    error: Exception,
    primitive: Primitive,
    inputs: tuple[Any, ...],
    attrs: dict[str, Any],
) -> Exception:
    """Return the error to raise instead of a kernel's."""
    if isinstance(error, (ValueError, TypeError, IndexError)):
        try:
            primitive.infer(*inputs, **attrs)
        except (ValueError, TypeError, IndexError) as clear:
            return clear
    name_operation(error, primitive.name)
    return error


def _infer(primitive: Primitive, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    result = primitive.infer(*inputs, **attrs)
    if isinstance(result, list):
        return tuple(KerasTensor(shape, dtype) for shape, dtype in result)
    shape, dtype = result
    return KerasTensor(shape, dtype)
