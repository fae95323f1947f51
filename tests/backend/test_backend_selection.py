"""Which backend is chosen, what it says, how it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn_core.backend
from cnn_core import backend, config
from cnn_core.backend import reference

PACKAGE = Path(cnn_core.backend.__file__).parents[1]


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run Python code with `folder` first on the path and only these settings.

    Without site (-S), so that an editable install cannot lend its extension.
    """
    settings = {k: v for k, v in os.environ.items() if not k.startswith("CNN_CORE_")}
    path = os.pathsep.join([str(folder), str(Path(np.__file__).parents[1])])
    settings |= {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", **environment}
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=settings,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """A folder with the floors up to the backend, and no extension module."""
    package = tmp_path / "cnn_core"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("config.py", "shapes.py"):
        shutil.copy(PACKAGE / name, package / name)
    shutil.copytree(
        PACKAGE / "backend",
        package / "backend",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


NAME = "from cnn_core import backend; print(backend.name())"


def test_pure_install_is_quiet(pure):
    result = run(NAME, pure)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "reference"
    assert result.stderr == ""


def test_unbuilt_source_tree_warns_once(pure):
    (pure / "pyext").mkdir()
    code = f"{NAME}\nimport cnn_core.backend.selection"
    result = run(code, pure)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "reference"
    assert result.stderr.count("RuntimeWarning") == 1
    assert "pip install ." in result.stderr
    asked_for = run(code, pure, CNN_CORE_BACKEND="reference")
    assert asked_for.stderr == ""


def test_forced_compiled_without_extension(pure):
    result = run(NAME, pure, CNN_CORE_BACKEND="compiled")
    assert result.returncode != 0
    assert "ImportError: CNN_CORE_BACKEND=compiled" in result.stderr
    assert "pip install ." in result.stderr


def test_unknown_backend(pure):
    result = run(NAME, pure, CNN_CORE_BACKEND="compild")
    assert result.returncode != 0
    assert "ValueError" in result.stderr and "'compiled'" in result.stderr


@pytest.mark.parametrize("forced", ["", "compiled"])
def test_broken_extension_is_not_hidden(pure, forced):
    (pure / "cnn_core" / "_native.py").write_text("import module_that_is_missing\n")
    result = run(NAME, pure, CNN_CORE_BACKEND=forced)
    assert result.returncode != 0
    assert "ModuleNotFoundError: No module named 'module_that_is_missing'" in (
        result.stderr
    )


FAKE_NATIVE = """
def bind_reference(namespace):
    global bound
    bound = namespace
def relu(x):
    return "native relu"
def isa(): return "fake"
def available_isas(): return ["fake", "baseline"]
def num_threads(): return threads
def set_num_threads(n):
    global threads
    threads = n
def set_matmul_parts(n):
    global parts
    parts = n
threads, parts = 5, 3
"""


def test_native_functions_replace_their_twins(pure):
    (pure / "cnn_core" / "_native.py").write_text(FAKE_NATIVE)
    code = """
from cnn_core import _native, backend, config
from cnn_core.backend import reference
assert backend.name() == "compiled"
assert backend.relu(1) == "native relu"
assert backend.elu is reference.elu
assert _native.bound.elu is reference.elu
assert backend.num_threads() == config.num_threads() == 5
config.set_num_threads(3)
assert _native.threads == 3
info = backend.info()
assert info["backend"] == "compiled" and info["isa"] == "fake"
assert info["available_isas"] == ["fake", "baseline"] and info["threads"] == 3
assert config.matmul_parts() == _native.parts == 3
for precision, parts in (("high", 2), ("medium", 1), ("highest", 3)):
    config.set_float32_matmul_precision(precision)
    assert _native.parts == parts
config.set_portable_bits(True)
assert _native.parts == 0
config.set_float32_matmul_precision("medium")
assert _native.parts == 0
config.set_portable_bits(False)
assert _native.parts == 1
"""
    result = run(code, pure)
    assert result.returncode == 0, result.stderr
    result = run(NAME, pure, CNN_CORE_BACKEND="reference")
    assert result.stdout.strip() == "reference"


def test_reference_threads(pure):
    code = "from cnn_core import backend; print(backend.num_threads())"
    result = run(code, pure, CNN_CORE_NUM_THREADS="3")
    assert result.stdout.strip() == "3"
    for wrong in ("0", "-1", "two", "1.5"):
        result = run(code, pure, CNN_CORE_NUM_THREADS=wrong)
        assert result.returncode != 0
        assert "ValueError: CNN_CORE_NUM_THREADS" in result.stderr


def test_portable_bits_from_the_environment(pure):
    code = """
from cnn_core import backend, config
info = backend.info()
print(config.portable_bits(), info["portable_bits"], info["float32_matmul_precision"])
"""
    for value, expected in (("1", True), ("0", False), ("", False)):
        result = run(code, pure, CNN_CORE_PORTABLE_BITS=value)
        assert result.stdout.split() == [str(expected)] * 2 + ["highest"], result.stderr
    (pure / "cnn_core" / "_native.py").write_text(FAKE_NATIVE)
    code = "from cnn_core import _native, backend; print(_native.parts)"
    assert run(code, pure, CNN_CORE_PORTABLE_BITS="1").stdout.strip() == "0"
    assert run(code, pure).stdout.strip() == "3"
    for wrong in ("true", "2"):
        result = run(code, pure, CNN_CORE_PORTABLE_BITS=wrong)
        assert result.returncode != 0
        assert f"PORTABLE_BITS: expected 1 or 0, got '{wrong}'" in result.stderr


def test_import_loads_only_numpy_and_the_standard_library(pure):
    code = """
import sys
import numpy
before = set(sys.modules)
from cnn_core import backend
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names)))
"""
    assert run(code, pure).stdout.strip() == "['cnn_core']"


def test_set_num_threads_checks_and_remembers():
    before = backend.num_threads()
    assert before >= 1
    try:
        backend.set_num_threads(np.int64(1))
        assert backend.num_threads() == config.num_threads() == 1
        for wrong in (0, -2):
            with pytest.raises(ValueError, match="at least 1"):
                backend.set_num_threads(wrong)
        for wrong in (1.0, "2", True, None):
            with pytest.raises(TypeError, match="integer"):
                backend.set_num_threads(wrong)
        assert backend.num_threads() == 1
    finally:
        backend.set_num_threads(before)


def test_precision_of_products_checks_and_remembers():
    assert config.float32_matmul_precision() == "highest"
    assert config.portable_bits() is False
    try:
        for precision in ("high", "medium", "highest"):
            changes = config.changes()
            config.set_float32_matmul_precision(precision)
            assert config.float32_matmul_precision() == precision
            assert backend.info()["float32_matmul_precision"] == precision
            assert config.changes() > changes
        for wrong in ("higher", "HIGH", "", 3, None, ["high"]):
            with pytest.raises(
                ValueError, match="set_float32_matmul_precision: expected one of highes"
            ):
                config.set_float32_matmul_precision(wrong)
        assert config.float32_matmul_precision() == "highest"
        changes = config.changes()
        config.set_portable_bits(True)
        assert config.portable_bits() is backend.info()["portable_bits"] is True
        assert config.changes() > changes
        for wrong in (1, 0, "True", None):
            with pytest.raises(TypeError, match="set_portable_bits: expected True or"):
                config.set_portable_bits(wrong)
        assert config.portable_bits() is True
    finally:
        config.set_float32_matmul_precision("highest")
        config.set_portable_bits(False)


def test_info():
    info = backend.info()
    assert info["backend"] == backend.name()
    assert info["numpy"] == np.__version__
    assert info["threads"] == backend.num_threads()
    assert "numpy" not in info["missing"]
    assert set(info) == {
        "version", "backend", "isa", "available_isas", "threads",
        "float32_matmul_precision", "portable_bits", "python", "numpy", "machine",
        "missing",
    }  # fmt: skip
    if backend.name() == "compiled":
        assert info["isa"] in info["available_isas"]
    else:
        assert info["isa"] is None and info["available_isas"] == []


def test_every_reference_function_is_a_documented_attribute():
    names = reference.FUNCTION_NAMES
    assert len(names) == len(set(names))
    for name in names:
        assert callable(getattr(backend, name))
        assert getattr(reference, name).__doc__
    assert set(names) <= set(backend.__all__)


def test_settings_that_keras_has_in_backend():
    for name in ("backend", "epsilon", "floatx", "image_data_format", "set_floatx"):
        assert getattr(backend, name) is getattr(config, name)
