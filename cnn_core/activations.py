"""Activation functions, by name or as functions of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .serialization import (
    builtin,
    deserialize_object,
    resolve,
    serialize_keras_object,
)

Activation = Callable[..., Any]


def relu(
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """Rectified linear unit, `max(x, 0)` with the default arguments.

    Args:
        x: tensor.
        negative_slope: slope below `threshold`.
        max_value: largest value returned; None for no limit.
        threshold: values at or below it count as negative.

    Returns:
        `x` above `threshold` (at most `max_value`), and
        `negative_slope * (x - threshold)` below.
    """
    plain = max_value is None and not threshold
    if plain and not negative_slope:
        return ops.relu(x)
    if plain:
        return ops.leaky_relu(x, negative_slope=negative_slope)
    if not negative_slope and max_value == 6 and not threshold:
        return ops.relu6(x)
    x = ops.convert_to_tensor(x)
    positive = ops.where(x > threshold, x, 0.0) if threshold else ops.relu(x)
    if max_value is not None:
        positive = ops.clip(positive, 0.0, max_value)
    if not negative_slope:
        return positive
    return positive - negative_slope * ops.relu(threshold - x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """`x` where positive, `negative_slope * x` elsewhere."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`."""
    return ops.relu6(x)


def softmax(x: Any, axis: Any = -1) -> Any:
    """`exp(x) / sum(exp(x))` along `axis`: non-negative values that sum to 1."""
    return ops.softmax(x, axis=axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Logarithm of `softmax`, accurate where the softmax is close to 0."""
    return ops.log_softmax(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    References:
        Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear
        Units (ELUs)", 2016.
    """
    return ops.elu(x, alpha=alpha)


def selu(x: Any) -> Any:
    """Scaled `elu`, whose constants keep activations at mean 0 and variance 1.

    References:
        Klambauer et al., "Self-Normalizing Neural Networks", 2017.
    """
    return ops.selu(x)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """`max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`."""
    return ops.celu(x, alpha=alpha)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x * P(X <= x)` for a standard normal `X`.

    Args:
        x: tensor.
        approximate: whether to use the formula with tanh.

    References:
        Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", 2016.
    """
    return ops.gelu(x, approximate=approximate)


def glu(x: Any, axis: int = -1) -> Any:
    """First half of `x` along `axis` times the sigmoid of its second half."""
    return ops.glu(x, axis=axis)


def silu(x: Any) -> Any:
    """`x * sigmoid(x)`, also called swish."""
    return ops.silu(x)


swish = silu


def hard_silu(x: Any) -> Any:
    """`x * hard_sigmoid(x)`, also called hard swish."""
    return ops.hard_silu(x)


hard_swish = hard_silu


def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`."""
    return ops.sigmoid(x)


def log_sigmoid(x: Any) -> Any:
    """Logarithm of the sigmoid."""
    return ops.log_sigmoid(x)


def sparse_sigmoid(x: Any) -> Any:
    """`(x + 1) / 2` between -1 and 1, 0 below and 1 above."""
    return ops.sparse_sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """`x / 6 + 0.5` between -3 and 3, 0 below and 1 above."""
    return ops.hard_sigmoid(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return ops.tanh(x)


def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`."""
    return ops.tanh_shrink(x)


def hard_tanh(x: Any) -> Any:
    """`x` limited to [-1, 1]."""
    return ops.hard_tanh(x)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` where its absolute value exceeds `threshold`, 0 elsewhere."""
    return ops.hard_shrink(x, threshold=threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards 0 by `threshold`, and 0 closer than that."""
    return ops.soft_shrink(x, threshold=threshold)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` where it exceeds `threshold`, `default_value` elsewhere."""
    return ops.threshold(x, threshold, default_value)


def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return ops.softplus(x)


def softsign(x: Any) -> Any:
    """`x / (1 + |x|)`."""
    return ops.softsign(x)


def sparse_plus(x: Any) -> Any:
    """0 below -1, `x` above 1, and `(x + 1)**2 / 4` in between."""
    return ops.sparse_plus(x)


def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x**2 + b)) / 2`."""
    return ops.squareplus(x, b=b)


def exponential(x: Any) -> Any:
    """`exp(x)`."""
    return ops.exp(x)


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`.

    References:
        Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019.
    """
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(ops.softplus(x))


def sparsemax(x: Any, axis: int = -1) -> Any:
    """Euclidean projection of `x` onto the probability simplex along `axis`.

    References:
        Martins and Astudillo, "From Softmax to Sparsemax", 2016.
    """
    return ops.sparsemax(x, axis)


_FUNCTIONS: tuple[Activation, ...] = (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
_BY_NAME: dict[str, Activation] = {f.__name__: f for f in _FUNCTIONS}
_BY_NAME.update(swish=silu, hard_swish=hard_silu)
for _function in _FUNCTIONS:
    builtin("keras.activations")(_function)


def get(identifier: Any) -> Activation:
    """Return an activation function.

    Args:
        identifier: a name ("relu"), a function, a configuration, or None for `linear`.

    Raises:
        ValueError: for an unknown name.
        TypeError: for something that cannot be called.
    """
    if identifier is None:
        return linear
    result: Activation = resolve("activation function", identifier, _BY_NAME)
    return result


def serialize(activation: Activation) -> Any:
    """Return the name of a built-in function, the configuration of anything else."""
    name = getattr(activation, "__name__", None)
    if name is not None and _BY_NAME.get(name) is activation:
        return name
    return serialize_keras_object(activation)


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None
) -> Activation:
    """Return the activation function that `serialize` described."""
    result: Activation = deserialize_object(
        "activation function", config, _BY_NAME, custom_objects
    )
    return result
