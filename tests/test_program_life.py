"""What programs show, and that they go when their models go."""

from __future__ import annotations

import gc
import re
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers, ops

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program
from cnn_core.models.programs import CAPACITY

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = X[:, :2]


def small():
    model = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(2)])
    model.compile("adam", "mse")
    return model


# --- explain --------------------------------------------------------------------------


def test_explain_shows_the_latest_step():
    model = small()
    with pytest.raises(ValueError, match="call fit, evaluate or predict"):
        model.explain()
    model.fit(X, Y, batch_size=8, verbose=0)
    text = model.explain()
    assert text.startswith(f"train_step of Sequential '{model.name}': ")
    assert "float32[8, 6]" in text
    assert "activation=tanh" in text
    assert "chain:" in text  # the optimizer
    model.predict(X[:32], batch_size=16, verbose=0)
    text = model.explain()
    assert text.startswith("predict_step")
    assert "float32[16, 6]" in text
    assert "chain:" not in text


def test_explain_of_a_batch_changes_nothing():
    model = small()
    assert model.explain(X[:3]).startswith("predict_step")  # builds it
    before = model.get_weights()
    text = model.explain(X[:7], Y[:7])
    assert text.startswith("train_step")
    assert "float32[7, 6]" in text
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert int(model.optimizer.iterations) == 0
    uncompiled = keras.Sequential([layers.Dense(2)])
    assert uncompiled.explain(X, Y).startswith("predict_step")


def test_explain_tells_the_peak_memory():
    model = small()
    model.fit(X, Y, batch_size=8, verbose=0)
    line = model.explain().splitlines()[1]
    found = re.fullmatch(
        r"bytes: ([\d,]+) weights \+ ([\d,]+) optimizer \+ ([\d,]+) variables \+ "
        r"([\d,]+) temporaries \+ ([\d,]+) constants = ([\d,]+)",
        line,
    )
    assert found, line
    numbers = [int(n.replace(",", "")) for n in found.groups()]
    assert numbers[0] == sum(w.nbytes for w in model.get_weights())
    assert numbers[1] == sum(np.asarray(v).nbytes for v in model.optimizer.variables)
    assert numbers[3] >= X[:8].nbytes
    assert numbers[-1] == sum(numbers[:-1])


def test_explain_of_an_eager_model_says_so():
    model = small()
    model.run_eagerly = True
    with pytest.raises(ValueError, match="runs operation by operation"):
        model.explain(X, Y)


# --- memory ---------------------------------------------------------------------------


@pytest.fixture
def born(monkeypatch):
    """Weak references to every program made during a test."""
    programs: list[weakref.ref] = []
    make = Program.__init__

    def noted(self, *args, **kwargs):
        make(self, *args, **kwargs)
        programs.append(weakref.ref(self._native))  # which holds the memory

    monkeypatch.setattr(Program, "__init__", noted)
    return programs


def resident() -> int:
    """Return the resident memory of this process in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_programs_go_with_their_models(born):
    for _ in range(5):
        model = small()
        model.fit(X, Y, batch_size=8, verbose=0)
        model.predict(X, batch_size=8, verbose=0)
    assert len(born) >= 10
    del model
    gc.collect()
    assert not [ref for ref in born if ref() is not None]


def stacked():
    return keras.Sequential([layers.Input((None, 4)), layers.Dense(8, "relu")])


def in_python():
    """Return a model with operations that run in Python."""

    class Tangent(layers.Layer):
        def call(self, inputs):
            return ops.tan(inputs)

    return keras.Sequential([layers.Input((None, 4)), layers.Dense(4), Tangent()])


@pytest.mark.parametrize("make", [stacked, in_python])
def test_a_thousand_lengths_neither_warn_nor_pile_up(make, born):
    """Programs that make room for others go at once, without the garbage collector."""
    model = make()
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for length in range(1, 1001):
                x = np.zeros((1, length, 4), "float32")
                model.predict(x, verbose=0)
                if length % 10 == 0:  # a kind that comes again is compiled
                    model.predict(x, verbose=0)
        alive = len([ref for ref in born if ref() is not None])
    finally:
        gc.enable()
    assert len(born) >= 100
    assert alive <= CAPACITY


def test_two_threads_predict_while_a_third_changes_the_kind_of_batch():
    model = in_python()
    inputs = [X[:, :4].reshape(1, 40, 4) * k for k in range(3)]
    expected = [model.predict(x, verbose=0) for x in inputs]
    wrong = []

    def work(k):
        for i in range(60):
            rows = 1 + i % 7 if k == 2 else 40
            result = model.predict(inputs[k][:, :rows], verbose=0)
            if not np.array_equal(result, expected[k][:, :rows]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_flat():
    sizes = []
    for _ in range(60):
        model = small()
        model.fit(X, Y, batch_size=8, verbose=0)
        model.predict(X, batch_size=8, verbose=0)
        sizes.append(resident())
    assert sizes[-1] - sizes[20] < 5 * 1024


def test_compiling_anew_drops_the_programs(born):
    model = small()
    for _ in range(3):
        model.fit(X, Y, batch_size=8, verbose=0)
        model.compile("sgd", "mse")
    assert len(born) == 3
    gc.collect()
    assert not [ref for ref in born if ref() is not None]


def test_a_layer_replaced_or_added_after_a_step_is_seen():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(3)
            self.rest = [layers.Dense(2)]

        def call(self, inputs):
            x = self.first(inputs)
            for layer in self.rest:
                x = layer(x)
            return x

    model = Own()
    old = [model.predict(X, verbose=0) for _ in range(3)][-1]
    model.first = layers.Dense(3)
    model.first.build((None, 6))
    new = model.predict(X, verbose=0)
    assert np.array_equal(new, np.asarray(model(X)))
    assert not np.array_equal(old, new)
    assert len(model.weights) == 4
    model.rest[0] = layers.Dense(2)
    model.rest[0].build((None, 3))
    assert np.array_equal(model.predict(X, verbose=0), np.asarray(model(X)))
    model.rest.append(layers.Dense(4))
    model.rest[1].build((None, 2))
    assert model.predict(X, verbose=0).shape == (40, 4)
    assert len(model.weights) == 6
    del model.first
    assert len(model.weights) == 4
