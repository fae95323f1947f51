"""Reference shaping functions: adjoints, indexing, joining, casting."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core.backend import reference


@pytest.fixture
def x():
    return np.arange(24, dtype="float32").reshape(2, 3, 4)


def test_shapes(x):
    assert reference.reshape(x, (4, -1)).shape == (4, 6)
    np.testing.assert_array_equal(reference.reshape(x.T, (24,)), x.T.reshape(24))
    assert reference.transpose(x).shape == (4, 3, 2)
    assert reference.transpose(x, (1, 0, 2))[2, 1, 3] == x[1, 2, 3]
    assert reference.moveaxis(x, 0, -1).shape == (3, 4, 2)
    assert reference.swapaxes(x, 0, 2).shape == (4, 3, 2)
    assert reference.expand_dims(x, (0, -1)).shape == (1, 2, 3, 4, 1)
    assert reference.squeeze(x[:1, :, :1]).shape == (3,)
    assert reference.squeeze(x[:1, :, :1], 0).shape == (3, 1)
    assert isinstance(reference.squeeze(x[:1, :1, :1]), np.ndarray)
    assert reference.broadcast_to(x[0, 0], (5, 4)).shape == (5, 4)


def test_joining(x):
    joined = reference.concatenate([x, x[:, :1]], axis=1)
    assert joined.shape == (2, 4, 4)
    np.testing.assert_array_equal(joined[:, 3], x[:, 0])
    assert reference.stack([x, x], axis=-1).shape == (2, 3, 4, 2)
    parts = reference.split(x, 2, axis=2)
    assert isinstance(parts, list)
    np.testing.assert_array_equal(parts[1], x[:, :, 2:])
    assert [p.shape[1] for p in reference.split(x, [1], axis=1)] == [1, 2]
    assert reference.tile(x, (2, 1, 1)).shape == (4, 3, 4)
    np.testing.assert_array_equal(reference.repeat(x[0, 0], 2)[:4], [0, 0, 1, 1])
    assert reference.repeat(x, [1, 2, 0], axis=1).shape == (2, 3, 4)


def test_reordering(x):
    np.testing.assert_array_equal(reference.flip(x, 2), x[:, :, ::-1])
    np.testing.assert_array_equal(reference.flip(x), x[::-1, ::-1, ::-1])
    np.testing.assert_array_equal(reference.roll(x[0, 0], 1), [3, 0, 1, 2])
    np.testing.assert_array_equal(reference.diagonal(x[0]), [0, 5, 10])
    assert reference.diagonal(x, 1, 1, 2).shape == (2, 3)
    np.testing.assert_array_equal(reference.tril(x[0])[0], [0, 0, 0, 0])
    np.testing.assert_array_equal(reference.triu(x[0], 1)[0], [0, 1, 2, 3])


def test_pad(x):
    row = x[0, 0]
    np.testing.assert_array_equal(reference.pad(row, 1), [0, 0, 1, 2, 3, 0])
    np.testing.assert_array_equal(
        reference.pad(row, ((1, 2),), constant_values=7), [7, 0, 1, 2, 3, 7, 7]
    )
    np.testing.assert_array_equal(
        reference.pad(row, 2, mode="reflect"), [2, 1, 0, 1, 2, 3, 2, 1]
    )
    np.testing.assert_array_equal(
        reference.pad(row, 1, mode="symmetric"), [0, 0, 1, 2, 3, 3]
    )
    assert reference.pad(x, ((0, 0), (1, 0), (0, 2))).shape == (2, 4, 6)


def test_sorting():
    x = np.array([3, 1, np.nan, 1, 2], dtype="float32")
    np.testing.assert_array_equal(reference.sort(x), [1, 1, 2, 3, np.nan])
    order = reference.argsort(x)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, [1, 3, 4, 0, 2])
    np.testing.assert_array_equal(
        reference.take_along_axis(x, order, 0), reference.sort(x)
    )
    for side, expected in (("left", [0, 2]), ("right", [2, 2])):
        found = reference.searchsorted(np.array([1, 1]), np.array([1, 2]), side=side)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected)
    assert reference.searchsorted(np.array([1]), np.array(0)).shape == ()


def test_indexing(x):
    np.testing.assert_array_equal(
        reference.take(x, np.array([2, -1]), 1), x[:, [2, -1]]
    )
    assert reference.take(x, np.array([[0, 5], [6, 7]])).shape == (2, 2)
    assert isinstance(reference.take(x, 3), np.ndarray)
    with pytest.raises(IndexError):
        reference.take(x, np.array([3]), axis=1)
    element = reference.getitem(x, (1, 2, 3))
    assert isinstance(element, np.ndarray) and element.shape == () and element == 23
    np.testing.assert_array_equal(reference.getitem(x, x > 20), [21, 22, 23])


KEYS = {
    "integer": 1,
    "negative": -1,
    "slices": (slice(None, None, -1), slice(1, None), slice(0, 4, 2)),
    "ellipsis": (Ellipsis, 1),
    "newaxis": (None, 0),
    "numpy integer": np.int64(1),
    "integer array": np.array([1, 0, 1, 1]),
    "two arrays": (np.array([0, 1, 0]), np.array([2, 2, 2])),
    "array and slice": (slice(None), np.array([[0, 0], [2, 0]])),
    "list": [0, 0],
    "mask": np.arange(24).reshape(2, 3, 4) % 3 == 0,
    "everything": (),
}


@pytest.mark.parametrize("name", KEYS)
def test_scatter_add_is_the_adjoint_of_getitem(name, rng):
    key = KEYS[name]
    x = rng.normal(size=(2, 3, 4))
    picked = reference.getitem(x, key)
    updates = rng.normal(size=picked.shape)
    kept = updates.copy()
    result = reference.scatter_add(x.shape, key, updates)
    assert result.shape == x.shape and result.dtype == np.float64
    np.testing.assert_allclose(np.sum(result * x), np.sum(updates * picked), rtol=1e-12)
    np.testing.assert_array_equal(updates, kept)


def test_scatter_add_adds_duplicates():
    result = reference.scatter_add((3,), np.array([1, 1, 2]), np.float32([1, 2, 4]))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [0, 3, 4])


def test_one_hot():
    result = reference.one_hot(np.array([[0, 2], [-1, 3]]), 3)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[[1, 0, 0], [0, 0, 1]], [[0] * 3, [0] * 3]])
    assert reference.one_hot(np.array(1), 2, "int8").dtype == np.int8
    assert reference.one_hot(np.zeros((0,), "int32"), 4).shape == (0, 4)


def test_cast():
    x = np.array([1.7, np.nan, np.inf, 1e30], dtype="float32")
    assert reference.cast(x, "int32")[0] == 1  # must not warn about NaN and Inf
    assert reference.cast(x, "float32") is x
    assert np.isposinf(reference.cast(x, "float16")[3])
    np.testing.assert_array_equal(
        reference.cast(np.array([0, 2]), "bool"), [False, True]
    )


def test_argsort_of_uint32_keeps_the_order_of_equal_elements():
    x = np.random.default_rng(0).integers(0, 50, 1000).astype("uint32")
    x[:3] = 2**32 - 1
    order = reference.argsort(x)
    assert order.dtype == np.int64
    assert np.array_equal(order, np.argsort(x, kind="stable"))
    assert np.array_equal(
        reference.argsort(x[::-1]), np.argsort(x[::-1], kind="stable")
    )
    assert reference.argsort(x[:0]).shape == (0,)
