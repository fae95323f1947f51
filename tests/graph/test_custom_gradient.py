"""custom_gradient and stop_gradient."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, KerasTensor, Variable
from cnn_core.ops import custom_gradient, stop_gradient


def derivative(function, x, *more):
    x = ops.convert_to_tensor(np.asarray(x, "float64"))
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x, *more)
    return tape.gradient(y, x)


def test_the_gradient_is_the_one_given():
    @custom_gradient
    def double(x):
        return x * 2.0, lambda upstream: upstream * 100.0

    np.testing.assert_allclose(derivative(double, [1.0, 2.0]), [100.0, 100.0])


def test_values_are_those_of_the_function_without_a_tape():
    @custom_gradient
    def double(x):
        """Double."""
        return x * 2.0, lambda upstream: upstream

    np.testing.assert_allclose(double(ops.ones(2)), [2.0, 2.0])
    assert double.__name__ == "double"
    assert double.__doc__ == "Double."


def test_upstream_by_position_and_by_keyword():
    @custom_gradient
    def keras_style(x):
        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return upstream * 3.0

        return x * 1.0, grad

    @custom_gradient
    def keyword_only(x):
        def grad(*, upstream):
            return upstream * 4.0

        return x * 1.0, grad

    np.testing.assert_allclose(derivative(keras_style, [1.0]), [3.0])
    np.testing.assert_allclose(derivative(keyword_only, [1.0]), [4.0])


def test_stable_log1pexp_and_its_second_derivative():
    @custom_gradient
    def log1pexp(x):
        e = ops.exp(x)

        def grad(upstream):
            return upstream * (1.0 - 1.0 / (1.0 + e))

        return ops.log(1.0 + e), grad

    x = np.array([-1.0, 0.5, 2.0])
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(derivative(log1pexp, x), s, rtol=1e-12)
    second = derivative(lambda t: _first(log1pexp, t), x)
    np.testing.assert_allclose(second, s * (1 - s), rtol=1e-12)


def _first(function, t):
    with GradientTape() as tape:
        tape.watch(t)
        y = function(t)
    return tape.gradient(y, t)


def test_several_arguments_and_none_parts():
    @custom_gradient
    def scaled(x, factor, offset):
        def grad(upstream):
            return upstream * factor, None, ops.sum(upstream)

        return x * factor + offset, grad

    x, offset = Variable([1.0, 2.0]), Variable(3.0)
    factor = Variable(5.0)
    with GradientTape() as tape:
        y = scaled(x, factor, offset)
    by_x, by_factor, by_offset = tape.gradient(y, [x, factor, offset])
    np.testing.assert_allclose(by_x, [5.0, 5.0])
    assert by_factor is None
    np.testing.assert_allclose(by_offset, 2.0)


def test_several_outputs():
    @custom_gradient
    def both(x):
        def grad(up_double, up_square):
            return up_double * 2.0 + up_square * 2.0 * x

        return (x * 2.0, x * x), grad

    def weighted(x):
        double, square = both(x)
        return double * 10.0 + square

    np.testing.assert_allclose(derivative(weighted, [3.0]), [26.0])
    # An output that is not used has the cotangent zero.
    np.testing.assert_allclose(derivative(lambda x: both(x)[1], [3.0]), [6.0])


def test_nested_arguments_and_outputs():
    @custom_gradient
    def f(pair):
        a, b = pair
        return {"sum": a + b}, lambda upstream: (upstream * 2.0, upstream * 3.0)

    a, b = Variable([1.0]), Variable([1.0])
    with GradientTape() as tape:
        y = f((a, b))["sum"]
    np.testing.assert_allclose(
        [np.asarray(g) for g in tape.gradient(y, [a, b])], [[2], [3]]
    )


def test_arguments_that_are_not_tensors():
    @custom_gradient
    def power(x, n):
        return x**n, lambda upstream: (upstream * n * x ** (n - 1), None)

    np.testing.assert_allclose(derivative(power, [2.0], 3), [12.0])


def test_keyword_arguments_are_passed_on():
    @custom_gradient
    def scaled(x, factor=1.0):
        return x * factor, lambda upstream: upstream * factor * 10.0

    np.testing.assert_allclose(
        derivative(lambda x: scaled(x, factor=3.0), [1.0]), [30.0]
    )


def test_variables_read_inside_get_no_gradient():
    v = Variable([2.0])

    @custom_gradient
    def f(x):
        return x * v, lambda upstream: upstream * v

    x = ops.convert_to_tensor([3.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    by_x, by_v = tape.gradient(y, [x, v])
    np.testing.assert_allclose(by_x, [2.0])
    assert by_v is None


def test_wrong_number_or_shape_of_cotangents():
    @custom_gradient
    def few(x, y):
        return x + y, lambda upstream: upstream

    @custom_gradient
    def small(x):
        return x * 1.0, lambda upstream: ops.sum(upstream)

    with pytest.raises(ValueError, match=r"few has 2 arguments.*returned 1"):
        derivative(few, [1.0, 2.0], ops.ones(2))
    with pytest.raises(ValueError, match=r"small returned .* shape \(\) .* \(2,\)"):
        derivative(small, [1.0, 2.0])


def test_symbolic_arguments():
    @custom_gradient
    def double(x):
        return x * 2.0, lambda upstream: upstream

    assert double(KerasTensor((None, 3))).shape == (None, 3)


def test_stop_gradient():
    x = Variable([3.0])
    with GradientTape() as tape:
        y = x * stop_gradient(x)
    np.testing.assert_allclose(tape.gradient(y, x), [3.0])


def test_stop_gradient_takes_structures():
    x = Variable([3.0])
    with GradientTape() as tape:
        stopped = stop_gradient({"a": [x]})
        y = x + stopped["a"][0]
    np.testing.assert_allclose(tape.gradient(y, x), [1.0])
