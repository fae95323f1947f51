"""Elementwise kernels: values, sizes, layouts, broadcasting; and what every kernel
promises: the same bits for any threads, alignment, layout and wide instruction set."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnn_core.backend import reference

Cases = Callable[[int, int], list[Any]]

SHAPES = [(1, n) for n in (1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)]
SHAPES += [(7, 10), (5, 127), (129, 3), (300, 2), (3, 1000), (2, 16385)]
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
NUMPY = {name: getattr(np, name) for name in BINARY}


def _bits(x: np.ndarray) -> np.ndarray:
    """Return the bits of x, with one NaN for all."""
    if x.dtype != np.float32:
        return x
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.uint32)


def _unaligned(x: np.ndarray) -> np.ndarray:
    """Return a copy of x that starts 4 bytes after a 64-byte boundary."""
    buffer = np.empty(x.size + 32, np.float32)
    skip = (-buffer.ctypes.data % 64) // 4 + 1
    view = buffer[skip : skip + x.size].reshape(x.shape)
    view[...] = x
    return view


def _strided(x: np.ndarray) -> np.ndarray:
    """Return a view equal to x, every second element of a larger array, reversed."""
    if x.ndim == 0:
        return x
    buffer = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, np.float32)
    view = buffer[..., ::-2]
    view[...] = x
    return view


def _fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


# ---- every kernel ------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kernel_against_float64(
    native: ModuleType, isa: str, cases: Cases, shape: tuple[int, int]
) -> None:
    for case in cases(*shape):
        got, want = case.run(native), case.expected()
        assert got.shape == want.shape, case.label
        assert isinstance(got, np.ndarray), case.label
        assert got.dtype == (np.int64 if "arg" in case.function else np.float32)
        np.testing.assert_allclose(
            got, want, rtol=case.rtol, atol=case.atol, err_msg=case.label
        )


@pytest.mark.parametrize("shape", [(1, 1), (7, 10), (3, 1000), (150, 700)], ids=str)
@pytest.mark.parametrize(
    "change", [_unaligned, _strided, _fortran, _read_only], ids=lambda f: f.__name__
)
def test_layout_does_not_change_the_bits(
    native: ModuleType,
    isa: str,
    cases: Cases,
    shape: tuple[int, int],
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    for case in cases(*shape):
        same = case.with_arrays(change)
        np.testing.assert_array_equal(
            _bits(same.run(native)), _bits(case.run(native)), err_msg=case.label
        )


@pytest.mark.parametrize(
    "shape", [(2, 70000), (1, 100000), (300, 513), (70000, 3), (3, 33000)], ids=str
)
def test_threads_do_not_change_the_bits(
    native: ModuleType, restore: None, cases: Cases, shape: tuple[int, int]
) -> None:
    for case in cases(*shape):
        native.set_num_threads(1)
        alone = _bits(case.run(native))
        for threads in (2, 3, 8):
            native.set_num_threads(threads)
            np.testing.assert_array_equal(
                _bits(case.run(native)), alone, err_msg=f"{case.label} {threads}"
            )


@pytest.mark.parametrize("shape", [*SHAPES, (37, 5000)], ids=str)
def test_wide_instruction_sets_agree_bit_for_bit(
    native: ModuleType, restore: None, cases: Cases, shape: tuple[int, int]
) -> None:
    wide = [name for name in native.available_isas() if name != "baseline"]
    if len(wide) < 2:
        pytest.skip(f"this machine has {wide} only: nothing to compare")
    for case in cases(*shape):
        results = []
        for name in wide:
            native.set_isa(name)
            results.append(_bits(case.run(native)))
        np.testing.assert_array_equal(*results, err_msg=case.label)


@pytest.mark.parametrize("n", [1, 10, 64, 1000])
def test_a_row_does_not_depend_on_the_batch(
    native: ModuleType, isa: str, cases: Cases, n: int
) -> None:
    row_wise = ("softmax", "crossentropy", "squared_error", "relu", "tanh", "gelu")
    for case in cases(9, n):
        if not any(word in case.function for word in row_wise):
            continue
        whole = case.run(native)
        for i in (0, 4, 8):
            one = case._replace(
                arguments=tuple(a[i : i + 1] for a in case.arguments)
            ).run(native)
            np.testing.assert_array_equal(
                _bits(one[0]), _bits(whole[i]), err_msg=case.label
            )


def test_inputs_are_not_modified(native: ModuleType, isa: str, cases: Cases) -> None:
    for case in cases(6, 70):
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in case.arguments]
        result = case.run(native)
        for old, new in zip(before, case.arguments, strict=True):
            np.testing.assert_array_equal(old, new, err_msg=case.label)
            assert not isinstance(new, np.ndarray) or not np.shares_memory(new, result)


def test_byte_order_and_odd_addresses_are_accepted(native: ModuleType) -> None:
    x = np.linspace(-3, 3, 40, dtype=np.float32)
    swapped = x.astype(">f4")
    raw = np.zeros(161, np.uint8)
    odd = raw[1:].view(np.float32)
    odd[...] = x
    for other in (swapped, odd):
        np.testing.assert_array_equal(native.tanh(other), native.tanh(x))
        np.testing.assert_array_equal(native.add(other, x), x + x)
        np.testing.assert_array_equal(native.sum(other), native.sum(x))


# ---- binary operations -------------------------------------------------------

BROADCASTS = [
    ((5, 10), (10,)),
    ((5, 10), (1, 10)),
    ((5, 10), (5, 1)),
    ((5, 1), (1, 10)),
    ((5, 10), ()),
    ((), (5, 10)),
    ((), ()),
    ((1,), (5, 10)),
    ((2, 3, 4, 5), (4, 1)),
    ((2, 3, 4, 5), (2, 1, 4, 5)),
    ((2, 1, 4, 1), (1, 3, 1, 5)),
    ((2, 3, 1, 1, 5), (4, 1, 1, 1, 3, 1, 5)),
    ((700, 90), (90,)),
    ((90, 700), (90, 1)),
    ((3, 50000), (50000,)),
    ((3, 50000), (3, 1)),
    ((0, 4), (4,)),
    ((3, 0), (3, 1)),
]


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
def test_broadcasting_equals_numpy(
    native: ModuleType, isa: str, name: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    got = getattr(native, name)(np.asarray(a), np.asarray(b))
    want = NUMPY[name](a, b)
    assert isinstance(got, np.ndarray)
    assert got.shape == want.shape
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, want)


def test_broadcasting_of_views_equals_numpy(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(6)
    base = rng.standard_normal((6, 8, 10)).astype(np.float32)
    views = [
        base,
        base[::-1],
        base[:, ::2, :].repeat(2, 1),
        base[:, :, ::-1],
        base.transpose(0, 1, 2)[:, :, 3:4],
        np.broadcast_to(base[:, :1], base.shape),
        np.broadcast_to(np.float32(2), base.shape),
        base[2:3],
        base.reshape(6, 80)[:, 5:15].reshape(6, 1, 10),
        base.T.copy().T,
    ]
    for a, b in product(views, views):
        np.testing.assert_array_equal(native.subtract(a, b), a - b)


def test_shapes_that_do_not_broadcast_are_refused(native: ModuleType) -> None:
    a, b = np.ones((3, 4), np.float32), np.ones((5,), np.float32)
    with pytest.raises(ValueError, match="broadcast"):
        native.add(a, b)


def test_many_axes(native: ModuleType) -> None:
    a = np.ones((1,) * 12 + (2, 3), np.float32)
    b = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(native.add(a, b), a + b)
    wide = np.ones((1,) * 20 + (3,), np.float32)
    np.testing.assert_array_equal(native.add(wide, b), wide + b)


# ---- special values ----------------------------------------------------------


def test_special_values_propagate_as_in_numpy(native: ModuleType, isa: str) -> None:
    values = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, 3e38, -3e38]
    a, b = (np.array(v, np.float32) for v in zip(*product(values, values), strict=True))
    with np.errstate(all="ignore"):
        for name in BINARY:
            np.testing.assert_array_equal(
                getattr(native, name)(a, b), NUMPY[name](a, b)
            )
        for name in ("negative", "absolute", "square", "reciprocal", "sqrt", "sign"):
            want = getattr(np, name)(a)
            np.testing.assert_array_equal(getattr(native, name)(a), want)


def test_clip(native: ModuleType, isa: str) -> None:
    x = np.array([-np.inf, -2, -1, 0, 1, 2, np.inf, np.nan] * 3, np.float32)
    for lo, hi in ((-1, 1), (-1.5, None), (None, 0.5), (1.0, -1.0), (0.0, np.inf)):
        np.testing.assert_array_equal(native.clip(x, lo, hi), np.clip(x, lo, hi))
    for lo, hi in ((np.nan, 1.0), (x, 1.0), (np.float64(0), np.float64(1))):
        got, want = native.clip(x, lo, hi), reference.clip(x, lo, hi)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


# ---- shapes without elements or axes -----------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3), (2, 0, 4)], ids=str)
def test_unary_keeps_empty_and_zero_dimensional_shapes(
    native: ModuleType, isa: str, shape: tuple[int, ...]
) -> None:
    x = np.full(shape, 0.5, np.float32)
    for name in ("relu", "exp", "negative", "gelu", "elu", "clip"):
        more = (0.0, 1.0) if name == "clip" else ()
        got = getattr(native, name)(x, *more)
        assert isinstance(got, np.ndarray)
        assert got.shape == shape
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, getattr(reference, name)(x, *more), rtol=1e-6)


# ---- large arrays, which pass by the caches ---------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 3, 15])
@pytest.mark.parametrize("kernel", ["negative", "clip", "add", "relu_grad"])
def test_large_results_at_any_address(
    native: ModuleType, restore: None, kernel: str, offset: int
) -> None:
    native.set_num_threads(1)
    n = (1 << 21) + 37
    a, b = np.random.default_rng(8).standard_normal((2, n), dtype=np.float32)
    limits = {"p": -0.5, "q": 0.75} if kernel == "clip" else {}
    inputs = (a, b) if kernel in ("add", "relu_grad") else (a,)
    small = slice(0, n, 4099)
    want = getattr(native, kernel)(*(x[small] for x in inputs), *limits.values())
    for isa in native.available_isas():
        native.set_isa(isa)
        y = np.full(n + 40, 7, np.float32)
        program = native.Program()
        places = [(1 + i, 0) for i in range(len(inputs))]
        for result in ((3, 4 * offset), (1, 0)):  # the second in place
            if kernel == "add":
                program.binary(
                    "add_f32", (n,), places[0], (1,), places[1], (1,), result
                )
            else:
                program.map(f"{kernel}_f32", n, places, result, **limits)
        for slot, array in enumerate((np.zeros(1), a.copy(), b.copy(), y)):
            program.bind(slot, array)
        program.run(0, 1)
        assert (y[:offset] == 7).all()
        assert (y[offset + n :] == 7).all()
        np.testing.assert_array_equal(y[offset : offset + n][small], want)
        np.testing.assert_array_equal(y[offset : offset + n], program.array(1))
