"""Benchmarks on the command line."""

from __future__ import annotations

import argparse
import os
import sys


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Time every compiled kernel against its NumPy reference and torch.",
    )
    parser.add_argument("--only", metavar="NAME", help="kernels whose name holds NAME")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="time per case in seconds (0.3)"
    )
    parser.add_argument("--no-torch", action="store_true", help="leave torch out")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks that the command line asks for."""
    options = arguments(argv)
    for library in ("OPENBLAS", "MKL", "OMP"):  # read when they are loaded
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads)
    return run(options)


def run(options: argparse.Namespace) -> int:
    """Run the chosen cases; imports NumPy, whose threads are set by now."""
    from .cases import all_cases
    from .harness import (
        Result,
        compare,
        contestants,
        format_header,
        format_row,
        format_title,
        header,
        torch_module,
        write_json,
    )

    try:
        from cnn_core import _native
    except ModuleNotFoundError as error:
        if error.name != "cnn_core._native":
            raise
        print("bench: the kernels are not built; run `pip install .`", file=sys.stderr)
        return 1
    from cnn_core import config
    from cnn_core.backend import reference

    config.set_num_threads(options.threads)
    cases = [c for c in all_cases() if not options.only or options.only in c.kernel]
    if not cases:
        names = sorted({c.kernel for c in all_cases()})
        print(
            f"bench: no kernel named like {options.only!r}; there are "
            f"{', '.join(names)}",
            file=sys.stderr,
        )
        return 1
    torch = None if options.no_torch else torch_module(options.threads)
    facts = header(_native, torch)
    print(format_header(facts))
    print("us: compiled, median. reference, torch: their time / ours; above 1, we win.")
    print(format_title())
    results = []
    for case in cases:
        calls = contestants(case, _native, reference, torch)
        seconds = compare(calls, options.seconds, settle=options.threads > 1)
        results.append(Result(case, seconds))
        print(format_row(results[-1]), flush=True)
    if options.json:
        write_json(options.json, facts, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
