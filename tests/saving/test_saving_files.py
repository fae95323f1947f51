"""Files of models: names, arguments, and what happens to a file when saving fails."""

from __future__ import annotations

import errno
import os
import pathlib
import stat
import warnings
import zipfile

import pytest
from saved_models import (
    X,
    Y,
    assert_same,
    stack,
)

import cnn_core as keras
from cnn_core import layers, ops, saving

h5py = pytest.importorskip("h5py")


# --- arguments ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["m", "m.h5", "m.hdf5", "m.weights.h5", "m.keras.zip"])
def test_ending_of_models(name, tmp_path):
    with pytest.raises(ValueError, match=r"ends in '\.keras'"):
        stack().save(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"'\.keras'"):
        saving.load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["m", "m.h5", "m.keras"])
def test_ending_of_weights(name, tmp_path):
    with pytest.raises(ValueError, match=r"ends in '\.weights\.h5'"):
        stack().save_weights(tmp_path / name)
    if name != "m.keras":
        with pytest.raises(ValueError, match=r"'\.weights\.h5' or '\.keras'"):
            stack().load_weights(tmp_path / name)


def test_the_old_format_names_the_alternative(tmp_path):
    with pytest.raises(ValueError, match=r"open it with Keras 3 and save it as"):
        saving.load_model(tmp_path / "old.h5")
    with pytest.raises(ValueError, match="by_name"):
        stack().load_weights(tmp_path / "m.weights.h5", by_name=True)


def test_unknown_arguments(tmp_path):
    with pytest.raises(TypeError, match="save_format"):
        stack().save(tmp_path / "m.keras", save_format="h5")
    with pytest.raises(ValueError, match="zipped"):
        stack().save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(TypeError, match="objects"):
        stack().load_weights(tmp_path / "m.keras", objects=())


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_kinds_of_paths(kind, tmp_path):
    model = stack()
    model.save(kind(tmp_path / "m.keras"))
    assert_same(saving.load_model(kind(tmp_path / "m.keras")), model)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        saving.load_model(tmp_path / "m.keras")
    with pytest.raises(FileNotFoundError):
        stack().load_weights(tmp_path / "m.weights.h5")
    with pytest.raises(FileNotFoundError, match=r"folder '.*missing' does not exist"):
        stack().save(tmp_path / "missing" / "m.keras")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("TrueDivide", ops.divide),
        ("Abs", ops.absolute),
        ("BitwiseInvert", ops.bitwise_not),
        ("BitwiseLeftShift", ops.left_shift),
        ("Conjugate", ops.real),
        ("EmptyLike", ops.zeros_like),
    ],
)
def test_operations_with_two_names_in_files(name, function):
    loaded = saving.deserialize_keras_object(
        {
            "module": "keras.src.ops.numpy",
            "class_name": name,
            "config": {"name": "node"},
            "registered_name": name,
        }
    )
    assert loaded.function is function.__wrapped__
    assert loaded.name == "node"


def test_models_has_the_functions_of_files():
    assert keras.models.load_model is saving.load_model
    assert keras.models.save_model is saving.save_model
    assert "load_model" in dir(keras.models)


def test_unbuilt_models(tmp_path):
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="not built"):
        model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="not built"):
        model.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="not built"):
        model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert not loaded.built
    assert loaded(X).shape == (8, 3)


def test_lambdas_cannot_be_saved(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, lambda x: x)])
    with pytest.raises(ValueError, match="lambda"):
        model.save(tmp_path / "m.keras")


# --- the file itself ----------------------------------------------------------

SAVERS = pytest.mark.parametrize(
    ("name", "save"),
    [("m.keras", saving.save_model), ("m.weights.h5", saving.save_weights)],
)


@SAVERS
def test_no_overwriting_unless_allowed(name, save, tmp_path):
    (tmp_path / name).write_text("old")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save(stack(), tmp_path / name, overwrite=False)
    assert (tmp_path / name).read_text() == "old"
    save(stack(), tmp_path / name)
    assert (tmp_path / name).read_bytes() != b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@SAVERS
@pytest.mark.parametrize("function", ["fsync", "replace", "write"])
@pytest.mark.parametrize("existed", [False, True])
def test_full_disk(name, save, function, existed, tmp_path, monkeypatch):
    path = tmp_path / name
    if existed:
        path.write_text("old")

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if function == "write":
        original = open

        def failing_open(file, mode="r", *args, **kwargs):
            opened = original(file, mode, *args, **kwargs)
            return FullFile(opened) if "x" in mode else opened

        class FullFile:
            def __init__(self, file):
                self._file = file
                self._left = 100

            def write(self, data):
                self._left -= len(data)
                return self._file.write(data) if self._left > 0 else fail()

            def __getattr__(self, attribute):
                return getattr(self._file, attribute)

            def __enter__(self):
                return self

            def __exit__(self, *args):
                self._file.close()

        monkeypatch.setattr("builtins.open", failing_open)
    else:
        monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left"):
        save(stack(), path)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ([name] if existed else [])
    if existed:
        assert path.read_text() == "old"


@SAVERS
def test_interruption_leaves_the_old_file(name, save, tmp_path, monkeypatch):
    (tmp_path / name).write_text("old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(stack(), tmp_path / name)
    monkeypatch.undo()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions_and_links_are_kept(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "m.keras", tmp_path / "m.keras"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    stack().save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert zipfile.is_zipfile(target)
    umask = os.umask(0o027)
    try:
        stack().save(tmp_path / "new.keras")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new.keras").stat().st_mode) == 0o640


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        stack().save_weights(tmp_path / "m.weights.h5")


def test_saving_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = stack(compiled=True)
        model.train_on_batch(X, Y)
        model.save(tmp_path / "m.keras")
        saving.load_model(tmp_path / "m.keras")
