"""AVX-512 and AMX kernels, run as C, give the bits of what this machine has.

Then the emulated tile units themselves.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from digests import WITHOUT_DIGEST, digests
from emulated import ISAS, REAL, Emulated

TINY = 2.0**-126  # the smallest normal number


@pytest.mark.parametrize("isa", ISAS)
def test_every_kernel_has_the_bits_of_this_machine(
    native: ModuleType, emulated: Emulated, isa: str
) -> None:
    found = digests(emulated.program, isa)
    assert set(found) == set(native.kernel_names()) - WITHOUT_DIGEST
    assert found == digests(emulated.program, REAL)


# ---- the tile units -----------------------------------------------------------------


def as_bfloat16(x: np.ndarray) -> np.ndarray:
    """Cut float32 to the 8 bits of bfloat16."""
    return (x.view(np.uint32) & 0xFFFF0000).view(np.float32)


def words(x: np.ndarray) -> np.ndarray:
    """Pack pairs of bfloat16 along the last axis, the even one in the lower half."""
    bits = np.ascontiguousarray(x).view(np.uint32) >> 16
    return bits[..., ::2] | bits[..., 1::2] << 16


def config(**tiles: tuple[int, int]) -> ctypes.Array:
    """Return the 64 bytes for tiles of (rows, bytes per row): t0=(16, 64)."""
    raw = np.zeros(64, np.uint8)
    raw[0] = 1
    for name, (rows, row_bytes) in tiles.items():
        raw[16 + 2 * int(name[1:])] = row_bytes
        raw[48 + int(name[1:])] = rows
    return (ctypes.c_uint8 * 64)(*raw)


def tile_product(
    emulated: Emulated, c: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Return what one TDPBF16PS makes of c (m, n), a (m, 2k) and b (2k, n)."""
    (m, n), pairs = c.shape, len(b) // 2
    units = emulated.library

    def move(name: str, tile: int, x: np.ndarray) -> None:
        address, stride = ctypes.c_void_p(x.ctypes.data), ctypes.c_ssize_t(x.strides[0])
        getattr(units, name)(tile, address, stride)

    units._tile_loadconfig(config(t1=(m, 4 * n), t4=(m, 4 * pairs), t7=(pairs, 4 * n)))
    result = c.copy()
    rows_of_b = np.ascontiguousarray(b.reshape(pairs, 2, n).transpose(0, 2, 1))
    move("_tile_loadd", 1, result)
    move("_tile_loadd", 4, words(a))
    move("_tile_loadd", 7, words(rows_of_b.reshape(pairs, 2 * n)))
    units._tile_dpbf16ps(1, 4, 7)
    result[...] = np.nan
    move("_tile_stored", 1, result)
    units._tile_release()
    return result


def flushed(x: np.ndarray) -> np.ndarray:
    return np.where(abs(x) < TINY, np.copysign(np.float32(0), x), x)


@pytest.mark.parametrize("shape", [(16, 16, 32), (5, 16, 32), (16, 3, 10), (1, 1, 2)])
def test_tile_product_is_its_definition(
    emulated: Emulated, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    rng = np.random.default_rng(shape)

    def make(rows: int, columns: int) -> np.ndarray:
        x = rng.standard_normal((rows, columns), dtype=np.float32)
        return np.ldexp(x, rng.integers(-8, 8, x.shape)).astype(np.float32)

    c, a, b = make(m, n), as_bfloat16(make(m, k)), as_bfloat16(make(k, n))
    chains = []
    for start in (0, 1):  # the even elements, then the odd ones
        chain = np.zeros((m, n), np.float32)
        for i in range(start, k, 2):  # exact in longdouble or close to: rounds once
            product = np.multiply.outer(a[:, i], b[i]).astype(np.longdouble)
            chain = (product + chain).astype(np.float32)
        chains.append(chain)
    assert tile_product(emulated, c, a, b).tobytes() == (c + sum(chains)).tobytes()


def nearest(x: Fraction) -> np.float32:
    """Round to 24 bits, halves to even, however small x is; then flush denormals."""
    if x == 0:
        return np.float32(0)
    exponent = -160
    while abs(x) >= Fraction(2) ** (exponent + 24):
        exponent += 1
    y = round(x / Fraction(2) ** exponent) * Fraction(2) ** exponent
    return np.float32(0 if abs(y) < TINY else float(y))


def test_tiny_numbers_are_rounded_once_and_denormals_are_zero(
    emulated: Emulated,
) -> None:
    rng = np.random.default_rng(0)
    # factors whose products lie around the smallest normal number
    a, b = (
        as_bfloat16(np.ldexp(1 + rng.random((16, 2), np.float32), -63)) for _ in "ab"
    )
    b = b.T.copy()
    a[0, 0], b[0, 0] = 2.0**-120, 2.0**-130  # a denormal
    a[1], b[:, 1] = 2.0**-63 * (1 + 2.0**-7), 2.0**-63 * (1 - 2.0**-7)
    a[2], b[:, 2] = 2.0**-63, -(2.0**-64)
    a[:, 1] = rng.choice([0, 1, 2.0**-12, -(2.0**-13), 2.0**-7], 16) * a[:, 0]
    b[1] = rng.choice([0, -1, 2.0**-11, 2.0**-12], 16) * b[0]
    a, b = as_bfloat16(a), as_bfloat16(b)
    c = rng.choice([0, -TINY, TINY, TINY / 2, 3 * TINY], (16, 16)).astype(np.float32)
    result = tile_product(emulated, c, a, b)
    wide_a, wide_b, wide_c = (flushed(x) for x in (a, b, c))
    for i, j in np.ndindex(16, 16):
        even, odd = (
            nearest(Fraction(float(wide_a[i, k])) * Fraction(float(wide_b[k, j])))
            for k in (0, 1)
        )
        total = nearest(Fraction(float(even)) + Fraction(float(odd)))
        total = nearest(Fraction(float(wide_c[i, j])) + Fraction(float(total)))
        assert result[i, j] == total


@pytest.mark.parametrize(
    ("less", "expected"),
    [
        ((2.0**-75, 2.0**-77), TINY),
        ((2.0**-75, 2.0**-76), TINY),  # halfway: to even
        ((2.0**-75 * (1 + 2.0**-7), 2.0**-76), 0),
        ((2.0**-75, 2.0**-75), 0),  # has 24 bits
    ],
)
def test_rounding_comes_before_the_flush(
    emulated: Emulated, less: tuple[float, float], expected: float
) -> None:
    """The smallest normal number minus a product."""
    a = np.array([[2.0**-63, 0, less[0], 0]], np.float32)
    b = np.array([[2.0**-63], [0], [-less[1]], [0]], np.float32)
    zero = np.zeros((1, 1), np.float32)
    assert tile_product(emulated, zero, a, b) == expected
    # ... also if it is the odd chain's
    a, b = np.roll(a, 1, axis=1), np.roll(b, 1, axis=0)
    assert tile_product(emulated, zero, a, b) == expected


def test_what_is_not_finite(emulated: Emulated) -> None:
    inf, nan = np.inf, np.nan
    a = np.array([[1, inf], [2, -inf], [3e38, 3e38], [nan, 1], [0, 0]], np.float32)
    b = np.array([[1, 0, 3e38, nan], [1, 0, 3e38, 1]], np.float32)
    a, b = as_bfloat16(a), as_bfloat16(b)
    c = np.array([[-1, 0, 1, inf]] * 5, np.float32)
    with np.errstate(all="ignore"):
        parts = [np.multiply.outer(a[:, k], b[k]) for k in (0, 1)]
        expected = c + (parts[0] + parts[1])
    np.testing.assert_array_equal(tile_product(emulated, c, a, b), expected)


def test_what_a_processor_refuses_ends_the_program(emulated: Emulated) -> None:
    three = config(t0=(16, 64), t1=(16, 64), t2=(15, 64))
    calls = {
        "units._tile_zero(0)": "TILEZERO",
        f"load({bytes([2, *bytes(63)])})": "LDTILECFG",  # no such palette
        f"load({bytes(config(t0=(17, 64)))})": "LDTILECFG",
        f"load({bytes(config(t0=(16, 0)))})": "LDTILECFG",
        f"load({bytes(three)}); units._tile_dpbf16ps(0, 1, 1)": "TDPBF16PS",
        f"load({bytes(three)}); units._tile_dpbf16ps(0, 1, 2)": "TDPBF16PS",
        f"load({bytes(three)}); units._tile_release(); units._tile_zero(0)": "TILEZERO",
    }
    units = f"ctypes.CDLL({emulated.library._name!r})"
    start = f"import ctypes; units = {units}; load = units._tile_loadconfig"
    for call, instruction in calls.items():
        done = subprocess.run(
            [sys.executable, "-c", f"{start}; {call}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert f"{instruction}: " in done.stderr, call
