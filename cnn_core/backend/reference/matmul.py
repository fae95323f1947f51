"""Matrix product with fused bias and activation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnn_core import shapes
from cnn_core.backend.reference import activations, elementwise, reductions
from cnn_core.backend.reference._common import Array, as_float, in_order, quiet

__all__ = [
    "bias_add",
    "bias_gradient",
    "matmul",
    "matmul_bias_gradient",
    "matmul_grad",
]


def _gelu_erf(x: Array) -> Array:
    return activations.gelu(x, approximate=False)


# The activations a matmul can apply to its result, all at their default parameters.
EPILOGUES: dict[str, Callable[[Array], Array]] = {
    "linear": as_float,
    "relu": activations.relu,
    "leaky_relu": activations.leaky_relu,
    "elu": activations.elu,
    "selu": activations.selu,
    "gelu": _gelu_erf,
    "gelu_tanh": activations.gelu,
    "silu": activations.silu,
    "sigmoid": activations.sigmoid,
    "hard_sigmoid": activations.hard_sigmoid,
    "tanh": activations.tanh,
    "softplus": activations.softplus,
    "softsign": activations.softsign,
    "exponential": elementwise.exp,
}


def _linear_grad(ct: Array, saved: Array) -> Array:
    return ct


def _gelu_erf_grad(ct: Array, x: Array) -> Array:
    return activations.gelu_grad(ct, x, approximate=False)


# Their gradients, from the cotangent and what the forward saved.
GRADIENTS: dict[str, Callable[..., Array]] = {
    "linear": _linear_grad,
    "relu": activations.relu_grad,
    "leaky_relu": activations.leaky_relu_grad,
    "elu": activations.elu_grad,
    "selu": activations.selu_grad,
    "gelu": _gelu_erf_grad,
    "gelu_tanh": activations.gelu_grad,
    "silu": activations.silu_grad,
    "sigmoid": activations.sigmoid_grad,
    "hard_sigmoid": activations.hard_sigmoid_grad,
    "tanh": activations.tanh_grad,
    "softplus": activations.softplus_grad,
    "softsign": activations.softsign_grad,
    "exponential": elementwise.multiply,
}


@quiet
@in_order
def matmul(
    a: Array,
    b: Array,
    bias: Array | None = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
    activation: str | None = None,
) -> Array:
    """Return activation(a @ b + bias).

    Args:
        a: array (..., M, K), or (..., K, M) with `transpose_a`.
        b: array (..., K, N), or (..., N, K) with `transpose_b`; the leading axes of
            `a` and `b` broadcast.
        bias: array (N,) to add, or None.
        transpose_a: whether the last two axes of `a` are swapped.
        transpose_b: whether the last two axes of `b` are swapped.
        activation: None, "linear" or the name of a function to apply; "gelu" is the
            erf form, "gelu_tanh" the approximation.

    Returns:
        Array (..., M, N).

    Raises:
        ValueError: if the shapes do not fit or the activation is unknown.
    """
    a, b = np.asarray(a), np.asarray(b)
    shapes.matmul(a.shape, b.shape, transpose_a, transpose_b)
    left = np.swapaxes(a, -1, -2) if transpose_a else a
    right = np.swapaxes(b, -1, -2) if transpose_b else b
    result = np.asarray(np.matmul(left, right))
    if bias is not None:
        result = bias_add(result, bias)
    if activation is None or activation == "linear":
        return result
    epilogue = EPILOGUES.get(activation)
    if epilogue is None:
        raise shapes.unknown_name("activation", activation, list(EPILOGUES))
    return epilogue(result)


@quiet
def matmul_grad(
    a: Array,
    b: Array,
    saved: Array,
    activation: str,
    parameter: float | None = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Array:
    """Return the gradient of an activation whose output has the cotangent a @ b.

    Args:
        a: array (..., M, K), or (..., K, M) with `transpose_a`.
        b: array (..., K, N), or (..., N, K) with `transpose_b`.
        saved: array (..., M, N): the output or the input of the activation, whichever
            its gradient function takes; the output of "exponential".
        activation: a name that `matmul` takes.
        parameter: the slope of "leaky_relu" or the alpha of "elu", None for the
            default of the gradient function.
        transpose_a: whether the last two axes of `a` are swapped.
        transpose_b: whether the last two axes of `b` are swapped.

    Returns:
        Array (..., M, N).

    Raises:
        ValueError: if the shapes do not fit or the activation is unknown.
    """
    gradient = GRADIENTS.get(activation)
    if gradient is None:
        raise shapes.unknown_name("activation", activation, list(GRADIENTS))
    ct = matmul(a, b, None, transpose_a, transpose_b)
    if np.shape(saved) != ct.shape:
        raise ValueError(
            f"matmul_grad: expected saved to have the shape {ct.shape} of the product, "
            f"got shape {np.shape(saved)}"
        )
    if activation in ("leaky_relu", "elu") and parameter is not None:
        return gradient(ct, saved, parameter)
    return gradient(ct, saved)


def matmul_bias_gradient(
    a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False
) -> tuple[Array, Array]:
    """Return a @ b and the bias gradient of b.

    With the input of a dense layer as `a` (transposed) and the cotangent of its output
    as `b`, these are the gradients of its kernel and of its bias.

    Args:
        a: array (M, K), or (K, M) with `transpose_a`.
        b: array (K, N), or (N, K) with `transpose_b`.
        transpose_a: whether `a` is transposed.
        transpose_b: whether `b` is transposed.

    Returns:
        Array (M, N) and array (N,), the sums over K.

    Raises:
        ValueError: if the shapes do not fit.
    """
    product = matmul(a, b, None, transpose_a, transpose_b)
    if product.ndim != 2:
        raise ValueError(
            "matmul_bias_gradient: expected two matrices, got shapes "
            f"{np.shape(a)} and {np.shape(b)}"
        )
    return product, bias_gradient(np.swapaxes(b, 0, 1) if transpose_b else b)


@quiet
def bias_add(x: Array, bias: Array) -> Array:
    """Add a bias to every row.

    Args:
        x: array (..., N).
        bias: array (N,).

    Returns:
        Array (..., N).

    Raises:
        ValueError: if the bias does not have the length of the last axis.
    """
    x, bias = np.asarray(x), np.asarray(bias)
    if x.ndim < 1 or bias.shape != x.shape[-1:]:
        expected = x.shape[-1:] if x.ndim else "(N,) and x of shape (..., N)"
        raise ValueError(
            f"bias_add: expected a bias of shape {expected}, got a bias of shape "
            f"{bias.shape} for x of shape {x.shape}"
        )
    return np.asarray(np.add(x, bias))


@quiet
@in_order
def bias_gradient(ct: Array) -> Array:
    """Return the gradient of `bias_add` for the bias: the sum of all rows.

    Args:
        ct: cotangent (..., N).

    Returns:
        Array (N,).
    """
    ct = np.asarray(ct)
    return reductions.sum(ct, axis=tuple(range(ct.ndim - 1)))
