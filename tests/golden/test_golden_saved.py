"""Model files written by real Keras: loading, predicting, training on."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import SAVED_CASES
from loader import SAVED, assert_close, load, plain

import cnn_core as keras

GOLDEN = load("saved")
ALL = pytest.mark.parametrize("name", SAVED_CASES)
COMPILED = pytest.mark.parametrize(
    "name", [name for name, case in SAVED_CASES.items() if case.compile]
)


def as_one(items):
    return items if len(items) > 1 else items[0]


def assert_predicts(name, model):
    predictions = model.predict(as_one(GOLDEN.series(f"{name}/x")), verbose=0)
    expected = GOLDEN.series(f"{name}/predictions")
    for actual, wanted in zip(runners.outputs_of(predictions), expected, strict=True):
        assert_close(actual, wanted)


@ALL
def test_load_model(name):
    model, meta = keras.saving.load_model(SAVED / f"{name}.keras"), GOLDEN.meta[name]
    for actual, wanted in zip(
        model.get_weights(), GOLDEN.series(f"{name}/weights"), strict=True
    ):
        np.testing.assert_array_equal(actual, wanted)
    assert_predicts(name, model)
    assert type(model).__name__ == meta["class_name"]
    assert [layer.name for layer in model.layers] == meta["layers"]
    assert plain(model.output_shape) == meta["output_shape"]


@ALL
def test_param_counts(name):
    model, meta = SAVED_CASES[name].build(keras), GOLDEN.meta[name]
    assert model.count_params() == meta["count_params"]
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == meta["trainable_params"]


@pytest.mark.parametrize("name", [n for n, c in SAVED_CASES.items() if c.weights_file])
def test_load_weights(name):
    model = SAVED_CASES[name].build(keras)
    model.load_weights(SAVED / f"{name}.weights.h5")
    assert_predicts(name, model)


@ALL
def test_from_config_of_keras(name):
    built = SAVED_CASES[name].build(keras)
    model = type(built).from_config(GOLDEN.meta[name]["config"])
    model.set_weights(GOLDEN.series(f"{name}/weights"))
    assert_predicts(name, model)


@COMPILED
def test_optimizer_state(name):
    model = keras.saving.load_model(SAVED / f"{name}.keras")
    variables = model.optimizer.variables
    names = [variable.name for variable in variables]
    assert names == GOLDEN.meta[name]["optimizer_variables"]
    state = GOLDEN.series(f"{name}/optimizer")
    for variable, expected in zip(variables, state, strict=True):
        np.testing.assert_array_equal(runners.to_numpy(keras, variable), expected)


@COMPILED
def test_training_goes_on(name):
    model = keras.saving.load_model(SAVED / f"{name}.keras")
    x, y = as_one(GOLDEN.series(f"{name}/x")), as_one(GOLDEN.series(f"{name}/y"))
    losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(3)]
    assert losses == pytest.approx(GOLDEN.meta[name]["continued"], rel=1e-4)


@ALL
def test_saved_again(name, tmp_path):
    model = keras.saving.load_model(SAVED / f"{name}.keras")
    model.save(tmp_path / "again.keras")
    assert_predicts(name, keras.saving.load_model(tmp_path / "again.keras"))
