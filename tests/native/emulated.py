"""AVX-512 and AMX kernels on machines without them: built with C for intrinsics.

`build` compiles the folder emulation; `Emulated.product` runs a product in it.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import platform
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from digests import FLAGS, HERE, KERNELS, run

FOLDER = HERE / "emulation"
ISAS = {"avx512": ("-DCNN_HAVE_AMX=0",), "amx": ("-DCNN_HAVE_AMX=1",)}
# The instruction set of real instructions to compare with, and its flags.
X86 = platform.machine() in ("x86_64", "AMD64")
REAL = "avx2" if X86 else "neon"
# as the enumeration cnn_activation
ACTIVATIONS = (
    "linear", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu",
    "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "exponential",
)  # fmt: skip


class Product(NamedTuple):
    """What a product wrote, and how it was computed."""

    c: np.ndarray
    sums: np.ndarray | None  # of the columns of b
    parts: int  # bfloat16 parts per operand on tile units, 0: fused multiply-adds


@dataclass(frozen=True)
class Emulated:
    """The digest program and the library of the emulated instruction sets."""

    program: Path
    library: ctypes.CDLL

    def product(
        self,
        a: np.ndarray,
        b: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        isa: str = "amx",
        parts: int = 3,
        packed: int = 0,
        activation: str = "linear",
        grad: str = "linear",
        grad_p: float = 0.0,
        saved: np.ndarray | None = None,
        sums: bool = False,
        cuts: Sequence[Sequence[int]] = ((), ()),
        always: bool = True,
        column: bool = False,
    ) -> Product:
        """Return a @ b, and what follows it, by the kernels of one instruction set.

        a and b may have any strides. `packed` is the number of pieces in which b is
        packed before. `cuts` are the rows and the columns at which blocks begin besides
        the first, rounded to where they may; the last block is computed first.
        With `always`, tile units take products too small to gain by it. With `column`,
        a is the one column of a product as a row, and b its other matrix, transposed.
        """
        (m, k), n = a.shape, b.shape[1]
        wide = np.full((m, n + 5), 12345, np.float32)  # the gaps must stay
        wide_saved = None
        if saved is not None:
            wide_saved = np.pad(saved, ((0, 0), (0, 5)), constant_values=np.nan)
        column_sums = np.full(n if sums else 0, np.nan, np.float32)
        grid = _integers(0, 0)

        def call(blocks: list[tuple[int, ...]]) -> int:
            answer = self.library.cnn_test_product(
                isa.encode(), parts, _integers(m, n, k), _floats(a), _steps(a),
                _floats(b), _steps(b), ctypes.c_int64(packed), _floats(wide),
                ctypes.c_int64(n + 5), _floats(bias), ACTIVATIONS.index(activation),
                ACTIVATIONS.index(grad), ctypes.c_float(grad_p), _floats(wide_saved),
                _floats(column_sums if sums else None), ctypes.c_int64(len(blocks)),
                _integers(*itertools.chain(*blocks)), grid, always, column,
            )  # fmt: skip
            assert answer >= 0, f"cnn_test_product: {answer}"
            return int(answer)

        call([])  # fills grid
        rows, columns = _ranges(m, grid[0], cuts[0]), _ranges(n, grid[1], cuts[1])
        blocks = [(*r, *c) for r, c in itertools.product(rows[::-1], columns[::-1])]
        parts_used = call(blocks)
        assert (wide[:, n:] == 12345).all()
        return Product(wide[:, :n].copy(), column_sums if sums else None, parts_used)


def build(folder: Path) -> Emulated:
    """Compile everything; skip where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs gcc or clang")
    machine = ("-mavx2", "-mfma") if X86 else ()
    emulated = (f"-I{FOLDER}", "-Wno-psabi", *machine)
    sources: dict[Path, tuple[str, ...]] = {
        HERE / "kernel_digests.c": (),
        FOLDER / "dispatch.c": (),
        FOLDER / "product.c": (),
        FOLDER / "amx.c": (*emulated, "-O3"),
        KERNELS / f"isa_{REAL}.c": (),
    }
    jobs = [(source, "", flags) for source, flags in sources.items()]
    for isa, flags in ISAS.items():
        jobs.append((FOLDER / "isa.c", isa, (*emulated, f"-DCNN_ISA={isa}", *flags)))

    def compiled(job: tuple[Path, str, tuple[str, ...]]) -> Path:
        source, name, flags = job
        to = folder / f"{source.stem}{name}.o"
        # -O1: half the time of -O2, and the products here are small
        run(compiler, *FLAGS, "-O1", "-fPIC", *flags, "-c", source, "-o", to)
        return to

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        main, *objects = pool.map(compiled, jobs)
    program, library = folder / "digests", folder / "emulated.so"
    run(compiler, main, *objects, "-lm", "-o", program)
    run(compiler, "-shared", *objects, "-lm", "-o", library)
    return Emulated(program, ctypes.CDLL(str(library)))


def _ranges(size: int, step: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the parts of range(size) between cuts, which are moved to a step's end."""
    inner = {cut // step * step for cut in cuts if step <= cut < size}
    return list(itertools.pairwise([0, *sorted(inner), size]))


# ---- arguments in C ----------------------------------------------------------------


def _integers(*values: int) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _steps(x: np.ndarray) -> Any:
    return _integers(*(stride // x.itemsize for stride in x.strides))


def _floats(x: np.ndarray | None) -> Any:
    return None if x is None else ctypes.c_void_p(x.ctypes.data)
