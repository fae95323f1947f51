"""Means of regression errors, and the coefficient of determination."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import ops
from ..losses.base import as_pair, squeeze_or_expand_to_same_rank
from ..losses.regression import (
    cosine_similarity as negative_cosine_similarity,
)
from ..losses.regression import (
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from ..serialization import builtin
from .base import Metric
from .reduction import FunctionMetric, Mean


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Cosine of the angle between targets and predictions along `axis`."""
    return -negative_cosine_similarity(y_true, y_pred, axis=axis)


@builtin("keras.metrics")
class MeanSquaredError(FunctionMetric):
    """Mean squared error.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, name, dtype)


@builtin("keras.metrics")
class RootMeanSquaredError(Mean):
    """Square root of the mean squared error.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: targets.
            y_pred: predictions of the same shape.
            sample_weight: one weight per sample, or None.
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = as_pair("root_mean_squared_error", y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        return ops.sqrt(super().result())


@builtin("keras.metrics")
class MeanAbsoluteError(FunctionMetric):
    """Mean absolute error.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, name, dtype)


@builtin("keras.metrics")
class MeanAbsolutePercentageError(FunctionMetric):
    """Mean absolute error relative to the target, in per cent.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


@builtin("keras.metrics")
class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean squared difference of `log(1 + x)`.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


@builtin("keras.metrics")
class LogCoshError(FunctionMetric):
    """Mean logarithm of the hyperbolic cosine of the error.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)


@builtin("keras.metrics")
class CosineSimilarity(FunctionMetric):
    """Mean cosine of the angle between targets and predictions.

    Args:
        name: name.
        dtype: see `Metric`.
        axis: axis of the vectors.
    """

    _direction = "up"
    _optional: ClassVar[dict[str, Any]] = {"axis": -1}

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: Any = None,
        axis: int = -1,
    ) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@builtin("keras.metrics")
class R2Score(Metric):
    """Coefficient of determination: 1 minus residual over total sum of squares.

    Args:
        class_aggregation: how the scores of several outputs become one:
            "uniform_average", "variance_weighted_average", or None to return all.
        num_regressors: number of regressors, for the adjusted score; 0 for the plain
            one.
        name: name.
        dtype: see `Metric`.

    Raises:
        ValueError: if an argument is none of these.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(
                f"R2Score: expected class_aggregation among {_AGGREGATIONS}, got "
                f"{class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ValueError(
                f"R2Score: expected num_regressors >= 0, got {num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_variable((outputs,), name="squared_sum")
        self.sum = self.add_variable((outputs,), name="sum")
        self.total_mse = self.add_variable((outputs,), name="residual")
        self.count = self.add_variable((outputs,), name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: targets, shape (batch, outputs).
            y_pred: predictions of the same shape.
            sample_weight: one weight per sample, or None.
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if len(y_true.shape) != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"R2Score '{self.name}': expected y_true and y_pred of one shape "
                f"(batch, outputs), got {y_true.shape} and {y_pred.shape}"
            )
        if not self._built:
            self._build(y_pred.shape[-1])
        weight = ops.ones_like(y_true)
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            if len(sample_weight.shape) == 1:
                sample_weight = ops.expand_dims(sample_weight, 1)
            weight = weight * sample_weight
        weighted = y_true * weight
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        residual = ops.square(y_true - y_pred) * weight
        self.total_mse.assign_add(ops.sum(residual, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(float(y_true.shape[0] * y_true.shape[1]))

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        mean = self.sum / self.count
        total = self.squared_sum - self.sum * mean
        scores = 1.0 - self.total_mse / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.sum(total * scores) / ops.sum(total)
        else:
            score = scores
        if not self.num_regressors:
            return score
        # Without enough samples there is no adjusted score: the plain one stays.
        free = self.num_samples - 1.0 - float(self.num_regressors)
        adjusted = 1.0 - (1.0 - score) * (self.num_samples - 1.0) / ops.where(
            free > 0, free, 1.0
        )
        return ops.where(free > 0, adjusted, score)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
