"""Precision of products and portable bits: every program follows what is set."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from small_models import OwnStep, wide

import cnn_core as keras
from cnn_core import backend, config, layers, ops

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core import _native
from cnn_core.graph import program as program_module
from cnn_core.graph.program import Spec, compile_function

RNG = np.random.default_rng(3)
X = RNG.normal(size=(64, 40)).astype("float32")
Y = RNG.normal(size=(64, 7)).astype("float32")
SETTINGS = [("highest", False), ("medium", False), ("high", False), ("highest", True)]


@pytest.fixture(autouse=True)
def restored():
    yield
    choose("highest", False)


@pytest.fixture
def made(monkeypatch):
    """The parts with which each new program prepares its products."""
    parts = []
    init = program_module.Program.__init__

    def spy(self, *arguments, **options):
        init(self, *arguments, **options)
        parts.append(parts_of(self))

    monkeypatch.setattr(program_module.Program, "__init__", spy)
    return parts


def choose(precision, portable):
    config.set_float32_matmul_precision(precision)
    config.set_portable_bits(portable)


def parts_of(program):
    return program._native.matmul_parts


def fits(model):
    model.fit(X, Y, batch_size=16, verbose=0)


def evaluates(model):
    model.evaluate(X, Y, verbose=0)


def predicts(model):
    model.predict(X, verbose=0)


def predicts_one_batch(model):
    model.predict(X, batch_size=64, verbose=0)


def calls(model):
    model(X)


def trains_a_batch(model):
    model.train_on_batch(X, Y)


def evaluates_a_batch(model):
    model.test_on_batch(X, Y)


def predicts_a_batch(model):
    model.predict_on_batch(X)


@pytest.mark.parametrize(
    "use",
    [
        fits,
        evaluates,
        predicts,
        predicts_one_batch,
        calls,
        trains_a_batch,
        evaluates_a_batch,
        predicts_a_batch,
    ],
)
def test_every_use_of_a_model_follows(use, made):
    model = wide()
    latest = None
    for precision, portable in SETTINGS + SETTINGS:
        choose(precision, portable)
        for _ in range(3):  # a kind of input becomes a program when it comes again
            use(model)
        parts = config.matmul_parts()
        assert parts == _native.matmul_parts()
        if use is calls:
            programs = model._calls._programs.values()
            assert {parts_of(p) for p in programs if p} == {parts}
        else:
            assert parts_of(model._programs.latest()[1]) == parts
        if latest is not None and use is not predicts_one_batch:
            assert latest in made  # the program before was of the setting before
        latest = parts
    assert set(made) == {3, 2, 1, 0}


def test_own_steps_follow(made):
    model = OwnStep([layers.Dense(7)])
    model.compile("sgd")
    for precision, portable in SETTINGS:
        choose(precision, portable)
        for _ in range(2):
            fits(model)
        assert parts_of(model._programs.latest()[1]) == config.matmul_parts()
    assert set(made) == {3, 2, 1, 0}


def test_programs_of_a_setting_are_kept(made):
    model = wide()
    for _ in range(3):
        for precision in ("high", "highest"):
            config.set_float32_matmul_precision(precision)
            fits(model)
    assert made == [2, 3]


@pytest.mark.parametrize("when", ["on_epoch_end", "on_train_batch_end"])
def test_a_callback_switches_in_both_directions(when, made):
    """What comes next runs with the new setting, not what the next `fit` runs."""
    used = []
    settings = iter(["medium", "high", "highest", "medium"] * 4)
    run = program_module.Program.run

    class Switch(keras.callbacks.Callback):
        pass

    def switch(self, number, logs=None):
        config.set_float32_matmul_precision(next(settings))

    setattr(Switch, when, switch)

    def spy(self, *arguments, **options):
        used.append((parts_of(self), config.matmul_parts()))
        return run(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program_module.Program, "run", spy)
        model = wide()
        model.fit(
            X[:60], Y[:60], batch_size=16, epochs=3, verbose=0, callbacks=[Switch()],
            validation_data=(X, Y),
        )  # fmt: skip
    assert all(parts == wanted for parts, wanted in used)
    assert {parts for parts, _ in used} == {3, 2, 1}
    assert set(made) == {3, 2, 1}


def test_results_do_not_depend_on_it_without_tile_units():
    before = _native.isa()
    _native.set_isa([isa for isa in _native.available_isas() if isa != "amx"][-1])
    results = []
    try:
        for precision, portable in SETTINGS:
            choose(precision, portable)
            model = wide()
            model.fit(X, Y, batch_size=16, epochs=2, verbose=0, shuffle=False)
            results.append(model.predict(X, verbose=0).tobytes())
    finally:
        _native.set_isa(before)
    assert len(set(results)) == 1


def test_panels_are_those_of_the_parts():
    kernel = keras.Variable(RNG.normal(size=(96, 200)).astype("float32"))
    x = RNG.normal(size=(160, 96)).astype("float32")
    programs = []
    for precision, portable in SETTINGS:
        choose(precision, portable)
        programs += [
            compile_function(
                lambda x: ops.matmul(x, kernel), Spec((rows, 96), "float32")
            )
            for rows in (32, 160)
        ]
    # what fused multiply-adds read is the same for all
    assert len(kernel._panels) == (4 if _native.isa() == "amx" else 1)
    for program, rows in zip(programs, (32, 160) * len(SETTINGS), strict=True):
        choose("highest", parts_of(program) == 0)
        got = np.asarray(program(x[:rows]))
        assert np.allclose(got, x[:rows] @ np.asarray(kernel), rtol=0.05, atol=0.1)
        assert program.is_current == (parts_of(program) in (0, 3))


def test_a_switch_while_a_program_is_built(monkeypatch):
    """A product never reads panels that were laid out for other parts."""
    kernel = keras.Variable(RNG.normal(size=(40, 300)).astype("float32"))
    panels = _native.Panels

    def late(*arguments):
        made = panels(*arguments)
        config.set_float32_matmul_precision("medium")
        return made

    monkeypatch.setattr(_native, "Panels", late)
    program = compile_function(
        lambda x: ops.matmul(x, kernel), Spec((64, 40), "float32")
    )
    for _ in range(3):
        np.testing.assert_array_equal(program(X), ops.matmul(X, kernel))
    assert not program.is_current


def test_a_program_that_was_outdated_is_not_kept(monkeypatch):
    model = wide()
    emit = program_module.Program._emit
    switched = []

    def late(self, *arguments):
        emit(self, *arguments)
        if not switched:
            switched.append(True)
            config.set_float32_matmul_precision("medium")

    monkeypatch.setattr(program_module.Program, "_emit", late)
    fits(model)
    assert [parts_of(p) for p in model._programs._programs.values()] == [1]
    config.set_float32_matmul_precision("highest")
    fits(model)
    assert parts_of(model._programs.latest()[1]) == 3


def test_threads_that_switch_while_others_predict():
    model = wide()
    expected = np.asarray(model.predict(X, verbose=0))
    wrong = []
    stop = threading.Event()

    def work():
        while not stop.is_set():
            for got in (model.predict(X, verbose=0), np.asarray(model(X))):
                if not np.allclose(got, expected, rtol=0.05, atol=0.05):
                    wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        for precision, portable in SETTINGS:
            choose(precision, portable)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_parts_are_checked():
    for wrong in (-1, 4, 1.0, "2", True, None):
        with pytest.raises(ValueError, match="set_matmul_parts: expected 0, 1, 2 or 3"):
            _native.set_matmul_parts(wrong)
    assert _native.matmul_parts() == 3
