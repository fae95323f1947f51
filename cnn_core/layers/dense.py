"""The densely connected layer."""

from __future__ import annotations

from typing import Any

from .. import activations, constraints, initializers, ops, regularizers, shapes
from ..ops.activations import FUSED
from ..ops.matmul import dense
from ..serialization import builtin
from .base import InputSpec, Layer, default
from .checks import positive_int

# Functions that the matrix product's kernel can apply itself, by identity.
_FUSED_NAMES: dict[int, str | None] = {id(activations.linear): None}
for _name in FUSED:
    _FUSED_NAMES[id(activations.get(_name))] = _name
    _FUSED_NAMES[id(getattr(ops, "exp" if _name == "exponential" else _name))] = _name


@builtin("keras.layers")
class Dense(Layer):
    """`activation(inputs @ kernel + bias)`.

    Args:
        units: size of the last axis of the output.
        activation: activation function or its name; None for none.
        use_bias: whether to add a bias.
        kernel_initializer: initializer of the kernel, or its name.
        bias_initializer: initializer of the bias, or its name.
        kernel_regularizer: regularizer of the kernel, or its name.
        bias_regularizer: regularizer of the bias, or its name.
        activity_regularizer: regularizer of the output, or its name.
        kernel_constraint: constraint of the kernel, or its name.
        bias_constraint: constraint of the bias, or its name.

    Input shape:
        (batch, ..., features): at least 2 dimensions.

    Output shape:
        (batch, ..., units).

    Attributes:
        kernel: weight of shape (features, units).
        bias: weight of shape (units,), or None.

    Raises:
        ValueError: for bad arguments, or inputs whose last axis is not the one that the
            kernel was built for.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        # Files of Keras hold these, None unless used.
        for extra in ("quantization_config", "lora_rank", "lora_alpha"):
            if kwargs.pop(extra, None) is not None:
                raise ValueError(
                    f"Dense: {extra} is not supported; kernels compute in float32"
                )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int(self, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: shapes.Shape) -> None:
        """Make the kernel and the bias."""
        features = self._features(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def _features(self, input_shape: Any) -> int:
        shape = shapes.standardize_shape(input_shape, f"{self._who()}: input shape")
        if len(shape) < 2 or shape[-1] is None:
            raise ValueError(
                f"{self._who()}: expected an input shape (batch, ..., features) with a "
                f"known last axis, got {shape}"
            )
        return shape[-1]

    def call(self, inputs: Any) -> Any:
        """Compute the output for `inputs` of shape (batch, ..., features)."""
        bias = self.bias
        if bias is not None:
            bias = bias.value
        activation = self.activation
        fused = _FUSED_NAMES.get(id(activation), "")
        if fused != "":
            return dense(inputs, self.kernel.value, bias, fused)
        return activation(dense(inputs, self.kernel.value, bias))

    @default
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, ..., units)."""
        features = self._features(input_shape)
        if self.built and features != self.kernel.shape[0]:
            raise ValueError(
                f"{self._who()}: expected input with last axis {self.kernel.shape[0]}, "
                f"got shape {tuple(input_shape)}"
            )
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
