"""The gradient tape: what is recorded and watched, when, and by which thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tapes import gradient, tensor

from cnn_core import ops
from cnn_core.graph import GradientTape, KerasTensor, Tensor, Variable


def test_nothing_is_recorded_without_a_tape():
    v = Variable([1.0])
    y = v * 2.0
    assert y._node is None


def test_nothing_is_recorded_for_constants():
    with GradientTape():
        y = tensor(1.0) * 2.0
    assert y._node is None


def test_tensors_are_not_watched_by_themselves():
    x = tensor(1.0)
    with GradientTape() as tape:
        y = x * 2.0
    assert tape.gradient(y, x) is None


def test_operations_before_watch_are_not_seen():
    x = tensor(3.0)
    v = Variable([1.0])
    with GradientTape() as tape:
        before = x * v
        tape.watch(x)
        y = before + x * 5.0
    np.testing.assert_allclose(gradient(tape, y, x), [5.0])


def test_a_watched_tensor_is_not_watched_by_other_tapes():
    x = tensor(3.0)
    with GradientTape() as first:
        first.watch(x)
        y = x * x
    np.testing.assert_allclose(gradient(first, y, x), [6.0])
    with GradientTape() as second:
        y = x * x
    assert second.gradient(y, x) is None


def test_a_tape_entered_later_does_not_see_earlier_operations():
    v = Variable([3.0])
    with GradientTape():
        y = v * v
        with GradientTape() as later:
            z = y * 2.0
    assert later.gradient(z, v) is None


def test_an_outer_result_is_a_constant_of_the_inner_tape_unless_watched():
    v = Variable([3.0])
    with GradientTape():
        y = v * v
        with GradientTape() as inner:
            z = y * 2.0
        assert inner.gradient(z, y) is None
        with GradientTape(persistent=True) as inner:
            inner.watch(y)
            z = y * 5.0
        np.testing.assert_allclose(gradient(inner, z, y), [5.0])
        assert inner.gradient(z, v) is None


def test_a_result_that_depends_on_nothing_watched_is_no_source():
    v = Variable([3.0])
    x = tensor(2.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape(watch_accessed_variables=False) as tape:
            y = x * v
            z = y * y
    assert tape.gradient(z, y) is None
    np.testing.assert_allclose(gradient(outer, z, x), [36.0])


def test_what_happens_after_the_block_is_not_seen():
    v = Variable([3.0])
    with GradientTape(persistent=True) as tape:
        y = v * v
    with GradientTape():
        z = y * 2.0
    assert tape.gradient(z, v) is None
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])


def test_without_watching_variables():
    a, b = Variable([2.0]), Variable([3.0])
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        y = a * b
    assert tape.watched_variables() == (a,)
    by_a, by_b = tape.gradient(y, [a, b])
    np.testing.assert_allclose(by_a, [3.0])
    assert by_b is None


def test_watched_variables_are_those_that_were_read():
    a, b, c = Variable([2.0]), Variable([3.0]), Variable([4.0])
    frozen = Variable([5.0], trainable=False)
    with GradientTape() as tape:
        _ = b * a * frozen * b
    assert [id(v) for v in tape.watched_variables()] == [id(b), id(a)]
    assert all(v is not c for v in tape.watched_variables())


def test_watching_a_frozen_variable():
    v = Variable([3.0], trainable=False)
    with GradientTape() as tape:
        tape.watch(v)
        y = v * v
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])


def test_watch_refuses_what_has_no_gradient():
    with GradientTape() as tape:
        with pytest.raises(TypeError, match=r"floating-point tensor, got dtype int32"):
            tape.watch(ops.arange(3))
        with pytest.raises(
            TypeError, match=r"expected a Tensor or Variable, got float"
        ):
            tape.watch(3.0)


def test_watch_takes_structures():
    a, b = tensor(1.0), tensor(2.0)
    with GradientTape() as tape:
        tape.watch({"a": a, "b": [b]})
        y = a * b
    np.testing.assert_allclose(
        [np.asarray(g) for g in tape.gradient(y, [a, b])], [[2], [1]]
    )


def test_stop_recording():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v * v
        with tape.stop_recording():
            hidden = v * 10.0
        z = y + hidden
    np.testing.assert_allclose(gradient(tape, z, v), [6.0])
    with pytest.raises(ValueError, match="not recording"), tape.stop_recording():
        pass


def test_reset():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v * v
        tape.reset()
        z = v * 2.0
    assert tape.watched_variables() == (v,)
    assert tape.gradient(y + z, v) is None  # the sum was not recorded
    with GradientTape() as tape:
        y = v * v
        tape.reset()
        z = y + v * 2.0
    np.testing.assert_allclose(gradient(tape, z, v), [2.0])


def test_entering_twice():
    with GradientTape() as tape, pytest.raises(ValueError, match="recording already"):
        tape.__enter__()


def test_a_used_tape_can_record_anew():
    v = Variable([3.0])
    tape = GradientTape()
    with tape:
        y = v * v
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])
    with tape:
        z = v * 4.0
    np.testing.assert_allclose(gradient(tape, z, v), [4.0])


def test_a_persistent_tape_goes_on_when_entered_again():
    v = Variable([3.0])
    tape = GradientTape(persistent=True)
    with tape:
        y = v * v
    with tape:
        z = y * 2.0
    np.testing.assert_allclose(gradient(tape, z, v), [12.0])


def test_one_gradient_only_unless_persistent():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v * v
    tape.gradient(y, v)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, v)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.jacobian(y, v)


def test_bad_arguments_do_not_use_up_the_tape():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v * v
    with pytest.raises(
        TypeError, match="sources must be tensors or variables, got str"
    ):
        tape.gradient(y, "v")
    np.testing.assert_allclose(gradient(tape, y, v), [6.0])


def test_symbolic_targets_are_refused():
    with GradientTape() as tape:
        pass
    with pytest.raises(TypeError, match="symbolic target"):
        tape.gradient(KerasTensor((2,)), Variable([1.0]))


# --- threads ---


def test_tapes_of_different_threads_do_not_mix():
    v = Variable([3.0])
    results, errors = {}, []
    meet = threading.Barrier(4)

    def work(factor):
        try:
            for _ in range(20):
                meet.wait(timeout=30)
                with GradientTape() as tape:
                    y = v * v * factor
                    meet.wait(timeout=30)
                    z = y * 2.0
                results[factor] = float(tape.gradient(z, v)[0])
        except Exception as error:
            errors.append(error)
            meet.abort()

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert results == {float(k): 12.0 * k for k in range(1, 5)}


def test_a_tape_does_not_make_other_threads_record():
    v = Variable([3.0])
    found = []
    with GradientTape() as tape:
        thread = threading.Thread(target=lambda: found.append((v * 2.0)._node))
        thread.start()
        thread.join()
    assert found == [None]
    assert tape.watched_variables() == ()


def test_tapes_may_end_in_any_order():
    v = Variable([3.0])
    first, second = GradientTape(), GradientTape()
    first.__enter__()
    second.__enter__()
    y = v * v
    first.__exit__(None, None, None)
    z = y * 2.0
    second.__exit__(None, None, None)
    assert (v * 2.0)._node is None
    np.testing.assert_allclose(gradient(first, y, v), [6.0])
    np.testing.assert_allclose(gradient(second, z, v), [12.0])


def test_an_exception_ends_the_recording():
    v = Variable([3.0])
    with pytest.raises(KeyError), GradientTape():
        raise KeyError
    assert (v * 2.0)._node is None


def test_dtype_of_gradients_follows_the_source():
    for dtype in ("float16", "float32", "float64"):
        x = Tensor(np.ones(3, dtype))
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.mean(ops.exp(x) * 2 + 1.5)
        assert tape.gradient(y, x).dtype == dtype
