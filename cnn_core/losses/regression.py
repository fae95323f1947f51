"""Losses for numbers: squared, absolute, relative and angular errors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import config, ops
from ..ops.losses import mean_squared_error as squared_error_rows
from ..serialization import builtin
from .base import FunctionLoss, as_pair


@builtin("keras.losses")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `(y_true - y_pred)**2`.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("mean_squared_error", y_true, y_pred)
    if y_true.shape == y_pred.shape:
        return squared_error_rows(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@builtin("keras.losses")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `|y_true - y_pred|`.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.absolute(y_true - y_pred), axis=-1)


@builtin("keras.losses")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean over the last axis of `|(y_true - y_pred) / y_true|`.

    Targets closer to 0 than `epsilon()` count as `epsilon()` in the denominator.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("mean_absolute_percentage_error", y_true, y_pred)
    scale = ops.maximum(ops.absolute(y_true), config.epsilon())
    return 100.0 * ops.mean(ops.absolute((y_true - y_pred) / scale), axis=-1)


@builtin("keras.losses")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Values below `epsilon()` count as `epsilon()`.

    Args:
        y_true: targets, shape (batch, ..., n), not negative.
        y_pred: predictions of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("mean_squared_logarithmic_error", y_true, y_pred)
    log_pred = ops.log(ops.maximum(y_pred, config.epsilon()) + 1.0)
    log_true = ops.log(ops.maximum(y_true, config.epsilon()) + 1.0)
    return ops.mean(ops.square(log_pred - log_true), axis=-1)


@builtin("keras.losses")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Mean over the last axis of an error that is quadratic up to `delta`, then linear.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.
        delta: where the quadratic part ends.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("huber", y_true, y_pred)
    error = ops.absolute(y_pred - y_true)
    linear = delta * error - 0.5 * delta * delta
    return ops.mean(ops.where(error <= delta, 0.5 * ops.square(error), linear), axis=-1)


@builtin("keras.losses")
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `log(cosh(y_pred - y_true))`.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


@builtin("keras.losses")
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between targets and predictions along `axis`.

    Args:
        y_true: targets, shape (batch, ..., n).
        y_pred: predictions of the same shape.
        axis: axis of the vectors.

    Returns:
        Values in [-1, 1], -1 for equal directions; `axis` is gone from the shape.
    """
    y_true, y_pred = as_pair("cosine_similarity", y_true, y_pred)
    product = ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis)
    return -ops.sum(product, axis=axis)


@builtin("keras.losses")
class MeanSquaredError(FunctionLoss):
    """Mean squared error.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@builtin("keras.losses")
class MeanAbsoluteError(FunctionLoss):
    """Mean absolute error.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@builtin("keras.losses")
class MeanAbsolutePercentageError(FunctionLoss):
    """Mean absolute error relative to the target, in per cent.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@builtin("keras.losses")
class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean squared difference of `log(1 + x)`.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@builtin("keras.losses")
class Huber(FunctionLoss):
    """Error that is quadratic up to `delta`, then linear.

    Args:
        delta: where the quadratic part ends.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    _optional: ClassVar[dict[str, Any]] = {"delta": 1.0}

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


@builtin("keras.losses")
class LogCosh(FunctionLoss):
    """Logarithm of the hyperbolic cosine of the error.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


@builtin("keras.losses")
class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle between targets and predictions.

    Args:
        axis: axis of the vectors.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    _optional: ClassVar[dict[str, Any]] = {"axis": -1}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
