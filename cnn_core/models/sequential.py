"""Models that are a stack of layers."""

from __future__ import annotations

from typing import Any

from .. import naming, tree
from ..graph import KerasTensor, TensorLike
from ..graph.symbolic import NoValuesError, connecting
from ..layers import InputLayer, Layer
from ..layers.building import as_tuples
from ..layers.calls import is_shape
from ..serialization import (
    builtin,
    deserialize_keras_object,
    serialize_keras_object,
)
from .functional import Functional
from .model import Model


@builtin("keras")
class Sequential(Model):
    """A stack of layers, each called on the output of the one before.

    The weights are made when the shape of the input is known: at once if the first
    layer is an `Input` or has `input_shape=`, else when the model is first called.

    Args:
        layers: list of layers.
        trainable: whether the weights take part in training.
        name: name of the model.

    Raises:
        ValueError: for something that is not a layer, or two layers with one name.
    """

    _casts_inputs = False  # but to the dtype of the input, when the layers are known

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self._computes_mask = False  # only where a mask comes in
        self._stack: list[Layer] = []
        self._functional: Functional | None = None
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise ValueError(
                f"{self._who()}: expected a list of layers, got {layers!r}"
            )
        for layer in layers or []:
            self._append(layer)
        self._maybe_connect()

    # --- the stack ---

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Add a layer at the end.

        Args:
            layer: layer, or the symbolic tensor that `Input()` returns.
            rebuild: whether to connect the layers now.

        Raises:
            ValueError: if the layer has a name that is taken, or an Input comes late.
        """
        connected = self._functional
        self._append(layer)
        if not rebuild:
            return
        if connected is None:
            self._maybe_connect()
            return
        try:
            outputs = self._call_on(layer, connected.outputs[0])
        except BaseException:
            self._stack.pop()
            self._functional, self.built = connected, True
            raise
        self._connect(connected.inputs[0], outputs)

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor) and layer._keras_history is not None:
            operation = layer._keras_history.operation
            if isinstance(operation, InputLayer):
                layer = operation
        if not isinstance(layer, Layer):
            hint = ""
            if isinstance(layer, type):
                hint = "; it is a class: make an instance, with brackets"
            elif callable(layer) and not isinstance(layer, TensorLike):
                hint = "; use layers.Lambda for a function"
            raise ValueError(f"{self._who()}: expected a layer, got {layer!r}{hint}")
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError(
                f"{self._who()}: Input must be the first layer, there are "
                f"{len(self._stack)} before it"
            )
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f"{self._who()}: the name {layer.name!r} is used already; names of "
                "layers must be unique in a model"
            )
        if not self._stack and layer._batch_input_shape is not None:
            self._stack.append(
                InputLayer(
                    batch_shape=layer._batch_input_shape, dtype=layer.compute_dtype
                )
            )
        self._stack.append(layer)
        self.built, self._functional = False, None

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove and return the last layer.

        Raises:
            ValueError: if there is none.
        """
        if not self._stack:
            raise ValueError(f"{self._who()}: there is no layer to remove")
        layer = self._stack.pop()
        self.built, self._functional = False, None
        if rebuild and self.layers:
            self._maybe_connect()
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    # --- building ---

    def _maybe_connect(self) -> None:
        """Connect the layers if the first one tells the shape of the input."""
        if not self.layers:
            return
        first = self._stack[0]
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Functional) or (
            isinstance(first, Sequential) and first._functional is not None
        ):
            self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Connect the layers and make their weights.

        Args:
            input_shape: shape with the batch axis, e.g. (None, 784).

        Raises:
            ValueError: if there are no layers, or another shape was given before.
        """
        if not self._stack:
            raise ValueError(f"{self._who()}: cannot build a model without layers")
        if self._functional is not None:
            return
        first = self._stack[0]
        if not isinstance(first, InputLayer):
            if input_shape is None:
                raise ValueError(
                    f"{self._who()}: build() needs input_shape, since the first layer "
                    "is not an Input"
                )
            if not is_shape(input_shape):
                return  # several inputs: the first layer takes them as they come
            first = InputLayer(batch_shape=input_shape, dtype=first.compute_dtype)
        outputs = first.output
        try:
            with connecting():
                for layer in self.layers:
                    outputs = self._call_on(layer, outputs)
        except (NotImplementedError, NoValuesError):
            return  # a layer that computes with values only: run layer by layer
        if first is not self._stack[0]:
            self._stack.insert(0, first)
        self._connect(first.output, outputs)

    def _call_on(self, layer: Layer, inputs: KerasTensor) -> Any:
        outputs = layer(inputs)
        if len(tree.flatten(outputs)) != 1 and layer is not self._stack[-1]:
            raise ValueError(
                f"{self._who()}: every layer but the last must return one tensor, "
                f"{layer._who()} returns {len(tree.flatten(outputs))}"
            )
        return outputs

    def _connect(self, inputs: KerasTensor, outputs: Any) -> None:
        self._functional = Functional(inputs, outputs, name=self.name)
        self.built = True

    def _arranged(self, inputs: dict[str, Any]) -> Any:
        return (
            inputs if self._functional is None else self._functional._arranged(inputs)
        )

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Compute the output of the last layer.

        Args:
            inputs: input of the first layer.
            training: whether layers such as Dropout are in training mode.
            mask: mask of the inputs.
        """
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        if mask is not None:
            inputs._keras_mask = mask
        for layer in self.layers:
            inputs = layer(inputs, training=training)
        return inputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return None: the layers have put masks on their outputs already."""
        return None

    # --- structure ---

    def _connected(self, what: str) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"{self._who()} has no defined {what} yet: it was not built"
            )
        return self._functional

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return self._connected("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list."""
        return self._connected("outputs").outputs

    @property
    def input(self) -> Any:
        """The symbolic input."""
        return self._connected("input").input

    @property
    def output(self) -> Any:
        """The symbolic output."""
        return self._connected("output").output

    @property
    def input_shape(self) -> Any:
        """Shape of the input."""
        return self._connected("input_shape").input_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output."""
        return self._connected("output_shape").output_shape

    @property
    def input_names(self) -> list[str]:
        """Name of the input, in a list."""
        return self._connected("input_names").input_names

    @property
    def output_names(self) -> list[str]:
        """Name of the last layer, in a list."""
        return self._connected("output_names").output_names

    @property
    def input_spec(self) -> Any:
        """What the input must look like, once that is known."""
        functional = self.__dict__.get("_functional")
        return None if functional is None else functional.input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        if value is not None:
            raise AttributeError(f"{self._who()}: input_spec is that of the layers")

    # --- configuration ---

    def get_config(self) -> dict[str, Any]:
        """Return the layers' configurations."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
            "layers": [serialize_keras_object(layer) for layer in self._stack],
        }
        if self._functional is not None:
            config["build_input_shape"] = self._functional.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from `get_config()`."""
        if "layers" not in config:
            return super().from_config(config)
        model = cls(name=config.get("name") or naming.unique_name("sequential"))
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects), rebuild=False)
        model._maybe_connect()
        shape = config.get("build_input_shape")
        if shape is not None and not model.built and model.layers:
            model.build(as_tuples(shape))
        if config.get("trainable") is False:
            model.trainable = False
        return model
