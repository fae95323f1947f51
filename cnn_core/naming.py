"""Automatic names: `Dense` becomes `dense`, then `dense_1`, `dense_2` ..."""

from __future__ import annotations

import re
from collections import defaultdict

_used: defaultdict[str, int] = defaultdict(int)


def snake_case(name: str) -> str:
    """Turn a class name into the prefix of its instances' names."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(prefix: str) -> str:
    """Return `prefix`, or `prefix_N` when it was given out before."""
    count = _used[prefix]
    _used[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names() -> None:
    """Forget every name given out, so that the next one starts without a number."""
    _used.clear()
