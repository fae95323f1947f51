"""A program's product by a matrix that is held in panels: the same bits."""

from __future__ import annotations

import itertools
from types import ModuleType

import pytest
from products import make, packed_product

# Around the register tiles and the blocks of columns, with one and more chunks of K.
SHAPES = [
    *itertools.product((1, 2, 3, 6, 7, 13, 29), (2, 3, 10, 33, 64, 65), (1, 31, 300)),
    (1, 513, 784),
    (8, 300, 513),
    (40, 801, 513),
    (70, 300, 1100),
    (300, 65, 600),
]


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.usefixtures("isa", "restore")
def test_packed_equals_unpacked(native: ModuleType, transpose_b: bool) -> None:
    for m, n, k in SHAPES:
        a = make(m, k, seed=1)
        b = make(n, k, seed=2) if transpose_b else make(k, n, seed=2)
        bias = make(n, seed=3)
        native.set_num_threads(1)
        expected = native.matmul(a, b, bias, False, transpose_b, "tanh")
        for threads in (1, 3) if m * n * k > 100_000 else (1,):
            native.set_num_threads(threads)
            result = packed_product(native, a, b, bias, transpose_b, "tanh")
            assert result.tobytes() == expected.tobytes(), (m, n, k)


@pytest.mark.usefixtures("isa", "restore")
def test_panels_do_not_depend_on_threads(native: ModuleType) -> None:
    m, n, k = 90, 700, 520
    a, b = make(m, k, seed=1), make(k, n, seed=2)
    results = []
    for threads in (1, 2, 3, 8):
        native.set_num_threads(threads)
        results.append(packed_product(native, a, b).tobytes())
    assert len(set(results)) == 1


def test_one_column_is_not_held(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="one column"):
        packed_product(native, make(8, 5), make(5, 1))


@pytest.mark.usefixtures("isa")
def test_packed_size(native: ModuleType) -> None:
    for m, n, k in SHAPES:
        for transpose_b in (False, True):
            size = native.packed_size(m, n, k, transpose_b)
            assert size == 0 or 4 * n * k <= size <= 4 * k * (n + 255)
        assert native.packed_size(m, 1, k) == 0
    # layers that a product would pack at each call
    for m, n, k in ((1, 512, 784), (8, 512, 784), (128, 512, 784), (256, 2048, 1024)):
        assert native.packed_size(m, n, k)
    assert native.packed_size(32, 10, 512, True)
