"""How often predictions are right."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import config, ops, shapes
from ..losses.base import mismatch, squeeze_or_expand_to_same_rank
from ..serialization import builtin
from .reduction import FunctionMetric


def _matches(name: str, y_true: Any, y_pred: Any) -> Any:
    try:
        shapes.broadcast(y_true.shape, y_pred.shape)
    except ValueError:
        raise mismatch(name, y_true, y_pred) from None
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where targets equal predictions, 0 elsewhere, element by element."""
    y_true, y_pred = squeeze_or_expand_to_same_rank(
        ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    )
    return _matches("accuracy", y_true, y_pred)


builtin("keras.metrics")(accuracy)


@builtin("keras.metrics")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where `y_pred > threshold` agrees with the label, element by element.

    Args:
        y_true: labels 0 and 1, shape (batch, ...).
        y_pred: scores of the same shape.
        threshold: scores above it predict 1.

    Returns:
        Zeros and ones of the same shape.
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(
        ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    )
    if y_true.dtype == "bool":
        y_true = ops.cast(y_true, "int32")
    predicted = ops.cast(ops.greater(y_pred, threshold), y_true.dtype)
    return _matches("binary_accuracy", y_true, predicted)


def _agree(name: str, y_true: Any, y_pred: Any) -> Any:
    """Compare class indices with the largest score."""
    column = len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1
    if column:
        y_true = ops.squeeze(y_true, -1)
    predicted = ops.argmax(y_pred, axis=-1)
    return _matches(name, y_true, predicted)


@builtin("keras.metrics")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest score is that of the right class.

    Args:
        y_true: one-hot labels, shape (batch, ..., classes).
        y_pred: scores of the same shape.

    Returns:
        Zeros and ones of shape (batch, ...).
    """
    y_true = ops.argmax(ops.convert_to_tensor(y_true), axis=-1)
    return _agree("categorical_accuracy", y_true, ops.convert_to_tensor(y_pred))


@builtin("keras.metrics")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest score is that of the right class.

    Args:
        y_true: class indices, shape (batch, ...) or with a last axis of size 1.
        y_pred: scores, shape (batch, ..., classes).

    Returns:
        Zeros and ones of shape (batch, ...).
    """
    matches = _agree(
        "sparse_categorical_accuracy",
        ops.convert_to_tensor(y_true),
        ops.convert_to_tensor(y_pred),
    )
    if len(matches.shape) > 1 and matches.shape[-1] == 1:
        matches = ops.squeeze(matches, -1)
    return matches


def _in_top_k(y_true: Any, y_pred: Any, k: int, from_sorted_ids: bool = False) -> Any:
    shape = y_true.shape
    if len(y_pred.shape) > 2:
        y_pred = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    if len(shape) > 1:
        y_true = ops.reshape(y_true, (-1,))
    if y_true.shape[0] != y_pred.shape[0] and None not in (
        y_true.shape[0],
        y_pred.shape[0],
    ):
        raise mismatch("top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        found = ops.equal(ops.expand_dims(y_true, 1), y_pred[:, :k])
        matches = ops.any(found, axis=1)
    else:
        matches = ops.in_top_k(ops.cast(y_true, "int32"), y_pred, k=k)
    matches = ops.cast(matches, config.floatx())
    return ops.reshape(matches, shape) if len(shape) > 1 else matches


@builtin("keras.metrics")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the right class has one of the `k` largest scores.

    Args:
        y_true: one-hot labels, shape (batch, ..., classes).
        y_pred: scores of the same shape.
        k: how many scores count.

    Returns:
        Zeros and ones of shape (batch, ...).
    """
    y_true = ops.argmax(ops.convert_to_tensor(y_true), axis=-1)
    return _in_top_k(y_true, ops.convert_to_tensor(y_pred), k)


@builtin("keras.metrics")
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where the right class has one of the `k` largest scores.

    Args:
        y_true: class indices, shape (batch, ...).
        y_pred: scores, shape (batch, ..., classes); with `from_sorted_ids` class
            indices, the best first.
        k: how many scores count.
        from_sorted_ids: what `y_pred` holds.

    Returns:
        Zeros and ones of the shape of `y_true`.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return _in_top_k(y_true, y_pred, k, from_sorted_ids)


@builtin("keras.metrics")
class Accuracy(FunctionMetric):
    """How often predictions equal labels.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@builtin("keras.metrics")
class BinaryAccuracy(FunctionMetric):
    """How often scores lie on the right side of a threshold.

    Args:
        name: name.
        dtype: see `Metric`.
        threshold: scores above it predict 1.
    """

    _direction = "up"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: Any = None,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@builtin("keras.metrics")
class CategoricalAccuracy(FunctionMetric):
    """How often the right class of a one-hot label has the largest score.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@builtin("keras.metrics")
class SparseCategoricalAccuracy(FunctionMetric):
    """How often the right class, given by its index, has the largest score.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@builtin("keras.metrics")
class TopKCategoricalAccuracy(FunctionMetric):
    """How often the right class of a one-hot label is among the `k` best.

    Args:
        k: how many scores count.
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: Any = None,
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@builtin("keras.metrics")
class SparseTopKCategoricalAccuracy(FunctionMetric):
    """How often the right class, given by its index, is among the `k` best.

    Args:
        k: how many scores count.
        name: name.
        dtype: see `Metric`.
        from_sorted_ids: whether predictions are class indices, the best first.
    """

    _direction = "up"
    _optional: ClassVar[dict[str, Any]] = {"from_sorted_ids": False}

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=k,
            from_sorted_ids=from_sorted_ids,
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids
