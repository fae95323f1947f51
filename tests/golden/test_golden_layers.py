"""Layers against values, gradients, shapes and configs of real Keras."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import INPUT_CASES, LAYER_CASES
from loader import assert_close, assert_config, load

import cnn_core as keras

GOLDEN = load("layers")
ALL = pytest.mark.parametrize("name", LAYER_CASES)


def weighted_layer(name, layer):
    """`layer` with the stored weights of the case."""
    runners.built_layer(keras, layer, LAYER_CASES[name])
    layer.set_weights(GOLDEN.series(f"{name}/weight"))
    return layer


def new_layer(name):
    return weighted_layer(name, LAYER_CASES[name].build(keras))


@ALL
def test_output(name):
    case, meta = LAYER_CASES[name], GOLDEN.meta[name]
    layer = new_layer(name)
    assert [weight.name for weight in layer.weights] == meta["weights"]
    inputs = GOLDEN.series(f"{name}/input")
    for training in case.training:
        output = runners.layer_output(keras, layer, case, inputs, training)
        assert str(output.dtype) == meta["dtype"]
        assert_close(output, GOLDEN[f"{name}/output"])


@pytest.mark.parametrize("name", [n for n in LAYER_CASES if GOLDEN.meta[n]["losses"]])
def test_losses(name):
    case = LAYER_CASES[name]
    layer = new_layer(name)
    inputs = GOLDEN.series(f"{name}/input")
    runners.layer_output(keras, layer, case, inputs, False)
    losses = np.float32([float(loss) for loss in layer.losses])
    assert_close(losses, np.float32(GOLDEN.meta[name]["losses"]))


@pytest.mark.parametrize("name", [n for n, c in LAYER_CASES.items() if c.gradient])
def test_gradient(name):
    case, layer = LAYER_CASES[name], new_layer(name)
    gradients = runners.tape_gradients(
        keras,
        lambda *inputs: layer(case.arguments(list(inputs))),
        GOLDEN.series(f"{name}/input"),
        GOLDEN.series(f"{name}/cotangent"),
        layer.trainable_weights,
    )
    expected = GOLDEN.series(f"{name}/gradient")
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_close(actual, wanted, "gradient")


@pytest.mark.parametrize("name", [n for n, c in LAYER_CASES.items() if c.symbolic])
def test_shapes_with_unknown_batch(name):
    case, meta = LAYER_CASES[name], GOLDEN.meta[name]
    shape = runners.symbolic_shape(keras, case.build(keras), case)
    assert shape == meta["symbolic_shape"]
    assert runners.output_shape(new_layer(name), case) == meta["compute_output_shape"]


@pytest.mark.parametrize("name", [n for n in LAYER_CASES if GOLDEN.meta[n]["config"]])
def test_config(name):
    assert_config(new_layer(name).get_config(), GOLDEN.meta[name]["config"])


@pytest.mark.parametrize("name", [n for n in LAYER_CASES if GOLDEN.meta[n]["config"]])
def test_from_config_of_keras(name):
    case = LAYER_CASES[name]
    kind = type(case.build(keras))
    layer = weighted_layer(name, kind.from_config(dict(GOLDEN.meta[name]["config"])))
    inputs = GOLDEN.series(f"{name}/input")
    output = runners.layer_output(keras, layer, case, inputs, False)
    assert_close(output, GOLDEN[f"{name}/output"])


@pytest.mark.parametrize("name", INPUT_CASES)
def test_input(name):
    options, meta = INPUT_CASES[name], GOLDEN.meta["inputs"][name]
    tensor = keras.Input(**options)
    assert list(tensor.shape) == meta["shape"]
    assert tensor.dtype == meta["dtype"]
    assert_config(keras.layers.InputLayer(**options).get_config(), meta["config"])
