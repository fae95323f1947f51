"""The loops that measure the machine do what they claim to."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("restore")


@pytest.mark.parametrize("threads", [1, 3])
def test_fma_peak_counts_its_operations(
    native: ModuleType, isa: str, threads: int
) -> None:
    native.set_num_threads(threads)
    width = {"baseline": 4, "neon": 4, "avx2": 8, "avx512": 16, "amx": 16}[isa]
    each = native.fma_peak(1)
    assert each == threads * 2 * 12 * width
    assert native.fma_peak(10) == 10 * each
    assert native.fma_peak(0) == 0


def test_tile_peak_counts_its_operations(native: ModuleType, isa: str) -> None:
    native.set_num_threads(2)
    each = 4 * 2 * 16 * 16 * 32 if isa == "amx" else 0
    assert native.tile_peak(10) == 2 * 10 * each


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [2, 6, 130, 1000, 4_200_006])
def test_streams_compute_and_count(
    native: ModuleType, isa: str, n: int, threads: int
) -> None:
    native.set_num_threads(threads)
    a = np.arange(n, dtype=np.float32)
    b = np.arange(n, dtype=np.float32)[::-1].copy()
    wanted = {
        "read": np.full(n, -1),
        "write": np.full(n, 1.5),
        "copy": a,
        "triad": a + 1.5 * b,
    }
    arrays = {"read": 1, "write": 1, "copy": 2, "triad": 3}
    for kind, result in wanted.items():
        y = np.full(n, -1, np.float32)
        assert native.stream(kind, a, b, y, 2) == 2 * arrays[kind] * a.nbytes
        np.testing.assert_array_equal(y, result)


def test_streams_check_what_they_get(native: ModuleType) -> None:
    x = np.zeros(8, np.float32)
    with pytest.raises(ValueError, match="'add' is unknown; choose one of read"):
        native.stream("add", x, x, x, 1)
    for wrong in (np.zeros(8), np.zeros(9, np.float32), np.zeros(16, np.float32)[::2]):
        with pytest.raises(ValueError, match="expected b to be a contiguous float32"):
            native.stream("copy", x, wrong, x, 1)
