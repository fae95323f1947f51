"""Losses against values, reductions and gradients of real Keras."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import LOSS_CASES, LOSS_NAMES, REDUCTIONS
from loader import assert_close, assert_config, load

import cnn_core as keras

GOLDEN = load("losses")
ALL = pytest.mark.parametrize("name", LOSS_CASES)


def data_of(name):
    """Targets and predictions of a case."""
    data = LOSS_CASES[name].data
    return GOLDEN[f"{data}/y_true"], GOLDEN[f"{data}/y_pred"]


@ALL
def test_values_without_reduction(name):
    for reduction in ("none", None):
        loss = LOSS_CASES[name].build(keras, reduction=reduction)
        values = runners.to_numpy(keras, loss(*data_of(name)))
        assert_close(values, GOLDEN[f"{name}/none"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in LOSS_CASES for kind in GOLDEN.meta[name]["reduced"]],
)
def test_reduced(name, kind):
    reduced = GOLDEN.meta[name]["reduced"][kind]
    y_true, y_pred = data_of(name)
    raw = GOLDEN[f"{LOSS_CASES[name].data}/raw_weight"]
    weight = runners.loss_weights(kind, y_pred, GOLDEN[f"{name}/none"], raw)
    for reduction in REDUCTIONS:
        loss = LOSS_CASES[name].build(keras, reduction=reduction)
        value = runners.to_numpy(keras, loss(y_true, y_pred, sample_weight=weight))
        assert_close(value, np.float32(reduced[reduction]))


@pytest.mark.parametrize("name", [n for n, c in LOSS_CASES.items() if c.gradient])
def test_gradient(name):
    y_true, y_pred = data_of(name)
    loss = LOSS_CASES[name].build(keras, reduction="none")
    (gradient,) = runners.tape_gradients(
        keras,
        lambda prediction: loss(y_true, prediction),
        [y_pred],
        GOLDEN.series(f"{name}/cotangent"),
    )
    assert_close(gradient, GOLDEN[f"{name}/gradient/0"], "gradient")


@ALL
def test_config(name):
    loss, config = LOSS_CASES[name].build(keras), GOLDEN.meta[name]["config"]
    assert_config(loss.get_config(), config)
    assert_config(type(loss).from_config(config).get_config(), config)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_string_name(name):
    found = keras.losses.get(name)
    known = getattr(found, "__name__", type(found).__name__)
    assert known == GOLDEN.meta["names"][name]
