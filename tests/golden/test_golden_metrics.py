"""Metrics against results of real Keras after each of several updates."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import METRIC_CASES, METRIC_NAMES, REDUCTION_CASES
from loader import assert_close, assert_config, load

import cnn_core as keras

GOLDEN = load("metrics")
ALL = pytest.mark.parametrize("name", METRIC_CASES)


@ALL
@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_results(name, kind):
    case, expected = METRIC_CASES[name], GOLDEN[f"{name}/{kind}"]
    batches = runners.metric_batches(
        case, lambda key: GOLDEN.series(f"{case.data}/{key}"), kind == "weighted"
    )
    metric = case.build(keras)
    for _ in range(2):
        results = runners.metric_results(keras, metric, batches)
        assert_close(np.float32(results), expected)
        metric.reset_state()  # the second round must not remember the first
    cleared = runners.to_numpy(keras, metric.result())
    np.testing.assert_array_equal(cleared, np.zeros_like(expected[0]))


@ALL
def test_config_and_variables(name):
    metric, meta = METRIC_CASES[name].build(keras), GOLDEN.meta[name]
    assert_config(metric.get_config(), meta["config"])
    assert [variable.name for variable in metric.variables] == meta["variables"]


@pytest.mark.parametrize("name", REDUCTION_CASES)
def test_mean_and_sum(name):
    metric = getattr(keras.metrics, REDUCTION_CASES[name][0])()
    for i, values in enumerate(GOLDEN.series(f"{name}/values")):
        weight = GOLDEN.arrays.get(f"{name}/sample_weight/{i}")
        metric.update_state(values, sample_weight=weight)
        result = runners.to_numpy(keras, metric.result())
        assert_close(result, GOLDEN[f"{name}/result/{i}"])


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_string_name(name):
    found = keras.metrics.get(name)
    known = getattr(found, "__name__", type(found).__name__)
    assert known == GOLDEN.meta["names"][name]
