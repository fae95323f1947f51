"""Checks of constructor arguments, with messages that name the layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import config


def positive_int(layer: Any, name: str, value: Any) -> int:
    """Return `value` as a Python integer.

    Raises:
        ValueError: if it is not an integer greater than 0.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(
            f"{layer._who()}: expected {name} to be a positive integer, got {value!r}"
        )
    return int(value)


def number(
    layer: Any,
    name: str,
    value: Any,
    low: float = 0.0,
    high: float = math.inf,
    below: bool = False,
) -> Any:
    """Return `value`, a finite number in [low, high], or in [low, high) if `below`.

    Raises:
        ValueError: if it is not one.
    """
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if (
        not real
        or not math.isfinite(value)
        or not low <= value <= high
        or (below and value == high)
    ):
        if math.isinf(high):
            wanted = f"a number >= {low:g}"
        else:
            wanted = f"a number in [{low:g}, {high:g}{')' if below else ']'}"
        raise ValueError(
            f"{layer._who()}: expected {name} to be {wanted}, got {value!r}"
        )
    return value.item() if isinstance(value, np.number) else value


def data_format(layer: Any, value: Any) -> str:
    """Return the image layout, by default that of the configuration.

    Raises:
        ValueError: if it is neither "channels_last" nor "channels_first".
    """
    if value is None:
        return config.image_data_format()
    if value not in config.DATA_FORMATS:
        raise ValueError(
            f"{layer._who()}: expected data_format to be 'channels_last' or "
            f"'channels_first', got {value!r}"
        )
    return str(value)
