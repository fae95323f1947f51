"""Reference reductions: axes, accumulation, empty input, NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core.backend import reference

AXES = [None, 0, 1, -1, (0, 2), (1,), (0, 1, 2), ()]
REDUCTIONS = ["sum", "mean", "prod", "max", "min", "any", "all"]


def one_by_one(name, x, axis, keepdims):
    """Reduce with Python numbers, one output element after the other."""
    formula = {
        "sum": math.fsum,
        "mean": lambda v: math.fsum(v) / len(v),
        "prod": math.prod,
        "max": max,
        "min": min,
        "any": any,
        "all": all,
    }[name]
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis).astype(int)
    axes = sorted(a % x.ndim for a in axes)
    kept = [a for a in range(x.ndim) if a not in axes]
    rows = np.transpose(x, kept + axes).reshape([x.shape[a] for a in kept] + [-1])
    result = np.array(
        [formula(row.tolist()) for row in rows.reshape(-1, rows.shape[-1])]
    )
    if keepdims:
        return result.reshape([1 if a in axes else n for a, n in enumerate(x.shape)])
    return result.reshape(rows.shape[:-1])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name, axis, keepdims, rng):
    x = rng.normal(size=(4, 3, 5))
    x[0, 0] = 0.0
    kept = x.copy()
    result = getattr(reference, name)(x, axis=axis, keepdims=keepdims)
    assert isinstance(result, np.ndarray)
    expected = one_by_one(name, x, axis, keepdims)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(x, kept)
    strided = np.asfortranarray(x)[:, ::-1]
    result = getattr(reference, name)(strided, axis=axis, keepdims=keepdims)
    expected = one_by_one(name, strided, axis, keepdims)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "cumsum"])
def test_float_dtypes_stay(name, dtype):
    assert getattr(reference, name)(np.ones((2, 3), dtype), axis=0).dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "total"),
    [
        ("bool", "int32"),
        ("int8", "int32"),
        ("uint8", "uint32"),
        ("int32", "int32"),
        ("int64", "int64"),
    ],
)
def test_integer_dtypes(dtype, total):
    x = np.ones((2, 300), dtype)
    assert reference.sum(x).dtype == total
    assert int(reference.sum(x)) == 600
    assert reference.prod(x).dtype == total
    assert reference.mean(x).dtype == np.float32
    assert float(reference.mean(x)) == 1.0
    assert reference.max(x).dtype == dtype


def test_sums_accumulate_in_double():
    x = np.full((100_000, 2), 0.1, dtype="float32")
    exact = 100_000 * float(np.float32(0.1))
    np.testing.assert_allclose(reference.sum(x, axis=0), [exact, exact], rtol=1e-7)
    np.testing.assert_allclose(reference.mean(x, axis=0), np.float32([0.1, 0.1]))
    half = np.full(4096, 0.1, dtype="float16")
    assert float(reference.mean(half)) == float(np.float16(0.1))


def test_nan_propagates():
    x = np.array([[1.0, np.nan, 3.0]], dtype="float32")
    for name in ("sum", "mean", "max", "min", "prod"):
        assert np.isnan(getattr(reference, name)(x, axis=1))[0]
    assert reference.argmax(x, axis=1)[0] == 1
    assert reference.argmin(x, axis=1)[0] == 1


def test_infinities_do_not_warn():
    x = np.array([np.inf, -np.inf], dtype="float32")
    assert np.isnan(reference.sum(x)) and np.isnan(reference.mean(x))
    assert np.isposinf(reference.sum(np.float16([60000, 60000])))


def test_empty():
    x = np.zeros((3, 0), dtype="float32")
    np.testing.assert_array_equal(reference.sum(x, axis=1), [0, 0, 0])
    np.testing.assert_array_equal(reference.prod(x, axis=1), [1, 1, 1])
    np.testing.assert_array_equal(reference.mean(x, axis=1), [np.nan] * 3)
    assert np.isnan(reference.mean(x))
    assert reference.mean(x, axis=0).shape == (0,)
    assert reference.max(x, axis=0).shape == (0,)
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(ValueError, match=name):
            getattr(reference, name)(x, axis=1)


def test_arg_reductions():
    x = np.array([[2, 7, 7], [5, 1, 1]], dtype="float32")
    np.testing.assert_array_equal(reference.argmax(x, axis=1), [1, 0])
    np.testing.assert_array_equal(reference.argmin(x, axis=-1), [0, 1])
    np.testing.assert_array_equal(reference.argmax(x, axis=0), [1, 0, 0])
    assert reference.argmax(x, axis=0, keepdims=True).shape == (1, 3)
    whole = reference.argmax(x)
    assert isinstance(whole, np.ndarray)
    assert whole.dtype == np.int64 and whole.shape == () and int(whole) == 1


def test_cumulative():
    x = np.array([[1, 2, 3], [4, 5, 6]], dtype="float32")
    np.testing.assert_array_equal(reference.cumsum(x, 1), [[1, 3, 6], [4, 9, 15]])
    np.testing.assert_array_equal(
        reference.cumprod(x, axis=0), [[1, 2, 3], [4, 10, 18]]
    )
    np.testing.assert_array_equal(reference.cumsum(x), [1, 3, 6, 10, 15, 21])
    assert reference.cumsum(np.array([True, True])).dtype == np.int32
    assert reference.cumsum(np.array([1, 1], "int8")).dtype == np.int8
