"""Reductions, running sums and stacks of products: programs have the bits of eager."""

from __future__ import annotations

import numpy as np
import pytest
from program_checks import check
from program_checks import draw as random_array

from cnn_core import backend, ops
from cnn_core.graph import GradientTape, Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.backend.compiled import native

RNG = np.random.default_rng(17)
WHOLE = ["int32", "int64", "uint32", "uint8", "int16", "bool"]


def draw(shape, dtype="float32"):
    return random_array(RNG, shape, dtype)


AXES = [None, 0, 1, 3, -2, (0, 1), (0, 2), (1, 3), (0, 3), (0, 1, 3), (0, 2, 3)]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 1, 70, 3), (1, 1, 1, 1)])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_over_any_axes(name, shape, axis):
    x = draw(shape)
    x.flat[0] = -0.0
    check(lambda t: getattr(ops, name)(t, axis=axis), x)
    check(lambda t: getattr(ops, name)(t, axis=axis, keepdims=True), x)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("axis", [(0, 2), (1, 3), (0, 1, 3), (0, 2, 4)])
def test_large_reductions_do_not_depend_on_threads(threads, axis):
    x, before = draw((20, 30, 9, 40, 2)), native.num_threads()
    expected = backend.mean(x, axis=axis)
    np.testing.assert_allclose(
        expected, x.astype("float64").mean(axis), rtol=1e-4, atol=1e-6
    )
    try:
        native.set_num_threads(threads)
        check(lambda t: ops.mean(t, axis=axis), x)
        check(lambda t: ops.argmax(t, axis=axis[0]), x)
        assert np.array_equal(backend.mean(x, axis=axis), expected)
    finally:
        native.set_num_threads(before)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
def test_reductions_of_whole_numbers(name, axis, dtype):
    fallbacks = [name] if dtype == "int16" and name in ("max", "min") else []
    x = draw((3, 4, 1, 6), dtype)
    check(lambda t: getattr(ops, name)(t, axis=axis), x, fallbacks=fallbacks)
    check(lambda t: getattr(ops, name)(t[:, :1], axis=axis), x, fallbacks=fallbacks)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2])
def test_places_of_extremes_along_any_axis(name, axis, keepdims):
    x = RNG.integers(0, 4, (5, 6, 7)).astype("float32")
    x[1, 2, 3] = np.nan
    check(lambda t: getattr(ops, name)(t, axis, keepdims), x)
    check(lambda t: getattr(ops, name)(t[:, :1], axis), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", *WHOLE])
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_running_sums_and_products(name, axis, dtype):
    fallbacks = [name] if dtype in ("bool", "int16") else []
    for shape in ((4, 5, 6), (1, 300, 1)):
        x = draw(shape, dtype)
        check(lambda t: getattr(ops, name)(t, axis=axis), x, fallbacks=fallbacks)


# --- stacks of products ---------------------------------------------------------------

STACKS = [
    ((5, 3, 4), (5, 4, 2)),
    ((2, 5, 3, 4), (2, 5, 4, 6)),
    ((2, 1, 3, 4), (5, 4, 6)),
    ((1, 3, 4), (7, 4, 1)),
    ((3, 4), (6, 4, 5)),
    ((6, 1, 4), (4, 5)),
    ((3, 2, 1, 8), (3, 2, 8, 1)),
    ((2, 3, 4, 33, 17), (2, 1, 4, 17, 40)),
]


@pytest.mark.parametrize("shapes", STACKS)
@pytest.mark.parametrize("flip", [(False, False), (True, False), (False, True)])
def test_stacks_of_products(shapes, flip):
    a, b = (
        draw(s).swapaxes(-1, -2).copy() if f else draw(s)
        for s, f in zip(shapes, flip, strict=True)
    )
    expected = backend.matmul(a, b, transpose_a=flip[0], transpose_b=flip[1])

    def product(a, b):
        a = ops.swapaxes(a, -1, -2) if flip[0] else a
        b = ops.swapaxes(b, -1, -2) if flip[1] else b
        return ops.matmul(a, b)

    check(product, a, b)
    assert np.array_equal(
        np.asarray(product(*map(ops.convert_to_tensor, (a, b)))), expected
    )


def test_gradients_of_stacks_of_products():
    a, b = Variable(draw((4, 2, 8, 5))), Variable(draw((4, 1, 5, 3)))

    def gradients(ct):
        with GradientTape() as tape:
            loss = ops.sum(ops.matmul(a, b) * ct)
        both = tape.gradient(loss, [a, b])
        return ops.concatenate([ops.ravel(g) for g in both])

    check(gradients, draw((4, 2, 8, 3)))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_stacks_do_not_depend_on_threads(threads):
    a, b, before = draw((6, 4, 64, 48)), draw((6, 4, 48, 64)), native.num_threads()
    expected = backend.matmul(a, b)
    try:
        native.set_num_threads(threads)
        check(ops.matmul, a, b)
        assert np.array_equal(backend.matmul(a, b), expected)
    finally:
        native.set_num_threads(before)
