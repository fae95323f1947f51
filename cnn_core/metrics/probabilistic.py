"""Means of the losses for probabilities and for margins."""

from __future__ import annotations

from typing import Any

from ..losses.hinge import categorical_hinge, hinge, squared_hinge
from ..losses.probabilistic import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from ..serialization import builtin
from .reduction import FunctionMetric


@builtin("keras.metrics")
class BinaryCrossentropy(FunctionMetric):
    """Mean crossentropy between labels 0 and 1 and probabilities.

    Args:
        name: name.
        dtype: see `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards 0.5, in [0, 1].
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


@builtin("keras.metrics")
class CategoricalCrossentropy(FunctionMetric):
    """Mean crossentropy between one-hot labels and probabilities.

    Args:
        name: name.
        dtype: see `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards equal probabilities, in [0, 1].
        axis: axis of the classes.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@builtin("keras.metrics")
class SparseCategoricalCrossentropy(FunctionMetric):
    """Mean crossentropy between class indices and probabilities.

    Args:
        name: name.
        dtype: see `Metric`.
        from_logits: whether predictions are logits.
        ignore_class: index of samples whose loss is 0.
        axis: axis of the classes.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


@builtin("keras.metrics")
class KLDivergence(FunctionMetric):
    """Mean Kullback-Leibler divergence between two distributions.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, name, dtype)


@builtin("keras.metrics")
class Poisson(FunctionMetric):
    """Mean negative log likelihood of counts, up to a constant.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, name, dtype)


@builtin("keras.metrics")
class Hinge(FunctionMetric):
    """Mean hinge loss.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, name, dtype)


@builtin("keras.metrics")
class SquaredHinge(FunctionMetric):
    """Mean squared hinge loss.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, name, dtype)


@builtin("keras.metrics")
class CategoricalHinge(FunctionMetric):
    """Mean hinge loss for one-hot labels.

    Args:
        name: name.
        dtype: see `Metric`.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, name, dtype)
