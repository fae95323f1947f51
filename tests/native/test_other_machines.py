"""The same bits from other compilers and on other processors, which run emulated.

It takes a minute of compiling, so it runs with CNN_CORE_TEST_COMPILERS=1 only.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from digests import FLAGS, HERE, KERNELS, WITHOUT_DIGEST, digests, find, run

if os.environ.get("CNN_CORE_TEST_COMPILERS") != "1":
    pytest.skip("needs CNN_CORE_TEST_COMPILERS=1", allow_module_level=True)


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


def build(folder: Path, compiler: str) -> Path:
    """Build kernel_digests.c with every instruction set the compiler knows."""
    program = folder / f"digests-{Path(compiler).name}"
    if not program.exists():
        sources = [HERE / "kernel_digests.c", KERNELS / "dispatch.c"]
        sources += sorted(KERNELS.glob("isa_*.c"))
        run(compiler, *FLAGS, *sources, "-lm", "-o", program)
    return program


def test_clang_and_gcc_agree(native: ModuleType, folder: Path, fused: str) -> None:
    gcc, clang = (build(folder, compiler) for compiler in find("gcc", "clang"))
    found = digests(gcc, fused)
    assert set(found) == set(native.kernel_names()) - WITHOUT_DIGEST
    plain = digests(gcc, "baseline")
    assert found["matmul_block_f32"] != plain["matmul_block_f32"]  # a digest can differ
    for isa in native.available_isas():
        assert digests(clang, isa) == digests(gcc, isa)


def test_arm_and_this_machine_agree(folder: Path, fused: str) -> None:
    gcc, cross, emulator = find("gcc", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    emulate = [emulator, "-L", "/usr/aarch64-linux-gnu"]
    there = digests(build(folder, cross), "neon", emulate)
    assert there == digests(build(folder, gcc), fused)
