"""What the tests of the numeric contract share: layouts of equal arrays, and bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Layout = Callable[[np.ndarray], np.ndarray]
THREADS = (1, 2, 3, 8)


def bits(x: np.ndarray) -> np.ndarray:
    """Return the bits of x, with one NaN for all."""
    if x.dtype != np.float32:
        return x
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.uint32)


def assert_same_bits(got: np.ndarray, want: np.ndarray, label: str = "") -> None:
    assert isinstance(got, np.ndarray), label
    assert got.dtype == want.dtype, label
    np.testing.assert_array_equal(bits(got), bits(want), err_msg=label)


def _at_byte(x: np.ndarray, offset: int) -> np.ndarray:
    """Return a copy of x that starts `offset` bytes after a 64-byte boundary."""
    raw = np.empty(x.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    view = raw[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def off_by_four(x: np.ndarray) -> np.ndarray:
    return _at_byte(x, 4)


def off_by_one(x: np.ndarray) -> np.ndarray:
    return _at_byte(x, 1)


def transposed(x: np.ndarray) -> np.ndarray:
    return x.T.copy().T


def backwards(x: np.ndarray) -> np.ndarray:
    """Return x with a negative step along every axis."""
    flip = (slice(None, None, -1),) * x.ndim
    return x[flip].copy()[flip] if x.ndim else x


def every_second(x: np.ndarray) -> np.ndarray:
    if x.ndim == 0:
        return x
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1] + 1), np.nan, x.dtype)
    wide[..., 1::2] = x
    return wide[..., 1::2]


def padded_rows(x: np.ndarray) -> np.ndarray:
    """Return x inside a larger array: its rows have gaps between them."""
    if x.ndim == 0:
        return x
    wide = np.full((*x.shape[:-1], x.shape[-1] + 5), np.nan, x.dtype)
    wide[..., 2:-3] = x
    return wide[..., 2:-3]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def swapped_bytes(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder())


LAYOUTS: tuple[Layout, ...] = (
    off_by_four, off_by_one, transposed, backwards, every_second, padded_rows,
    read_only, swapped_bytes,
)  # fmt: skip


def repeated(axis: int) -> Layout:
    """Return a layout whose step along an axis is 0: its first element, repeated.

    It changes values: compare with a copy of the result.
    """

    def change(x: np.ndarray) -> np.ndarray:
        if x.ndim <= axis or x.shape[axis] == 0:
            return x
        return np.broadcast_to(x.take([0], axis), x.shape)

    return change


def sizes(rng: np.random.Generator, count: int, largest: int) -> list[int]:
    """Return random lengths from 1: as many small ones as large ones."""
    return [int(n) for n in np.exp(rng.uniform(0, np.log(largest + 1), count))]
