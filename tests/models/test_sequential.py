"""Sequential: building early and late, changing the stack, configurations."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops


def ones(*shape):
    return np.ones(shape, "float32")


def test_input_layer_builds_at_once():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    assert model.built
    assert len(model.layers) == 2
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    assert [w.path.split("/")[0] for w in model.weights] == [model.name] * 4
    assert model.inputs[0].shape == (None, 4)
    assert model(ones(5, 4)).shape == (5, 2)


@pytest.mark.parametrize(
    ("hint", "shape"),
    [
        ({"input_shape": (4,)}, (None, 4)),
        ({"input_shape": 4}, (None, 4)),
        ({"input_dim": 4}, (None, 4)),
        ({"input_shape": (4,), "batch_size": 6}, (6, 4)),
        ({"batch_input_shape": (6, 4)}, (6, 4)),
    ],
)
def test_first_layer_tells_the_shape(hint, shape):
    model = keras.Sequential([layers.Dense(3, **hint)])
    assert model.input_shape == shape
    assert len(model.layers) == 1
    twin = keras.Sequential.from_config(model.get_config())
    assert twin.input_shape == shape


def test_late_build_by_a_call():
    model = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    assert not model.built
    assert model.weights == []
    with pytest.raises(AttributeError, match="not built"):
        _ = model.output_shape
    with pytest.raises(ValueError, match="built"):
        model.count_params()
    assert model(ones(2, 4)).shape == (2, 2)
    assert model.count_params() == 15 + 8
    assert model(ones(7, 4)).shape == (7, 2)
    with pytest.raises(ValueError, match=r"expected input with.*4"):
        model(ones(2, 5))


def test_late_build_by_build():
    model = keras.Sequential([layers.Dense(3)], name="stack")
    with pytest.raises(ValueError, match="needs input_shape"):
        model.build()
    model.build((None, 4))
    assert model.output_shape == (None, 3)
    assert model.get_build_config() == {"input_shape": (None, 4)}
    with pytest.raises(ValueError, match="without layers"):
        keras.Sequential().build((None, 4))


def test_add_and_pop():
    model = keras.Sequential()
    model.add(keras.Input((4,)))
    assert not model.built
    model.add(layers.Dense(3))
    first = model.layers[0]
    assert model.output_shape == (None, 3)
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    assert len(model.weights) == 4
    # Every layer is connected once, however often the model grew.
    assert len(first._inbound_nodes) == 1
    features = keras.Model(model.inputs, first.output)
    np.testing.assert_array_equal(features(ones(1, 4)), first(ones(1, 4)))
    removed = model.pop()
    assert removed.units == 2
    assert model.output_shape == (None, 3)
    assert len(model.weights) == 2
    np.testing.assert_array_equal(model(ones(1, 4)), first(ones(1, 4)))
    model.pop()
    with pytest.raises(ValueError, match="Sequential"):
        keras.Sequential().pop()


def test_a_layer_that_does_not_fit_is_not_added():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="Permute"):
        model.add(layers.Permute((2, 1)))
    assert len(model.layers) == 1
    assert model(ones(1, 4)).shape == (1, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "expected a layer, got 3"),
        (layers.Dense, "class.*brackets"),
        (ops.relu, "Lambda"),
        (keras.Input((4,)) + 1, "expected a layer"),
    ],
)
def test_what_is_not_a_layer(wrong, message):
    with pytest.raises(ValueError, match=message):
        keras.Sequential([wrong])


def test_names_and_inputs_must_be_unique():
    with pytest.raises(ValueError, match="'d' is used already"):
        keras.Sequential([layers.Dense(1, name="d"), layers.Dense(1, name="d")])
    with pytest.raises(ValueError, match="Input must be the first layer"):
        keras.Sequential([layers.Dense(1), keras.Input((4,))])
    with pytest.raises(ValueError, match="list of layers"):
        keras.Sequential(layers.Dense(1))


def test_nested():
    inner = keras.Sequential([layers.Dense(3), layers.ReLU()], name="inner")
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    assert model.output_shape == (None, 2)
    assert [layer.name for layer in inner.layers] == [
        layer.name for layer in inner._functional.layers[1:]
    ]
    assert [w.path.split("/")[1] for w in model.weights[:2]] == ["inner", "inner"]
    built = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    outer = keras.Sequential([built, layers.Dense(2)])  # knows its input from `built`
    assert outer.output_shape == (None, 2)


def test_nested_in_a_model_that_is_built_by_shapes():
    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = keras.Sequential([layers.Dense(3), layers.Dense(2)])

        def call(self, x):
            return self.stack(x)

    model = Outer()
    model.build((None, 4))
    assert len(model.weights) == 4
    assert model.stack.output_shape == (None, 2)
    assert model(ones(5, 4)).shape == (5, 2)


def test_training_reaches_the_layers():
    for first in ([keras.Input((50,))], []):
        model = keras.Sequential([*first, layers.Dropout(0.5, seed=0)])
        x = ones(2, 50)
        np.testing.assert_array_equal(model(x), x)
        assert not np.array_equal(model(x, training=True), x)


def test_several_inputs_go_to_the_first_layer():
    model = keras.Sequential([layers.Add(), layers.Dense(2)])
    assert model([ones(3, 4), ones(3, 4)]).shape == (3, 2)
    assert len(model.weights) == 2


def test_layers_that_look_at_values_run_eagerly():
    class Signed(layers.Layer):
        def call(self, x):
            return x if float(ops.sum(x)) > 0 else x * 0

    model = keras.Sequential([layers.Dense(2, kernel_initializer="ones"), Signed()])
    assert np.asarray(model(ones(1, 3))).any()
    assert not np.asarray(model(-ones(1, 3))).any()
    assert len(model.weights) == 2
    model.compile("sgd", "mse")
    model.fit(ones(4, 3), ones(4, 2), verbose=0)


def test_config_round_trip():
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.Dense(3, activation="relu"),
            keras.Sequential([layers.Dense(2)], name="head"),
        ],
        name="whole",
    )
    twin = keras.models.model_from_json(model.to_json())
    assert type(twin) is keras.Sequential
    assert twin.name == "whole"
    assert twin.get_config() == model.get_config()
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin(ones(2, 4)), model(ones(2, 4)))


def test_config_before_building():
    model = keras.Sequential([layers.Dense(3), layers.Dense(2)], trainable=False)
    twin = keras.Sequential.from_config(model.get_config())
    assert not twin.built
    assert not twin.trainable
    assert [layer.units for layer in twin.layers] == [3, 2]
    model(ones(2, 4))
    assert keras.Sequential.from_config(model.get_config()).count_params() == 23


def test_own_class_of_sequential():
    class Stack(keras.Sequential):
        def __init__(self, units):
            super().__init__([keras.Input((4,)), layers.Dense(units)])

    model = Stack(3)
    assert model(ones(1, 4)).shape == (1, 3)


def test_as_an_input_of_a_functional_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    features = keras.Model(model.input, model.layers[0].output)
    top = keras.Model(model.layers[1].input, model.output)
    x = ones(2, 4)
    np.testing.assert_allclose(top(features(x)), model(x), rtol=1e-6)
