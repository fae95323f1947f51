"""Functional models: graphs of layers and ops, their structure and configurations."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops

RNG = np.random.default_rng(0)


def data(*shape):
    return RNG.normal(size=shape).astype("float32")


def rebuilt(model):
    """The model from its JSON, with the same weights."""
    twin = keras.models.model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    return twin


def assert_same(model, inputs):
    first, second = keras.tree.flatten(model(inputs)), None
    second = keras.tree.flatten(rebuilt(model)(inputs))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


class TestCalls:
    def test_single_input(self):
        inputs = keras.Input((3,))
        layer = layers.Dense(2, activation="relu")
        model = keras.Model(inputs, layer(inputs))
        assert isinstance(model, keras.Model)
        assert type(model).__name__ == "Functional"
        x = data(4, 3)
        for given in (x, [x], (x,), {inputs.name: x}, keras.Variable(x)):
            np.testing.assert_array_equal(model(given), layer(x))
        assert_same(model, x)

    def test_several_inputs_and_outputs_as_lists(self):
        a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
        h = layers.Concatenate()([a, b])
        model = keras.Model([a, b], [layers.Dense(1)(h), h])
        outputs = model([data(4, 2), data(4, 3)])
        assert isinstance(outputs, list)
        assert [o.shape for o in outputs] == [(4, 1), (4, 5)]
        assert model.input_shape == [(None, 2), (None, 3)]
        assert model.output_shape == [(None, 1), (None, 5)]
        assert model.input_names == ["a", "b"]
        assert_same(model, [data(4, 2), data(4, 3)])

    def test_dictionaries(self):
        inputs = {"right": keras.Input((3,)), "left": keras.Input((2,))}
        h = layers.Concatenate()([inputs["left"], inputs["right"]])
        model = keras.Model(inputs, {"sum": layers.Dense(1)(h), "all": h})
        x = {"left": data(4, 2), "right": data(4, 3)}
        outputs = model(x)
        assert set(outputs) == {"sum", "all"}
        np.testing.assert_array_equal(
            outputs["all"], np.concatenate([x["left"], x["right"]], 1)
        )
        assert_same(model, x)
        with pytest.raises(ValueError, match="missing input 'right'"):
            model({"left": x["left"]})
        with pytest.warns(UserWarning, match="not used"):
            model({**x, "more": x["left"]})

    def test_list_inputs_by_name(self):
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        model = keras.Model([a, b], layers.Subtract()([a, b]))
        x, y = data(3, 2), data(3, 2)
        np.testing.assert_array_equal(model({"b": y, "a": x}), x - y)
        with pytest.raises(ValueError, match=r"Functional .*missing input 'a'"):
            model({"b": y})

    def test_shared_layers(self):
        shared = layers.Dense(2)
        a, b = keras.Input((3,)), keras.Input((3,))
        model = keras.Model([a, b], shared(shared(a)[:, :1] * ops.ones((1, 3)) + b))
        assert len(model.weights) == 2
        assert [layer.name for layer in model.layers].count(shared.name) == 1
        assert_same(model, [data(2, 3), data(2, 3)])

    def test_model_in_a_model(self):
        inner_input = keras.Input((3,))
        inner = keras.Model(inner_input, layers.Dense(3)(inner_input), name="inner")
        stack = keras.Sequential([keras.Input((3,)), layers.Dense(3)], name="stack")
        inputs = keras.Input((3,))
        model = keras.Model(
            inputs, [inner(inner(inputs)) + stack(inputs), inner(inputs)]
        )
        assert [layer.name for layer in model.layers] == [inputs.name, "inner", "stack"]
        assert len(model.weights) == 4
        x = data(2, 3)
        np.testing.assert_allclose(
            model(x)[0], inner(inner(x)) + stack(x), rtol=1e-5, atol=1e-6
        )
        assert_same(model, x)

    def test_last_call_of_an_inner_model_as_output(self):
        inner_input = keras.Input((3,))
        inner = keras.Model(inner_input, layers.Dense(3)(inner_input), name="inner")
        inputs = keras.Input((3,))
        first = inner(inputs)
        model = keras.Model(inputs, [first, inner(first)])
        # As in files of Keras: the making of a functional model counts at the ends.
        assert model.get_config()["output_layers"] == [["inner", 1, 0], ["inner", 2, 0]]
        assert_same(model, data(2, 3))

    def test_intermediate_outputs(self):
        inputs = keras.Input((3,))
        hidden = layers.Dense(4, name="hidden")
        model = keras.Model(inputs, layers.Dense(2)(hidden(inputs)))
        features = keras.Model(model.inputs, model.get_layer("hidden").output)
        x = data(2, 3)
        np.testing.assert_array_equal(features(x), hidden(x))
        assert len(features.weights) == 2

    def test_intermediate_inputs(self):
        inputs = keras.Input((3,))
        middle = layers.Dense(4)(inputs)
        top = layers.Dense(2, name="top")
        whole = keras.Model(inputs, top(middle))
        head = keras.Model(middle, whole.output)
        assert len(head.weights) == 2
        assert [type(layer).__name__ for layer in head.layers] == [
            "InputLayer",
            "Dense",
        ]
        x = data(2, 4)
        np.testing.assert_array_equal(head(x), top(x))
        assert_same(head, x)

    def test_unused_inputs_stay(self):
        a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
        model = keras.Model([a, b], layers.Dense(1)(a))
        assert [layer.name for layer in model.layers][:2] == ["a", "b"]
        assert model([data(2, 2), data(2, 3)]).shape == (2, 1)
        assert_same(model, [data(2, 2), data(2, 3)])

    def test_input_as_output(self):
        inputs = keras.Input((2,))
        model = keras.Model(inputs, [inputs, inputs])
        x = data(2, 2)
        first, second = model(x)
        np.testing.assert_array_equal(first, x)
        np.testing.assert_array_equal(second, x)

    def test_layer_with_several_outputs(self):
        @keras.saving.register_keras_serializable("functional_tests")
        class Halves(layers.Layer):
            def call(self, x):
                return x[:, :1], {"rest": x[:, 1:]}

        inputs = keras.Input((3,))
        first, others = Halves()(inputs)
        model = keras.Model(inputs, [others["rest"], first])
        x = data(2, 3)
        np.testing.assert_array_equal(model(x)[0], x[:, 1:])
        assert_same(model, x)

    def test_inputs_are_cast_and_their_rank_adjusted(self):
        inputs = keras.Input((1,), dtype="float64")
        model = keras.Model(inputs, layers.Dense(2, dtype="float64")(inputs))
        wide = np.array([[1 / 3], [2 / 3]])
        assert model(wide).dtype == "float64"
        np.testing.assert_array_equal(model(wide[:, 0]), model(wide))
        np.testing.assert_array_equal(model(wide[..., None]), model(wide))
        flags = keras.Input((2,), dtype="int32")
        double = keras.Model(flags, flags * 2)
        np.testing.assert_array_equal(double(np.array([[1.0, 2.0]])), [[2, 4]])

    def test_masks_enter_by_argument(self):
        inputs = keras.Input((3, 2))
        model = keras.Model(inputs, layers.Activation("relu")(inputs))
        mask = ops.convert_to_tensor(np.array([[True, False, True]]))
        assert model(data(1, 3, 2), mask=mask)._keras_mask is mask

    def test_training_of_a_call_in_the_graph_wins(self):
        inputs = keras.Input((50,))
        drop = layers.Dropout(0.5, seed=0)
        x = np.ones((2, 50), "float32")
        frozen = keras.Model(inputs, drop(inputs, training=False))
        np.testing.assert_array_equal(frozen(x, training=True), x)
        usual = keras.Model(inputs, drop(inputs))
        np.testing.assert_array_equal(usual(x), x)
        assert not np.array_equal(usual(x, training=True), x)
        assert not np.array_equal(usual.call(ops.ones((2, 50)), training=True), x)
        assert_same(frozen, x)

    def test_values_are_released_on_the_way(self):
        seen = []

        class Spy(layers.Layer):
            def call(self, x):
                seen.append(x)
                return x + 1

        inputs = keras.Input((2,))
        model = keras.Model(inputs, Spy()(Spy()(Spy()(inputs))))
        step = model._steps[1]
        assert step.release == [step.single]
        np.testing.assert_array_equal(model(np.zeros((1, 2))), [[3.0, 3.0]])


class TestOps:
    @pytest.mark.parametrize(
        "formula",
        [
            lambda x: x + 1,
            lambda x: 2 - x,
            lambda x: x[:, :2],
            lambda x: x[..., None],
            lambda x: x[:, 1],
            lambda x: x[[1, 0]],
            lambda x: x[1, 2],
            lambda x: x[:, [0, 2]],
            lambda x: x[1],
            lambda x: ops.relu(x) * ops.exp(-x),
            lambda x: ops.concatenate([x, x * 2], axis=1),
            lambda x: ops.sum(x, axis=-1, keepdims=True) / 3.0,
            lambda x: ops.reshape(x, (-1, 2, 2)),
            lambda x: ops.reshape(x, (ops.shape(x)[0], -1, 2)),
            lambda x: ops.softmax(ops.matmul(x, ops.transpose(x))),
            lambda x: ops.stack(ops.split(x, 2, axis=1)),
            lambda x: ops.where(x > 0, x, 0.1 * x),
            lambda x: ops.cast(x > 0, "int32"),
            lambda x: ops.expand_dims(x, 1) @ ops.expand_dims(x, 2),
            lambda x: np.float32(3) * x,
        ],
    )
    def test_round_trip(self, formula):
        inputs = keras.Input((4,))
        outputs = formula(inputs)
        model = keras.Model(inputs, outputs)
        x = data(3, 4)
        expected = formula(ops.convert_to_tensor(x))
        result = model(x)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == outputs.dtype
        assert_same(model, x)

    def test_ops_are_operations_not_layers(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, ops.relu(inputs) + 1)
        assert [type(layer).__name__ for layer in model.layers] == ["InputLayer"]
        assert len(model.operations) == 3
        assert model.output_names == [model.operations[-1].name]

    def test_own_layers_with_casts_leave_no_ops(self):
        inputs = keras.Input((4,), dtype="float64")
        model = keras.Model(inputs, layers.Dense(2)(inputs))
        assert len(model.operations) == 2


class TestStructure:
    def test_layers_are_sorted_like_in_keras(self):
        a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
        h = layers.Dense(5, name="da")(a)
        k = layers.Dense(5, name="db")(b)
        z = ops.concatenate([h, k], axis=1)[:, 2:] * 2 + ops.relu(h[:, :1])
        model = keras.Model(
            {"a": a, "b": b},
            {"o": layers.Dense(1, name="e")(z), "p": layers.Dense(2, name="g")(h)},
        )
        names = [layer.name for layer in model.layers]
        assert names == ["a", "b", "da", "db", "e", "g"]
        assert model.output_names == ["e", "g"]
        paths = [w.path for w in model.weights]
        assert paths[:4] == ["da/kernel", "da/bias", "db/kernel", "db/bias"]

    def test_config_of_a_node(self):
        inputs = keras.Input((4,), name="x")
        model = keras.Model(inputs, layers.Dense(1, name="d")(inputs), name="m")
        config = json.loads(json.dumps(model.get_config()))
        assert config["input_layers"] == ["x", 0, 0]
        assert config["output_layers"] == ["d", 0, 0]
        assert config["layers"][1]["inbound_nodes"] == [
            {
                "args": [
                    {
                        "class_name": "__keras_tensor__",
                        "config": {
                            "shape": [None, 4],
                            "dtype": "float32",
                            "keras_history": ["x", 0, 0],
                        },
                    }
                ],
                "kwargs": {},
            }
        ]
        assert config["layers"][1]["build_config"] == {"input_shape": [None, 4]}

    def test_only_calls_inside_the_model_are_counted(self):
        shared = layers.Dense(3, name="shared")
        other = keras.Input((3,))
        shared(other)
        inputs = keras.Input((3,))
        model = keras.Model(inputs, shared(shared(inputs)))
        assert model.get_config()["output_layers"] == ["shared", 1, 0]
        assert_same(model, data(2, 3))

    def test_from_config_of_model_and_functional(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1)(inputs), name="m", trainable=False)
        for cls in (keras.Model, keras.Functional):
            twin = cls.from_config(model.get_config())
            assert type(twin) is keras.Functional
            assert twin.name == "m"
            assert not twin.trainable

    def test_get_layer(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1, name="top")(inputs))
        assert model.get_layer("top") is model.layers[-1] is model.get_layer(index=1)
        with pytest.raises(ValueError, match="'top'"):
            model.get_layer("tip")
        with pytest.raises(ValueError, match="no layer 7"):
            model.get_layer(index=7)
        with pytest.raises(ValueError, match="a name or an index"):
            model.get_layer()

    def test_trainable(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1)(inputs))
        model.trainable = False
        assert model.trainable_weights == []
        model.layers[-1].trainable = True
        assert model.trainable_weights == []  # the model itself is still frozen
        model.trainable = True
        assert len(model.trainable_weights) == 2

    def test_layers_attached_by_hand_belong_to_the_model(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1)(inputs))
        model.extra = layers.Dense(2)
        model.extra.build((None, 3))
        assert len(model.weights) == 4

    def test_layer_output_is_that_of_the_first_call(self):
        layer, inputs = layers.Dense(3), keras.Input((3,))
        with pytest.raises(AttributeError, match="not called on symbolic"):
            _ = layer.output
        first = layer(inputs)
        layer(first)
        assert layer.output is first
        assert layer.input is inputs


class TestErrors:
    def test_disconnected(self):
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        with pytest.raises(ValueError, match=r"depend on 'b'.*inputs \(a\)"):
            keras.Model(a, layers.Add()([a, b]))

    def test_not_symbolic(self):
        inputs = keras.Input((2,))
        with pytest.raises(ValueError, match=r"outputs must be symbolic.*ndarray"):
            keras.Model(inputs, np.ones(2))
        with pytest.raises(ValueError, match=r"inputs must be symbolic.*Tensor"):
            keras.Model(ops.ones(2), inputs)
        with pytest.raises(ValueError, match="at least one tensor"):
            keras.Model([], inputs)

    def test_not_made_by_an_operation(self):
        inputs = keras.Input((2,))
        with pytest.raises(ValueError, match="neither by Input"):
            keras.Model(inputs, keras.KerasTensor((None, 2)))

    def test_equal_names(self):
        inputs = keras.Input((2,))
        h = layers.Dense(2, name="same")(inputs)
        with pytest.raises(ValueError, match="'same' is used 2 times"):
            keras.Model(inputs, layers.Dense(2, name="same")(h))

    def test_an_input_twice(self):
        inputs = keras.Input((2,))
        with pytest.raises(ValueError, match="given twice"):
            keras.Model([inputs, inputs], inputs + 1)

    def test_wrong_shapes(self):
        inputs = keras.Input((784,))
        model = keras.Model(inputs, layers.Dense(2)(inputs), name="m")
        for x in (data(3, 100), data(784), data(3, 784, 2)):
            with pytest.raises(
                ValueError, match=r"Functional 'm': expected input with shape.*784"
            ):
                model(x)

    def test_wrong_number_of_inputs(self):
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        model = keras.Model([a, b], layers.Add()([a, b]))
        with pytest.raises(ValueError, match=r"expected 2 input\(s\), got 1"):
            model(data(3, 2))

    def test_broken_configurations(self):
        inputs = keras.Input((2,), name="x")
        model = keras.Model(inputs, layers.Dense(1, name="d")(inputs))
        config = model.get_config()
        config["output_layers"] = ["d", 3, 0]
        with pytest.raises(ValueError, match="no call 3 of layer 'd'"):
            keras.Model.from_config(config)
        config = model.get_config()
        node = config["layers"][1]["inbound_nodes"][0]
        node["args"][0]["config"]["keras_history"] = ["d", 0, 0]
        with pytest.raises(ValueError, match="loop"):
            keras.Model.from_config(config)
        node["args"][0]["config"]["keras_history"] = ["e", 0, 0]
        with pytest.raises(ValueError, match="no layer 'e'"):
            keras.Model.from_config(config)

    def test_errors_in_a_graph_name_the_layer(self):
        inputs = keras.Input((None, 4))
        model = keras.Model(inputs, layers.Reshape((6,), name="six")(inputs))
        with pytest.raises(ValueError, match="Reshape 'six'"):
            model(data(2, 3, 4))
