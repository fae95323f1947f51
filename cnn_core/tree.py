"""Nested lists, tuples and dictionaries, walked in one fixed order."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Tell whether `structure` is a list, tuple or dictionary."""
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list[Any]:
    """Return the leaves from left to right, dictionaries by sorted key."""
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Any, leaves: list[Any]) -> None:
    if isinstance(structure, dict):
        for key in _sorted_keys(structure):
            _collect(structure[key], leaves)
    elif isinstance(structure, (list, tuple)):
        for item in structure:
            _collect(item, leaves)
    else:
        leaves.append(structure)


def _sorted_keys(structure: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:  # keys of several types
        return list(structure)


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Apply `function` to corresponding leaves and return the same nesting.

    Raises:
        ValueError: if the structures are nested differently.
    """
    first = structures[0]
    if not is_nested(first):
        return function(*structures)
    for other in structures[1:]:
        _check_same_nesting(first, other)
    if isinstance(first, dict):
        return _like_dict(
            first,
            {k: map_structure(function, *(s[k] for s in structures)) for k in first},
        )
    return _like(
        first,
        [map_structure(function, *parts) for parts in zip(*structures, strict=True)],
    )


def _check_same_nesting(first: Any, other: Any) -> None:
    if isinstance(first, dict):
        same = isinstance(other, dict) and first.keys() == other.keys()
    else:
        same = isinstance(other, (list, tuple)) and len(first) == len(other)
    if not same:
        raise ValueError(f"map_structure: {first!r} and {other!r} differ in nesting")


def _like(sequence: Any, items: list[Any]) -> Any:
    if hasattr(sequence, "_fields"):  # a named tuple takes its fields one by one
        return type(sequence)(*items)
    return tuple(items) if isinstance(sequence, tuple) else items


def _like_dict(original: dict[Any, Any], items: dict[Any, Any]) -> dict[Any, Any]:
    if type(original) is dict:
        return items
    twin = copy.copy(original)  # an OrderedDict, a defaultdict ...
    twin.update(items)
    return twin


def pack_sequence_as(structure: Any, leaves: Iterable[Any]) -> Any:
    """Return the nesting of `structure` filled with `leaves`.

    Raises:
        ValueError: if the number of leaves does not fit.
    """
    items = list(leaves)
    wanted = len(flatten(structure))
    if len(items) != wanted:
        raise ValueError(
            f"pack_sequence_as: expected {wanted} leaves for {structure!r}, got "
            f"{len(items)}"
        )
    return _fill(structure, iter(items))


def _fill(part: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(part, dict):
        filled = {key: _fill(part[key], leaves) for key in _sorted_keys(part)}
        return _like_dict(part, {key: filled[key] for key in part})
    if isinstance(part, (list, tuple)):
        return _like(part, [_fill(item, leaves) for item in part])
    return next(leaves)
