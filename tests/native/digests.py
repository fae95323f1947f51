"""Compilers for tests, and digests of the kernels' results (kernel_digests.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "pyext" / "kernels"
FLAGS = (
    "-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror", f"-I{KERNELS}",
)  # fmt: skip
# kernels whose output only its reader understands, and those that only measure
WITHOUT_DIGEST = {
    *("matmul_plan_f32", "matmul_pack_f32", "peak_fma_f32", "peak_tiles_bf16"),
    *(f"stream_{name}_f32" for name in ("read", "write", "copy", "triad")),
}


def find(*names: str) -> list[str]:
    """Return the paths of programs; skip where one is missing."""
    paths = [shutil.which(name) for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return [path for path in paths if path is not None]


def run(*command: str | Path) -> str:
    """Return what a command writes; it must end well."""
    # without LD_PRELOAD: a sanitizer of this machine is none for another
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def digests(program: Path, isa: str, emulator: Sequence[str] = ()) -> dict[str, str]:
    """Run a build of kernel_digests.c; return the digest of every kernel."""
    lines = run(*emulator, program, isa).splitlines()
    return dict(line.split() for line in lines)
