"""Own classes of layers and models: arguments, configurations, building."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops

PACKAGE = "subclassing_tests"
register = keras.saving.register_keras_serializable(PACKAGE)


def ones(*shape):
    return np.ones(shape, "float32")


@register
class Linear(layers.Layer):
    """Has no get_config and takes no keywords of the base class."""

    def __init__(self, units, activation=None, initializer="random_normal"):
        super().__init__()
        self.units = units
        self.activation = keras.activations.get(activation)
        self.initializer = initializer

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.initializer
        )
        self.b = self.add_weight(shape=self.units, initializer="zeros")

    def call(self, inputs):
        return self.activation(ops.matmul(inputs, self.w) + self.b)


@register
class Scaled(layers.Layer):
    def __init__(self, factor, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.inner = inner

    def call(self, inputs):
        inputs = inputs if self.inner is None else self.inner(inputs)
        return inputs * self.factor


class TwoLayers(keras.Model):
    def __init__(self, units=3):
        super().__init__()
        self.first = layers.Dense(units)
        self.second = layers.Dense(2)

    def call(self, inputs, training=False):
        return self.second(self.first(inputs))


class TestConfig:
    def test_constructor_arguments_are_remembered(self):
        layer = Linear(3, activation="relu")
        config = layer.get_config()
        assert (config["units"], config["activation"]) == (3, "relu")
        assert "initializer" not in config
        twin = Linear.from_config(config)
        assert (twin.units, twin.name) == (3, layer.name)
        assert twin.activation is keras.activations.relu

    def test_dtype_and_trainable_survive_a_narrow_constructor(self):
        layer = Linear(3)
        layer.trainable = False
        layer.dtype_policy = "float64"
        twin = Linear.from_config(layer.get_config())
        assert not twin.trainable
        assert twin.dtype == "float64"

    def test_nested_objects(self):
        inner = Scaled(3.0, name="inner", dtype="float64")
        layer = Scaled(2.0, inner=Scaled(1.0, inner=inner), trainable=False)
        twin = layers.deserialize(layers.serialize(layer))
        assert not twin.trainable
        assert twin.inner.inner.name == "inner"
        assert twin.inner.inner.dtype == "float64"
        np.testing.assert_array_equal(twin(ones(2)), [6.0, 6.0])

    def test_positional_extras_cannot_be_saved(self):
        class Many(layers.Layer):
            def __init__(self, *units):
                super().__init__()
                self.units = units

        assert Many().get_config()["trainable"]
        with pytest.raises(ValueError, match=r"Many .*implement get_config.*\*units"):
            Many(1, 2).get_config()

    def test_own_get_config(self):
        @register
        class Power(layers.Layer):
            def __init__(self, power, **kwargs):
                super().__init__(**kwargs)
                self.power = power

            def call(self, x):
                return x**self.power

            def get_config(self):
                return {**super().get_config(), "power": self.power}

        layer = Power(2, name="p", dtype="float64")
        assert set(layer.get_config()) == {"name", "trainable", "dtype", "power"}
        twin = Power.from_config(layer.get_config())
        assert (twin.power, twin.name, twin.dtype) == (2, "p", "float64")

    def test_unregistered_classes_can_be_passed(self):
        class Own(layers.Layer):
            def call(self, x):
                return x + 1

        config = layers.serialize(Own(name="own"))
        with pytest.raises(ValueError, match="Own"):
            layers.deserialize(config)
        twin = layers.deserialize(config, custom_objects={"Own": Own})
        assert isinstance(twin, Own)


class TestModels:
    def test_layers_and_weights(self):
        model = TwoLayers()
        assert model.layers == [model.first, model.second]
        assert not model.built
        model(ones(5, 4))
        assert model.built
        assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
        assert model.weights[0].path == f"{model.name}/{model.first.name}/kernel"
        assert model.count_params() == 23

    def test_build(self):
        model = TwoLayers()
        model.build((None, 4))
        assert model.count_params() == 23
        assert model.get_build_config() == {"input_shape": (None, 4)}
        twin = TwoLayers()
        twin.build_from_config({"input_shape": [None, 4]})
        assert twin.count_params() == 23

    def test_failed_build_leaves_the_model_unbuilt(self):
        class Odd(keras.Model):
            def call(self, x):
                raise RuntimeError("odd")

        model = Odd()
        with pytest.raises(RuntimeError, match="odd"):
            model.build((None, 4))
        assert not model.built

    def test_build_for_several_inputs(self):
        class Both(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(2)

            def call(self, pair):
                return self.dense(pair["a"]) + self.dense(pair["b"])

        model = Both()
        model.build({"a": (None, 3), "b": (None, 3)})
        assert model.count_params() == 8
        assert model({"a": ones(1, 3), "b": ones(1, 3)}).shape == (1, 2)

    def test_control_flow_on_values(self):
        class Branching(keras.Model):
            def __init__(self):
                super().__init__()
                self.up, self.down = layers.Dense(2), layers.Dense(2)

            def call(self, x):
                return self.up(x) if float(ops.sum(x)) > 0 else self.down(x)

        model = Branching()
        model(ones(1, 3))
        assert (model.up.built, model.down.built) == (True, False)
        model(-ones(1, 3))
        assert len(model.weights) == 4
        with pytest.raises(TypeError, match="no values"):
            model.compute_output_shape((None, 3))

    def test_symbolic_use(self):
        model, inputs = TwoLayers(), keras.Input((4,))
        outer = keras.Model(inputs, model(inputs))
        assert outer.output_shape == (None, 2)
        assert len(outer.weights) == 4
        np.testing.assert_array_equal(outer(ones(2, 4)), model(ones(2, 4)))
        assert TwoLayers().compute_output_shape((None, 4)) == (None, 2)

    def test_subclass_made_of_tensors(self):
        class Classifier(keras.Model):
            def __init__(self, units):
                inputs = keras.Input((4,))
                super().__init__(inputs=inputs, outputs=layers.Dense(units)(inputs))
                self.units = units

        for units in (3, 5):
            model = Classifier(units)
            assert isinstance(model, keras.Functional)
            assert type(model) is Classifier
            assert model.output_shape == (None, units)
            assert len(model.layers) == 2
        assert model.get_config()["units"] == 5
        assert Classifier.from_config(model.get_config()).units == 5

    def test_own_call_of_a_model_made_of_tensors(self):
        class Doubled(keras.Model):
            def call(self, inputs, training=None, mask=None):
                return super().call(inputs, training=training, mask=mask) * 2

        inputs = keras.Input((4,))
        plain = layers.Dense(2)
        model = Doubled(inputs, plain(inputs))
        np.testing.assert_array_equal(model(ones(1, 4)), plain(ones(1, 4)) * 2)

    def test_missing_call(self):
        with pytest.raises(NotImplementedError, match=r"call\(\)"):
            keras.Model()(ones(1))
        with pytest.raises(TypeError, match="inputs and outputs"):
            keras.Model(keras.Input((2,)))

    def test_training_argument(self):
        class Noisy(keras.Model):
            def __init__(self):
                super().__init__()
                self.drop = layers.Dropout(0.5, seed=0)

            def call(self, x, training=False):
                assert isinstance(training, bool)
                return self.drop(x)

        model, x = Noisy(), ones(2, 50)
        np.testing.assert_array_equal(model(x), x)
        assert not np.array_equal(model(x, training=True), x)

    def test_deepcopy_has_weights_of_its_own(self):
        model = TwoLayers()
        model(ones(1, 4))
        twin = copy.deepcopy(model)
        np.testing.assert_array_equal(twin(ones(1, 4)), model(ones(1, 4)))
        twin.set_weights([np.zeros_like(w) for w in twin.get_weights()])
        assert not np.asarray(twin(ones(1, 4))).any()
        assert np.asarray(model(ones(1, 4))).any()

    @pytest.mark.parametrize(
        "twin_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids="dp"
    )
    @pytest.mark.parametrize("optimizer", ["adam", "adamw"])
    def test_copies_of_a_trained_model_train_on_by_themselves(self, twin_of, optimizer):
        inputs = keras.Input((4,))
        outputs = layers.Dense(1)(layers.Dense(3)(inputs) * 2)
        model = keras.Model(inputs, outputs)
        model.compile(optimizer, "mse", metrics=["mae"])
        x, y = ones(8, 4), ones(8, 1)
        model.fit(x, y, batch_size=4, verbose=0)
        twin = twin_of(model)
        before = model.get_weights()
        history = twin.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        assert (
            history == model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
        )
        for a, b in zip(twin.weights, model.weights, strict=True):
            np.testing.assert_array_equal(a, b)
        assert int(twin.optimizer.iterations) == int(model.optimizer.iterations) == 4


class TestCloning:
    def check(self, model, x):
        twin = keras.models.clone_model(model)
        assert type(twin) is type(model)
        assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]
        assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}
        assert not np.array_equal(twin(x), model(x))
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(twin(x), model(x))
        return twin

    def test_sequential(self):
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3), layers.Lambda(lambda x: x * 2)]
        )
        twin = self.check(model, ones(2, 4))
        assert [layer.name for layer in twin.layers] == [
            layer.name for layer in model.layers
        ]

    def test_functional(self):
        inputs = keras.Input((4,))
        shared = Linear(4)
        h = shared(shared(inputs)) + layers.Lambda(lambda x: x + 1)(inputs)
        model = keras.Model(inputs, ops.relu(h) - h[:, :1])
        self.check(model, ones(2, 4))

    def test_clone_function(self):
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3), layers.Dropout(1)]
        )

        def without_dropout(layer):
            if isinstance(layer, layers.Dropout):
                return layers.Identity(name=layer.name)
            return type(layer).from_config(layer.get_config())

        twin = keras.models.clone_model(model, clone_function=without_dropout)
        assert isinstance(twin.layers[1], layers.Identity)
        outer = keras.Sequential([keras.Input((4,)), model])
        twin = keras.models.clone_model(
            outer, clone_function=without_dropout, recursive=True
        )
        assert isinstance(twin.layers[0].layers[1], layers.Identity)

    def test_same_layers_on_new_inputs(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(3)(inputs))
        twin = keras.models.clone_model(model, clone_function=lambda layer: layer)
        assert twin.layers[1] is model.layers[1]
        np.testing.assert_array_equal(twin(ones(1, 4)), model(ones(1, 4)))

    def test_subclassed(self):
        with pytest.raises(ValueError, match="TwoLayers is neither"):
            keras.models.clone_model(TwoLayers())
