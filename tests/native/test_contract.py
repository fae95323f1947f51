"""The numeric contract on random shapes: the same bits for any number of threads, any
layout, any part of the batch and every instruction set with FMA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from contract import LAYOUTS, THREADS, Layout, assert_same_bits, repeated, sizes

Cases = Callable[[int, int], list[Any]]
EPS = float(np.finfo(np.float32).eps)
SEEDS = range(6)
ACTIVATIONS = (
    None, "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "sigmoid",
    "hard_sigmoid", "tanh", "softplus", "softsign", "exponential",
)  # fmt: skip


def shapes(seed: int) -> Iterator[tuple[int, int]]:
    """Yield a flat, a tall, a small and a square random shape."""
    rng = np.random.default_rng(seed)
    few, many = sizes(rng, 4, 12), sizes(rng, 2, 40000)
    yield few[0], many[0]
    yield many[1], few[1]
    yield few[2], few[3]
    rows, n = sizes(rng, 2, 300)
    yield rows, n


# ---- every kernel --------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_threads(
    native: ModuleType, isa: str, restore: None, cases: Cases, seed: int
) -> None:
    for shape in shapes(seed):
        for case in cases(*shape):
            native.set_num_threads(1)
            alone = case.run(native)
            for threads in THREADS[1:]:
                native.set_num_threads(threads)
                label = f"{case.label} of {shape} on {threads} threads"
                assert_same_bits(case.run(native), alone, label)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layouts(native: ModuleType, isa: str, cases: Cases, layout: Layout) -> None:
    for seed in (10, 11):
        for shape in shapes(seed):
            for case in cases(*shape):
                got = case.with_arrays(layout).run(native)
                assert_same_bits(got, case.run(native), f"{case.label} of {shape}")


@pytest.mark.parametrize("axis", [0, 1])
def test_repeated_elements(
    native: ModuleType, isa: str, cases: Cases, axis: int
) -> None:
    for shape in shapes(20):
        for case in cases(*shape):
            views = case.with_arrays(repeated(axis))
            copies = views.with_arrays(np.ascontiguousarray)
            got, want = views.run(native), copies.run(native)
            assert_same_bits(got, want, f"{case.label} of {shape}")


ROW_WISE = (
    "softmax", "crossentropy", "squared_error", "relu", "elu", "gelu", "silu", "tanh",
    "sigmoid", "softplus", "softsign", "exp", "log", "sqrt", "erf", "square", "clip",
    "reciprocal", "negative", "absolute", "sign",
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_of_the_batch(
    native: ModuleType, isa: str, cases: Cases, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for rows, n in shapes(seed):
        if rows == 1:
            continue
        start = int(rng.integers(rows))
        stop = int(rng.integers(start, rows)) + 1
        for case in cases(rows, n):
            if not any(word in case.function for word in ROW_WISE):
                continue
            part = case._replace(arguments=tuple(
                a[start:stop] if isinstance(a, np.ndarray) else a
                for a in case.arguments
            ))  # fmt: skip
            label = f"{case.label}: rows {start}:{stop} of {(rows, n)}"
            assert_same_bits(part.run(native), case.run(native)[start:stop], label)


def fused(native: ModuleType) -> list[str]:
    """Return the instruction sets with FMA, at least two."""
    names = [name for name in native.available_isas() if name != "baseline"]
    if len(names) < 2:
        pytest.skip(f"nothing to compare: the sets with FMA here are {names}")
    return names


@pytest.mark.parametrize("seed", SEEDS)
def test_instruction_sets(
    native: ModuleType, restore: None, portable: None, cases: Cases, seed: int
) -> None:
    first, *others = fused(native)
    for shape in shapes(seed):
        for case in cases(*shape):
            native.set_isa(first)
            want = case.run(native)
            for name in others:
                native.set_isa(name)
                label = f"{case.label} of {shape}: {name} and {first}"
                assert_same_bits(case.run(native), want, label)


# ---- products ------------------------------------------------------------------------


class Product(NamedTuple):
    """Operands as they are multiplied, and how they are handed over."""

    a: np.ndarray  # (..., m, k)
    b: np.ndarray  # (..., k, n)
    bias: np.ndarray | None
    transpose_a: bool
    transpose_b: bool
    activation: str | None
    layouts: tuple[Layout, Layout]

    def run(self, native: ModuleType, plain: bool = False) -> np.ndarray:
        """Multiply; with `plain`, contiguous operands that are not transposed."""
        if plain:
            return native.matmul(self.a, self.b, self.bias, activation=self.activation)
        a, b = (
            layout(np.swapaxes(x, -1, -2).copy() if flip else x)
            for x, flip, layout in zip(self[:2], self[3:5], self.layouts, strict=True)
        )
        return native.matmul(
            a, b, self.bias, self.transpose_a, self.transpose_b, self.activation
        )

    @property
    def label(self) -> str:
        layouts = [layout.__name__ for layout in self.layouts]
        return f"{self.a.shape} @ {self.b.shape} {self[3:6]} {layouts}"


def products(seed: int, count: int = 25) -> Iterator[Product]:
    rng = np.random.default_rng(seed)
    stacks = [((), ()), ((), ()), ((3,), ()), ((2, 3), (3,)), ((), (2,)), ((4,), (1,))]
    for _ in range(count):
        m, n = sizes(rng, 2, 330)
        k = sizes(rng, 1, 700)[0]
        before_a, before_b = stacks[rng.integers(len(stacks))]
        if before_a or before_b:
            m, n, k = (1 + x // 4 for x in (m, n, k))
        yield Product(
            rng.standard_normal((*before_a, m, k), dtype=np.float32),
            rng.standard_normal((*before_b, k, n), dtype=np.float32),
            rng.standard_normal(n, dtype=np.float32) if rng.integers(2) else None,
            bool(rng.integers(2)),
            bool(rng.integers(2)),
            ACTIVATIONS[rng.integers(len(ACTIVATIONS))],
            (LAYOUTS[rng.integers(len(LAYOUTS))], LAYOUTS[rng.integers(len(LAYOUTS))]),
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_products(native: ModuleType, isa: str, restore: None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for product in products(seed):
        # A transposed stack is no taller product, which may decide about tile units.
        alone = product.a.ndim == product.b.ndim == 2
        native.set_matmul_parts(3 if alone else 0)
        native.set_num_threads(1)
        want = product.run(native, plain=True)
        for threads in THREADS:
            native.set_num_threads(threads)
            label = f"{product.label} on {threads} threads"
            assert_same_bits(product.run(native), want, label)
        native.set_matmul_parts(0)
        want = product.run(native, plain=True)
        rows = product.a.shape[-2]
        start = int(rng.integers(rows))
        stop = int(rng.integers(start, rows)) + 1
        part = product._replace(a=product.a[..., start:stop, :])
        label = f"rows {start}:{stop} of {product.label}"
        assert_same_bits(part.run(native), want[..., start:stop, :], label)


@pytest.mark.parametrize("seed", SEEDS)
def test_products_against_float64(native: ModuleType, isa: str, seed: int) -> None:
    for product in products(seed):
        linear = product._replace(activation=None)
        a, b = (x.astype(np.float64) for x in (product.a, product.b))
        exact, bound = a @ b, (a.shape[-1] + 1) * EPS * (abs(a) @ abs(b))
        if product.bias is not None:
            exact = exact + product.bias
            bound = bound + EPS * (abs(exact) + abs(product.bias))
        assert (abs(linear.run(native) - exact) <= bound).all(), product.label


@pytest.mark.parametrize("seed", SEEDS)
def test_products_of_instruction_sets(
    native: ModuleType, restore: None, portable: None, seed: int
) -> None:
    first, *others = fused(native)
    for product in products(seed):
        native.set_isa(first)
        want = product.run(native)
        for name in others:
            native.set_isa(name)
            label = f"{product.label}: {name} and {first}"
            assert_same_bits(product.run(native), want, label)
