"""Peak memory of a training step: what our plan says, and what processes take.

Each figure comes from a fresh process: how far its peak grows in a few steps beyond
what it held before the model was built, libraries loaded and warm, and the data there.
The C library keeps blocks up to 32 MB that were freed, which counts for everyone; with
MALLOC_MMAP_THRESHOLD_=1048576 in the environment it does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .harness import Contestant, cpu_count, format_header, header, markdown
from .networks import LIBRARIES, Task, installed

STEPS = 3
TASKS = (
    Task("784-512-10", (784, 512, 10), 128, "rmsprop", STEPS),
    Task("1024-2048-2048-10", (1024, 2048, 2048, 10), 256, "adam", STEPS),
    Task("1024-6x2048-10", (1024, *(2048,) * 6, 10), 128, "adam", STEPS),
    Task("1024-2x(1024-1024)-10", (1024, 1024, 1024, 10), 256, "adam", STEPS, 2),
    Task("64-12x64-10", (64, *(64,) * 12, 10), 4096, "adam", STEPS),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--only", metavar="NAME", default="", help="models named so")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--threads", type=int, default=cpu_count(), help="threads")
    parser.add_argument("--rounds", type=int, default=3, help="processes each (3)")
    parser.add_argument("--no-rivals", action="store_true", help="this library only")
    parser.add_argument(
        "--all", action="store_true", help="JAX and Keras, too, beside torch"
    )


def ask(name: str, threads: int, measurement: str, task: Task) -> dict[str, Any] | None:
    """Ask a fresh process of a library."""
    contestant = Contestant(
        name, threads, "bench.library_worker", LIBRARIES[name].environment
    )
    try:
        answer: dict[str, Any] | None = contestant.measure(
            [measurement, dataclasses.asdict(task)]
        )
    finally:
        contestant.close()
    return answer


def row(
    task: Task, plan: Mapping[str, int], growth: Mapping[str, int | None]
) -> list[str]:
    """Return a line of the table: the plan's parts, then what was measured."""
    parts = [plan.get(kind, 0) for kind in ("weights", "optimizer", "temporaries")]
    cells = [f"{n / 2**20:.1f}" for n in (*parts, sum(plan.values()))]
    mine = growth["cnn_core"]
    for name, nbytes in growth.items():
        if nbytes is None:
            cells.append("")
        elif name == "cnn_core" or not mine:
            cells.append(f"{nbytes / 2**20:.1f}")
        else:
            cells.append(f"{nbytes / 2**20:.1f} ({nbytes / mine:.2f})")
    return [f"{task.name}, batch {task.batch}, {task.optimizer}", *cells]


def contestants(options: argparse.Namespace) -> list[str]:
    """Return the names of those that take part."""
    if options.no_rivals:
        return ["cnn_core"]
    others = ["torch", "jax.jit", "keras-jax", "keras-torch"]
    return ["cnn_core", *installed(others if options.all else others[:1])]


def run(options: argparse.Namespace) -> int:
    """Measure the chosen models and print the table."""
    tasks = [task for task in TASKS if options.only in task.name]
    if not tasks:
        print(
            f"bench: no model named like {options.only!r}; there are "
            f"{', '.join(task.name for task in TASKS)}",
            file=sys.stderr,
        )
        return 1
    names = contestants(options)
    rows: list[Sequence[str]] = []
    results = []
    for task in tasks:
        print(f"... {task.name}", file=sys.stderr, flush=True)
        plan = ask("cnn_core", options.threads, "plan", task) or {}
        growth = {
            name: _median(
                ask(name, options.threads, "memory", task)
                for _ in range(options.rounds)
            )
            for name in names
        }
        rows.append(row(task, plan, growth))
        results.append(dataclasses.asdict(task) | {"plan": plan, "growth": growth})
    facts = header(options.threads)
    print(format_header(facts))
    print(
        "MB. Plan: what explain() says before the first step. The others: growth of a"
    )
    print("process's peak; in brackets, as many times ours.")
    head = ["model", "weights", "optimizer", "temporaries", "plan", *names]
    print(markdown(head, rows))
    if options.json:
        Path(options.json).write_text(
            json.dumps({**facts, "results": results}, indent=1)
        )
    return 0


def _median(answers: Any) -> int | None:
    values = [answer["growth"] for answer in answers if answer is not None]
    return int(statistics.median(values)) if values else None
