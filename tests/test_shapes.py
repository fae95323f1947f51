"""Shape and dtype rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnn_core import config, shapes


def test_unknown_name():
    error = shapes.unknown_name("loss", "MeanSquareError", ["MeanSquaredError", "mae"])
    assert (
        str(error) == "Unknown loss 'MeanSquareError'; did you mean 'MeanSquaredError'?"
    )
    assert "known: a, b" in str(shapes.unknown_name("x", "zzzz", ["b", "a"]))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float32"),
        (None, "float32"),
        (float, "float32"),
        ("float", "float32"),
        (int, "int32"),
        ("int", "int32"),
        (bool, "bool"),
        (np.float64, "float64"),
        (np.dtype(">i2"), "int16"),
    ],
)
def test_dtype_name(dtype, name):
    assert shapes.dtype_name(dtype) == name


@pytest.mark.parametrize("dtype", ["float23", "complex64", complex, "U3", 3, "<f4"])
def test_unknown_dtypes(dtype):
    with pytest.raises(ValueError, match="Unknown dtype"):
        shapes.dtype_name(dtype)


def test_result_type_is_symmetric_and_knows_every_pair():
    kinds = [*shapes.DTYPES, int, float, bool]
    for a, b in itertools.product(kinds, kinds):
        common = shapes.result_type(a, b)
        assert common == shapes.result_type(b, a)
        assert common in shapes.DTYPES
        assert shapes.result_type(a, a, b) == common


def test_result_type_of_nothing_is_floatx():
    assert shapes.result_type() == config.floatx()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((2, None, 3), (2, None, 3)),
        ([np.int64(2)], (2,)),
        (5, (5,)),
        ((), ()),
        (range(3), (0, 1, 2)),
    ],
)
def test_standardize_shape(given, expected):
    assert shapes.standardize_shape(given) == expected


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (None, TypeError, "Dense: expected a tuple of integers, got None"),
        ("ab", TypeError, "expected integers or None, got 'a'"),
        ((1.5,), TypeError, "got 1.5 in"),
        (1.5, TypeError, "got 1.5"),
        ((2, -1), ValueError, r"expected sizes >= 0, got \(2, -1\)"),
    ],
)
def test_bad_shapes(given, error, message):
    with pytest.raises(error, match=message):
        shapes.standardize_shape(given, "Dense")


def test_axes():
    assert shapes.normalize_axis(-1, 3) == 2
    assert shapes.normalize_axis(np.int64(0), 3) == 0
    assert shapes.normalize_axes(None, 3) == (0, 1, 2)
    assert shapes.normalize_axes([-1, 0], 3) == (0, 2)
    assert shapes.normalize_axes((), 3) == ()
    with pytest.raises(ValueError, match=r"sum: expected an axis in \[-3, 2\]"):
        shapes.normalize_axis(3, 3, "sum")
    with pytest.raises(ValueError, match="axis None for 0 dimensions"):
        shapes.normalize_axis(0, 0)
    with pytest.raises(TypeError, match=r"sum: expected an integer axis, got 1\.5"):
        shapes.normalize_axis(1.5, 3, "sum")
    with pytest.raises(ValueError, match="names a dimension twice"):
        shapes.normalize_axes((0, -3), 3)


SIZES = (None, 0, 1, 3)


@pytest.mark.parametrize("pair", list(itertools.product(SIZES, SIZES)))
def test_broadcast_of_sizes(pair):
    a, b = pair
    known = [n for n in pair if n is not None]
    try:
        expected = np.broadcast_shapes((1,), *[(n,) for n in known])[0]
    except ValueError:
        with pytest.raises(ValueError, match=r"add: shapes .* do not broadcast"):
            shapes.broadcast((a,), (b,), who="add")
        return
    if None in pair and expected == 1:
        expected = None
    assert shapes.broadcast((a,), (b,)) == (expected,)


def test_broadcast_of_ranks():
    assert shapes.broadcast((2, 1, 3), (4, 1), ()) == (2, 4, 3)
    assert shapes.broadcast() == ()
    assert shapes.broadcast((None, 3), (5, 1, 1)) == (5, None, 3)


def test_matmul():
    assert shapes.matmul((None, 3), (3, 5)) == (None, 5)
    assert shapes.matmul((2, 1, 4, 3), (7, 5, 3), transpose_b=True) == (2, 7, 4, 5)
    assert shapes.matmul((3, 4), (3, None), transpose_a=True) == (4, None)
    with pytest.raises(ValueError, match=r"inner sizes .* 3 and 4 .*\(4, 5\)"):
        shapes.matmul((2, 3), (4, 5))
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        shapes.matmul((3,), (3, 2))


@pytest.mark.parametrize(
    ("shape", "target", "expected"),
    [
        ((2, 6), (3, -1), (3, 4)),
        ((2, 6), (12,), (12,)),
        ((None, 6), (-1, 3), (None, 3)),
        ((None, 6), (4, 3), (4, 3)),
        ((None, 2, 6), (None, -1), (None, 12)),
        ((None, 2, 6), (None, -1, 3), (None, 4, 3)),
        ((0, 3), (-1, 3), (0, 3)),
        ((0, 3), (3, 0), (3, 0)),
        ((), (1, 1), (1, 1)),
    ],
)
def test_reshaped(shape, target, expected):
    assert shapes.reshaped(shape, target) == expected


@pytest.mark.parametrize(
    ("shape", "target", "message"),
    [
        ((2, 3), (-1, -1), "only one size may be -1"),
        ((None, 3), (None, -1, 2), "3 elements of shape .* do not divide"),
        ((2, 3), (4, -1), "6 elements of shape .* do not divide"),
        ((2, 3), (5,), "has 6 elements, .* has 5"),
        ((2, 3), (-2, 3), "sizes must be >= -1"),
        ((0,), (-1, 0), "do not divide"),
    ],
)
def test_impossible_reshapes(shape, target, message):
    with pytest.raises(ValueError, match=message):
        shapes.reshaped(shape, target)


def test_concatenated():
    assert shapes.concatenated([(2, None), (3, 4)], 0) == (5, 4)
    assert shapes.concatenated([(2, None), (2, 4)], -1) == (2, None)
    with pytest.raises(ValueError, match="equal except along axis 0"):
        shapes.concatenated([(2, 3), (2, 4)], 0)
    with pytest.raises(ValueError, match="equal except"):
        shapes.concatenated([(None, 3), (2, None), (2, 4)], 0)
    with pytest.raises(ValueError, match="equal except"):
        shapes.concatenated([(2, 3), (2,)], 0)
    with pytest.raises(ValueError, match="at least one"):
        shapes.concatenated([], 0)


def test_compatible_and_merged():
    assert shapes.compatible((None, 3), (2, None))
    assert not shapes.compatible((None, 3), (2, 4))
    assert not shapes.compatible((None,), (2, 3))
    assert shapes.merged((None, 3), (2, None)) == (2, 3)


def test_known_size():
    assert shapes.known_size((2, 3)) == 6
    assert shapes.known_size(()) == 1
    assert shapes.known_size((2, None)) is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (0, (4, 5)),
        (slice(1, 3), (None, 4, 5)),
        ((slice(None), slice(1, 3)), (None, 2, 5)),
        ((Ellipsis, None, -1), (None, 4, 1)),
        ((slice(None), np.array([0, 1, 1])), (None, 3, 5)),
        ((np.array([0, 9]), slice(None), 2), (2, 4)),
        ((slice(None), np.array([True, False, True, False])), (None, 2, 5)),
    ],
    ids=repr,
)
def test_indexed_with_unknown_sizes(key, expected):
    assert shapes.indexed((None, 4, 5), key) == expected
