"""Times the calls of one library, case by case, as a process of its own.

It reads the family and the number of a case per line and answers with the seconds of
one call, or with null where the library has nothing to compare. `harness.Contestant`
talks to it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from .cases import FAMILIES
from .harness import Case, keep_to_cpus
from .matmul import held_product

Call = Callable[[], Any]

_SAMPLE = 1e-3  # seconds that one measurement takes at least
_WARM = 6e-3  # seconds before it: threads wake, find their cores, and fill the caches


def library(name: str, threads: int) -> tuple[dict[str, Any], Callable[[Case], Any]]:
    """Return facts about a library, and what makes a case's call (or None)."""
    if name == "numpy":
        return {}, numpy_call
    if name == "jax":
        import jax

        return {"jax": jax.__version__}, jax_call
    if name == "torch":
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        return {"torch": torch.__version__}, torch_call
    from cnn_core import config
    from cnn_core.backend import reference
    from cnn_core.backend.compiled import native

    config.set_num_threads(threads)
    if name == "compiled":
        return {"isa": native.isa()}, partial(our_call, native)
    return {}, partial(our_call, reference)


def our_call(module: Any, case: Case) -> Call:
    """Return the call of a backend."""
    if case.held is not None:
        a, b = case.args
        return held_product(module, a, b, case.held)
    return partial(getattr(module, case.kernel), *case.args, **case.kwargs)


def arrays(case: Case) -> tuple[Any, ...]:
    """Return what a library gets that can write into an array that is there."""
    return case.args if case.held is None else (*case.args, case.held)


def numpy_call(case: Case) -> Call | None:
    """Return NumPy's computation of a case."""
    return None if case.numpy is None else partial(case.numpy, np, *arrays(case))


def torch_call(case: Case) -> Call | None:
    """Return torch's computation of a case."""
    import torch

    if case.torch is None:
        return None
    tensors = [
        torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arrays(case)
    ]
    return partial(case.torch, torch, *tensors)


def jax_call(case: Case) -> Call | None:
    """Return JAX's computation of a case, compiled."""
    import jax

    if case.jax is None:
        return None
    run = partial(
        jax.jit(partial(case.jax, jax.numpy)), *(jax.device_put(a) for a in case.args)
    )
    if isinstance(run(), tuple):
        return lambda: jax.block_until_ready(run())
    return lambda: run().block_until_ready()


def seconds_of(call: Call, repeats: int) -> float:
    """Return the seconds of one call, over so many."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


class Timer:
    """Times cases; cheapest if those of a family are asked for in ascending order."""

    def __init__(self, make: Callable[[Case], Any]) -> None:
        self._make = make
        self._cases = iter(())
        self._at: tuple[str, int] = "", -1
        self._call: Call | None = None
        self._repeats = self._warm = 1

    def _case(self, family: str, number: int) -> Case:
        last, before = self._at
        if family != last or number <= before:
            self._cases, before = FAMILIES[family].cases(), -1
        self._at = family, number
        return next(islice(self._cases, number - before - 1, None))

    def measure(self, family: str, number: int) -> float | None:
        """Return the seconds of one call of case `number` of a family."""
        if (family, number) != self._at:
            self._call = self._make(self._case(family, number))
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
    keep_to_cpus(threads)
    facts, make = library(name, threads)
    print(json.dumps(facts), flush=True)
    timer = Timer(make)
    for line in sys.stdin:
        print(json.dumps(timer.measure(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
