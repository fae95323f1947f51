"""The command `cnn-core`."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import cli


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"cnn-core {keras.__version__}\n"


def test_info(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    found = keras.backend.info()
    assert f"cnn_core:        {keras.__version__}" in printed
    assert f"backend:         {found['backend']}" in printed
    assert f"numpy:           {np.__version__}" in printed
    assert f"threads:         {found['threads']}" in printed


def test_info_names_what_is_missing(capsys, monkeypatch):
    found = {**keras.backend.info(), "missing": ["matplotlib", "onnx"]}
    monkeypatch.setattr(keras.backend, "info", lambda: found)
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert (
        'missing:         matplotlib, for learning curves (pip install "cnn' in printed
    )
    assert "onnx" not in printed  # nothing here would use it


@pytest.mark.parametrize(
    ("isa", "portable", "line"),
    [
        ("amx", False, "products:        on tile units, high precision\n"),
        ("amx", True, "products:        portable bits, without tile units\n"),
        ("avx512", False, None),  # there is no choice
    ],
)
def test_info_on_products(capsys, monkeypatch, isa, portable, line):
    found = keras.backend.info() | {
        "isa": isa, "portable_bits": portable, "float32_matmul_precision": "high"
    }  # fmt: skip
    monkeypatch.setattr(keras.backend, "info", lambda: found)
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert (line in printed) if line else ("products" not in printed)


def test_no_command_prints_help(capsys):
    assert cli.main([]) == 2
    assert "usage: cnn-core" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["digits", "--epochs", "0"],
        ["digits", "--epochs", "x"],
        ["digits", "--seed", "-1"],
        ["digits", "--seed", str(2**32)],
    ],
)
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "cnn-core" in capsys.readouterr().err


def test_digits(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert cli.main(["digits", "--epochs", "2", "--seed", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert 'Model: "digits"' in printed
    assert "of 359 images" in printed
    assert (out / "digits.keras").stat().st_size > 300_000
    model = keras.saving.load_model(out / "digits.keras")
    (_, _), (x, y) = keras.datasets.digits.load_data()
    accuracy = (model.predict(x, verbose=0).argmax(-1) == y).mean()
    assert f"test accuracy: {accuracy:.2%} of" in printed
    assert accuracy > 0.8


def test_digits_are_repeatable(tmp_path, capsys):
    files = []
    for name in ("a", "b"):
        out = tmp_path / name
        options = ["--epochs", "1", "--quiet", "--out", str(out)]
        assert cli.main(["digits", *options]) == 0
        model = keras.saving.load_model(out / "digits.keras")
        files.append(model.get_weights())
    for first, second in zip(*files, strict=True):
        np.testing.assert_array_equal(first, second)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2  # --quiet: one line for each run
    assert lines[0] == lines[1]


def test_curve_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert cli.main(["digits", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert "learning curve: " in capsys.readouterr().out


def test_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["digits", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert 'pip install "cnn_core[plot]"' in capsys.readouterr().out
    assert not (tmp_path / "digits.png").exists()


def test_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["digits", "--out", str(tmp_path / "file")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cnn-core digits: ")
    assert error.count("\n") == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_folder_that_is_not_writable(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert cli.main(["digits", "--out", str(tmp_path)]) == 1
    assert "Permission denied" in capsys.readouterr().err


def test_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "cnn_core", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"cnn-core {keras.__version__}\n"
