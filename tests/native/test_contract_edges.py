"""Arrays without elements, single elements, NaN, infinities and denormal numbers: the
compiled functions do what the reference does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from contract import assert_same_bits, bits

from cnn_core.backend import reference

Cases = Callable[[int, int], list[Any]]
EPS = float(np.finfo(np.float32).eps)
TINY = np.float32(1e-45)
SPECIAL = np.array(
    [0, -0.0, 1, -1, 0.3, -7, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-40, -1e-40,
     1.1754944e-38, 3.4028235e38, -3.4028235e38, 88.9, -88.9, -103.5, 1e-20, -1e20],
    np.float32,
)  # fmt: skip


def outcome(case: Any, namespace: ModuleType) -> np.ndarray | type[Exception]:
    """Return the result of a call, or the type of the error it raises."""
    try:
        result: np.ndarray = case.run(namespace)
        return result
    except (ValueError, TypeError) as error:
        return type(error)


# ---- few elements --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0), (1, 1), (1, 0)], ids=str)
def test_few_elements(
    native: ModuleType, isa: str, cases: Cases, shape: tuple[int, int]
) -> None:
    for case in cases(4, 4):  # cut down: one cannot make cases of no elements
        arguments = tuple(
            a[tuple(slice(None, k) for k in shape[: a.ndim])]
            if isinstance(a, np.ndarray) and a.shape[:1] == (4,)
            else a
            for a in case.arguments
        )
        case = case._replace(arguments=arguments)
        with np.errstate(all="ignore"):
            want, got = outcome(case, reference), outcome(case, native)
        label = f"{case.label} of {[getattr(a, 'shape', a) for a in arguments]}"
        if isinstance(want, type) or isinstance(got, type):
            assert got is want, label
            continue
        assert isinstance(got, np.ndarray), label
        assert (got.shape, got.dtype) == (want.shape, want.dtype), label
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, err_msg=label)


SIDES = (0, 1, 2, 9)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_products_of_few_elements(
    native: ModuleType, isa: str, activation: str | None
) -> None:
    rng = np.random.default_rng(0)
    stacks = [(), (0,), (1,), (2, 0), (2, 1)]
    for m, n, k, before, flip_a, flip_b in itertools.product(
        SIDES, SIDES, SIDES, stacks, (False, True), (False, True)
    ):
        a = rng.standard_normal((*before, m, k), dtype=np.float32)
        b = rng.standard_normal((k, n), dtype=np.float32)
        for bias in (None, rng.standard_normal(n, dtype=np.float32)):
            want = reference.matmul(a, b, bias, activation=activation)
            got = native.matmul(
                np.swapaxes(a, -1, -2) if flip_a else a,
                b.T if flip_b else b,
                bias, flip_a, flip_b, activation,
            )  # fmt: skip
            label = f"{a.shape} @ {b.shape}"
            assert (got.shape, got.dtype) == (want.shape, want.dtype), label
            np.testing.assert_allclose(got, want, atol=1e-5, err_msg=label)


# ---- special values ------------------------------------------------------------------

UNARY = (
    "relu", "leaky_relu", "elu", "selu", "silu", "gelu", "sigmoid", "hard_sigmoid",
    "tanh", "softplus", "softsign", "negative", "absolute", "sign", "exp", "expm1",
    "log", "log1p", "sqrt", "rsqrt", "square", "reciprocal", "erf",
)  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_special_values(native: ModuleType, isa: str, name: str) -> None:
    """Denormal arguments and results count: nothing is flushed to zero."""
    x = np.tile(SPECIAL, 3)
    with np.errstate(all="ignore"):
        want = getattr(reference, name)(x.astype(np.float64)).astype(np.float32)
        got = getattr(native, name)(x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    # silu multiplies x with a sigmoid that is itself denormal
    units = 80 if name == "silu" else 8
    np.testing.assert_allclose(got, want, rtol=60 * EPS, atol=units * TINY)


def test_sums_of_special_values(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 5, 8, 9, 70, 300):
        denormal = (rng.integers(-9, 9, (4, n)) * TINY).astype(np.float32)
        exact = denormal.astype(np.float64).sum(axis=1)
        np.testing.assert_array_equal(native.sum(denormal, axis=1), exact)
        ordered = np.sort(denormal, axis=1)
        np.testing.assert_array_equal(native.max(denormal, axis=1), ordered[:, -1])
        np.testing.assert_array_equal(native.min(denormal, axis=1), ordered[:, 0])


@pytest.mark.parametrize("k", [1, 3, 8, 257])
def test_products_of_special_values(native: ModuleType, isa: str, k: int) -> None:
    rng = np.random.default_rng(k)
    for m, n in ((1, 1), (1, 20), (20, 1), (7, 40), (40, 70)):
        a, b = (rng.choice(SPECIAL, size) for size in ((m, k), (k, n)))
        with np.errstate(all="ignore"):
            terms = a.astype(np.float64)[:, :, None] * b.astype(np.float64)
            exact = terms.sum(axis=1)
        got = native.matmul(a, b)
        nan = np.isnan(exact)
        assert np.isnan(got[nan]).all()
        # the greatest numbers overflow on the way: compare small products
        small = np.abs(terms).sum(axis=1) < 1e38
        bound = (k + 1) * EPS * np.abs(terms).sum(axis=1) + (k + 1) * TINY
        assert (np.abs(got[small] - exact[small]) <= bound[small]).all()


def test_denormal_products_are_kept(native: ModuleType, isa: str) -> None:
    for m, n, k in ((1, 1, 1), (1, 40, 3), (7, 40, 3), (40, 70, 9), (40, 1, 9)):
        a = np.full((m, k), 1e-30, np.float32)
        b = np.full((k, n), 1e-10, np.float32)
        got = native.matmul(a, b)
        np.testing.assert_allclose(got, k * 1e-40, rtol=1e-4)
        np.testing.assert_allclose(native.matmul(a, b.T.copy(), None, False, True), got)


def test_nan_has_one_place(native: ModuleType, isa: str, cases: Cases) -> None:
    """A NaN in one row leaves the other rows as they are."""
    for n in (5, 70):
        for case in cases(6, n):
            if case.keywords.get("axis", 1) != 1 or "arg" in case.function:
                continue
            spoiled = case.with_arrays(
                lambda a: np.where(
                    (np.arange(len(a)) == 2).reshape(-1, *[1] * (a.ndim - 1)),
                    np.float32(np.nan), a,
                ) if a.shape[:1] == (6,) else a
            )  # fmt: skip
            got, want = spoiled.run(native), case.run(native)
            others = np.arange(6) != 2
            assert_same_bits(got[others], want[others], case.label)


# ---- outputs and inputs --------------------------------------------------------------


def test_results_never_share_memory_with_arguments(
    native: ModuleType, isa: str, cases: Cases
) -> None:
    """Not even where nothing has to be computed: a caller may write to both."""
    for case in [*cases(1, 1), *cases(3, 5)]:
        before = [np.copy(a) for a in case.arguments]
        result = case.run(native)
        result[...] = 9
        for a, old in zip(case.arguments, before, strict=True):
            np.testing.assert_array_equal(bits(np.asarray(a)), bits(np.asarray(old)))


def test_the_same_array_twice(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 40), dtype=np.float32)
    for function in (
        native.add, native.divide, native.matmul, native.relu_grad,
        native.mean_squared_error, native.categorical_crossentropy,
    ):  # fmt: skip
        assert_same_bits(function(x, x), function(x, x.copy()))
    # windows of one array that overlap
    line = rng.standard_normal(500, dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(line, 40)
    for function in (native.add, native.multiply, native.softmax_grad):
        want = function(windows[:100].copy(), windows[7:107].copy())
        assert_same_bits(function(windows[:100], windows[7:107]), want)
    want = native.matmul(windows[:100].copy(), windows[9:49].copy())
    assert_same_bits(native.matmul(windows[:100], windows[9:49]), want)
