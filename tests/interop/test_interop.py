"""Files of cnn_core opened by real Keras, and files of real Keras opened here.

Needs Keras 3 in this interpreter, or another one that the environment variable
CNN_CORE_KERAS_PYTHON names; skipped otherwise.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn_core

HERE = Path(__file__).parent


def _keras_python() -> str | None:
    named = os.environ.get("CNN_CORE_KERAS_PYTHON")
    if named:
        return named
    return sys.executable if importlib.util.find_spec("keras") else None


def _load_models():
    spec = importlib.util.spec_from_file_location(
        "interop_models", HERE / "interop_models.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = _load_models()
CASE_NAMES = [f"{name}-{optimizer}" for name, optimizer in models.CASES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write all cases, let Keras check them and write its own."""
    python = _keras_python()
    if python is None:
        pytest.skip(
            "Keras is not installed; install it, or let CNN_CORE_KERAS_PYTHON name an "
            "interpreter that has it"
        )
    folder = tmp_path_factory.mktemp("interop")
    for name, optimizer in models.CASES:
        case = f"{name}-{optimizer}"
        model = models.make(cnn_core, name, optimizer)
        model.save(folder / f"{case}.keras")
        model.save_weights(folder / f"{case}.weights.h5")
        np.savez(folder / f"{case}.npz", **models.record(model))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [python, str(HERE / "keras_side.py"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "all cases agree" in result.stdout
    return folder


@pytest.mark.parametrize("kind", ["back", "own"])
@pytest.mark.parametrize("case", CASE_NAMES)
def test_files_of_keras(folder, case, kind):
    """`back` went from here to Keras and returns; `own` was made there."""
    expected = np.load(folder / f"{case}{'.own' * (kind == 'own')}.npz")
    loaded = cnn_core.saving.load_model(folder / f"{case}.{kind}.keras")
    models.assert_records(models.record(loaded), dict(expected))


@pytest.mark.parametrize("case", CASE_NAMES)
def test_weights_of_keras(folder, case):
    expected = dict(np.load(folder / f"{case}.own.npz"))
    model = models.BUILDERS[case.partition("-")[0]](cnn_core)
    model.load_weights(folder / f"{case}.own.weights.h5")
    weights = {k: v for k, v in expected.items() if not k.startswith("optimizer")}
    models.assert_records(models.record(model), weights)
