"""Callbacks: when they run and what they do."""

from __future__ import annotations

import numpy as np
import pytest
from fitting import Scripted, X, Y, fit, make_model

import cnn_core as keras


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.events = []


def _recording(name):
    def hook(self, *args, **kwargs):
        self.events.append((name.removeprefix("on_"), *args, *kwargs.values()))

    return hook


for _name in vars(keras.callbacks.Callback):
    if _name.startswith("on_"):
        setattr(Recorder, _name, _recording(_name))


# --- hooks --------------------------------------------------------------------


def test_order_of_hooks():
    recorder = Recorder()
    fit(make_model(), recorder, epochs=1, validation_data=(X[:4], Y[:4]))
    assert [event[0] for event in recorder.events] == [
        "train_begin",
        "epoch_begin",
        "train_batch_begin",
        "train_batch_end",
        "train_batch_begin",
        "train_batch_end",
        "test_begin",
        "test_batch_begin",
        "test_batch_end",
        "test_end",
        "epoch_end",
        "train_end",
    ]


def test_logs_of_hooks():
    recorder = Recorder()
    model = make_model(metrics=["mae"])
    fit(model, recorder, epochs=2, validation_data=(X, Y))
    for event in recorder.events:
        kind, logs = event[0], event[-1]
        if kind == "train_batch_end":
            assert list(logs) == ["loss", "mae"]
            assert all(type(value) is float for value in logs.values())
        elif kind == "epoch_end":
            assert list(logs) == ["loss", "mae", "val_loss", "val_mae"]
        elif kind == "test_end":
            assert list(logs) == ["loss", "mae"]
        elif kind == "train_end":
            assert set(logs) == {"loss", "mae", "val_loss", "val_mae"}
        elif kind.endswith("begin"):
            assert not logs


def test_batch_and_epoch_numbers():
    recorder = Recorder()
    fit(make_model(), recorder, epochs=3, initial_epoch=1)
    epochs = [e[1] for e in recorder.events if e[0] == "epoch_begin"]
    batches = [e[1] for e in recorder.events if e[0] == "train_batch_end"]
    assert epochs == [1, 2]
    assert batches == [0, 1, 0, 1]


def test_old_names_of_batch_hooks():
    seen = []

    class Old(keras.callbacks.Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("end", batch, sorted(logs)))

    fit(make_model(), Old(), epochs=1)
    assert seen == [
        ("begin", 0),
        ("end", 0, ["loss"]),
        ("begin", 1),
        ("end", 1, ["loss"]),
    ]


def test_hooks_of_evaluate_and_predict():
    recorder = Recorder()
    model = make_model()
    model.evaluate(X, Y, verbose=0, callbacks=[recorder])
    model.predict(X, verbose=0, callbacks=[recorder])
    kinds = [event[0] for event in recorder.events]
    assert kinds[:4] == ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    assert kinds[4:] == [
        "predict_begin",
        "predict_batch_begin",
        "predict_batch_end",
        "predict_end",
    ]
    outputs = next(e[-1] for e in recorder.events if e[0] == "predict_batch_end")
    np.testing.assert_array_equal(outputs["outputs"], model.predict(X, verbose=0))


def test_params_and_model():
    recorder = Recorder()
    model = make_model()
    fit(model, recorder, epochs=2)
    assert recorder.model is model
    assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}


def test_logs_are_floats_only_where_somebody_looks(monkeypatch):
    calls = []
    original = keras.callbacks.pythonify_logs
    monkeypatch.setattr(
        "cnn_core.callbacks.callback_list.pythonify_logs",
        lambda logs: calls.append(1) or original(logs),
    )
    fit(make_model(), epochs=1, batch_size=1)
    without = len(calls)
    fit(make_model(), Recorder(), epochs=1, batch_size=1)
    assert len(calls) >= without + len(X)
    assert without < 10


def test_a_callback_for_the_model_not_an_instance():
    with pytest.raises(TypeError, match="Callback instances"):
        fit(make_model(), keras.callbacks.History)
    with pytest.raises(TypeError, match="Callback instances, got 3"):
        fit(make_model(), 3)


def test_callback_list_by_hand():
    recorder = Recorder()
    callbacks = keras.callbacks.CallbackList(
        [recorder], add_history=True, model=make_model(), epochs=1
    )
    later = Recorder()
    callbacks.append(later)
    callbacks.on_train_begin()
    callbacks.on_train_batch_end(0, {"loss": keras.ops.ones(())})
    callbacks.on_epoch_end(0, {"loss": np.float32(2)})
    callbacks.on_train_end()
    assert recorder.events[1] == ("train_batch_end", 0, {"loss": 1.0})
    assert later.events == recorder.events
    assert callbacks.history.history == {"loss": [2.0]}


def test_pythonify_logs():
    logs = {"b": keras.ops.ones(()), "a": {"d": 1, "c": np.float64(2)}, "e": np.ones(2)}
    result = keras.callbacks.pythonify_logs(logs)
    assert list(result) == ["c", "d", "b", "e"]
    assert result["c"] == 2.0
    assert result["e"].shape == (2,)


def test_stop_training_within_an_epoch():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    recorder = Recorder()
    history = fit(make_model(), Stop(), recorder, epochs=5)
    assert len(history.history["loss"]) == 1
    assert sum(e[0] == "train_batch_end" for e in recorder.events) == 1
    assert recorder.events[-1][0] == "train_end"


def test_stop_evaluating_and_predicting():
    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = True

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = True

    model, stop = make_model(), [Stop()]
    whole = model.predict(X, verbose=0)
    part = model.predict(X, batch_size=4, verbose=0, callbacks=stop)
    np.testing.assert_array_equal(part, whole[:4])
    loss = model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=stop)
    assert loss == pytest.approx(model.evaluate(X[:4], Y[:4], verbose=0))


# --- History and LambdaCallback -----------------------------------------------


def test_history():
    model = make_model()
    history = fit(model, epochs=3)
    assert history is model.history
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss"]
    losses = history.history["loss"]
    assert losses[0] > losses[1] > losses[2]


def test_own_history_goes_on():
    history, model = keras.callbacks.History(), make_model()
    assert fit(model, history, epochs=2) is history
    fit(model, history, epochs=3, initial_epoch=2)
    assert len(history.history["loss"]) == 3
    assert history.epoch == [2]


def test_lambda_callback():
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"),
        on_train_batch_end=lambda batch, logs: seen.append((batch, sorted(logs))),
        on_epoch_end=lambda epoch, logs: seen.append(epoch),
        on_test_end=None,
    )
    fit(make_model(), callback, epochs=1)
    assert seen == ["begin", (0, ["loss"]), (1, ["loss"]), 0]
    with pytest.raises(ValueError, match="did you mean 'on_epoch_end'"):
        keras.callbacks.LambdaCallback(on_epoch_ends=print)


# --- EarlyStopping ------------------------------------------------------------


def stopped_after(values, **options):
    """Number of epochs run when the monitored value takes the given course."""
    options = {"monitor": "score", "mode": "min", **options}
    callback = keras.callbacks.EarlyStopping(**options)
    history = fit(make_model(), Scripted(score=values), callback, epochs=len(values))
    return len(history.history["loss"]), callback


def test_early_stopping():
    assert stopped_after([3, 2, 2.5, 1, 0])[0] == 3
    assert stopped_after([3, 2, 2.5, 1, 1.5, 1.2], patience=2)[0] == 6
    assert stopped_after([1, 2, 3, 3, 4], mode="max")[0] == 4
    assert stopped_after([3, 2, 1])[1].stopped_epoch == 0


def test_early_stopping_never_after_the_first_epoch():
    assert stopped_after([1, 2, 3])[0] == 2


def test_early_stopping_min_delta():
    assert stopped_after([3, 2.95, 2.9], min_delta=0.1)[0] == 2
    assert stopped_after([3, 2.8, 2.6], min_delta=0.1)[0] == 3


def test_early_stopping_baseline():
    # Improvements below the baseline do not start patience anew.
    assert stopped_after([5, 4, 3, 2.9], baseline=1.0, patience=2)[0] == 4
    count, _ = stopped_after([5, 4.5, 5, 5, 5], baseline=1.0, patience=2)
    assert count == 3


def test_early_stopping_start_from_epoch():
    assert stopped_after([1, 2, 3, 4, 5], start_from_epoch=3)[0] == 5
    assert stopped_after([1, 2, 3, 4, 5], start_from_epoch=2)[0] == 4


def test_early_stopping_nan_is_no_improvement():
    count, callback = stopped_after([np.nan, 2, 1, np.nan, 3], patience=2)
    assert count == 5
    assert callback.best == 1


def test_early_stopping_restores_the_best_weights():
    model, weights = make_model(), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        "score", mode="min", patience=2, restore_best_weights=True
    )
    fit(model, keep, Scripted(score=[3, 1, 2, 2, 0]), stop, epochs=5)
    assert len(weights) == 4
    assert stop.best_epoch == 1
    for got, best, last in zip(
        model.get_weights(), weights[1], weights[-1], strict=True
    ):
        np.testing.assert_array_equal(got, best)
        assert not np.array_equal(got, last)


def test_early_stopping_restores_without_stopping():
    model, weights = make_model(), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        "score", mode="min", patience=9, restore_best_weights=True
    )
    fit(model, keep, Scripted(score=[1, 2, 3]), stop)
    np.testing.assert_array_equal(model.get_weights()[0], weights[0][0])


def test_early_stopping_can_be_used_again():
    stop = keras.callbacks.EarlyStopping("loss", patience=1)
    model = make_model()
    fit(model, stop, epochs=2)
    first = stop.best
    model.set_weights([w + 100 for w in model.get_weights()])
    assert len(fit(model, stop, epochs=3).history["loss"]) == 3
    assert stop.best > first


def test_early_stopping_prints(capsys):
    stop = keras.callbacks.EarlyStopping(
        "score", mode="min", verbose=1, restore_best_weights=True
    )
    fit(make_model(), Scripted(score=[1, 2, 3]), stop)
    out = capsys.readouterr().out
    assert "Epoch 2: early stopping" in out
    assert "weights of epoch 1" in out


def test_unknown_monitor_warns_and_names_what_there_is():
    model = make_model(metrics=["mae"])
    with pytest.warns(UserWarning, match="no result 'val_loss'.*available: loss, mae"):
        fit(model, keras.callbacks.EarlyStopping(), epochs=1)


def test_direction_is_taken_from_the_metric():
    model = make_model(metrics=["mae", keras.metrics.R2Score(name="fit")])
    callbacks = [
        keras.callbacks.EarlyStopping(name, patience=9) for name in ("mae", "val_fit")
    ]
    fit(model, *callbacks, validation_data=(X, Y))
    for callback, key, best in zip(
        callbacks, ("mae", "val_fit"), (min, max), strict=True
    ):
        assert callback.best == best(model.history.history[key])


def test_unknown_direction_is_an_error():
    stop = keras.callbacks.EarlyStopping("score")
    with pytest.raises(ValueError, match="use mode='min' or mode='max'"):
        fit(make_model(), Scripted(score=[1, 2, 3]), stop)
    with pytest.warns(UserWarning, match="mode 'least'"):
        keras.callbacks.EarlyStopping("loss", mode="least")


# --- TerminateOnNaN -----------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_terminate_on_nan(bad, capsys):
    y = Y.copy()
    y[8] = bad
    model = make_model()
    history = model.fit(
        X,
        y,
        batch_size=4,
        epochs=5,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    assert len(history.epoch) == 1
    assert "Batch 2: the loss is" in capsys.readouterr().out
    assert int(model.optimizer.iterations) == 3


def test_terminate_on_nan_with_an_error():
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="loss is nan at batch 0"):
        make_model().fit(
            X,
            Y * np.nan,
            verbose=0,
            callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True), recorder],
        )
    assert "train_end" not in [event[0] for event in recorder.events]


def test_nan_goes_through_without_the_callback():
    history = make_model().fit(X, Y * np.nan, verbose=0, epochs=2)
    assert all(np.isnan(history.history["loss"]))


# --- learning rates -----------------------------------------------------------


def test_learning_rate_scheduler(capsys):
    model = make_model(0.5)
    schedule = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * 0.5 if epoch else rate, verbose=1
    )
    history = fit(model, schedule)
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]
    assert float(model.optimizer.learning_rate) == 0.125
    assert "Epoch 2: the learning rate is 0.25" in capsys.readouterr().out


def test_learning_rate_scheduler_of_the_epoch_only():
    model = make_model()
    fit(model, keras.callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 2)))
    assert float(model.optimizer.learning_rate) == 0.25


@pytest.mark.parametrize("wrong", [None, 1, "0.1", True, np.ones(2)])
def test_learning_rate_scheduler_wants_a_float(wrong):
    with pytest.raises(ValueError, match="return a float"):
        fit(make_model(), keras.callbacks.LearningRateScheduler(lambda e, r: wrong))


def test_learning_rate_scheduler_type_errors_are_not_hidden():
    def broken(epoch, rate):
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        fit(make_model(), keras.callbacks.LearningRateScheduler(broken))


def test_reduce_on_plateau(capsys):
    model = make_model(1.0)
    reduce = keras.callbacks.ReduceLROnPlateau(
        "score", factor=0.5, patience=2, mode="min", verbose=1, min_delta=0
    )
    history = fit(model, Scripted(score=[3, 3, 3, 2, 2, 2]), reduce, epochs=6)
    # Logged before it is lowered.
    assert history.history["learning_rate"] == [1, 1, 1, 0.5, 0.5, 0.5]
    assert float(model.optimizer.learning_rate) == 0.25
    assert "Epoch 3: 'score' no longer improves" in capsys.readouterr().out


def test_reduce_on_plateau_cooldown_and_min():
    model = make_model(1.0)
    reduce = keras.callbacks.ReduceLROnPlateau(
        "score", factor=0.5, patience=1, mode="min", cooldown=2, min_lr=0.3
    )
    history = fit(model, Scripted(score=[1] * 8), reduce, epochs=8)
    rates = history.history["learning_rate"]
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3])


def test_reduce_on_plateau_errors():
    with pytest.raises(ValueError, match=r"less than 1, got 1\.5"):
        keras.callbacks.ReduceLROnPlateau(factor=1.5)
    with pytest.warns(UserWarning, match="available: loss, learning_rate"):
        fit(make_model(), keras.callbacks.ReduceLROnPlateau(), epochs=1)
