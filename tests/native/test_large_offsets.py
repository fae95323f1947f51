"""Indices beyond 32 bits, on address space that is reserved but hardly used."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from contract import assert_same_bits

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs mmap of Linux"
)
PROT_READ, PROT_WRITE = 1, 2
MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE = 0x2, 0x20, 0x4000
MADV_HUGEPAGE = 14  # also for zeros that are only read: few page faults
FAR = 2**31 + 16  # elements: their index, and at 4 bytes each their offset, overflow


@pytest.fixture(scope="module")
def sparse() -> Iterator[Callable[[int], np.ndarray]]:
    """Return a maker of float32 arrays of zeros; only written pages take memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
        ctypes.c_long,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    mapped: list[tuple[int, int]] = []

    def make(elements: int) -> np.ndarray:
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        length = 4 * elements
        start = libc.mmap(None, length, PROT_READ | PROT_WRITE, flags, -1, 0)
        if start == ctypes.c_void_p(-1).value:
            pytest.skip(f"the system does not reserve {length} bytes")
        libc.madvise(start, length, MADV_HUGEPAGE)
        mapped.append((start, length))
        buffer = (ctypes.c_char * length).from_address(start)
        return np.frombuffer(buffer, np.float32)

    yield make
    for start, length in mapped:
        libc.munmap(start, length)


@pytest.fixture(scope="module")
def far_apart(sparse: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return (5, 3, 40): its axes but the last have steps beyond 32 bits."""
    space = sparse(13 * FAR + 64)
    view = np.lib.stride_tricks.as_strided(space, (5, 3, 40), (4 * 2 * FAR, 4 * FAR, 4))
    view[...] = np.random.default_rng(0).standard_normal(view.shape)
    return view


def test_elements_far_apart(
    native: ModuleType, isa: str, far_apart: np.ndarray
) -> None:
    near = far_apart.copy()
    row, column = near[0, 0].copy(), near[:1, :, :1].copy()
    for name in ("add", "subtract", "multiply", "divide", "maximum"):
        function = getattr(native, name)
        for other in (row, column, near, far_apart, far_apart[::-1]):
            want = function(near, np.ascontiguousarray(other))
            assert_same_bits(function(far_apart, other), want, name)
    for name in ("exp", "relu", "softmax", "negative"):
        function = getattr(native, name)
        assert_same_bits(function(far_apart), function(near), name)
    for name in ("sum", "mean", "max", "argmax"):
        for axis in (0, 1, 2):
            function = getattr(native, name)
            assert_same_bits(function(far_apart, axis), function(near, axis), name)


def test_products_of_elements_far_apart(
    native: ModuleType, isa: str, far_apart: np.ndarray
) -> None:
    near = far_apart.copy()
    for swap in (False, True):
        axes = (0, 2, 1) if swap else (0, 1, 2)
        far, close = far_apart.transpose(axes), near.transpose(axes)
        for a, b, x, y in (
            (far, far, close, close),  # a stack of products
            (far[0], far[1], close[0], close[1]),
            (far[::-1], far[1], close[::-1], close[1]),
            (far[:, 0], far[:, 1], close[:, 0], close[:, 1]),  # rows far apart
            (far[:, 0, :1], far[:, 1, :1], close[:, 0, :1], close[:, 1, :1]),
        ):
            left, right = x, np.swapaxes(y, -1, -2)
            want = native.matmul(left.copy(), right.copy())
            assert_same_bits(native.matmul(a, b, transpose_b=True), want)
            assert_same_bits(native.matmul(a, np.swapaxes(b, -1, -2)), want)
            flipped = np.swapaxes(a, -1, -2)
            assert_same_bits(native.matmul(flipped, b, None, True, True), want)


@pytest.fixture(scope="module")
def long_rows(sparse: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return (3, 2**30 + 16) zeros: elements of the last row are beyond 32 bits."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("reading 12 GiB of zeros takes a minute without huge pages")
    n = 2**30 + 16
    x = sparse(3 * n).reshape(3, n)
    x[:, n - 2] = [1, 2, 3]
    x[:, 5] = [-3, -2, -0.5]
    return x


def test_long_rows(native: ModuleType, restore: None, long_rows: np.ndarray) -> None:
    native.set_num_threads(2)
    n = long_rows.shape[1]
    np.testing.assert_array_equal(native.sum(long_rows, axis=1), [-2, 0, 2.5])
    np.testing.assert_array_equal(native.argmax(long_rows, axis=1), [n - 2] * 3)
    assert native.argmax(long_rows) == 2 * n + n - 2
    assert native.max(long_rows) == 3
    losses = native.mean_squared_error(long_rows[2:], long_rows[1:2])
    np.testing.assert_allclose(losses, [(1 + 1.5**2) / n], rtol=1e-6)


def test_a_long_sum_of_products(native: ModuleType, long_rows: np.ndarray) -> None:
    row = long_rows.reshape(1, -1)[:, -FAR:]
    got = native.matmul(row, row, transpose_b=True)
    np.testing.assert_array_equal(got, [[13.25]])


def test_labels_of_many_classes(native: ModuleType, long_rows: np.ndarray) -> None:
    row = long_rows.reshape(1, -1)
    for index, p in ((row.size - 2, 1 - 1e-7), (row.size - 3, 1e-7)):
        got = native.sparse_categorical_crossentropy(np.array([index]), row)
        np.testing.assert_allclose(got, [-np.log(p)], rtol=1e-6, atol=2e-7)
