"""Short rows, which kernels take many at a time: a row's result is its own."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnn_core.backend import reference

LENGTHS = range(1, 71)
EDGES = (*range(1, 20), 23, 31, 32, 33, 47, 63, 64, 65, 70)
ROWS = 40


def _arguments(n: int, special: bool) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    logits = rng.standard_normal((ROWS, n)).astype(np.float32) * 3
    output = np.abs(logits) / 4
    target = rng.uniform(0, 1, (ROWS, n)).astype(np.float32)
    ct = rng.standard_normal((ROWS, n)).astype(np.float32)
    if special:
        for row, value in enumerate((np.nan, np.inf, -np.inf, 1e30, -1e4, 0.0, -0.0)):
            for array in (logits, output):
                array[row, row % n] = value
                array[row + 8] = value
                array[row + 16, -1] = value
    # equal elements: the place of an extreme is the first
    logits[30:] = np.round(logits[30:] / 4)
    labels = rng.integers(-1, n + 1, ROWS)
    labels[20:32] = n - 1
    return {
        "logits": logits,
        "output": output,
        "target": target,
        "ct": ct,
        "per_row": ct[:, 0].copy(),
        "labels": labels,
    }


CALLS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("softmax", ("logits",), {}),
    ("log_softmax", ("logits",), {}),
    ("softmax_grad", ("ct", "logits"), {}),
    ("log_softmax_grad", ("ct", "logits"), {}),
    *((f, ("logits",), {"axis": 1}) for f in ("sum", "max", "min", "argmax", "argmin")),
    ("mean_squared_error", ("target", "logits"), {}),
    ("mean_squared_error_grad", ("per_row", "target", "logits"), {}),
    *(
        (
            kind + "categorical_crossentropy" + what,
            (*ct, truth, output),
            {"from_logits": f},
        )
        for kind, truth in (("", "target"), ("sparse_", "labels"))
        for what, ct in (
            ("", ()),
            ("_grad", ("per_row",)),
            ("_with_grad", ("per_row",)),
        )
        for output, f in (("output", False), ("logits", True))
    ),
]


def _run(module: ModuleType, call: Any, arrays: dict[str, Any], rows: slice) -> list:
    name, names, kw = call
    result = getattr(module, name)(*(arrays[n][rows] for n in names), **kw)
    return list(result) if isinstance(result, tuple) else [result]


def _bits(x: np.ndarray) -> np.ndarray:
    """Return the bits of floats, the same for every NaN; integers as they are."""
    if x.dtype != np.float32:
        return x
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.int32)


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c[0]}-{c[1][-1]}")
def test_the_bits_of_a_row_do_not_depend_on_the_others(
    native: ModuleType, isa: str, call: Any
) -> None:
    for n in EDGES:
        arrays = _arguments(n, special=True)
        whole = _run(native, call, arrays, slice(0, ROWS))
        for size in (1, 7):
            for first in range(0, ROWS - size + 1, size):
                rows = slice(first, first + size)
                parts = _run(native, call, arrays, rows)
                for got, want in zip(parts, whole, strict=True):
                    np.testing.assert_array_equal(_bits(got), _bits(want[rows]))


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c[0]}-{c[1][-1]}")
def test_every_length_against_float64(native: ModuleType, isa: str, call: Any) -> None:
    for n in LENGTHS:
        arrays = _arguments(n, special=False)
        wide = {
            name: a.astype(np.float64) if a.dtype == np.float32 else a
            for name, a in arrays.items()
        }
        for rows in (5, 40):
            got = _run(native, call, arrays, slice(0, rows))
            want = _run(reference, call, wide, slice(0, rows))
            for a, b in zip(got, want, strict=True):
                scale = max(1.0, float(np.abs(b).max(initial=0)))
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=4e-6 * scale)


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c[0]}-{c[1][-1]}")
def test_special_values_are_those_of_the_reference(
    native: ModuleType, isa: str, call: Any
) -> None:
    if "grad" in call[0] and "output" in call[1]:
        pytest.skip("the reference has other NaN where a sum of outputs is not finite")
    for n in (1, 2, 3, 10, 33):
        arrays = _arguments(n, special=True)
        got = _run(native, call, arrays, slice(0, ROWS))
        want = _run(reference, call, arrays, slice(0, ROWS))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            np.testing.assert_array_equal(np.isinf(a), np.isinf(b))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power"])
def test_narrow_rows_meet_a_row_or_a_column(
    native: ModuleType, isa: str, name: str
) -> None:
    function = getattr(native, name)
    for n in (*LENGTHS, 100):
        for rows in (1, 2, 17, 300):
            rng = np.random.default_rng(n)
            whole = rng.uniform(0.5, 2, (rows, n)).astype(np.float32)
            for shape in ((n,), (1, n), (rows, 1)):
                x = rng.uniform(0.5, 2, shape).astype(np.float32)
                full = np.broadcast_to(x, whole.shape).copy()
                np.testing.assert_array_equal(
                    function(whole, x), function(whole, full), f"{n} {rows} {shape}"
                )
                np.testing.assert_array_equal(
                    function(x, whole), function(full, whole), f"{n} {rows} {shape}"
                )


@pytest.mark.parametrize("n", [3, 16, 60, 1030])
def test_rows_of_large_results_at_any_address(
    native: ModuleType, isa: str, n: int
) -> None:
    rows = (1 << 21) // n + 5
    buffer = np.random.default_rng(n).standard_normal(rows * n + 1).astype(np.float32)
    whole = buffer[1:].reshape(rows, n)
    for x in (buffer[:n].copy(), buffer[:rows, None].copy()):
        np.testing.assert_array_equal(native.subtract(whole, x), whole - x)
        np.testing.assert_array_equal(native.subtract(x, whole), x - whole)
