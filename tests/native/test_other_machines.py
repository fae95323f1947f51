"""The same bits from other compilers and on other processors, which run emulated."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "pyext" / "kernels"
FLAGS = (
    "-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror", f"-I{KERNELS}",
)  # fmt: skip
# kernels whose output only its reader understands, and those that only measure
WITHOUT_DIGEST = {
    *("matmul_plan_f32", "matmul_pack_f32", "peak_fma_f32"),
    *(f"stream_{name}_f32" for name in ("read", "write", "copy", "triad")),
}


def find(*names: str) -> list[str]:
    """Return the paths of programs; skip where one is missing."""
    paths = [shutil.which(name) for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return [path for path in paths if path is not None]


def digests(
    folder: Path, compiler: str, isa: str, emulator: Sequence[str] = ()
) -> dict[str, str]:
    """Build the program, run it, and return the digest of every kernel."""
    program = folder / f"digests-{Path(compiler).name}"
    # without LD_PRELOAD: a sanitizer of this machine is none for another
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    if not program.exists():
        sources = [HERE / "kernel_digests.c", KERNELS / "dispatch.c"]
        sources += sorted(KERNELS.glob("isa_*.c"))
        run(compiler, *FLAGS, *map(str, sources), "-lm", "-o", str(program))
    lines = run(*emulator, str(program), isa).splitlines()
    return dict(line.split() for line in lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digests")


@pytest.fixture(scope="module")
def fused(native: ModuleType) -> str:
    """Return the best instruction set of this machine, which has FMA."""
    name = str(native.available_isas()[-1])
    if name == "baseline":
        pytest.skip("this machine has no FMA")
    return name


def test_clang_and_gcc_agree(native: ModuleType, folder: Path, fused: str) -> None:
    gcc, clang = find("gcc", "clang")
    found = digests(folder, gcc, fused)
    assert set(found) == set(native.kernel_names()) - WITHOUT_DIGEST
    plain = digests(folder, gcc, "baseline")
    assert found["matmul_block_f32"] != plain["matmul_block_f32"]  # a digest can differ
    for isa in native.available_isas():
        assert digests(folder, clang, isa) == digests(folder, gcc, isa)


def test_arm_and_this_machine_agree(folder: Path, fused: str) -> None:
    gcc, cross, emulator = find("gcc", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    emulate = [emulator, "-L", "/usr/aarch64-linux-gnu"]
    there = digests(folder, cross, "neon", emulate)
    assert there == digests(folder, gcc, fused)
