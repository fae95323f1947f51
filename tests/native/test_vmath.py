"""Vector mathematics against float64: the bounds that vmath.h states."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from cnn_core.backend.reference.elementwise import erf_float64

Function = Callable[[np.ndarray], np.ndarray]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1.0) / (1.0 + decay)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


# function: float64 value, bound with FMA, bound of the baseline (units in last place)
BOUNDS: dict[str, tuple[Function, float, float]] = {
    "exp": (np.exp, 0.9, 1.2),
    "expm1": (np.expm1, 1.35, 1.35),
    "log": (np.log, 0.9, 0.95),
    "log1p": (np.log1p, 1.5, 1.6),
    "tanh": (np.tanh, 1.4, 1.4),
    "sigmoid": (_sigmoid, 1.65, 1.65),
    "erf": (erf_float64, 1.05, 1.2),
    "sin": (np.sin, 0.501, 0.501),
    "cos": (np.cos, 0.501, 0.501),
    "softplus": (_softplus, 1.9, 1.9),
    "sqrt": (np.sqrt, 0.5, 0.5),
    "reciprocal": (np.reciprocal, 0.5, 0.5),
    "rsqrt": (lambda x: 1.0 / np.sqrt(x), 1.5, 1.5),
    "square": (np.square, 0.5, 0.5),
}
# Where a formula changes or a result overflows, underflows or rounds to its limit.
EDGES = (
    (0.0, 0.34657359, 0.625, 0.70710677, 0.921875, 1.0, 1.4142135, 4.0, 9.01, 17.4)
    + (0.78539819, 1.5707964, 3.1415927, 6.2831855, 16367173.0, 1.3421773e8, 2.3e10)
    + (20.0, 87.33654, 88.02969, 88.72284, 89.0, 103.27893, 103.97208, 104.0)
    + (2.9802322e-08, 1.17549435e-38, 5.6e-45, 8.5e37, 1.7014118e38, 3.4028235e38)
)


def _sample() -> np.ndarray:
    """Return floats over the whole range and every float around the edges."""
    sweep = np.arange(0, 2**32, 8191, dtype=np.uint32)
    around = np.arange(-600, 601, dtype=np.int64)
    edges = np.array(EDGES, np.float32).view(np.uint32).astype(np.int64)
    near = np.maximum(edges[:, None] + around, 0).astype(np.uint32).reshape(-1)
    bits = np.concatenate([sweep, near, near | np.uint32(0x80000000)])
    return bits.view(np.float32)


def _worst(got: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest error in units in the last place; inf for a wrong special."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    special = ~np.isfinite(rounded) | ~np.isfinite(got)
    if not np.array_equal(got[special], rounded[special], equal_nan=True):
        # FLT_MAX itself may round either way
        close = np.abs(exact) > 3.40282e38
        wrong = special & ~close
        if not np.array_equal(got[wrong], rounded[wrong], equal_nan=True):
            return float("inf")
    finite = ~special
    _, exponent = np.frexp(np.abs(exact[finite]))
    unit = np.exp2(np.maximum(exponent - 24, -149).astype(np.float64))
    error = np.abs(got[finite].astype(np.float64) - exact[finite]) / unit
    return float(error.max(initial=0.0))


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_error_stays_below_the_stated_bound(
    native: ModuleType, isa: str, name: str
) -> None:
    function, with_fma, baseline = BOUNDS[name]
    x = _sample()
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
    got = getattr(native, name)(x)
    assert _worst(got, exact) <= (baseline if isa == "baseline" else with_fma)


INF, NAN, DENORMAL = np.inf, np.nan, 1e-45
SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (89.0, INF)]
    + [(-104.0, 0.0), (-103.9, DENORMAL), (DENORMAL, 1.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-50.0, -1.0)]
    + [(DENORMAL, DENORMAL), (-DENORMAL, -DENORMAL), (1e-10, 1e-10)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF)]
    + [(-INF, NAN), (-DENORMAL, NAN), (DENORMAL, -103.27893)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF)]
    + [(-INF, NAN), (DENORMAL, DENORMAL), (-DENORMAL, -DENORMAL)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (20.0, 1.0)]
    + [(DENORMAL, DENORMAL)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (40.0, 1.0), (-103.9, DENORMAL)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (5.0, 1.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (DENORMAL, DENORMAL)]
    + [(-DENORMAL, -DENORMAL), (1e-10, 1e-10)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (DENORMAL, 1.0)],
    "softplus": [(INF, INF), (-INF, 0.0), (200.0, 200.0), (-103.9, DENORMAL)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN)],
    "sign": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (-DENORMAL, -1.0)],
}


@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_special_values(native: ModuleType, isa: str, name: str) -> None:
    pairs = np.array([*SPECIAL[name], (NAN, NAN)], np.float32)
    got = getattr(native, name)(np.ascontiguousarray(pairs[:, 0]))
    np.testing.assert_array_equal(got, pairs[:, 1])
    zero = pairs[:, 1] == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(pairs[zero, 1]))


def test_gelu_keeps_its_left_tail(native: ModuleType, isa: str) -> None:
    x = -np.arange(0.0, 14.0, 0.01, dtype=np.float32)
    wide = x.astype(np.float64)
    exact = wide * 0.5 * erf_float64(-wide * np.sqrt(0.5), complement=True)
    got = native.gelu(x, approximate=False)
    # the baseline rounds x*x/2 (up to 98), which exp turns into a relative error
    rtol = 1e-5 if isa == "baseline" else 6e-7
    np.testing.assert_allclose(got, exact, rtol=rtol, atol=1e-43)


# ---- powers ------------------------------------------------------------------

POWER_BOUND = 0.51
POWER_SPECIAL = (0.0, 1.0, 2.0, 3.0, 0.5, 1.5, 10.0, 1e-45, 1e-38, 1e38, 3.4028235e38)
POWER_SPECIAL += (4194303.5, 8388607.0, 8388608.0, 16777215.0, 16777216.0, 1e10)
POWER_SPECIAL += (0.99999994, 1.0000001, 126.0, 127.0, 128.0, 149.0, 150.0, INF)


def _powers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        exact: np.ndarray = np.power(x.astype(np.float64), y.astype(np.float64))
    return exact


def test_powers_stay_below_the_stated_bound(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    x = np.exp2(rng.uniform(-149, 128, n)).astype(np.float32)
    near_one = np.exp2(rng.uniform(-0.6, 0.6, n)).astype(np.float32)
    x = np.concatenate([x, near_one])
    result = rng.uniform(-152, 129, 2 * n)  # its logarithm
    with np.errstate(all="ignore"):
        y = (result / np.log2(x.astype(np.float64))).astype(np.float32)
    got = native.power(x, y)
    assert _worst(got, _powers(x, y)) <= POWER_BOUND
    whole = rng.integers(-40, 40, 2 * n).astype(np.float32)
    got = native.power(-x, whole)
    assert _worst(got, _powers(-x, whole)) <= POWER_BOUND


def test_special_powers_are_those_of_c(native: ModuleType, isa: str) -> None:
    values = np.array([s * v for v in POWER_SPECIAL for s in (1, -1)] + [NAN], "f")
    x, y = (a.reshape(-1).copy() for a in np.meshgrid(values, values))
    exact = _powers(x, y)
    with np.errstate(all="ignore"):
        want = exact.astype(np.float32)
    got = native.power(x, y)
    assert _worst(got, exact) <= POWER_BOUND
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    there = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[there]), np.signbit(want[there]))
    square = np.full_like(values, 2)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(native.power(values, square), values * values)


def test_powers_are_exact_where_they_can_be(native: ModuleType, isa: str) -> None:
    base, exponent = np.meshgrid(np.arange(-12.0, 13), np.arange(0.0, 7))
    base, exponent = base.astype(np.float32), exponent.astype(np.float32)
    np.testing.assert_array_equal(native.power(base, exponent), base**exponent)
    n = np.arange(-149, 128, dtype=np.float32)
    np.testing.assert_array_equal(native.power(np.float32([2]), n), np.exp2(n))


def test_powers_have_the_same_bits_everywhere(
    native: ModuleType, restore: None
) -> None:
    rng = np.random.default_rng(1)
    x = np.exp(rng.standard_normal((37, 41)) * 9).astype(np.float32)
    y = rng.standard_normal((37, 41)).astype(np.float32) * 5
    want = native.power(x, y)
    for name in native.available_isas():  # float64 without FMA
        native.set_isa(name)
        np.testing.assert_array_equal(native.power(x, y), want)
        for i, j in ((0, 0), (17, 8), (36, 40)):
            a, b = x[i, j].reshape(1).copy(), y[i, j].reshape(())
            assert native.power(a, b) == want[i, j]
            column = native.power(x, b)
            assert column[i, j] == want[i, j]
            assert native.power(a, y)[i, j] == want[i, j]
            row = native.power(x[:, j : j + 1].copy(), y)
            assert row[i, j] == want[i, j]
