"""Reductions: axes, the fixed order of sums, special values, empty arrays."""

from __future__ import annotations

from itertools import chain, combinations
from types import ModuleType

import numpy as np
import pytest

from cnn_core.backend import reference

LANES, CHUNK = 64, 16384
AXES = [*chain.from_iterable(combinations(range(4), k) for k in range(5)), None]
SIZES = [1, 7, 8, 9, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000]
SIZES += [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 70]


def _array(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _contract_sum(row: np.ndarray) -> np.float32:
    """Add up a row in the order that the numeric contract fixes."""
    total = np.float32(0)
    for start in range(0, row.size, CHUNK):
        chunk = row[start : start + CHUNK]
        padded = np.zeros(-(-chunk.size // LANES) * LANES, np.float32)
        padded[: chunk.size] = chunk
        lanes = np.zeros(LANES, np.float32)
        for part in padded.reshape(-1, LANES):
            lanes = lanes + part
        while lanes.size > 1:
            half = lanes.size // 2
            lanes = lanes[:half] + lanes[half:]
        total = np.float32(total + lanes[0])
    return total


@pytest.mark.parametrize("n", SIZES)
def test_row_sums_follow_the_contract(native: ModuleType, isa: str, n: int) -> None:
    x = _array((3, n))
    want = [_contract_sum(row) for row in x]
    np.testing.assert_array_equal(native.sum(x, axis=1), want)
    np.testing.assert_array_equal(native.sum(x[0]), want[0])


@pytest.mark.parametrize("rows", [1, 2, 8, 255, 256, 257, 1000])
@pytest.mark.parametrize("cols", [2, 10, 64, 100, 5000])
def test_column_sums_follow_the_contract(
    native: ModuleType, isa: str, rows: int, cols: int
) -> None:
    x = _array((rows, cols))
    want = np.zeros(cols, np.float32)
    for start in range(0, rows, 256):
        part = np.zeros(cols, np.float32)
        for row in x[start : start + 256]:
            part = part + row
        want = want + part
    np.testing.assert_array_equal(native.sum(x, axis=0), want)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_any_axes(
    native: ModuleType, isa: str, axis: tuple[int, ...] | None, keepdims: bool
) -> None:
    x = _array((3, 4, 1, 5))
    for name in ("sum", "mean", "max", "min"):
        got = getattr(native, name)(x, axis=axis, keepdims=keepdims)
        want = getattr(np, name)(x.astype(np.float64), axis=axis, keepdims=keepdims)
        assert isinstance(got, np.ndarray)
        assert got.dtype == np.float32
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3, None])
@pytest.mark.parametrize("keepdims", [False, True])
def test_index_of_extremes(
    native: ModuleType, isa: str, axis: int | None, keepdims: bool
) -> None:
    # few values: many ties, the first one counts
    x = np.random.default_rng(1).integers(0, 4, (6, 7, 9)).astype(np.float32)
    for name in ("argmax", "argmin"):
        got = getattr(native, name)(x, axis=axis, keepdims=keepdims)
        want = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        assert got.dtype == np.int64
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [1, 3, 8, 9, 16, 17, 64, 65, 130, 40000])
def test_extremes_of_every_position(native: ModuleType, isa: str, n: int) -> None:
    for place in {0, 1, n // 2, n - 2, n - 1} & set(range(n)):
        for value, names in ((9.0, ("max", "argmax")), (-9.0, ("min", "argmin"))):
            x = np.zeros((2, n), np.float32)
            x[:, place] = value
            assert (getattr(native, names[0])(x, axis=1) == value).all()
            assert (getattr(native, names[1])(x, axis=1) == place).all()
            assert (getattr(native, names[0])(x.T.copy(), axis=0) == value).all()
            x[:, place] = np.nan
            x[:, -1] = np.nan
            for extreme, index in (("max", "argmax"), ("min", "argmin")):
                assert np.isnan(getattr(native, extreme)(x, axis=1)).all()
                assert np.isnan(getattr(native, extreme)(x.T.copy(), axis=0)).all()
                assert (getattr(native, index)(x, axis=1) == place).all()


def test_index_of_extremes_along_the_first_axis(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(2)
    for rows in (1, 2, 3, 40, 300):
        for cols in (*range(1, 40), 63, 65, 1023, 1024, 1025, 2100):
            x = rng.integers(-3, 4, (rows, cols)).astype(np.float32)
            x[rng.uniform(size=x.shape) < 0.1] = np.inf
            x[rng.uniform(size=x.shape) < 0.1] = -np.inf
            x[rng.uniform(size=x.shape) < 0.01] = np.nan
            x[:, cols // 2] = -np.inf
            for name in ("argmax", "argmin"):
                for y in (x, -x):
                    np.testing.assert_array_equal(
                        getattr(native, name)(y, axis=0), getattr(np, name)(y, axis=0)
                    )


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17, 65, 20000])
def test_extremes_of_infinities(native: ModuleType, isa: str, n: int) -> None:
    x = np.full((2, n), -np.inf, np.float32)
    assert (native.max(x, axis=1) == -np.inf).all()
    assert (native.argmax(x, axis=1) == 0).all()
    assert (native.min(-x, axis=1) == np.inf).all()
    assert (native.argmin(-x, axis=1) == 0).all()


def test_sums_propagate_nan_and_inf(native: ModuleType, isa: str) -> None:
    for n in (5, 70, 20000):
        x = np.ones((3, n), np.float32)
        x[0, n // 2] = np.nan
        x[1, 0] = np.inf
        x[2, 0], x[2, -1] = np.inf, -np.inf
        for name in ("sum", "mean"):
            got = getattr(native, name)(x, axis=1)
            np.testing.assert_array_equal(got, [np.nan, np.inf, np.nan])


def test_empty_arrays(native: ModuleType) -> None:
    x = np.zeros((0, 3), np.float32)
    np.testing.assert_array_equal(native.sum(x, axis=0), np.zeros(3))
    np.testing.assert_array_equal(native.mean(x, axis=0), np.full(3, np.nan))
    assert native.sum(x, axis=1).shape == (0,)
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(ValueError, match=r"empty|zero-size|identity"):
            getattr(native, name)(x, axis=0)


def test_zero_dimensional_arrays(native: ModuleType, isa: str) -> None:
    x = np.array(3.5, np.float32)
    for name in ("sum", "mean", "max", "min"):
        got = getattr(native, name)(x)
        assert isinstance(got, np.ndarray)
        assert got.shape == ()
        assert got == 3.5
    assert native.argmax(x) == 0


@pytest.mark.parametrize("axis", [3, -4, (0, 0), (1, -2), 1.5])
def test_wrong_axes_are_refused(native: ModuleType, axis: object) -> None:
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises((ValueError, TypeError)):
        native.sum(x, axis=axis)
    with pytest.raises((ValueError, TypeError)):
        reference.sum(x, axis=axis)  # type: ignore[arg-type]
