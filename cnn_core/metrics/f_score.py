"""F-scores: harmonic means of precision and recall."""

from __future__ import annotations

from typing import Any

from .. import config as defaults
from .. import ops, shapes
from ..graph import Variable
from ..serialization import builtin
from .base import Metric

_AVERAGES = ("micro", "macro", "weighted")


@builtin("keras.metrics")
class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall.

    Args:
        average: how the scores of classes become one: "micro" (counts of all classes
            together), "macro" (plain mean), "weighted" (by the number of labels), or
            None to return all.
        beta: weight of recall, positive.
        threshold: scores above it predict the class; with None, the largest score
            does.
        name: name.
        dtype: see `Metric`.

    Raises:
        ValueError: if an argument is none of these.
    """

    _direction = "up"
    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable
    intermediate_weights: Variable

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        who = type(self).__name__
        if average is not None and average not in _AVERAGES:
            raise shapes.unknown_name(f"average of {who}", average, _AVERAGES)
        if not isinstance(beta, float) or not beta > 0:
            raise ValueError(f"{who}: expected beta to be a float > 0, got {beta!r}")
        if threshold is not None and not (
            isinstance(threshold, float) and 0 < threshold <= 1
        ):
            raise ValueError(
                f"{who}: expected threshold to be a float in (0, 1], got {threshold!r}"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in (
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ):
            setattr(self, name, self.add_variable(shape, dtype=self.dtype, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: labels 0 and 1, shape (batch, classes).
            y_pred: scores of the same shape.
            sample_weight: one weight per sample, or None.
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if len(y_pred.shape) != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': expected y_true and y_pred of "
                f"one shape (batch, classes), got {y_true.shape} and {y_pred.shape}"
            )
        if not self._built:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            largest = y_pred >= ops.max(y_pred, axis=-1, keepdims=True)
            chosen = ops.logical_and(largest, ops.absolute(y_pred) > 1e-9)
        else:
            chosen = y_pred > self.threshold
        y_pred = ops.cast(chosen, self.dtype)
        axis = None if self.average == "micro" else 0
        weight = None
        if sample_weight is not None:
            weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weight = ops.expand_dims(weight, 1) if len(weight.shape) == 1 else weight

        def add(variable: Variable, counted: Any) -> None:
            counted = counted if weight is None else counted * weight
            variable.assign_add(ops.sum(counted, axis=axis))

        add(self.true_positives, y_pred * y_true)
        add(self.false_positives, y_pred * (1.0 - y_true))
        add(self.false_negatives, (1.0 - y_pred) * y_true)
        add(self.intermediate_weights, y_true)

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        tiny = defaults.epsilon()
        tp = self.true_positives.value
        precision = tp / (tp + self.false_positives + tiny)
        recall = tp / (tp + self.false_negatives + tiny)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + tiny)
        score = score * (1.0 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return ops.sum(score * (weights / (ops.sum(weights) + tiny)))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@builtin("keras.metrics")
class F1Score(FBetaScore):
    """Harmonic mean of precision and recall.

    Args:
        average: "micro", "macro", "weighted" or None, see `FBetaScore`.
        threshold: scores above it predict the class; with None, the largest score
            does.
        name: name.
        dtype: see `Metric`.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        config = super().get_config()
        del config["beta"]
        return config
