"""Every compiled kernel against its NumPy reference and torch."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from .cases import iterate_cases
from .harness import (
    CONTESTANTS,
    Contestant,
    Result,
    compare,
    format_header,
    format_row,
    format_title,
    header,
    write_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--only", metavar="NAME", help="kernels whose name holds NAME")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="time per case in seconds (0.3)"
    )
    parser.add_argument("--no-torch", action="store_true", help="leave torch out")


def run(options: argparse.Namespace) -> int:
    """Time the chosen kernels and print the table."""
    names = list(CONTESTANTS)
    if options.no_torch:
        names.remove("torch")
    elif importlib.util.find_spec("torch") is None:
        names.remove("torch")
        print("left out: torch (not installed)")
    known = {case.kernel for case in iterate_cases()}
    if options.only and not any(options.only in kernel for kernel in known):
        print(
            f"bench: no kernel named like {options.only!r}; there are "
            f"{', '.join(sorted(known))}",
            file=sys.stderr,
        )
        return 1
    contestants = [Contestant(name, options.threads) for name in names]
    facts = header(options.threads)
    for contestant in contestants:
        facts |= contestant.facts
    print(format_header(facts))
    print("us: compiled, median. reference, torch: their time / ours; above 1, we win.")
    print(format_title())
    results = []
    try:
        for number, case in enumerate(iterate_cases()):
            if options.only and options.only not in case.kernel:
                continue
            seconds = compare(contestants, number, options.seconds)
            results.append(Result(case, seconds))
            print(format_row(results[-1]), flush=True)
    finally:
        for contestant in contestants:
            contestant.close()
    if options.json:
        write_json(options.json, facts, results)
    return 0
