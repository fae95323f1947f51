"""Timing of contestants in turn, and the table of what came out.

Absolute times mean little on a shared machine. Contestants therefore run in turn
(A B C A B C ...) and are compared by the medians of many rounds of one run.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]

_SAMPLE = 400e-6  # seconds that one sample takes at least
# OpenMP's waiting threads spin for milliseconds and would slow the next contestant.
_SETTLE = 4e-3


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


def _time(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def compare(
    contestants: dict[str, Call], budget: float, settle: bool
) -> dict[str, float]:
    """Return each contestant's median time, run in turn for `budget` seconds."""
    repeats = {}
    for name, call in contestants.items():
        call()
        once = _time(call, 1)
        repeats[name] = max(1, int(_SAMPLE / max(_time(call, 3), once / 100, 1e-8)))
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + budget
    while len(samples[next(iter(samples))]) < 3 or time.perf_counter() < end:
        for name, call in contestants.items():
            if settle:
                time.sleep(_SETTLE)
                call()
            samples[name].append(_time(call, repeats[name]))
    return {name: statistics.median(times) for name, times in samples.items()}


def torch_module(threads: int) -> Any:
    """Return torch, limited to `threads`, or None where it is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return torch


def contestants(case: Case, native: Any, reference: Any, torch: Any) -> dict[str, Call]:
    """Return what computes a case: the compiled kernel, its reference, and torch."""
    args, kwargs = case.args, case.kwargs
    fast, slow = getattr(native, case.kernel), getattr(reference, case.kernel)
    calls: dict[str, Call] = {
        "compiled": lambda: fast(*args, **kwargs),
        "reference": lambda: slow(*args, **kwargs),
    }
    if torch is not None and case.rival is not None:
        tensors = [
            torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in args
        ]
        rival = case.rival
        calls["torch"] = lambda: rival(torch, *tensors)
    return calls


def cpu_name() -> str:
    """Return the processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def header(native: Any, torch: Any) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "isa": native.isa(),
        "threads": native.num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__ if torch is not None else "not installed",
    }


def format_header(facts: dict[str, Any]) -> str:
    """Return the line above the table."""
    return "  ".join(f"{key}: {value}" for key, value in facts.items())


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
