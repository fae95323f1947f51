"""The compiled backend: the native twin of each reference function that has one.

Importing this module imports `cnn_core._native` and raises its ImportError.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from cnn_core.backend import reference

__all__ = ["FUNCTIONS", "native"]

native: Any = import_module("cnn_core._native")
# Arguments that no kernel supports are handed on to these functions.
native.bind_reference(reference)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(native, name, getattr(reference, name))
    for name in reference.FUNCTION_NAMES
}
