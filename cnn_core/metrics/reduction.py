"""Running sums and means, and metrics that are the mean of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import ops
from ..losses.base import apply_mask, squeeze_or_expand_to_same_rank
from ..serialization import (
    builtin,
    deserialize_keras_object,
    serialize_keras_object,
)
from .base import Metric


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce_fn: Callable[..., Any], dtype: str
) -> tuple[Any, Any]:
    """Reduce weighted values, and their weights, to one per sample.

    Args:
        values: tensor of shape (batch, ...).
        sample_weight: weights of the leading axes of `values`, or None.
        reduce_fn: `ops.mean` or `ops.sum`.
        dtype: dtype to compute in.

    Returns:
        Values and weights (or None) of shape (batch,).

    Raises:
        ValueError: if the weights do not fit.
    """
    mask = getattr(values, "_keras_mask", None)
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = apply_mask(sample_weight, mask, dtype, "sum")
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        rank = len(sample_weight.shape)
        if len(values.shape) > rank:
            values = reduce_fn(values, axis=tuple(range(rank, len(values.shape))))
        if sample_weight.shape != values.shape:
            try:
                sample_weight = ops.broadcast_to(sample_weight, values.shape)
            except ValueError:
                raise ValueError(
                    f"expected sample_weight to broadcast to shape {values.shape}, "
                    f"got shape {sample_weight.shape}; give one weight per sample"
                ) from None
        values = values * sample_weight
        if rank > 1:
            sample_weight = reduce_fn(sample_weight, axis=tuple(range(1, rank)))
    if len(values.shape) > 1:
        values = reduce_fn(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


@builtin("keras.metrics")
class Sum(Metric):
    """Running sum of values.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values.

        Args:
            values: tensor of any shape.
            sample_weight: weights of the leading axes of `values`.
        """
        values, _ = reduce_to_samplewise_values(
            values, sample_weight, ops.sum, self.dtype
        )
        self.total.assign_add(ops.sum(values))

    def reset_state(self) -> None:
        """Set the state back to zeros."""
        self.total.assign(0)

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        return self.total.value


@builtin("keras.metrics")
class Mean(Metric):
    """Running weighted mean of values.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")
        self.count = self.add_variable((), "zeros", self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values.

        Args:
            values: tensor of shape (batch, ...); each sample counts with its mean.
            sample_weight: weights of the leading axes of `values`.
        """
        values, sample_weight = reduce_to_samplewise_values(
            values, sample_weight, ops.mean, self.dtype
        )
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        else:
            count = float(values.shape[0]) if values.shape else 1.0
        self.total.assign_add(ops.sum(values) if values.shape else values)
        self.count.assign_add(count)

    def reset_state(self) -> None:
        """Set the state back to zeros."""
        self.total.assign(0)
        self.count.assign(0)

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        return ops.divide_no_nan(self.total, self.count)


@builtin("keras.metrics")
class MeanMetricWrapper(Mean):
    """Running mean of a function of targets and predictions.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)` returns one value per sample.
        name: name.
        dtype: see `Metric`.
        **kwargs: passed on to `fn`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: one weight per sample, or None.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        sample_weight = apply_mask(sample_weight, mask, self.dtype, "sum")
        try:
            super().update_state(values, sample_weight)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__} '{self.name}': {error}") from None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        return {
            **super().get_config(),
            "fn": serialize_keras_object(self._fn),
            **serialize_keras_object(self._fn_kwargs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from `get_config()`'s result."""
        if "fn" in config:
            config = deserialize_keras_object(config)
        return cls(**config)


class FunctionMetric(MeanMetricWrapper):
    """Base of the built-in means, whose function is fixed by the class.

    Arguments in `_optional` appear in configurations where they differ from the
    default only.
    """

    _optional: ClassVar[dict[str, Any]] = {}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        arguments = {
            key: value
            for key, value in self._fn_kwargs.items()
            if key not in self._optional or self._optional[key] != value
        }
        return {**Metric.get_config(self), **arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from `get_config()`'s result."""
        return cls(**config)
