"""Small layers: identity, own functions, masking, rescaling, unit norm."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config, ops, tree
from ..graph import KerasTensor, inferring
from ..serialization import (
    builtin,
    deserialize_keras_object,
    serialize_keras_object,
)
from .base import Layer
from .calls import is_shape, map_shapes


@builtin("keras.layers")
class Identity(Layer):
    """Returns its inputs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return `inputs`."""
        return inputs


@builtin("keras.layers")
class Lambda(Layer):
    """A function of tensors as a layer.

    A model with a Python lambda cannot be saved; a named function that is registered
    with `register_keras_serializable` can, and so can a subclass of `Layer`.

    Args:
        function: function of the inputs; it is passed `mask` and `training` if it has
            such arguments.
        output_shape: shape of one sample of the output, or a function of the input
            shape. Needed only if `function` cannot be run on symbolic tensors.
        mask: mask of the outputs, or a function of inputs and mask that returns it.
        arguments: further keyword arguments of `function`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"{self._who()}: expected a function, got {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        try:
            takes: Any = inspect.signature(function).parameters
        except ValueError:  # a function written in C
            takes = ()
        self._takes = [name for name in ("mask", "training") if name in takes]

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """Return the function's value."""
        context = {"mask": mask, "training": training}
        return self.function(
            inputs, **self.arguments, **{name: context[name] for name in self._takes}
        )

    def compute_output_spec(
        self, inputs: Any, mask: Any = None, training: Any = None
    ) -> Any:
        """Return the symbolic outputs for symbolic inputs."""
        if self._output_shape is None:
            with inferring():
                return self.call(inputs, mask=mask, training=training)
        shape = self._output_shape
        input_shape = tree.map_structure(lambda t: t.shape, inputs)
        if callable(shape):
            found = shape(input_shape)
        else:
            batch = tree.flatten(inputs)[0].shape[0]
            found = map_shapes(lambda s: (batch, *s), shape)
        return map_shapes(lambda s: KerasTensor(s, self.compute_dtype), found)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the outputs."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = {**super().get_config(), "function": self.function}
        if self._output_shape is not None:
            config["output_shape"] = self._output_shape
        if self.mask is not None:
            config["mask"] = self.mask
        return {**config, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from `get_config()`.

        Raises:
            ValueError: if the function is a Python lambda from a file, or not known.
        """
        config = {k: deserialize_keras_object(v) for k, v in config.items()}
        if is_shape(config.get("output_shape")):
            config["output_shape"] = tuple(config["output_shape"])
        return cls(**config)


@builtin("keras.layers")
class Masking(Layer):
    """Masks the steps whose features all have one value, and sets them to 0.

    Args:
        mask_value: that value.

    Input shape:
        (batch, steps, features); the mask has the shape (batch, steps).
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = deserialize_keras_object(mask_value)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return `inputs` with masked steps set to 0, carrying the mask."""
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = ops.where(kept, inputs, 0)
        outputs._keras_mask = ops.squeeze(kept, axis=-1)
        return outputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return True for every step to keep."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "mask_value": serialize_keras_object(self.mask_value),
        }


@builtin("keras.layers")
class Rescaling(Layer):
    """`inputs * scale + offset`, in floating point.

    Args:
        scale: factor, or an array that broadcasts to the inputs.
        offset: what is added, likewise.
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        for name in ("scale", "offset"):
            if np.asarray(getattr(self, name)).dtype.kind not in "iuf":
                raise ValueError(
                    f"{self._who()}: expected {name} to be a number or an array, got "
                    f"{getattr(self, name)!r}"
                )
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the rescaled `inputs`."""
        dtype = self.compute_dtype
        scale: Any = np.asarray(self.scale, dtype)
        if scale.ndim and config.image_data_format() == "channels_first":
            scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
        return ops.cast(inputs, dtype) * scale + np.asarray(self.offset, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": serialize_keras_object(self.scale),
            "offset": serialize_keras_object(self.offset),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from `get_config()`."""
        return cls(
            **{
                k: deserialize_keras_object(v) if k in ("scale", "offset") else v
                for k, v in config.items()
            }
        )


@builtin("keras.layers")
class UnitNormalization(Layer):
    """Inputs divided by their Euclidean norm along `axis`.

    Args:
        axis: axis, or axes, that a norm runs over.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if not axes or not all(isinstance(a, int) for a in axes):
            raise TypeError(
                f"{self._who()}: expected axis to be an integer or a list of integers, "
                f"got {axis!r}"
            )
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return `inputs` with norm 1 along `axis`; norms below 1e-12 count as that."""
        squares = ops.sum(ops.square(inputs), axis=self.axis, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squares, 1e-24))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
