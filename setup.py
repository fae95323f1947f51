"""Build of the native floor: one extension, every instruction set in it.

Environment variables:
    CNN_CORE_BUILD=reference   no extension: a pure-Python build that runs on NumPy.
    CNN_CORE_SANITIZE=1        address and undefined-behavior sanitizers.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from glob import glob
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = [
    "pyext/_native.pyx",
    "pyext/kernels/cpus.c",
    "pyext/kernels/dispatch.c",
    "pyext/kernels/isa_baseline.c",
    "pyext/kernels/isa_avx2.c",
    "pyext/kernels/isa_avx512.c",
    "pyext/kernels/isa_amx.c",
    "pyext/kernels/isa_neon.c",
    "pyext/kernels/threads.c",
    "pyext/kernels/workspace.c",
]
COMPILE_ARGS = [
    "-std=gnu11",
    "-O3",
    "-falign-loops=64",  # short loops across two lines of code take up to twice as long
    "-g0",
    "-fvisibility=hidden",
    "-ffp-contract=off",  # write v_fma where a fused product is meant
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
]
SANITIZE_ARGS = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
]
DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}


class BuildNative(build_ext):
    """Compile the .pyx with the project's Cython directives."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.cython_directives: dict[str, Any] = DIRECTIVES
        self.cython_include_dirs = ["pyext"]
        self.cython_c_in_temp = True
        self.parallel = os.cpu_count()


def have_compiler() -> bool:
    """Whether a compiler with GCC's vector extensions can be run."""
    if os.name != "posix":
        return False
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(shlex.split(command)[0]) is not None


def native_extension() -> Extension:
    """Describe cnn_core._native."""
    import numpy

    compile_args = list(COMPILE_ARGS)
    link_args = ["-pthread"]
    if os.environ.get("CNN_CORE_SANITIZE") == "1":
        compile_args += SANITIZE_ARGS
        link_args += SANITIZE_ARGS
    elif sys.platform.startswith("linux"):
        link_args.append("-Wl,-s")
    return Extension(
        "cnn_core._native",
        sources=SOURCES,
        depends=sorted(
            glob("pyext/*.pxi")
            + glob("pyext/kernels/*.h")
            + glob("pyext/kernels/*.inc.c")
        ),
        include_dirs=["pyext/kernels", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=compile_args + ["-pthread"],
        extra_link_args=link_args,
    )


def extensions() -> list[Extension]:
    """The extensions to build: none for a pure-Python build."""
    if os.environ.get("CNN_CORE_BUILD") == "reference":
        return []
    if not have_compiler():
        banner = "*" * 78
        print(
            f"{banner}\ncnn_core: NO C COMPILER FOUND. Building without compiled "
            "kernels: everything works,\nbut on NumPy and many times slower. Install "
            f"gcc or clang and build again.\n{banner}",
            file=sys.stderr,
        )
        return []
    return [native_extension()]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildNative})
