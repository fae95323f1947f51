"""Compiled kernels against their NumPy references and torch; products are elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from .cases import FAMILIES, chosen_cases
from .harness import (
    Case,
    Result,
    add_options,
    compare,
    format_header,
    format_row,
    format_title,
    header,
    installed,
    processes,
    write_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, "kernels whose name holds NAME", 0.3)
    parser.add_argument("--no-torch", action="store_true", help="leave torch out")


def named_cases(only: str) -> Iterator[tuple[str, int, Case]]:
    """Yield family, number and case of the kernels whose name holds `only`."""
    families = [name for name in FAMILIES if name != "matmul"]
    return chosen_cases(families, lambda case: only in case.kernel)


def run(options: argparse.Namespace) -> int:
    """Time the chosen kernels and print the table."""
    if not any(True for _ in named_cases(options.only)):
        known = {case.kernel for _, _, case in named_cases("")}
        print(
            f"bench: no kernel named like {options.only!r}; there are "
            f"{', '.join(sorted(known))}, and matrix products in "
            "`python -m bench products`",
            file=sys.stderr,
        )
        return 1
    torch = [] if options.no_torch else installed({"torch": ["torch"]})
    names = ["compiled", "reference", *torch]
    results = []
    with processes({n: {} for n in names}, options.threads) as contestants:
        facts = header(options.threads, contestants)
        print(format_header(facts))
        print("us: compiled, median. Others: their time / ours; above 1, we win.")
        print(format_title())
        for family, number, case in named_cases(options.only):
            seconds = compare(contestants, [family, number], options.seconds)
            results.append(Result(case, seconds))
            print(format_row(results[-1]), flush=True)
    if options.json:
        write_json(options.json, facts, results)
    return 0
