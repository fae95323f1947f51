"""Products on tile units, which run emulated: accuracy, layouts, blocks, epilogues.

Every shape is one for which the plan takes tile units, but for a check of that.
"""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest
from contract import (
    Layout,
    backwards,
    every_second,
    off_by_four,
    padded_rows,
    transposed,
)
from emulated import ACTIVATIONS, Emulated
from products import ACTIVATIONS as UNFUSED
from products import equal_bits, make
from test_matmul_gradients import GRADIENTS

EPS = float(np.finfo(np.float32).eps)
# Error of one product of two numbers, cut into so many parts of 8 bits.
CUT = {3: 2.0**-26, 2: 3.1 * 2.0**-18, 1: 1.01 * 2.0**-8}
# Around tiles of 16, two of them, chunks of 128 and of 256.
EDGES = (1, 2, 15, 16, 17, 31, 32, 33, 47, 65)
DEPTHS = (17, 31, 32, 33, 127, 128, 129, 160, 255, 256, 257, 300, 513)


def excess(c: np.ndarray, a: np.ndarray, b: np.ndarray, parts: int) -> float:
    """Return the largest error against float64, in units of its bound."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    bound = abs(wide_a) @ abs(wide_b) * ((a.shape[1] + 1) * EPS + CUT[parts])
    return float((abs(c - wide_a @ wide_b) / bound).max())


@pytest.mark.parametrize("parts", [3, 2, 1])
def test_accuracy_at_every_edge(emulated: Emulated, parts: int) -> None:
    depths = itertools.cycle(DEPTHS)  # 13 of them meet 100 pairs of edges
    for m, n in itertools.product(EDGES, EDGES):
        for k in itertools.islice(depths, 2):
            a, b = make(m, k, seed=1), make(k, n, seed=2)
            result = emulated.product(a, b, parts=parts)
            assert result.parts == parts
            assert excess(result.c, a, b, parts) <= 1


@pytest.mark.parametrize("parts", [3, 2, 1])
def test_groups_of_rows_and_blocks_of_columns(emulated: Emulated, parts: int) -> None:
    for m, n, k in ((300, 40, 140), (40, 1100, 40)):
        a, b = make(m, k, seed=1), make(k, n, seed=2)
        result = emulated.product(a, b, parts=parts, cuts=([100], [500]))
        assert result.parts == parts
        assert excess(result.c, a, b, parts) <= 1


def test_every_part_counts(emulated: Emulated) -> None:
    a, b = make(64, 100, seed=1), make(100, 64, seed=2)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    one, two, three = (
        np.linalg.norm(emulated.product(a, b, parts=parts).c - exact)
        for parts in (1, 2, 3)
    )
    assert one > 100 * two > 1000 * three


@pytest.mark.parametrize("k", [16, 17, 32, 64, 100, 256, 300, 1024, 4096, 16384])
def test_three_parts_are_not_worse_than_fused_multiply_adds(
    emulated: Emulated, k: int
) -> None:
    for shift in (0.0, 0.5):  # all signs, and sums that grow
        a, b = (make(*shape) + np.float32(shift) for shape in ((48, k), (k, 48)))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        tiles, fused = (emulated.product(a, b, parts=parts) for parts in (3, 0))
        assert (tiles.parts, fused.parts) == (3 if k > 16 else 0, 0)
        error, limit = (np.linalg.norm(x.c - exact) for x in (tiles, fused))
        # a large sum is rounded twice as often: its chunks of K are half as long
        assert error <= limit


def test_the_plan_takes_tile_units_where_they_are_faster(emulated: Emulated) -> None:
    for m, n, k in ((1, 500, 500), (500, 1, 500), (16, 500, 300), (600, 600, 16)):
        a, b = make(m, k, seed=1), make(k, n, seed=2)
        result = emulated.product(a, b, always=False)
        assert result.parts == 0
        assert equal_bits(result.c, emulated.product(a, b, isa="avx512").c)
    a, b = make(256, 512, seed=1), make(512, 256, seed=2)
    for parts in range(4):
        assert emulated.product(a, b, parts=parts, always=False).parts == parts


# ---- the same bits ------------------------------------------------------------------


LAYOUTS = (np.copy, off_by_four, transposed, backwards, every_second, padded_rows)


@pytest.mark.parametrize("parts", [3, 2, 1])
@pytest.mark.parametrize("layout_b", LAYOUTS)
def test_strides_and_packing_do_not_change_a_bit(
    emulated: Emulated, layout_b: Layout, parts: int
) -> None:
    for m, n, k in ((33, 49, 300), (47, 64, 129)):
        a, b = make(m, k, seed=1), make(k, n, seed=2)
        expected = emulated.product(a, b, parts=parts).c
        for layout_a, packed in itertools.product(LAYOUTS, (0, 1, 3)):
            result = emulated.product(
                layout_a(a), layout_b(b), parts=parts, packed=packed
            )
            assert result.parts == parts
            assert equal_bits(result.c, expected)


def test_blocks_do_not_change_a_bit(emulated: Emulated) -> None:
    rng = np.random.default_rng(0)
    for m, n, k in ((290, 70, 140), (70, 1100, 130)):
        a, b, bias = make(m, k, seed=1), make(k, n, seed=2), make(n, seed=3)
        for packed, activation in ((0, "linear"), (0, "tanh"), (2, "relu")):
            keys = {"packed": packed, "activation": activation}
            whole = emulated.product(a, b, bias, **keys)
            assert whole.parts == 3
            for count in (1, 2, 5):
                cuts = [rng.integers(0, size, count) for size in (m, n)]
                result = emulated.product(a, b, bias, cuts=cuts, **keys)
                assert equal_bits(result.c, whole.c)


def test_rows_and_columns_do_not_depend_on_their_neighbours(emulated: Emulated) -> None:
    a, b = make(101, 300, seed=1), make(300, 90, seed=2)
    whole = emulated.product(a, b).c
    for rows, columns in (
        (slice(5, 34), slice(None)),
        (slice(None, None, 2), slice(3, 60)),
        (slice(60, 61), slice(89, 30, -1)),
    ):
        result = emulated.product(a[rows], b[:, columns])
        assert result.parts == 3
        assert equal_bits(result.c, np.ascontiguousarray(whole[rows, columns]))


# ---- epilogues ----------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_equals_unfused(
    emulated: Emulated, native: ModuleType, activation: str
) -> None:
    for (m, n, k), packed in (((33, 49, 130), 0), ((70, 16, 300), 1)):
        a, b = make(m, k, seed=1) / 8, make(k, n, seed=2)
        plain = emulated.product(a, b).c
        for bias in (None, make(n, seed=3)):
            result = emulated.product(a, b, bias, packed=packed, activation=activation)
            assert result.parts == 3
            before = plain if bias is None else native.bias_add(plain, bias)
            assert equal_bits(result.c, UNFUSED[activation](native, before))


@pytest.mark.parametrize("case", GRADIENTS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_gradient_behind_a_product(
    emulated: Emulated, native: ModuleType, case: tuple
) -> None:
    name, parameter, alone = case
    # what native functions take for None
    default = {"leaky_relu": 0.2, "elu": 1.0}.get(name, 0.0)
    m, n, k = 65, 49, 130
    a, b, saved = make(m, k, seed=1), make(k, n, seed=2), make(m, n, seed=4)
    result = emulated.product(
        a, b, grad=name, grad_p=parameter or default, saved=saved, cuts=([32], [32])
    )
    assert result.parts == 3
    assert equal_bits(result.c, alone(native, emulated.product(a, b).c, saved))


def test_sums_of_columns(emulated: Emulated) -> None:
    for m, n, k in ((33, 49, 130), (64, 1100, 600)):
        a, b = make(m, k, seed=1), make(k, n, seed=2)
        expected = emulated.product(a, b, parts=0, sums=True)
        for cuts in (((), ()), ((32,), (32,))):
            result = emulated.product(a, b, sums=True, cuts=cuts)
            assert result.parts == 3
            assert equal_bits(result.sums, expected.sums)
            assert equal_bits(result.c, emulated.product(a, b).c)
        columns = emulated.product(a, transposed(b), sums=True)
        assert columns.parts == 0  # they would not be summed row by row
        assert equal_bits(columns.sums, expected.sums)


# ---- numbers that tile units treat otherwise -----------------------------------------


def spoil(a: np.ndarray, b: np.ndarray, what: str) -> None:
    """Put numbers of this kind into a few rows of a and columns of b."""
    if what == "not finite":
        a[3, 5], a[40, 200], a[100, 7] = np.nan, np.inf, -np.inf
        b[:, 9] = 0  # inf * 0 is NaN
        b[250, 70], b[251, 70], b[5, 120] = np.inf, -np.inf, np.nan
    elif what == "overflow":  # in ways that no order of a sum changes
        a[7], b[:, 11] = 0, abs(b[:, 11])
        a[7, ::9] = 2e38
        b[::9, :11] = b[::9, 12:] = 0.25
        a[70, 3], b[3, 100] = 3e38, -3e38
        a[71, 4], a[71, 5] = 3e38, -3e38
    elif what == "large":
        a[:40], b[:, 70] = abs(a[:40]) * 2.0**60, abs(b[:, 70]) * 2.0**101
        a[64] = abs(a[64]) * 2.0**99
        b[:, 71] *= np.float32(2.0**-100)
    elif what == "small":
        a[10:50] *= np.float32(2.0**-75)
        b[:, 40:80] *= np.float32(2.0**-60)
        b[:, 100] *= np.float32(2.0**-91)
        a[96] *= np.float32(2.0**-125)
        # normal products of numbers whose last parts are denormal
        a[70] *= np.float32(2.0**-112)
        b[:, 128:] *= np.float32(2.0**60)
        # the same, of an element among large ones
        b[:, 21], b[9, 21] = 0, 2.0**60  # all there is of [5, 21]
        a[5, 9] = 1.2345678 * 2.0**-115
    elif what == "denormal":
        a[8, 8], b[9, 9] = 1e-40, -3e-39
        a[100] *= np.float32(2.0**-140)
        b[:, 20], b[8, 20] = 0, 2.0**90  # all there is of [8, 20]
    elif what == "mixed":  # large ones hide small ones, which do not matter then
        a[:, ::3] *= np.float32(2.0**-40)
        b[::5] *= np.float32(2.0**30)
        a[0, ::2] = 0
        b[:, 17] = 0
        a[33], b[:, 64:96] = 0, 0


@pytest.mark.parametrize("parts", [3, 2, 1])
@pytest.mark.parametrize(
    "what", ["not finite", "overflow", "large", "small", "denormal", "mixed"]
)
def test_the_ends_of_the_range(emulated: Emulated, what: str, parts: int) -> None:
    m, n, k = 129, 145, 300
    a, b = make(m, k, seed=1), make(k, n, seed=2)
    spoil(a, b, what)
    fused = emulated.product(a, b, parts=0).c
    result = emulated.product(a, b, parts=parts)
    assert result.parts == parts
    for kind in (np.isnan, np.isposinf, np.isneginf):
        assert np.array_equal(kind(result.c), kind(fused))
    finite = np.isfinite(fused)
    with np.errstate(invalid="ignore", over="ignore"):
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        error = np.where(finite, abs(result.c - wide_a @ wide_b), 0)
        bound = abs(wide_a) @ abs(wide_b) * ((k + 1) * EPS + CUT[parts])
        # of mixed signs; fused multiply-adds come to 19, a lost part to 120
        likely = 14 * EPS * np.sqrt(wide_a**2 @ wide_b**2)
    limit = np.minimum(bound, likely) if parts == 3 else bound
    denormals = k * 2.0**-150
    assert (error <= np.where(finite, limit, 0) + denormals).all()
    for packed, cuts in ((1, ((), ())), (2, ((32, 64), (96,)))):
        again = emulated.product(
            a, transposed(b), parts=parts, packed=packed, cuts=cuts
        )
        assert equal_bits(again.c[finite], result.c[finite])
        assert np.array_equal(np.isnan(again.c), np.isnan(result.c))


def test_only_blocks_with_such_numbers_are_computed_otherwise(
    emulated: Emulated,
) -> None:
    a, b = make(129, 300, seed=1), make(300, 145, seed=2)
    clean = emulated.product(a, b).c
    a[40, 17] = np.nan
    spoiled = emulated.product(a, b).c
    assert np.isnan(spoiled[40]).all()
    elsewhere = np.r_[0:32, 64:129]  # the block of 32 rows is another chain
    assert equal_bits(spoiled[elsewhere], clean[elsewhere])
