"""Reference activations: values, gradients, extremes, dtypes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core.backend import reference

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def normal_distribution(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# name -> (formula for one float, gradient from (ct, x, y))
CASES = {
    "relu": (lambda v: max(v, 0.0), lambda ct, x, y: reference.relu_grad(ct, y)),
    "leaky_relu": (
        lambda v: v if v > 0 else 0.2 * v,
        lambda ct, x, y: reference.leaky_relu_grad(ct, x),
    ),
    "elu": (
        lambda v: v if v > 0 else math.expm1(v),
        lambda ct, x, y: reference.elu_grad(ct, y),
    ),
    "selu": (
        lambda v: SELU_SCALE * (v if v > 0 else SELU_ALPHA * math.expm1(v)),
        lambda ct, x, y: reference.selu_grad(ct, y),
    ),
    "gelu": (
        lambda v: (
            0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        ),
        lambda ct, x, y: reference.gelu_grad(ct, x),
    ),
    "silu": (
        lambda v: v / (1 + math.exp(-v)),
        lambda ct, x, y: reference.silu_grad(ct, x),
    ),
    "sigmoid": (
        lambda v: 1 / (1 + math.exp(-v)),
        lambda ct, x, y: reference.sigmoid_grad(ct, y),
    ),
    "hard_sigmoid": (
        lambda v: min(max(v / 6 + 0.5, 0.0), 1.0),
        lambda ct, x, y: reference.hard_sigmoid_grad(ct, x),
    ),
    "tanh": (math.tanh, lambda ct, x, y: reference.tanh_grad(ct, y)),
    "softplus": (
        lambda v: math.log1p(math.exp(v)),
        lambda ct, x, y: reference.softplus_grad(ct, x),
    ),
    "softsign": (
        lambda v: v / (1 + abs(v)),
        lambda ct, x, y: reference.softsign_grad(ct, x),
    ),
}
TOLERANCE = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-14}


@pytest.fixture
def x(rng):
    # Away from the kinks at 0 and +-3, where central differences fail.
    values = rng.normal(scale=2.5, size=(7, 5))
    for kink in (-3.0, 0.0, 3.0):
        values[np.abs(values - kink) < 1e-3] += 0.1
    return values


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_value(name, dtype, x):
    x = x.astype(dtype)
    result = getattr(reference, name)(x)
    expected = np.vectorize(CASES[name][0])(x.astype("float64"))
    assert result.dtype == dtype
    np.testing.assert_allclose(
        result.astype("float64"), expected, rtol=TOLERANCE[dtype], atol=1e-7
    )


@pytest.mark.parametrize("name", CASES)
def test_gradient(name, x, check_gradient):
    check_gradient(getattr(reference, name), CASES[name][1], x)


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_parameters(alpha, x, check_gradient):
    np.testing.assert_allclose(
        reference.elu(x, alpha), np.where(x > 0, x, alpha * np.expm1(x)), rtol=1e-15
    )
    check_gradient(
        lambda v: reference.elu(v, alpha),
        lambda ct, v, y: reference.elu_grad(ct, y, alpha),
        x,
    )
    np.testing.assert_allclose(
        reference.leaky_relu(x, alpha), np.where(x > 0, x, alpha * x), rtol=1e-15
    )
    check_gradient(
        lambda v: reference.leaky_relu(v, alpha),
        lambda ct, v, y: reference.leaky_relu_grad(ct, v, alpha),
        x,
    )


def test_gelu_tanh_keeps_its_left_tail():
    v = np.linspace(-7, -3, 50).astype("float32")  # 1 + tanh(u) would cancel here
    np.testing.assert_allclose(
        reference.gelu(v), reference.gelu(v.astype("float64")), rtol=1e-5
    )


def test_gelu_erf(x, check_gradient):
    x[0, 0] = -6.0  # 1 + erf(x / sqrt 2) would lose seven digits here
    expected = np.vectorize(lambda v: v * normal_distribution(v))(x)
    np.testing.assert_allclose(
        reference.gelu(x, approximate=False), expected, rtol=1e-14
    )
    check_gradient(
        lambda v: reference.gelu(v, approximate=False),
        lambda ct, v, y: reference.gelu_grad(ct, v, approximate=False),
        x,
    )


@pytest.mark.parametrize("name", CASES)
def test_gradient_dtypes(name, x):
    for dtype in TOLERANCE:
        v = x.astype(dtype)
        y = getattr(reference, name)(v)
        assert CASES[name][1](np.ones_like(v), v, y).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_large_inputs_are_exact_and_silent(name, dtype):
    v = np.array([-1e30, -1e4, 1e4, 1e30], dtype=dtype)
    y = getattr(reference, name)(v)
    low, high = {
        "relu": (0, v[2:]),
        "leaky_relu": (0.2 * v[:2], v[2:]),
        "elu": (-1, v[2:]),
        "selu": (-SELU_SCALE * SELU_ALPHA, SELU_SCALE * v[2:]),
        "gelu": (0, v[2:]),
        "silu": (0, v[2:]),
        "sigmoid": (0, 1),
        "hard_sigmoid": (0, 1),
        "tanh": (-1, 1),
        "softplus": (0, v[2:]),
        "softsign": (-1, 1),
    }[name]
    tolerance = {"rtol": 2e-4 if name == "softsign" else 1e-6, "atol": 0}
    np.testing.assert_allclose(y[:2], np.broadcast_to(low, 2), **tolerance)
    np.testing.assert_allclose(y[2:], np.broadcast_to(high, 2), **tolerance)
    slope = CASES[name][1](np.ones_like(v), v, y)
    left = {"leaky_relu": 0.2}.get(name, 0.0)
    right = {"selu": SELU_SCALE}.get(
        name,
        0.0 if name in ("sigmoid", "hard_sigmoid", "tanh", "softsign") else 1.0,
    )
    expected = [left, left, right, right]
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=3e-7)


def test_gelu_erf_large_inputs():
    v = np.array([-1e30, -1e4, 1e4, 1e30], dtype="float32")
    np.testing.assert_array_equal(reference.gelu(v, False), [0, 0, *v[2:]])
    slope = reference.gelu_grad(np.ones_like(v), v, False)
    np.testing.assert_array_equal(slope, [0, 0, 1, 1])


@pytest.mark.parametrize("name", CASES)
def test_nan_propagates(name):
    assert np.isnan(getattr(reference, name)(np.array([np.nan], dtype="float32")))[0]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("relu", 0, np.inf),
        ("leaky_relu", -np.inf, np.inf),
        ("elu", -1, np.inf),
        ("sigmoid", 0, 1),
        ("hard_sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("softplus", 0, np.inf),
    ],
)
def test_infinite_inputs(name, low, high):
    v = np.array([-np.inf, np.inf], dtype="float32")
    np.testing.assert_array_equal(getattr(reference, name)(v), [low, high])


def test_derivative_at_zero_comes_from_the_left():
    zero, one = np.zeros(1), np.ones(1)
    assert reference.relu_grad(one, zero)[0] == 0
    assert reference.leaky_relu_grad(one, zero, 0.3)[0] == 0.3
    assert reference.elu_grad(one, zero, 0.5)[0] == 0.5


@pytest.mark.parametrize("name", CASES)
def test_shapes_strides_and_integers(name, rng):
    function = getattr(reference, name)
    scalar = function(np.array(1.5, dtype="float32"))
    assert isinstance(scalar, np.ndarray)
    assert scalar.shape == () and scalar.dtype == np.float32
    assert function(np.zeros((0, 3))).shape == (0, 3)
    base = rng.normal(size=(6, 8))
    kept = base.copy()
    strided = base[::-2, 1::3].T
    np.testing.assert_array_equal(function(strided), function(strided.copy()))
    np.testing.assert_array_equal(base, kept)
    integers = np.array([-2, 0, 3])
    if name != "relu":
        assert function(integers).dtype == np.float32
    np.testing.assert_allclose(
        function(integers), function(integers.astype("float32")), rtol=1e-7
    )


@pytest.mark.parametrize("name", CASES)
def test_gradient_of_scalar_is_an_array(name):
    v = np.array(0.5, dtype="float32")
    y = getattr(reference, name)(v)
    gradient = CASES[name][1](np.array(1.0, dtype="float32"), v, y)
    assert isinstance(gradient, np.ndarray)
    assert gradient.shape == () and gradient.dtype == np.float32


# softmax and log_softmax


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax(axis, rng, check_gradient):
    x = rng.normal(size=(4, 3, 5))
    y = reference.softmax(x, axis=axis)
    np.testing.assert_allclose(y.sum(axis), 1.0, rtol=1e-14)
    expected = np.exp(x) / np.exp(x).sum(axis, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    log_y = reference.log_softmax(x, axis=axis)
    np.testing.assert_allclose(log_y, np.log(expected), rtol=1e-13, atol=1e-14)
    check_gradient(
        lambda v: reference.softmax(v, axis),
        lambda ct, v, y: reference.softmax_grad(ct, y, axis),
        x,
    )
    check_gradient(
        lambda v: reference.log_softmax(v, axis),
        lambda ct, v, y: reference.log_softmax_grad(ct, y, axis),
        x,
    )


def test_softmax_extremes():
    x = np.array([[-1e4, 0.0, 1e4], [-np.inf, 0.0, 0.0]], dtype="float32")
    np.testing.assert_array_equal(reference.softmax(x), [[0, 0, 1], [0, 0.5, 0.5]])
    log_half = np.log(np.float32(0.5))
    np.testing.assert_array_equal(
        reference.log_softmax(x), [[-2e4, -1e4, 0], [-np.inf, log_half, log_half]]
    )
    for row in ([np.nan, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]):
        assert np.isnan(reference.softmax(np.array(row))[0])


def test_softmax_dtypes_and_empty():
    for function in (reference.softmax, reference.log_softmax):
        assert function(np.zeros((2, 3), "float16")).dtype == np.float16
        assert function(np.zeros((2, 0), "float32")).shape == (2, 0)
        assert function(np.zeros((0, 3), "float32")).shape == (0, 3)
        assert function(np.array([1, 2])).dtype == np.float32
    y = reference.softmax(np.zeros((2, 3), "float16"))
    assert reference.softmax_grad(y, y).dtype == np.float16
    assert reference.log_softmax_grad(y, y).dtype == np.float16
