"""All cases of all families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from . import activations, elementwise, losses, matmul, random, reductions, shaping
from .harness import Case

FAMILIES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        matmul,
        activations,
        elementwise,
        reductions,
        losses,
        random,
        shaping,
    )
}


def iterate_cases() -> Iterator[Case]:
    """Yield every case of every family, in one fixed order."""
    for family in FAMILIES.values():
        yield from family.cases()


def chosen_cases(
    families: Iterable[str], chosen: Callable[[Case], bool]
) -> Iterator[tuple[str, int, Case]]:
    """Yield family, number in the family and case of what is chosen.

    The first two are what a worker is asked for.
    """
    for name in families:
        for number, case in enumerate(FAMILIES[name].cases()):
            if chosen(case):
                yield name, number, case
