"""The base class of models: a layer that can be trained, saved and summarized."""

from __future__ import annotations

import json
from typing import Any

from .. import shapes
from ..graph import KerasTensor, inferring
from ..layers import Layer
from ..layers.base import default
from ..layers.calls import map_shapes
from ..serialization import builtin, deserialize_keras_object, serialize_keras_object
from .arguments import one_batch
from .native_calls import NativeCalls, supports
from .trainer import Trainer


@builtin("keras")
class Model(Trainer, Layer):
    """A layer with `compile`, `fit`, `evaluate`, `predict`, `save` and `summary`.

    There are three ways to make one: `Model(inputs, outputs)` from symbolic tensors,
    `Sequential`, or a subclass with layers as attributes and a `call` method.

    Args:
        inputs: symbolic inputs: a tensor, or a list or dictionary of them.
        outputs: symbolic outputs, likewise.
        name: name of the model.
    """

    _calls: Any = None  # its `NativeCalls`, or False if it has none

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a `Functional` for `Model(inputs, outputs)`."""
        if cls is Model and _from_tensors(args, kwargs):
            from .functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _from_tensors(args, kwargs):  # a subclass that is made of symbolic tensors
            from .functional import Functional

            _put_below(type(self), Functional)
            made: Any = Functional
            made.__init__(self, *args, **kwargs)
            return
        if args:
            raise TypeError(
                f"{type(self).__name__}: expected inputs and outputs, or keyword "
                f"arguments only, got {args!r}"
            )
        Layer.__init__(self, **kwargs)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the model, not those inside them."""
        return self._layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer with a name or at a position.

        Raises:
            ValueError: if there is none, or not exactly one argument was given.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"{self._who()}: get_layer expected a name or an index, got "
                f"name={name!r}, index={index!r}"
            )
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(
                    f"{self._who()}: no layer {index}, there are {len(self.layers)}"
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise shapes.unknown_name(
            f"layer of {self._who()}", name, [layer.name for layer in self.layers]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs for tensors, arrays or symbolic tensors."""
        calls = self._calls
        if calls is None:
            calls = NativeCalls(self) if supports(self) else False
            self.__dict__["_calls"] = calls
        if calls and len(args) == 1:
            outputs = calls.run(self, args[0], kwargs)
            if outputs is not None:
                return outputs
        if args and isinstance(args[0], dict):
            args = (self._arranged(args[0]), *args[1:])
        return super().__call__(*args, **kwargs)

    def _arranged(self, inputs: dict[str, Any]) -> Any:
        """Return a dictionary of inputs as `call` takes it."""
        return inputs

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses write this with layers and operations."""
        raise NotImplementedError(
            f"{type(self).__name__}: implement call() in the subclass, or use "
            "Model(inputs, outputs)"
        )

    @default
    def build(self, input_shape: Any = None) -> None:
        """Make the weights for a given input shape, by a symbolic call.

        Args:
            input_shape: shape with the batch axis, e.g. (None, 784), or a list or
                dictionary of such shapes.
        """
        self._build_symbolically(input_shape)

    def _build_symbolically(self, shape: Any) -> None:
        """Call the model on symbols of one shape, or of shapes `x_shape` by name."""
        if self.built or shape is None:
            return
        inputs = map_shapes(lambda s: KerasTensor(s, self.compute_dtype), shape)
        by_argument = isinstance(shape, dict) and all(
            isinstance(k, str) and k.endswith("_shape") for k in shape
        )
        try:
            with inferring():
                if by_argument:
                    self(**{k.removesuffix("_shape"): v for k, v in inputs.items()})
                else:
                    self(inputs)
        except Exception:
            self.built = False
            raise

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes of `get_build_config()`."""
        if type(self).build is not Model.build:
            super().build_from_config(config)
        elif config:
            self._build_symbolically(
                config.get("input_shape", config.get("shapes_dict"))
            )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers with their output shapes and parameters.

        Args:
            line_length: width of the table.
            positions: relative positions of the columns.
            print_fn: called with the text instead of printing it.
            expand_nested: whether to show layers inside models.
            show_trainable: whether to show which layers are trained.
            layer_range: names of the first and the last layer to show.
        """
        from ..utils.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    def explain(self, x: Any = None, y: Any = None, sample_weight: Any = None) -> str:
        """Return how a step runs natively: its memory, instructions, shapes and chains.

        The sum of its bytes is the peak memory of a step beside the data and the small
        workspace of the kernels: weights, optimizer state, and temporaries, which share
        one block. `print(model.explain())` after `fit`, `evaluate` or `predict` shows
        the step that ran last. For a batch, the step it would take is traced, but not
        run.

        Args:
            x: inputs of one batch, as for `train_on_batch`; the latest step by default.
            y: targets; with them the training step is shown if the model is compiled,
                without them that of `predict`.
            sample_weight: weights.

        Raises:
            ValueError: if no step has run natively, or the one for the batch cannot.
        """
        programs = self._step_programs()
        found = programs.latest()
        if x is not None:
            step = "predict_step" if y is None or not self.compiled else "train_step"
            batch = self._explained_batch(x, y, sample_weight, step)
            program = programs.find(self, step, batch)
            found = None if program is None else (step, program)
        if found is None:
            raise ValueError(
                f"{self._who()}: explain found no native step; "
                + (
                    "the one for this batch runs operation by operation"
                    if x is not None
                    else "call fit, evaluate or predict before, or give a batch"
                )
            )
        optimizer = self.optimizer
        kinds = {
            "weights": self.weights,
            "optimizer": [] if optimizer is None else optimizer.variables,
        }
        return f"{found[0]} of {self._who()}: {found[1].explain(kinds)}"

    def _explained_batch(self, x: Any, y: Any, sample_weight: Any, step: str) -> Any:
        """Return a batch for a step, for which the model is built."""
        if step == "predict_step":
            batch = one_batch(x, None, None, "explain")
            if not self.built:
                self.predict_step(batch)
            return batch
        batch = one_batch(x, y, sample_weight, "explain")
        self._prepare(batch, step)
        return batch

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the model to a `.keras` file: structure, weights, optimizer.

        Args:
            filepath: path that ends in ".keras".
            overwrite: whether an existing file may be replaced.
        """
        from ..saving import save_model

        save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a `.weights.h5` file.

        Args:
            filepath: path that ends in ".weights.h5".
            overwrite: whether an existing file may be replaced.
        """
        from ..saving import save_weights

        save_weights(self, filepath, overwrite=overwrite)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Read weights from a `.weights.h5` or `.keras` file.

        Args:
            filepath: path of the file.
            skip_mismatch: whether to leave layers alone whose weights do not fit.
        """
        from ..saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Return the model's structure, without weights, as JSON."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from `get_config()`."""
        if cls is Model and "input_layers" in config:
            from .functional import Functional

            return Functional.from_config(config, custom_objects)
        return super().from_config(config)


def _from_tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return (
        len(args) >= 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _put_below(cls: type, functional: type) -> None:
    """Make a subclass of `Model` one of `Functional`, in place."""
    if issubclass(cls, functional):
        return
    for base in cls.__bases__:
        if base is not Model and issubclass(base, Model):
            _put_below(base, functional)
    cls.__bases__ = tuple(functional if b is Model else b for b in cls.__bases__)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """Make a model from the result of `to_json()`.

    Args:
        json_string: the text.
        custom_objects: own classes and functions by name.
    """
    return deserialize_keras_object(json.loads(json_string), custom_objects)
