"""Layers with several inputs: shapes, masks, errors (values are golden tests)."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers

ELEMENTWISE = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]


def ones(*shape):
    return np.ones(shape, "float32")


def masked(kept, value=1.0):
    """Steps of one feature with the given mask."""
    x = np.where(kept, value, 0.0).astype("float32")[..., None]
    return layers.Masking()(x)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_function_form(name):
    x, y = np.float32([[1, 5]]), np.float32([[3, 2]])
    np.testing.assert_array_equal(
        getattr(layers, name.lower())([x, y]), getattr(layers, name)()([x, y])
    )


def test_other_function_forms():
    assert layers.concatenate([ones(2, 3), ones(2, 1)]).shape == (2, 4)
    assert layers.concatenate([ones(2, 3), ones(1, 3)], axis=0).shape == (3, 3)
    assert layers.dot([ones(2, 3), ones(2, 3)], axes=1, normalize=True).shape == (2, 1)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("wrong", [ones(2, 3), {"a": ones(2, 3), "b": ones(2, 3)}, []])
def test_a_list_is_needed(name, wrong):
    with pytest.raises(ValueError, match=f"{name} .*expected a list of"):
        getattr(layers, name)()(wrong)


def test_two_inputs_are_needed():
    for layer in (layers.Subtract(), layers.Dot(1)):
        with pytest.raises(ValueError, match=r"exactly 2 tensor.*got 3"):
            layer([ones(2, 3)] * 3)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_shapes_must_broadcast(name):
    with pytest.raises(ValueError, match=rf"{name} 'm'.*broadcast.*\(2, 3\), \(2, 4\)"):
        getattr(layers, name)(name="m")([ones(2, 3), ones(2, 4)])
    with pytest.raises(ValueError, match="one batch size"):
        getattr(layers, name)()([ones(2, 3), ones(3, 3)])
    layer = getattr(layers, name)()
    layer([ones(2, 3)] * 2)  # later calls are checked, too
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        layer([ones(2, 3), ones(2, 4)])


def test_lower_ranks_get_axes_after_the_batch():
    x, y = np.arange(24.0).reshape(2, 3, 4), np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(layers.Add()([y, x]), x + y[:, None])
    assert layers.Add().compute_output_shape([(None, 4), (2, 3, 4)]) == (2, 3, 4)
    assert layers.Add()([keras.Input((4,)), keras.Input((3, 4))]).shape == (None, 3, 4)


def test_symbolic_dtype_is_the_real_one():
    ints = keras.Input((2,), dtype="int32")
    assert layers.Concatenate()([ints, ints]).dtype == "int32"
    assert layers.Concatenate()([np.ones((1, 2), "int32")] * 2).dtype == "int32"


def test_concatenate_shapes():
    with pytest.raises(
        ValueError,
        match=r"Concatenate 'c'.*equal except along axis 2.*\(2, 3, 4\), \(2, 2, 4\)",
    ):
        layers.Concatenate(name="c")([ones(2, 3, 4), ones(2, 2, 4)])
    with pytest.raises(ValueError, match="expected an axis"):
        layers.Concatenate(axis=3)([ones(2, 3)] * 2)
    with pytest.raises(ValueError, match="axis"):
        layers.Concatenate(axis="last")
    inputs = [keras.Input((None, 4)), keras.Input((3, 4))]
    assert layers.Concatenate(axis=1)(inputs).shape == (None, None, 4)
    assert layers.Concatenate()(inputs).shape == (None, 3, 8)


@pytest.mark.parametrize("axes", [0, (1,), (1, 0), "a", (1, 2.0)])
def test_dot_axes(axes):
    with pytest.raises(ValueError, match="axes"):
        layers.Dot(axes)


def test_dot_sizes():
    with pytest.raises(ValueError, match=r"Dot 'd'.*axes 1 and 1.*\(2, 3\).*\(2, 4\)"):
        layers.Dot(1, name="d")([ones(2, 3), ones(2, 4)])
    with pytest.raises(ValueError, match="expected an axis"):
        layers.Dot(3)([ones(2, 3), ones(2, 3)])
    with pytest.raises(ValueError, match="batch axis"):
        layers.Dot(-2)([ones(2, 3), ones(2, 3)])


@pytest.mark.parametrize(
    ("first", "second", "axes", "formula"),
    [
        ((2, 3), (2, 3), 1, "bi,bi->b"),
        ((2, 3), (2, 3), -1, "bi,bi->b"),
        ((2, 3, 4), (2, 5, 4), 2, "bik,bjk->bij"),
        ((2, 3, 4), (2, 4, 5), (2, 1), "bik,bkj->bij"),
        ((2, 4), (2, 4, 5), 1, "bk,bkj->bj"),
        ((2, 3, 4, 5), (2, 5, 6), (3, 1), "bijk,bkl->bijl"),
        ((2, 3, 4), (2, 6, 3, 5), (1, 2), "bki,bjkl->bijl"),
    ],
)
def test_dot_values(first, second, axes, formula):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=first), rng.normal(size=second)
    expected = np.einsum(formula, x, y)
    if expected.ndim == 1:
        expected = expected[:, None]
    layer = layers.Dot(axes, dtype="float64")
    np.testing.assert_allclose(layer([x, y]), expected, rtol=1e-10)
    shape = layer.compute_output_shape([(None, *first[1:]), (None, *second[1:])])
    assert shape == (None, *expected.shape[1:])
    inputs = [keras.Input(first[1:]), keras.Input(second[1:])]
    assert layer(inputs).shape == shape


class TestMasks:
    A, B = np.array([[1, 1, 0]], bool), np.array([[1, 0, 0]], bool)

    @pytest.mark.parametrize("name", ["Add", "Subtract", "Average"])
    def test_any_unmasked_input_counts(self, name):
        y = getattr(layers, name)()([masked(self.A), masked(self.B)])
        np.testing.assert_array_equal(y._keras_mask, [[True, True, False]])

    def test_no_mask_if_one_input_has_none(self):
        for layer in (layers.Add(), layers.Multiply(), layers.Maximum()):
            y = layer([masked(self.A), ones(1, 3, 1)])
            assert getattr(y, "_keras_mask", None) is None

    def test_multiply_takes_masked_for_one(self):
        y = layers.Multiply()([masked(self.A, 2.0), masked(self.B, 3.0)])
        np.testing.assert_array_equal(np.ravel(y), [6.0, 2.0, 0.0])
        np.testing.assert_array_equal(y._keras_mask, [[True, True, False]])

    def test_extremes_leave_masked_out(self):
        y = layers.Maximum()([masked(self.A, -2.0), masked(self.B, -3.0)])
        np.testing.assert_array_equal(np.ravel(y), [-2.0, -2.0, 0.0])
        y = layers.Minimum()([masked(self.A, 2.0), masked(self.B, 3.0)])
        np.testing.assert_array_equal(np.ravel(y), [2.0, 2.0, 0.0])

    def test_concatenate_joins_masks(self):
        y = layers.Concatenate(axis=1)([masked(self.A), ones(1, 1, 1)])
        np.testing.assert_array_equal(y._keras_mask, [[True, True, False, True]])
        y = layers.Concatenate()([masked(self.A), masked(self.B)])
        np.testing.assert_array_equal(y._keras_mask, [[True, True, False]])

    def test_dot_has_none(self):
        y = layers.Dot(1)([masked(self.A), masked(self.B)])
        assert getattr(y, "_keras_mask", None) is None
