"""Symbolic tensors, and the operations that connect them into a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import naming, shapes, tree
from .tensor import TensorLike, late_op


class KerasHistory(NamedTuple):
    """Which call of which operation made a symbolic tensor."""

    operation: Operation
    node_index: int
    tensor_index: int


class NoValuesError(TypeError):
    """A symbolic tensor was asked for values, e.g. by an `if` in a layer's `call`."""


class KerasTensor(TensorLike):
    """A tensor without values: a shape, whose sizes may be None, and a dtype.

    `Input` makes the first ones; layers and operations called on them return others.
    """

    __slots__ = (
        "__weakref__",
        "_dtype",
        "_keras_history",
        "_keras_mask",
        "_shape",
        "name",
    )

    def __init__(
        self,
        shape: Any,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self._shape = shapes.standardize_shape(shape, "KerasTensor")
        self._dtype = shapes.dtype_name(dtype)
        self.name = name or naming.unique_name("keras_tensor")
        self._keras_history: KerasHistory | None = None

    @property
    def shape(self) -> shapes.Shape:
        """Sizes of the dimensions; None where not known yet."""
        return self._shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def dtype(self) -> str:
        """Name of the element type, e.g. 'float32'."""
        return self._dtype

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The tensor with its axes in reverse order."""
        return late_op("transpose")(self)

    def reshape(self, *shape: Any) -> Any:
        """Return the tensor in another shape with the same elements."""
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = tuple(shape[0])
        return late_op("reshape")(self, shape)

    def squeeze(self, axis: Any = None) -> Any:
        """Return the tensor without axes of size 1."""
        return late_op("squeeze")(self, axis)

    def astype(self, dtype: Any) -> Any:
        """Return the tensor cast to another dtype."""
        return late_op("cast")(self, dtype)

    def __round__(self, ndigits: int | None = None) -> Any:
        return late_op("round")(self, ndigits or 0)

    def _no_values(self, use: str) -> NoValuesError:
        return NoValuesError(
            f"A symbolic KerasTensor has no values, so it cannot be {use}. Use "
            "operations of `ops` or layers, or compute inside a Layer's call()."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._no_values("converted to a NumPy array")

    def __bool__(self) -> bool:
        raise self._no_values("used as a Python boolean")

    def __float__(self) -> float:
        raise self._no_values("converted to a Python number")

    def __int__(self) -> int:
        raise self._no_values("converted to a Python number")

    def __index__(self) -> int:
        raise self._no_values("converted to a Python number")

    def __len__(self) -> int:
        raise self._no_values("measured with len()")

    def __iter__(self) -> Iterator[Any]:
        raise self._no_values("iterated over")

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class SymbolicNode:
    """One call of an operation on symbolic tensors."""

    def __init__(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outputs: Any,
    ) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.input_tensors = [
            x for x in tree.flatten([args, kwargs]) if isinstance(x, KerasTensor)
        ]
        self.output_tensors = tree.flatten(outputs)

    @property
    def parents(self) -> list[SymbolicNode]:
        """The nodes that made the inputs."""
        nodes = []
        for tensor in self.input_tensors:
            if tensor._keras_history is not None:
                operation, index, _ = tensor._keras_history
                nodes.append(operation._inbound_nodes[index])
        return nodes


class Operation:
    """Something that can be a node of a functional model: a layer or an op's call."""

    name: str
    _inbound_nodes: list[SymbolicNode]

    def record(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any
    ) -> Any:
        """Remember a symbolic call, and in each output where it came from."""
        given = {id(x) for x in tree.flatten([args, kwargs])}

        def own(t: Any) -> Any:
            # What is passed through unchanged keeps its own history.
            known = id(t) in given or getattr(t, "_keras_history", None) is not None
            if isinstance(t, KerasTensor) and known:
                return KerasTensor(t.shape, t.dtype)
            return t

        outputs = tree.map_structure(own, outputs)
        node = SymbolicNode(self, args, kwargs, outputs)
        for i, tensor in enumerate(node.output_tensors):
            if not isinstance(tensor, KerasTensor):
                continue  # e.g. a size
            tensor._keras_history = KerasHistory(self, len(self._inbound_nodes), i)
        self._inbound_nodes.append(node)
        return outputs

    def _only_node(self, what: str) -> SymbolicNode:
        if len(self._inbound_nodes) != 1:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' was called symbolically "
                f"{len(self._inbound_nodes)} times, so it has no single {what}"
            )
        return self._inbound_nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic input, if the operation was called exactly once."""
        tensors = self._only_node("input").input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The symbolic output, if the operation was called exactly once."""
        return self._only_node("output").outputs


class _Scope(threading.local):
    depth: int = 0


_scope = _Scope()


@contextmanager
def inferring() -> Iterator[None]:
    """Run operations on symbolic tensors for their shapes only, recording nothing."""
    _scope.depth += 1
    try:
        yield
    finally:
        _scope.depth -= 1


@contextmanager
def connecting() -> Iterator[None]:
    """Record symbolic calls even while shapes are being inferred around this block."""
    before, _scope.depth = _scope.depth, 0
    try:
        yield
    finally:
        _scope.depth = before


def is_symbolic_scope() -> bool:
    """Tell whether this thread is inferring shapes."""
    return _scope.depth > 0


def any_symbolic(args: Any) -> bool:
    """Tell whether a symbolic tensor is among `args`, at any depth."""
    for x in args:
        if type(x) is KerasTensor:
            return True
        if isinstance(x, (list, tuple)):
            if any_symbolic(x):
                return True
        elif isinstance(x, dict) and any_symbolic(x.values()):
            return True
    return False
