"""Callbacks made of functions."""

from __future__ import annotations

from typing import Any

from ..shapes import unknown_name
from .callback import Callback

_HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


class LambdaCallback(Callback):
    """Calls functions at hooks, given by name: `LambdaCallback(on_epoch_end=print)`.

    Functions for an epoch are called with `(epoch, logs)`, those for a batch with
    `(batch, logs=logs)`, the others with `(logs)`.

    Args:
        **functions: a function for each hook of `Callback` to use.

    Raises:
        ValueError: for a hook that does not exist.
    """

    def __init__(self, **functions: Any) -> None:
        super().__init__()
        for name, function in functions.items():
            if name not in _HOOKS:
                raise unknown_name("hook of LambdaCallback", name, _HOOKS)
            if function is not None:
                setattr(self, name, function)
