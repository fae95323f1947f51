"""Activation, reshaping, rescaling, masking and function layers."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops

RNG = np.random.default_rng(1)


def round_trip(layer):
    return layers.deserialize(layers.serialize(layer))


class TestActivations:
    def test_softmax_with_mask(self):
        x = RNG.normal(size=(2, 3)).astype("float32")
        mask = np.array([[True, False, True], [False, False, False]])
        y = np.asarray(layers.Softmax()(x, mask=mask))
        kept = np.exp(x[0, [0, 2]])
        np.testing.assert_allclose(y[0, [0, 2]], kept / kept.sum(), rtol=1e-5)
        assert y[0, 1] == 0
        np.testing.assert_array_equal(y[1], np.zeros(3))

    def test_softmax_takes_number_masks_and_broadcasts(self):
        y = layers.Softmax()(np.zeros((2, 3)), mask=np.array([1.0, 1.0, 0.0]))
        np.testing.assert_allclose(y, [[0.5, 0.5, 0]] * 2, rtol=1e-6)

    def test_softmax_mask_must_fit(self):
        with pytest.raises(ValueError, match=r"Softmax 's'.*\(2, 3\).*\(2, 2\)"):
            layers.Softmax(name="s")(np.zeros((2, 3)), mask=np.ones((2, 2)))

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: layers.ReLU(max_value=-1), "max_value"),
            (lambda: layers.ReLU(negative_slope=None), "negative_slope"),
            (lambda: layers.ReLU(threshold=-0.1), "threshold"),
            (lambda: layers.LeakyReLU(negative_slope=-1), "negative_slope"),
            (lambda: layers.ELU(alpha="a"), "alpha"),
            (lambda: layers.PReLU(shared_axes=[0]), "shared_axes"),
            (lambda: layers.Softmax(axis=1.5), "axis"),
            (lambda: layers.Activation("nothing"), "activation function 'nothing'"),
        ],
    )
    def test_bad_arguments(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    def test_prelu_checks_shapes(self):
        layer = layers.PReLU(shared_axes=[1])
        layer(np.ones((2, 3, 4)))
        assert layer.alpha.shape == (1, 4)
        assert layer(np.ones((2, 5, 4))).shape == (2, 5, 4)
        with pytest.raises(ValueError, match="axis 2 of size 4"):
            layer(np.ones((2, 3, 5)))
        with pytest.raises(ValueError, match="shared_axes"):
            layers.PReLU(shared_axes=[3])(np.ones((2, 3)))

    def test_activation_of_own_function(self):
        @keras.saving.register_keras_serializable("small_layers")
        def double(x):
            return x * 2

        layer = round_trip(layers.Activation(double))
        np.testing.assert_array_equal(layer(np.ones(2)), [2.0, 2.0])


class TestReshaping:
    def test_flatten_of_unknown_sizes(self):
        inputs = keras.Input((None, 3))
        flat = layers.Flatten()(inputs)
        assert flat.shape == (None, None)
        model = keras.Model(inputs, flat)
        assert model(np.ones((2, 5, 3))).shape == (2, 15)

    def test_flatten_of_empty_batch(self):
        assert layers.Flatten()(np.ones((0, 2, 3))).shape == (0, 6)
        assert layers.Reshape((-1, 2))(np.ones((0, 2, 3))).shape == (0, 3, 2)

    def test_flatten_scalar(self):
        with pytest.raises(ValueError, match="at least 1 dimension"):
            layers.Flatten()(np.float32(1))

    def test_reshape_of_unknown_sizes(self):
        assert layers.Reshape((-1, 2))(keras.Input((None, 4))).shape == (None, None, 2)
        assert layers.Reshape((4, 2))(keras.Input((None, 4))).shape == (None, 4, 2)

    def test_impossible_reshape(self):
        with pytest.raises(
            ValueError, match=r"Reshape 'r'.*\(12,\) has 12 elements.*\(5,\) has 5"
        ):
            layers.Reshape((5,), name="r")(np.ones((2, 12)))
        with pytest.raises(ValueError, match="do not divide"):
            layers.Reshape((5, -1))(keras.Input((12,)))

    @pytest.mark.parametrize("target", [5, (2, "a"), (-1, -1), (-2,), None])
    def test_bad_target(self, target):
        with pytest.raises(ValueError, match="target_shape"):
            layers.Reshape(target)

    @pytest.mark.parametrize("dims", [(0, 1), (1, 1), (1, 3), 2])
    def test_bad_permutation(self, dims):
        with pytest.raises(ValueError, match="dims"):
            layers.Permute(dims)

    def test_permute_wants_its_rank(self):
        with pytest.raises(ValueError, match="3 dimensions"):
            layers.Permute((2, 1))(np.ones((2, 3)))

    @pytest.mark.parametrize("n", [0, 1.5, True])
    def test_bad_repetitions(self, n):
        with pytest.raises(ValueError, match="n to be a positive integer"):
            layers.RepeatVector(n)

    def test_bad_data_format(self):
        with pytest.raises(ValueError, match=r"data_format.*'first'"):
            layers.Flatten(data_format="first")


class TestLambda:
    def test_of_a_lambda(self):
        layer = layers.Lambda(lambda x, power: x**power, arguments={"power": 2})
        np.testing.assert_array_equal(layer(np.full(2, 3.0)), [9.0, 9.0])
        assert layer(keras.Input((3,))).shape == (None, 3)

    def test_gets_training_and_mask_if_it_asks(self):
        def function(x, training=None, mask=None):
            assert mask is not None
            return x * (2.0 if training else 1.0)

        layer = layers.Lambda(function, mask=lambda inputs, mask: mask)
        masked = layers.Masking()(np.ones((1, 2, 1)))
        np.testing.assert_array_equal(
            layer(masked, training=True), np.full((1, 2, 1), 2.0)
        )
        assert layer(masked)._keras_mask.shape == (1, 2)

    def test_output_shape_stands_in_for_a_symbolic_call(self):
        layer = layers.Lambda(
            lambda x: ops.convert_to_tensor(np.asarray(x)[:, :2]), output_shape=(2,)
        )
        assert layer(keras.Input((5,))).shape == (None, 2)
        assert layer(np.ones((3, 5))).shape == (3, 2)

    def test_named_functions_can_be_saved(self):
        @keras.saving.register_keras_serializable("small_layers")
        def triple(x):
            return x * 3

        layer = round_trip(layers.Lambda(triple, output_shape=(2,), name="t"))
        assert layer.name == "t"
        np.testing.assert_array_equal(layer(np.ones(2)), [3.0, 3.0])

    def test_lambdas_cannot(self):
        with pytest.raises(TypeError, match="lambda cannot be saved"):
            layers.serialize(layers.Lambda(lambda x: x))
        twin = layers.Lambda.from_config(layers.Lambda(lambda x: x + 1).get_config())
        np.testing.assert_array_equal(twin(np.ones(1)), [2.0])

    def test_lambdas_from_files_are_refused(self):
        config = layers.Lambda(lambda x: x).get_config()
        config["function"] = {"class_name": "__lambda__", "config": {"code": "x"}}
        with pytest.raises(ValueError, match="lambda"):
            layers.Lambda.from_config(config)

    def test_wants_a_function(self):
        with pytest.raises(TypeError, match="expected a function, got 3"):
            layers.Lambda(3)


class TestOthers:
    def test_masking(self):
        x = RNG.normal(size=(2, 3, 2)).astype("float32")
        x[0, 1] = 7.0
        x[1, 2, 0] = 7.0  # only one feature: not masked
        layer = round_trip(layers.Masking(mask_value=7.0))
        y = layer(x)
        np.testing.assert_array_equal(
            y._keras_mask, [[True, False, True], [True, True, True]]
        )
        x[0, 1] = 0
        np.testing.assert_array_equal(y, x)

    def test_rescaling_by_arrays(self):
        layer = round_trip(layers.Rescaling(np.array([1.0, 2.0]), offset=[1, 0]))
        np.testing.assert_array_equal(layer(np.ones((1, 2), "uint8")), [[2.0, 2.0]])
        with pytest.raises(ValueError, match="scale"):
            layers.Rescaling("a")

    def test_unit_normalization(self):
        x = RNG.normal(size=(4, 5)).astype("float32")
        y = round_trip(layers.UnitNormalization())(x)
        np.testing.assert_allclose(
            y, x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-5
        )
        y = layers.UnitNormalization(axis=(0, 1))(x)
        np.testing.assert_allclose(y, x / np.linalg.norm(x), rtol=1e-5)
        np.testing.assert_array_equal(
            layers.UnitNormalization()(np.zeros((1, 2))), [[0, 0]]
        )
        with pytest.raises(TypeError, match="axis"):
            layers.UnitNormalization(axis="last")

    def test_identity_keeps_structures(self):
        tree = {"a": ops.ones(2), "b": [ops.zeros(3)]}
        result = layers.Identity()(tree)
        assert result["a"] is tree["a"]
        assert result["b"][0] is tree["b"][0]

    def test_input_layer(self):
        inputs = keras.Input((3,), batch_size=2, name="pixels", dtype="int32")
        assert (inputs.shape, inputs.dtype, inputs.name) == ((2, 3), "int32", "pixels")
        with pytest.raises(ValueError, match="exactly one of shape and batch_shape"):
            keras.Input((3,), batch_shape=(2, 3))
        with pytest.raises(ValueError, match="exactly one"):
            keras.Input()
        with pytest.raises(ValueError, match="sparse"):
            keras.Input((3,), sparse=True)
        assert keras.Input(tensor=inputs).shape == (2, 3)

    @pytest.mark.parametrize(
        "layer",
        [
            layers.ReLU(1.0, 0.1, 0.5),
            layers.LeakyReLU(0.1),
            layers.PReLU(shared_axes=[1], alpha_regularizer="l2"),
            layers.ELU(0.5),
            layers.Softmax(axis=(1, 2)),
            layers.Activation("gelu"),
            layers.Flatten("channels_first"),
            layers.Reshape((2, -1)),
            layers.Permute((2, 1)),
            layers.RepeatVector(3),
            layers.Identity(),
            layers.UnitNormalization([1, 2]),
            layers.Dropout(0.1, (None, 1), 3),
            layers.SpatialDropout1D(0.2, seed=2),
            layers.SpatialDropout2D(0.2, "channels_first"),
            layers.SpatialDropout3D(0.2),
            layers.GaussianDropout(0.2, 5),
            layers.GaussianNoise(0.2, 5),
            layers.AlphaDropout(0.2, (2, None), 5),
            layers.ActivityRegularization(0.1, 0.2),
            layers.Concatenate(axis=1),
            layers.Dot((1, 2), normalize=True),
            layers.Average(),
            layers.InputLayer((3,)),
        ],
        ids=lambda layer: type(layer).__name__,
    )
    def test_config_round_trip(self, layer):
        twin = round_trip(layer)
        assert type(twin) is type(layer)
        assert layers.serialize(twin) == layers.serialize(layer)


@pytest.mark.parametrize(
    "start",
    [
        lambda shape: ops.zeros(shape),
        lambda shape: ops.ones(shape, "int32"),
        lambda shape: ops.full(shape, 2.0),
        lambda shape: keras.random.normal(shape, seed=1),
    ],
)
def test_constants_of_the_size_of_the_batch(start):
    def call(x):
        rows, columns = ops.shape(x)[0], ops.shape(x)[1]
        return ops.reshape(x + ops.cast(start((rows, columns)), x.dtype), (rows, -1, 2))

    inputs = keras.Input((6,))
    outputs = layers.Lambda(call)(inputs)
    assert outputs.shape == (None, 3, 2)
    model = keras.Model(inputs, outputs)
    assert model.predict(np.ones((5, 6)), batch_size=2, verbose=0).shape == (5, 3, 2)
    with pytest.raises(ValueError, match="every size must be known"):
        ops.zeros((None, 2))
