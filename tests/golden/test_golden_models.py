"""Training runs against real Keras: losses, metrics, history, weights."""

from __future__ import annotations

import pytest
import runners
from cases import TRAIN_CASES
from loader import assert_close, assert_logs, load

import cnn_core as keras

GOLDEN = load("models")
ALL = pytest.mark.parametrize("name", TRAIN_CASES)


def data_of(name, prefix=""):
    """The stored `x`, `y` and `sample_weight` of a case."""
    keys = ("x", "y", "sample_weight")
    data = {key: GOLDEN.tree(f"{name}/{prefix}{key}") for key in keys}
    return {key: value for key, value in data.items() if value is not None}


def assert_weights(actual, expected):
    for value, wanted in zip(actual, expected, strict=True):
        assert_close(value, wanted, "steps")


@ALL
def test_steps_and_evaluation(name):
    meta = GOLDEN.meta[name]
    logs, weights, predictions = runners.train_steps(
        keras, TRAIN_CASES[name], GOLDEN.series(f"{name}/weights"), data_of(name)
    )
    for actual, expected in zip(
        logs["train_on_batch"], meta["train_on_batch"], strict=True
    ):
        assert_logs(actual, expected)
    assert_weights(weights, GOLDEN.series(f"{name}/stepped"))
    assert_logs(logs["test_on_batch"], meta["test_on_batch"])
    assert_logs(logs["evaluate"], meta["evaluate"])
    assert logs["evaluate_list"] == pytest.approx(meta["evaluate_list"], rel=1e-4)
    assert logs["metrics_names"] == meta["metrics_names"]
    expected = GOLDEN.tree(f"{name}/predictions")
    if isinstance(expected, dict):
        assert set(predictions) == set(expected)
        predictions = [predictions[key] for key in expected]
        expected = list(expected.values())
    assert_weights(runners.outputs_of(predictions), runners.outputs_of(expected))


@ALL
def test_fit(name):
    history, weights = runners.fit_history(
        keras,
        TRAIN_CASES[name],
        GOLDEN.series(f"{name}/weights"),
        data_of(name),
        data_of(name, "validation_"),
    )
    expected = GOLDEN.meta[name]["history"]
    assert list(history) == list(expected)
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=1e-4, abs=1e-5)
    assert_weights(weights, GOLDEN.series(f"{name}/fitted"))
