"""Reference losses: formulas, gradients, clipping, labels out of range."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core.backend import reference

EPSILON = 1e-7


@pytest.fixture
def logits(rng):
    return rng.normal(size=(3, 4, 5))


@pytest.fixture
def probabilities(rng):
    return rng.uniform(0.1, 0.9, size=(3, 4, 5))  # rows do not sum to 1


@pytest.fixture
def weights(rng):
    return rng.uniform(size=(3, 4, 5))  # targets need not be one-hot


def test_mean_squared_error(logits, weights, check_gradient):
    loss = reference.mean_squared_error(weights, logits)
    assert loss.shape == (3, 4)
    expected = sum((logits[1, 2, i] - weights[1, 2, i]) ** 2 for i in range(5)) / 5
    assert loss[1, 2] == pytest.approx(expected, rel=1e-13)
    check_gradient(
        lambda x: reference.mean_squared_error(weights, x),
        lambda ct, x, y: reference.mean_squared_error_grad(ct, weights, x),
        logits,
    )


def test_binary_crossentropy(probabilities, weights, check_gradient):
    loss = reference.binary_crossentropy(weights, probabilities)
    assert loss.shape == (3, 4, 5)
    t, p = weights[1, 2, 3], probabilities[1, 2, 3]
    expected = -(t * math.log(p) + (1 - t) * math.log(1 - p))
    assert loss[1, 2, 3] == pytest.approx(expected, rel=1e-13)
    check_gradient(
        lambda x: reference.binary_crossentropy(weights, x),
        lambda ct, x, y: reference.binary_crossentropy_grad(ct, weights, x),
        probabilities,
    )


def test_binary_crossentropy_of_logits(logits, weights, check_gradient):
    loss = reference.binary_crossentropy(weights, logits, from_logits=True)
    p = 1 / (1 + np.exp(-logits))
    expected = reference.binary_crossentropy(weights, p)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    check_gradient(
        lambda x: reference.binary_crossentropy(weights, x, True),
        lambda ct, x, y: reference.binary_crossentropy_grad(ct, weights, x, True),
        logits,
    )


def test_binary_crossentropy_extremes():
    target = np.array([0, 1, 0, 1], dtype="float32")
    output = np.array([0, 0, 1, 1], dtype="float32")
    loss = reference.binary_crossentropy(target, output)
    np.testing.assert_allclose(
        loss[1:3], [-math.log(EPSILON), -math.log(2.0**-23)], rtol=1e-6
    )
    np.testing.assert_allclose(loss[[0, 3]], 0, atol=2e-7)
    slope = reference.binary_crossentropy_grad(np.ones(4, "float32"), target, output)
    np.testing.assert_array_equal(slope, 0)
    large = np.array([1e4, -1e4, 1e4, -1e4], dtype="float32")
    loss = reference.binary_crossentropy(target, large, from_logits=True)
    np.testing.assert_array_equal(loss, np.full(4, 1e4))
    slope = reference.binary_crossentropy_grad(
        np.ones(4, "float32"), target, large, from_logits=True
    )
    np.testing.assert_array_equal(slope, [1, -1, 1, -1])


def test_categorical_crossentropy(probabilities, weights, check_gradient):
    loss = reference.categorical_crossentropy(weights, probabilities)
    assert loss.shape == (3, 4)
    row = probabilities[2, 1] / probabilities[2, 1].sum()
    expected = -sum(t * math.log(p) for t, p in zip(weights[2, 1], row, strict=True))
    assert loss[2, 1] == pytest.approx(expected, rel=1e-13)
    check_gradient(
        lambda x: reference.categorical_crossentropy(weights, x),
        lambda ct, x, y: reference.categorical_crossentropy_grad(ct, weights, x),
        probabilities,
    )


def test_categorical_crossentropy_of_logits(logits, weights, check_gradient):
    loss = reference.categorical_crossentropy(weights, logits, from_logits=True)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(loss, -(weights * np.log(p)).sum(-1), rtol=1e-12)
    check_gradient(
        lambda x: reference.categorical_crossentropy(weights, x, True),
        lambda ct, x, y: reference.categorical_crossentropy_grad(ct, weights, x, True),
        logits,
    )


@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_equals_one_hot(from_logits, logits, probabilities, rng, check_gradient):
    label = rng.integers(0, 5, size=(3, 4))
    one_hot = np.eye(5)[label]
    output = logits if from_logits else probabilities
    sparse = reference.sparse_categorical_crossentropy(label, output, from_logits)
    dense = reference.categorical_crossentropy(one_hot, output, from_logits)
    np.testing.assert_allclose(sparse, dense, rtol=1e-13)
    ct = rng.normal(size=(3, 4))
    np.testing.assert_allclose(
        reference.sparse_categorical_crossentropy_grad(ct, label, output, from_logits),
        reference.categorical_crossentropy_grad(ct, one_hot, output, from_logits),
        rtol=1e-12,
        atol=1e-15,
    )
    check_gradient(
        lambda x: reference.sparse_categorical_crossentropy(label, x, from_logits),
        lambda ct, x, y: reference.sparse_categorical_crossentropy_grad(
            ct, label, x, from_logits
        ),
        output,
    )


@pytest.mark.parametrize("from_logits", [False, True])
def test_labels_out_of_range_have_no_loss(from_logits):
    output = np.full((3, 4), 0.25, dtype="float32")
    label = np.array([-1, 4, 2], dtype="int32")
    loss = reference.sparse_categorical_crossentropy(label, output, from_logits)
    np.testing.assert_allclose(loss, [0, 0, math.log(4)], rtol=1e-6)
    slope = reference.sparse_categorical_crossentropy_grad(
        np.ones(3, "float32"), label, output, from_logits
    )
    np.testing.assert_array_equal(slope[:2], 0)
    assert slope[2, 2] < 0


def test_clipped_probabilities_have_no_gradient():
    output = np.array([[0.0, 1.0, 0.0]])
    one = np.ones(1)
    loss = reference.sparse_categorical_crossentropy(np.array([0]), output)
    assert loss[0] == pytest.approx(-math.log(EPSILON), rel=1e-12)
    loss = reference.sparse_categorical_crossentropy(np.array([1]), output)
    assert loss[0] == pytest.approx(EPSILON, rel=1e-6)
    for label in (0, 1):
        slope = reference.sparse_categorical_crossentropy_grad(
            one, np.array([label]), output
        )
        np.testing.assert_array_equal(slope, 0)


def test_large_logits():
    logits = np.array([[1e4, 0.0, -1e4]], dtype="float32")
    loss = reference.sparse_categorical_crossentropy(np.array([2]), logits, True)
    np.testing.assert_array_equal(loss, np.float32([2e4]))
    slope = reference.sparse_categorical_crossentropy_grad(
        np.ones(1, "float32"), np.array([2]), logits, True
    )
    np.testing.assert_array_equal(slope, [[1, 0, -1]])
    masked = np.array([[0.0, -np.inf, 0.0]], dtype="float32")
    loss = reference.sparse_categorical_crossentropy(np.array([0]), masked, True)
    np.testing.assert_allclose(loss, [math.log(2)], rtol=1e-6)


NAMES = [
    "mean_squared_error",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_dtype_follows_output_and_inputs_stay(name, dtype, probabilities):
    output = probabilities.astype(dtype)
    target = np.zeros(output.shape[:-1] if "sparse" in name else output.shape, "int64")
    kept = output.copy()
    loss = getattr(reference, name)(target, output)
    slope = getattr(reference, name + "_grad")(np.ones_like(loss), target, output)
    assert loss.dtype == dtype and slope.dtype == dtype
    assert slope.shape == output.shape
    np.testing.assert_array_equal(output, kept)
    transposed = np.asfortranarray(output)
    np.testing.assert_allclose(
        getattr(reference, name)(target, transposed), loss, rtol=1e-3
    )
    assert isinstance(getattr(reference, name)(target[0, 0], output[0, 0]), np.ndarray)


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name):
    output = np.zeros((0, 3), "float32")
    target = np.zeros((0,) if "sparse" in name else (0, 3), "int64")
    loss = getattr(reference, name)(target, output)
    assert loss.size == 0
    slope = getattr(reference, name + "_grad")(loss, target, output)
    assert slope.shape == (0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_nan_propagates(name):
    output = np.full((1, 3), np.nan, "float32")
    target = np.zeros((1,) if "sparse" in name else (1, 3), "int64")
    assert np.all(np.isnan(getattr(reference, name)(target, output)))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes(name):
    output = np.zeros((2, 3))
    with pytest.raises(ValueError, match=rf"{name}.*\(2, 4\)"):
        getattr(reference, name)(np.zeros((2, 4)), output)
    if name != "binary_crossentropy":
        with pytest.raises(ValueError, match="at least 1 axis"):
            getattr(reference, name)(np.zeros(()), np.zeros(()))
