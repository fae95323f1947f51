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

    def __init__(self, call: Call, position: int) -> None:
        self.shape = call.outputs[0].shape
        self.is_small = call.outputs[0].size <= _SMALL
        self.members = [call]
        self.position = position
        self.made = {id(call.outputs[0])}
        operands = (*call.inputs, *call.outputs)
        self.operands = {id(x) for x in operands}
        self.arrays = {id(x) for x in operands if x.size > 1}

    def joins(self, other: _Group) -> bool:
        """Tell whether a later group belongs to this one."""
        return (
            self.shape == other.shape
            and (self.is_small or not self.arrays.isdisjoint(other.arrays))
            and len(self.operands | other.operands) <= kernels.CHAIN_OPERANDS
        )

    def merged(self, later: _Group) -> _Group:
        """Take in a group whose last call comes later."""
        self.members += later.members
        self.position = later.position
        self.made |= later.made
        self.operands |= later.operands
        self.arrays |= later.arrays
        return self


def fuse_chains(graph: Graph) -> Graph:
    """Gather elementwise calls on arrays of one shape, so that memory is walked once.

    A group runs where its last member stood. It takes no more members once a call
    outside it needs one of its results.
    """
    open_groups: list[_Group] = []
    closed: list[_Group] = []
    placed: list[tuple[int, Call]] = []
    for position, call in enumerate(graph.calls):
        left = []
        inputs = {id(x) for x in call.inputs}
        group = _Group(call, position) if kernels.is_chainable(call) else None
        for earlier in open_groups:
            if group is not None and earlier.joins(group):
                group = earlier.merged(group)
            elif not earlier.made.isdisjoint(inputs):
                closed.append(earlier)
            else:
                left.append(earlier)
        if group is None:
            placed.append((position, call))
        else:
            left.append(group)
        open_groups = left
    return graph.replaced(_chained(graph, placed, closed + open_groups))


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
    order = {call: position for position, call in enumerate(graph.calls)}
    calls = list(placed)
    for group in groups:
        call = group.members[0]
        if len(group.members) > 1:
            members = sorted(group.members, key=order.__getitem__)
            outputs = [v for c in members for v in c.outputs if id(v) in needed]
            call = Chain(members, tuple(outputs))
        calls.append((group.position, call))
    return [call for _, call in sorted(calls, key=lambda item: item[0])]
