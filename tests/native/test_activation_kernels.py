"""Activations: special values, derivatives against the functions, softmax axes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from cnn_core.backend import reference

INF, NAN = np.inf, np.nan
# function: values at -inf, 0 and inf
LIMITS = {
    "relu": (0, 0, INF),
    "leaky_relu": (-INF, 0, INF),
    "elu": (-1, 0, INF),
    "selu": (-1.7580993, 0, INF),
    "sigmoid": (0, 0.5, 1),
    "hard_sigmoid": (0, 0.5, 1),
    "tanh": (-1, 0, 1),
    "softplus": (0, np.log(2), INF),
}
# gradient from the input: slopes at -inf, 0 and inf
SLOPES = {
    "leaky_relu_grad": (0.2, 0.2, 1),
    "silu_grad": (0, 0.5, 1),
    "gelu_grad": (0, 0.5, 1),
    "hard_sigmoid_grad": (0, 1 / 6, 0),
    "softplus_grad": (0, 0.5, 1),
    "softsign_grad": (0, 1, 0),
}
FROM_OUTPUT = ("relu", "elu", "selu", "sigmoid", "tanh")
FROM_INPUT = ("leaky_relu", "gelu", "silu", "hard_sigmoid", "softplus", "softsign")


def _at_limits(native: ModuleType, call: Callable[[np.ndarray], np.ndarray]) -> list:
    # on a full vector and on a tail
    x = np.array([-INF, 0, INF, NAN] * 5, np.float32)
    y = call(x).reshape(5, 4)
    np.testing.assert_array_equal(y, np.broadcast_to(y[0], y.shape))
    return list(y[0])


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_limits(native: ModuleType, isa: str, name: str) -> None:
    got = _at_limits(native, getattr(native, name))
    np.testing.assert_allclose(got, [*LIMITS[name], NAN], rtol=3e-7)


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_slopes_at_the_limits(native: ModuleType, isa: str, name: str) -> None:
    def call(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = getattr(native, name)(np.ones_like(x), x)
        return result

    got = _at_limits(native, call)
    np.testing.assert_allclose(got[:3], SLOPES[name], rtol=3e-7)


@pytest.mark.parametrize("name", FROM_OUTPUT + FROM_INPUT)
def test_gradient_is_the_derivative(native: ModuleType, isa: str, name: str) -> None:
    x = np.linspace(-6, 6, 777, dtype=np.float32) + np.float32(0.003)
    wide, h = x.astype(np.float64), 1e-6
    function = getattr(reference, name)
    slope = (function(wide + h) - function(wide - h)) / (2 * h)
    saved = getattr(native, name)(x) if name in FROM_OUTPUT else x
    ct = np.linspace(1, 2, 777, dtype=np.float32)
    got = getattr(native, name + "_grad")(ct, saved)
    near_kink = np.abs(np.abs(x) - 3) < 1e-4
    expected = np.where(near_kink, got, ct * slope)
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("approximate", [True, False])
def test_gelu_gradient_is_the_derivative(
    native: ModuleType, isa: str, approximate: bool
) -> None:
    x = np.linspace(-8, 8, 1001, dtype=np.float32)
    wide, h = x.astype(np.float64), 1e-5
    up = reference.gelu(wide + h, approximate)
    slope = (up - reference.gelu(wide - h, approximate)) / (2 * h)
    got = native.gelu_grad(np.ones_like(x), x, approximate)
    np.testing.assert_allclose(got, slope, rtol=1e-6, atol=5e-7)


def test_extreme_inputs_stay_finite(native: ModuleType, isa: str) -> None:
    x = np.array([-3e38, -1e20, -200, 200, 1e20, 3e38] * 3, np.float32)
    one = np.ones_like(x)
    for name in ("sigmoid", "tanh", "softsign", "hard_sigmoid", "erf"):
        assert np.isfinite(getattr(native, name)(x)).all()
    for approximate in (True, False):
        got = native.gelu_grad(one, x, approximate)
        np.testing.assert_allclose(got, x > 0, atol=1e-30)
        np.testing.assert_allclose(native.gelu(x, approximate), np.maximum(x, 0))
    np.testing.assert_allclose(native.silu_grad(one, x), x > 0, atol=1e-30)


# ---- softmax -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [-1, 0, 1, 2, -3])
def test_softmax_along_any_axis(
    native: ModuleType, isa: str, name: str, axis: int
) -> None:
    rng = np.random.default_rng(7)
    x, ct = rng.standard_normal((2, 5, 11, 6)).astype(np.float32)
    ct = np.ascontiguousarray(ct)
    y = getattr(native, name)(x, axis)
    want = getattr(reference, name)(x.astype(np.float64), axis)
    np.testing.assert_allclose(y, want, rtol=2e-6, atol=1e-6)
    got = getattr(native, name + "_grad")(ct, y, axis)
    want = getattr(reference, name + "_grad")(ct.astype(np.float64), want, axis)
    np.testing.assert_allclose(got, want, rtol=3e-6, atol=2e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 17, 64, 65, 1000, 40000])
def test_softmax_of_large_logits(native: ModuleType, isa: str, n: int) -> None:
    x = np.full((3, n), 1e4, np.float32)
    np.testing.assert_allclose(native.softmax(x), 1 / n, rtol=1e-6)
    np.testing.assert_allclose(native.log_softmax(x), -np.log(n), rtol=1e-6, atol=1e-7)
    x[:, 0] = -1e4
    assert (native.softmax(x)[:, 0] == (n == 1)).all()


def test_softmax_special_rows(native: ModuleType, isa: str) -> None:
    for n in (3, 8, 10, 17, 70):
        x = np.zeros((4, n), np.float32)
        x[0, -1] = NAN
        x[1, 1] = INF
        x[2, 1:] = -INF
        x[3] = -INF
        y = native.softmax(x)
        assert np.isnan(y[[0, 1, 3]]).all()
        np.testing.assert_array_equal(y[2], np.eye(n, dtype=np.float32)[0])
        y = native.log_softmax(x)
        assert np.isnan(y[[0, 3]]).all()
        np.testing.assert_array_equal(y[2, 1:], -INF)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 0, 3)])
def test_softmax_of_nothing(native: ModuleType, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    for name in ("softmax", "log_softmax"):
        assert getattr(native, name)(x).shape == shape
        assert getattr(native, name + "_grad")(x, x).shape == shape


def test_softmax_refuses_a_missing_axis(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        native.softmax(np.ones((2, 3), np.float32), axis=2)
