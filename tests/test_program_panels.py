"""Weights held in panels: always those of now, whoever changed them."""

from __future__ import annotations

import gc
import re
import threading

import numpy as np
import pytest
from small_models import wide

import cnn_core as keras
from cnn_core import backend, layers, ops

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Spec, compile_function

RNG = np.random.default_rng(8)
X = RNG.normal(size=(64, 40)).astype("float32")
Y = RNG.normal(size=(64, 7)).astype("float32")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(6)


def expected(model, x):
    """Return what the model computes, operation by operation."""
    with keras.GradientTape():
        return np.asarray(model(x))


def check(model):
    for _ in range(3):
        for rows in (1, 3, 9, 32, 64):
            y = expected(model, X[:rows])
            assert np.asarray(model(X[:rows])).tobytes() == y.tobytes()
            assert model.predict(X[:rows], verbose=0).tobytes() == y.tobytes()
        evaluated = model.evaluate(X, Y, verbose=0)
    model.run_eagerly = True
    assert model.evaluate(X, Y, verbose=0) == evaluated
    model.run_eagerly = False


def panels_of(model):
    return [v._panels for v in model.weights if v._panels]


def test_panels_are_held_and_shown():
    model = wide()
    check(model)
    assert panels_of(model)
    model.predict(X[:32], verbose=0)
    shown = re.search(r" ([\d,]+) weights in panels", model.explain())
    assert int(shown[1].replace(",", "")) >= 40 * 300 * 4
    del model._calls
    model.compile()
    gc.collect()
    assert not panels_of(model)


def test_programs_share_panels():
    kernel = keras.Variable(RNG.normal(size=(40, 300)).astype("float32"))
    programs = [
        compile_function(lambda x: ops.matmul(x, kernel), Spec((rows, 40), "float32"))
        for rows in (32, 48, 64)
    ]
    assert len(kernel._panels) == 1
    for _ in range(2):
        for rows, program in zip((32, 48, 64), programs, strict=True):
            np.testing.assert_array_equal(
                program(X[:rows]), ops.matmul(X[:rows], kernel)
            )
        kernel.assign(kernel * 2)


def trains(model):
    model.fit(X, Y, verbose=0)


def trains_on_a_batch(model):
    model.train_on_batch(X[:16], Y[:16])


def assigns(model):
    model.layers[0].kernel.assign(model.layers[0].kernel * 0.5)


def assigns_a_part(model):
    kernel = model.layers[1].kernel
    kernel.assign_add(np.eye(*kernel.shape, dtype="float32"))


def sets_weights(model):
    model.set_weights([w + 0.25 for w in model.get_weights()])


def puts_weights_back(model):
    before = model.get_weights()
    model.set_weights([w + 0.25 for w in before])
    model.predict(X[:32], verbose=0)
    model.set_weights(before)


def trains_own_steps(model):
    optimizer = keras.optimizers.Adam(0.01)
    for _ in range(2):
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(model(X, training=True) - Y))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)


def freezes_and_trains(model):
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)


def fails_in_the_middle_of_a_fit(model):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[Stop()])


@pytest.mark.parametrize(
    "change",
    [
        trains,
        trains_on_a_batch,
        assigns,
        assigns_a_part,
        sets_weights,
        puts_weights_back,
        trains_own_steps,
        freezes_and_trains,
        fails_in_the_middle_of_a_fit,
    ],
)
def test_changes_of_weights_are_seen(change):
    model = wide()
    check(model)
    for _ in range(2):
        change(model)
        check(model)


def test_loaded_weights_are_seen(tmp_path):
    model = wide()
    model.save_weights(tmp_path / "a.weights.h5")
    check(model)
    y = model.predict(X, verbose=0)
    model.fit(X, Y, verbose=0)
    check(model)
    assert not np.array_equal(model.predict(X, verbose=0), y)
    model.load_weights(tmp_path / "a.weights.h5")
    check(model)
    np.testing.assert_array_equal(model.predict(X, verbose=0), y)


def test_two_models_share_a_layer():
    shared = layers.Dense(300, activation="tanh")
    models = []
    for units in (2, 3):
        inputs = keras.Input((40,))
        model = keras.Model(inputs, layers.Dense(units)(shared(inputs)))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        models.append(model)
    for _ in range(3):
        for model, units in zip(models, (2, 3), strict=True):
            model.train_on_batch(X[:8], Y[:8, :units])
            for other in models:
                for rows in (1, 32):
                    y = expected(other, X[:rows])
                    for _ in range(2):
                        got = other.predict(X[:rows], verbose=0)
                        np.testing.assert_array_equal(got, y)


def test_tied_weights_are_held_both_ways():
    kernel = keras.Variable(RNG.normal(size=(40, 300)).astype("float32"))

    def both_ways(x):
        return ops.matmul(ops.tanh(ops.matmul(x, kernel)), ops.transpose(kernel))

    for rows in (1, 20):
        x = X[:rows]
        program = compile_function(both_ways, Spec((rows, 40), "float32"))
        for _ in range(3):
            for _ in range(3):
                np.testing.assert_array_equal(program(x), both_ways(x))
            kernel.assign(kernel * 1.5)


def test_a_written_weight_is_not_held():
    kernel = keras.Variable(RNG.normal(size=(40, 300)).astype("float32"))

    def decay(x):
        y = ops.matmul(x, kernel)
        kernel.assign(kernel * 0.5)
        return y

    program = compile_function(decay, Spec((32, 40), "float32"))
    assert not program.lowering.panels.entries
    start = np.array(kernel)
    for i in range(3):
        y = np.asarray(program(X[:32]))
        np.testing.assert_array_equal(y, ops.matmul(X[:32], start * 0.5**i))


def test_training_stays_in_place():
    model = wide()
    check(model)
    model.fit(X, Y, verbose=0)
    check(model)
    addresses = [v._array.ctypes.data for v in model.weights]
    for _ in range(3):
        model.fit(X, Y, verbose=0)
        model.predict(X, verbose=0)
        model(X[:1])
    assert [v._array.ctypes.data for v in model.weights] == addresses


def test_threads_see_one_weight_or_the_other():
    kernel = keras.Variable(np.ones((40, 300), "float32"))
    x = np.ones((32, 40), "float32")
    wrong = []
    stop = threading.Event()

    def read():
        program = compile_function(
            lambda x: ops.matmul(x, kernel), Spec((32, 40), "float32")
        )
        while not stop.is_set():
            y = np.asarray(program(x))
            if len(np.unique(y)) != 1:
                wrong.append(np.unique(y))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(200):
        kernel.assign(np.full((40, 300), i, "float32"))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
