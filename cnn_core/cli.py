"""The command `cnn-core`: a first training run, and what this installation can do."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import __version__, backend, datasets, losses, optimizers, saving, utils
from .layers import Dense, Dropout, Flatten, GaussianNoise, Input, Rescaling
from .models import Sequential

_BATCH_SIZE = 32
_EXTRAS = {
    "h5py": "saving and loading models",
    "rich": "tables and progress bars in color",
    "matplotlib": 'learning curves (pip install "cnn_core[plot]")',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments, by default those of the process.

    Returns:
        Exit status: 0 for success, 1 for failure, 2 for wrong arguments.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        if options.command == "info":
            _info()
        else:
            _digits(options.epochs, options.seed, options.out, options.quiet)
    except KeyboardInterrupt:
        print("cnn-core: interrupted", file=sys.stderr)
        return 130
    except (OSError, ValueError, ImportError) as error:
        print(f"cnn-core {options.command}: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename!r}" if error.filename else ""
        return f"{error.strerror}{where}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cnn-core", description="Deep learning on CPUs with the Keras 3 API."
    )
    parser.add_argument(
        "--version", action="version", version=f"cnn-core {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    digits = commands.add_parser(
        "digits",
        help="train a model on the digits in the package, save it, draw its curve",
        description="Train a small model on the handwritten digits in the package.",
    )
    digits.add_argument(
        "--epochs",
        type=_positive,
        default=30,
        help="passes over the data (default: 30)",
    )
    digits.add_argument(
        "--seed",
        type=_seed,
        default=1,
        help="what all random numbers follow (default: 1)",
    )
    digits.add_argument(
        "--out",
        default=".",
        metavar="DIR",
        help="folder for digits.keras and digits.png (default: the present one)",
    )
    digits.add_argument(
        "--quiet", action="store_true", help="print nothing but the test accuracy"
    )
    commands.add_parser("info", help="print what this installation runs on")
    return parser


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return value


def _seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(
            f"expected an integer from 0 to 2**32 - 1, got {text!r}"
        )
    return value


# --- info ---------------------------------------------------------------------


def _info() -> None:
    found = backend.info()
    isas = ", ".join(found["available_isas"])
    lines = {
        "cnn_core": __version__,
        "backend": found["backend"],
        "instruction set": f"{found['isa']} (available: {isas})" if isas else "NumPy's",
        "products": _products(found),
        "threads": found["threads"],
        "machine": found["machine"],
        "python": found["python"],
        "numpy": found["numpy"],
    }
    for label, value in lines.items():
        if value is not None:
            print(f"{label + ':':<17}{value}")
    missing = [name for name in _EXTRAS if name in found["missing"]]
    for name in missing:
        print(f"{'missing:':<17}{name}, for {_EXTRAS[name]}")


def _products(found: dict[str, Any]) -> str | None:
    """Return how float32 products are computed, where the machine leaves a choice."""
    if found["isa"] != "amx":
        return None
    if found["portable_bits"]:
        return "portable bits, without tile units"
    return f"on tile units, {found['float32_matmul_precision']} precision"


# --- digits -------------------------------------------------------------------


def build_digits_model(steps: int) -> Any:
    """Return the compiled model that `cnn-core digits` trains: two hidden layers.

    Args:
        steps: number of batches, over which the learning rate falls to zero.
    """
    model = Sequential(
        [
            Input((8, 8)),
            Rescaling(1 / 16),
            Flatten(),
            GaussianNoise(0.3),
            Dense(128, activation="relu"),
            Dropout(0.2),
            Dense(128, activation="relu"),
            Dropout(0.2),
            Dense(10),
        ],
        name="digits",
    )
    model.compile(
        optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(3e-3, steps)),
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _digits(epochs: int, seed: int, out: str, quiet: bool) -> None:
    _check_writable(out)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    utils.set_random_seed(seed)
    model = build_digits_model(epochs * math.ceil(len(x_train) / _BATCH_SIZE))
    if not quiet:
        model.summary()
    history = model.fit(
        x_train,
        y_train,
        batch_size=_BATCH_SIZE,
        epochs=epochs,
        validation_data=(x_test, y_test),
        verbose=0 if quiet else "auto",
    ).history
    accuracy = history["val_accuracy"][-1]
    print(f"test accuracy: {accuracy:.2%} of {len(x_test)} images")
    path = os.path.join(out, "digits.keras")
    model.save(path)
    _check_same(model.predict(x_test, verbose=0), path, x_test)
    plot = _plot(history, os.path.join(out, "digits.png"))
    if not quiet:
        print(f"model: {path} (loaded again, it predicts the same)")
        print(plot)


def _check_writable(folder: str) -> None:
    """Fail now rather than after the training.

    Raises:
        OSError: if the folder cannot be made or written to.
    """
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _check_same(predictions: Any, path: str, x: Any) -> None:
    again = saving.load_model(path).predict(x, verbose=0)
    if not np.array_equal(predictions, again):
        raise ValueError(f"{path!r}: the loaded model predicts differently")


def _plot(history: dict[str, list[float]], path: str) -> str:
    """Draw the learning curve and return a line that says where it is, or why not."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return (
            "learning curve: not drawn, matplotlib is missing; "
            'get it with pip install "cnn_core[plot]"'
        )
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    epochs = range(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, history["accuracy"], label="training, with noise and dropout")
    axes.plot(epochs, history["val_accuracy"], label="test")
    axes.set(xlabel="epoch", ylabel="accuracy", title="Handwritten digits")
    axes.grid(alpha=0.3)
    axes.legend()
    with open(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)
    return f"learning curve: {path}"
