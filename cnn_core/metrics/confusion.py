"""Counts of right and wrong decisions at thresholds: precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..graph import Variable
from ..losses.base import mismatch, squeeze_or_expand_to_same_rank
from ..serialization import builtin
from .base import Metric

Thresholds = float | Sequence[float] | None
_LOWEST = -1e10  # below every score


def threshold_list(who: str, thresholds: Thresholds, default: float) -> list[float]:
    """Return thresholds as a list of numbers in [0, 1].

    Raises:
        ValueError: if one of them is outside.
    """
    if thresholds is None:
        return [default]
    many = isinstance(thresholds, Sequence)
    values: list[Any] = list(thresholds) if many else [thresholds]  # type: ignore[arg-type]
    for value in values:
        if value is None or not 0 <= value <= 1:
            raise ValueError(f"{who}: expected thresholds in [0, 1], got {thresholds}")
    return values


def _only_top_k(y_pred: Any, k: int) -> Any:
    """Return the scores with all but the `k` largest of each row set very low."""
    _, indices = ops.top_k(y_pred, k)
    chosen = ops.sum(ops.one_hot(indices, y_pred.shape[-1]), axis=-2)
    return ops.where(chosen > 0, y_pred, _LOWEST)


def count_decisions(
    counts: dict[str, Variable],
    thresholds: Sequence[float],
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    who: str,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: Any = None,
) -> None:
    """Add the decisions of a batch to counts.

    Args:
        counts: variables by name, out of "tp", "fp", "tn" and "fn", each of shape
            (thresholds,), or (thresholds, labels) with `multi_label`.
        thresholds: a score above one is a positive decision.
        y_true: labels, shape (batch, ...); any number but 0 is a positive one.
        y_pred: scores of the same shape.
        sample_weight: weights that broadcast to `y_pred`, or one per sample.
        who: the metric, for messages.
        top_k: only the largest scores of each row can be positive.
        class_id: look at this entry of the last axis only.
        multi_label: count each entry of the last axis by itself.
        label_weights: weights of the entries of the last axis.

    Raises:
        ValueError: if shapes do not fit.
    """
    dtype = next(iter(counts.values())).dtype
    y_true = ops.convert_to_tensor(y_true, dtype=dtype)
    y_pred = ops.convert_to_tensor(y_pred, dtype=dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if y_true.shape != y_pred.shape:
        raise mismatch(who, y_true, y_pred)
    weight = _weights(who, y_true, sample_weight, label_weights)
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) < 2:
            raise ValueError(
                f"{who}: class_id needs y_pred of shape (batch, classes), got "
                f"{y_pred.shape}"
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
        if weight is not None:
            weight = weight[..., class_id, None]
    labels = y_pred.shape[-1] if multi_label else 1
    rows = (-1, labels)
    above = ops.reshape(
        ops.convert_to_tensor(list(thresholds), dtype=dtype), (-1, 1, 1)
    )
    decided = ops.cast(ops.reshape(y_pred, rows) > above, dtype)
    positive = ops.cast(ops.not_equal(ops.reshape(y_true, rows), 0.0), dtype)
    negative = 1.0 - positive
    if weight is not None:
        weight = ops.reshape(weight, rows)
        positive, negative = positive * weight, negative * weight
    rejected = 1.0 - decided if {"tn", "fn"} & set(counts) else None
    for name, variable in counts.items():
        decision = decided if name in ("tp", "fp") else rejected
        label = positive if name in ("tp", "fn") else negative
        total = ops.sum(decision * label, axis=1)
        variable.assign_add(total if multi_label else ops.squeeze(total, -1))


def _weights(who: str, y_true: Any, sample_weight: Any, label_weights: Any) -> Any:
    weight = None
    if sample_weight is not None:
        weight = ops.convert_to_tensor(sample_weight, dtype=y_true.dtype)
        if len(weight.shape) == len(y_true.shape) - 1 and weight.shape:
            weight = ops.expand_dims(weight, -1)
        elif len(weight.shape) == len(y_true.shape) + 1 and weight.shape[-1] == 1:
            weight = ops.squeeze(weight, -1)
        try:
            weight = ops.broadcast_to(weight, y_true.shape)
        except ValueError:
            raise ValueError(
                f"{who}: expected sample_weight to broadcast to y_pred's shape "
                f"{y_true.shape}, got shape {tuple(weight.shape)}"
            ) from None
    if label_weights is not None:
        label_weights = ops.broadcast_to(label_weights, y_true.shape)
        weight = label_weights if weight is None else weight * label_weights
    return weight


class _ThresholdMetric(Metric):
    """Base of metrics that count decisions at a few thresholds."""

    _counts: tuple[tuple[str, str], ...]  # (kind, variable name)

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = threshold_list(
            f"{type(self).__name__} '{self.name}'",
            thresholds,
            0.5 if top_k is None else _LOWEST,
        )
        shape = (len(self.thresholds),)
        for _, variable in self._counts:
            setattr(self, variable, self.add_variable(shape, name=variable))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: labels 0 and 1, shape (batch, ...).
            y_pred: scores of the same shape.
            sample_weight: weights that broadcast to `y_pred`, or one per sample.
        """
        count_decisions(
            {kind: getattr(self, variable) for kind, variable in self._counts},
            self.thresholds,
            y_true,
            y_pred,
            sample_weight,
            who=f"{type(self).__name__} '{self.name}'",
            top_k=self.top_k,
            class_id=self.class_id,
        )

    def _ratio(self, part: Any, rest: Any) -> Any:
        ratio = ops.divide_no_nan(part, part + rest)
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@builtin("keras.metrics")
class Precision(_ThresholdMetric):
    """Share of positive decisions that are right.

    Args:
        thresholds: one or more numbers in [0, 1]; a score above is a positive
            decision. By default 0.5, or none with `top_k`.
        top_k: only the `top_k` largest scores of a row can be positive.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"
    _counts = (("tp", "true_positives"), ("fp", "false_positives"))
    true_positives: Variable
    false_positives: Variable

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        return self._ratio(self.true_positives, self.false_positives)


@builtin("keras.metrics")
class Recall(_ThresholdMetric):
    """Share of positive labels that are found.

    Args:
        thresholds: one or more numbers in [0, 1]; a score above is a positive
            decision. By default 0.5, or none with `top_k`.
        top_k: only the `top_k` largest scores of a row can be positive.
        class_id: look at this class only.
        name: name.
        dtype: see `Metric`.
    """

    _direction = "up"
    _counts = (("tp", "true_positives"), ("fn", "false_negatives"))
    true_positives: Variable
    false_negatives: Variable

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        return self._ratio(self.true_positives, self.false_negatives)


class _Count(_ThresholdMetric):
    """Base of the four plain counts."""

    accumulator: Variable

    def __init__(
        self,
        thresholds: Thresholds = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)

    def result(self) -> Any:
        if len(self.thresholds) == 1:
            return self.accumulator[0]
        return self.accumulator.value

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), "thresholds": self.init_thresholds}


@builtin("keras.metrics")
class TruePositives(_Count):
    """Weighted number of positive labels decided positive.

    Args:
        thresholds: one or more numbers in [0, 1], 0.5 by default.
        name: name.
        dtype: see `Metric`.
    """

    _counts = (("tp", "accumulator"),)


@builtin("keras.metrics")
class FalsePositives(_Count):
    """Weighted number of negative labels decided positive.

    Args:
        thresholds: one or more numbers in [0, 1], 0.5 by default.
        name: name.
        dtype: see `Metric`.
    """

    _counts = (("fp", "accumulator"),)


@builtin("keras.metrics")
class TrueNegatives(_Count):
    """Weighted number of negative labels decided negative.

    Args:
        thresholds: one or more numbers in [0, 1], 0.5 by default.
        name: name.
        dtype: see `Metric`.
    """

    _counts = (("tn", "accumulator"),)


@builtin("keras.metrics")
class FalseNegatives(_Count):
    """Weighted number of positive labels decided negative.

    Args:
        thresholds: one or more numbers in [0, 1], 0.5 by default.
        name: name.
        dtype: see `Metric`.
    """

    _counts = (("fn", "accumulator"),)
