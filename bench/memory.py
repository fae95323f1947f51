"""Peak memory of a training step: what our plan says, and what processes take.

Each figure comes from a fresh process: how far its peak grows in a few steps beyond
what it held before the model was built, libraries loaded and warm, and the data there.
The C library keeps blocks up to 32 MB that were freed, which counts for everyone; with
MALLOC_MMAP_THRESHOLD_=1048576 in the environment it does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .harness import format_header, header, markdown
from .libraries import add_options, choose, participants, processes, write_figures
from .networks import Task

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
    add_options(parser, "models", rounds=3)
    parser.add_argument(
        "--all", action="store_true", help="JAX and Keras, too, beside torch"
    )


def ask(name: str, threads: int, measurement: str, task: Task) -> dict[str, Any] | None:
    """Ask a fresh process of a library."""
    with processes([name], threads) as (contestant,):
        answer: dict[str, Any] | None = contestant.measure(
            [measurement, dataclasses.asdict(task)]
        )
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


def run(options: argparse.Namespace) -> int:
    """Measure the chosen models and print the table."""
    tasks = choose(TASKS, options.only)
    if not tasks:
        return 1
    rivals = ["torch", "jax.jit", "keras-jax", "keras-torch"]
    names = participants(options, rivals if options.all else rivals[:1])
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
    write_figures(options, {**facts, "results": results})
    return 0


def _median(answers: Any) -> int | None:
    values = [answer["growth"] for answer in answers if answer is not None]
    return int(statistics.median(values)) if values else None
