"""What every layer is: how it is built, its state, its arguments."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from scale import Scale, ones

import cnn_core as keras
from cnn_core import layers, ops


class TestBuild:
    def test_first_call_builds(self):
        layer = Scale()
        assert not layer.built
        assert layer.weights == []
        layer(ones(2, 3))
        assert layer.built
        assert layer.factor.shape == (3,)
        assert layer.get_build_config() == {"input_shape": (2, 3)}

    def test_build_may_be_called_directly(self):
        layer = Scale(name="scale_it")
        layer.build((None, 4))
        assert layer.built
        assert layer.factor.path == "scale_it/factor"
        assert layer.get_build_config() == {"input_shape": (None, 4)}

    def test_build_from_config_takes_lists(self):
        layer = Scale()
        layer.build_from_config({"input_shape": [None, 4]})
        assert layer.factor.shape == (4,)
        assert layer.get_build_config() == {"input_shape": (None, 4)}

    def test_failed_build_leaves_nothing_behind(self):
        class Broken(layers.Layer):
            def build(self, input_shape):
                self.w = self.add_weight(shape=(2,))
                if input_shape[-1] != 2:
                    raise ValueError("not two")

            def call(self, x):
                return x + self.w

        layer = Broken()
        with pytest.raises(ValueError, match="not two"):
            layer(ones(1, 3))
        assert not layer.built
        assert layer.weights == []
        layer(ones(1, 2))
        assert len(layer.weights) == 1

    def test_build_of_a_subclass_may_call_its_base(self):
        class More(Scale):
            def build(self, input_shape):
                super().build(input_shape)
                self.offset = self.add_weight(shape=(), initializer="zeros")

        layer = More()
        layer.build((None, 3))
        assert [w.shape for w in layer.weights] == [(3,), ()]
        assert layer.get_build_config() == {"input_shape": (None, 3)}

    def test_build_with_several_shapes(self):
        class Pair(layers.Layer):
            def build(self, query_shape, value_shape):
                self.w = self.add_weight(shape=(query_shape[-1], value_shape[-1]))

            def call(self, query, value):
                return ops.matmul(query, self.w) + value

        layer = Pair()
        assert layer(ones(2, 3), value=ones(2, 4)).shape == (2, 4)
        assert layer.get_build_config() == {
            "shapes_dict": {"query_shape": (2, 3), "value_shape": (2, 4)}
        }
        twin = Pair()
        twin.build_from_config(layer.get_build_config())
        assert twin.w.shape == (3, 4)
        assert layer.compute_output_shape((2, 3), (2, 4)) == (2, 4)
        with pytest.raises(ValueError, match=r"Pair .*no tensor 'value'"):
            Pair()(ones(2, 3))

    def test_forgotten_super_init(self):
        class Forgetful(layers.Layer):
            def __init__(self):
                self.units = 3

            def call(self, x):
                return x

        with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
            Forgetful()(ones(1, 1))

    @pytest.mark.parametrize("shape", [3, (3,), [3], np.int64(3)])
    def test_add_weight_takes_a_bare_size(self, shape):
        assert layers.Layer().add_weight(shape=shape).shape == (3,)

    def test_add_weight_defaults(self):
        layer = layers.Layer(dtype="float64", name="plain")
        scalar = layer.add_weight(name="w")
        assert (scalar.shape, scalar.dtype, scalar.path) == ((), "float64", "plain/w")
        counter = layer.add_weight(shape=2, dtype="int32", trainable=False)
        assert not np.asarray(counter).any()

    def test_add_weight_errors_name_the_layer(self):
        layer = layers.Layer(name="plain")
        with pytest.raises(ValueError, match=r"Layer 'plain'.*\(None, 2\)"):
            layer.add_weight(shape=(None, 2))
        with pytest.raises(ValueError, match="random_normal"):
            layer.add_weight(shape=2, initializer="random_norml")


class TestState:
    def test_order_is_own_first_then_layers_in_order_of_assignment(self):
        class Block(layers.Layer):
            def __init__(self):
                super().__init__()
                self.late = None
                self.blocks = {"b": [Scale(name="one")], "a": (Scale(name="two"),)}
                self.late = Scale(name="three")
                self.step = keras.Variable(0.0, trainable=False, name="step")
                self.gain = keras.Variable(1.0, name="gain")

            def call(self, x):
                return self.late(self.blocks["a"][0](self.blocks["b"][0](x)))

        block = Block()
        block(ones(1, 2))
        names = [w.path.split("/")[-2:] for w in block.weights]
        assert names == [
            ["gain"],
            ["step"],
            ["one", "factor"],
            ["two", "factor"],
            ["three", "factor"],
        ]
        assert [w.path for w in block.late.weights] == [f"{block.name}/three/factor"]

    def test_variables_in_lists_are_found(self):
        layer = layers.Layer()
        layer.parts = []
        layer.parts.append(keras.Variable(1.0))
        assert layer.weights == layer.parts

    def test_replaced_and_deleted_attributes_are_forgotten(self):
        layer = layers.Layer()
        layer.w = first = keras.Variable(1.0)
        layer.w = second = keras.Variable(2.0)
        assert [w is second for w in layer.weights] == [True]
        assert first is not second
        del layer.w
        assert layer.weights == []

    def test_shared_objects_count_once(self):
        outer = layers.Layer()
        outer.a = outer.b = inner = Scale()
        outer.again = [inner]
        inner.build((None, 2))
        assert len(outer.weights) == 1
        assert len(outer._flatten_layers()) == 2

    def test_trainable_reaches_everything_and_comes_back(self):
        outer = layers.Layer()
        outer.inner = Scale()
        outer.inner.build((None, 2))
        outer.fixed = keras.Variable(1.0, trainable=False)
        outer.trainable = False
        assert outer.trainable_weights == []
        assert not outer.inner.trainable
        assert not outer.inner.factor.trainable
        assert len(outer.non_trainable_weights) == 2
        outer.trainable = True
        assert outer.inner.factor.trainable
        assert not outer.fixed.trainable

    def test_weights_made_while_frozen_thaw_later(self):
        layer = Scale(trainable=False)
        layer.build((None, 2))
        assert layer.trainable_weights == []
        layer.trainable = True
        assert len(layer.trainable_weights) == 1

    def test_freezing_one_weight_keeps_the_order(self):
        layer = layers.Dense(2)
        layer.build((None, 3))
        layer.kernel.trainable = False
        assert [w.name for w in layer.weights] == ["kernel", "bias"]
        assert [w.name for w in layer.trainable_weights] == ["bias"]

    def test_get_and_set_weights(self):
        layer = layers.Dense(2)
        layer.build((None, 3))
        values = [np.full((3, 2), 2.0), [1.0, 2.0]]
        layer.set_weights(values)
        for got, wanted in zip(layer.get_weights(), values, strict=True):
            np.testing.assert_array_equal(got, wanted)
        with pytest.raises(ValueError, match=r"expected 2 arrays, got 1"):
            layer.set_weights(values[:1])
        with pytest.raises(ValueError, match=r"bias.*\(2,\).*\(3,\)"):
            layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
        np.testing.assert_array_equal(layer.get_weights()[0], values[0])

    def test_count_params(self):
        layer = layers.Dense(2)
        with pytest.raises(ValueError, match="built"):
            layer.count_params()
        layer.build((None, 3))
        assert layer.count_params() == 8

    def test_seed_generators_are_variables_but_no_weights(self):
        layer = layers.Dropout(0.5)
        assert layer.weights == []
        assert layer.variables == [layer.seed_generator.state]
        assert layer.trainable_variables == []
        assert layer.non_trainable_variables == layer.variables

    def test_metrics_are_no_weights(self):
        layer = layers.Layer()
        layer.mean = keras.metrics.Mean()
        assert layer.metrics == [layer.mean]
        assert layer.metrics_variables == layer.mean.variables
        assert layer.variables == []

    def test_save_and_load_own_variables(self):
        layer, store = layers.Dense(2), {}
        layer.build((None, 3))
        layer.save_own_variables(store)
        assert list(store) == ["0", "1"]
        twin = layers.Dense(2)
        with pytest.raises(ValueError, match=r"has 0 variables, the file 2.*built"):
            twin.load_own_variables(store)
        twin.build((None, 3))
        twin.load_own_variables(store)
        np.testing.assert_array_equal(twin.get_weights()[0], layer.get_weights()[0])

    def test_calls_keep_nothing_alive(self):
        layer = layers.Dense(2)
        tensor = ops.ones((2, 3))
        reference = weakref.ref(tensor)
        layer(tensor)
        del tensor
        gc.collect()
        assert reference() is None


class TestArguments:
    def test_unknown_argument_names_the_nearest(self):
        with pytest.raises(ValueError, match=r"Dense.*'activaton'.*'activation'"):
            layers.Dense(3, activaton="relu")

    @pytest.mark.parametrize("name", ["a/b", 3, ""])
    def test_bad_names(self, name):
        with pytest.raises(ValueError, match="name must be"):
            layers.Dense(3, name=name)

    def test_trainable_must_be_a_boolean(self):
        with pytest.raises(ValueError, match="trainable must be"):
            layers.Dense(3, trainable="no")

    def test_names_are_numbered(self):
        first, second = layers.Dense(1), layers.Dense(1)
        assert first.name != second.name
        assert layers.LeakyReLU().name.startswith("leaky_re_lu")
