"""Products with one column, y = A x: an order of their own, which only K decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from contract import THREADS, backwards, every_second, off_by_four, padded_rows
from emulated import Emulated
from products import ACTIVATIONS, equal_bits, make, multiply_add, run_program
from test_matmul_gradients import GRADIENTS

EPS = float(np.finfo(np.float32).eps)
CHUNK, LANES = 4096, 16  # the constants of the numeric contract
# Around vectors, groups of rows, strips of columns, blocks.
ROWS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 31, 33, 64, 65, 127, 130, 257, 2100)
DEPTHS = (
    0, 1, 2, 3, 4, 5, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 50, 64, 65, 100, 128, 129,
    300,
)  # fmt: skip


def far_rows(x: np.ndarray) -> np.ndarray:
    """Return x with rows more than a page apart."""
    wide = np.full((x.shape[0], x.shape[1] + 1500), np.nan, np.float32)
    wide[:, : x.shape[1]] = x
    return wide[:, : x.shape[1]]


def far_columns(x: np.ndarray) -> np.ndarray:
    return far_rows(np.ascontiguousarray(x.T)).T


LAYOUTS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    np.asfortranarray, off_by_four, padded_rows, far_rows, far_columns, every_second,
    backwards, lambda x: x[::-1].copy()[::-1], lambda x: x[:, ::-1].copy()[:, ::-1],
    lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
)  # fmt: skip


def column(
    native: ModuleType, a: np.ndarray, x: np.ndarray, **keys: object
) -> np.ndarray:
    """Return a (m, k) times x (k,) as (m,)."""
    y: np.ndarray = native.matmul(a, x[:, None], **keys)
    assert y.shape == (len(a), 1)
    return y[:, 0]


# ---- the order ----------------------------------------------------------------------


def in_order(a: np.ndarray, x: np.ndarray, fused: bool) -> np.float32:
    """Return one element: lanes of a chunk, folded by halves, chunks added in order."""
    total = np.float32(0)
    for start in range(0, len(a), CHUNK):
        lanes = [np.float32(0)] * LANES
        for k in range(start, min(len(a), start + CHUNK)):
            lane = lanes[k % LANES]
            lanes[k % LANES] = (
                multiply_add(a[k], x[k], lane) if fused else a[k] * x[k] + lane
            )
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        total = total + lanes[0]
    return total


@pytest.mark.parametrize("k", [1, 3, 7, 8, 13, 16, 19, 100, 700, 4096, 4120, 8200])
def test_element_is_the_documented_sum(native: ModuleType, isa: str, k: int) -> None:
    a, x = make(2 if k > 1000 else 9, k, seed=1), make(k, seed=2)
    expected = np.array([in_order(row, x, isa != "baseline") for row in a])
    assert equal_bits(column(native, a, x), expected)


@pytest.mark.usefixtures("isa")
def test_accuracy(native: ModuleType) -> None:
    for m, k in itertools.product((1, 5, 130), (1, 9, 300, 5000, 70_000)):
        a, x = make(m, k, seed=1), make(k, seed=2)
        wide_a, wide_x = a.astype(np.float64), x.astype(np.float64)
        error = abs(column(native, a, x) - wide_a @ wide_x)
        # a lane has up to CHUNK / LANES steps
        depth = min(k, CHUNK // LANES) + LANES.bit_length() + k // CHUNK
        assert (error <= depth * EPS * (abs(wide_a) @ abs(wide_x))).all()


# ---- the same bits ------------------------------------------------------------------


@pytest.mark.usefixtures("isa", "restore")
def test_layout_does_not_change_a_bit(native: ModuleType) -> None:
    native.set_num_threads(1)  # which leaves long blocks
    layouts = itertools.cycle(itertools.product(LAYOUTS, LAYOUTS))
    for m, k in (*itertools.product(ROWS, DEPTHS), (5, 4100), (70, 4130), (2100, 20)):
        a, x = make(m, k, seed=1), make(k, 1, seed=2)
        whole = native.matmul(a, x)
        flipped = np.ascontiguousarray(a.T)
        assert equal_bits(native.matmul(flipped, x, None, True), whole), (m, k)
        for of_a, of_x in itertools.islice(layouts, 3 if k else 0):
            left, right = of_a(a), of_x(x)
            assert equal_bits(native.matmul(left, right), whole), (m, k)
            assert equal_bits(native.matmul(left.T, right.T, None, True, True), whole)


@pytest.mark.usefixtures("isa", "restore")
def test_every_pair_of_layouts(native: ModuleType) -> None:
    native.set_num_threads(1)  # which leaves long blocks
    for m, k in ((40, 30), (90, 4200)):
        a, x = make(m, k, seed=1), make(k, 1, seed=2)
        whole = native.matmul(a, x)
        for of_a, of_x in itertools.product(LAYOUTS, LAYOUTS):
            assert equal_bits(native.matmul(of_a(a), of_x(x)), whole)


@pytest.mark.usefixtures("isa")
def test_overlapping_and_repeated_rows(native: ModuleType) -> None:
    line = make(400)
    for k in (1, 2, 3, 5, 9, 16, 17, 100):
        x = make(k, seed=2)
        windows = np.lib.stride_tricks.sliding_window_view(line, k)[:300]
        same_row = np.broadcast_to(line[:k], (70, k))
        same_column = np.broadcast_to(line[:70, None], (70, k))
        for a in (windows, windows[::-1], windows.T[:, :k].T, same_row, same_column):
            assert equal_bits(column(native, a, x), column(native, a.copy(), x))
        constant = np.broadcast_to(np.float32(0.3), (k,))
        assert equal_bits(
            column(native, windows, constant), column(native, windows, constant.copy())
        )


@pytest.mark.usefixtures("isa")
def test_rows_do_not_depend_on_their_neighbours(native: ModuleType) -> None:
    for m, k in ((90, 3), (90, 9), (90, 16), (90, 200), (2100, 33), (7, 4300)):
        a, x = make(m, k, seed=1), make(k, seed=2)
        whole = column(native, a, x)
        for rows in (slice(0, 1), slice(m - 1, m), slice(1, 6), slice(m // 2, None)):
            part = whole[rows].copy()
            assert equal_bits(column(native, a[rows], x), part)
            flipped = np.ascontiguousarray(a[rows].T)
            result = native.matmul(flipped, x[:, None], None, True)
            assert equal_bits(result[:, 0], part)
        shuffled = np.random.default_rng(0).permutation(m)
        assert equal_bits(column(native, a[shuffled], x), whole[shuffled])


@pytest.mark.usefixtures("isa", "restore")
def test_threads_do_not_change_a_bit(native: ModuleType) -> None:
    for m, k in ((3000, 256), (10, 70_000), (200_000, 3), (70_001, 9)):
        a, x, bias = make(m, k, seed=1), make(k, 1, seed=2), make(1)
        for flip in (False, True):
            left = np.ascontiguousarray(a.T) if flip else a
            results = []
            for threads in THREADS:
                native.set_num_threads(threads)
                results.append(native.matmul(left, x, bias, flip, False, "gelu"))
            assert all(equal_bits(r, results[0]) for r in results[1:])


@pytest.mark.usefixtures("isa", "restore")
def test_stacks(native: ModuleType) -> None:
    for count, m, k in ((5, 1, 30), (7, 9, 16), (300, 20, 100), (3, 1, 5000)):
        a, x = make(count, m, k, seed=1), make(count, k, 1, seed=2)
        for threads in (1, 3):
            native.set_num_threads(threads)
            each, same = native.matmul(a, x), native.matmul(a, x[0])
            turned = native.matmul(np.swapaxes(a, 1, 2).copy(), x, None, True)
            assert equal_bits(turned, each)
            for i in range(count):
                assert equal_bits(each[i], native.matmul(a[i], x[i]))
                assert equal_bits(same[i], native.matmul(a[i], x[0]))


@pytest.mark.usefixtures("isa", "restore")
def test_programs_have_the_bits_of_single_calls(native: ModuleType) -> None:
    for (m, k), flips in itertools.product(
        ((1, 40), (33, 9), (257, 300), (5000, 130)),
        itertools.product((False, True), repeat=2),
    ):
        a, x, bias = make(m, k, seed=1), make(k, 1, seed=2), make(1)
        left = np.ascontiguousarray(a.T) if flips[0] else a
        right = np.ascontiguousarray(x.T) if flips[1] else x
        want = native.matmul(a, x, bias, activation="tanh")
        for threads in (1, 3):
            native.set_num_threads(threads)
            c = np.full((m, 1), np.nan, np.float32)
            keys = {"bias": (3, 0), "activation": "tanh"}
            run_program(native, c, left, right, bias, flips=flips, **keys)
            assert equal_bits(c, want)


@pytest.mark.usefixtures("isa")
def test_sums_that_vanish_are_positive_zeros(native: ModuleType) -> None:
    """Products round to -0, which steps beyond the end of K would change."""
    for m, k in itertools.product((1, 3, 40, 100), (1, 3, 9, 16, 33, 50, 200)):
        a, x = np.full((m, k), -1e-30, np.float32), np.full((k, 1), 1e-30, np.float32)
        for layout in (np.copy, *LAYOUTS):
            assert equal_bits(native.matmul(layout(a), x), np.zeros((m, 1), "f4"))


@pytest.mark.usefixtures("isa")
def test_not_finite_values_stay_in_their_row(native: ModuleType) -> None:
    for m, k in itertools.product((9, 40, 100), (3, 9, 16, 50, 200)):
        a, x = make(m, k, seed=1), make(k, seed=2)
        a[1, k - 1], a[4, 0], a[m - 2, k // 2] = np.nan, np.inf, -np.inf
        x[1] = 0
        with np.errstate(invalid="ignore"):
            exact = a.astype(np.float64) @ x.astype(np.float64)
        for layout in (np.copy, *LAYOUTS):
            got = column(native, layout(a), x)
            assert np.array_equal(np.isnan(got), np.isnan(exact))
            assert np.array_equal(np.isposinf(got), np.isposinf(exact))
            assert np.array_equal(np.isneginf(got), np.isneginf(exact))


# ---- what follows -------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.usefixtures("isa")
def test_fused_equals_unfused(native: ModuleType, activation: str) -> None:
    for (m, k), flip in itertools.product(((1, 9), (2101, 40), (67, 4200)), (0, 1)):
        a, x, bias = make(m, k, seed=1), make(k, 1, seed=2), make(1)
        left = np.ascontiguousarray(a.T) if flip else a
        fused = native.matmul(left, x, bias, bool(flip), False, activation)
        plain = native.bias_add(native.matmul(a, x), bias)
        assert equal_bits(fused, ACTIVATIONS[activation](native, plain))


@pytest.mark.parametrize(("name", "parameter", "gradient"), GRADIENTS)
@pytest.mark.usefixtures("isa")
def test_fused_gradient_is_the_separate_one(
    native: ModuleType, name: str, parameter: float | None, gradient
) -> None:
    for m, k in ((1, 9), (2101, 40), (67, 4200)):
        a, x, saved = make(m, k, seed=1), make(k, 1, seed=2), make(m, 1, seed=3)
        expected = gradient(native, native.matmul(a, x), saved)
        assert equal_bits(native.matmul_grad(a, x, saved, name, parameter), expected)


# ---- AVX-512 ------------------------------------------------------------------------


def test_emulated_instructions_have_the_same_bits(
    native: ModuleType, emulated: Emulated
) -> None:
    shapes = (
        (1, 20), (5, 3), (33, 7), (70, 9), (130, 16), (40, 33), (300, 50), (150, 64),
        (9, 4200), (150, 4200), (140, 300), (2100, 18),
    )  # fmt: skip
    layouts = itertools.cycle(LAYOUTS)
    for m, k in shapes:
        a, x, bias, saved = make(m, k, seed=1), make(k, 1, seed=2), make(1), make(m)
        want = native.relu_grad(native.matmul(a, x, bias), saved[:, None])
        some = (np.copy, np.asfortranarray, next(layouts), next(layouts))
        for isa, of_a in itertools.product(("avx512", "amx"), some):
            result = emulated.product(
                x.T, of_a(a).T, bias, isa=isa, column=True, grad="relu",
                saved=saved[None], cuts=((), (m // 3, m // 2)),
            )  # fmt: skip
            assert result.parts == 0
            assert equal_bits(result.c.T.copy(), want), (m, k)
