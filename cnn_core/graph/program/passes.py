"""Passes: functions from graph to graph, each of which can be left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..primitive import Primitive
from ..trace import Call, Graph, Operand, Value
from . import kernels
from .schedule import release_early


def remove_dead(graph: Graph) -> Graph:
    """Drop the calls whose results nobody needs."""
    needed = {id(v) for v in graph.results()}
    kept = []
    for call in reversed(graph.calls):
        if any(id(v) in needed for v in call.outputs):
            kept.append(call)
            needed.update(id(x) for x in call.inputs if isinstance(x, Value))
    return graph.replaced(kept[::-1])


def merge_equal(graph: Graph) -> Graph:
    """Compute what is computed twice, from the same values, once."""
    seen: dict[Any, tuple[Value, ...]] = {}
    same: dict[int, Value] = {}
    calls = []
    for call in graph.calls:
        inputs = tuple(
            same.get(id(x), x) if isinstance(x, Value) else x for x in call.inputs
        )
        key = _key(call, inputs)
        if key is not None and key in seen:
            for old, new in zip(call.outputs, seen[key], strict=True):
                same[id(old)] = new
            continue
        call = Call(call.primitive, inputs, call.attrs, call.outputs)
        if key is not None:
            seen[key] = call.outputs
        calls.append(call)
    merged = graph.replaced(calls)
    merged.outputs = [_follow(x, same) for x in graph.outputs]
    merged.writes = {v: _follow(x, same) for v, x in graph.writes.items()}
    return merged


def _follow(x: Operand, same: dict[int, Value]) -> Operand:
    return same.get(id(x), x) if isinstance(x, Value) else x


def _key(call: Call, inputs: tuple[Operand, ...]) -> Any:
    """Return what two equal calls share, or None if that cannot be told."""
    parts: list[Any] = [call.primitive]
    for x in inputs:
        if isinstance(x, Value):
            parts.append(x.number)
        elif x.size == 1:
            parts.append((x.shape, x.dtype.name, x.tobytes()))
        else:
            parts.append(("array", id(x)))
    try:
        key = (*parts, tuple(sorted(call.attrs.items())))
        hash(key)
    except TypeError:
        return None
    return key


def simplify(graph: Graph) -> Graph:
    """Drop products with 1 and quotients by 1, and casts to the type at hand."""
    same: dict[int, Value] = {}
    calls = []
    for call in graph.calls:
        inputs = tuple(_follow(x, same) for x in call.inputs)
        kept = _unchanged(call, inputs)
        if kept is not None:
            same[id(call.outputs[0])] = kept
        else:
            calls.append(Call(call.primitive, inputs, call.attrs, call.outputs))
    simpler = graph.replaced(calls)
    simpler.outputs = [_follow(x, same) for x in graph.outputs]
    simpler.writes = {v: _follow(x, same) for v, x in graph.writes.items()}
    return simpler


def _unchanged(call: Call, inputs: tuple[Operand, ...]) -> Value | None:
    if call.name not in ("multiply", "divide"):
        return None
    pairs = [(inputs[0], inputs[1])]
    if call.name == "multiply":
        pairs.append((inputs[1], inputs[0]))
    for x, one in pairs:
        if (
            isinstance(x, Value)
            and isinstance(one, np.ndarray)
            and x.shape == call.outputs[0].shape
            and np.all(one == 1)
        ):
            return x
    return None


# --- chains -------------------------------------------------------------------


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


_LARGE = 4096  # elements from which a chain is made of calls that share arrays only


class _Group:
    """Calls on arrays of one shape that may become a chain."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.members: list[tuple[int, Call]] = []  # with their place in the graph
        self.made: set[int] = set()
        self.operands: set[int] = set()

    def add(self, position: int, call: Call) -> None:
        self.members.append((position, call))
        self.made.add(id(call.outputs[0]))
        self.operands.update(id(x) for x in (*call.inputs, *call.outputs))

    def absorb(self, other: _Group) -> None:
        self.members += other.members
        self.made |= other.made
        self.operands |= other.operands

    def calls(self) -> list[Call]:
        return [call for _, call in sorted(self.members, key=lambda m: m[0])]


class _Fusion:
    """Groups that are open, so that calls can join them; none needs another's results.

    Small arrays of one shape have one group, which saves instructions. Calls on large
    ones come together if they share an array, so that memory is walked once and nothing
    waits for what it does not need.
    """

    def __init__(self) -> None:
        self.placed: list[_Group | Call] = []
        self._open: dict[int, _Group] = {}
        self._of_shape: dict[tuple[int, ...], _Group] = {}
        self._makers: dict[int, _Group] = {}
        self._users: dict[int, _Group] = {}  # of large arrays

    def place(self, position: int, call: Call) -> None:
        """Let a call join a group, or stand by itself."""
        joins = kernels.is_chainable(call)
        related = self._related(call) if joins else []
        for x in call.inputs:
            maker = self._makers.get(id(x))
            if maker is not None and maker not in related:
                self._close(maker)
        if not joins:
            self.placed.append(call)
            return
        group = _Group(call.outputs[0].shape)
        group.add(position, call)
        for other in related:
            if len(group.operands | other.operands) <= kernels.CHAIN_OPERANDS:
                self._forget(other)
                group.absorb(other)
            else:
                self._close(other)
        self._remember(group)

    def close_all(self) -> list[_Group | Call]:
        """Close every group and return calls and groups in their new order."""
        for group in list(self._open.values()):
            self._close(group)
        return self.placed

    def _related(self, call: Call) -> list[_Group]:
        (y,) = call.outputs
        if y.size < _LARGE:
            group = self._of_shape.get(y.shape)
            return [] if group is None else [group]
        found = [self._users.get(id(x)) for x in call.inputs]
        groups = {id(g): g for g in found if g is not None and g.shape == y.shape}
        return list(groups.values())

    def _close(self, group: _Group) -> None:
        self._forget(group)
        self.placed.append(group)

    def _remember(self, group: _Group) -> None:
        self._open[id(group)] = group
        self._makers.update(dict.fromkeys(group.made, group))
        if math.prod(group.shape) < _LARGE:
            self._of_shape[group.shape] = group
            return
        for _, call in group.members:
            for x in (*call.inputs, *call.outputs):
                if x.size > 1:
                    self._users[id(x)] = group

    def _forget(self, group: _Group) -> None:
        del self._open[id(group)]
        if self._of_shape.get(group.shape) is group:
            del self._of_shape[group.shape]
        for key in group.made:
            del self._makers[key]
        for key in group.operands:
            if self._users.get(key) is group:
                del self._users[key]


def fuse_chains(graph: Graph) -> Graph:
    """Gather elementwise calls on arrays of one shape, so that memory is walked once.

    A group runs where it is closed: before a call outside it needs one of its results.
    """
    fusion = _Fusion()
    for position, call in enumerate(graph.calls):
        fusion.place(position, call)
    return graph.replaced(_chained(graph, fusion.close_all()))


def _chained(graph: Graph, placed: list[_Group | Call]) -> list[Call]:
    """Turn groups of two and more into chains."""
    needed = {id(v) for v in graph.results()}
    for item in placed:
        members = item.calls() if isinstance(item, _Group) else [item]
        made = item.made if isinstance(item, _Group) else set()
        for call in members:
            needed.update(id(x) for x in call.inputs if id(x) not in made)
    calls: list[Call] = []
    for item in placed:
        if not isinstance(item, _Group):
            calls.append(item)
        elif len(item.members) == 1:
            calls += item.calls()
        else:
            members = item.calls()
            outputs = [v for c in members for v in c.outputs if id(v) in needed]
            calls.append(Chain(members, tuple(outputs)))
    return calls


# --- old values of variables --------------------------------------------------

COPY = Primitive("copy", lambda x: x.copy(), lambda x: (x.shape, x.dtype))


def keep_old_values(graph: Graph) -> Graph:
    """Copy the old values of variables that are results of the step themselves."""
    written = {
        id(graph.reads[v]) for v, x in graph.writes.items() if x is not graph.reads[v]
    }
    shown = {
        id(c.outputs[0]): c.inputs[0] for c in graph.calls if c.name in kernels.VIEWS
    }
    copies: list[Call] = []

    def kept(x: Operand) -> Operand:
        root = x
        while id(root) in shown:
            root = shown[id(root)]
        if not isinstance(x, Value) or id(root) not in written:
            return x
        copies.append(Call(COPY, (x,), {}, (Value(x.shape, x.dtype, x.number),)))
        return copies[-1].outputs[0]

    outputs = [kept(x) for x in graph.outputs]
    writes = {v: x if x is graph.reads[v] else kept(x) for v, x in graph.writes.items()}
    kept_graph = graph.replaced(graph.calls + copies)
    kept_graph.outputs, kept_graph.writes = outputs, writes
    return kept_graph


def optimize(graph: Graph, chains: bool = True) -> Graph:
    """Apply every pass."""
    graph = remove_dead(simplify(merge_equal(graph)))
    graph = fuse_chains(graph) if chains else graph
    return keep_old_values(release_early(graph))
