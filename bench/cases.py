"""All cases of all families."""

from __future__ import annotations

from . import activations, elementwise, losses, matmul, random, reductions
from .harness import Case

FAMILIES = (matmul, activations, elementwise, reductions, losses, random)


def all_cases() -> list[Case]:
    """Return every case of every family."""
    return [case for family in FAMILIES for case in family.cases()]
