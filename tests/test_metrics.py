"""Metrics: accumulation, weights, messages, own metrics, configurations."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import losses, metrics, ops, serialization
from cnn_core.graph import Tensor, Variable

ARGUMENTS = {
    "MeanMetricWrapper": {"fn": losses.mean_squared_error},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
CLASSES = [
    cls
    for name in metrics.__all__
    if isinstance(cls := getattr(metrics, name), type) and cls is not metrics.Metric
]
Y_TRUE = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], "float32")
Y_PRED = np.array([[0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.9, 0.1]], "float32")
LABELS = np.array([1, 0, 1, 0])


def make(cls, **options):
    return cls(**ARGUMENTS.get(cls.__name__, {}), **options)


def batch(cls, rows=slice(None)):
    if cls in (metrics.Mean, metrics.Sum):
        return (Y_PRED[rows],)
    if cls.__name__.startswith("Sparse"):
        return LABELS[rows], Y_PRED[rows]
    return Y_TRUE[rows], Y_PRED[rows]


# --- what every metric does --------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_config_round_trip(cls):
    metric = make(cls, name="own")
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is cls
    assert again.get_config() == metric.get_config()
    np.testing.assert_array_equal(again(*batch(cls)), metric(*batch(cls)))


@pytest.mark.parametrize("cls", CLASSES)
def test_two_batches_are_one(cls):
    whole, parts = make(cls), make(cls)
    whole.update_state(*batch(cls))
    parts.update_state(*batch(cls, slice(0, 1)))
    parts.update_state(*batch(cls, slice(1, 4)))
    np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_reset(cls):
    metric = make(cls)
    first = np.asarray(metric(*batch(cls)))
    assert any(np.asarray(v).any() for v in metric.variables)
    metric.reset_state()
    assert not any(np.asarray(v).any() for v in metric.variables)
    np.testing.assert_array_equal(metric(*batch(cls)), first)


@pytest.mark.parametrize("cls", CLASSES)
def test_result_without_data(cls):
    value = np.asarray(make(cls).result())
    assert not np.isnan(value).any()


@pytest.mark.parametrize("cls", CLASSES)
def test_empty_batch_changes_nothing(cls):
    metric = make(cls)
    metric.update_state(*batch(cls))
    before = [np.array(v) for v in metric.variables]
    metric.update_state(*batch(cls, slice(0, 0)))
    for variable, old in zip(metric.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("cls", CLASSES)
def test_equal_weights_change_nothing(cls):
    plain, weighted = make(cls), make(cls)
    plain.update_state(*batch(cls))
    weighted.update_state(*batch(cls), sample_weight=np.ones(4, "float32"))
    np.testing.assert_allclose(weighted.result(), plain.result(), rtol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_zero_weight_leaves_a_sample_out(cls):
    weighted, short = make(cls), make(cls)
    weighted.update_state(*batch(cls), sample_weight=np.array([1.0, 1.0, 1.0, 0.0]))
    short.update_state(*batch(cls, slice(0, 3)))
    np.testing.assert_allclose(weighted.result(), short.result(), rtol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_names(cls):
    assert isinstance(
        metrics.get(cls) if cls.__name__ not in ARGUMENTS else make(cls), cls
    )
    if cls.__name__ not in ARGUMENTS:
        assert type(metrics.get(cls.__name__)) is cls
    for variable in make(cls, name="own").variables:
        assert variable.path == f"own/{variable.name}"
        assert not variable.trainable


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("accuracy", metrics.Accuracy),
        ("acc", metrics.Accuracy),
        ("mse", metrics.MeanSquaredError),
        ("MAE", metrics.MeanAbsoluteError),
        ("auc", metrics.AUC),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy),
        ("kl_divergence", metrics.KLDivergence),
        ("f1_score", metrics.F1Score),
        ("r2_score", metrics.R2Score),
    ],
)
def test_found_by_alias(name, cls):
    assert type(metrics.get(name)) is cls


def test_get_unknown_names_the_nearest():
    with pytest.raises(ValueError, match=r"(?i)did you mean 'precision'"):
        metrics.get("precison")
    assert metrics.get(None) is None


def test_automatic_names_are_numbered():
    first, second = metrics.Precision(), metrics.Precision()
    assert first.name != second.name
    assert first.name.startswith("precision")


# --- means -------------------------------------------------------------------


def test_mean_of_scalars():
    metric = metrics.Mean()
    for value in (1.0, 2.0, 6.0):
        metric.update_state(value)
    assert float(metric.result()) == 3.0


def test_mean_weights_every_sample_once():
    metric = metrics.Mean()
    metric.update_state(np.ones((2, 5)))
    metric.update_state(np.zeros((6, 5)))
    assert float(metric.result()) == 0.25


def test_mean_propagates_nan():
    metric = metrics.Mean()
    metric.update_state([1.0, np.nan])
    assert np.isnan(metric.result())


def test_sum():
    metric = metrics.Sum()
    metric.update_state([1.0, 2.0], sample_weight=[1.0, 3.0])
    assert float(metric.result()) == 7.0


def test_mask_of_the_predictions():
    y_pred = Tensor(np.array([[1.0], [2.0], [9.0]], "float32"))
    y_pred._keras_mask = Tensor(np.array([True, True, False]))
    metric = metrics.MeanAbsoluteError()
    metric.update_state(np.zeros((3, 1), "float32"), y_pred)
    assert float(metric.result()) == 1.5


def test_weights_that_do_not_fit():
    metric = metrics.MeanSquaredError(name="error")
    with pytest.raises(ValueError, match=r"MeanSquaredError 'error'.*\(3,\)"):
        metric.update_state(Y_TRUE, Y_PRED, sample_weight=np.ones(3))
    assert float(metric.count) == 0.0


@pytest.mark.parametrize(
    "cls",
    [
        metrics.MeanSquaredError,
        metrics.BinaryAccuracy,
        metrics.CategoricalAccuracy,
        metrics.SparseCategoricalAccuracy,
        metrics.RootMeanSquaredError,
        metrics.Precision,
        metrics.F1Score,
    ],
)
def test_mismatch_names_both_shapes(cls):
    y_true, y_pred = batch(cls)
    metric = make(cls)
    with pytest.raises(ValueError, match="y_true") as caught:
        metric.update_state(y_true[:3], y_pred)
    assert "(3," in str(caught.value)
    assert "(4" in str(caught.value)
    assert not any(np.asarray(v).any() for v in metric.variables)


# --- accuracy ----------------------------------------------------------------


def test_accuracies():
    assert float(metrics.CategoricalAccuracy()(Y_TRUE, Y_PRED)) == 0.75
    assert float(metrics.SparseCategoricalAccuracy()(LABELS, Y_PRED)) == 0.75
    assert float(metrics.SparseCategoricalAccuracy()(LABELS[:, None], Y_PRED)) == 0.75
    assert float(metrics.BinaryAccuracy()(Y_TRUE[:, 1], Y_PRED[:, 1:])) == 0.75
    assert float(metrics.Accuracy()([[1], [2]], [[1], [3]])) == 0.5


def test_binary_accuracy_at_the_threshold_is_negative():
    assert float(metrics.BinaryAccuracy(threshold=0.5)([[0.0]], [[0.5]])) == 1.0


def test_binary_accuracy_of_booleans():
    assert float(metrics.BinaryAccuracy()([[True], [False]], [[0.9], [0.1]])) == 1.0


def test_sparse_accuracy_of_large_labels_is_exact():
    y_pred = np.zeros((1, 3), "float32")
    y_pred[0, 2] = 1.0
    assert (
        float(metrics.SparseCategoricalAccuracy()(np.array([2**24 + 2]), y_pred)) == 0
    )


def test_top_k():
    scores = np.array([[0.1, 0.2, 0.3, 0.4]], "float32")
    for label, expected in ((3, 1.0), (2, 1.0), (1, 0.0)):
        metric = metrics.SparseTopKCategoricalAccuracy(k=2)
        assert float(metric([label], scores)) == expected
    sorted_ids = metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
    assert float(sorted_ids([7, 1], [[9, 7, 1], [9, 7, 1]])) == 0.5
    assert "from_sorted_ids" in sorted_ids.get_config()


# --- decisions ---------------------------------------------------------------


def test_counts():
    y_true, y_pred = [0, 1, 1, 0, 1], [0.9, 0.8, 0.2, 0.1, 0.7]
    expected = {"TruePositives": 2, "FalsePositives": 1}
    expected |= {"TrueNegatives": 1, "FalseNegatives": 1}
    for name, count in expected.items():
        assert float(getattr(metrics, name)()(y_true, y_pred)) == count
    assert float(metrics.Precision()(y_true, y_pred)) == pytest.approx(2 / 3)
    assert float(metrics.Recall()(y_true, y_pred)) == pytest.approx(2 / 3)


def test_several_thresholds_give_several_results():
    metric = metrics.Precision(thresholds=[0.0, 0.5])
    value = metric([0, 1], [0.2, 0.8])
    np.testing.assert_array_equal(value, [0.5, 1.0])


def test_precision_of_top_k_and_class():
    one_hot = np.eye(3, dtype="float32")
    scores = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]], "float32")
    assert float(metrics.Precision(top_k=2)(one_hot, scores)) == pytest.approx(2 / 6)
    assert float(metrics.Recall(top_k=2)(one_hot, scores)) == pytest.approx(2 / 3)
    assert float(metrics.Recall(class_id=1, thresholds=0.35)(one_hot, scores)) == 1.0


def test_thresholds_outside_are_refused():
    with pytest.raises(ValueError, match=r"Precision 'p': expected thresholds in"):
        metrics.Precision(thresholds=[0.5, 1.5], name="p")


def auc_by_pairs(y_true, y_pred):
    """Share of pairs of a positive and a negative in the right order."""
    gaps = y_pred[y_true == 1][:, None] - y_pred[y_true == 0][None]
    return ((gaps > 0) + 0.5 * (gaps == 0)).mean()


def test_roc_area_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 500)
    y_pred = np.clip(0.3 * y_true + rng.uniform(size=500) * 0.7, 0, 1)
    metric = metrics.AUC(num_thresholds=1000)
    assert float(metric(y_true, y_pred)) == pytest.approx(
        auc_by_pairs(y_true, y_pred), abs=2e-3
    )


def test_area_of_perfect_and_of_reversed_scores():
    y_true = np.array([0, 0, 1, 1])
    for curve in ("ROC", "PR", "PRGAIN"):
        perfect = metrics.AUC(curve=curve)
        assert float(perfect(y_true, [0.1, 0.2, 0.8, 0.9])) == pytest.approx(1.0)
    assert float(metrics.AUC()(y_true, [0.9, 0.8, 0.2, 0.1])) == pytest.approx(0.0)


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
def test_minoring_and_majoring_enclose_interpolation(curve):
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.integers(0, 2, 200), rng.uniform(size=200)
    low, middle, high = (
        float(metrics.AUC(50, curve, method)(y_true, y_pred))
        for method in ("minoring", "interpolation", "majoring")
    )
    assert low < middle < high


def test_area_of_several_labels():
    y_true = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    y_pred = np.array([[0.1, 0.2], [0.9, 0.8], [0.8, 0.3], [0.2, 0.7]])
    first, second = (float(metrics.AUC()(y_true[:, i], y_pred[:, i])) for i in (0, 1))
    both = metrics.AUC(multi_label=True)
    assert float(both(y_true, y_pred)) == pytest.approx((first + second) / 2)
    weighted = metrics.AUC(multi_label=True, num_labels=2, label_weights=[3.0, 1.0])
    assert float(weighted(y_true, y_pred)) == pytest.approx((3 * first + second) / 4)


def test_area_from_logits():
    rng = np.random.default_rng(2)
    y_true, logits = rng.integers(0, 2, 50), rng.normal(size=50)
    probabilities = 1 / (1 + np.exp(-logits))
    assert float(metrics.AUC(from_logits=True)(y_true, logits)) == pytest.approx(
        float(metrics.AUC()(y_true, probabilities)), abs=1e-6
    )


def test_best_point_under_a_constraint():
    y_true = [0, 0, 0, 1, 1]
    y_pred = [0.0, 0.3, 0.8, 0.3, 0.8]
    assert float(metrics.SensitivityAtSpecificity(0.5)(y_true, y_pred)) == 0.5
    assert float(metrics.RecallAtPrecision(0.9)(y_true, y_pred)) == 0.0
    with pytest.raises(ValueError, match=r"expected recall in \[0, 1\], got 2"):
        metrics.PrecisionAtRecall(2)


def test_f_scores():
    y_true = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], "float32")
    y_pred = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], "float32")
    each = metrics.F1Score()(y_true, y_pred)
    np.testing.assert_allclose(each, [2 / 3, 0.8], rtol=1e-5)
    macro = metrics.F1Score(average="macro")(y_true, y_pred)
    np.testing.assert_allclose(macro, np.mean([2 / 3, 0.8]), rtol=1e-5)
    micro = metrics.F1Score(average="micro")(y_true, y_pred)
    np.testing.assert_allclose(micro, 0.75, rtol=1e-5)
    with pytest.raises(ValueError, match="did you mean 'macro'"):
        metrics.F1Score(average="macros")


def test_r2_score():
    y_true = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")
    y_pred = np.array([[1.1], [1.9], [3.2], [3.8]], "float32")
    expected = 1 - ((y_true - y_pred) ** 2).sum() / ((y_true - 2.5) ** 2).sum()
    assert float(metrics.R2Score()(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)
    adjusted = metrics.R2Score(num_regressors=1)(y_true, y_pred)
    assert float(adjusted) == pytest.approx(1 - (1 - expected) * 3 / 2, rel=1e-5)


# --- own metrics -------------------------------------------------------------


@serialization.register_keras_serializable("tests")
class BinaryTruePositives(metrics.Metric):
    """A metric as a user writes it."""

    def __init__(self, name="binary_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_weight(name="tp", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hits = ops.logical_and(ops.equal(y_true, True), ops.greater(y_pred, 0.5))
        self.true_positives.assign_add(ops.sum(ops.cast(hits, self.dtype)))

    def result(self):
        return self.true_positives


def test_own_class():
    metric = BinaryTruePositives()
    assert [v.name for v in metric.variables] == ["tp"]
    metric([True, False, True], [0.9, 0.9, 0.1])
    assert float(metric.result()) == 1.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is BinaryTruePositives


def test_variables_and_metrics_set_as_attributes_are_state():
    class Ratio(metrics.Metric):
        def __init__(self):
            super().__init__(name="ratio")
            self.scale = Variable(2.0, trainable=False, name="scale")
            self.inner = metrics.Mean()

        def update_state(self, values):
            self.inner.update_state(values)

        def result(self):
            return self.inner.result() * self.scale

    metric = Ratio()
    assert [v.name for v in metric.variables] == ["scale", "total", "count"]
    assert float(metric([1.0, 3.0])) == 4.0


def test_forgotten_super_is_named():
    class Bad(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable((), "zeros")

    with pytest.raises(RuntimeError, match=r"Bad: call super\(\).__init__\(\)"):
        Bad()


def test_wrapper_of_a_function():
    def mean_power(y_true, y_pred, power=2):
        return ops.mean(ops.power(y_true - y_pred, power), axis=-1)

    metric = metrics.MeanMetricWrapper(mean_power, name="power", power=4)
    expected = ((Y_TRUE - Y_PRED) ** 4).mean()
    np.testing.assert_allclose(metric(Y_TRUE, Y_PRED), expected, rtol=1e-5)
    config = metrics.serialize(metric)
    again = metrics.deserialize(config, custom_objects={"mean_power": mean_power})
    np.testing.assert_allclose(again(Y_TRUE, Y_PRED), expected, rtol=1e-5)
