"""The thread pool: its size, and a stress test of its C code under a sanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "pyext" / "kernels"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def build(folder: Path, *flags: str) -> Path:
    """Compile the stress test with the pool; skip where that is not possible."""
    compiler = shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = folder / "threads_stress"
    sources = [HERE / "threads_stress.c", KERNELS / "threads.c", KERNELS / "cpus.c"]
    command = [
        compiler, "-std=gnu11", "-O1", "-g", "-pthread", f"-I{KERNELS}", *flags,
        *map(str, sources), "-o", str(program),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and flags:
        pytest.skip(f"the compiler does not support {' '.join(flags)}")
    assert done.returncode == 0, done.stderr
    return program


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # without LD_PRELOAD: one sanitizer cannot run under another
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment | {"TSAN_OPTIONS": "die_after_fork=0"},
    )


@pytest.fixture(scope="module")
def stress(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("stress"))


@pytest.mark.parametrize("mode", ["pool", "fork", "wake", "cpus"])
def test_stress(stress: Path, mode: str) -> None:
    done = run(stress, mode)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("watched"), "-fsanitize=thread")


@pytest.mark.parametrize("mode", ["pool", "fork"])
def test_no_data_race(watched: Path, mode: str) -> None:
    done = run(watched, mode)
    if "FATAL: ThreadSanitizer" in done.stderr:
        pytest.skip("ThreadSanitizer does not run here")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, 0),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 1),
        ("0::/a\n", {"a/cpu.max": "800000 100000", "cpu.max": "300000 100000"}, 3),
        ("0::/not/mounted\n", {"cpu.max": "400000 100000"}, 4),
        (
            "4:cpuset:/\n3:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            "3:cpu,cpuacct:/\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            0,
        ),
        ("no such line", {"cpu.max": "100000 100000"}, 0),
    ],
)
def test_cpu_quota(
    stress: Path, tmp_path: Path, groups: str, files: dict[str, str], cpus: int
) -> None:
    listing, mount = tmp_path / "cgroup", tmp_path / "mount"
    listing.write_text(groups)
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(f"{text}\n")
    done = run(stress, "quota", str(listing), str(mount))
    assert done.stdout == f"{cpus}\n"


def test_set_num_threads(native: ModuleType, restore: None) -> None:
    for n in (1, 2, 3, 8, 256):
        native.set_num_threads(n)
        assert native.num_threads() == n
    for n in (0, -1, 257, 2**70):
        with pytest.raises(ValueError, match=f"1 to 256 threads, got {n}"):
            native.set_num_threads(n)
    for bad in (1.5, "2", None, True):
        with pytest.raises(TypeError, match="expected an integer"):
            native.set_num_threads(bad)
    assert native.num_threads() == 256


def import_with(value: str | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "CNN_CORE_NUM_THREADS"}
    if value is not None:
        environment["CNN_CORE_NUM_THREADS"] = value
    code = "from cnn_core import _native; print(_native.num_threads())"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize(("value", "threads"), [("1", 1), ("3", 3), (" 200 ", 200)])
def test_environment(value: str, threads: int) -> None:
    assert import_with(value).stdout == f"{threads}\n"


@pytest.mark.parametrize("value", ["0", "257", "-1", "two", "1.5", "1e9", "²"])
def test_bad_environment_is_an_error_at_import(value: str) -> None:
    done = import_with(value)
    assert done.returncode != 0
    assert "CNN_CORE_NUM_THREADS: expected" in done.stderr
    assert value in done.stderr


def test_default_is_what_the_process_may_use() -> None:
    default = int(import_with(None).stdout)
    assert default >= 1
    assert import_with("").stdout == f"{default}\n"
    if hasattr(os, "sched_getaffinity"):
        assert default <= len(os.sched_getaffinity(0))
