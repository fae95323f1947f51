"""Activation functions as layers."""

from __future__ import annotations

import math
from typing import Any

from .. import activations, constraints, initializers, ops, regularizers, shapes
from ..serialization import builtin
from .base import InputSpec, Layer, default
from .checks import number


@builtin("keras.layers")
class Activation(Layer):
    """An activation function, elementwise or along the last axis.

    Args:
        activation: function or its name, e.g. "relu".
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the function's value, of the shape of `inputs`."""
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "activation": activations.serialize(self.activation),
        }


@builtin("keras.layers")
class ReLU(Layer):
    """`max(inputs, 0)`, with options.

    Args:
        max_value: largest value of the output; None for no limit.
        negative_slope: slope below `threshold`.
        threshold: values at or below it count as negative.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            max_value = number(self, "max_value", max_value)
        self.max_value = max_value
        self.negative_slope = number(self, "negative_slope", negative_slope)
        self.threshold = number(self, "threshold", threshold)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the rectified `inputs`."""
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


@builtin("keras.layers")
class LeakyReLU(Layer):
    """`inputs` where positive, `negative_slope * inputs` elsewhere.

    Args:
        negative_slope: slope left of zero.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = number(self, "negative_slope", negative_slope)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the leaky rectified `inputs`."""
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


@builtin("keras.layers")
class PReLU(Layer):
    """Leaky rectifier whose slope, `alpha`, is a weight of the shape of one sample.

    Args:
        alpha_initializer: initializer of the slopes, or its name.
        alpha_regularizer: regularizer of the slopes, or its name.
        alpha_constraint: constraint of the slopes, or its name.
        shared_axes: axes, counted from 1, along which the slope is the same.

    References:
        He et al., "Delving Deep into Rectifiers", 2015.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is not None and not isinstance(shared_axes, (list, tuple)):
            shared_axes = [shared_axes]
        for axis in shared_axes or []:
            if not isinstance(axis, int) or axis < 1:
                raise ValueError(
                    f"{self._who()}: expected shared_axes to be axes counted from 1, "
                    f"got {shared_axes!r}"
                )
        self.shared_axes = None if shared_axes is None else list(shared_axes)
        self.supports_masking = True

    def build(self, input_shape: shapes.Shape) -> None:
        """Make the slopes."""
        shared = self.shared_axes or []
        if max(shared, default=0) >= len(input_shape):
            raise ValueError(
                f"{self._who()}: shared_axes {shared} need more dimensions than input "
                f"shape {input_shape} has"
            )
        sizes = [
            1 if axis in shared else size
            for axis, size in enumerate(input_shape)
            if axis
        ]
        self.alpha = self.add_weight(
            name="alpha",
            shape=sizes,
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = InputSpec(
            ndim=len(input_shape),
            axes={
                axis: size
                for axis, size in enumerate(input_shape)
                if axis and axis not in shared
            },
        )

    def call(self, inputs: Any) -> Any:
        """Return `max(inputs, 0) + alpha * min(inputs, 0)`."""
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)

    @default
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


@builtin("keras.layers")
class ELU(Layer):
    """`inputs` where positive, `alpha * (exp(inputs) - 1)` elsewhere.

    Args:
        alpha: the output for large negative inputs is `-alpha`.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number(self, "alpha", alpha, low=-math.inf)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the exponential linear unit of `inputs`."""
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha}


@builtin("keras.layers")
class Softmax(Layer):
    """`exp(inputs)`, normalized to sum 1 along `axis`.

    Args:
        axis: axis, or axes, whose elements sum to 1.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if not axes or not all(isinstance(a, int) for a in axes):
            raise ValueError(
                f"{self._who()}: expected axis to be an integer or a list of integers, "
                f"got {axis!r}"
            )
        self.axis = axis
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the probabilities.

        Args:
            inputs: logits.
            mask: booleans that broadcast to `inputs`; where False, the probability
                is 0.
        """
        if mask is None:
            return activations.softmax(inputs, axis=self.axis)
        fits = len(mask.shape) <= len(inputs.shape) and all(
            m in (1, None, i) or i is None
            for m, i in zip(mask.shape[::-1], inputs.shape[::-1], strict=False)
        )
        if not fits:
            raise ValueError(
                f"{self._who()}: expected a mask that broadcasts to the inputs of "
                f"shape {inputs.shape}, got shape {mask.shape}"
            )
        if mask.dtype != "bool":
            mask = mask > 0.5
        lowest = -3e4 if inputs.dtype == "float16" else -1e9
        outputs = activations.softmax(ops.where(mask, inputs, lowest), axis=self.axis)
        return ops.where(mask, outputs, 0.0)  # also where everything is masked

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
