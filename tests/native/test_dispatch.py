"""The kernel table: choice of the instruction set, names, the way to the reference."""

from __future__ import annotations

import inspect
import os
import platform
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from cnn_core.backend import reference


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_available_isas_begin_with_baseline(native: ModuleType) -> None:
    names = native.available_isas()
    assert names[0] == "baseline"
    assert len(set(names)) == len(names)
    assert set(names) <= {"baseline", "avx2", "avx512", "amx", "neon"}


def test_which_instruction_sets_are_tested(native: ModuleType) -> None:
    wanted = {
        "x86_64": {"baseline", "avx2", "avx512", "amx"},
        "AMD64": {"baseline", "avx2", "avx512", "amx"},
        "aarch64": {"baseline", "neon"},
        "arm64": {"baseline", "neon"},
    }.get(platform.machine(), {"baseline"})
    missing = wanted - set(native.available_isas())
    if missing:
        pytest.skip(
            f"not tested, this machine lacks them: {', '.join(sorted(missing))}"
        )


def test_set_isa_switches_the_table(native: ModuleType, restore: None) -> None:
    for name in native.available_isas():
        native.set_isa(name)
        assert native.isa() == name


@pytest.mark.parametrize("name", ["sse9", "", "AVX2"])
def test_set_isa_refuses_unknown_names(native: ModuleType, name: str) -> None:
    before = native.isa()
    with pytest.raises(ValueError, match="is unknown; choose one of baseline"):
        native.set_isa(name)
    assert native.isa() == before


def test_set_isa_refuses_what_the_machine_lacks(native: ModuleType) -> None:
    for name in {"avx2", "avx512", "amx", "neon"} - set(native.available_isas()):
        with pytest.raises(ValueError, match="cannot run on this machine"):
            native.set_isa(name)


def test_environment_chooses_the_isa(native: ModuleType) -> None:
    code = "from cnn_core import _native; print(_native.isa())"
    for name in native.available_isas():
        assert _run(code, CNN_CORE_ISA=name).stdout.split() == [name]
    assert _run(code, CNN_CORE_ISA="").stdout.split() == [native.available_isas()[-1]]


def test_environment_with_an_unknown_isa_fails_at_import() -> None:
    result = _run("import cnn_core._native", CNN_CORE_ISA="sse9")
    assert result.returncode != 0
    assert "instruction set 'sse9' is unknown" in result.stderr
    assert "CNN_CORE_ISA" in result.stderr


def test_kernel_names_are_unique_and_typed(native: ModuleType) -> None:
    names = native.kernel_names()
    assert len(set(names)) == len(names)
    assert {"relu_f32", "add_f32", "sum_f32", "softmax_f32"} <= set(names)


def test_every_elementwise_kernel_is_published(native: ModuleType) -> None:
    for name in ("relu", "exp", "tanh_grad", "add", "softmax", "sum", "argmax"):
        function = getattr(native, name)
        assert function.__name__ == name
        assert inspect.signature(function) == inspect.signature(
            getattr(reference, name)
        )


def test_signatures_equal_the_reference(native: ModuleType) -> None:
    for name in reference.FUNCTION_NAMES:
        if not hasattr(native, name):
            continue
        ours = inspect.signature(getattr(native, name)).parameters.values()
        theirs = inspect.signature(getattr(reference, name)).parameters.values()
        assert [(p.name, p.default) for p in ours] == [
            (p.name, p.default) for p in theirs
        ], name


def test_missing_reference_is_a_clear_error(native: ModuleType) -> None:
    native.bind_reference({})
    try:
        with pytest.raises(TypeError, match="relu: no kernel supports"):
            native.relu(np.zeros(3))
        assert native.relu(np.ones(3, np.float32)).sum() == 3
    finally:
        native.bind_reference(reference)


def test_bind_reference_takes_a_dictionary(native: ModuleType) -> None:
    native.bind_reference({"relu": lambda x: "called"})
    try:
        assert native.relu(np.zeros(3)) == "called"
    finally:
        native.bind_reference(reference)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.bool_])
def test_other_types_go_to_the_reference(native: ModuleType, dtype: type) -> None:
    x = np.array([[1, 0], [3, 4]], dtype=dtype)
    for name in ("relu", "exp", "softmax", "mean", "argmax"):
        got, want = getattr(native, name)(x), getattr(reference, name)(x)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    got, want = native.add(x, x), reference.add(x, x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_programs_keep_to_their_instruction_set(
    native: ModuleType, restore: None
) -> None:
    """Their tiles and scratch are planned for it."""
    names = native.available_isas()
    if len(names) == 1:
        pytest.skip(f"this machine has {names} only")
    arena = np.ones(8, np.float32)
    native.set_isa(names[0])
    program = native.Program()
    program.map("negative_f32", 4, [(0, 0)], (0, 16))
    program.bind(0, arena)
    native.set_isa(names[-1])
    with pytest.raises(RuntimeError, match=f"built for {names[0]}, .* now {names[-1]}"):
        program.run(0, 1)
    native.set_isa(names[0])
    program.run(0, 1)
    np.testing.assert_array_equal(arena, [1] * 4 + [-1] * 4)
