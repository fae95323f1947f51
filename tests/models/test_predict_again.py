"""Predictions for small arrays of a kind that came before, on the shortest way."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers
from cnn_core.models.programs import StepPrograms

X = np.random.default_rng(2).normal(size=(40, 6)).astype("float32")


@pytest.fixture
def ways(monkeypatch):
    """For each prediction, whether it went the short way."""
    seen = []
    again = StepPrograms.predict_again

    def noted(*args):
        outputs = again(*args)
        seen.append(outputs is not None)
        return outputs

    monkeypatch.setattr(StepPrograms, "predict_again", noted)
    return seen


def small():
    return keras.Sequential(
        [layers.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(2)]
    )


def expected(model, x):
    with keras.GradientTape():
        return np.asarray(model(x))


def test_predict_and_predict_on_batch(ways):
    model = small()
    for x in (X[:1], X[:32], X[:3].astype("float64"), np.asfortranarray(X[:4])):
        ways.clear()
        for _ in range(4):
            for y in (model.predict(x, verbose=0), model.predict_on_batch(x)):
                assert type(y) is np.ndarray
                assert y.flags.writeable
                np.testing.assert_array_equal(y, expected(model, x), strict=True)
        if backend.name() == "compiled":
            assert all(ways[-4:])


def test_kinds_of_calls_that_need_more(ways, capsys):
    model = small()
    for _ in range(3):
        model.predict(X[:3], verbose=0)
    ways.clear()
    model.predict(X[:3], batch_size=2, verbose=0)
    model.predict(X, verbose=0)
    model.predict([X[:3]], verbose=0)
    assert not any(ways)
    for _ in range(3):
        model.predict(X[:3], verbose=1)
        assert "1" in capsys.readouterr().out
        seen = []
        watch = keras.callbacks.LambdaCallback(
            on_predict_begin=lambda logs, seen=seen: seen.append(1)
        )
        model.predict(X[:3], verbose=0, callbacks=[watch])
        assert seen == [1]
        batches = keras.callbacks.LambdaCallback(
            on_predict_batch_end=lambda batch, logs, seen=seen: seen.append(logs)
        )
        model.predict(X[:3], verbose=0, callbacks=[batches])
        np.testing.assert_array_equal(seen[1]["outputs"], expected(model, X[:3]))
        model.predict(X[:3], verbose=0, steps=1)
    for bad in ({"batch_size": -1}, {"batch_size": 0}, {"batch_size": 1.5}):
        with pytest.raises((ValueError, TypeError), match="batch_size"):
            model.predict(X[:3], verbose=0, **bad)


def test_changes_are_seen(ways):
    model = small()
    model.compile("sgd", "mse")

    def check():
        for _ in range(3):
            y = model.predict(X[:3], verbose=0)
            np.testing.assert_array_equal(y, expected(model, X[:3]), strict=True)
            y = model.predict_on_batch(X[:3])
            np.testing.assert_array_equal(y, expected(model, X[:3]), strict=True)

    check()
    model.layers[0].kernel.assign(model.layers[0].kernel * 2)
    check()
    model.train_on_batch(X[:8], X[:8, :2])
    check()
    model.fit(X, X[:, :2], verbose=0)
    check()
    model.add(layers.Dense(3))
    check()
    model.compile("sgd", "mse", run_eagerly=True)
    ways.clear()
    check()
    assert not any(ways)


def test_own_steps_are_called():
    class Own(keras.Sequential):
        calls = 0

        def predict_step(self, data):
            Own.calls += 1
            return super().predict_step(data)

    model = Own([layers.Input((6,)), layers.Dense(2)])
    model.run_eagerly = True
    for _ in range(3):
        model.predict(X[:2], verbose=0)
    assert Own.calls == 3


def test_nested_outputs():
    inputs = keras.Input((6,))
    y = layers.Dense(2)(inputs)
    model = keras.Model(inputs, {"a": y, "b": [y * 2, y + 1]})
    for _ in range(3):
        for outputs in (model.predict(X[:3], verbose=0), model.predict_on_batch(X[:3])):
            assert list(outputs) == ["a", "b"]
            np.testing.assert_array_equal(outputs["b"][0], outputs["a"] * 2)
            np.testing.assert_array_equal(outputs["b"][1], outputs["a"] + 1)
