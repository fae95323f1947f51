"""Losses for probabilities: crossentropies, Kullback-Leibler divergence, Poisson."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from .. import config, ops, shapes
from ..serialization import builtin
from .base import FunctionLoss, as_equal_pair, as_pair, is_integer


def _check_axis(name: str, axis: Any) -> None:
    if isinstance(axis, bool):
        raise ValueError(f"{name}: expected axis to be an integer, got {axis}")


def _warn_one_class(name: str, y_pred: Any) -> None:
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"{name}: y_pred has shape {y_pred.shape}, one class, so its loss is "
            "constant; use binary_crossentropy for two classes and one output",
            SyntaxWarning,
            stacklevel=3,
        )


def _smooth_binary(y_true: Any, label_smoothing: float) -> Any:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing


def _smooth_categorical(y_true: Any, label_smoothing: float) -> Any:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]


@builtin("keras.losses")
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Mean over `axis` of the crossentropy between labels and probabilities.

    Args:
        y_true: labels in [0, 1], shape (batch, ..., n).
        y_pred: probabilities, or logits, of the same shape.
        from_logits: whether `y_pred` are logits.
        label_smoothing: how far labels move towards 0.5, in [0, 1].
        axis: axis to average over.

    Returns:
        The shape without `axis`.
    """
    y_true, y_pred = as_equal_pair("binary_crossentropy", y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    return ops.mean(values, axis=axis)


@builtin("keras.losses")
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary crossentropy times `(1 - p)**gamma`, `p` the probability of the label.

    Args:
        y_true: labels in [0, 1], shape (batch, ..., n).
        y_pred: probabilities, or logits, of the same shape.
        apply_class_balancing: whether label 1 weighs `alpha` and label 0 `1 - alpha`.
        alpha: weight of label 1.
        gamma: how strongly easy samples are weighed down.
        from_logits: whether `y_pred` are logits.
        label_smoothing: how far labels move towards 0.5, in [0, 1].
        axis: axis to average over.

    Returns:
        The shape without `axis`.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """
    y_true, y_pred = as_equal_pair("binary_focal_crossentropy", y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    values = ops.power(1.0 - right, gamma) * values
    if apply_class_balancing:
        values = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * values
    return ops.mean(values, axis=axis)


@builtin("keras.losses")
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-sum(y_true * log(y_pred))` over the classes.

    Args:
        y_true: one-hot labels or probabilities, shape (batch, ..., classes).
        y_pred: probabilities (divided by their sum), or logits, of the same shape.
        from_logits: whether `y_pred` are logits.
        label_smoothing: how far labels move towards equal probabilities, in [0, 1].
        axis: axis of the classes.

    Returns:
        The shape without `axis`.
    """
    _check_axis("categorical_crossentropy", axis)
    y_true, y_pred = as_equal_pair("categorical_crossentropy", y_true, y_pred)
    _warn_one_class("categorical_crossentropy", y_pred)
    y_true = _smooth_categorical(y_true, label_smoothing)
    return ops.categorical_crossentropy(
        y_true, y_pred, from_logits=from_logits, axis=axis
    )


@builtin("keras.losses")
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Categorical crossentropy, each term times `alpha * (1 - p)**gamma`.

    Args:
        y_true: one-hot labels or probabilities, shape (batch, ..., classes).
        y_pred: probabilities (divided by their sum), or logits, of the same shape.
        alpha: factor.
        gamma: how strongly easy samples are weighed down.
        from_logits: whether `y_pred` are logits.
        label_smoothing: how far labels move towards equal probabilities, in [0, 1].
        axis: axis of the classes.

    Returns:
        The shape without `axis`.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """
    _check_axis("categorical_focal_crossentropy", axis)
    y_true, y_pred = as_equal_pair("categorical_focal_crossentropy", y_true, y_pred)
    _warn_one_class("categorical_focal_crossentropy", y_pred)
    y_true = _smooth_categorical(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    p = ops.clip(p, config.epsilon(), 1.0 - config.epsilon())
    terms = alpha * ops.power(1.0 - p, gamma) * (y_true * ops.log(p))
    return -ops.sum(terms, axis=axis)


@builtin("keras.losses")
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """`-log` of the probability of the right class.

    Args:
        y_true: class indices, shape (batch, ...) or with a last axis of size 1; an
            index outside of the classes gives loss 0.
        y_pred: probabilities (divided by their sum), or logits, shape
            (batch, ..., classes).
        from_logits: whether `y_pred` are logits.
        ignore_class: index of samples to leave out: their loss is 0, and means run
            over the others.
        axis: axis of the classes.

    Returns:
        The shape of `y_pred` without `axis`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    name = "sparse_categorical_crossentropy"
    y_pred = ops.convert_to_tensor(y_pred)
    if not shapes.is_float(y_pred.dtype):
        y_pred = ops.cast(y_pred, shapes.dtype_name(None))
    y_true = ops.convert_to_tensor(y_true)
    if not is_integer(y_true):
        y_true = ops.cast(y_true, "int32")
    if not y_pred.shape:
        raise ValueError(f"{name}: expected y_pred with an axis of classes, got scalar")
    class_axis = shapes.normalize_axis(axis, len(y_pred.shape), name)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[class_axis] == 1:
        y_true = ops.squeeze(y_true, class_axis)
    expected = y_pred.shape[:class_axis] + y_pred.shape[class_axis + 1 :]
    if len(y_true.shape) != len(expected) or any(
        a != b and None not in (a, b)
        for a, b in zip(y_true.shape, expected, strict=True)
    ):
        hint = ""
        if y_true.shape == y_pred.shape:
            hint = "; use categorical_crossentropy for one-hot labels"
        raise ValueError(
            f"{name}: expected class indices y_true of shape {expected} for y_pred of "
            f"shape {y_pred.shape}, got shape {y_true.shape}{hint}"
        )
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=from_logits, axis=axis
        )
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, 0)
    # Equal scores are harmless both as logits and as probabilities.
    y_pred = ops.where(ops.expand_dims(valid, class_axis), y_pred, 1.0)
    values = ops.sparse_categorical_crossentropy(
        y_true, y_pred, from_logits=from_logits, axis=axis
    )
    values = ops.where(valid, values, 0.0)
    values._keras_mask = valid
    return values


@builtin("keras.losses")
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """`sum(y_true * log(y_true / y_pred))` over the last axis.

    Args:
        y_true: probabilities, shape (batch, ..., n); clipped to [epsilon(), 1].
        y_pred: probabilities of the same shape; clipped likewise.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("kl_divergence", y_true, y_pred)
    y_true = ops.minimum(ops.maximum(y_true, config.epsilon()), 1.0)
    y_pred = ops.minimum(ops.maximum(y_pred, config.epsilon()), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@builtin("keras.losses")
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of `y_pred - y_true * log(y_pred)`.

    Args:
        y_true: counts, shape (batch, ..., n).
        y_pred: predicted rates of the same shape.

    Returns:
        Shape (batch, ...).
    """
    y_true, y_pred = as_pair("poisson", y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


@builtin("keras.losses")
class BinaryCrossentropy(FunctionLoss):
    """Crossentropy between labels 0 and 1 and probabilities.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards 0.5, in [0, 1].
        axis: axis to average over before the reduction.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@builtin("keras.losses")
class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy that weighs easy samples down.

    Args:
        apply_class_balancing: whether label 1 weighs `alpha` and label 0 `1 - alpha`.
        alpha: weight of label 1.
        gamma: how strongly easy samples are weighed down.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards 0.5, in [0, 1].
        axis: axis to average over before the reduction.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@builtin("keras.losses")
class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy between one-hot labels and probabilities.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards equal probabilities, in [0, 1].
        axis: axis of the classes.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@builtin("keras.losses")
class CategoricalFocalCrossentropy(FunctionLoss):
    """Categorical crossentropy that weighs easy samples down.

    Args:
        alpha: factor.
        gamma: how strongly easy samples are weighed down.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards equal probabilities, in [0, 1].
        axis: axis of the classes.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@builtin("keras.losses")
class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy between class indices and probabilities.

    Args:
        from_logits: whether predictions are logits.
        ignore_class: index of samples to leave out.
        reduction: see `Loss`.
        axis: axis of the classes.
        name: name.
        dtype: see `Loss`.
    """

    _optional: ClassVar[dict[str, Any]] = {"axis": -1}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value per sample, of shape (batch, ...)."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def _convert_target(self, y_true: Any) -> Any:
        # Class indices stay integers: a float could not hold all of them.
        if is_integer(y_true):
            return ops.convert_to_tensor(y_true)
        return super()._convert_target(y_true)


@builtin("keras.losses")
class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence between two distributions.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@builtin("keras.losses")
class Poisson(FunctionLoss):
    """Negative log likelihood of counts, up to a constant.

    Args:
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
