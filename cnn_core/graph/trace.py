"""Tracing: run a function on stand-ins for arrays and keep what it applied."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np

from .. import shapes, tree
from .errors import Scope
from .primitive import Primitive
from .tensor import Array, Tensor, recording
from .variable import Variable

_PACKAGE = str(Path(__file__).resolve().parents[1])


class TraceError(Exception):
    """A traced function looked at values that are known only when it runs."""


class Value:
    """Stands for an array while a function is traced: a shape and a dtype."""

    __slots__ = ("dtype", "ndim", "number", "shape", "size")

    def __init__(self, shape: tuple[int, ...], dtype: Any, number: int) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.number = number

    @property
    def nbytes(self) -> int:
        """Number of bytes that the array takes."""
        return self.size * int(self.dtype.itemsize)

    def __getattr__(self, name: str) -> Any:
        raise _values_wanted()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _values_wanted()

    def __bool__(self) -> bool:
        raise _values_wanted()

    def __index__(self) -> int:
        raise _values_wanted()

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"%{self.number}:{shapes.DTYPE_NAMES[self.dtype]}{list(self.shape)}"


def _values_wanted() -> TraceError:
    """Return the error that names the user's line which wanted values."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return TraceError(
        f'File "{frame.f_code.co_filename}", line {frame.f_lineno}, in '
        f"{frame.f_code.co_name}: a value is needed that only a running step has"
    )


Operand = Value | Array


class Call:
    """One application of a primitive in a graph.

    Attributes:
        name: that of the primitive.
        scope: the layer, loss or metric that applied it; None outside of them.
    """

    __slots__ = ("attrs", "inputs", "kernel", "name", "outputs", "primitive", "scope")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Operand, ...],
        attrs: dict[str, Any],
        outputs: tuple[Value, ...],
        scope: Scope | None = None,
    ) -> None:
        self.primitive = primitive
        self.name = primitive.name
        self.inputs = inputs
        self.attrs = attrs
        self.outputs = outputs
        self.scope = scope
        self.kernel: Any = False  # that of an elementwise call, once it was looked for

    def on(self, inputs: tuple[Operand, ...]) -> Call:
        """Return the same call on these inputs; itself if it has them already."""
        if all(map(is_, inputs, self.inputs)):
            return self
        return Call(self.primitive, inputs, self.attrs, self.outputs, self.scope)

    def __repr__(self) -> str:
        shown = [
            repr(x) if isinstance(x, Value) else f"const{list(x.shape)}"
            for x in self.inputs
        ]
        shown += [f"{k}={v}" for k, v in self.attrs.items()]
        outputs = ", ".join(map(repr, self.outputs))
        where = f"  # {self.scope[0]}" if self.scope else ""
        return f"{outputs} = {self.name}({', '.join(shown)}){where}"


class Graph:
    """A traced function: primitives in the order of computation.

    Attributes:
        inputs: the arguments, flat.
        calls: the primitives.
        outputs: the results, flat; arrays where they are constant.
        structure: nesting of the results.
        reads: for each variable, the value it has at the start.
        writes: for each assigned variable, the value it has at the end.
    """

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.calls: list[Call] = []
        self.outputs: list[Operand] = []
        self.structure: Any = None
        self.reads: dict[Variable, Value] = {}
        self.writes: dict[Variable, Operand] = {}

    def results(self) -> list[Value]:
        """Return the values that must be there at the end."""
        return [
            x for x in (*self.outputs, *self.writes.values()) if isinstance(x, Value)
        ]

    def replaced(self, calls: list[Call]) -> Graph:
        """Return the graph with other calls."""
        graph = Graph()
        graph.__dict__.update(self.__dict__)
        graph.calls = calls
        return graph


class Trace:
    """Collects a graph while a function runs.

    Attributes:
        scope: the innermost layer, loss or metric being called.
    """

    def __init__(self) -> None:
        self.graph = Graph()
        self.scope: Scope | None = None  # of the calls that come
        self._scopes: dict[int, Scope] = {}  # who made a value
        self._count = 0

    def new_value(self, shape: tuple[int, ...], dtype: Any) -> Value:
        """Return a new stand-in."""
        self._count += 1
        return Value(tuple(shape), dtype, self._count)

    def emit(
        self, primitive: Primitive, inputs: tuple[Tensor, ...], attrs: dict[str, Any]
    ) -> Any:
        """Record a primitive and return the stand-in of its result."""
        result = primitive.infer(*inputs, **attrs)
        specs = result if isinstance(result, list) else [result]
        outputs = tuple([self.new_value(*spec) for spec in specs])
        arrays = tuple([x._array for x in inputs])
        call = Call(primitive, arrays, attrs, outputs, self.scope)
        self.graph.calls.append(call)
        if self.scope is not None:
            for value in outputs:
                self._scopes[id(value)] = self.scope
        return outputs if isinstance(result, list) else outputs[0]

    def enter(self, value: Operand) -> Scope | None:
        """Let calls belong to whom made a value; return whom they belonged to."""
        outer = self.scope
        self.scope = self._scopes.get(id(value), outer)
        return outer

    def read(self, variable: Variable) -> Operand:
        """Return what a variable holds at this point of the function."""
        graph = self.graph
        if variable in graph.writes:
            return graph.writes[variable]
        if variable not in graph.reads:
            graph.reads[variable] = self.new_value(variable.shape, variable.dtype)
        return graph.reads[variable]

    def write(self, variable: Variable, array: Operand) -> None:
        """Note that a variable was assigned."""
        self.read(variable)  # a written variable has a slot, too
        self.graph.writes[variable] = array


def trace(function: Callable[..., Any], *specs: Any) -> Graph:
    """Return the graph of a function.

    Args:
        function: takes tensors and returns a structure of tensors.
        specs: for each argument a structure of `(shape, dtype)` pairs, as `Spec`.

    Raises:
        TraceError: if the function looks at values.
    """
    tracer = Trace()

    def enter(spec: Any) -> Any:
        if not isinstance(spec, Spec):
            return spec
        value = tracer.new_value(spec.shape, spec.dtype)
        tracer.graph.inputs.append(value)
        return Tensor(value)  # type: ignore[arg-type]

    leaves = [enter(spec) for spec in tree.flatten(list(specs))]
    arguments = tree.pack_sequence_as(list(specs), leaves)
    outer = recording.trace
    recording.trace = tracer
    try:
        results = function(*arguments)
    finally:
        recording.trace = outer
    graph = tracer.graph
    graph.structure = results
    graph.outputs = [
        x._array if isinstance(x, Tensor) else np.asarray(x)
        for x in tree.flatten(results)
        if x is not None
    ]
    return graph


class Spec:
    """Shape and dtype of an argument of a traced function."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
