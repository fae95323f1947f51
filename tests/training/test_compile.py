"""What `compile` takes, and the losses and metrics that come of it."""

from __future__ import annotations

import numpy as np
import pytest
from mlps import LABELS, N, X, Y, assert_same, mlp, regression, state_of

import cnn_core as keras
from cnn_core import layers, ops


def two_outputs(**options):
    x = keras.Input((4,), name="features")
    value = layers.Dense(2, name="value")(x)
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    model = keras.Model(x, [value, kind])
    if options:
        model.compile(**options)
    return model


TWO_LOSSES = ["mse", "sparse_categorical_crossentropy"]


# --- compile ------------------------------------------------------------------


def test_defaults():
    model = mlp()
    assert not model.compiled
    model.compile()
    assert model.compiled
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert model.metrics_names == ["loss"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimiser": "sgd"}, TypeError, "optimiser"),
        ({"optimizer": "sdg"}, ValueError, "did you mean 'SGD'"),
        (
            {"loss": "mean_square_error"},
            ValueError,
            "did you mean 'mean_squared_error'",
        ),
        ({"loss": ["mse", "mea"]}, ValueError, "did you mean"),
        ({"loss": 3}, TypeError, "3"),
        ({"loss": "mse", "metrics": ["acuracy"]}, ValueError, "acuracy"),
        ({"loss": "mse", "metrics": "mae"}, TypeError, "metrics to be a list"),
        ({"loss": "mse", "weighted_metrics": "mae"}, TypeError, "weighted_metrics"),
        ({"loss": "mse", "loss_weights": "1"}, TypeError, "loss_weights"),
        ({"loss_weights": [1.0]}, ValueError, "no loss"),
        ({"loss": "mse", "steps_per_execution": 0}, ValueError, "steps_per_execution"),
    ],
)
def test_compile_refuses(options, error, message):
    with pytest.raises(error, match=message):
        mlp().compile(**options)


@pytest.mark.parametrize(
    "method", ["fit", "evaluate", "train_on_batch", "test_on_batch"]
)
def test_methods_need_compile(method):
    with pytest.raises(ValueError, match=rf"call compile\(\) before {method}\(\)"):
        getattr(mlp(), method)(X, Y)


def test_predict_needs_no_compile():
    assert mlp().predict(X, verbose=0).shape == (N, 2)


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "MeanSquaredError",
        keras.losses.MeanSquaredError(),
        keras.losses.mean_squared_error,
        lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred), axis=-1),
        ["mse"],
        {"class_name": "MeanSquaredError", "config": {}},
    ],
)
def test_ways_to_name_a_loss(loss):
    model = regression()
    expected = model.evaluate(X, Y, verbose=0)
    model.compile(loss=loss)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric",
    [
        "mae",
        "MeanAbsoluteError",
        keras.metrics.MeanAbsoluteError(name="error"),
        keras.metrics.MeanAbsoluteError,
        keras.losses.mean_absolute_error,
    ],
)
def test_ways_to_name_a_metric(metric):
    model = regression(metrics=[metric])
    names = {"mae": "mae", "MeanAbsoluteError": "MeanAbsoluteError"}
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    name = names.get(metric) if isinstance(metric, str) else None
    name = name or {"error": "error"}.get(getattr(metric, "name", ""))
    name = name or "mean_absolute_error"
    assert list(logs) == sorted(["loss", name])
    expected = np.abs(model.predict(X, verbose=0) - Y).mean()
    assert logs[name] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("outputs", "activation", "labels", "accuracy"),
    [
        (3, "softmax", LABELS, keras.metrics.SparseCategoricalAccuracy),
        (3, "softmax", LABELS[:, None], keras.metrics.SparseCategoricalAccuracy),
        (3, "softmax", np.eye(3)[LABELS], keras.metrics.CategoricalAccuracy),
        (1, "sigmoid", LABELS % 2, keras.metrics.BinaryAccuracy),
        (1, "sigmoid", LABELS[:, None] % 2, keras.metrics.BinaryAccuracy),
    ],
)
def test_accuracy_and_crossentropy_by_shape(outputs, activation, labels, accuracy):
    model = mlp(outputs, activation)
    model.compile(
        loss="crossentropy", metrics=["accuracy", "acc", "crossentropy", accuracy()]
    )
    logs = model.evaluate(X, labels, verbose=0, return_dict=True)
    assert logs["accuracy"] == logs["acc"]
    named = [k for k in logs if k not in ("accuracy", "acc", "loss", "crossentropy")]
    assert logs["accuracy"] == logs[named[0]]
    assert logs["crossentropy"] == pytest.approx(logs["loss"], rel=1e-5)


def test_names_that_occur_twice():
    model = regression(metrics=["mae", "mae"], weighted_metrics=["mae", "mae"])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "mae", "mae_1", "weighted_mae", "weighted_mae_1"}


def test_compile_config_round_trip():
    model = regression(
        keras.optimizers.Adam(0.25), metrics=["mae"], loss=keras.losses.Huber(0.5)
    )
    config = model.get_compile_config()
    assert set(config) == {
        "optimizer",
        "loss",
        "loss_weights",
        "metrics",
        "weighted_metrics",
        "run_eagerly",
        "steps_per_execution",
        "jit_compile",
    }
    twin = mlp()
    twin.set_weights(model.get_weights())
    twin.compile_from_config(config)
    assert twin.optimizer.built
    assert float(twin.optimizer.learning_rate) == 0.25
    for _ in range(2):
        assert twin.train_on_batch(X, Y) == model.train_on_batch(X, Y)
    assert mlp().get_compile_config() == {}


def test_compile_from_config_with_own_compile():
    class Special(keras.Model):
        def compile(self, secret):
            super().compile(loss="mse")

    with pytest.warns(UserWarning, match="has its own compile"):
        Special().compile_from_config({"loss": "mse"})


def test_compile_again_starts_new_metrics_and_keeps_weights():
    model = regression(metrics=["mae"])
    model.fit(X, Y, verbose=0)
    weights = model.get_weights()
    model.compile("adam", "mae")
    assert_same(model.get_weights(), weights)
    assert list(model.fit(X, Y, verbose=0).history) == ["loss"]


# --- what a step computes -----------------------------------------------------


def test_a_step_of_sgd_by_hand():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    kernel, bias = model.get_weights()
    error = X @ kernel + bias - Y
    loss = model.train_on_batch(X, Y)
    assert loss == pytest.approx((error**2).mean(), rel=1e-5)
    expected = kernel - 0.1 * X.T @ (2 * error / error.size)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5, atol=1e-6)


def test_losses_of_weights_and_calls_are_added():
    class Penalty(layers.Layer):
        def call(self, inputs):
            self.add_loss(ops.sum(inputs) * 0.0 + 7.0)
            return inputs

    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5)),
            Penalty(),
        ]
    )
    model.compile("sgd", "mse")
    penalty = 0.5 * (model.get_weights()[0] ** 2).sum()
    error = ((model.predict(X, verbose=0) - Y) ** 2).mean()
    loss = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(error + penalty + 7, rel=1e-5)


def test_training_without_a_loss_but_with_added_ones():
    class Shrink(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="ones")

        def call(self, inputs):
            self.add_loss(ops.square(self.scale))
            return inputs * self.scale

    model = keras.Sequential([keras.Input((4,)), Shrink()])
    model.compile(keras.optimizers.SGD(0.25))
    model.fit(X, epochs=1, batch_size=N, verbose=0)
    assert float(model.layers[0].scale) == 0.5


def test_nothing_to_minimize():
    model = mlp()
    model.compile(metrics=["mae"])
    with pytest.raises(ValueError, match="no loss to minimize"):
        model.fit(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] == 0


def test_no_optimizer():
    model = mlp()
    model.compile(None, "mse")
    with pytest.raises(ValueError, match="no optimizer"):
        model.fit(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0) > 0


def test_no_trainable_weights_warns():
    model = regression()
    model.trainable = False
    before = model.get_weights()
    with pytest.warns(UserWarning, match="no trainable weights"):
        model.fit(X, Y, verbose=0)
    assert_same(model.get_weights(), before)


def test_unreduced_losses_are_refused():
    model = regression(loss=keras.losses.MeanSquaredError(reduction="none"))
    with pytest.raises(
        ValueError, match=r"shape \(32,\) where training needs a scalar"
    ):
        model.fit(X, Y, verbose=0)


def test_loss_is_the_mean_over_samples_not_batches():
    model = regression()
    whole = model.evaluate(X, Y, verbose=0, batch_size=N)
    parts = model.evaluate(X, Y, verbose=0, batch_size=33)
    assert parts == pytest.approx(whole, rel=1e-5)


def test_sample_weights():
    model = regression(metrics=["mae"], weighted_metrics=["mae"])
    weight = np.linspace(0, 2, N)
    logs = model.evaluate(X, Y, sample_weight=weight, verbose=0, return_dict=True)
    error = np.abs(model.predict(X, verbose=0) - Y)
    assert logs["loss"] == pytest.approx(((error**2).mean(1) * weight).mean(), rel=1e-5)
    assert logs["mae"] == pytest.approx(error.mean(), rel=1e-5)
    weighted = np.average(error.mean(1), weights=weight)
    assert logs["weighted_mae"] == pytest.approx(weighted, rel=1e-5)


def test_class_weights_equal_sample_weights():
    weights = {0: 0.5, 2: 3.0}
    results = []
    for options in (
        {"class_weight": weights},
        {"sample_weight": np.array([weights.get(int(c), 1.0) for c in LABELS])},
    ):
        keras.utils.set_random_seed(1)
        model = mlp(3, "softmax")
        model.compile("adam", "crossentropy", weighted_metrics=["accuracy"])
        history = model.fit(X, LABELS, epochs=2, verbose=0, **options)
        model.train_on_batch(X, LABELS, **options)
        results.append((history.history, model.get_weights()))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])


def test_masks_leave_time_steps_out():
    x = np.array([[[1.0], [2], [0]], [[3], [0], [0]]])
    y = np.arange(6.0).reshape(2, 3, 1)
    model = keras.Sequential([keras.Input((3, 1)), layers.Masking(), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    error = model.predict(x, verbose=0) - y
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx((error[x != 0] ** 2).mean(), rel=1e-5)
    assert logs["mae"] == pytest.approx(np.abs(error[x != 0]).mean(), rel=1e-5)


def test_dropout_in_training_only():
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    assert model.evaluate(X, X, verbose=0) == 0
    with pytest.warns(UserWarning, match="no trainable"):
        assert model.train_on_batch(X, X) > 0


# --- several outputs ----------------------------------------------------------


def test_losses_of_two_outputs():
    model = two_outputs(loss=TWO_LOSSES, loss_weights=[0.5, 2.0])
    logs = model.evaluate(X, [Y, LABELS], verbose=0, return_dict=True)
    assert list(logs) == ["kind_loss", "loss", "value_loss"]
    total = 0.5 * logs["value_loss"] + 2 * logs["kind_loss"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    "targets",
    [[Y, LABELS], (Y, LABELS), {"value": Y, "kind": LABELS}],
    ids=["list", "tuple", "dict"],
)
@pytest.mark.parametrize(
    "options",
    [
        {"loss": TWO_LOSSES, "metrics": [["mae"], ["accuracy"]]},
        {"loss": tuple(TWO_LOSSES), "metrics": ["mae", "accuracy"]},
        {
            "loss": {"kind": TWO_LOSSES[1], "value": "mse"},
            "metrics": {"kind": "accuracy", "value": ["mae"]},
        },
    ],
    ids=["lists", "tuple", "dicts"],
)
def test_ways_to_name_two_outputs(targets, options):
    model = two_outputs(**options)
    logs = model.evaluate(X, targets, verbose=0, return_dict=True)
    assert list(logs) == [
        "kind_accuracy",
        "kind_loss",
        "loss",
        "value_loss",
        "value_mae",
    ]
    value, kind = model.predict(X, verbose=0)
    assert logs["value_mae"] == pytest.approx(np.abs(value - Y).mean(), rel=1e-5)
    right = (kind.argmax(1) == LABELS).mean()
    assert logs["kind_accuracy"] == pytest.approx(right)


def test_one_loss_for_all_outputs():
    x = keras.Input((4,))
    a, b = layers.Dense(2, name="a")(x), layers.Dense(2, name="b")(x)
    model = keras.Model(x, [a, b])
    model.compile(loss="mse", loss_weights=[1.0, 3.0])
    logs = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["a_loss"] + 3 * logs["b_loss"], rel=1e-5)


@pytest.mark.parametrize("loss", [["mse", None], {"value": "mse", "kind": None}])
@pytest.mark.parametrize("targets", [[Y, LABELS], Y, [Y], {"value": Y}])
def test_outputs_without_a_loss(loss, targets):
    model = two_outputs(loss=loss, metrics=[["mae"], []])
    logs = model.evaluate(X, targets, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "value_mae"]


def test_several_losses_for_one_output():
    model = regression(loss=["mse", "mae"], loss_weights=[1.0, 2.0])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    parts = [logs[k] for k in logs if k != "loss"]
    assert len(parts) == 2
    error = model.predict(X, verbose=0) - Y
    expected = (error**2).mean() + 2 * np.abs(error).mean()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_dictionary_of_outputs():
    x = keras.Input((4,))
    outputs = {"b": layers.Dense(2)(x), "a": layers.Dense(3, activation="softmax")(x)}
    model = keras.Model(x, outputs)
    model.compile(loss={"b": "mse", "a": "crossentropy"}, metrics={"a": ["accuracy"]})
    model.fit(X, {"a": LABELS, "b": Y}, verbose=0)
    logs = model.evaluate(X, {"a": LABELS, "b": Y}, verbose=0, return_dict=True)
    assert list(logs) == ["a_accuracy", "a_loss", "b_loss", "loss"]
    assert set(model.predict(X, verbose=0)) == {"a", "b"}


def test_outputs_without_names():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(2), layers.Dense(2)

        def call(self, inputs):
            return self.first(inputs), self.second(inputs)

    model = Two()
    model.compile("sgd", ["mse", "mae"], metrics=[["mae"], ["mae"]])
    history = model.fit(X, (Y, Y), verbose=0).history
    assert set(history) == {"loss", "output_1_loss", "output_2_loss", "mae", "mae_1"}
    assert all(part.shape == (N, 2) for part in model.predict(X, verbose=0))


def test_nested_outputs():
    class Nested(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (layers.Dense(2) for _ in range(3))

        def call(self, inputs):
            pair = [self.a(inputs), self.b(inputs)]
            return {"pair": pair, "single": self.c(inputs)}

    model = Nested()
    model.compile("sgd", {"pair": ["mse", "mae"], "single": "mse"})
    target = {"pair": [Y, Y], "single": Y}
    history = model.fit(X, target, verbose=0).history
    assert len(history) == 4
    predicted = model.predict(X, verbose=0)
    assert predicted["pair"][1].shape == (N, 2)


def test_sample_weight_for_each_output():
    model = two_outputs(loss=TWO_LOSSES)
    one, zero = np.ones(N), np.zeros(N)
    for weights in ([one, zero], {"value": one, "kind": zero}):
        y = [Y, LABELS] if isinstance(weights, list) else {"value": Y, "kind": LABELS}
        logs = model.evaluate(X, y, sample_weight=weights, verbose=0, return_dict=True)
        assert logs["kind_loss"] == 0
        assert logs["loss"] == logs["value_loss"] > 0
    logs = model.evaluate(
        X, [Y, LABELS], sample_weight=zero, verbose=0, return_dict=True
    )
    assert logs["loss"] == 0


@pytest.mark.parametrize(
    ("options", "targets", "message"),
    [
        ({"loss": ["mse"]}, [Y, LABELS], "one entry for each of the 2 outputs"),
        ({"loss": {"value": "mse"}}, [Y, LABELS], "no entry for the output 'kind'"),
        (
            {"loss": {"valeu": "mse", "kind": "mse"}},
            [Y, LABELS],
            "Unknown output in loss 'valeu'; did you mean 'value'",
        ),
        (
            {"loss": TWO_LOSSES, "metrics": ["mae"]},
            [Y, LABELS],
            r"metrics to have one entry for each of the 2 outputs \(value, kind\)",
        ),
        (
            {"loss": TWO_LOSSES, "metrics": {"knd": ["mae"]}},
            [Y, LABELS],
            "did you mean 'kind'",
        ),
        (
            {"loss": TWO_LOSSES, "loss_weights": [1.0]},
            [Y, LABELS],
            "loss_weights to have one entry",
        ),
        ({"loss": TWO_LOSSES}, Y, r"2 output\(s\) \(value, kind\), but y holds 1"),
        ({"loss": TWO_LOSSES}, {"value": Y}, "no.* for the output 'kind'"),
        ({"loss": TWO_LOSSES}, {"value": Y, "k": LABELS}, "Unknown output in y 'k'"),
    ],
)
def test_outputs_that_do_not_fit(options, targets, message):
    model = two_outputs(**options)
    before = state_of(model)
    with pytest.raises(ValueError, match=message):
        model.fit(X, targets, verbose=0)
    assert_same(state_of(model)[: len(before)], before)


# --- several inputs -----------------------------------------------------------


def test_inputs_as_list_and_by_name():
    a, b = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    out = layers.Dense(2)(layers.concatenate([a, b]))
    model = keras.Model([a, b], out)
    model.compile("sgd", "mse")
    left, right = X[:, :3], X[:, 2:]
    as_list = model.predict([left, right], verbose=0)
    by_name = {"right": right, "left": left}
    np.testing.assert_array_equal(model.predict(by_name, verbose=0), as_list)
    assert model.evaluate(by_name, Y, verbose=0) == model.evaluate(
        [left, right], Y, verbose=0
    )
    model.fit(by_name, Y, verbose=0)
    model.fit(((left, right), Y) for _ in range(2))
    assert int(model.optimizer.iterations) == 4
