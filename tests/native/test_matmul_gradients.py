"""Products with a gradient behind them: the bits of the separate kernels."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest
from products import equal_bits, make, operands, run_program

from cnn_core.backend import reference

TRANSPOSES = list(itertools.product((False, True), repeat=2))
# name, parameter, the gradient by itself
GRADIENTS = [
    ("linear", None, lambda n, ct, s: ct),
    ("relu", None, lambda n, ct, s: n.relu_grad(ct, s)),
    ("leaky_relu", None, lambda n, ct, s: n.leaky_relu_grad(ct, s)),
    ("leaky_relu", 0.3, lambda n, ct, s: n.leaky_relu_grad(ct, s, 0.3)),
    ("elu", None, lambda n, ct, s: n.elu_grad(ct, s)),
    ("elu", 0.7, lambda n, ct, s: n.elu_grad(ct, s, 0.7)),
    ("selu", None, lambda n, ct, s: n.selu_grad(ct, s)),
    ("gelu", None, lambda n, ct, s: n.gelu_grad(ct, s, approximate=False)),
    ("gelu_tanh", None, lambda n, ct, s: n.gelu_grad(ct, s)),
    ("silu", None, lambda n, ct, s: n.silu_grad(ct, s)),
    ("sigmoid", None, lambda n, ct, s: n.sigmoid_grad(ct, s)),
    ("hard_sigmoid", None, lambda n, ct, s: n.hard_sigmoid_grad(ct, s)),
    ("tanh", None, lambda n, ct, s: n.tanh_grad(ct, s)),
    ("softplus", None, lambda n, ct, s: n.softplus_grad(ct, s)),
    ("softsign", None, lambda n, ct, s: n.softsign_grad(ct, s)),
    ("exponential", None, lambda n, ct, s: n.multiply(ct, s)),
]
SHAPES = (
    (1, 1, 5),
    (3, 5, 7),
    (6, 16, 20),
    (9, 40, 300),
    (1, 70, 20),
    (70, 1, 20),
    (29, 65, 33),
)
# The sides of small and large paths, one and more chunks of K, one column.
LARGE = (
    (1, 300, 700),
    (2, 33, 256),
    (32, 10, 32),
    (64, 32, 33),
    (100, 130, 90),
    (300, 65, 600),
    (130, 530, 257),
    (5, 1, 20000),
    (200, 1, 700),
    (1, 1, 300),
)


@pytest.mark.parametrize(("name", "parameter", "gradient"), GRADIENTS)
@pytest.mark.usefixtures("isa")
def test_fused_gradient_is_the_separate_one(
    native: ModuleType, name: str, parameter: float | None, gradient
) -> None:
    for (m, n, k), flips in itertools.product(SHAPES, TRANSPOSES):
        a, b = operands(m, n, k, *flips)
        saved = make(m, n, seed=4)
        expected = gradient(native, native.matmul(a, b, None, *flips), saved)
        assert equal_bits(
            native.matmul_grad(a, b, saved, name, parameter, *flips), expected
        )
        c = np.full((m, n), np.nan, np.float32)
        run_program(
            native, c, a, b, saved, flips=flips, grad=name, parameter=parameter,
            saved=(3, 0),
        )  # fmt: skip
        assert equal_bits(c, expected)


@pytest.mark.parametrize(("name", "parameter", "gradient"), GRADIENTS)
@pytest.mark.usefixtures("isa")
def test_gradient_is_the_reference(
    native: ModuleType, name: str, parameter: float | None, gradient
) -> None:
    arrays = [make(9, 20, seed=1), make(20, 21, seed=2), make(9, 21, seed=3)]
    wide = [x.astype(np.float64) for x in arrays]
    exact = reference.matmul_grad(*wide, name, parameter)
    result = native.matmul_grad(*arrays, name, parameter)
    np.testing.assert_allclose(result, exact, rtol=2e-5, atol=2e-5)


@pytest.mark.usefixtures("isa", "restore")
def test_gradient_on_threads_and_stacks(native: ModuleType) -> None:
    for name in ("relu", "tanh"):
        for shape in ((300, 260, 300), (900, 1, 784)):
            m, n, k = shape
            a, b, saved = make(m, k, seed=1), make(k, n, seed=2), make(m, n, seed=3)
            results = []
            for threads in (1, 2, 3, 8):
                native.set_num_threads(threads)
                results.append(native.matmul_grad(a, b, saved, name))
            assert all(equal_bits(r, results[0]) for r in results)
        a, b, saved = make(4, 7, 5, seed=1), make(4, 5, 9, seed=2), make(4, 7, 9)
        result = native.matmul_grad(a, b, saved, name)
        for i in range(4):
            assert equal_bits(
                result[i], native.matmul_grad(a[i], b[i], saved[i].copy(), name)
            )


@pytest.mark.usefixtures("isa", "restore")
def test_bias_gradient_is_the_separate_one(native: ModuleType) -> None:
    for (m, n, k), flips in itertools.product(LARGE, TRANSPOSES):
        a, b = operands(m, n, k, *flips)
        ct = np.ascontiguousarray(b.T) if flips[1] else b
        # sums are taken of rows of b: tile units have none where b is transposed
        native.set_matmul_parts(0 if flips[1] else 3)
        native.set_num_threads(1)
        product, sums = native.matmul(a, b, None, *flips), native.bias_gradient(ct)
        for threads in (1, 2, 3, 8) if m * n * k > 500_000 else (1,):
            native.set_num_threads(threads)
            pair = native.matmul_bias_gradient(a, b, *flips)
            assert equal_bits(pair[0], product), (m, n, k)
            assert equal_bits(pair[1], sums), (m, n, k)
            c, bias = np.full_like(product, np.nan), np.full_like(sums, np.nan)
            run_program(native, c, a, b, bias, flips=flips, bias_gradient=(3, 0))
            assert equal_bits(c, product)
            assert equal_bits(bias, sums)


@pytest.mark.usefixtures("isa", "restore")
def test_bias_gradient_is_a_product_with_ones(native: ModuleType) -> None:
    """One order of sums for all: the chain of the numeric contract."""
    for rows, columns in ((1, 3), (7, 10), (256, 17), (257, 64), (1000, 33)):
        ct = make(rows, columns)
        ct[0] = -0.0
        ones = np.ones((1, rows), np.float32)
        expected = native.matmul(ones, ct)[0]
        for threads in (1, 3):
            native.set_num_threads(threads)
            assert equal_bits(native.bias_gradient(ct), expected)


@pytest.mark.usefixtures("isa")
def test_layouts_and_types(native: ModuleType) -> None:
    a, b, saved = make(8, 5, seed=1), make(5, 6, seed=2), make(8, 6, seed=3)
    expected = native.matmul_grad(a, b, saved, "tanh")
    for layout in (np.asfortranarray, lambda x: x[::-1].copy()[::-1]):
        odd = [layout(x) for x in (a, b, saved)]
        assert equal_bits(native.matmul_grad(*odd, "tanh"), expected)
        pair = native.matmul_bias_gradient(layout(a), layout(b))
        assert equal_bits(pair[1], native.bias_gradient(b))
        column = native.matmul_bias_gradient(layout(a), layout(b)[:, 2:3])
        assert equal_bits(column[1], native.bias_gradient(b[:, 2:3].copy()))
    wide = native.matmul_grad(*(x.astype(np.float64) for x in (a, b, saved)), "tanh")
    assert wide.dtype == np.float64
    for size in ((0, 5, 6), (8, 0, 6), (8, 5, 0)):
        m, k, n = size
        product, sums = native.matmul_bias_gradient(make(m, k), make(k, n))
        assert product.shape == (m, n)
        assert sums.shape == (n,)
        empty = native.matmul_grad(make(m, k), make(k, n), make(m, n), "relu")
        assert empty.shape == (m, n)
        if k == 0:
            assert not product.any()
            assert not sums.any()


def test_arguments_that_do_not_fit(native: ModuleType) -> None:
    a, b = make(8, 5), make(5, 6)
    with pytest.raises(ValueError, match=r"\(8, 6\)"):
        native.matmul_grad(a, b, make(8, 5), "relu")
    with pytest.raises(ValueError, match="sigmoid"):
        native.matmul_grad(a, b, make(8, 6), "sigmoit")
    with pytest.raises(ValueError, match=r"\(8, 5\).*\(4, 6\)"):
        native.matmul_bias_gradient(a, make(4, 6))
    with pytest.raises(ValueError, match="two matrices"):
        native.matmul_bias_gradient(make(2, 8, 5), make(2, 5, 6))
