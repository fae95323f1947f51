"""`evaluate`, `predict`, single batches, and own models and steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from mlps import N, X, Y, assert_same, mlp, regression, state_of

import cnn_core as keras
from cnn_core import layers, ops


class Own(keras.Model):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)


# --- evaluate and predict -----------------------------------------------------


def test_evaluate_returns():
    model = regression()
    loss = model.evaluate(X, Y, verbose=0)
    assert type(loss) is float
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"loss": loss}
    model.compile(loss="mse", metrics=["mae", "mse"])
    values = model.evaluate(X, Y, verbose=0)
    assert len(values) == 3
    assert values[0] == pytest.approx(loss)
    assert values[2] == pytest.approx(loss, rel=1e-5)


def test_evaluate_changes_no_weights():
    model = regression("adam")
    model.fit(X, Y, verbose=0)
    before = state_of(model)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model.test_on_batch(X, Y)
    assert_same(state_of(model), before)


def test_evaluate_some_steps():
    model = regression()
    part = model.evaluate(X, Y, batch_size=10, steps=2, verbose=0)
    assert part == pytest.approx(model.evaluate(X[:20], Y[:20], verbose=0), rel=1e-5)


def test_predictions_do_not_depend_on_the_batch_size():
    model = mlp()
    whole = model.predict(X, batch_size=N, verbose=0)
    assert type(whole) is np.ndarray
    assert whole.flags.writeable
    for size in (1, 7, 32):
        parts = model.predict(X, batch_size=size, verbose=0)
        np.testing.assert_allclose(parts, whole, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X, steps=1, verbose=0), whole)
    np.testing.assert_array_equal(model(X), whole)
    np.testing.assert_array_equal(model.predict_on_batch(X), whole)


def test_predict_does_not_alias_its_input():
    model = keras.Sequential([keras.Input((4,)), layers.Activation("linear")])
    x = X.copy()
    for result in (model.predict(x, verbose=0), model.predict_on_batch(x)):
        result[:] = 0
    np.testing.assert_array_equal(x, X)


def test_predict_errors():
    with pytest.raises(ValueError, match="predict: expected at least one sample"):
        mlp().predict(X[:0], verbose=0)
    with pytest.raises(TypeError, match="predict: expected x to hold numbers"):
        mlp().predict(np.array([["a"] * 4]), verbose=0)


# --- single batches -----------------------------------------------------------


def test_on_batch_returns():
    model = regression(metrics=["mae"])
    loss, mae = model.train_on_batch(X, Y)
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert list(logs) == ["loss", "mae"]
    assert logs["loss"] < loss
    assert type(loss) is type(mae) is float
    model.compile(loss="mse")
    assert type(model.train_on_batch(X, Y)) is float


def test_on_batch_starts_metrics_anew():
    model = regression()
    model.test_on_batch(X * 100, Y)
    assert model.test_on_batch(X, Y) == pytest.approx(model.evaluate(X, Y, verbose=0))


def test_train_on_batch_equals_fit():
    first, second = regression("adam"), regression("adam")
    second.set_weights(first.get_weights())
    first.fit(X, Y, batch_size=N, epochs=3, verbose=0, shuffle=False)
    for _ in range(3):
        second.train_on_batch(X.astype("float64"), Y.tolist() and Y)
    assert_same(state_of(first), state_of(second))


def test_on_batch_errors():
    model = regression()
    model.train_on_batch(X, Y)
    before = state_of(model)
    with pytest.raises(ValueError, match=r"train_on_batch: .* x has 40, y has 2"):
        model.train_on_batch(X, Y[:2])
    with pytest.raises(ValueError, match="train_on_batch: expected at least one samp"):
        model.train_on_batch(X[:0], Y[:0])
    with pytest.raises(ValueError, match="not both"):
        model.train_on_batch(X, Y, np.ones(N), class_weight={0: 1.0})
    with pytest.raises(ValueError, match="y is missing"):
        model.train_on_batch(X)
    assert_same(state_of(model), before)


# --- own models and steps -----------------------------------------------------


def test_model_that_is_built_by_fit():
    for model in (
        Own(),
        keras.Sequential([layers.Dense(3), layers.Dense(2), layers.Dense(2)]),
    ):
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(X, Y, verbose=0, epochs=2)
        assert model.built
        assert int(model.optimizer.iterations) == 4
        weights = [w for w in model.get_weights() if w.shape == (2, 2)]
        assert all(np.any(a != b) for a, b in itertools.pairwise(weights))


def test_call_that_looks_at_values():
    class Looks(Own):
        def call(self, inputs):
            if float(ops.max(inputs)) > 1e9:
                inputs = inputs * 0
            return self.dense(inputs)

    model = Looks()
    model.compile("sgd", "mse", run_eagerly=True)
    losses = model.fit(X, Y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    before = model.get_weights()
    with pytest.raises(ValueError, match="shape"):
        model.fit(X, Y[:, :1].repeat(3, 1), verbose=0)
    assert_same(model.get_weights(), before)


def test_own_train_step():
    class Custom(Own):
        def train_step(self, data):
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            assert isinstance(x, keras.Tensor)
            with keras.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x, y, y_pred, sample_weight)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(
                zip(gradients, self.trainable_variables, strict=True)
            )
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    default, custom = Own(), Custom()
    for model in (default, custom):
        model.build((None, 4))
        model.compile("sgd", "mse", metrics=["mae"])
    custom.set_weights(default.get_weights())
    options = {"epochs": 2, "batch_size": 20, "shuffle": False, "verbose": 0}
    a, b = (m.fit(X, Y, **options).history for m in (default, custom))
    assert_same(default.get_weights(), custom.get_weights())
    assert b["mae"] == a["mae"]
    assert b["loss"] == pytest.approx(a["loss"])


def test_own_train_step_with_own_metrics_and_logs():
    class Custom(Own):
        def __init__(self):
            super().__init__()
            self.tracker = keras.metrics.Mean(name="my_loss")

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            x, y = data
            with keras.GradientTape() as tape:
                loss = ops.mean(ops.square(self(x, training=True) - y))
            weights = self.trainable_weights
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            self.tracker.update_state(loss)
            return {"my_loss": self.tracker.result(), "constant": 3}

    model = Custom()
    model.compile("sgd")
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert list(history) == ["constant", "my_loss"]
    assert history["constant"] == [3, 3]
    assert history["my_loss"][1] < history["my_loss"][0]


class Adversaries(keras.Model):
    """Two networks with an optimizer each, without a `call`."""

    fails = False

    def __init__(self):
        super().__init__()
        self.one, self.other = mlp(4), mlp(1)

    def compile(self, one_optimizer, other_optimizer):
        super().compile()
        self.one_optimizer, self.other_optimizer = one_optimizer, other_optimizer

    def train_step(self, data):
        logs = {}
        for sign, network, optimizer in (
            (1, self.other, self.other_optimizer),
            (-1, self.one, self.one_optimizer),
        ):
            with keras.GradientTape() as tape:
                loss = sign * ops.mean(self.other(self.one(data)))
            weights = network.trainable_weights
            optimizer.apply(tape.gradient(loss, weights), weights)
            logs[network.name] = loss
            if self.fails:
                raise KeyboardInterrupt
        return logs


def test_two_optimizers():
    model = Adversaries()
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.01))
    history = model.fit(X, epochs=2, verbose=0).history
    assert set(history) == {model.one.name, model.other.name}
    states = [model.variables, model.one_optimizer.variables]
    states.append(model.other_optimizer.variables)
    before = [np.array(v) for state in states for v in state]
    model.fails = True
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, verbose=0)
    assert_same([np.array(v) for state in states for v in state], before)


def test_train_step_must_return_logs():
    class Custom(Own):
        def train_step(self, data):
            return None

    model = Custom()
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="must return a dictionary"):
        model.train_on_batch(X, Y)


def test_own_test_and_predict_steps():
    class Custom(Own):
        def test_step(self, data):
            return {"answer": ops.convert_to_tensor(42.0)}

        def predict_step(self, data):
            return {"double": 2 * super().predict_step(data)}

    model = Custom()
    model.compile("sgd", "mse")
    assert model.evaluate(X, Y, verbose=0) == 42
    result = model.predict(X, batch_size=7, verbose=0)["double"]
    np.testing.assert_array_equal(result, 2 * np.asarray(model(X)))


def test_own_compute_loss_and_metrics():
    class Custom(Own):
        def compute_loss(self, x, y, y_pred, sample_weight):  # without training
            return 2 * super().compute_loss(x, y, y_pred, sample_weight)

        def compute_metrics(self, x, y, y_pred, sample_weight):
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**results, "batch": float(x.shape[0])}

    model = Custom()
    model.compile("sgd", "mse")
    logs = model.evaluate(X, Y, verbose=0, return_dict=True, batch_size=N)
    error = ((np.asarray(model(X)) - Y) ** 2).mean()
    assert logs["loss"] == pytest.approx(2 * error, rel=1e-5)
    assert logs["batch"] == N


def test_metrics_of_layers_are_logged():
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = keras.metrics.Sum(name="seen")

        def call(self, inputs):
            self.seen.update_state(ops.ones_like(inputs[:, 0]))
            return inputs

    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), Watched()])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert list(history) == ["loss", "seen"]
    assert history["seen"] == [N, N]


def test_frozen_layers():
    model = regression("adam")
    model.layers[0].trainable = False
    first, second = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.fit(X, Y, verbose=0)
    assert_same(model.layers[0].get_weights(), first)
    assert np.any(model.layers[1].get_weights()[0] != second[0])


# --- dtypes -------------------------------------------------------------------


def test_double_precision():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        model = regression("adam", metrics=["mae"])
        model.fit(X, Y, sample_weight=np.ones(N, "float32"), verbose=0)
        model.train_on_batch(X, Y)
        assert {w.dtype.name for w in model.get_weights()} == {"float64"}
        assert model.predict(X, verbose=0).dtype == "float64"
        assert model.evaluate(X, Y, verbose=0)[0] > 0
    finally:
        keras.config.set_floatx(before)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint8", "bool"])
def test_input_dtypes(dtype):
    x = np.abs(X * 3).astype(dtype)
    model = regression()
    model.fit(x, Y, verbose=0)
    result = model.predict(x, verbose=0)
    assert result.dtype == "float32"
    expected = model.predict(x.astype("float32"), verbose=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
