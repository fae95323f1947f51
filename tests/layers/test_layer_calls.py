"""What every layer does when it is called: training, masks, losses, shapes."""

from __future__ import annotations

import numpy as np
import pytest
from scale import ones

import cnn_core as keras
from cnn_core import layers, ops
from cnn_core.layers import InputSpec


class TestCalls:
    @pytest.mark.parametrize(
        "inputs",
        [
            ones(2, 3),
            ones(2, 3, dtype="float64"),
            ones(2, 3, dtype="int64"),
            ops.ones((2, 3)),
            keras.Variable(ones(2, 3)),
        ],
    )
    def test_inputs_of_any_kind(self, inputs):
        output = layers.Dense(2, kernel_initializer="ones")(inputs)
        assert output.dtype == "float32"
        np.testing.assert_array_equal(output, np.full((2, 2), 3.0))

    def test_arrays_are_not_shared_with_the_caller(self):
        array = ones(2, 3)
        output = layers.Identity()(array)
        array[:] = 5
        np.testing.assert_array_equal(output, np.ones((2, 3)))

    def test_plain_lists_are_refused(self):
        with pytest.raises(ValueError, match=r"Dense 'd'.*\[\[1.0, 2.0\]\]"):
            layers.Dense(2, name="d")([[1.0, 2.0]])

    def test_text_is_refused_by_name(self):
        with pytest.raises(TypeError, match="Dense 'd'"):
            layers.Dense(2, name="d")(np.array([["a"]]))

    def test_float64_layers(self):
        layer = layers.Dense(2, dtype="float64")
        assert layer(ones(2, 3)).dtype == "float64"
        assert layer.kernel.dtype == "float64"
        assert layer.dtype == layer.compute_dtype == "float64"

    def test_autocast_off_keeps_the_dtype(self):
        layer = layers.Identity(autocast=False)
        assert layer(ones(2, dtype="float64")).dtype == "float64"
        assert layers.Identity()(ones(2, dtype="float64")).dtype == "float32"
        assert layers.Identity()(ones(2, dtype="int64")).dtype == "int64"

    def test_nested_inputs_and_outputs(self):
        class Swap(layers.Layer):
            def call(self, pair):
                return {"first": pair["b"][0], "rest": [pair["a"]]}

        outputs = Swap()({"a": ones(1), "b": (ones(2),)})
        assert outputs["first"].shape == (2,)
        assert outputs["rest"][0].shape == (1,)

    def test_missing_call(self):
        with pytest.raises(NotImplementedError, match="implement call"):
            layers.Layer()(ones(1))

    def test_unknown_call_argument(self):
        with pytest.raises(TypeError, match=r"Dense 'd': call\(\).*extra"):
            layers.Dense(1, name="d")(ones(1, 1), extra=3)

    def test_errors_name_the_layer_and_the_shapes(self):
        class Bad(layers.Layer):
            def call(self, x, y):
                return ops.matmul(x, y)

        class Outer(layers.Layer):
            def __init__(self):
                super().__init__()
                self.bad = Bad(name="bad")

            def call(self, x):
                return self.bad(x, y=x)

        with pytest.raises(ValueError, match="Bad 'bad'") as raised:
            Outer()(ones(2, 3))
        message = str(raised.value)
        assert "x of shape (2, 3)" in message
        assert "Outer" not in message

    def test_other_errors_get_a_note(self):
        class Bad(layers.Layer):
            def call(self, x):
                raise KeyError("gone")

        with pytest.raises(KeyError) as raised:
            Bad(name="bad")(ones(2, 3))
        assert raised.value.args == ("gone",)
        assert any("Bad 'bad'" in note for note in raised.value.__notes__)

    def test_state_of_the_call_survives_an_error(self):
        class Bad(layers.Layer):
            def call(self, x, training=None):
                raise KeyError

        seen = Training()
        with pytest.raises(KeyError):
            Bad()(ones(1), training=True)
        seen(ones(1))
        assert seen.seen == [None]


class Training(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x, training=None):
        self.seen.append(training)
        return x


class TestTraining:
    class Outer(layers.Layer):
        def __init__(self, **inner):
            super().__init__()
            self.child = Training()
            self.inner = inner

        def call(self, x):
            return self.child(x, **self.inner)

    def test_the_call_around_passes_it_on(self):
        outer = self.Outer()
        outer(ones(1), training=True)
        outer(ones(1))
        outer(ones(1), training=None)
        assert outer.child.seen == [True, None, None]

    def test_explicit_wins(self):
        outer = self.Outer(training=False)
        outer(ones(1), training=True)
        assert outer.child.seen == [False]

    def test_default_is_used_last(self):
        class Eager(Training):
            def call(self, x, training=True):
                return super().call(x, training=training)

        layer = Eager()
        layer(ones(1))
        layer(ones(1), training=False)
        assert layer.seen == [True, False]

    def test_positional(self):
        layer = Training()
        layer(ones(1), True)
        layer(ones(1), None)
        assert layer.seen == [True, None]

    def test_layers_that_do_not_take_it(self):
        assert layers.Dense(1)(ones(1, 1), training=True).shape == (1, 1)


class TestMasks:
    def test_masks_travel_through_layers(self):
        x = ones(2, 3, 4)
        x[:, 1:] = 0
        masked = layers.Masking()(x)
        output = layers.Dense(5)(layers.Dropout(0.5)(masked))
        np.testing.assert_array_equal(output._keras_mask, [[True, False, False]] * 2)

    def test_mask_argument_is_filled_in(self):
        class Sees(layers.Layer):
            def __init__(self):
                super().__init__()
                self.supports_masking = True

            def call(self, x, mask=None):
                self.mask = mask
                return x

        layer = Sees()
        layer(ones(2, 3, 4))
        assert layer.mask is None
        layer(layers.Masking()(ones(2, 3, 4)))
        assert layer.mask.shape == (2, 3)

    def test_named_masks(self):
        class Sees(layers.Layer):
            def __init__(self):
                super().__init__()
                self.supports_masking = True

            def call(self, query, value, value_mask=None):
                self.mask = value_mask
                return query

        layer = Sees()
        layer(ones(2, 3, 4), layers.Masking()(ones(2, 5, 4)))
        assert layer.mask.shape == (2, 5)

    def test_losing_a_mask_warns(self):
        with pytest.warns(UserWarning, match="Flatten.*mask"):
            output = layers.Flatten()(layers.Masking()(ones(2, 3, 4)))
        assert getattr(output, "_keras_mask", None) is None

    def test_defining_compute_mask_means_support(self):
        class Half(layers.Layer):
            def call(self, x):
                return x[:, ::2]

            def compute_mask(self, inputs, previous_mask=None):
                return None if previous_mask is None else previous_mask[:, ::2]

        output = Half()(layers.Masking()(ones(2, 4, 1)))
        assert output._keras_mask.shape == (2, 2)

    def test_symbolic_masks(self):
        inputs = keras.Input((3, 4))
        masked = layers.Masking()(inputs)
        assert masked._keras_mask.shape == (None, 3)
        model = keras.Model(inputs, layers.Activation("relu")(masked))
        x = ones(2, 3, 4)
        x[:, 0] = 0
        np.testing.assert_array_equal(model(x)._keras_mask, [[False, True, True]] * 2)


class TestLosses:
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    def test_losses_are_those_of_the_latest_call(self):
        layer = self.Penalty()
        layer(ones(2))
        layer(ones(3))
        assert [float(v) for v in layer.losses] == [3.0]

    def test_two_calls_inside_one_add_up(self):
        class Twice(layers.Layer):
            def __init__(self, penalty):
                super().__init__()
                self.penalty = penalty

            def call(self, x):
                return self.penalty(self.penalty(x))

        outer = Twice(self.Penalty())
        for _ in range(2):
            outer(ones(2))
        assert [float(v) for v in outer.losses] == [2.0, 2.0]

    def test_a_branch_not_taken_leaves_no_old_loss(self):
        class Maybe(layers.Layer):
            def __init__(self, penalty):
                super().__init__()
                self.penalty = penalty

            def call(self, x, use=True):
                return self.penalty(x) if use else x

        outer = Maybe(self.Penalty())
        outer(ones(2))
        assert len(outer.losses) == 1
        outer(ones(2), use=False)
        assert outer.losses == []

    def test_shape_inference_adds_nothing(self):
        layer = self.Penalty()
        layer(ones(2))
        layer.compute_output_shape((5,))
        layer(keras.Input((3,)))
        assert [float(v) for v in layer.losses] == [2.0]

    def test_weight_regularizers(self):
        layer = layers.Dense(
            1, kernel_initializer="ones", kernel_regularizer="l2", use_bias=False
        )
        assert layer.losses == []
        layer(ones(2, 3))
        assert [float(v) for v in layer.losses] == pytest.approx([0.03])
        layer.trainable = False
        assert layer.losses == []

    def test_activity_regularizer_is_per_sample(self):
        layer = layers.Identity(activity_regularizer=keras.regularizers.L1(0.5))
        layer(ones(4, 3))
        assert [float(v) for v in layer.losses] == pytest.approx([1.5])
        layer(ones(0, 3))
        assert [float(v) for v in layer.losses] == [0.0]

    def test_add_loss_wants_tensors(self):
        with pytest.raises(ValueError, match=r"add_loss expected a tensor.*3\.0"):
            layers.Layer().add_loss(3.0)


class TestShapes:
    def test_compute_output_shape_by_symbolic_call(self):
        class Pool(layers.Layer):
            def call(self, x):
                return ops.mean(x, axis=1), x

        assert Pool().compute_output_shape((None, 3, 4)) == ((None, 4), (None, 3, 4))

    def test_own_shape_rule_serves_calls_that_need_values(self):
        class Host(layers.Layer):
            def call(self, x):
                return ops.convert_to_tensor(np.asarray(x).sum(-1))

            def compute_output_shape(self, input_shape):
                return input_shape[:-1]

        inputs = keras.Input((4,))
        outputs = Host()(inputs)
        assert outputs.shape == (None,)
        model = keras.Model(inputs, outputs)
        np.testing.assert_array_equal(model(ones(2, 4)), [4.0, 4.0])

    def test_values_cannot_be_had_from_symbols(self):
        class Host(layers.Layer):
            def call(self, x):
                return x if ops.sum(x) > 0 else -x

        with pytest.raises(TypeError, match=r"no values.*Host 'host_1'"):
            Host(name="host_1")(keras.Input((4,)))

    def test_input_spec(self):
        class Picky(layers.Layer):
            def __init__(self, **spec):
                super().__init__(name="picky")
                self.input_spec = InputSpec(**spec)

            def call(self, x):
                return x

        Picky(ndim=2, axes={1: 3})(ones(2, 3))
        Picky(shape=(None, 3))(ones(2, 3))
        for spec, rule in [
            ({"ndim": 3}, "3 dimensions"),
            ({"min_ndim": 3}, "at least 3 dimensions"),
            ({"max_ndim": 1}, "at most 1 dimension"),
            ({"axes": {-1: 4}}, "last axis 4"),
            ({"axes": {1: 4}}, "axis 1 of size 4"),
            ({"shape": (None, 4)}, r"shape \(None, 4\)"),
            ({"dtype": "int32"}, "dtype int32"),
        ]:
            with pytest.raises(ValueError, match=rf"Picky 'picky'.*{rule}.*\(2, 3\)"):
                Picky(**spec)(ones(2, 3))

    def test_input_spec_of_several_inputs(self):
        class Pair(layers.Layer):
            def __init__(self):
                super().__init__()
                self.input_spec = [InputSpec(ndim=1), InputSpec(ndim=2)]

            def call(self, pair):
                return pair[0]

        Pair()([ones(2), ones(2, 2)])
        with pytest.raises(ValueError, match=r"expected 2 input\(s\), got 1"):
            Pair()([ones(2)])
        with pytest.raises(ValueError, match="2 dimensions"):
            Pair()([ones(2), ones(2)])

    def test_input_spec_round_trip(self):
        spec = InputSpec(dtype="float32", ndim=2, axes={-1: 3})
        assert InputSpec.from_config(spec.get_config()).axes == {-1: 3}
        assert "ndim=2" in repr(spec)
