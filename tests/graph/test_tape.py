"""The gradient tape: what gradients it gives, of what order, for which variables."""

from __future__ import annotations

import numpy as np
import pytest
from tapes import gradient, tensor

from cnn_core import ops
from cnn_core.graph import GradientTape, Variable


def test_product_rule_through_a_variable():
    v = Variable([2.0, 3.0])
    with GradientTape() as tape:
        y = ops.sum(v * v * 4.0)
    np.testing.assert_allclose(gradient(tape, y, v), [16.0, 24.0])


def test_an_input_used_twice_gets_both_parts():
    x = tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x + x
    np.testing.assert_allclose(gradient(tape, y, x), [7.0])


def test_the_target_is_summed():
    x = tensor(1.0, 2.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.square(x)
    np.testing.assert_allclose(gradient(tape, y, x), [2.0, 4.0])


def test_target_that_is_the_source():
    x = tensor(1.0, 2.0)
    with GradientTape() as tape:
        tape.watch(x)
    np.testing.assert_array_equal(gradient(tape, x, x), [1.0, 1.0])


def test_the_same_source_twice():
    x = tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    first, second = tape.gradient(y, [x, x])
    np.testing.assert_array_equal(first, [6.0])
    np.testing.assert_array_equal(second, [6.0])


def test_intermediate_result_as_source_and_target():
    x = tensor(3.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    np.testing.assert_allclose(gradient(tape, z, y), [18.0])
    np.testing.assert_allclose(gradient(tape, y, x), [6.0])
    by_y, by_x = tape.gradient(z, [y, x])
    np.testing.assert_allclose(by_y, [18.0])
    np.testing.assert_allclose(by_x, [108.0])


def test_structures_of_targets_and_sources():
    a, b = Variable([1.0]), Variable([2.0])
    with GradientTape() as tape:
        targets = {"x": a * b, "y": [a * 3.0]}
    result = tape.gradient(targets, {"b": b, "a": (a,)})
    assert list(result) == ["b", "a"]
    np.testing.assert_allclose(result["a"][0], [5.0])
    np.testing.assert_allclose(result["b"], [1.0])


def test_output_gradients_weigh_the_targets():
    x = tensor(1.0, 2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = x * 2.0, x * 3.0
    one = tape.gradient(y, x, output_gradients=tensor(5.0, 7.0))
    np.testing.assert_allclose(one, [10.0, 14.0])
    both = tape.gradient([y, z], x, output_gradients=[None, tensor(10.0, 10.0)])
    np.testing.assert_allclose(both, [32.0, 32.0])


def test_output_gradients_that_do_not_fit():
    x = tensor(1.0, 2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * 2.0
    with pytest.raises(ValueError, match=r"target's shape \(2,\), got \(3,\)"):
        tape.gradient(y, x, output_gradients=[tensor(1.0, 1.0, 1.0)])
    with pytest.raises(ValueError, match=r"expected 2 output gradient\(s\).*got 1"):
        tape.gradient([y, y], x, output_gradients=[tensor(1.0, 1.0)])


def test_unconnected_sources():
    a, b = Variable([1.0, 2.0]), Variable([3.0])
    with GradientTape(persistent=True) as tape:
        y = a * 2.0
    assert tape.gradient(y, b) is None
    assert tape.gradient(y, [a, b])[1] is None
    zeros = tape.gradient(y, [a, b], unconnected_gradients="zero")[1]
    np.testing.assert_array_equal(zeros, [0.0])
    with pytest.raises(ValueError, match="did you mean 'zero'"):
        tape.gradient(y, b, unconnected_gradients="zeros")


def test_no_gradient_through_integers():
    x = tensor(1.5, 2.5)
    with GradientTape() as tape:
        tape.watch(x)
        rounded = ops.cast(x, "int32")
        y = ops.cast(rounded, "float32") * 2.0
    assert rounded._node is None
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize("step", [ops.floor, ops.ceil, ops.round, ops.sign])
def test_no_gradient_through_steps(step):
    x = tensor(1.5)
    with GradientTape() as tape:
        tape.watch(x)
        y = step(x)
    assert tape.gradient(y, x) is None


def test_gradients_through_casts_between_floats():
    x = tensor(1.5)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.square(ops.cast(x, "float64"))
    result = tape.gradient(y, x)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, [3.0])


# --- higher order ---


def test_nested_tapes_give_second_derivatives():
    x = tensor(3.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        first = inner.gradient(y, x)
    np.testing.assert_allclose(first, [27.0])
    np.testing.assert_allclose(gradient(outer, first, x), [18.0])


def test_gradient_inside_the_block_ends_a_tape_for_one_use():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v * v
        first = tape.gradient(y, v)
        assert (v * 2.0)._node is None
    np.testing.assert_allclose(first, [6.0])


def test_a_persistent_tape_records_its_own_gradient():
    v = Variable([3.0])
    with GradientTape(persistent=True) as tape:
        y = v * v * v
        first = tape.gradient(y, v)
    np.testing.assert_allclose(gradient(tape, first, v), [18.0])


def test_fourth_derivative():
    x = tensor(0.7, dtype="float64")

    def derivative(function):
        def slope(t):
            with GradientTape() as tape:
                tape.watch(t)
                y = function(t)
            return tape.gradient(y, t)

        return slope

    function = ops.sin
    for _ in range(4):
        function = derivative(function)
    np.testing.assert_allclose(function(x), np.sin([0.7]), rtol=1e-12)


def test_one_tensor_as_both_arguments_of_a_fused_kernel():
    p = tensor(0.3, 0.6, dtype="float64")

    def loss(t):
        return ops.sum(ops.binary_crossentropy(t, t))

    with GradientTape() as tape:
        tape.watch(p)
        y = loss(p)
    step = 1e-6
    numeric = [
        (float(loss(p + step * e)) - float(loss(p - step * e))) / (2 * step)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(gradient(tape, y, p), numeric, rtol=1e-6)


# --- variables ---


def test_gradients_belong_to_the_values_that_were_read():
    v = Variable([3.0])
    with GradientTape(persistent=True) as tape:
        y = v * v
        v.assign([10.0])
        z = v * 2.0
    v.assign([100.0])
    by_y, by_z = (tape.gradient(t, v) for t in (y, z))
    np.testing.assert_allclose(by_y, [6.0])
    np.testing.assert_allclose(by_z, [2.0])
    with GradientTape() as tape:
        v.assign([3.0])
        y = v * v
        v.assign([10.0])
        y = y + v * v
    np.testing.assert_allclose(gradient(tape, y, v), [26.0])


def test_the_value_read_before_an_assignment_keeps_its_gradient():
    v = Variable([3.0])
    with GradientTape() as tape:
        before = v.value
        v.assign([5.0])
        y = before * before
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])


def test_trainable_can_be_switched():
    v = Variable([3.0])
    v.trainable = False
    with GradientTape() as tape:
        y = v * v
    assert tape.gradient(y, v) is None
    assert tape.watched_variables() == ()
    v.trainable = True
    with GradientTape() as tape:
        y = v * v
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])


def test_integer_variables_have_no_gradient():
    v = Variable([3], dtype="int32")
    w = Variable([2.0])
    with GradientTape() as tape:
        y = v * w
    by_v, by_w = tape.gradient(y, [v, w])
    assert by_v is None
    np.testing.assert_allclose(by_w, [3.0])


# --- jacobians ---


def test_jacobian():
    x = tensor(1.0, 2.0, 3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.outer(x, x)
    jacobian = np.asarray(tape.jacobian(y, x))
    expected = np.zeros((3, 3, 3))
    for i in range(3):
        for j in range(3):
            expected[i, j, i] += np.asarray(x)[j]
            expected[i, j, j] += np.asarray(x)[i]
    np.testing.assert_allclose(jacobian, expected)


def test_jacobian_of_structures_and_unconnected_sources():
    a, b = Variable([[1.0], [2.0]]), Variable([3.0])
    with GradientTape(persistent=True) as tape:
        y = ops.ravel(a) * 2.0
    result = tape.jacobian(y, {"a": a, "b": b})
    assert result["a"].shape == (2, 2, 1)
    np.testing.assert_allclose(result["a"][..., 0], 2 * np.eye(2))
    assert result["b"] is None
    zeros = tape.jacobian(y, b, unconnected_gradients="zero")
    np.testing.assert_array_equal(zeros, np.zeros((2, 1)))


def test_jacobian_of_a_scalar_is_the_gradient():
    x = tensor(1.0, 2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = ops.sum(x * x)
    np.testing.assert_array_equal(tape.jacobian(y, x), tape.gradient(y, x))


def test_gradient_of_a_jacobian():
    x = tensor(2.0, 3.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        jacobian = inner.jacobian(y, x)
    np.testing.assert_allclose(gradient(outer, jacobian, x), [12.0, 18.0])
