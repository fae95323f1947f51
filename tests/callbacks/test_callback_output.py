"""Callbacks that write: files, lines and the progress bar."""

from __future__ import annotations

import contextlib
import csv
import io

import numpy as np
import pytest
from fitting import Scripted, X, Y, fit, make_model

import cnn_core as keras
from cnn_core.callbacks import progress
from cnn_core.callbacks.progress import format_logs, format_seconds

# --- CSVLogger ----------------------------------------------------------------


def read(path, **options):
    with open(path, newline="") as file:
        return list(csv.reader(file, **options))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(make_model(metrics=["mae"]), keras.callbacks.CSVLogger(path))
    table = read(path)
    assert table[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in table[1:]] == ["0", "1", "2"]
    assert [float(row[1]) for row in table[1:]] == history.history["loss"]
    assert table[1][3] == "NA"


def test_csv_logger_appends_or_starts_anew(tmp_path):
    path = tmp_path / "log.csv"
    model = make_model()
    for append, rows in ((False, 2), (True, 3), (True, 4), (False, 2)):
        logger = keras.callbacks.CSVLogger(path, separator=";", append=append)
        fit(model, logger, epochs=1)
        assert len(read(path, delimiter=";")) == rows


def test_csv_logger_is_complete_after_each_epoch(tmp_path):
    path, counts = tmp_path / "log.csv", []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: counts.append(len(read(path)))
    )
    fit(make_model(), keras.callbacks.CSVLogger(path), count)
    assert counts == [2, 3, 4]


def test_csv_logger_with_late_validation(tmp_path):
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(path)
    fit(make_model(), logger, epochs=2, validation_data=(X, Y), validation_freq=2)
    header, first, second = read(path)
    assert header == ["epoch", "loss", "val_loss"]
    assert first[2] == "NA"
    assert float(second[2]) > 0


# --- ModelCheckpoint ----------------------------------------------------------


@pytest.fixture
def saves(monkeypatch):
    """Paths that models are saved to, without writing anything."""
    paths = []
    for name in ("save", "save_weights"):
        monkeypatch.setattr(
            keras.Model,
            name,
            lambda self, path, overwrite, name=name: paths.append((name, path)),
        )
    return paths


def test_checkpoint_every_epoch(saves, tmp_path):
    path = str(tmp_path / "new" / "{epoch:02d}-{loss:.3f}.keras")
    history = fit(make_model(), keras.callbacks.ModelCheckpoint(path), epochs=2)
    losses = history.history["loss"]
    assert saves == [
        ("save", str(tmp_path / "new" / f"0{i + 1}-{losses[i]:.3f}.keras"))
        for i in range(2)
    ]
    assert (tmp_path / "new").is_dir()


def test_checkpoint_best_only(saves, tmp_path, capsys):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5",
        monitor="score",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
        verbose=1,
    )
    fit(make_model(), Scripted(score=[1, 3, 2, 4]), checkpoint, epochs=4)
    assert [(n, p.rpartition("/")[2]) for n, p in saves] == [
        ("save_weights", f"{epoch}.weights.h5") for epoch in (1, 2, 4)
    ]
    out = capsys.readouterr().out
    assert "Epoch 2: 'score' improved from 1.00000 to 3.00000" in out
    assert "Epoch 3: 'score' did not improve from 3.00000" in out


def test_checkpoint_threshold(saves, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.keras",
        "score",
        save_best_only=True,
        mode="min",
        initial_value_threshold=2.5,
    )
    fit(make_model(), Scripted(score=[3, 2.6, 2]), checkpoint)
    assert [path.rpartition("/")[2] for _, path in saves] == ["3.keras"]


def test_checkpoint_after_batches(saves, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}.keras", save_freq=3
    )
    fit(make_model(), checkpoint, epochs=3, batch_size=4)
    assert [path.rpartition("/")[2] for _, path in saves] == [
        "1-3.keras",
        "2-2.keras",
        "3-1.keras",
        "3-4.keras",
    ]


def test_checkpoint_without_its_result_saves_and_warns(saves, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "m.keras", save_best_only=True
    )
    with pytest.warns(UserWarning, match="no result 'val_loss'"):
        fit(make_model(), checkpoint, epochs=1)
    assert len(saves) == 1


def test_checkpoint_errors(saves, tmp_path):
    with pytest.raises(ValueError, match=r"end in '\.keras'.*got 'model\.pt'"):
        keras.callbacks.ModelCheckpoint("model.pt")
    with pytest.raises(ValueError, match=r"end in '\.weights\.h5'"):
        keras.callbacks.ModelCheckpoint("model.keras", save_weights_only=True)
    with pytest.raises(ValueError, match="save_freq to be 'epoch'"):
        keras.callbacks.ModelCheckpoint("model.keras", save_freq="batch")
    with pytest.raises(KeyError, match=r"field 'val_acc'.*available: epoch, loss"):
        fit(make_model(), keras.callbacks.ModelCheckpoint("{val_acc}.keras"))
    (tmp_path / "m.keras").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        fit(make_model(), keras.callbacks.ModelCheckpoint(tmp_path / "m.keras"))


def test_checkpoint_files_load(tmp_path):
    path = tmp_path / "best.keras"
    model = make_model()
    fit(model, keras.callbacks.ModelCheckpoint(path, "loss", save_best_only=True))
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(
        loaded.predict(X, verbose=0), model.predict(X, verbose=0)
    )
    assert [p.name for p in tmp_path.iterdir()] == ["best.keras"]


# --- progress -----------------------------------------------------------------


def test_lines_in_a_log_file(capsys):
    model = make_model()
    fit(model, epochs=2, verbose=1, validation_data=(X, Y))
    fit(model, epochs=1, verbose="auto")
    model.evaluate(X, Y, verbose=1)
    model.predict(X, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("Epoch 1/2 - 2/2 - ")
    assert " - loss: " in lines[1]
    assert " - val_loss: " in lines[1]
    assert lines[2].startswith("2/2 - ")
    assert "loss: " in lines[3]
    assert "loss" not in lines[4]
    assert lines[4].endswith("/step")


def test_silence(capsys):
    model = make_model()
    fit(model, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_wrong_verbosity(verbose):
    with pytest.raises(ValueError, match="verbose to be 'auto', 0, 1 or 2"):
        fit(make_model(), verbose=verbose)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@contextlib.contextmanager
def terminal():
    """A terminal in place of standard output."""
    variables = ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE")
    with pytest.MonkeyPatch.context() as patch:
        for name in variables:
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "200")
        with contextlib.redirect_stdout(Terminal()) as screen:
            yield screen


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_bar_on_a_terminal():
    with terminal() as output:
        fit(make_model(), epochs=2, verbose=1)
    screen = output.getvalue()
    assert "Epoch 1/2" in screen
    assert "2/2" in screen
    assert "loss: " in screen
    assert screen.count(HIDE) == screen.count(SHOW) == 2


def test_interruption_gives_the_terminal_back():
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with terminal() as output, pytest.raises(KeyboardInterrupt):
        fit(make_model(), callback, verbose=1)
    screen = output.getvalue()
    assert screen.count(HIDE) == screen.count(SHOW) == 1
    assert progress._open_bar is None


def test_messages_and_runs_inside_a_bar():
    def inside(batch, logs):
        progress.print_message(f"[bold] batch {batch}")
        model.predict(X, verbose=1)

    model = make_model()
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=inside)
    with terminal() as output:
        fit(model, callback, verbose=1)
    screen = output.getvalue()
    assert "[bold] batch 1" in screen
    assert screen.count(HIDE) == screen.count(SHOW) == 3


def test_bar_of_unknown_length():
    with terminal() as output:
        make_model().fit(((X, Y) for _ in range(3)), verbose=1)
    assert "3/3" in output.getvalue()


def test_formats():
    assert [format_seconds(s) for s in (2e-5, 0.0123, 7.2, 65, 3725)] == [
        "20us",
        "12ms",
        "7s",
        "1:05",
        "1:02:05",
    ]
    logs = {"a": 0.12345, "b": 2e-5, "c": np.float32(3), "d": "text", "e": 0.0}
    assert (
        format_logs(logs)
        == "a: 0.1235 - b: 2.0000e-05 - c: 3.0000 - d: text - e: 0.0000"
    )
