"""Times the calls of one library, case by case, as a process of its own.

It reads the number of a case per line and answers with the seconds of one call, or with
null where the library has nothing to compare. `harness.Contestant` talks to it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .cases import iterate_cases
from .harness import Case

Call = Callable[[], Any]

_SAMPLE = 1e-3  # seconds that one measurement takes at least
_WARM = 6e-3  # seconds before it: threads wake, find their cores, and fill the caches


def library(name: str, threads: int) -> tuple[dict[str, Any], Callable[[Case], Any]]:
    """Return facts about a library, and what makes a case's call (or None)."""
    if name == "torch":
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        return {"torch": torch.__version__}, lambda case: torch_call(torch, case)
    from cnn_core import config
    from cnn_core.backend import reference
    from cnn_core.backend.compiled import native

    config.set_num_threads(threads)
    module = native if name == "compiled" else reference
    facts = {"isa": native.isa()} if name == "compiled" else {}

    def make(case: Case) -> Call:
        function = getattr(module, case.kernel)
        return lambda: function(*case.args, **case.kwargs)

    return facts, make


def torch_call(torch: Any, case: Case) -> Call | None:
    """Return torch's computation of a case."""
    rival = case.rival
    if rival is None:
        return None
    tensors = [
        torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in case.args
    ]
    return lambda: rival(torch, *tensors)


def seconds_of(call: Call, repeats: int) -> float:
    """Return the seconds of one call, over so many."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


class Timer:
    """Times cases that are asked for in ascending order."""

    def __init__(self, make: Callable[[Case], Any]) -> None:
        self._make = make
        self._cases: Iterator[Case] = iterate_cases()
        self._number = -1
        self._call: Call | None = None
        self._repeats = self._warm = 1

    def measure(self, number: int) -> float | None:
        """Return the seconds of one call of case `number`."""
        if number != self._number:
            while self._number < number:
                case = next(self._cases)
                self._number += 1
            self._call = self._make(case)
            if self._call is not None:
                self._call()
                once = seconds_of(self._call, 3)
                self._repeats = max(1, int(_SAMPLE / once))
                self._warm = max(1, int(_WARM / once))
        if self._call is None:
            return None
        seconds_of(self._call, self._warm)
        return seconds_of(self._call, self._repeats)


def main() -> None:
    """Answer until the input ends."""
    name, threads = sys.argv[1], int(sys.argv[2])
    facts, make = library(name, threads)
    print(json.dumps(facts), flush=True)
    timer = Timer(make)
    for line in sys.stdin:
        print(json.dumps(timer.measure(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
