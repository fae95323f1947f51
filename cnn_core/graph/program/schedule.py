"""The order in which a program computes."""

from __future__ import annotations

from ..trace import Call, Graph, Value
from . import kernels

# These look at values, and raise if they do not fit.
_RAISING = frozenset({"take"})


def update_early(graph: Graph) -> Graph:
    """Let variables take their new values as soon as these can be computed.

    A trace has all gradients first and all updates after them. Where an update follows
    the gradient that it needs, the gradient is still in cache, and its memory is free
    again for the next one. An update waits for the calls that read the old value.
    """
    calls = graph.calls
    small = [_is_small(call) for call in calls]
    moves = _movable(graph, small)
    follows = _order(graph)
    updates = {id(x) for x in graph.writes.values()}
    # A call that moves comes after the unmoved call of this position.
    slots: list[int] = []
    raised = -1  # where an error may come, before which no variable should change
    for position, call in enumerate(calls):
        after = [slots[p] for p in follows[position]]
        if not updates.isdisjoint(map(id, call.outputs)):
            after.append(raised)
        slots.append(max(after, default=-1) if position in moves else position)
        if call.name in _RAISING:
            raised = position
    # What an update computes from old values alone is in nobody's way until then.
    until = [len(calls)] * len(calls)
    for position in range(len(calls) - 1, -1, -1):
        call = calls[position]
        updating = small[position] or not updates.isdisjoint(map(id, call.outputs))
        if position in moves and not updating:
            slots[position] = max(slots[position], until[position])
        for p in follows[position]:
            until[p] = min(until[p], slots[position])
    order = sorted(range(len(calls)), key=lambda p: (slots[p], p))
    return graph.replaced([calls[p] for p in order])


def _order(graph: Graph) -> list[list[int]]:
    """Return for each call the positions of the calls that it has to follow."""
    old = {id(x): id(graph.reads[v]) for v, x in graph.writes.items()}
    makers: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    shown: dict[int, int] = {}  # whose memory a view shows
    follows = []
    for position, call in enumerate(graph.calls):
        after = [makers[id(x)] for x in call.inputs if id(x) in makers]
        for value in call.outputs:
            makers[id(value)] = position
            if id(value) in old:
                after += readers.get(old[id(value)], [])
        follows.append(after)
        for x in call.inputs:
            readers.setdefault(shown.get(id(x), id(x)), []).append(position)
        if call.name in kernels.VIEWS:
            (x,) = call.inputs
            shown[id(call.outputs[0])] = shown.get(id(x), id(x))
    return follows


def _movable(graph: Graph, small: list[bool]) -> set[int]:
    """Return the positions of the calls that only updates need, and of small ones."""
    fixed = {id(x) for x in graph.outputs}  # values that something else needs, too
    moves = set()
    for position in range(len(graph.calls) - 1, -1, -1):
        call = graph.calls[position]
        if small[position] or (
            fixed.isdisjoint(map(id, call.outputs)) and kernels.is_chainable(call)
        ):
            moves.add(position)
        else:
            fixed.update(map(id, call.inputs))
    return moves


def _is_small(call: Call) -> bool:
    """Tell whether a call makes single numbers from single numbers."""
    for x in (*call.outputs, *call.inputs):
        if x.size != 1 and isinstance(x, Value):
            return False
    return True
