"""Metric cases; each is updated on three batches of a data set of `loss_cases`."""

from __future__ import annotations

from typing import Any

from case_types import MetricCase


def _metric(name: str, data: str, weighted: bool = True, **options: Any) -> MetricCase:
    return MetricCase(
        lambda keras: getattr(keras.metrics, name)(**options), data, weighted
    )


def _wrapper(data: str, function: str, **options: Any) -> MetricCase:
    return MetricCase(
        lambda keras: keras.metrics.MeanMetricWrapper(
            getattr(keras.metrics, function), name="wrapped", **options
        ),
        data,
    )


METRIC_CASES: dict[str, MetricCase] = {
    "mean_metric_wrapper": _wrapper("regression", "mean_squared_error"),
    "mean_metric_wrapper_options": _wrapper(
        "binary", "binary_accuracy", threshold=0.75
    ),
    "accuracy": _metric("Accuracy", "equality"),
    "binary_accuracy": _metric("BinaryAccuracy", "binary"),
    "binary_accuracy_threshold": _metric("BinaryAccuracy", "binary", threshold=0.25),
    "binary_accuracy_column": _metric("BinaryAccuracy", "binary_column"),
    "categorical_accuracy": _metric("CategoricalAccuracy", "categorical_plain"),
    "sparse_categorical_accuracy": _metric("SparseCategoricalAccuracy", "sparse"),
    "sparse_categorical_accuracy_column": _metric(
        "SparseCategoricalAccuracy", "sparse_column"
    ),
    "sparse_categorical_accuracy_sequence": _metric(
        "SparseCategoricalAccuracy", "sparse_sequence"
    ),
    "sparse_categorical_accuracy_ties": _metric(
        "SparseCategoricalAccuracy", "ranked_ties"
    ),
    "top_k_categorical_accuracy": _metric(
        "TopKCategoricalAccuracy", "categorical_plain", k=2
    ),
    "top_k_categorical_accuracy_default": _metric(
        "TopKCategoricalAccuracy", "categorical_plain"
    ),
    "sparse_top_k_categorical_accuracy": _metric(
        "SparseTopKCategoricalAccuracy", "sparse", k=2
    ),
    "sparse_top_k_categorical_accuracy_sequence": _metric(
        "SparseTopKCategoricalAccuracy", "sparse_sequence", k=2
    ),
    "sparse_top_k_categorical_accuracy_ties": _metric(
        "SparseTopKCategoricalAccuracy", "ranked_ties", k=2
    ),
    "mean_squared_error": _metric("MeanSquaredError", "regression"),
    "mean_squared_error_sequence": _metric("MeanSquaredError", "regression_sequence"),
    "mean_squared_error_column": _metric("MeanSquaredError", "regression_column"),
    "root_mean_squared_error": _metric("RootMeanSquaredError", "regression"),
    "root_mean_squared_error_column": _metric(
        "RootMeanSquaredError", "regression_column"
    ),
    "mean_absolute_error": _metric("MeanAbsoluteError", "regression"),
    "mean_absolute_percentage_error": _metric(
        "MeanAbsolutePercentageError", "regression"
    ),
    "mean_squared_logarithmic_error": _metric(
        "MeanSquaredLogarithmicError", "positive"
    ),
    "cosine_similarity": _metric("CosineSimilarity", "cosine"),
    "log_cosh_error": _metric("LogCoshError", "regression"),
    "binary_crossentropy": _metric("BinaryCrossentropy", "binary"),
    "binary_crossentropy_logits": _metric(
        "BinaryCrossentropy", "binary_logits", from_logits=True, label_smoothing=0.1
    ),
    "categorical_crossentropy": _metric("CategoricalCrossentropy", "categorical"),
    "categorical_crossentropy_logits": _metric(
        "CategoricalCrossentropy",
        "categorical_logits",
        from_logits=True,
        label_smoothing=0.1,
    ),
    "sparse_categorical_crossentropy": _metric(
        "SparseCategoricalCrossentropy", "sparse"
    ),
    "sparse_categorical_crossentropy_logits": _metric(
        "SparseCategoricalCrossentropy", "sparse_logits", from_logits=True
    ),
    "kl_divergence": _metric("KLDivergence", "distribution"),
    "poisson": _metric("Poisson", "positive"),
    "hinge": _metric("Hinge", "hinge"),
    "hinge_binary_labels": _metric("Hinge", "hinge_binary"),
    "squared_hinge": _metric("SquaredHinge", "hinge"),
    "categorical_hinge": _metric("CategoricalHinge", "categorical_plain"),
    "precision": _metric("Precision", "binary"),
    "precision_column": _metric("Precision", "binary_column"),
    "precision_threshold": _metric("Precision", "binary", thresholds=0.7),
    "precision_thresholds": _metric("Precision", "binary", thresholds=[0.2, 0.5, 0.8]),
    "precision_top_k": _metric("Precision", "categorical_plain", top_k=2),
    "precision_class_id": _metric(
        "Precision", "categorical_plain", class_id=1, thresholds=0.2
    ),
    "recall": _metric("Recall", "binary"),
    "recall_column": _metric("Recall", "binary_column"),
    "recall_thresholds": _metric("Recall", "binary", thresholds=[0.2, 0.5, 0.8]),
    "recall_top_k": _metric("Recall", "categorical_plain", top_k=2),
    "recall_class_id": _metric(
        "Recall", "categorical_plain", class_id=1, thresholds=0.2
    ),
}

# Mean and Sum take values, not pairs: (metric, shape of values, shape of weights).
REDUCTION_CASES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...] | None]] = {
    "mean_vector": ("Mean", (5,), None),
    "mean_vector_weighted": ("Mean", (5,), (5,)),
    "mean_scalar": ("Mean", (), None),
    "mean_matrix": ("Mean", (4, 3), None),
    "mean_matrix_weighted_rows": ("Mean", (4, 3), (4,)),
    "mean_matrix_weighted_column": ("Mean", (4, 3), (4, 1)),
    "mean_matrix_weighted_elements": ("Mean", (4, 3), (4, 3)),
    "mean_cube_weighted_rows": ("Mean", (2, 3, 4), (2,)),
    "mean_cube_weighted_matrix": ("Mean", (2, 3, 4), (2, 3)),
    "sum_vector": ("Sum", (5,), None),
    "sum_vector_weighted": ("Sum", (5,), (5,)),
    "sum_matrix": ("Sum", (4, 3), None),
    "sum_matrix_weighted_rows": ("Sum", (4, 3), (4,)),
    "sum_matrix_weighted_elements": ("Sum", (4, 3), (4, 3)),
}

METRIC_NAMES = (
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "kl_divergence",
    "poisson",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "cosine_similarity",
    "mse",
    "mae",
    "mape",
    "msle",
    "bce",
    "accuracy",
    "log_cosh_error",
    "mean",
    "precision",
    "recall",
    "root_mean_squared_error",
    "sum",
)
