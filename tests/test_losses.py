"""Losses: reductions, weights, masks, messages, own losses, configurations."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import losses, metrics, ops, serialization
from cnn_core.graph import GradientTape, Tensor

CLASSES = [
    cls
    for name in losses.__all__
    if isinstance(cls := getattr(losses, name), type)
    and cls not in (losses.Loss, losses.LossFunctionWrapper)
]
Y_TRUE = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "float32")
Y_PRED = np.array([[0.2, 0.7], [0.6, 0.3], [0.5, 0.9]], "float32")


def arguments(cls):
    if cls is losses.SparseCategoricalCrossentropy:
        return np.array([0, 1, 1]), Y_PRED
    return Y_TRUE, Y_PRED


# --- names and configurations ------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_config_round_trip(cls):
    loss = cls(name="own", reduction="sum")
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is cls
    assert again.get_config() == loss.get_config()
    assert again.get_config()["name"] == "own"
    np.testing.assert_array_equal(loss(*arguments(cls)), again(*arguments(cls)))


@pytest.mark.parametrize(
    "loss",
    [
        losses.Huber(delta=0.1),
        losses.CosineSimilarity(axis=0),
        losses.BinaryCrossentropy(label_smoothing=0.3),
        losses.BinaryFocalCrossentropy(
            apply_class_balancing=True, alpha=0.9, gamma=1.0
        ),
        losses.CategoricalFocalCrossentropy(alpha=0.5, gamma=3.0),
        losses.CategoricalCrossentropy(from_logits=True),
    ],
)
def test_arguments_survive_the_configuration(loss):
    again = losses.deserialize(losses.serialize(loss))
    changed = float(loss(Y_TRUE, Y_PRED))
    assert float(again(Y_TRUE, Y_PRED)) == changed
    assert float(type(loss)()(Y_TRUE, Y_PRED)) != changed


@pytest.mark.parametrize("cls", CLASSES)
def test_found_by_class_name(cls):
    assert type(losses.get(cls.__name__)) is cls
    assert type(losses.get(cls)) is cls
    instance = cls()
    assert losses.get(instance) is instance


@pytest.mark.parametrize(
    ("short", "function"),
    [
        ("mse", losses.mean_squared_error),
        ("MSE", losses.mean_squared_error),
        ("mae", losses.mean_absolute_error),
        ("bce", losses.binary_crossentropy),
        ("kld", losses.kl_divergence),
        ("mean_squared_error", losses.mean_squared_error),
    ],
)
def test_found_by_alias(short, function):
    assert losses.get(short) is function


def test_get_none_and_functions():
    assert losses.get(None) is None
    assert losses.get(losses.hinge) is losses.hinge


def test_get_unknown_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mean_squared_error'"):
        losses.get("mean_squred_error")
    with pytest.raises(TypeError, match="got 3"):
        losses.get(3)


def test_losses_and_metrics_of_one_name_stay_apart():
    loss = losses.MeanSquaredError()
    metric = metrics.MeanSquaredError()
    rebuild = serialization.deserialize_keras_object
    assert type(rebuild(losses.serialize(loss))) is losses.MeanSquaredError
    assert type(rebuild(metrics.serialize(metric))) is metrics.MeanSquaredError


def test_function_round_trip():
    config = losses.serialize(losses.mean_absolute_error)
    assert config["config"] == "mean_absolute_error"
    assert losses.deserialize(config) is losses.mean_absolute_error


def test_automatic_name():
    class OwnError(losses.Loss):
        pass

    assert OwnError().name.startswith("own_error")


# --- reductions and weights --------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_reductions_agree(cls):
    pair = arguments(cls)
    values = np.asarray(cls(reduction="none")(*pair))
    assert values.shape == (3,)
    np.testing.assert_allclose(cls()(*pair), values.mean(), rtol=1e-6)
    np.testing.assert_allclose(cls(reduction="mean")(*pair), values.mean(), rtol=1e-6)
    np.testing.assert_allclose(cls(reduction="sum")(*pair), values.sum(), rtol=1e-6)
    np.testing.assert_array_equal(cls(reduction=None)(*pair), values)


def test_sample_weight():
    weight = np.array([1.0, 0.0, 3.0], "float32")
    values = np.asarray(losses.mean_squared_error(Y_TRUE, Y_PRED))

    def loss(reduction):
        return losses.MeanSquaredError(reduction)(Y_TRUE, Y_PRED, sample_weight=weight)

    total = (values * weight).sum()
    np.testing.assert_allclose(loss("sum_over_batch_size"), total / 3, rtol=1e-6)
    np.testing.assert_allclose(loss("mean_with_sample_weight"), total / 4, rtol=1e-6)
    np.testing.assert_allclose(loss("sum"), total, rtol=1e-6)


def test_scalar_weight():
    loss = losses.MeanAbsoluteError()
    plain = float(loss(Y_TRUE, Y_PRED))
    assert float(loss(Y_TRUE, Y_PRED, sample_weight=2.0)) == pytest.approx(2 * plain)


def test_zero_weights_give_zero():
    loss = losses.MeanSquaredError("mean_with_sample_weight")
    assert float(loss(Y_TRUE, Y_PRED, np.zeros(3, "float32"))) == 0.0


def test_mask_of_the_predictions():
    y_pred = Tensor(np.array([[[1.0], [2.0]], [[3.0], [9.0]]], "float32"))
    y_pred._keras_mask = Tensor(np.array([[True, True], [True, False]]))
    y_true = np.zeros((2, 2, 1), "float32")
    assert float(losses.MeanAbsoluteError()(y_true, y_pred)) == pytest.approx(2.0)
    assert float(losses.MeanAbsoluteError("sum")(y_true, y_pred)) == pytest.approx(6.0)


def test_everything_masked_gives_zero():
    y_pred = Tensor(np.ones((2, 3), "float32"))
    y_pred._keras_mask = Tensor(np.zeros(2, bool))
    assert float(losses.MeanSquaredError()(np.zeros((2, 3)), y_pred)) == 0.0


def test_ignored_class_leaves_the_mean_and_the_gradient():
    y_pred = np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]], "float32")
    labels = np.array([1, 0, -1])
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    x = Tensor(y_pred)
    with GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    expected = -(np.log(0.8) + np.log(0.5)) / 2
    assert float(value) == pytest.approx(expected, rel=1e-6)
    gradient = np.asarray(tape.gradient(value, x))
    assert np.isfinite(gradient).all()
    assert not gradient[2].any()


# --- shapes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if "Categorical" not in cls.__name__]
)
def test_column_against_vector(cls):
    vector, column = Y_PRED[:, 0], Y_PRED[:, :1]
    y_true = Y_TRUE[:, 0]
    expected = float(cls()(y_true[:, None], column))
    assert float(cls()(y_true, column)) == expected
    assert float(cls()(y_true[:, None], vector)) == expected


@pytest.mark.parametrize("cls", CLASSES)
def test_mismatch_names_loss_and_shapes(cls):
    y_true, y_pred = arguments(cls)
    with pytest.raises(ValueError, match=r"\(2,.*\(3, 2\)|\(3, 2\).*\(2,") as caught:
        cls()(y_true[:2], y_pred)
    function = cls().fn.__name__
    assert str(caught.value).startswith(function)


def test_sparse_suggests_categorical_for_one_hot_labels():
    with pytest.raises(ValueError, match="use categorical_crossentropy"):
        losses.sparse_categorical_crossentropy(Y_TRUE, Y_PRED)


def test_weights_that_do_not_fit():
    loss = losses.MeanSquaredError(name="error")
    with pytest.raises(ValueError, match=r"MeanSquaredError 'error'.*\(3,\).*\(4,\)"):
        loss(Y_TRUE, Y_PRED, sample_weight=np.ones(4))


def test_unknown_reduction():
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        losses.MeanSquaredError(reduction="meen")


def test_one_class_warns():
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy(Y_TRUE[:, :1], Y_PRED[:, :1])


@pytest.mark.parametrize("cls", CLASSES)
def test_empty_batch(cls):
    y_true, y_pred = arguments(cls)
    value = np.asarray(cls()(y_true[:0], y_pred[:0]))
    assert value.size == 0 or value == 0.0


# --- values ------------------------------------------------------------------


def test_nan_targets_make_the_loss_nan():
    y_true = Y_TRUE.copy()
    y_true[0, 0] = np.nan
    for cls in (losses.MeanSquaredError, losses.BinaryCrossentropy, losses.Huber):
        values = np.asarray(cls(reduction="none")(y_true, Y_PRED))
        assert np.isnan(values[0])
        assert np.isfinite(values[1:]).all()
        assert np.isnan(cls()(y_true, Y_PRED))


def test_labels_outside_of_the_classes_cost_nothing():
    values = losses.sparse_categorical_crossentropy(np.array([-1, 2, 0]), Y_PRED)
    np.testing.assert_array_equal(np.asarray(values)[:2], 0.0)


def test_large_integer_labels_stay_exact():
    # 2**24 + 1 is no float32: as a float it would become the class before.
    y_true = np.array([2**24 + 1])
    y_pred = np.full((1, 4), 0.25, "float32")
    loss = losses.SparseCategoricalCrossentropy(ignore_class=2**24)
    assert float(loss(y_true, y_pred)) == 0.0
    loss = losses.SparseCategoricalCrossentropy(ignore_class=2**24 + 1)
    assert float(loss(y_true, y_pred)) == 0.0


@pytest.mark.parametrize("cls", [losses.Hinge, losses.SquaredHinge])
def test_hinge_labels(cls):
    signed = 2 * Y_TRUE - 1
    assert float(cls()(Y_TRUE, Y_PRED)) == float(cls()(signed, Y_PRED))


def test_extreme_probabilities_stay_finite():
    zeros, ones = np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")
    for function in (losses.binary_crossentropy, losses.kl_divergence):
        assert np.isfinite(np.asarray(function(ones, zeros))).all()
    one_hot = np.array([[1.0, 0.0]], "float32")
    wrong = losses.categorical_crossentropy(one_hot, one_hot[:, ::-1])
    assert float(np.asarray(wrong)[0]) == pytest.approx(-np.log(1e-7), rel=1e-5)


def test_python_lists_and_integers():
    assert float(losses.MeanSquaredError()([[0, 1]], [[1, 1]])) == 0.5
    assert float(np.asarray(losses.mean_squared_error([[0.5]], [[1]]))[0]) == 0.25


@pytest.mark.parametrize("cls", CLASSES)
def test_float64(cls):
    y_true, y_pred = arguments(cls)
    value = cls(dtype="float64")(y_true, y_pred.astype("float64"))
    assert value.dtype == "float64"
    np.testing.assert_allclose(value, cls()(y_true, y_pred), rtol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_gradient_by_projection(cls):
    y_true, y_pred = arguments(cls)
    rng = np.random.default_rng(3)
    point = Tensor(y_pred.astype("float64"))
    direction = rng.normal(size=y_pred.shape)
    loss = cls(dtype="float64")
    with GradientTape() as tape:
        tape.watch(point)
        value = loss(y_true, point)
    slope = (np.asarray(tape.gradient(value, point)) * direction).sum()
    h = 1e-6
    ahead, behind = (
        float(loss(y_true, np.asarray(point) + sign * h * direction))
        for sign in (1, -1)
    )
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-7)


# --- own losses --------------------------------------------------------------


@serialization.register_keras_serializable("tests")
class WeightedError(losses.Loss):
    """A loss as a user writes it."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return ops.mean(self.factor * ops.abs(y_true - y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_own_class():
    loss = WeightedError(factor=2.0, name="weighted")
    expected = 2 * np.abs(Y_TRUE - Y_PRED).mean()
    np.testing.assert_allclose(loss(Y_TRUE, Y_PRED), expected, rtol=1e-6)
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is WeightedError
    assert again.factor == 2.0


def test_own_class_without_call():
    class Empty(losses.Loss):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must define call"):
        Empty()(Y_TRUE, Y_PRED)


def test_own_class_of_nested_targets():
    class Pair(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.square(y_pred["a"] - y_true["a"]), axis=-1)

    value = Pair()({"a": Y_TRUE}, {"a": Y_PRED})
    np.testing.assert_allclose(value, ((Y_PRED - Y_TRUE) ** 2).mean(), rtol=1e-6)


def test_wrapper_of_a_function():
    def squared(y_true, y_pred, power=2):
        return ops.mean(ops.power(y_true - y_pred, power), axis=-1)

    loss = losses.LossFunctionWrapper(squared, name="squared", power=4)
    expected = ((Y_TRUE - Y_PRED) ** 4).mean()
    np.testing.assert_allclose(loss(Y_TRUE, Y_PRED), expected, rtol=1e-5)
    config = losses.serialize(loss)
    again = losses.deserialize(config, custom_objects={"squared": squared})
    assert float(again(Y_TRUE, Y_PRED)) == float(loss(Y_TRUE, Y_PRED))
    with pytest.raises(ValueError, match="squared"):
        losses.deserialize(config)
