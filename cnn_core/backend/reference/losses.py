"""Losses of samples and their gradients with respect to the output.

A sample is the last axis of `output`. Targets are not differentiated and may have
any dtype; the result has the dtype of `output`. Formulas and the clipping constant
are those of Keras 3.
"""

from __future__ import annotations

import numpy as np

from cnn_core.backend.reference import reductions
from cnn_core.backend.reference._common import Array, in_order, narrow, quiet, widen
from cnn_core.backend.reference.activations import log_softmax, sigmoid, softmax

__all__ = [
    "binary_crossentropy",
    "binary_crossentropy_grad",
    "binary_crossentropy_with_grad",
    "categorical_crossentropy",
    "categorical_crossentropy_grad",
    "categorical_crossentropy_with_grad",
    "mean_squared_error",
    "mean_squared_error_grad",
    "mean_squared_error_with_grad",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_grad",
    "sparse_categorical_crossentropy_with_grad",
]

# Probabilities are limited to [EPSILON, 1 - EPSILON] before a logarithm.
EPSILON = 1e-7


def _pair(who: str, target: Array, output: Array, rank: int) -> tuple[Array, Array]:
    """Check the shapes and return target and output in the computing dtype."""
    wide = widen(output)
    target = np.asarray(target, dtype=wide.dtype)
    if target.shape != wide.shape:
        raise ValueError(
            f"{who}: expected target and output of one shape, got target of shape "
            f"{target.shape} and output of shape {wide.shape}"
        )
    _check_rank(who, wide, rank)
    return target, wide


def _check_rank(who: str, output: Array, rank: int) -> None:
    if output.ndim < rank:
        raise ValueError(
            f"{who}: expected output with at least {rank} axis, got shape "
            f"{output.shape}; add an axis of length 1"
        )


@quiet
@in_order
def mean_squared_error(target: Array, output: Array) -> Array:
    """Return the mean of (output - target)**2 over the last axis.

    Args:
        target: array (..., N).
        output: array (..., N).

    Returns:
        Array (...).
    """
    target, wide = _pair("mean_squared_error", target, output, rank=1)
    error = reductions.mean(np.square(wide - target), axis=-1)
    return narrow(error, like=np.asarray(output))


@quiet
def mean_squared_error_grad(ct: Array, target: Array, output: Array) -> Array:
    """Return the gradient of `mean_squared_error` with respect to the output.

    Args:
        ct: cotangent (...).
        target: array (..., N).
        output: array (..., N).

    Returns:
        Array (..., N).
    """
    target, wide = _pair("mean_squared_error_grad", target, output, rank=1)
    row = np.asarray(ct)[..., np.newaxis] * wide.dtype.type(2.0) / wide.shape[-1]
    return narrow(row * (wide - target), like=np.asarray(output))


def mean_squared_error_with_grad(
    ct: Array, target: Array, output: Array
) -> tuple[Array, Array]:
    """Return `mean_squared_error` and its gradient.

    Args:
        ct: cotangent of the losses.
        target: as for `mean_squared_error`.
        output: as for `mean_squared_error`.

    Returns:
        The losses, and the gradient of the shape of `output`.
    """
    loss = mean_squared_error(target, output)
    return loss, mean_squared_error_grad(ct, target, output)


@quiet
def binary_crossentropy(
    target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return -(t log p + (1 - t) log(1 - p)) of every element.

    Args:
        target: array of any shape, usually of 0 and 1.
        output: array of the same shape: probabilities, or logits.
        from_logits: whether `output` holds logits.

    Returns:
        Array of the same shape (not reduced).
    """
    target, wide = _pair("binary_crossentropy", target, output, rank=0)
    if from_logits:
        loss = np.maximum(wide, 0) - wide * target + np.log1p(np.exp(-np.abs(wide)))
    else:
        p = np.clip(wide, EPSILON, 1.0 - EPSILON)
        loss = -(target * np.log(p) + (1.0 - target) * np.log(1.0 - p))
    return narrow(loss, like=np.asarray(output))


@quiet
def binary_crossentropy_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return the gradient of `binary_crossentropy` with respect to the output.

    Args:
        ct: cotangent of the shape of `output`.
        target: array of the same shape.
        output: array of the same shape.
        from_logits: whether `output` holds logits.

    Returns:
        Array of the same shape; 0 where a probability was clipped.
    """
    target, wide = _pair("binary_crossentropy_grad", target, output, rank=0)
    if from_logits:
        slope = sigmoid(wide) - target
    else:
        p = np.clip(wide, EPSILON, 1.0 - EPSILON)
        slope = np.where(p == wide, (1.0 - target) / (1.0 - p) - target / p, 0.0)
    return narrow(ct * slope, like=np.asarray(output))


def binary_crossentropy_with_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> tuple[Array, Array]:
    """Return `binary_crossentropy` and its gradient.

    Args:
        ct: cotangent of the losses.
        target: as for `binary_crossentropy`.
        output: as for `binary_crossentropy`.
        from_logits: whether `output` holds logits.

    Returns:
        The losses, and the gradient of the shape of `output`.
    """
    loss = binary_crossentropy(target, output, from_logits)
    return loss, binary_crossentropy_grad(ct, target, output, from_logits)


def _normalized(output: Array) -> tuple[Array, Array, Array]:
    """Return rows divided by their sums, the same clipped, and the sums."""
    total = np.sum(output, axis=-1, keepdims=True)
    p = output / total
    return p, np.clip(p, EPSILON, 1.0 - EPSILON), total


def _through_normalization(slope: Array, p: Array, q: Array, total: Array) -> Array:
    """Carry a gradient for the clipped row q back to the unnormalized row."""
    slope = np.where(p == q, slope, 0.0)
    mean = np.sum(slope * p, axis=-1, keepdims=True)
    return np.asarray((slope - mean) / total)


@quiet
@in_order
def categorical_crossentropy(
    target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return -sum(t log p) over the last axis.

    Probabilities are first divided by their sum, then clipped.

    Args:
        target: array (..., N) of class weights, usually one-hot.
        output: array (..., N): probabilities, or logits.
        from_logits: whether `output` holds logits.

    Returns:
        Array (...).
    """
    target, wide = _pair("categorical_crossentropy", target, output, rank=1)
    log_p = log_softmax(wide) if from_logits else np.log(_normalized(wide)[1])
    return narrow(-np.sum(target * log_p, axis=-1), like=np.asarray(output))


@quiet
@in_order
def categorical_crossentropy_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return the gradient of `categorical_crossentropy` with respect to the output.

    Args:
        ct: cotangent (...).
        target: array (..., N).
        output: array (..., N).
        from_logits: whether `output` holds logits.

    Returns:
        Array (..., N).
    """
    target, wide = _pair("categorical_crossentropy_grad", target, output, rank=1)
    if from_logits:
        slope = softmax(wide) * np.sum(target, axis=-1, keepdims=True) - target
    else:
        p, q, total = _normalized(wide)
        slope = _through_normalization(-target / q, p, q, total)
    return narrow(np.asarray(ct)[..., np.newaxis] * slope, like=np.asarray(output))


def categorical_crossentropy_with_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> tuple[Array, Array]:
    """Return `categorical_crossentropy` and its gradient.

    Args:
        ct: cotangent of the losses.
        target: as for `categorical_crossentropy`.
        output: as for `categorical_crossentropy`.
        from_logits: whether `output` holds logits.

    Returns:
        The losses, and the gradient of the shape of `output`.
    """
    loss = categorical_crossentropy(target, output, from_logits)
    return loss, categorical_crossentropy_grad(ct, target, output, from_logits)


def _labels(who: str, target: Array, output: Array) -> tuple[Array, Array, Array]:
    """Return labels (..., 1) made safe to index with, which are valid, and output."""
    wide = widen(output)
    _check_rank(who, wide, rank=1)
    label = np.asarray(target)
    if label.shape != wide.shape[:-1]:
        raise ValueError(
            f"{who}: expected one integer label per sample, target of shape "
            f"{wide.shape[:-1]} for output of shape {wide.shape}, got target of shape "
            f"{label.shape}"
        )
    label = label.astype(np.int64)[..., np.newaxis]
    valid = (label >= 0) & (label < wide.shape[-1])
    return np.where(valid, label, 0), valid, wide


@quiet
@in_order
def sparse_categorical_crossentropy(
    target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return -log p[label] of the last axis.

    Equals `categorical_crossentropy` with one-hot targets. A label outside [0, N)
    has an all-zero one-hot row, so its loss and gradient are 0.

    Args:
        target: integer labels (...).
        output: array (..., N): probabilities, or logits.
        from_logits: whether `output` holds logits.

    Returns:
        Array (...).
    """
    label, valid, wide = _labels("sparse_categorical_crossentropy", target, output)
    if wide.shape[-1] == 0:
        return np.zeros(wide.shape[:-1], dtype=np.asarray(output).dtype)
    log_p = log_softmax(wide) if from_logits else np.log(_normalized(wide)[1])
    loss = np.where(valid, -np.take_along_axis(log_p, label, axis=-1), 0.0)
    return narrow(loss[..., 0], like=np.asarray(output))


@quiet
@in_order
def sparse_categorical_crossentropy_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> Array:
    """Return the gradient of `sparse_categorical_crossentropy` for the output.

    Args:
        ct: cotangent (...).
        target: integer labels (...).
        output: array (..., N).
        from_logits: whether `output` holds logits.

    Returns:
        Array (..., N).
    """
    who = "sparse_categorical_crossentropy_grad"
    label, valid, wide = _labels(who, target, output)
    one_hot = (np.arange(wide.shape[-1]) == label) & valid
    if from_logits:
        slope = np.where(valid, softmax(wide) - one_hot, 0.0)
    else:
        p, q, total = _normalized(wide)
        slope = _through_normalization(np.where(one_hot, -1.0 / q, 0.0), p, q, total)
        slope = np.where(valid, slope, 0.0)
    return narrow(np.asarray(ct)[..., np.newaxis] * slope, like=np.asarray(output))


def sparse_categorical_crossentropy_with_grad(
    ct: Array, target: Array, output: Array, from_logits: bool = False
) -> tuple[Array, Array]:
    """Return `sparse_categorical_crossentropy` and its gradient.

    Args:
        ct: cotangent of the losses.
        target: as for `sparse_categorical_crossentropy`.
        output: as for `sparse_categorical_crossentropy`.
        from_logits: whether `output` holds logits.

    Returns:
        The losses, and the gradient of the shape of `output`.
    """
    loss = sparse_categorical_crossentropy(target, output, from_logits)
    return loss, sparse_categorical_crossentropy_grad(ct, target, output, from_logits)
