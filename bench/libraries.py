"""What benchmarks of whole libraries share: options, processes, a file of figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from . import harness
from .harness import Contestant, cpu_count
from .networks import LIBRARIES, installed


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def add_options(
    parser: argparse.ArgumentParser,
    what: str,
    rounds: int,
    seconds: float | None = None,
) -> None:
    """Add the options that these benchmarks have in common.

    Args:
        parser: of the command.
        what: what --only chooses from.
        rounds: measurements by default.
        seconds: time by default after which no round begins; None if rounds decide.
    """
    parser.add_argument("--only", metavar="NAME", default="", help=f"{what} named so")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--threads", type=int, default=cpu_count(), help="threads")
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"measurements ({rounds})"
    )
    if seconds is not None:
        parser.add_argument(
            "--seconds",
            type=float,
            default=seconds,
            help=f"after which no round begins ({seconds:g})",
        )
    parser.add_argument("--no-rivals", action="store_true", help="this library only")


def choose(
    items: Iterable[_Item], only: str, others: Sequence[str] = ()
) -> list[_Item]:
    """Return the items named like `only`; say what there is if there is none.

    Args:
        items: what has a name.
        only: part of a name.
        others: further names that a command knows.
    """
    items = list(items)
    chosen = [item for item in items if only in item.name]
    if not chosen and not any(only in name for name in others):
        known = ", ".join([*others, *(item.name for item in items)])
        print(f"bench: nothing named like {only!r}; there are {known}", file=sys.stderr)
    return chosen


def participants(options: argparse.Namespace, rivals: Iterable[str]) -> list[str]:
    """Return this library and those rivals that are installed and asked for."""
    if options.no_rivals:
        return ["cnn_core"]
    asked = getattr(options, "compile", True)
    rivals = [r for r in rivals if r != "cnn_core" and (asked or r != "torch.compile")]
    return ["cnn_core", *installed(rivals)]


def processes(
    names: Iterable[str], threads: int
) -> contextlib.AbstractContextManager[list[Contestant]]:
    """Start a process for each library, and end it afterwards."""
    environments = {name: LIBRARIES[name].environment for name in names}
    return harness.processes(environments, threads, "bench.library_worker")


def write_figures(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write figures to the file that was asked for, if any."""
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))
