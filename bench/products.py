"""Dense products against NumPy, torch and JAX, in each layout and form."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .cases import chosen_cases
from .harness import (
    Case,
    Result,
    add_options,
    compare,
    format_header,
    header,
    installed,
    markdown,
    processes,
    write_json,
)
from .matmul import SHAPES, can_run

RIVALS = {"numpy": (), "torch": ("torch",), "jax": ("jax",)}
MARKS = (1.0, 0.95)  # rows below these are listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, "products whose shape and form hold NAME", 0.3)
    parser.add_argument("--no-rivals", action="store_true", help="this library only")


def named_cases(native: Any, only: str) -> Iterator[tuple[str, int, Case]]:
    """Yield family, number and case of the products whose row holds `only`."""
    return chosen_cases(
        ["matmul"], lambda case: only in case.title and can_run(native, case)
    )


def run(options: argparse.Namespace) -> int:
    """Time the chosen products and print a table."""
    from cnn_core.backend.compiled import native

    if not any(True for _ in named_cases(native, options.only)):
        known = ", ".join("x".join(map(str, shape)) for shape in SHAPES)
        print(
            f"bench: no product named like {options.only!r}; there are {known}",
            file=sys.stderr,
        )
        return 1
    rivals = [] if options.no_rivals else installed(RIVALS)
    environments: dict[str, dict[str, str]] = {n: {} for n in ("compiled", *rivals)}
    results = []
    with processes(environments, options.threads) as contestants:
        facts = header(options.threads, contestants)
        print(format_header(facts))
        for family, number, case in named_cases(native, options.only):
            seconds = compare(contestants, [family, number], options.seconds)
            results.append(Result(case, seconds))
            print(f"measured {case.title}", file=sys.stderr, flush=True)
    print(table(results, rivals))
    if rivals:
        print("Libraries: their time / ours; best: of the fastest. Above 1, we win.")
        print("A B held: B was written into panels before; others read it as it lies.")
        for mark in MARKS:
            print(f"best below {mark}: {', '.join(below(results, mark)) or 'none'}")
    if options.json:
        write_json(options.json, facts, results)
    return 0


def below(results: Sequence[Result], mark: float) -> list[str]:
    """Return the rows, and their ratios, where the fastest rival comes below a mark."""
    return [
        f"{r.case.title} ({best:.2f})"
        for r in results
        if (best := r.best()) is not None and best < mark
    ]


def table(results: Sequence[Result], rivals: Sequence[str]) -> str:
    """Return our rates, and ratios to the others, as a table."""
    rows = [
        [
            r.case.shape,
            r.case.form,
            f"{r.rate('compiled'):.1f}",
            *(ratio(r.ratio(name)) for name in rivals),
            *([ratio(r.best())] if rivals else []),
        ]
        for r in results
    ]
    head = ["shape", "form", "GFLOP/s", *rivals, *(["best"] if rivals else [])]
    return markdown(head, rows, texts=2)


def ratio(value: Any) -> str:
    """Return a ratio as the table shows it."""
    return "" if value is None else f"{value:.2f}"
