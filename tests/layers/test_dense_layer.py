"""Dense: values come from the golden tests; here are fusion, checks and state."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import activations, layers, ops
from cnn_core.ops.activations import FUSED

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", sorted(FUSED))
def test_fused_activation_equals_the_function(name):
    x = RNG.normal(size=(4, 5)).astype("float32")
    fused = layers.Dense(3, activation=name, bias_initializer="random_normal")
    fused.build(x.shape)
    plain = layers.Dense(3)
    plain.build(x.shape)
    plain.set_weights(fused.get_weights())
    expected = activations.get(name)(plain(x))
    np.testing.assert_allclose(fused(x), expected, rtol=1e-5, atol=1e-6)


def test_activation_may_be_changed_later():
    x = RNG.normal(size=(4, 5)).astype("float32")
    layer = layers.Dense(3, activation="relu")
    layer(x)
    layer.activation = activations.softmax
    np.testing.assert_allclose(np.sum(layer(x), -1), np.ones(4), rtol=1e-6)
    layer.activation = ops.relu
    assert np.min(layer(x)) >= 0


def test_activation_may_be_a_layer():
    layer = layers.Dense(3, activation=layers.PReLU(alpha_initializer="ones"))
    layer(np.ones((2, 3)))
    assert [w.name for w in layer.weights] == ["kernel", "bias", "alpha"]


def test_gradients_reach_kernel_bias_and_input():
    layer = layers.Dense(3, activation="relu", kernel_initializer="ones")
    x = keras.Variable(np.ones((2, 4), "float32"))
    with keras.GradientTape() as tape:
        loss = ops.sum(layer(x))
    by_kernel, by_bias, by_input = tape.gradient(loss, [*layer.weights, x])
    np.testing.assert_array_equal(by_kernel, np.full((4, 3), 2.0))
    np.testing.assert_array_equal(by_bias, np.full(3, 2.0))
    np.testing.assert_array_equal(by_input, np.full((2, 4), 3.0))


def test_empty_batch():
    layer = layers.Dense(3, activation="relu")
    assert layer(np.ones((0, 4))).shape == (0, 3)
    assert layer(np.ones((2, 0, 4))).shape == (2, 0, 3)


@pytest.mark.parametrize("units", [0, -3, 2.5, True, "3", None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match=r"Dense 'dense.*units.*positive integer"):
        layers.Dense(units)


def test_numpy_units():
    assert layers.Dense(np.int64(3)).get_config()["units"] == 3


def test_unknown_names():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        layers.Dense(3, activation="reluu")
    with pytest.raises(ValueError, match="initializer"):
        layers.Dense(3, kernel_initializer="glorot")
    with pytest.raises(ValueError, match="regularizer"):
        layers.Dense(3, kernel_regularizer="l3")


def test_other_last_axis():
    layer = layers.Dense(3, name="top")
    layer(np.ones((2, 784)))
    with pytest.raises(
        ValueError,
        match=r"Dense 'top': expected input with last axis 784, got shape \(32, 100\)",
    ):
        layer(np.ones((32, 100)))
    with pytest.raises(ValueError, match="last axis 784"):
        layer.compute_output_shape((None, 100))
    assert layer(np.ones((2, 3, 784))).shape == (2, 3, 3)


@pytest.mark.parametrize("inputs", [np.float32(1), np.ones(3)])
def test_too_few_dimensions(inputs):
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        layers.Dense(3)(inputs)


def test_unknown_last_axis():
    with pytest.raises(ValueError, match=r"Dense 'd'.*known last axis.*None"):
        layers.Dense(3, name="d")(keras.Input((None,)))
    with pytest.raises(ValueError, match="known last axis"):
        layers.Dense(3).build((3,))


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="lora_rank is not supported"):
        layers.Dense(3, lora_rank=2)
    assert layers.Dense(3, quantization_config=None).units == 3


def test_compute_output_shape_builds_nothing():
    layer = layers.Dense(3)
    assert layer.compute_output_shape((None, 7, 4)) == (None, 7, 3)
    assert not layer.built


def test_config_round_trip():
    layer = layers.Dense(
        3,
        activation="tanh",
        use_bias=False,
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_constraint="non_neg",
        activity_regularizer="l1",
        dtype="float64",
        trainable=False,
        name="d",
    )
    twin = layers.Dense.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    assert twin.activation is activations.tanh
    assert not twin.trainable
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()


def test_deserialize_wants_layers():
    with pytest.raises(ValueError, match="'Dense'"):
        layers.deserialize({"class_name": "Dens", "config": {}})
    config = keras.saving.serialize_keras_object(keras.regularizers.L2(0.1))
    with pytest.raises(ValueError, match="expected a layer"):
        layers.deserialize(config)
