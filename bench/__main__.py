"""Benchmarks on the command line."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from typing import Any

from .harness import cpu_count, limit_threads

COMMANDS = {
    "kernels": "kernels but products against NumPy references and torch (default)",
    "products": "matrix products in every layout against NumPy, torch and JAX",
    "models": "training steps of whole models against torch, JAX and Keras",
    "fixed": "costs of import, first step, call, step, new shape; and the rivals'",
    "memory": "peak memory of a training step, and torch's",
    "roofline": "each kernel under the limits of this machine; with a picture",
}


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark that the command line asks for."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "kernels")
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure this library, next to others where they are installed. "
        "`python -m bench COMMAND --help` tells the options of a command.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    modules: dict[str, Any] = {}
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.set_defaults(command=name)
        if given[0] == name:  # others need not be loaded
            modules[name] = importlib.import_module(f".{name}", __package__)
            modules[name].add_arguments(command)
    options = parser.parse_args(given)
    if importlib.util.find_spec("cnn_core._native") is None:
        print("bench: the kernels are not built; run `pip install .`", file=sys.stderr)
        return 1
    limit_threads(getattr(options, "threads", None) or cpu_count())
    result: int = modules[options.command].run(options)
    return result


if __name__ == "__main__":
    sys.exit(main())
