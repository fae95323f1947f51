"""The order in which a program computes."""

from __future__ import annotations

from ..trace import Call, Graph, Value
from . import kernels


def update_early(graph: Graph) -> Graph:
    """Let variables take their new values as soon as these can be computed.

    A trace has all gradients first and all updates after them. Where an update follows
    the gradient that it needs, the gradient is still in cache, and its memory is free
    again for the next one. An update waits for the calls that read the old value.
    """
    calls = graph.calls
    moves = _movable(graph)
    makers: dict[int, int] = {}  # position of the call that makes a value
    for position, call in enumerate(calls):
        for value in call.outputs:
            makers[id(value)] = position
    old = {id(x): graph.reads[v] for v, x in graph.writes.items()}
    readers: dict[int, list[int]] = {}
    shown: dict[int, int] = {}  # whose memory a view shows
    slots: list[int] = []  # a call comes after the unmoved call of this position
    for position, call in enumerate(calls):
        slot = position
        if position in moves:
            after = [makers[id(x)] for x in call.inputs if id(x) in makers]
            for value in call.outputs:
                if id(value) in old:
                    after += readers.get(id(old[id(value)]), [])
            slot = max((slots[p] for p in after), default=-1)
        slots.append(slot)
        for x in call.inputs:
            readers.setdefault(shown.get(id(x), id(x)), []).append(position)
        if call.name in kernels.VIEWS:
            (x,) = call.inputs
            shown[id(call.outputs[0])] = shown.get(id(x), id(x))
    order = sorted(range(len(calls)), key=lambda p: (slots[p], p))
    return graph.replaced([calls[p] for p in order])


def _movable(graph: Graph) -> set[int]:
    """Return the positions of the calls that only updates need, and of small ones."""
    shown = {id(x) for x in graph.outputs}
    made = {id(v) for call in graph.calls for v in call.outputs}
    fixed = set(shown)  # values that something else needs, too
    moves = set()
    for position in range(len(graph.calls) - 1, -1, -1):
        call = graph.calls[position]
        free = not any(id(v) in fixed for v in call.outputs)
        if _is_small(call) or (free and kernels.is_chainable(call)):
            moves.add(position)
        else:
            fixed.update(id(x) for x in call.inputs if id(x) in made)
    return moves


def _is_small(call: Call) -> bool:
    """Tell whether a call makes single numbers from single numbers."""
    return all(
        x.size == 1 for x in (*call.inputs, *call.outputs) if isinstance(x, Value)
    )
