"""Timing of contestants in turn, and the table of what came out.

Absolute times mean little on a shared machine. Contestants therefore run in turn
(A B C A B C ...) and are compared by the medians of many rounds of one run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

OURS = ("compiled", "cnn_core")
# What keeps other libraries to the instruction set that CNN_CORE_ISA names.
_LIMITS = {
    "avx2": {
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "avx512": {
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "ATEN_CPU_CAPABILITY": "avx512",
        "OPENBLAS_CORETYPE": "SkylakeX",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX512",
    },
}


@dataclass
class Case:
    """One kernel on one shape.

    Args:
        kernel: name of the backend function.
        shape: what the table shows.
        args: positional arguments of the backend function.
        kwargs: keyword arguments of the backend function, which others do not get.
        flops: floating-point operations, where arithmetic is the limit.
        traffic: bytes read and written, where memory is the limit.
        torch: the same computation in torch, given the module and the arguments as
            torch tensors; None where there is nothing to compare.
        numpy: the same in NumPy.
        jax: the same in JAX, given `jax.numpy`; it is compiled.
        form: which of the calls on one shape it is.
        held: for the product of a Program, whose second matrix was written into panels
            before, the array of the result; torch and NumPy get it as `out`.
    """

    kernel: str
    shape: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    flops: int = 0
    traffic: int = 0
    torch: Callable[..., Any] | None = None
    numpy: Callable[..., Any] | None = None
    jax: Callable[..., Any] | None = None
    form: str = ""
    held: Any = None

    @property
    def title(self) -> str:
        """Shape and form."""
        return f"{self.shape} {self.form}".rstrip()


@dataclass
class Result:
    """Medians of one case, in seconds."""

    case: Case
    seconds: dict[str, float]

    def rate(self, contestant: str) -> float:
        """Return GFLOP/s, or GB/s for a case without `flops`."""
        work = self.case.flops or self.case.traffic
        return work / self.seconds[contestant] / 1e9

    def ratio(self, rival: str) -> float | None:
        """Return how many times faster the compiled kernel is than `rival`."""
        if rival not in self.seconds:
            return None
        return self.seconds[rival] / self.seconds["compiled"]

    def best(self) -> float | None:
        """Return the ratio to the fastest of the others."""
        others = (s for name, s in self.seconds.items() if name != "compiled")
        fastest = min(others, default=None)
        return None if fastest is None else fastest / self.seconds["compiled"]


def array_bytes(*arrays: Any) -> int:
    """Return the number of bytes that the arrays hold."""
    return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))


class Contestant:
    """A process that times one library, stopped while others have their turn.

    Waiting threads of OpenBLAS and OpenMP spin for milliseconds after a call, on the
    core that the next contestant needs; a stopped process does not.

    Args:
        name: whom the process times.
        threads: how many threads it may use.
        module: the program of the process.
        environment: what it finds there beyond our own environment.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        module: str = "bench.worker",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )
        self.facts = json.loads(self._answer())
        self._process.send_signal(signal.SIGSTOP)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench: the process that times {self.name} has died")
        return line

    def measure(self, request: Any) -> Any:
        """Return the answer to a request, None if there is nothing to measure."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answer = json.loads(self._answer())
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGCONT)
        self._process.communicate()


def instruction_limits() -> dict[str, str]:
    """Return the environment in which others use the instructions that we may use."""
    limits = dict(_LIMITS.get(os.environ.get("CNN_CORE_ISA", ""), {}))
    if limits and "XLA_FLAGS" in os.environ:
        limits["XLA_FLAGS"] = f"{os.environ['XLA_FLAGS']} {limits['XLA_FLAGS']}"
    return limits


@contextlib.contextmanager
def processes(
    environments: Mapping[str, Mapping[str, str]],
    threads: int,
    module: str = "bench.worker",
) -> Iterator[list[Contestant]]:
    """Start a process for each contestant, and end it afterwards.

    Args:
        environments: for each name what its process finds in the environment.
        threads: how many threads each may use.
        module: the program of the processes.
    """
    limits = instruction_limits()
    note = {"others limited by": " ".join("=".join(pair) for pair in limits.items())}
    with contextlib.ExitStack() as stack:
        contestants = []
        for name, environment in environments.items():
            limited = bool(limits) and name not in OURS
            contestant = Contestant(
                name, threads, module, {**environment, **(limits if limited else {})}
            )
            stack.callback(contestant.close)
            if limited:
                contestant.facts |= note
            contestants.append(contestant)
        yield contestants


def installed(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names whose modules are there; print a line for each other one."""
    present = []
    for name, modules in needs.items():
        lacking = [m for m in modules if importlib.util.find_spec(m) is None]
        if lacking:
            print(f"left out: {name} ({', '.join(lacking)} not installed)")
        else:
            present.append(name)
    return present


def rounds_within(rounds: int, seconds: float) -> Iterator[int]:
    """Count rounds, at least one, until there were enough or the time is over."""
    end = time.perf_counter() + seconds
    for number in range(max(1, rounds)):
        if number and time.perf_counter() > end:
            return
        yield number


def compare(
    contestants: Sequence[Contestant], request: Any, budget: float
) -> dict[str, float]:
    """Return each contestant's median time, run in turn for `budget` seconds."""
    samples: dict[str, list[float]] = {}
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for contestant in contestants:
            seconds = contestant.measure(request)
            if seconds is not None:
                samples.setdefault(contestant.name, []).append(seconds)
        rounds += 1
    return {name: statistics.median(times) for name, times in samples.items()}


def add_options(parser: argparse.ArgumentParser, what: str, seconds: float) -> None:
    """Add the options that the commands about kernels have in common.

    Args:
        parser: of the command.
        what: what --only chooses from, and by what.
        seconds: time per figure by default.
    """
    parser.add_argument("--only", metavar="NAME", default="", help=what)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=seconds,
        help=f"time per figure in seconds ({seconds:g})",
    )


def limit_threads(threads: int) -> None:
    """Tell libraries that read it when they are loaded how many threads to use."""
    for library in ("OPENBLAS", "MKL", "OMP"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)


def keep_to_cpus(count: int) -> None:
    """Let this process use so many CPUs, which is what JAX obeys."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def cpu_count() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def header(threads: int, contestants: Iterable[Contestant] = ()) -> dict[str, Any]:
    """Return what the figures depend on."""
    facts = {
        "cpu": cpu_name(),
        "cores": cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    for contestant in contestants:
        facts |= contestant.facts
    return facts


def format_header(facts: dict[str, Any]) -> str:
    """Return the line above the table."""
    return "  ".join(f"{key}: {value}" for key, value in facts.items())


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return a table whose first columns are text and whose others are figures."""
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    rule = ["-" * w if i < texts else "-" * (w - 1) + ":" for i, w in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        parts = [
            cell.ljust(w) if i < texts else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(parts)} |"

    return "\n".join(line(cells) for cells in (head, rule, *rows))


_COLUMNS = " ".join(
    f"{name:{width}}"
    for name, width in {
        "kernel": "32",
        "shape": "24",
        "us": ">10",
        "rate": ">16",
        "reference": ">10",
        "torch": ">10",
    }.items()
)


def format_title() -> str:
    """Return the table's head; the last two columns are times relative to ours."""
    return f"{_COLUMNS}\n{'-' * len(_COLUMNS)}"


def format_row(result: Result) -> str:
    """Return one line of the table."""
    unit = "GFLOP/s" if result.case.flops else "GB/s"
    ratios = [
        "-" if ratio is None else f"{ratio:.2f}x"
        for ratio in (result.ratio("reference"), result.ratio("torch"))
    ]
    return (
        f"{result.case.kernel:32} {result.case.shape:24} "
        f"{result.seconds['compiled'] * 1e6:10.2f} "
        f"{result.rate('compiled'):8.2f} {unit:>7} {ratios[0]:>10} {ratios[1]:>10}"
    )


def write_json(path: str, facts: dict[str, Any], results: Iterable[Result]) -> None:
    """Write the figures to a file."""
    rows = [
        {
            "kernel": r.case.kernel,
            "shape": r.case.shape,
            "form": r.case.form,
            "flops": r.case.flops,
            "bytes": r.case.traffic,
            "seconds": r.seconds,
        }
        for r in results
    ]
    Path(path).write_text(json.dumps({**facts, "results": rows}, indent=1))
