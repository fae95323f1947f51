"""Models made of symbolic tensors: any directed acyclic graph of layers and ops."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..graph import KerasTensor, Operation, Tensor, TensorLike, as_tensor
from ..graph.symbolic import SymbolicNode
from ..layers import InputSpec, Layer
from ..layers.base import default
from ..layers.calls import context, training_scope
from ..ops import expand_dims, squeeze
from ..serialization import builtin, serialize_keras_object
from .graph_config import functional_from_config, is_get_item
from .model import Model
from .network import as_symbols, detached, history, trace_graph


class _Step:
    """One node of the graph, with its tensors as numbers of slots.

    Attributes:
        single: slot of the only argument, or -1 if there are others.
        outputs: slots that the outputs are put into.
        release: slots that no later step reads.
    """

    __slots__ = ("args", "kwargs", "operation", "outputs", "release", "single")

    def __init__(self, node: SymbolicNode, slots: dict[int, int]) -> None:
        def slot(x: Any) -> Any:
            return _Slot(slots[id(x)]) if isinstance(x, KerasTensor) else x

        self.operation: Any = node.operation
        self.args = tree.map_structure(slot, node.args)
        self.kwargs = tree.map_structure(slot, node.kwargs)
        only = len(node.args) == 1 and not node.kwargs
        self.single = (
            slots[id(node.args[0])]
            if only and isinstance(node.args[0], KerasTensor)
            else -1
        )
        self.outputs = [slots[id(t)] for t in node.output_tensors]
        self.release: list[int] = []

    def run(self, values: list[Any]) -> None:
        """Compute the outputs from the slots and put them into slots."""
        if self.single >= 0:
            result = self.operation(values[self.single])
        else:

            def fill(x: Any) -> Any:
                return values[x.number] if type(x) is _Slot else x

            result = self.operation(
                *tree.map_structure(fill, self.args),
                **tree.map_structure(fill, self.kwargs),
            )
        if len(self.outputs) == 1 and not tree.is_nested(result):
            values[self.outputs[0]] = result
        else:
            for slot, value in zip(self.outputs, tree.flatten(result), strict=True):
                values[slot] = value
        for slot in self.release:
            values[slot] = None


class _Slot:
    """Where a value stands in the arguments of a step."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


@builtin("keras.src.models.functional", "Functional")
class Functional(Model):
    """A model from symbolic inputs to symbolic outputs.

    Args:
        inputs: symbolic tensor, or a nested list, tuple or dictionary of them. One that
            a layer made is replaced by a new input.
        outputs: likewise, computed from the inputs.
        name: name of the model.

    Raises:
        ValueError: if the outputs depend on a tensor that is not among the inputs, or
            two layers have one name.
    """

    _casts_inputs = False  # but to the dtypes of the inputs, in `call`

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        trainable = kwargs.pop("trainable", None)
        super().__init__(name=name, **kwargs)
        self._computes_mask = False  # only where a mask comes in
        as_symbols(inputs, f"{self._who()}: inputs")
        as_symbols(outputs, f"{self._who()}: outputs")
        inputs, outputs = detached(inputs, outputs)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._inputs = tree.flatten(inputs)
        self._outputs = tree.flatten(outputs)
        if len({id(t) for t in self._inputs}) != len(self._inputs):
            raise ValueError(f"{self._who()}: an input was given twice")
        self._nodes, self._operations = trace_graph(self._inputs, self._outputs)
        counts = Counter(operation.name for operation in self._operations)
        for operation_name, count in counts.items():
            if count > 1:
                raise ValueError(
                    f"{self._who()}: the name {operation_name!r} is used {count} "
                    "times; names of layers must be unique in a model"
                )
        self._input_types = [np.dtype(t.dtype) for t in self._inputs]
        self._plan()
        self.input_spec = self._make_input_spec()
        self.built = True
        if trainable is not None:
            self.trainable = trainable

    def _plan(self) -> None:
        """Number the tensors and prepare the steps that compute the outputs."""
        slots: dict[int, int] = {}
        produced = [t for node in self._nodes for t in node.output_tensors]
        for tensor in (*self._inputs, *produced):
            slots.setdefault(id(tensor), len(slots))
        self._count = len(slots)
        self._steps = [_Step(node, slots) for node in self._nodes]
        kept = {slots[id(t)] for t in self._outputs}
        for step, node in reversed(list(zip(self._steps, self._nodes, strict=True))):
            used = {slots[id(t)] for t in node.input_tensors} | set(step.outputs)
            step.release = sorted(used - kept)
            kept |= used
        self._output_slots = [slots[id(t)] for t in self._outputs]

    def _make_input_spec(self) -> Any:
        names: list[str | None] = [None] * len(self._inputs)
        if isinstance(self._inputs_struct, dict):
            names = sorted(self._inputs_struct)
        specs = [
            InputSpec(
                shape=(None, *t.shape[1:]) if t.shape else (),
                allow_last_axis_squeeze=True,
                name=name,
                optional=getattr(history(t).operation, "optional", False),
            )
            for t, name in zip(self._inputs, names, strict=True)
        ]
        return specs[0] if isinstance(self._inputs_struct, KerasTensor) else specs

    # --- structure ---

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs."""
        return list(self._outputs)

    @property
    def input(self) -> Any:
        """The symbolic input, or the structure of inputs."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic output, or the structure of outputs."""
        return self._outputs_struct

    @property
    def operations(self) -> list[Operation]:
        """Layers and ops in the order of computation."""
        return list(self._operations)

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order of computation."""
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [t.name for t in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers or ops that make the outputs."""
        return [history(t).operation.name for t in self._outputs]

    @property
    def input_shape(self) -> Any:
        """Shape of the input, or shapes in the structure of the inputs."""
        return tree.map_structure(lambda t: t.shape, self._inputs_struct)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, or shapes in the structure of the outputs."""
        return tree.map_structure(lambda t: t.shape, self._outputs_struct)

    # --- computation ---

    @default
    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the layers were built when they were connected."""
        self.built = True

    def _arranged(self, inputs: dict[str, Any]) -> Any:
        """Put a dictionary of inputs into the structure of the model's inputs."""
        by_key = isinstance(self._inputs_struct, dict)
        names = list(self._inputs_struct) if by_key else self.input_names
        missing = [n for n in names if n not in inputs]
        if by_key:
            missing = [n for n in missing if not self._is_optional(n)]
        if missing:
            raise ValueError(
                f"{self._who()}: missing input {missing[0]!r}; got "
                f"{sorted(map(str, inputs))}"
            )
        unknown = [n for n in inputs if n not in names]
        if unknown:
            warnings.warn(
                f"{self._who()}: input(s) {unknown} are not used", stacklevel=4
            )
        if by_key:
            return {name: inputs.get(name) for name in names}
        return tree.pack_sequence_as(self._inputs_struct, [inputs[n] for n in names])

    def _is_optional(self, key: str) -> bool:
        tensor = self._inputs_struct[key]
        return bool(getattr(history(tensor).operation, "optional", False))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Compute the outputs.

        Args:
            inputs: tensors in the structure of the model's inputs.
            training: whether layers such as Dropout are in training mode.
            mask: masks of the inputs.
        """
        values: list[Any] = [None] * self._count
        values[: len(self._inputs)] = self._standardize(inputs, mask)
        if training is None or context.training is training:
            for step in self._steps:
                step.run(values)
        else:  # called without __call__
            with training_scope(training):
                for step in self._steps:
                    step.run(values)
        if isinstance(self._outputs_struct, KerasTensor):
            return values[self._output_slots[0]]
        return tree.pack_sequence_as(
            self._outputs_struct, [values[slot] for slot in self._output_slots]
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return None: the layers have put masks on their outputs already."""
        return None

    def _standardize(self, inputs: Any, mask: Any) -> list[Any]:
        """Return the inputs in order, each in the dtype and rank of its symbol."""
        if isinstance(inputs, dict):
            inputs = self._arranged(inputs)
        flat = tree.flatten(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(
                f"{self._who()}: expected {len(self._inputs)} input(s) "
                f"({', '.join(self.input_names)}), got {len(flat)}"
            )
        if mask is not None:
            for x, m in zip(flat, tree.flatten(mask), strict=True):
                if m is not None:
                    x._keras_mask = m
        return [
            x
            if type(x) is Tensor and x._array.dtype == kind and x.ndim == symbol.ndim
            else _fit(x, symbol)
            for x, symbol, kind in zip(
                flat, self._inputs, self._input_types, strict=True
            )
        ]

    # --- configuration ---

    @default
    def get_config(self) -> dict[str, Any]:
        """Return the layers and how they are connected."""
        if not _constructor_is_functional(type(self)):
            return super().get_config()
        return self._graph_config(serialize_keras_object)

    def _graph_config(
        self, describe: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the configuration, in which `describe` describes each layer."""
        numbers = {id(node): 0 for node in (*self._nodes, *self._input_nodes())}
        for operation in self._operations:
            known = [n for n in operation._inbound_nodes if id(n) in numbers]
            numbers.update({id(node): i for i, node in enumerate(known)})

        def place(tensor: KerasTensor) -> list[Any]:
            operation, index, position = history(tensor)
            node = operation._inbound_nodes[index]
            return [operation.name, numbers[id(node)], position]

        def end(tensor: KerasTensor) -> list[Any]:
            # Here, and only here, files count the making of a functional model as its
            # first call.
            name, number, position = place(tensor)
            made = isinstance(history(tensor).operation, Functional)
            return [name, number + made, position]

        layers = []
        for operation in self._operations:
            layer = describe(operation)
            layer["name"] = operation.name
            layer["inbound_nodes"] = [
                _node_config(node, place)
                for node in operation._inbound_nodes
                if id(node) in numbers and node.input_tensors
            ]
            layers.append(layer)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": tree.map_structure(end, self._inputs_struct),
            "output_layers": tree.map_structure(end, self._outputs_struct),
        }

    def _input_nodes(self) -> list[SymbolicNode]:
        return [history(t).operation._inbound_nodes[0] for t in self._inputs]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from `get_config()`."""
        if "layers" in config and "input_layers" in config:
            return functional_from_config(cls, config, custom_objects)
        return super().from_config(config)


def _node_config(node: SymbolicNode, place: Callable[[Any], Any]) -> dict[str, Any]:
    def describe(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(x.shape),
                "dtype": x.dtype,
                "keras_history": place(x),
            },
        }

    args = list(node.args)
    if is_get_item(node.operation):
        args[1:] = [_saved_key(key) for key in args[1:]]
    return {
        "args": serialize_keras_object(tree.map_structure(describe, args)),
        "kwargs": serialize_keras_object(tree.map_structure(describe, node.kwargs)),
    }


def _saved_key(key: Any) -> Any:
    """Return an index in which lists, which would be read as tuples, are arrays."""
    if isinstance(key, tuple):
        return tuple(_saved_key(k) for k in key)
    return np.array(key) if isinstance(key, list) else key


def _constructor_is_functional(cls: Any) -> bool:
    parameters = inspect.signature(cls.__init__).parameters
    names = [n for n in parameters if n != "self"]
    return names[:3] == ["inputs", "outputs", "name"] or names == ["args", "kwargs"]


def _fit(x: Any, symbol: KerasTensor) -> Any:
    """Cast a value to an input's dtype, and add or drop a last axis of size 1."""
    if x is None:
        return None
    if not isinstance(x, TensorLike):
        x = as_tensor(x)
    if x.dtype != symbol.dtype:
        mask = getattr(x, "_keras_mask", None)
        if isinstance(x, KerasTensor):
            x = KerasTensor(x.shape, symbol.dtype)
        else:
            x = as_tensor(x, symbol.dtype)
        if mask is not None:
            x._keras_mask = mask
    if x.ndim == symbol.ndim - 1 and symbol.shape[-1] == 1:
        return expand_dims(x, -1)
    if x.ndim == symbol.ndim + 1 and x.shape[-1] == 1:
        return squeeze(x, -1)
    return x
