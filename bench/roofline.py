"""Every kernel under the roof of this machine.

The roof is measured with loops of our own: chains of fused multiply-adds in registers,
where there are tile units products in them (a float32 product takes several, see
`set_float32_matmul_precision`), and loops that read, write, copy, or add arrays of the
size of each cache. What a call reads and writes once, and the operations of its
formula, tell which limit applies.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cases import FAMILIES, chosen_cases
from .harness import (
    Case,
    add_options,
    compare,
    cpu_count,
    format_header,
    header,
    markdown,
    processes,
)
from .intensity import HEAD, KINDS, LEVELS, Machine, Place, work_of
from .matmul import can_run

SMALLEST = 4096  # bytes below which a call's overhead is all there is to see
_ARRAYS = {"read": 1, "write": 1, "copy": 2, "triad": 3}
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_FALLBACK = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}


def cache_sizes(folder: Path = _CACHES) -> dict[str, int]:
    """Return the bytes of each level of data cache, as far as the system tells."""
    found = {}
    for index in sorted(folder.glob("index*")):
        kind, level, size = (
            (index / name).read_text().strip() for name in ("type", "level", "size")
        )
        if kind != "Instruction":
            scale = {"K": 1 << 10, "M": 1 << 20}[size[-1]]
            found[f"L{level}"] = int(size[:-1]) * scale
    return {name: found[name] for name in LEVELS if name in found} or dict(_FALLBACK)


def best_rate(run: Callable[[int], int], seconds: float) -> float:
    """Return the most units per second of `run(repeats)`, which returns units."""
    repeats, best = 1, 0.0
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        units = run(repeats)
        now = time.perf_counter()
        best = max(best, units / (now - start))
        if now > end:
            return best
        if now - start < seconds / 8:  # long enough for threads to wake
            repeats *= 2


def measure_machine(
    native: Any, threads: int, caches: dict[str, int], seconds: float
) -> Machine:
    """Measure what the instruction set in use can do with so many threads."""
    before = native.num_threads()
    native.set_num_threads(threads)
    try:
        flops = best_rate(lambda n: int(native.fma_peak(1000 * n)), seconds)
        tiles = 0.0
        if native.tile_peak(1):
            tiles = best_rate(lambda n: int(native.tile_peak(1000 * n)), seconds)
        largest = max(caches.values())
        bandwidth = {}
        for name in (*caches, "DRAM"):
            if name == "DRAM":
                nbytes = min(4 * largest, 256 << 20)
            elif name == "L3":
                nbytes = caches[name] // 4
            else:
                nbytes = caches[name] // 2 * threads
            bandwidth[name] = {
                kind: _stream_rate(native, kind, nbytes, threads, seconds)
                for kind in KINDS
            }
    finally:
        native.set_num_threads(before)
    parts = native.matmul_parts()
    products = parts * (parts + 1) // 2
    return Machine(
        threads, flops, bandwidth, caches, tiles / products if products else 0.0
    )


def _stream_rate(
    native: Any, kind: str, nbytes: int, threads: int, seconds: float
) -> float:
    """Return the bytes per second of a loop over arrays of `nbytes` together."""
    step = 64 * threads
    n = max(1, nbytes // 4 // _ARRAYS[kind] // step) * step
    a, b, y = (np.ones(n, np.float32) for _ in range(3))
    return best_rate(
        lambda repeats: int(native.stream(kind, a, b, y, repeats)), seconds
    )


def peaks_of_isas(native: Any, threads: int, seconds: float) -> dict[str, list[float]]:
    """Return the FMA peak of every instruction set, with 1 and with all threads."""
    used, before = native.isa(), native.num_threads()
    found: dict[str, list[float]] = {}
    try:
        for isa in native.available_isas():
            native.set_isa(isa)
            for count in dict.fromkeys((1, threads)):
                native.set_num_threads(count)
                rate = best_rate(lambda n: int(native.fma_peak(1000 * n)), seconds)
                found.setdefault(isa, []).append(rate)
    finally:
        native.set_isa(used)
        native.set_num_threads(before)
    return found


def machine_table(peaks: dict[str, list[float]], machines: Sequence[Machine]) -> str:
    """Return the limits of the machine as a table."""
    rows = [
        [f"FMA {isa}, GFLOP/s", *[f"{rate / 1e9:.1f}" for rate in rates]]
        for isa, rates in peaks.items()
    ]
    if machines[0].tiles:
        rates = [f"{m.tiles / 1e9:.1f}" for m in machines]
        rows.append(["float32 products on tile units, GFLOP/s", *rates])
    for level in machines[0].bandwidth:
        rows += [
            [
                f"{level} {kind}, GB/s",
                *[f"{m.bandwidth[level][kind] / 1e9:.1f}" for m in machines],
            ]
            for kind in KINDS
        ]
    threads = [f"{m.threads} thread{'s' * (m.threads > 1)}" for m in machines]
    return markdown(["limit", *threads], rows)


def named_cases(native: Any, only: str) -> Iterator[tuple[str, int, Case]]:
    """Yield family, number and case of the kernels whose name holds `only`."""
    return chosen_cases(
        FAMILIES, lambda case: only in case.kernel and can_run(native, case)
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, "kernels whose name holds NAME", 0.1)
    parser.add_argument("--png", metavar="FILE", help="also draw them into FILE")


def run(options: argparse.Namespace) -> int:
    """Measure the machine and the kernels, and print where they stand."""
    from cnn_core.backend.compiled import native

    if not any(True for _ in named_cases(native, options.only)):
        print(f"bench: no kernel named like {options.only!r}", file=sys.stderr)
        return 1
    caches = cache_sizes()
    counts = dict.fromkeys((1, cpu_count(), options.threads))
    peaks = peaks_of_isas(native, cpu_count(), options.seconds)
    machines = [measure_machine(native, n, caches, options.seconds) for n in counts]
    machine = next(m for m in machines if m.threads == options.threads)
    facts = header(options.threads) | {"isa": native.isa()}
    print(format_header(facts))
    print(machine_table(peaks, machines[: len(dict.fromkeys((1, cpu_count())))]))
    print()
    places, short = measure_kernels(native, machine, options)
    rows = [[f"{c.kernel} {c.title}", *place.cells()] for _, c, place in places]
    print(markdown(["kernel", *HEAD], rows))
    if short:
        print(f"left out: {short} calls on less than {SMALLEST} bytes")
    if options.json:
        Path(options.json).write_text(
            json.dumps(report(facts, peaks, machines, places))
        )
    if options.png:
        from .roofline_picture import draw

        draw(options.png, machine, places, format_header(facts))
    return 0


def measure_kernels(
    native: Any, machine: Machine, options: argparse.Namespace
) -> tuple[list[tuple[str, Case, Place]], int]:
    """Return family, case and place of every kernel; and how many are too short."""
    places, short = [], 0
    with processes({"compiled": {}}, options.threads) as ours:
        for family, number, case in named_cases(native, options.only):
            work = work_of(
                case, getattr(native, case.kernel)(*case.args, **case.kwargs)
            )
            if work.traffic < SMALLEST:
                short += 1
                continue
            seconds = compare(ours, [family, number], options.seconds)["compiled"]
            places.append(
                (family, case, machine.place(work, seconds, bool(case.flops)))
            )
    return places, short


def report(
    facts: dict[str, Any],
    peaks: dict[str, list[float]],
    machines: Sequence[Machine],
    places: Sequence[tuple[str, Case, Place]],
) -> dict[str, Any]:
    """Return everything that was measured, for a file."""
    return {
        **facts,
        "fma": peaks,
        "machines": [dataclasses.asdict(m) for m in machines],
        "kernels": [
            {"kernel": c.kernel, "shape": c.title, **dataclasses.asdict(place)}
            for _, c, place in places
        ],
    }
