"""Where eager operations and programs might part: layouts, zeros, no elements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from program_checks import check, draw

from cnn_core import backend, losses, ops

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program.passes import PASSES

RNG = np.random.default_rng(23)


def test_limits_and_slopes_that_differ_in_the_sign_of_zero():
    x = np.array([-1.0, -0.0, 0.0, 2.0], "float32")
    for low in (0.0, -0.0, np.float32(-0.0)):
        check(lambda t, low=low: [ops.clip(t, 0.0, 1.0), ops.clip(t, low, 1.0)], x)
    check(lambda t: [ops.leaky_relu(t, 0.0), ops.leaky_relu(t, -0.0)], x)
    check(lambda t: [ops.pad(t, (1, 1)), ops.pad(t, (1, 1), constant_values=-0.0)], x)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sum", ops.sum),
        ("sum", lambda x: ops.sum(x, axis=0)),
        ("mean", lambda x: ops.mean(x, axis=1)),
        ("prod", ops.prod),
        ("max", lambda x: ops.max(ops.round(x) * 0.0)),
        ("softmax", ops.softmax),
        ("log_softmax", lambda x: ops.log_softmax(x, axis=0)),
        ("matmul", lambda x: ops.matmul(x, ops.transpose(x))),
        ("mean_squared_error", lambda x: losses.mean_squared_error(x * 0.5, x)),
    ],
)
@pytest.mark.parametrize(
    "layout",
    [ops.transpose, ops.flip, lambda x: x[::2, 1::3], lambda x: x[:, None, 0]],
)
def test_float64_adds_up_in_one_order_whatever_the_strides(name, function, layout):
    x = draw(RNG, (90, 130), "float64")
    check(lambda t: function(layout(t)), x, fallbacks=[name])


@pytest.mark.parametrize("without", [(), {"remove_dead"}, set(PASSES)])
def test_chains_of_nothing(without):
    def function(x, y):
        dead = ops.tanh(ops.exp(x)) + x
        return ops.sum(ops.relu(-x) * 2.0), ops.square(y) + y, dead[:0]

    arrays = np.empty((0, 3), "float32"), np.ones(2, "float32")
    check(function, *arrays, fallbacks=["sum"], without=without)
    check(
        lambda x, y: (ops.tanh(ops.exp(x)), y)[1] + 1,
        *arrays,
        without=without,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_products_with_nothing_to_add_up(dtype):
    for a, b in (
        ((2, 3, 0), (0, 4)),
        ((1, 3, 0), (5, 0, 4)),
        ((0, 3, 2), (2, 4)),
        ((3, 0), (0, 4)),
        ((2, 3, 4), (4, 0)),
    ):
        x, y = np.empty(a, dtype), np.empty(b, dtype)
        product = np.asarray(ops.matmul(x, y))
        assert product.shape == (x @ y).shape
        assert not product.any()
        check(ops.matmul, x, y, fallbacks=["matmul"] if product.size else [])


def test_booleans_are_numbers_to_arithmetic():
    x = np.array([True, False, True])
    one = np.ones(3, bool)
    assert ops.round(x).dtype == "int32"
    check(ops.round, x, fallbacks=["round"])
    for function in (ops.mod, ops.floor_divide, ops.power):
        assert function(x, one).dtype == "int32"
        fallbacks = ["power"] if function is ops.power else []
        check(function, x, one, fallbacks=fallbacks)
        np.testing.assert_array_equal(
            function(x, one), function(x.astype(int), one.astype(int))
        )


@pytest.mark.parametrize("name", ["maximum", "minimum", "add", "subtract", "multiply"])
def test_zeros_and_infinities_in_every_order(name):
    special = [0.0, -0.0, np.inf, -np.inf, 1e-40, -1e-40, 1.0]
    a, b = np.array([*itertools.product(special, special)], "float32").T.copy()
    function = getattr(ops, name)
    with np.errstate(invalid="ignore"):
        kept = ~np.isnan(np.asarray(function(a, b)))
    a, b = a[kept], b[kept]
    wide = np.repeat(a[:, None], 5, axis=1)

    def several(a, b, wide):
        return [
            ops.exp(function(a, b)),
            function(b, a) * 1.0,
            function(wide, b[:, None]),
            function(a[0], b),
            function(b[:, None], wide)[:, 3],
        ]

    check(several, a, b, wide)
