"""Activation functions and their gradients.

A gradient takes the cotangent `ct` and what the forward pass kept: the output `y`
where the derivative follows from it, else the input `x`. All arguments of one call
have one shape, and the result has it too.
"""

from __future__ import annotations

import math

import numpy as np

from cnn_core.backend.reference._common import (
    Array,
    as_float,
    in_order,
    narrow,
    quiet,
    widen,
)
from cnn_core.backend.reference.elementwise import erf_float64

__all__ = [
    "elu",
    "elu_grad",
    "gelu",
    "gelu_grad",
    "hard_sigmoid",
    "hard_sigmoid_grad",
    "leaky_relu",
    "leaky_relu_grad",
    "log_softmax",
    "log_softmax_grad",
    "relu",
    "relu_grad",
    "selu",
    "selu_grad",
    "sigmoid",
    "sigmoid_grad",
    "silu",
    "silu_grad",
    "softmax",
    "softmax_grad",
    "softplus",
    "softplus_grad",
    "softsign",
    "softsign_grad",
    "tanh",
    "tanh_grad",
]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
_ONE_OVER_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_GELU_CUBIC = 0.044715


# Rectifiers: the derivative at zero is the one from the left.


@quiet
def relu(x: Array) -> Array:
    """Return max(x, 0); NaN stays NaN."""
    x = np.asarray(x)
    return np.asarray(np.maximum(x, x.dtype.type(0)))


@quiet
def relu_grad(ct: Array, y: Array) -> Array:
    """Return the gradient of `relu` from its output `y`."""
    return np.where(np.asarray(y) > 0, ct, np.zeros_like(ct))


@quiet
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """Return x where positive, `negative_slope * x` elsewhere."""
    x = as_float(x)
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


@quiet
def leaky_relu_grad(ct: Array, x: Array, negative_slope: float = 0.2) -> Array:
    """Return the gradient of `leaky_relu` from its input `x`."""
    ct = as_float(ct)
    return np.where(np.asarray(x) > 0, ct, ct * ct.dtype.type(negative_slope))


@quiet
def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where positive, `alpha * (exp(x) - 1)` elsewhere.

    References:
        Clevert et al., "Fast and accurate deep network learning by exponential
        linear units", ICLR 2016.
    """
    x = as_float(x)
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(x))


@quiet
def elu_grad(ct: Array, y: Array, alpha: float = 1.0) -> Array:
    """Return the gradient of `elu` from its output `y` (for alpha >= 0)."""
    ct = as_float(ct)
    y = as_float(y)
    return np.where(y > 0, ct, ct * (y + y.dtype.type(alpha)))


@quiet
def selu(x: Array) -> Array:
    """Return the scaled `elu` that keeps mean 0 and variance 1 through layers.

    References:
        Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """
    wide = widen(x)
    positive = SELU_SCALE * wide
    value = np.where(wide > 0, positive, SELU_SCALE * SELU_ALPHA * np.expm1(wide))
    return narrow(value, like=np.asarray(x))


@quiet
def selu_grad(ct: Array, y: Array) -> Array:
    """Return the gradient of `selu` from its output `y`."""
    wide = widen(y)
    slope = np.where(wide > 0, SELU_SCALE, wide + SELU_SCALE * SELU_ALPHA)
    return narrow(ct * slope, like=np.asarray(ct))


# Smooth gates.


@quiet
def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow for any x."""
    wide = widen(x)
    decay = np.exp(-np.abs(wide))
    value = np.where(wide >= 0, 1.0, decay) / (1.0 + decay)
    return narrow(value, like=np.asarray(x))


@quiet
def sigmoid_grad(ct: Array, y: Array) -> Array:
    """Return the gradient of `sigmoid` from its output `y`."""
    wide = widen(y)
    return narrow(ct * (wide * (1.0 - wide)), like=np.asarray(ct))


@quiet
def silu(x: Array) -> Array:
    """Return x * sigmoid(x), also known as swish."""
    wide = widen(x)
    return narrow(wide * sigmoid(wide), like=np.asarray(x))


@quiet
def silu_grad(ct: Array, x: Array) -> Array:
    """Return the gradient of `silu` from its input `x`."""
    wide = widen(x)
    gate = sigmoid(wide)
    slope = gate * (1.0 + wide * sigmoid(-wide))
    return narrow(ct * slope, like=np.asarray(ct))


@quiet
def hard_sigmoid(x: Array) -> Array:
    """Return x / 6 + 1/2 limited to [0, 1]."""
    wide = widen(x)
    return narrow(np.clip(wide / 6.0 + 0.5, 0.0, 1.0), like=np.asarray(x))


@quiet
def hard_sigmoid_grad(ct: Array, x: Array) -> Array:
    """Return the gradient of `hard_sigmoid` from its input: ct / 6 inside (-3, 3)."""
    ct = as_float(ct)
    return np.where(np.abs(x) < 3, np.divide(ct, ct.dtype.type(6)), np.zeros_like(ct))


@quiet
def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return np.asarray(np.tanh(as_float(x)))


@quiet
def tanh_grad(ct: Array, y: Array) -> Array:
    """Return the gradient of `tanh` from its output `y`."""
    wide = widen(y)
    return narrow(ct * (1.0 - wide * wide), like=np.asarray(ct))


@quiet
def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), without overflow for any x."""
    wide = widen(x)
    return narrow(np.logaddexp(wide, wide.dtype.type(0)), like=np.asarray(x))


@quiet
def softplus_grad(ct: Array, x: Array) -> Array:
    """Return the gradient of `softplus` from its input `x`."""
    return narrow(ct * sigmoid(widen(x)), like=np.asarray(ct))


@quiet
def softsign(x: Array) -> Array:
    """Return x / (1 + |x|)."""
    wide = widen(x)
    return narrow(wide / (1.0 + np.abs(wide)), like=np.asarray(x))


@quiet
def softsign_grad(ct: Array, x: Array) -> Array:
    """Return the gradient of `softsign` from its input `x`."""
    scale = 1.0 + np.abs(widen(x))
    return narrow(ct / (scale * scale), like=np.asarray(ct))


@quiet
def gelu(x: Array, approximate: bool = True) -> Array:
    """Return x times the standard normal distribution function of x.

    Args:
        x: float array of any shape.
        approximate: whether to use the paper's tanh formula instead of erf.

    Returns:
        Array of the shape of `x`.

    References:
        Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016.
    """
    if approximate:
        wide = widen(x)
        value = wide * sigmoid(_gelu_logit(wide))
    else:
        exact = np.asarray(x, dtype=np.float64)
        value = exact * _normal_distribution(exact)
    return narrow(value, like=np.asarray(x))


@quiet
def gelu_grad(ct: Array, x: Array, approximate: bool = True) -> Array:
    """Return the gradient of `gelu` from its input `x`."""
    if approximate:
        wide = widen(x)
        logit = _gelu_logit(wide)
        gate = sigmoid(logit)
        # Beyond 10 the gate is 0 or 1; without the limit 0 * inf would give NaN.
        near = np.clip(wide, -10.0, 10.0)
        logit_slope = 2.0 * _SQRT_2_OVER_PI * (1.0 + 3.0 * _GELU_CUBIC * near * near)
        slope = gate + near * gate * sigmoid(-logit) * logit_slope
    else:
        exact = np.asarray(x, dtype=np.float64)
        density = _ONE_OVER_SQRT_2PI * np.exp(-0.5 * exact * exact)
        slope = _normal_distribution(exact) + exact * density
    return narrow(ct * slope, like=np.asarray(ct))


def _gelu_logit(x: Array) -> Array:
    """Return 2u for the tanh formula: (1 + tanh u) / 2 is sigmoid(2u), uncancelled."""
    return np.asarray(2.0 * _SQRT_2_OVER_PI * (x + _GELU_CUBIC * x * x * x))


def _normal_distribution(x: Array) -> Array:
    """Return P(Z <= x) of a standard normal Z; erfc keeps the left tail accurate."""
    return 0.5 * erf_float64(-_SQRT_HALF * x, complement=True)


# Normalized exponentials along one axis.


@quiet
@in_order
def softmax(x: Array, axis: int = -1) -> Array:
    """Return exp(x) normalized to sum 1 along `axis`.

    Args:
        x: float array (..., n, ...).
        axis: the axis of length n.

    Returns:
        Array of the shape of `x`.
    """
    wide = widen(x)
    if wide.size == 0:
        return narrow(wide.copy(), like=np.asarray(x))
    weight = np.exp(wide - np.max(wide, axis=axis, keepdims=True))
    return narrow(weight / np.sum(weight, axis=axis, keepdims=True), np.asarray(x))


@quiet
@in_order
def softmax_grad(ct: Array, y: Array, axis: int = -1) -> Array:
    """Return the gradient of `softmax` from its output `y`."""
    wide_ct, wide_y = widen(ct), widen(y)
    mean = np.sum(wide_ct * wide_y, axis=axis, keepdims=True)
    return narrow(wide_y * (wide_ct - mean), like=np.asarray(ct))


@quiet
@in_order
def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return the logarithm of `softmax`, accurate where softmax underflows.

    Args:
        x: float array (..., n, ...).
        axis: the axis of length n.

    Returns:
        Array of the shape of `x`.
    """
    wide = widen(x)
    if wide.size == 0:
        return narrow(wide.copy(), like=np.asarray(x))
    shifted = wide - np.max(wide, axis=axis, keepdims=True)
    total = np.sum(np.exp(shifted), axis=axis, keepdims=True)
    return narrow(shifted - np.log(total), like=np.asarray(x))


@quiet
@in_order
def log_softmax_grad(ct: Array, y: Array, axis: int = -1) -> Array:
    """Return the gradient of `log_softmax` from its output `y`."""
    wide_ct = widen(ct)
    total = np.sum(wide_ct, axis=axis, keepdims=True)
    return narrow(wide_ct - np.exp(widen(y)) * total, like=np.asarray(ct))
