"""Training steps of whole models, side by side with other libraries.

Dense networks are trained on random data through `fit`, and the same with torch (eager,
and compiled with --compile), JAX (a jitted step) and Keras on JAX and on torch, where
they are installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from .harness import Contestant, format_header, header, markdown, rounds_within
from .libraries import add_options, choose, participants, processes, write_figures
from .networks import LIBRARIES, Task

TASKS = (
    Task("MLP 64-32-10", (64, 32, 10), 32, "adam", 400),
    Task("MLP 784-512-10", (784, 512, 10), 128, "rmsprop", 60),
    Task("MLP 1024-2048-2048-10", (1024, 2048, 2048, 10), 256, "adam", 4),
    Task("two branches 64-2x(64-64)-10", (64, 64, 64, 10), 64, "adam", 200, branches=2),
)


def measure(
    contestants: Sequence[Contestant], task: Task, rounds: int, seconds: float
) -> dict[str, float]:
    """Return the samples per second of each contestant, medians of epochs in turn."""
    times: dict[str, list[float]] = {}
    for _ in rounds_within(rounds, seconds):
        for contestant in contestants:
            answer = contestant.measure(["epoch", dataclasses.asdict(task)])
            times.setdefault(contestant.name, []).append(answer["seconds"])
    samples = task.batch * task.steps
    return {name: samples / statistics.median(s) for name, s in times.items()}


def write_picture(path: str, results: list[dict[str, Any]]) -> None:
    """Write a bar chart of the steps per second of each task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(2, len(results))
    lines = -(-len(results) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(5 * columns, 2.6 * lines), squeeze=False
    )
    for axis in axes.flat[len(results) :]:
        axis.set_axis_off()
    for axis, result in zip(axes.flat, results, strict=False):
        rates = {
            name: rate / result["batch"]
            for name, rate in result["samples_per_second"].items()
        }
        names = list(rates)[::-1]
        colors = ["tab:orange" if n == "cnn_core" else "tab:blue" for n in names]
        bars = axis.barh(names, [rates[n] for n in names], color=colors)
        axis.bar_label(bars, fmt="%.3g", fontsize=8, padding=2)
        axis.set_title(
            f"{result['task']}, batch {result['batch']}, {result['optimizer']}",
            fontsize=9,
        )
        axis.set_xlabel("steps per second", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.2)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, "tasks", rounds=15, seconds=60)
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--png", metavar="FILE", help="write a chart to FILE")


def run(options: argparse.Namespace) -> int:
    """Train the chosen models and print a table."""
    tasks = choose(TASKS, options.only)
    if not tasks:
        return 1
    trained = (name for name, library in LIBRARIES.items() if library.epoch is not None)
    names = participants(options, trained)
    results = []
    with processes(names, options.threads) as contestants:
        facts = header(options.threads, contestants)
        print(format_header(facts))
        for task in tasks:
            rates = measure(contestants, task, options.rounds, options.seconds)
            results.append(
                {
                    "task": task.name,
                    "batch": task.batch,
                    "optimizer": task.optimizer,
                    "samples_per_second": rates,
                }
            )
            print(f"measured {task.name}", file=sys.stderr, flush=True)
    print("First figures: our rate. The others: how many times faster we are.")
    print(table(results, names))
    write_figures(options, {**facts, "results": results})
    if options.png:
        write_picture(options.png, results)
    return 0


def table(results: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Return the rates, and ratios to the others, as a table."""
    rows = []
    for result in results:
        rates = result["samples_per_second"]
        mine = rates["cnn_core"]
        rows.append(
            [
                f"{result['task']}, batch {result['batch']}, {result['optimizer']}",
                f"{mine / result['batch']:.0f}",
                f"{mine:.0f}",
                *[f"{mine / rates[name]:.2f}" for name in names[1:]],
            ]
        )
    return markdown(["model", "steps/s", "samples/s", *names[1:]], rows)
