"""`fit`: data, epochs, validation, interruption, memory."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from mlps import N, X, Y, assert_same, mlp, regression, state_of

import cnn_core as keras
from cnn_core import layers

# --- fit ----------------------------------------------------------------------


def test_training_learns():
    truth = X @ np.array([[1, 2], [0, -1], [3, 0], [1, 1]], "float32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    losses = model.fit(X, truth, epochs=60, batch_size=10, verbose=0).history["loss"]
    assert losses[-1] < 1e-3 < losses[0]


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_two_runs_give_the_same_bits(shuffle):
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(42)
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(8), layers.Dropout(0.3), layers.Dense(2)]
        )
        model.compile("adam", "mse")
        history = model.fit(X, Y, epochs=3, batch_size=7, shuffle=shuffle, verbose=0)
        runs.append((history.history["loss"], model.get_weights()))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


def test_fit_goes_on_from_an_epoch():
    runs = []
    for parts in ([4], [2, 4]):
        keras.utils.set_random_seed(42)
        model = regression("adam")
        done, losses = 0, []
        for epochs in parts:
            history = model.fit(X, Y, epochs=epochs, initial_epoch=done, verbose=0)
            losses += history.history["loss"]
            done = epochs
        runs.append((losses, model.get_weights()))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


def test_no_epochs():
    model = regression()
    assert model.fit(X, Y, epochs=0, verbose=0).history == {}
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).history == {}


def test_validation():
    model = regression(metrics=["mae"])
    history = model.fit(
        X[:30], Y[:30], epochs=2, validation_data=(X[30:], Y[30:]), verbose=0
    ).history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    last = model.evaluate(X[30:], Y[30:], verbose=0)
    assert [history["val_loss"][-1], history["val_mae"][-1]] == last


def test_validation_split_equals_validation_data():
    runs = []
    for options in (
        {"x": X, "y": Y, "validation_split": 0.25},
        {"x": X[:30], "y": Y[:30], "validation_data": (X[30:], Y[30:])},
    ):
        keras.utils.set_random_seed(3)
        model = regression()
        runs.append(model.fit(**options, epochs=2, batch_size=8, verbose=0).history)
    assert runs[0] == runs[1]


def test_validation_weights_and_steps():
    model = regression()
    weight = np.zeros(N)
    history = model.fit(X, Y, validation_data=(X, Y, weight), verbose=0).history
    assert history["val_loss"] == [0]
    weight[10:] = 1
    history = model.fit(
        X,
        Y,
        validation_data=(X, Y, weight),
        validation_batch_size=10,
        validation_steps=1,
        verbose=0,
    ).history
    assert history["val_loss"] == [0]


@pytest.mark.parametrize(("frequency", "when"), [(2, [2, 4]), ([1, 4], [1, 4])])
def test_validation_frequency(frequency, when):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if "val_loss" in logs:
                seen.append(epoch + 1)

    regression().fit(
        X,
        Y,
        epochs=4,
        validation_data=(X, Y),
        validation_freq=frequency,
        callbacks=[Watch()],
        verbose=0,
    )
    assert seen == when


def test_validation_from_batches():
    model = regression()

    def batches():
        for start in range(0, N, 8):
            yield X[start : start + 8], Y[start : start + 8]

    class Loader:
        def __iter__(self):
            return batches()

    history = model.fit(X, Y, epochs=2, validation_data=Loader(), verbose=0).history
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(X, Y, verbose=0))


def test_generator_equals_arrays():
    def batches(epochs):
        for _ in range(epochs):
            for start in range(0, N, 8):
                yield X[start : start + 8].astype("float64"), Y[start : start + 8]

    first, second = regression(), regression()
    second.set_weights(first.get_weights())
    a = first.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0)
    b = second.fit(batches(3), epochs=3, steps_per_epoch=5, verbose=0)
    assert a.history == b.history
    assert_same(first.get_weights(), second.get_weights())
    assert first.evaluate(X, Y, batch_size=8, verbose=0) == second.evaluate(
        batches(1), verbose=0
    )
    np.testing.assert_array_equal(
        first.predict(X, batch_size=8, verbose=0),
        second.predict((batch[:1] for batch in batches(1)), verbose=0),
    )


def test_generator_that_runs_out_ends_training():
    model = regression()
    batches = ((X, Y) for _ in range(5))
    with pytest.warns(UserWarning, match="2 batches were wanted for an epoch, 1 came"):
        history = model.fit(batches, epochs=9, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert int(model.optimizer.iterations) == 5
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(((X, Y) for _ in range(5)), epochs=2, verbose=0)
    assert history.epoch == [0]


def test_generator_that_ends_exactly_with_an_epoch():
    model = regression()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(
            ((X, Y) for _ in range(4)), epochs=3, steps_per_epoch=2, verbose=0
        )
    assert history.epoch == [0, 1]


def test_steps_per_epoch_of_arrays():
    model = regression()
    model.fit(X, Y, batch_size=4, steps_per_epoch=3, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("rows", [1, 3, 33])
def test_small_and_partial_batches(rows):
    model = regression("adam", metrics=["mae"])
    history = model.fit(X[:rows], Y[:rows], epochs=2, verbose=0)
    assert all(np.isfinite(v).all() for v in history.history.values())
    assert model.predict(X[:rows], batch_size=2, verbose=0).shape == (rows, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 1.5}, TypeError, "epochs to be an integer, got 1.5"),
        ({"epochs": -1}, ValueError, "epochs to be at least 0"),
        ({"batch_size": -2}, ValueError, "batch_size to be at least 1"),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch"),
        ({"validation_split": 1.0}, ValueError, "validation_split < 1"),
        ({"validation_split": -0.1}, ValueError, "validation_split < 1"),
        ({"validation_split": "0.2"}, TypeError, "validation_split to be a number"),
        ({"validation_freq": 0}, ValueError, "validation_freq"),
        ({"validation_steps": "all"}, TypeError, "validation_steps"),
        ({"validation_data": (X, Y[:5])}, ValueError, "x has 40, y has 5"),
        ({"validation_data": (X[:, :2], Y)}, ValueError, "shape"),
        ({"validation_data": (X, Y, Y, Y)}, ValueError, "4 items"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight has 3"),
        ({"sample_weight": np.ones((N, 3))}, ValueError, "shape"),
        ({"y": None}, ValueError, "loss 'mse' needs targets, but y is missing"),
        ({"y": Y[:7]}, ValueError, "x has 40, y has 7"),
        ({"y": np.ones((N, 5))}, ValueError, r"\(32, 5\).*\(32, 2\)"),
        ({"x": X[:, :3]}, ValueError, "shape"),
        ({"x": X.astype(str)}, TypeError, "x to hold numbers"),
        ({"y": [Y, Y]}, ValueError, r"1 output\(s\).*holds 2"),
    ],
)
def test_bad_arguments_change_nothing(options, error, message, tmp_path):
    model = regression("adam")
    model.fit(X, Y, verbose=0)
    before = state_of(model)
    log = tmp_path / "log.csv"
    log.write_text("old")
    with pytest.raises(error, match=message):
        model.fit(
            **{"x": X, "y": Y, "verbose": 0, **options},
            callbacks=[keras.callbacks.CSVLogger(log)],
        )
    assert_same(state_of(model), before)
    assert log.read_text() == "old"
    model.fit(X, Y, verbose=0)


def test_split_of_a_generator_is_refused():
    with pytest.raises(ValueError, match="validation_split needs arrays"):
        regression().fit(((X, Y) for _ in range(1)), validation_split=0.5)


def test_a_later_batch_that_does_not_fit_leaves_whole_steps():
    model = regression("adam")
    reference = regression("adam")
    reference.set_weights(model.get_weights())
    reference.train_on_batch(X, Y)
    with pytest.raises(ValueError, match="shape"):
        model.fit(iter([(X, Y), (X, Y[:, :1].repeat(3, 1))]), verbose=0)
    assert_same(state_of(model), state_of(reference))


# --- interruption -------------------------------------------------------------


def interrupted_at(monkeypatch, model, count):
    """Run `fit` and raise KeyboardInterrupt at the `count`-th assignment."""
    done = [0]
    assign = keras.Variable.assign

    def interrupting(self, value):
        done[0] += 1
        if done[0] == count:
            raise KeyboardInterrupt
        return assign(self, value)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Variable, "assign", interrupting)
        try:
            model.fit(X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
        except KeyboardInterrupt:
            return True
    return False


def test_interruption_leaves_whole_steps(monkeypatch):
    def fresh():
        keras.utils.set_random_seed(1)
        model = regression("adam")
        model.optimizer.build(model.trainable_variables)
        model.run_eagerly = True  # a native step assigns nothing in Python
        return model

    reference, whole = fresh(), []
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: whole.append(state_of(reference))
    )
    whole.append(state_of(reference))
    reference.fit(
        X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0, callbacks=[keep]
    )
    count, seen = 1, set()
    while True:
        model = fresh()
        if not interrupted_at(monkeypatch, model, count):
            break
        step = int(model.optimizer.iterations)
        assert_same(state_of(model), whole[step])
        seen.add(step)
        count += 7
    assert seen >= {0, 1, 2, 3}


def test_model_is_usable_after_an_interruption():
    class Interrupt(keras.callbacks.Callback):
        ended = False

        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

        def on_train_end(self, logs=None):
            self.ended = True

    model, callback = regression("adam"), Interrupt()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[callback])
    assert not callback.ended
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2
    model.predict(X, verbose=0)


# --- memory -------------------------------------------------------------------


def test_steps_leave_no_garbage():
    model = regression("adam", metrics=["mae"])
    run = [
        lambda: model.fit(X, Y, batch_size=4, epochs=2, verbose=0),
        lambda: model.evaluate(X, Y, verbose=0),
        lambda: model.predict(X, verbose=0),
        lambda: model.train_on_batch(X, Y),
    ]
    for step in run:
        step()
    gc.collect()
    gc.disable()
    try:
        for step in run:
            step()
            step()
            assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_is_flat():
    x, y = np.ones((N, 4)), np.ones((N, 100))
    model = mlp(100, optimizer="adam", loss="mse", metrics=["mae"])

    def run():
        for _ in range(10):
            model.fit(x, y, batch_size=20, verbose=0)
            model.evaluate(x, y, verbose=0)
            model.predict(x, verbose=0)
        gc.collect()
        return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run(), run()
        (objects, size), (later_objects, later_size) = run(), run()
    finally:
        tracemalloc.stop()
    assert later_objects <= objects
    # Less than two batches of targets; caches of the interpreter still fill.
    assert later_size - size < 15_000
