"""The state of a layer: its variables and the layers, metrics and generators in it."""

from __future__ import annotations

from types import FunctionType, NoneType
from typing import Any, NamedTuple

import numpy as np

from .. import constraints, initializers, metrics, regularizers, shapes
from ..graph import KerasTensor, Operation, Tensor, Variable
from ..random import SeedGenerator

# Types of attributes that hold no state; looking into them would only cost time.
_PLAIN = frozenset(
    {NoneType, bool, int, float, str, FunctionType, Tensor, KerasTensor, np.ndarray}
)


# Types of values that cannot change: to set one to what it is, is no edit.
_VALUES = frozenset({NoneType, bool, int, float, str})


# Attributes that the training loop sets; no call reads them.
_OF_LOOPS = frozenset(
    {"history", "stop_training", "stop_evaluating", "stop_predicting", "_loss_serial"}
)


class Edits:
    """Counts the changes of attributes of all layers; each has the latest of its own.

    Attributes:
        latest: number of the latest change.
    """

    latest = 0


edits = Edits()


class _Other:
    """Stands for the types of attributes that hold no state."""


# Attributes in which state is not looked for.
_BOOKKEEPING = frozenset(
    {"_inbound_nodes", "_losses", "_auto_arguments", "_fixed", "_adjustable"}
    | {"_functional", "_inputs", "_outputs", "_inputs_struct", "_outputs_struct"}
    | {"_nodes", "_steps", "_trainer", "_build_shapes", "_compile_config", "input_spec"}
    | {"optimizer", "history", "loss", "dtype_policy", "_holding", "_calls"}
)


class Held(NamedTuple):
    """The stateful objects that the attributes of a layer hold, each once."""

    layers: list[Any]
    metrics: list[Any]
    generators: list[SeedGenerator]


class Stateful(Operation):
    """Keeps track of the variables and layers that are attributes of an object.

    They may also lie in lists, tuples and dictionaries. What `weights` and the other
    lists return follows the order in which the attributes were set.
    """

    _holding: list[Any] | None  # attributes that may hold state; None if not known
    _adjustable: list[Variable]  # own variables that were trainable when they came
    _fixed: list[Variable]  # the other own variables
    _edit: int  # number of the latest change of an attribute
    _trainable: bool = True
    _path: str
    built: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the lists that setting attributes fills."""
        instance = super().__new__(cls)
        instance.__dict__.update(_adjustable=[], _fixed=[], _holding=None, _edit=0)
        return instance

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__
        if _may_hold(value):
            held["_holding"] = None
        if name in held:
            old = held[name]
            if old is value and type(value) in _VALUES:
                return
            if _may_hold(old):
                held["_holding"] = None
            if isinstance(old, Variable) and old is not value:
                self._untrack(old)
            if type(value) not in _PLAIN:
                del held[name]  # the new value comes last in the order
        if isinstance(value, Variable):
            self._track(value)
        object.__setattr__(self, name, value)
        if name not in _OF_LOOPS:
            edits.latest = held["_edit"] = edits.latest + 1

    def __delattr__(self, name: str) -> None:
        value = self.__dict__.get(name)
        object.__delattr__(self, name)
        self.__dict__["_holding"] = None
        edits.latest = self.__dict__["_edit"] = edits.latest + 1
        if isinstance(value, Variable):
            self._untrack(value)

    def _track(self, variable: Variable) -> None:
        for known in (*self._adjustable, *self._fixed):
            if known is variable:
                return
        (self._adjustable if variable.trainable else self._fixed).append(variable)
        if not self._trainable:
            variable.trainable = False

    def _untrack(self, variable: Variable) -> None:
        for known in (self._adjustable, self._fixed):
            known[:] = [v for v in known if v is not variable]

    def _who(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    # --- looking into attributes ---

    def _held(self) -> Held:
        """Collect what the attributes hold, and track variables found in containers."""
        found = Held([], [], [])
        if not self._look():
            return found
        seen: set[int] = {id(self)}
        stack = self._look().copy()
        while stack:
            value = stack.pop()
            kind = _KINDS.get(type(value)) or _kind(type(value))
            if kind is _Other or id(value) in seen:
                continue
            seen.add(id(value))
            if kind is Stateful:
                found.layers.append(value)
            elif kind is Variable:
                self._track(value)
            elif kind is list:
                stack.extend(reversed(value))
            elif kind is dict:
                stack.extend(reversed(value.values()))
            elif kind is metrics.Metric:
                found.metrics.append(value)
            else:
                found.generators.append(value)
        return found

    def _look(self) -> list[Any]:
        """Return the attributes, last one first, that may hold more than a variable."""
        holding = self.__dict__.get("_holding")
        if holding is None:  # attributes were set since it was made
            holding = self.__dict__["_holding"] = [
                value
                for name, value in reversed(self.__dict__.items())
                if name not in _BOOKKEEPING
                and _may_hold(value)
                and not isinstance(value, Variable)  # tracked when it was set
            ]
        return holding

    @property
    def _layers(self) -> list[Any]:
        """Layers that attributes of this layer hold."""
        return self._held().layers

    @property
    def _own_variables(self) -> list[Variable]:
        """Variables of this layer itself, those made trainable first."""
        self._held()
        return self._adjustable + self._fixed

    def _flatten_layers(
        self, include_self: bool = True, recursive: bool = True
    ) -> list[Any]:
        """Return this layer and the layers in it, each once, parents first."""
        found: dict[int, Any] = {id(self): self}
        stack = self._layers[::-1]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                if recursive and layer._look():
                    stack.extend(reversed(layer._layers))
        return list(found.values())[0 if include_self else 1 :]

    # --- variables ---

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        name: str | None = None,
    ) -> Variable:
        """Make a weight of this layer.

        Args:
            shape: sizes; a bare integer is a vector's length, nothing a scalar.
            initializer: initializer or its name; by default "glorot_uniform" for
                floats and "zeros" for other dtypes.
            dtype: dtype; that of the layer by default.
            trainable: whether training changes the weight.
            autocast: accepted for compatibility.
            regularizer: regularizer or its name.
            constraint: constraint or its name.
            aggregation: accepted for compatibility.
            name: name of the weight.

        Raises:
            ValueError: if a size is unknown or a name is not known.
        """
        self._check_initialized()
        shape = shapes.standardize_shape(
            () if shape is None else shape, f"{self._who()}: add_weight"
        )
        if None in shape:
            raise ValueError(
                f"{self._who()}: add_weight needs every size, got {shape}; give the "
                "input a definite shape"
            )
        dtype = self.variable_dtype if dtype is None else shapes.dtype_name(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if shapes.is_float(dtype) else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self._path}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._track(variable)
        return variable

    @property
    def variable_dtype(self) -> str:
        """Dtype of the weights."""
        raise NotImplementedError

    def _check_initialized(self) -> None:
        if "built" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call super().__init__() first in __init__()"
            )

    @property
    def weights(self) -> list[Variable]:
        """All weights, without the state of metrics and random generators."""
        # Flattening has looked into every layer, so its lists are up to date.
        unique = {
            id(v): v
            for layer in self._flatten_layers()
            for variables in (layer._adjustable, layer._fixed)
            for v in variables
        }
        return list(unique.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that training changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that training leaves to the layer, or alone."""
        if not self.trainable:
            return self.weights
        return [v for v in self.weights if not v.trainable]

    @property
    def variables(self) -> list[Variable]:
        """Weights and the state of random generators."""
        found: dict[int, Variable] = {}
        for layer in self._flatten_layers():
            for variable in (*layer._adjustable, *layer._fixed):
                found.setdefault(id(variable), variable)
            for generator in layer._held().generators:
                found.setdefault(id(generator.state), generator.state)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that training changes."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Variables that gradients do not change."""
        if not self.trainable:
            return self.variables
        return [v for v in self.variables if not v.trainable]

    @property
    def metrics(self) -> list[Any]:
        """Metrics of this layer and the layers in it."""
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            if layer._look():
                found.update((id(m), m) for m in layer._held().metrics)
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """State of the metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether the weights take part in training; setting it reaches all in it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer._trainable = value
            for variable in layer._adjustable:
                variable.trainable = value

    # --- values ---

    def get_weights(self) -> list[Any]:
        """Return the weights as NumPy arrays."""
        return [np.array(v) for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Replace the weights by arrays in the order of `get_weights()`.

        Raises:
            ValueError: if their number or a shape does not fit; nothing changes then.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"{self._who()}: set_weights expected {len(own)} arrays, got "
                f"{len(weights)}"
                f"{'' if self.built else '; the layer has not been built yet'}"
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise ValueError(
                    f"{self._who()}: weight '{variable.path}' has shape "
                    f"{variable.shape}, got an array of shape {np.shape(value)}"
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Return the number of elements of all weights.

        Raises:
            ValueError: if the layer has not been built.
        """
        if not self.built:
            raise ValueError(
                f"{self._who()}: count_params needs a built layer; call build(), or "
                "call the layer on some data"
            )
        return sum(v.size for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Write the layer's own variables into a dictionary of arrays."""
        for i, variable in enumerate(self._own_variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the layer's own variables from a dictionary of arrays.

        Raises:
            ValueError: if their number or a shape does not fit.
        """
        own = self._own_variables
        if len(store.keys()) != len(own):
            hint = "" if self.built else "; it has not been built yet"
            raise ValueError(
                f"{self._who()} has {len(own)} variables, the file {len(store.keys())}"
                f"{hint}"
            )
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))


# What a type of attribute means to `_held`; found out once for each type, because
# every call of `fit` or `predict` looks through all attributes.
_KINDS: dict[type, type] = dict.fromkeys(_PLAIN, _Other)


def _kind(cls: type) -> type:
    """Return which of the types that hold state a type is, or `_Other`."""
    kinds = (Stateful, Variable, list, tuple, dict, metrics.Metric, SeedGenerator)
    found = next((kind for kind in kinds if issubclass(cls, kind)), _Other)
    _KINDS[cls] = list if found is tuple else found
    return _KINDS[cls]


def _may_hold(value: Any) -> bool:
    """Tell whether a value is state, or a container in which state may be."""
    return (_KINDS.get(type(value)) or _kind(type(value))) is not _Other
