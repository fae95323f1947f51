"""The benchmarks cover every kernel, and run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_core import backend
from cnn_core.backend import reference

ROOT = Path(__file__).resolve().parents[1]

if backend.name() != "compiled":
    pytest.skip("benchmarks need the compiled backend", allow_module_level=True)


def test_every_kernel_has_a_case(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.cases import iterate_cases
    from cnn_core.backend.compiled import native

    cases = list(iterate_cases())
    twins = {name for name in reference.FUNCTION_NAMES if hasattr(native, name)}
    assert twins == {case.kernel for case in cases}
    assert all(case.flops or case.traffic for case in cases)


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--only", "bias_add", "--seconds", "0"]
    result = subprocess.run(
        [*command, "--json", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "isa:" in result.stdout
    assert "GB/s" in result.stdout
    figures = json.loads(path.read_text())
    assert {row["kernel"] for row in figures["results"]} == {"bias_add"}
    result = subprocess.run(
        [*command[:-4], "--only", "matmull"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "matmul" in result.stderr
