"""Chains: elementwise calls that share one walk through memory."""

from __future__ import annotations

from typing import Any

from ..primitive import Primitive
from ..trace import Call, Graph, Operand, Value
from . import kernels

# Calls on arrays up to this size share a chain even if they have nothing to do with
# each other: fewer instructions. Larger ones would keep each other's operands alive.
_SMALL = 4096


class Chain(Call):
    """Elementwise calls on arrays of one shape, computed block by block."""

    __slots__ = ("members",)

    def __init__(self, members: list[Call], outputs: tuple[Value, ...]) -> None:
        made = {id(v) for call in members for v in call.outputs}
        inputs: dict[int, Operand] = {}
        for call in members:
            for x in call.inputs:
                if id(x) not in made:
                    inputs.setdefault(id(x), x)
        super().__init__(_CHAIN, tuple(inputs.values()), {}, outputs)
        self.members = members

    def __repr__(self) -> str:
        return "chain:\n" + "\n".join(f"    {call!r}" for call in self.members)


def _run_chain(*arrays: Any) -> Any:
    raise AssertionError("chains exist in native programs only")


_CHAIN = Primitive("chain", _run_chain, _run_chain)


class _Group:
    """Calls that become a chain; `position` is where the last of them stood."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.members: list[Call] = []
        self.made: set[int] = set()
        self.operands: set[int] = set()
        self.arrays: set[int] = set()  # the operands that are not single numbers
        self.position = 0

    def takes(self, call: Call) -> bool:
        """Tell whether a call on arrays of the same shape belongs here."""
        operands = (*call.inputs, *call.outputs)
        if len(self.operands.union(map(id, operands))) > kernels.CHAIN_OPERANDS:
            return False
        size = call.outputs[0].size
        return size <= _SMALL or any(id(x) in self.arrays for x in call.inputs)

    def add(self, call: Call, position: int) -> None:
        """Add a call, the latest one so far."""
        operands = (*call.inputs, *call.outputs)
        self.members.append(call)
        self.made.add(id(call.outputs[0]))
        self.operands.update(map(id, operands))
        self.arrays.update(id(x) for x in operands if x.size > 1)
        self.position = position


def fuse_chains(graph: Graph) -> Graph:
    """Gather elementwise calls on arrays of one shape, so that memory is walked once.

    A group runs where its last member stood. It takes no more members once a call
    outside it needs one of its results.
    """
    open_groups: dict[tuple[int, ...], _Group] = {}
    placed: list[tuple[int, Call]] = []
    groups: list[_Group] = []
    for position, call in enumerate(graph.calls):
        shape = call.outputs[0].shape
        joins = kernels.is_chainable(call)
        for group in list(open_groups.values()):
            if (not joins or group.shape != shape) and any(
                id(x) in group.made for x in call.inputs
            ):
                del open_groups[group.shape]
        if not joins:
            placed.append((position, call))
            continue
        if shape not in open_groups or not open_groups[shape].takes(call):
            open_groups[shape] = _Group(shape)
            groups.append(open_groups[shape])
        open_groups[shape].add(call, position)
    return graph.replaced(_chained(graph, placed, groups))


def _chained(
    graph: Graph, placed: list[tuple[int, Call]], groups: list[_Group]
) -> list[Call]:
    """Turn groups of two and more into chains."""
    needed = {id(v) for v in graph.results()}
    for _, call in placed:
        needed.update(map(id, call.inputs))
    for group in groups:
        for call in group.members:
            needed.update(id(x) for x in call.inputs if id(x) not in group.made)
    calls = list(placed)
    for group in groups:
        call = group.members[0]
        if len(group.members) > 1:
            outputs = [v for c in group.members for v in c.outputs if id(v) in needed]
            call = Chain(group.members, tuple(outputs))
        calls.append((group.position, call))
    return [call for _, call in sorted(calls, key=lambda item: item[0])]
