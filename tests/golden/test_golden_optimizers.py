"""Optimizers and learning-rate schedules against ten steps of real Keras."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import OPTIMIZER_CASES, OPTIMIZER_NAMES, SCHEDULE_CASES
from loader import assert_close, assert_config, load

import cnn_core as keras

GOLDEN = load("optimizers")


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_steps(name):
    gradients = [list(step) for step in zip(*GOLDEN.series("gradients"), strict=True)]
    history, optimizer = runners.optimizer_steps(
        keras, OPTIMIZER_CASES[name], GOLDEN.series("initial"), gradients
    )
    for actual, expected in zip(
        zip(*history, strict=True), GOLDEN.series(f"{name}/variable"), strict=True
    ):
        assert_close(np.stack(actual), expected, "steps")
    meta = GOLDEN.meta[name]
    assert float(optimizer.learning_rate) == pytest.approx(meta["learning_rate"])
    names = [variable.name for variable in optimizer.variables]
    assert runners.without_counter(names) == meta["variables"]
    state = GOLDEN.series(f"{name}/state")
    for variable, expected in zip(optimizer.variables, state, strict=True):
        assert_close(runners.to_numpy(keras, variable), expected, "steps")


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_config(name):
    optimizer, config = OPTIMIZER_CASES[name].build(keras), GOLDEN.meta[name]["config"]
    assert_config(optimizer.get_config(), config)
    assert_config(type(optimizer).from_config(dict(config)).get_config(), config)


@pytest.mark.parametrize("name", OPTIMIZER_NAMES)
def test_string_name(name):
    assert type(keras.optimizers.get(name)).__name__ == GOLDEN.meta["names"][name]


@pytest.mark.parametrize("name", SCHEDULE_CASES)
def test_schedule(name):
    case, config = SCHEDULE_CASES[name], GOLDEN.meta[name]["config"]
    values = runners.schedule_values(keras, case, GOLDEN["schedule_steps"])
    assert_close(values, GOLDEN[f"{name}/values"])
    schedule = case.build(keras)
    assert_config(schedule.get_config(), config)
    assert_config(type(schedule).from_config(dict(config)).get_config(), config)
