"""Loss cases, and the data sets that losses and metrics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case_types import Array, LossCase, normal, uniform

Rng = np.random.Generator
Pair = tuple[Array, Array]


def _one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes, dtype="float32")[labels]


def _probabilities(rng: Rng, *shape: int) -> Array:
    scores = uniform(rng, *shape, low=0.1, high=1.0)
    return (scores / scores.sum(-1, keepdims=True)).astype("float32")


def _regression(rng: Rng, *shape: int) -> Pair:
    return normal(rng, *shape), normal(rng, *shape)


def _column(rng: Rng) -> Pair:
    return normal(rng, 6), normal(rng, 6, 1)


def _positive(rng: Rng) -> Pair:
    y_true, y_pred = uniform(rng, 5, 3, high=4.0), uniform(rng, 5, 3, high=4.0)
    y_true[0, 0] = 0.0
    y_pred[1, 1] = 0.0
    return y_true, y_pred


def _binary(rng: Rng) -> Pair:
    y_true = rng.integers(0, 2, (8, 2)).astype("float32")
    y_pred = uniform(rng, 8, 2, low=0.01, high=0.99)
    y_pred[0], y_true[0] = [0.0, 1.0], [0.0, 1.0]
    y_pred[1], y_true[1] = [0.0, 1.0], [1.0, 0.0]
    y_pred[2] = 0.5
    return y_true, y_pred


def _binary_logits(rng: Rng) -> Pair:
    y_true = rng.integers(0, 2, (8, 2)).astype("float32")
    y_pred = normal(rng, 8, 2, scale=3.0)
    y_pred[0], y_true[0] = [-40.0, 40.0], [0.0, 1.0]
    y_pred[1], y_true[1] = [-40.0, 40.0], [1.0, 0.0]
    y_pred[2] = 0.0
    return y_true, y_pred


def _binary_column(rng: Rng) -> Pair:
    y_true = rng.integers(0, 2, 8)
    return y_true.astype("int32"), uniform(rng, 8, 1, low=0.01, high=0.99)


def _hinge(rng: Rng) -> Pair:
    return (rng.integers(0, 2, (6, 3)) * 2 - 1).astype("float32"), normal(rng, 6, 3)


def _hinge_binary(rng: Rng) -> Pair:
    return rng.integers(0, 2, (6, 3)).astype("float32"), normal(rng, 6, 3)


def _categorical(rng: Rng) -> Pair:
    y_true = _one_hot(rng.integers(0, 4, 7), 4)
    y_pred = _probabilities(rng, 7, 4)
    y_pred[0], y_true[0] = [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    y_pred[1], y_true[1] = [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    y_pred[2] *= 3.0  # not normalized
    y_true[3] = [0.25, 0.5, 0.25, 0.0]  # soft label
    return y_true, y_pred


def _categorical_plain(rng: Rng) -> Pair:
    return _one_hot(rng.integers(0, 6, 9), 6), _probabilities(rng, 9, 6)


def _categorical_logits(rng: Rng) -> Pair:
    y_true = _one_hot(rng.integers(0, 4, 7), 4)
    y_pred = normal(rng, 7, 4, scale=2.0)
    y_pred[0] = [100.0, -100.0, 0.0, 50.0]
    return y_true, y_pred


def _categorical_axis_1(rng: Rng) -> Pair:
    y_true = _one_hot(rng.integers(0, 4, (2, 3)), 4).transpose(0, 2, 1)
    y_pred = _probabilities(rng, 2, 3, 4).transpose(0, 2, 1)
    return np.ascontiguousarray(y_true), np.ascontiguousarray(y_pred)


def _sparse(rng: Rng) -> Pair:
    y_pred = _probabilities(rng, 7, 4)
    y_pred[2] *= 3.0  # not normalized
    return rng.integers(0, 4, 7).astype("int32"), y_pred


def _sparse_edges(rng: Rng) -> Pair:
    y_true, y_pred = _sparse(rng)
    y_true[0], y_pred[0] = 0, [1.0, 0.0, 0.0, 0.0]
    y_true[1], y_pred[1] = 0, [0.0, 1.0, 0.0, 0.0]
    return y_true, y_pred


def _sparse_column(rng: Rng) -> Pair:
    y_true, y_pred = _sparse(rng)
    return y_true[:, None], y_pred


def _sparse_float(rng: Rng) -> Pair:
    y_true, y_pred = _sparse(rng)
    return y_true.astype("float32"), y_pred


def _sparse_logits(rng: Rng) -> Pair:
    y_true = rng.integers(0, 4, 7).astype("int32")
    y_pred = normal(rng, 7, 4, scale=2.0)
    y_pred[0] = [100.0, -100.0, 0.0, 50.0]
    return y_true, y_pred


def _sparse_sequence(rng: Rng) -> Pair:
    return rng.integers(0, 4, (3, 5)).astype("int32"), _probabilities(rng, 3, 5, 4)


def _sparse_outside(rng: Rng) -> Pair:
    y_true, y_pred = _sparse(rng)
    y_true[0], y_true[1] = -1, 4
    return y_true, y_pred


def _sparse_ignored(rng: Rng) -> Pair:
    y_true, y_pred = _sparse(rng)
    y_true[:3] = [2, 1, 2]
    return y_true, y_pred


def _sparse_ignored_negative(rng: Rng) -> Pair:
    y_true = rng.integers(0, 4, (3, 5)).astype("int32")
    y_true[0, 1] = y_true[1, 4] = y_true[2, 0] = -1
    return y_true, normal(rng, 3, 5, 4)


def _distribution(rng: Rng) -> Pair:
    y_true, y_pred = _probabilities(rng, 6, 3), _probabilities(rng, 6, 3)
    y_true[0] = [0.0, 0.25, 0.75]
    y_pred[1] = [0.75, 0.0, 0.25]
    return y_true, y_pred


def _cosine(rng: Rng) -> Pair:
    y_true, y_pred = normal(rng, 6, 4), normal(rng, 6, 4)
    y_true[0] = 0.0
    return y_true, y_pred


def _equality(rng: Rng) -> Pair:
    shape = (8, 2)
    y_true, y_pred = rng.integers(0, 3, shape), rng.integers(0, 3, shape)
    return y_true.astype("float32"), y_pred.astype("float32")


def _ranked_ties(rng: Rng) -> Pair:
    y_true, y_pred = rng.integers(0, 5, 8), rng.integers(0, 4, (8, 5)) / 4
    return y_true.astype("int32"), y_pred.astype("float32")


DATA: dict[str, Callable[[Rng], Pair]] = {
    "regression": lambda rng: _regression(rng, 5, 3),
    "regression_wide": lambda rng: _regression(rng, 3, 37),
    "regression_sequence": lambda rng: _regression(rng, 2, 3, 4),
    "regression_column": _column,
    "positive": _positive,
    "binary": _binary,
    "binary_logits": _binary_logits,
    "binary_column": _binary_column,
    "hinge": _hinge,
    "hinge_binary": _hinge_binary,
    "categorical": _categorical,
    "categorical_plain": _categorical_plain,
    "categorical_logits": _categorical_logits,
    "categorical_axis_1": _categorical_axis_1,
    "sparse": _sparse,
    "sparse_edges": _sparse_edges,
    "sparse_column": _sparse_column,
    "sparse_float": _sparse_float,
    "sparse_logits": _sparse_logits,
    "sparse_sequence": _sparse_sequence,
    "sparse_outside": _sparse_outside,
    "sparse_ignored": _sparse_ignored,
    "sparse_ignored_negative": _sparse_ignored_negative,
    "distribution": _distribution,
    "cosine": _cosine,
    "equality": _equality,
    "ranked_ties": _ranked_ties,
}


def _loss(name: str, data: str, gradient: bool = True, **options: Any) -> LossCase:
    def build(keras: Any, **reduction: Any) -> Any:
        return getattr(keras.losses, name)(**options, **reduction)

    return LossCase(build, data, gradient)


REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")
WEIGHTS = ("none", "sample", "column", "elements", "scalar")

LOSS_CASES: dict[str, LossCase] = {
    "mean_squared_error": _loss("MeanSquaredError", "regression"),
    "mean_squared_error_wide": _loss("MeanSquaredError", "regression_wide"),
    "mean_squared_error_sequence": _loss("MeanSquaredError", "regression_sequence"),
    "mean_squared_error_column": _loss("MeanSquaredError", "regression_column"),
    "mean_absolute_error": _loss("MeanAbsoluteError", "regression"),
    "mean_absolute_error_sequence": _loss("MeanAbsoluteError", "regression_sequence"),
    "mean_absolute_percentage_error": _loss(
        "MeanAbsolutePercentageError", "regression"
    ),
    "mean_squared_logarithmic_error": _loss("MeanSquaredLogarithmicError", "positive"),
    "huber": _loss("Huber", "regression"),
    "huber_delta": _loss("Huber", "regression", delta=0.3),
    "log_cosh": _loss("LogCosh", "regression"),
    "poisson": _loss("Poisson", "positive"),
    "kl_divergence": _loss("KLDivergence", "distribution"),
    "hinge": _loss("Hinge", "hinge"),
    "hinge_binary_labels": _loss("Hinge", "hinge_binary"),
    "squared_hinge": _loss("SquaredHinge", "hinge"),
    "squared_hinge_binary_labels": _loss("SquaredHinge", "hinge_binary"),
    "categorical_hinge": _loss("CategoricalHinge", "categorical_plain"),
    "cosine_similarity": _loss("CosineSimilarity", "cosine"),
    "cosine_similarity_axis_1": _loss(
        "CosineSimilarity", "regression_sequence", axis=1
    ),
    "binary_crossentropy": _loss("BinaryCrossentropy", "binary"),
    "binary_crossentropy_logits": _loss(
        "BinaryCrossentropy", "binary_logits", from_logits=True
    ),
    "binary_crossentropy_smoothing": _loss(
        "BinaryCrossentropy", "binary", label_smoothing=0.2
    ),
    "binary_crossentropy_logits_smoothing": _loss(
        "BinaryCrossentropy", "binary_logits", from_logits=True, label_smoothing=0.1
    ),
    "binary_crossentropy_column": _loss("BinaryCrossentropy", "binary_column"),
    "binary_focal_crossentropy": _loss("BinaryFocalCrossentropy", "binary"),
    "binary_focal_crossentropy_logits": _loss(
        "BinaryFocalCrossentropy", "binary_logits", from_logits=True, gamma=3.0
    ),
    "binary_focal_crossentropy_balanced": _loss(
        "BinaryFocalCrossentropy",
        "binary",
        apply_class_balancing=True,
        alpha=0.3,
        label_smoothing=0.1,
    ),
    "categorical_crossentropy": _loss("CategoricalCrossentropy", "categorical"),
    "categorical_crossentropy_plain": _loss(
        "CategoricalCrossentropy", "categorical_plain"
    ),
    "categorical_crossentropy_logits": _loss(
        "CategoricalCrossentropy", "categorical_logits", from_logits=True
    ),
    "categorical_crossentropy_smoothing": _loss(
        "CategoricalCrossentropy", "categorical", label_smoothing=0.2
    ),
    "categorical_crossentropy_logits_smoothing": _loss(
        "CategoricalCrossentropy",
        "categorical_logits",
        from_logits=True,
        label_smoothing=0.1,
    ),
    "categorical_crossentropy_axis_1": _loss(
        "CategoricalCrossentropy", "categorical_axis_1", axis=1
    ),
    "categorical_focal_crossentropy": _loss(
        "CategoricalFocalCrossentropy", "categorical"
    ),
    "categorical_focal_crossentropy_logits": _loss(
        "CategoricalFocalCrossentropy",
        "categorical_logits",
        from_logits=True,
        alpha=0.5,
        gamma=1.5,
    ),
    "categorical_focal_crossentropy_smoothing": _loss(
        "CategoricalFocalCrossentropy", "categorical", label_smoothing=0.1
    ),
    "sparse_categorical_crossentropy": _loss("SparseCategoricalCrossentropy", "sparse"),
    "sparse_categorical_crossentropy_edges": _loss(
        "SparseCategoricalCrossentropy", "sparse_edges"
    ),
    "sparse_categorical_crossentropy_column": _loss(
        "SparseCategoricalCrossentropy", "sparse_column"
    ),
    "sparse_categorical_crossentropy_float_labels": _loss(
        "SparseCategoricalCrossentropy", "sparse_float"
    ),
    "sparse_categorical_crossentropy_logits": _loss(
        "SparseCategoricalCrossentropy", "sparse_logits", from_logits=True
    ),
    "sparse_categorical_crossentropy_sequence": _loss(
        "SparseCategoricalCrossentropy", "sparse_sequence"
    ),
    "sparse_categorical_crossentropy_outside_labels": _loss(
        "SparseCategoricalCrossentropy", "sparse_outside"
    ),
    "sparse_categorical_crossentropy_ignore_class": _loss(
        "SparseCategoricalCrossentropy",
        "sparse_ignored",
        gradient=False,  # Keras divides 0 by 0 in the ignored rows
        ignore_class=2,
    ),
    "sparse_categorical_crossentropy_ignore_negative": _loss(
        "SparseCategoricalCrossentropy",
        "sparse_ignored_negative",
        from_logits=True,
        ignore_class=-1,
    ),
}

LOSS_NAMES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "bce",
    "kld",
    "mae",
    "mape",
    "mse",
    "msle",
)
