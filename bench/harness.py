"""Timing of contestants in turn, and the table of what came out.

Absolute times mean little on a shared machine. Contestants therefore run in turn
(A B C A B C ...) and are compared by the medians of many rounds of one run.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CONTESTANTS = ("compiled", "reference", "torch")


@dataclass
class Case:
    """One kernel on one shape.

    Args:
        kernel: name of the backend function.
        shape: what the table shows.
        args: positional arguments of the backend function.
        kwargs: keyword arguments of the backend function.
        flops: floating-point operations, where arithmetic is the limit.
        traffic: bytes read and written, where memory is the limit.
        rival: the same computation in torch, given the arguments as torch tensors;
            None where torch has nothing to compare.
    """

    kernel: str
    shape: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    flops: int = 0
    traffic: int = 0
    rival: Callable[..., Any] | None = None


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


def rounds_within(rounds: int, seconds: float) -> Iterator[int]:
    """Count rounds, at least one, until there were enough or the time is over."""
    end = time.perf_counter() + seconds
    for number in range(max(1, rounds)):
        if number and time.perf_counter() > end:
            return
        yield number


def compare(
    contestants: Sequence[Contestant], number: int, budget: float
) -> dict[str, float]:
    """Return each contestant's median time, run in turn for `budget` seconds."""
    samples: dict[str, list[float]] = {}
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for contestant in contestants:
            seconds = contestant.measure(number)
            if seconds is not None:
                samples.setdefault(contestant.name, []).append(seconds)
        rounds += 1
    return {name: statistics.median(times) for name, times in samples.items()}


def limit_threads(threads: int) -> None:
    """Tell libraries that read it when they are loaded how many threads to use."""
    for library in ("OPENBLAS", "MKL", "OMP"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)


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


def header(threads: int) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpu": cpu_name(),
        "cores": cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def format_header(facts: dict[str, Any]) -> str:
    """Return the line above the table."""
    return "  ".join(f"{key}: {value}" for key, value in facts.items())


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are figures."""
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)]
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
            "flops": r.case.flops,
            "bytes": r.case.traffic,
            "seconds": r.seconds,
        }
        for r in results
    ]
    Path(path).write_text(json.dumps({**facts, "results": rows}, indent=1))
