"""Reference elementwise functions: values, broadcasting, dtypes, erf."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core.backend import reference

# name -> (formula for one float, interval of the test points)
UNARY = {
    "negative": (lambda v: -v, (-3, 3)),
    "absolute": (abs, (-3, 3)),
    "sign": (lambda v: math.copysign(1, v), (-3, 3)),
    "exp": (math.exp, (-3, 3)),
    "expm1": (math.expm1, (-1e-3, 1e-3)),
    "log": (math.log, (0.1, 9)),
    "log1p": (math.log1p, (-1e-3, 1e-3)),
    "log2": (math.log2, (2, 9)),
    "log10": (math.log10, (2, 9)),
    "sqrt": (math.sqrt, (0, 9)),
    "rsqrt": (lambda v: 1 / math.sqrt(v), (0.1, 9)),
    "square": (lambda v: v * v, (-3, 3)),
    "reciprocal": (lambda v: 1 / v, (0.1, 9)),
    "sin": (math.sin, (0.1, 3)),
    "cos": (math.cos, (-1.5, 1.5)),
    "tan": (math.tan, (0.1, 1.4)),
    "arcsin": (math.asin, (0.1, 0.9)),
    "arccos": (math.acos, (-0.9, 0.9)),
    "arctan": (math.atan, (-3, 3)),
    "sinh": (math.sinh, (-3, 3)),
    "cosh": (math.cosh, (-3, 3)),
    "arcsinh": (math.asinh, (0.1, 3)),
    "arccosh": (math.acosh, (1.5, 9)),
    "arctanh": (math.atanh, (0.1, 0.9)),
    "erf": (math.erf, (-3, 3)),
    "floor": (math.floor, (-3, 3)),
    "ceil": (math.ceil, (-3, 3)),
    "round": (round, (-3, 3)),
}
BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "maximum": max,
    "minimum": min,
    "power": lambda a, b: a**b,
    "floor_divide": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "arctan2": math.atan2,
}
COMPARISONS = {
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "logical_and": lambda a, b: bool(a) and bool(b),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_xor": lambda a, b: bool(a) != bool(b),
}
KEEP_INTEGERS = {"negative", "absolute", "sign", "square", "round"}
EXTREMES = [-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf, np.nan]


@pytest.mark.parametrize("name", UNARY)
def test_unary(name, rng):
    formula, interval = UNARY[name]
    function = getattr(reference, name)
    x = rng.uniform(*interval, size=(5, 4))
    expected = np.vectorize(formula)(x).astype("float64")
    kept = x.copy()
    np.testing.assert_allclose(function(x), expected, rtol=1e-13)
    np.testing.assert_array_equal(x, kept)
    single = x.astype("float32")
    expected = np.vectorize(formula)(single.astype("float64")).astype("float64")
    np.testing.assert_allclose(function(single), expected, rtol=1e-6)
    assert function(single).dtype == np.float32
    assert function(x.astype("float16")).dtype == np.float16
    np.testing.assert_array_equal(function(x[::2, ::-1].T), function(x)[::2, ::-1].T)
    scalar = function(single[0, 0])
    assert isinstance(scalar, np.ndarray) and scalar.shape == ()
    assert function(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("name", UNARY)
def test_unary_integers_and_extremes(name):
    function = getattr(reference, name)
    integers = np.array([1, 2, 3], dtype="int32")
    assert function(integers).dtype == ("int32" if name in KEEP_INTEGERS else "float32")
    extremes = function(np.array(EXTREMES, dtype="float32"))  # must not warn
    assert np.isnan(extremes[-1])


@pytest.mark.parametrize("name", BINARY)
def test_binary(name, rng):
    function = getattr(reference, name)
    a, b = rng.uniform(0.5, 4, size=(3, 4, 5)), rng.uniform(0.5, 4, size=(4, 1))
    expected = np.vectorize(BINARY[name])(a, np.broadcast_to(b, a.shape))
    np.testing.assert_allclose(function(a, b), expected, rtol=1e-13)
    for dtype in ("float16", "float32"):
        result = function(a.astype(dtype), b.astype(dtype))
        assert result.dtype == dtype and result.shape == (3, 4, 5)
    scalar = function(np.float32(1), np.float32(2))
    assert isinstance(scalar, np.ndarray)
    assert scalar.shape == () and scalar.dtype == np.float32
    extremes = np.array(EXTREMES, dtype="float32")
    function(extremes[:, None], extremes)  # must not warn
    assert np.isnan(function(extremes[-1:], extremes[:1]))[0]


def test_integer_arithmetic():
    a, b = np.array([7, -7], dtype="int32"), np.array([2, 0], dtype="int32")
    assert reference.add(a, b).dtype == np.int32
    np.testing.assert_array_equal(reference.floor_divide(a, b), [3, 0])
    np.testing.assert_array_equal(reference.divide(a, b), [3.5, -np.inf])
    assert reference.divide(a, b).dtype == np.float32
    assert reference.power(a, b).dtype == np.int32


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison(name, rng):
    function = getattr(reference, name)
    a = rng.integers(0, 3, size=(4, 5)).astype("float32")
    b = rng.integers(0, 3, size=(5,)).astype("float32")
    result = function(a, b)
    expected = np.vectorize(COMPARISONS[name])(a, np.broadcast_to(b, a.shape))
    assert result.dtype == np.bool_
    np.testing.assert_array_equal(result, expected)
    assert isinstance(function(a[0, 0], b[0]), np.ndarray)


def test_predicates():
    x = np.array([0.0, -np.inf, np.nan, 1.0], dtype="float32")
    np.testing.assert_array_equal(reference.isnan(x), [0, 0, 1, 0])
    np.testing.assert_array_equal(reference.isinf(x), [0, 1, 0, 0])
    np.testing.assert_array_equal(reference.isfinite(x), [1, 0, 0, 1])
    np.testing.assert_array_equal(reference.logical_not(x), [1, 0, 0, 0])
    for name in ("isnan", "isinf", "isfinite"):
        assert getattr(reference, name)(np.array([1, 2])).dtype == np.bool_


def test_maximum_and_minimum_propagate_nan():
    a = np.array([np.nan, 1.0, 1.0], dtype="float32")
    b = np.array([1.0, np.nan, 2.0], dtype="float32")
    np.testing.assert_array_equal(reference.maximum(a, b), [np.nan, np.nan, 2.0])
    np.testing.assert_array_equal(reference.minimum(a, b), [np.nan, np.nan, 1.0])


def test_round_halves_to_even():
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], dtype="float32")
    np.testing.assert_array_equal(reference.round(x), [-2, -2, 0, 0, 2, 2])


def test_where_broadcasts():
    condition = np.array([[True], [False]])
    a, b = np.float32([1, 2, 3]), np.float32([[9], [8]])
    result = reference.where(condition, a, b)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[1, 2, 3], [8, 8, 8]])
    assert isinstance(reference.where(True, a[0], b[0, 0]), np.ndarray)


def test_clip():
    x = np.array([-2.0, 0.5, np.nan, 7.0], dtype="float32")
    result = reference.clip(x, -1.0, 1.0)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [-1, 0.5, np.nan, 1])
    np.testing.assert_array_equal(reference.clip(x, None, 1.0), [-2, 0.5, np.nan, 1])
    np.testing.assert_array_equal(
        reference.clip(x, np.float32([0, 1, 0, 0]), np.float32(9)), [0, 1, np.nan, 7]
    )
    assert isinstance(reference.clip(np.array(3.0), 0, 1), np.ndarray)


def test_erf_has_full_accuracy_in_float64():
    x = np.concatenate([np.linspace(-7, 7, 4001), np.geomspace(1e-300, 1, 200)])
    expected = np.vectorize(math.erf)(x)
    error = np.abs(reference.erf(x) - expected)
    assert np.all(error <= 4 * np.spacing(np.abs(expected)))
    np.testing.assert_array_equal(
        reference.erf(np.array([-np.inf, 0.0, np.inf, np.nan])), [-1, 0, 1, np.nan]
    )


def test_erf_of_float32_is_correctly_rounded():
    x = np.linspace(-5, 5, 2001, dtype="float32")
    expected = np.vectorize(math.erf)(x.astype("float64")).astype("float32")
    np.testing.assert_array_equal(reference.erf(x), expected)


def test_erfc_keeps_its_relative_accuracy():
    from cnn_core.backend.reference.elementwise import erf_float64

    x = np.linspace(-6, 26, 3001)
    expected = np.vectorize(math.erfc)(x)
    np.testing.assert_allclose(erf_float64(x, complement=True), expected, rtol=2e-15)
    edges = erf_float64(np.array([-np.inf, 0.0, 30.0, np.inf, np.nan]), complement=True)
    np.testing.assert_array_equal(edges, [2, 1, 0, 0, np.nan])
