"""Areas under curves, and the best point of a curve under a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops, shapes
from ..graph import Variable
from ..serialization import builtin
from .base import Metric
from .confusion import count_decisions, threshold_list

_ALL_COUNTS = (
    ("tp", "true_positives"),
    ("fp", "false_positives"),
    ("tn", "true_negatives"),
    ("fn", "false_negatives"),
)
_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "minoring", "majoring")


class _CurveMetric(Metric):
    """Base of metrics that keep all four counts at many thresholds."""

    _direction = "up"
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for _, variable in _ALL_COUNTS:
            setattr(self, variable, self.add_variable(shape, name=variable))

    def _counts(self) -> dict[str, Variable]:
        return {kind: getattr(self, variable) for kind, variable in _ALL_COUNTS}

    def _rates(self) -> dict[str, Any]:
        """Return recall (sensitivity), specificity and precision by name."""
        tp, fp = self.true_positives, self.false_positives
        tn, fn = self.true_negatives, self.false_negatives
        return {
            "recall": ops.divide_no_nan(tp, tp + fn),
            "specificity": ops.divide_no_nan(tn, tn + fp),
            "precision": ops.divide_no_nan(tp, tp + fp),
        }


def _even_thresholds(count: int) -> list[float]:
    return [i / (count - 1) for i in range(1, count - 1)]


@builtin("keras.metrics")
class AUC(_CurveMetric):
    """Area under a curve, by a Riemann sum over thresholds.

    Args:
        num_thresholds: number of thresholds, at least 2; more are more accurate.
        curve: "ROC" (recall over false positive rate), "PR" (precision over recall) or
            "PRGAIN" (their gains over a classifier that is always positive).
        summation_method: "interpolation", "minoring" or "majoring". For the PR curve
            the first follows Davis and Goadrich.
        name: name.
        dtype: see `Metric`.
        thresholds: numbers in [0, 1] to use in place of evenly spaced ones.
        multi_label: whether to average over the areas of the entries of the last axis.
        num_labels: size of that axis, if the variables are to be made at once.
        label_weights: weights of the entries of the last axis.
        from_logits: whether predictions are logits.

    Raises:
        ValueError: if an argument is none of these.

    References:
        Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves",
        2006.
        Flach and Kull, "Precision-Recall-Gain Curves: PR Analysis Done Right", 2015.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        who = f"AUC '{self.name}'"
        if curve.upper() not in _CURVES:
            raise shapes.unknown_name("curve of AUC", curve, _CURVES)
        if summation_method.lower() not in _SUMMATIONS:
            raise shapes.unknown_name(
                "summation_method of AUC", summation_method, _SUMMATIONS
            )
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(
                f"{who}: expected num_thresholds > 1, got {num_thresholds}"
            )
        if num_labels and not multi_label:
            raise ValueError(f"{who}: num_labels goes with multi_label=True")
        self._init_thresholds = thresholds
        if thresholds is None:
            inner = _even_thresholds(num_thresholds)
        else:
            inner = sorted(threshold_list(who, list(thresholds), 0.5))
        # Just outside of [0, 1], so that the curve runs from corner to corner.
        self.thresholds = [-1e-7, *inner, 1.0 + 1e-7]
        self.num_thresholds = len(self.thresholds)
        self.curve = curve.upper()
        self.summation_method = summation_method.lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self.from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build((self.num_thresholds,))
        elif num_labels:
            self._build((self.num_thresholds, num_labels))

    def _build(self, shape: tuple[int, ...]) -> None:
        self._add_counts(shape)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: labels 0 and 1, shape (batch, ...).
            y_pred: scores in [0, 1], or logits, of the same shape.
            sample_weight: weights that broadcast to `y_pred`, or one per sample.
        """
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if self.multi_label and len(y_pred.shape) != 2:
            raise ValueError(
                f"AUC '{self.name}': expected y_pred of shape (batch, labels) with "
                f"multi_label=True, got {y_pred.shape}"
            )
        if not self._built:
            self._build((self.num_thresholds, y_pred.shape[-1]))
        y_pred = ops.sigmoid(y_pred) if self.from_logits else ops.clip(y_pred, 0.0, 1.0)
        count_decisions(
            self._counts(),
            self.thresholds,
            y_true,
            y_pred,
            sample_weight,
            who=f"AUC '{self.name}'",
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self._label_weights(),
        )

    def _label_weights(self) -> Any:
        if self.label_weights is None:
            return None
        return ops.convert_to_tensor(self.label_weights, dtype=self.dtype)

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._combine(self._interpolated_pr())
        x, y = self._points()
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2.0
        elif self.summation_method == "minoring":
            heights = ops.minimum(y[:-1], y[1:])
        else:
            heights = ops.maximum(y[:-1], y[1:])
        return self._combine((x[:-1] - x[1:]) * heights)

    def _points(self) -> tuple[Any, Any]:
        """Return the coordinates of the curve, from the lowest threshold on."""
        rates = self._rates()
        tp, fp = self.true_positives.value, self.false_positives.value
        tn, fn = self.true_negatives.value, self.false_negatives.value
        if self.curve == "ROC":
            return ops.divide_no_nan(fp, fp + tn), rates["recall"]
        if self.curve == "PR":
            return rates["recall"], rates["precision"]
        odds = ops.divide_no_nan(tp + fn, tn + fp)
        recall_gain = 1.0 - odds * ops.divide_no_nan(fn, tp)
        precision_gain = 1.0 - odds * ops.divide_no_nan(fp, tp)
        none = ops.equal(tp, 0.0)
        return (
            ops.maximum(ops.where(none, 0.0, recall_gain), 0.0),
            ops.where(none, 1.0, precision_gain),
        )

    def _interpolated_pr(self) -> Any:
        """Return the area between thresholds, true positives growing linearly."""
        tp = self.true_positives.value
        positives = tp + self.false_positives
        labels = ops.maximum(tp + self.false_negatives, 0.0)[1:]
        d_tp = tp[:-1] - tp[1:]
        d_positives = positives[:-1] - positives[1:]
        slope = ops.divide_no_nan(d_tp, ops.maximum(d_positives, 0.0))
        intercept = tp[1:] - slope * positives[1:]
        both = ops.logical_and(positives[:-1] > 0, positives[1:] > 0)
        ratio = ops.where(both, ops.divide_no_nan(positives[:-1], positives[1:]), 1.0)
        return ops.divide_no_nan(slope * (d_tp + intercept * ops.log(ratio)), labels)

    def _combine(self, parts: Any) -> Any:
        areas = ops.sum(parts, axis=0)
        if not self.multi_label:
            return areas
        weights = self._label_weights()
        if weights is None:
            return ops.mean(areas)
        return ops.divide_no_nan(ops.sum(areas * weights), ops.sum(weights))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        weights = self.label_weights
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else [float(w) for w in weights],
            "from_logits": self.from_logits,
        }
        if self._init_thresholds is not None:
            config["thresholds"] = self.thresholds[1:-1]
        return config


class _AtConstraint(_CurveMetric):
    """Best value of one rate at thresholds where another reaches a bound."""

    _wanted: str
    _bounded: str
    _argument: str

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        who = f"{type(self).__name__} '{self.name}'"
        if not 0 <= value <= 1:
            raise ValueError(f"{who}: expected {self._argument} in [0, 1], got {value}")
        if num_thresholds <= 0:
            raise ValueError(
                f"{who}: expected num_thresholds > 0, got {num_thresholds}"
            )
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        if num_thresholds == 1:
            self.thresholds = [0.5]
        else:
            self.thresholds = [0.0, *_even_thresholds(num_thresholds), 1.0]
        setattr(self, self._argument, value)
        self._add_counts((len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: labels 0 and 1, shape (batch, ...).
            y_pred: scores in [0, 1] of the same shape.
            sample_weight: weights that broadcast to `y_pred`, or one per sample.
        """
        count_decisions(
            self._counts(),
            self.thresholds,
            y_true,
            y_pred,
            sample_weight,
            who=f"{type(self).__name__} '{self.name}'",
            class_id=self.class_id,
        )

    def result(self) -> Any:
        rates = self._rates()
        feasible = rates[self._bounded] >= self.value
        return ops.max(ops.where(feasible, rates[self._wanted], 0.0))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._argument: self.value,
        }


@builtin("keras.metrics")
class SensitivityAtSpecificity(_AtConstraint):
    """Best sensitivity at thresholds of sufficient specificity.

    Args:
        specificity: smallest specificity, in [0, 1].
        num_thresholds: number of evenly spaced thresholds.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _argument = "specificity"
    _wanted = "recall"
    _bounded = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@builtin("keras.metrics")
class SpecificityAtSensitivity(_AtConstraint):
    """Best specificity at thresholds of sufficient sensitivity.

    Args:
        sensitivity: smallest sensitivity, in [0, 1].
        num_thresholds: number of evenly spaced thresholds.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _argument = "sensitivity"
    _wanted = "specificity"
    _bounded = "recall"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@builtin("keras.metrics")
class PrecisionAtRecall(_AtConstraint):
    """Best precision at thresholds of sufficient recall.

    Args:
        recall: smallest recall, in [0, 1].
        num_thresholds: number of evenly spaced thresholds.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _argument = "recall"
    _wanted = "precision"
    _bounded = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@builtin("keras.metrics")
class RecallAtPrecision(_AtConstraint):
    """Best recall at thresholds of sufficient precision.

    Args:
        precision: smallest precision, in [0, 1].
        num_thresholds: number of evenly spaced thresholds.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _argument = "precision"
    _wanted = "recall"
    _bounded = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
