"""Which objects of a model have state of their own, and where a file keeps it.

A path is the way from the model to the object: attribute names, and in lists, tuples
and dictionaries the class name in snake case, numbered where it repeats. Those are the
paths of Keras 3 files: `layers/dense_1`, `layers/encoder/blocks/block`, `optimizer`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from .. import naming
from ..graph import Operation
from ..layers import Layer
from ..losses import Loss
from ..metrics import Metric
from ..models import Functional, Sequential
from ..optimizers import Optimizer

# The order matters: an object is of the first kind that it is an instance of.
_KINDS = (Layer, Optimizer, Metric, Loss, Operation)

# Where models keep what they also list in `layers`.
_MODEL_INTERNALS = {"_functional", "_nodes", "_operations", "_stack"}


def saveables(model: Any) -> list[tuple[str, Any]]:
    """Return (path, object) for the model and everything in it, each object once.

    Args:
        model: the model, whose own path is the empty string.
    """
    found: list[tuple[str, Any]] = []
    _visit(model, "", set(), found)
    return found


def _visit(
    obj: Any, path: str, visited: set[int], found: list[tuple[str, Any]]
) -> None:
    if id(obj) in visited:
        return
    visited.add(id(obj))
    found.append((path, obj))
    for name, child in _children(obj):
        child_path = f"{path}/{name}" if path else name
        if isinstance(child, _KINDS):
            _visit(child, child_path, visited, found)
        elif isinstance(child, (list, tuple, dict)):
            _visit_container(child, child_path, visited, found, set())


def _visit_container(
    container: Any,
    path: str,
    visited: set[int],
    found: list[tuple[str, Any]],
    containers: set[int],
) -> None:
    if id(container) in containers:
        return
    containers.add(id(container))
    counts: dict[str, int] = {}
    for item in container.values() if isinstance(container, dict) else container:
        if isinstance(item, _KINDS):
            name = _numbered(naming.snake_case(type(item).__name__), counts)
            _visit(item, f"{path}/{name}", visited, found)
        elif isinstance(item, (list, tuple, dict)):
            name = _numbered("container", counts)
            _visit_container(item, f"{path}/{name}", visited, found, containers)


def _numbered(name: str, counts: dict[str, int]) -> str:
    counts[name] = counts.get(name, -1) + 1
    return f"{name}_{counts[name]}" if counts[name] else name


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a class adds to its base, public ones first."""
    if isinstance(obj, (Sequential, Functional)):
        yield "layers", obj.layers
    skipped = _base_attributes(next(kind for kind in _KINDS if isinstance(obj, kind)))
    names = (n for n in dir(obj) if not n.startswith("__") and n not in skipped)
    for name in sorted(names, key=lambda n: (n.startswith("_"), n)):
        try:
            child = getattr(obj, name)
        except Exception:  # a property that cannot be read holds no state
            continue
        yield name, child


@functools.cache
def _base_attributes(kind: type) -> frozenset[str]:
    names = set(dir(kind))
    if kind is Layer:
        names.update(vars(Layer(name="layer")), _MODEL_INTERNALS)
    return frozenset(names)
