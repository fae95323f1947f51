"""All cases of all families."""

from __future__ import annotations

from collections.abc import Iterator

from . import activations, elementwise, losses, matmul, random, reductions, shaping
from .harness import Case

FAMILIES = (matmul, activations, elementwise, reductions, losses, random, shaping)


def iterate_cases() -> Iterator[Case]:
    """Yield every case of every family, in one fixed order."""
    for family in FAMILIES:
        yield from family.cases()
