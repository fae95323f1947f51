"""The Loss base class: conversion, sample weights, masks and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import naming, ops, shapes, tree
from ..graph import TensorLike
from ..graph.errors import scope
from ..serialization import (
    builtin,
    deserialize_keras_object,
    serialize_keras_object,
)

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def standardize_reduction(reduction: str | None) -> str | None:
    """Return `reduction` if there is one of that name.

    Raises:
        ValueError: for an unknown name.
    """
    if reduction is not None and reduction not in REDUCTIONS:
        raise shapes.unknown_name("reduction", reduction, REDUCTIONS)
    return reduction


def compute_dtype(dtype: Any) -> str:
    """Return the name of a dtype, or of the compute dtype of a dtype policy."""
    return shapes.dtype_name(getattr(dtype, "compute_dtype", dtype))


@builtin("keras.losses")
class Loss:
    """Base class of losses.

    Subclasses define `call(y_true, y_pred)`, which returns one value for each sample
    (or for each element); the class weighs and reduces them.

    Args:
        name: name; by default that of the class in snake case, numbered.
        reduction: "sum_over_batch_size" (the mean over all values; so is "mean"),
            "sum", "mean_with_sample_weight" (divided by the sum of the weights),
            "none" or None.
        dtype: dtype that targets and predictions are converted to, `floatx()` by
            default.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        self.name = name or naming.unique_name(naming.snake_case(type(self).__name__))
        self.reduction = standardize_reduction(reduction)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """Dtype the loss is computed in."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Compute the loss.

        Args:
            y_true: targets.
            y_pred: predictions, of the same shape for most losses.
            sample_weight: weights that broadcast to the values of `call`: a scalar,
                shape (batch,), or one weight per value.

        Returns:
            A scalar; with reduction "none", the weighted values.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        y_pred = _convert(y_pred, self._dtype)
        y_true = self._convert_target(y_true)
        with scope(self, y_true=y_true, y_pred=y_pred):
            values = self.call(y_true, y_pred)
        values_mask = getattr(values, "_keras_mask", None)
        if values_mask is not None:
            mask = values_mask if mask is None else ops.logical_and(mask, values_mask)
        try:
            return reduce_weighted_values(
                values, sample_weight, mask, self.reduction, self._dtype
            )
        except ValueError as error:
            raise ValueError(f"{type(self).__name__} '{self.name}': {error}") from None

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value per sample, of shape (batch, ...)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define call(y_true, y_pred)"
        )

    def _convert_target(self, y_true: Any) -> Any:
        return _convert(y_true, self._dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal loss."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from `get_config()`'s result."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


@builtin("keras.losses")
class LossFunctionWrapper(Loss):
    """A loss from a function of targets and predictions.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)` returns one value per sample.
        reduction: see `Loss`.
        name: name.
        dtype: see `Loss`.
        **kwargs: passed on to `fn`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value per sample, of shape (batch, ...)."""
        if isinstance(y_true, TensorLike) and isinstance(y_pred, TensorLike):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal loss."""
        return {
            **super().get_config(),
            "fn": serialize_keras_object(self.fn),
            **serialize_keras_object(self._fn_kwargs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from `get_config()`'s result."""
        if "fn" in config:
            config = deserialize_keras_object(config)
        return cls(**config)


class FunctionLoss(LossFunctionWrapper):
    """Base of the built-in losses, whose function is fixed by the class.

    Keras leaves the arguments in `_optional` out of configurations; here they appear
    where they differ from their default, so that no loss changes when it is loaded.
    """

    _optional: ClassVar[dict[str, Any]] = {}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal loss."""
        arguments = {
            key: value
            for key, value in self._fn_kwargs.items()
            if key not in self._optional or self._optional[key] != value
        }
        return {**Loss.get_config(self), **arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from `get_config()`'s result."""
        return cls(**config)


# --- conversion --------------------------------------------------------------


def _convert(structure: Any, dtype: str) -> Any:
    """Convert to tensors; nested lists of numbers are one tensor, not a structure."""
    if isinstance(structure, dict) or (
        isinstance(structure, (list, tuple))
        and any(getattr(x, "ndim", 0) > 0 for x in tree.flatten(structure))
    ):
        return tree.map_structure(
            lambda x: ops.convert_to_tensor(x, dtype=dtype), structure
        )
    return ops.convert_to_tensor(structure, dtype=dtype)


def is_integer(x: Any) -> bool:
    """Tell whether `x` is a tensor or array of integers."""
    dtype = getattr(x, "dtype", None)
    return dtype is not None and np.dtype(dtype).kind in "iu"


def as_pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return targets and predictions as floating-point tensors of one rank.

    Args:
        name: who asks, for the message.
        y_true: targets.
        y_pred: predictions; they determine the dtype.

    Raises:
        ValueError: if the shapes do not broadcast.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if not shapes.is_float(y_pred.dtype):
        y_pred = ops.cast(y_pred, shapes.dtype_name(None))
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    if y_true.shape != y_pred.shape:
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        try:
            shapes.broadcast(y_true.shape, y_pred.shape)
        except ValueError:
            raise mismatch(name, y_true, y_pred) from None
    return y_true, y_pred


def as_equal_pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Do as `as_pair`, but refuse to broadcast.

    Raises:
        ValueError: if the shapes differ.
    """
    y_true, y_pred = as_pair(name, y_true, y_pred)
    if y_true.shape != y_pred.shape and not any(
        None in x.shape for x in (y_true, y_pred)
    ):
        raise mismatch(name, y_true, y_pred)
    return y_true, y_pred


def mismatch(name: str, y_true: Any, y_pred: Any) -> ValueError:
    """Return the error for targets whose shape does not fit the predictions'."""
    return ValueError(
        f"{name}: expected y_true and y_pred of the same shape, got y_true of shape "
        f"{y_true.shape} and y_pred of shape {y_pred.shape}; compare the model's "
        "output shape with that of the targets"
    )


def squeeze_or_expand_to_same_rank(
    x1: Any, x2: Any, expand_rank_1: bool = True
) -> tuple[Any, Any]:
    """Give two tensors one rank where they differ by a last axis of size 1.

    A vector is expanded to a column (unless `expand_rank_1` is false); otherwise the
    last axis of the larger one is dropped.
    """
    rank_1, rank_2 = len(x1.shape), len(x2.shape)
    if rank_1 == rank_2 + 1 and x1.shape[-1] == 1:
        if rank_2 == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, -1)
        return ops.squeeze(x1, -1), x2
    if rank_2 == rank_1 + 1 and x2.shape[-1] == 1:
        if rank_1 == 1 and expand_rank_1:
            return ops.expand_dims(x1, -1), x2
        return x1, ops.squeeze(x2, -1)
    return x1, x2


# --- weights, masks, reduction -----------------------------------------------


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """Return sample weights that are 0 where `mask` is False.

    For the means over all values, the weights of the others make up for the zeros, so
    that the result is a mean over the values that count.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * ops.divide_no_nan(float(math.prod(mask.shape)), ops.sum(mask))
    if sample_weight is None:
        return mask
    mask, sample_weight = squeeze_or_expand_to_same_rank(
        mask, ops.convert_to_tensor(sample_weight, dtype=dtype)
    )
    return mask * sample_weight


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: str | None = None,
) -> Any:
    """Weigh the values of a loss and reduce them.

    Args:
        values: tensor, one value per sample.
        sample_weight: tensor that broadcasts to `values`, or None.
        mask: boolean tensor of the shape of `values`; False leaves a value out.
        reduction: see `Loss`.
        dtype: dtype of the result.

    Raises:
        ValueError: if the weights do not broadcast.
    """
    reduction = standardize_reduction(reduction)
    values = ops.convert_to_tensor(values, dtype=dtype)
    sample_weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=values.dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        try:
            values = values * sample_weight
        except ValueError:
            raise ValueError(
                "expected sample_weight to be a scalar or to broadcast to the loss "
                f"values of shape {values.shape}, got shape {sample_weight.shape}; "
                "give one weight per sample"
            ) from None
    return _reduce(values, sample_weight, reduction)


def _reduce(values: Any, sample_weight: Any, reduction: str | None) -> Any:
    if reduction in (None, "none") or tuple(values.shape) in ((), (0,)):
        return values
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(sample_weight))
    if reduction in _MEANS and 0 not in values.shape:
        return ops.mean(values)
    return ops.sum(values)
