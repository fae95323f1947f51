"""Weights that a program only reads, held in the order in which products read them."""

from __future__ import annotations

import weakref
from typing import Any

from ..trace import Operand, Value
from .plan import Plan

# Rows from which a single product gains more by panels than writing them costs. With
# fewer, a matrix is written when it comes unchanged a second time.
_ROWS_THAT_PAY = 8


class HeldPanels:
    """The panels of a program; those of one layout are shared by all programs.

    Args:
        plan: where values live.

    Attributes:
        entries: for each product that reads panels what `Program.arguments` takes.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.entries: list[tuple[int, int, Any, int, bool]] = []
        self._wanted: tuple[Any, ...] = ()
        graph = plan.graph
        self._variables = {
            id(value): variable
            for variable, value in graph.reads.items()
            if graph.writes.get(variable, value) is value
        }

    def want(
        self, b: Operand, m: int, n: int, k: int, transpose_b: bool
    ) -> tuple[int, int] | None:
        """Return the place of a matrix's panels, or None if it is read as it lies."""
        from ...backend.compiled import native

        if not isinstance(b, Value):
            return None
        variable = self._variables.get(id(self._plan.root(b)))
        if variable is None or not native.packed_size(m, n, k, transpose_b):
            return None
        panels = native.Panels(variable, m, n, k, transpose_b)
        if variable._panels is None:
            variable._panels = weakref.WeakValueDictionary()
        panels = variable._panels.setdefault(panels.layout, panels)
        slot = self._plan.new_slot()
        self._wanted = self._plan.variables[variable], slot, panels, m
        return slot, 0

    def read_by(self, instruction: int) -> None:
        """Note the instruction that reads what was wanted last."""
        matrix, slot, panels, m = self._wanted
        pays = m >= _ROWS_THAT_PAY
        self.entries.append((matrix, slot, panels, instruction, pays))

    @property
    def nbytes(self) -> int:
        """Number of bytes of all panels."""
        return sum({id(e[2]): e[2].nbytes for e in self.entries}.values())
