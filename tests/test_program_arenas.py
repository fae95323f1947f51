"""Programs of a model borrow the memory that they work in."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers, ops
from cnn_core.graph import Primitive, Variable, apply

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, trace

RNG = np.random.default_rng(5)


def formula(x):
    """Need several arrays at once: flip breaks chains."""
    a, b = ops.flip(ops.exp(x)), ops.flip(ops.tanh(x))
    return ops.flip(a * b + x) - ops.flip(a) * ops.flip(b)


def make(rows, arenas=None, function=formula):
    return Program(trace(function, Spec((rows, 50), "float32")), arenas=arenas)


def draw(rows):
    return RNG.normal(size=(rows, 50)).astype("float32")


def check(program, x):
    result = np.asarray(program(x))
    assert result.tobytes() == np.asarray(formula(ops.convert_to_tensor(x))).tobytes()


def test_programs_one_after_the_other_take_the_memory_of_the_largest():
    small = make(3)
    large = make(200, small.arenas)
    middle = make(80, small.arenas)
    assert small.arenas.nbytes == 0
    for program, rows in ((small, 3), (large, 200), (middle, 80), (small, 3)):
        check(program, draw(rows))
        expected = max(p.plan.arena_bytes for p in (small, large))
        if program is not small:
            assert program.arenas.nbytes == expected
    assert small.arenas.nbytes == large.plan.arena_bytes
    assert make(3).arenas is not small.arenas


def test_programs_at_the_same_time_do_not_disturb_each_other():
    first = make(40)
    programs = [first, *(make(n, first.arenas) for n in (60, 40, 300))]
    rows = [40, 60, 40, 300]
    given = [draw(n) for n in rows]
    expected = [
        np.asarray(p(x)).tobytes() for p, x in zip(programs, given, strict=True)
    ]
    wrong = []

    def work(k):
        for _ in range(100):
            if np.asarray(programs[k](given[k])).tobytes() != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k % 4,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert first.arenas.nbytes <= 4 * max(p.plan.arena_bytes for p in programs)


def test_a_program_may_run_inside_another_one():
    inner = make(20)
    x = draw(20)

    def run(array):
        return np.asarray(inner(array))

    primitive = Primitive("within", run, lambda t: (t.shape, t.dtype))

    def outer(t):
        return apply(primitive, ops.exp(t) * 0.5) + ops.tanh(t)

    program = make(20, inner.arenas, outer)
    for _ in range(3):
        result = np.asarray(program(x))
        expected = np.asarray(outer(ops.convert_to_tensor(x)))
        assert result.tobytes() == expected.tobytes()


def test_a_failing_run_gives_the_memory_back():
    def function(x, i):
        return ops.take(ops.exp(ops.flip(x)), i, axis=0)

    program = Program(trace(function, Spec((9, 50), "float32"), Spec((2,), "int32")))
    good, bad = np.array([0, 8], "int32"), np.array([0, 9], "int32")
    x = draw(9)
    program(x, good)
    before = program.arenas.nbytes
    for _ in range(3):
        with pytest.raises(IndexError):
            program(x, bad)
        with pytest.raises(ValueError, match="for every input"):
            program.run([x])
    assert program.arenas.nbytes == before > 0
    assert np.asarray(program(x, good)).shape == (2, 50)


def test_the_steps_of_a_model_work_in_one_memory():
    model = keras.Sequential(
        [layers.Input((50,)), layers.Dense(70, activation="gelu"), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    x, y = draw(100), RNG.normal(size=(100, 2)).astype("float32")
    for _ in range(2):
        model.fit(x, y, batch_size=32, validation_split=0.2, verbose=0)
        model.evaluate(x, y, batch_size=50, verbose=0)
        model.predict(x, batch_size=64, verbose=0)
        model.train_on_batch(x[:7], y[:7])
    programs = list(model._programs._programs.values())
    assert len(programs) > 6
    assert len({id(p.arenas) for p in programs}) == 1
    largest = max(p.plan.arena_bytes for p in programs)
    assert programs[0].arenas.nbytes == largest


def test_a_profiled_step_that_fails_is_undone():
    v = Variable(np.arange(4, dtype="float32"))

    def function(x, i):
        v.assign(v * 2.0)
        return ops.take(x, i) + 0.0 * v[0]

    program = Program(
        trace(function, Spec((4,), "float32"), Spec((2,), "int32")),
        without={"update_early"},
    )
    x, native = np.ones(4, "float32"), program._native
    before = np.array(v)
    with pytest.raises(IndexError):
        native.profile(0, 1, [x, np.array([0, 7], "int32")])
    np.testing.assert_array_equal(v, before)
    seconds = native.profile(0, 1, [x, np.array([0, 3], "int32")])
    np.testing.assert_array_equal(v, before * 2)
    assert len(seconds) == len(native)
    assert all(s >= 0 for s in seconds)
