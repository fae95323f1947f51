"""Fixed costs: what is paid per import, model, call, step, shape and instruction."""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .harness import Contestant, format_header, header, markdown, rounds_within
from .libraries import add_options, choose, participants, processes, write_figures
from .networks import LIBRARIES, Task

DEEP = Task("10 layers", (64, *(64,) * 9, 10), 32, "adam", 2)
LATENCIES = ((8, 8, 4), (784, 512, 10))
DEPTHS = (1, 2, 4, 8, 16)
WIDTH = 4  # units of the networks whose arithmetic costs about nothing
STEPS = 4000  # steps of such an epoch, so that what an epoch costs does not matter
SLOW_STEPS = 200  # and where a step takes a millisecond

Answers = dict[str, list[dict[str, Any]]]


@dataclass
class Measure:
    """One row or more of the table.

    Args:
        name: what --only looks at.
        request: what a worker is asked.
        rows: for each row its title, its goal, and the field and format of an answer.
        slow: another request for libraries that compile each shape, or are slow.
        most_rounds: how often it is repeated at most.
        among: who is asked; everyone by default.
    """

    name: str
    request: list[Any]
    rows: list[tuple[str, str, str, str]]
    slow: list[Any] | None = None
    most_rounds: int = 1000
    among: tuple[str, ...] = tuple(LIBRARIES)


def chain_of(depth: int, steps: int) -> Task:
    """Return a network of so many tiny layers."""
    return Task(f"depth {depth}", (WIDTH,) * (depth + 1), 1, "adam", steps)


def measures(lengths: int, models: int) -> list[Measure]:
    """Return everything that workers are asked, in the order of the table."""
    found = [
        Measure(
            "first step",
            ["first", dataclasses.asdict(DEEP)],
            [("first fit of 10 layers, ms", "<= 30", "seconds", "ms")],
            most_rounds=7,
        )
    ]
    for depth in DEPTHS:
        everyone = depth in (2, 16)
        row = (f"step of {depth} tiny layers, us", "", "step", "us")
        found.append(
            Measure(
                f"step {depth}",
                ["epoch", dataclasses.asdict(chain_of(depth, STEPS))],
                [row] if everyone else [],
                ["epoch", dataclasses.asdict(chain_of(depth, SLOW_STEPS))],
                among=tuple(LIBRARIES) if everyone else ("cnn_core",),
            )
        )
    found.append(
        Measure(
            "fit call",
            ["epoch", dataclasses.asdict(chain_of(2, 2))],
            [("fit of 2 tiny steps again, us", "", "seconds", "us")],
        )
    )
    for sizes in LATENCIES:
        shown = "-".join(map(str, sizes))
        goal = {784: "<= ORT"}.get(sizes[0], "")
        found += [
            Measure(
                f"latency call {shown}",
                ["call", list(sizes)],
                [(f"model(x1), {shown}, us", goal, "seconds", "us")],
            ),
            Measure(
                f"latency apart {shown}",
                ["apart", list(sizes)],
                [(f"model(x1) 3 ms apart, {shown}, us", "", "seconds", "us")],
            ),
            Measure(
                f"latency predict {shown}",
                ["predict", list(sizes)],
                [(f"predict(x1), {shown}, us", "<= 100", "seconds", "us")],
            ),
        ]
    for method in ("predict", "train_on_batch"):
        title = f"{method}, {lengths:,} lengths"
        found.append(
            Measure(
                f"lengths {method}",
                ["lengths", method, lengths],
                [
                    (f"{title}, ms each", "", "seconds", "ms"),
                    (f"{title}, growth MB", "", "growth", "MB"),
                    (f"{title}, warnings", "0", "warnings", "number"),
                ],
                ["lengths", method, max(1, lengths // 50)],
                most_rounds=1,
            )
        )
    found.append(
        Measure(
            "models",
            ["rounds", models],
            [
                ("build, fit, predict, ms", "", "seconds", "ms"),
                (f"growth over {models} models, MB", "< 5", "growth", "MB"),
            ],
            ["rounds", max(1, models // 20)],
            most_rounds=1,
        )
    )
    found.append(
        Measure(
            "threads",
            ["threads_right"],
            [("two threads predict, both right", "yes", "right", "yes")],
            most_rounds=1,
        )
    )
    return found


def is_slow(name: str) -> bool:
    """Tell whether a library gets the smaller requests."""
    return name not in ("cnn_core", "torch")


def ask(
    contestants: Sequence[Contestant], measure: Measure, rounds: int, seconds: float
) -> Answers:
    """Ask contestants in turn; return the answers of each, where there are any."""
    answers: Answers = {}
    for _ in rounds_within(min(rounds, measure.most_rounds), seconds):
        for contestant in contestants:
            if contestant.name not in measure.among:
                continue
            request = measure.request
            if measure.slow is not None and is_slow(contestant.name):
                request = measure.slow
            answer = contestant.measure(request)
            if answer is None:
                continue
            if request[0] == "epoch":
                answer["step"] = answer["seconds"] / request[1]["steps"]
            answers.setdefault(contestant.name, []).append(answer)
    return answers


def shown(answers: Sequence[dict[str, Any]] | None, name: str, unit: str) -> str:
    """Return the median of a field, as a cell of the table."""
    values = [a[name] for a in answers or () if a.get(name) is not None]
    if not values:
        return ""
    if unit == "yes":
        return "yes" if all(values) else "NO"
    middle = statistics.median(values)
    scale = {"ms": 1e3, "us": 1e6, "MB": 2**-20, "number": 1}[unit]
    return f"{middle * scale:.{0 if unit == 'number' else 1 if unit != 'ms' else 2}f}"


@dataclass
class StepCost:
    """The line through the step times of networks with more and more instructions.

    Args:
        seconds: of a step, by the number of its instructions.
    """

    seconds: dict[int, float]
    per_step: float = field(init=False)
    per_instruction: float = field(init=False)

    def __post_init__(self) -> None:
        counts = np.array(list(self.seconds), float)
        slope, start = np.polyfit(counts, list(self.seconds.values()), 1)
        self.per_step, self.per_instruction = float(start), float(slope)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return title, goal and figure of the rows about it."""
        return [
            (f"our step of {n} instructions, us", f"<= {5 + 0.1 * n:.1f}", _us(s, 2))
            for n, s in self.seconds.items()
        ] + [
            ("line through these: start, us", "<= 5", _us(self.per_step, 2)),
            ("and per instruction, us", "<= 0.1", _us(self.per_instruction, 3)),
        ]


def _us(seconds: float, digits: int) -> str:
    return f"{seconds * 1e6:.{digits}f}"


_IMPORT = (
    "import time; import numpy; t = time.perf_counter(); import {}; "
    "print(time.perf_counter() - t)"
)


def import_times(names: Sequence[str], rounds: int) -> Answers:
    """Return the seconds that an import takes beyond NumPy's, of each library."""
    answers: Answers = {}
    skipped = ("torch.compile", "onnxruntime-2")  # same import as another one
    for _ in range(rounds):
        for name in names:
            if name in skipped:
                continue
            module = LIBRARIES[name].needs[0].partition(".")[0]
            done = subprocess.run(
                [sys.executable, "-c", _IMPORT.format(module)],
                env=os.environ | LIBRARIES[name].environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            seconds = float(done.stdout.split()[-1])
            answers.setdefault(name, []).append({"seconds": seconds})
    return answers


def step_cost(contestant: Contestant, answers: dict[str, Answers]) -> StepCost | None:
    """Return what our step costs, from the networks of several depths."""
    seconds = {}
    for depth in DEPTHS:
        mine = answers.get(f"step {depth}", {}).get("cnn_core")
        if mine:
            task = dataclasses.asdict(chain_of(depth, 1))
            count = contestant.measure(["instructions", task])["instructions"]
            seconds[count] = statistics.median(a["step"] for a in mine)
    return StepCost(seconds) if len(seconds) > 1 else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, "rows", rounds=9, seconds=20)
    parser.add_argument("--lengths", type=int, default=1000, help="lengths (1000)")
    parser.add_argument("--models", type=int, default=500, help="models built (500)")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")


def run(options: argparse.Namespace) -> int:
    """Measure what the command line asks for and print the table."""
    known = measures(options.lengths, options.models)
    chosen = choose(known, options.only, ["import"])
    imports = options.only in "import"
    if not chosen and not imports:
        return 1
    names = participants(options, LIBRARIES)
    answers: dict[str, Answers] = {}
    rows: list[list[str]] = []

    def add(title: str, goal: str, by: Answers, name: str, unit: str) -> None:
        cells = [shown(by.get(n), name, unit) for n in names]
        rows.append([title, goal, *cells])

    if imports:
        answers["import"] = import_times(names, min(options.rounds, 7))
        add("import beyond NumPy, ms", "<= 150", answers["import"], "seconds", "ms")
    cost = None
    with processes(names if chosen else (), options.threads) as contestants:
        facts = header(options.threads, contestants)
        for measure in chosen:
            print(f"... {measure.name}", file=sys.stderr, flush=True)
            answers[measure.name] = ask(
                contestants, measure, options.rounds, options.seconds
            )
            for title, goal, name, unit in measure.rows:
                add(title, goal, answers[measure.name], name, unit)
        if contestants:
            cost = step_cost(contestants[0], answers)
    if cost is not None:
        blank = [""] * (len(names) - 1)
        rows += [[title, goal, mine, *blank] for title, goal, mine in cost.rows()]
    print(format_header(facts))
    print("Medians, in turn. ORT: ONNX Runtime with 1 and 2 threads.")
    if len(names) > 1 and any(m.name.startswith(("len", "models")) for m in chosen):
        print("Libraries other than cnn_core and torch: 1/50 of the lengths, 1/20 of")
        print("the models.")
    print(markdown(["fixed cost", "goal", *names], rows))
    figures = {**facts, "answers": answers}
    if cost is not None:
        figures["step_cost"] = dataclasses.asdict(cost)
    write_figures(options, figures)
    return 0
