"""Models: stacks, graphs and own classes of layers, with the training loop."""

from __future__ import annotations

import importlib
from typing import Any

from .cloning import clone_model
from .functional import Functional
from .model import Model, model_from_json
from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "model_from_json"]

_OF_SAVING = ("load_model", "save_model")  # Keras has them here, too


def __getattr__(name: str) -> Any:
    if name in _OF_SAVING:
        return getattr(importlib.import_module("..saving", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_SAVING})
