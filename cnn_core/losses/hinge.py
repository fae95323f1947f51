"""Margin losses for labels -1 and 1, and for one-hot labels."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..serialization import builtin
from .base import FunctionLoss, as_pair


def _signed_labels(y_true: Any) -> Any:
    """Turn labels 0 and 1 into -1 and 1; leave others alone."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


@builtin("keras.losses")
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `max(1 - y_true * y_pred, 0)`.

    Args:
        y_true: labels -1 and 1, or 0 and 1, shape (batch, ..., n).
        y_pred: scores of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signed_labels(y_true) * y_pred, 0.0), axis=-1)


@builtin("keras.losses")
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `max(1 - y_true * y_pred, 0)**2`.

    Args:
        y_true: labels -1 and 1, or 0 and 1, shape (batch, ..., n).
        y_pred: scores of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("squared_hinge", y_true, y_pred)
    margin = ops.maximum(1.0 - _signed_labels(y_true) * y_pred, 0.0)
    return ops.mean(ops.square(margin), axis=-1)


@builtin("keras.losses")
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(best wrong score - score of the right class + 1, 0)`.

    Args:
        y_true: one-hot labels, shape (batch, ..., classes).
        y_pred: scores of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@builtin("keras.losses")
class Hinge(FunctionLoss):
    """Hinge loss.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


@builtin("keras.losses")
class SquaredHinge(FunctionLoss):
    """Squared hinge loss.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@builtin("keras.losses")
class CategoricalHinge(FunctionLoss):
    """Hinge loss for one-hot labels.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
