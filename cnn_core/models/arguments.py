"""Checks of what `fit`, `evaluate` and `predict` are given."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import config
from .data import (
    as_arrays,
    check_lengths,
    pack_x_y_sample_weight,
    to_batch,
    train_validation_split,
)
from .sources import comes_in_batches


def one_batch(x: Any, y: Any, sample_weight: Any, who: str) -> Any:
    """Return one batch that a user gave as tensors, after checks."""
    data = tuple(
        as_arrays(part, name, who)
        for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight))
    )
    check_lengths(data, who)
    return to_batch(pack_x_y_sample_weight(*data))


def split_data(x: Any, y: Any, sample_weight: Any, fraction: Any) -> tuple[Any, Any]:
    """Return the data to train on and, as a tuple, the data to validate on."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
        raise TypeError(
            f"fit: expected validation_split to be a number, got {fraction!r}"
        )
    if not 0 < fraction < 1:
        raise ValueError(f"fit: expected 0 <= validation_split < 1, got {fraction}")
    if comes_in_batches(x):
        raise ValueError(
            f"fit: validation_split needs arrays, got a {type(x).__name__}; give "
            "validation_data instead"
        )
    names = ("x", "y", "sample_weight")
    arrays = tuple(
        as_arrays(part, name, "fit")
        for part, name in zip((x, y, sample_weight), names, strict=True)
    )
    return train_validation_split(arrays, fraction, "fit")


def integer(name: str, value: Any) -> int:
    """Return a number of epochs."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"fit: expected {name} to be an integer, got {value!r}"
        ) from None
    if number < 0:
        raise ValueError(f"fit: expected {name} to be at least 0, got {number}")
    return number


def verbosity(verbose: Any, who: str) -> int:
    """Return 0, 1 or 2 for what Keras takes as `verbose`."""
    if verbose == "auto":
        return 1 if config.is_interactive_logging_enabled() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(
            f"{who}: expected verbose to be 'auto', 0, 1 or 2, got {verbose!r}"
        )
    return int(verbose)


def validation_schedule(frequency: Any) -> Callable[[int], bool]:
    """Return the function that tells whether to validate after an epoch."""
    if isinstance(frequency, int) and not isinstance(frequency, bool) and frequency > 0:
        return lambda epoch: epoch % frequency == 0
    if isinstance(frequency, (list, tuple, set)):
        return lambda epoch: epoch in frequency
    raise ValueError(
        "fit: expected validation_freq to be a positive integer or a list of epochs, "
        f"got {frequency!r}"
    )
