"""Who uses what in a graph, and exchanging its calls."""

from __future__ import annotations

import heapq
from typing import Any

from ..trace import Call, Graph, Operand
from . import kernels


class Uses:
    """Who makes and who uses a graph's values; views of them are looked through."""

    def __init__(self, graph: Graph) -> None:
        self._makers: dict[int, Call] = {}
        self._users: dict[int, list[Call]] = {}
        self._kept = {id(x) for x in graph.results()}
        for call in graph.calls:
            for value in call.outputs:
                self._makers[id(value)] = call
            for x in {id(x): x for x in call.inputs}.values():
                self._users.setdefault(id(x), []).append(call)

    def root(self, x: Operand) -> Operand:
        """Return the value whose memory a view shows."""
        maker = self._makers.get(id(x))
        while maker is not None and maker.name in kernels.VIEWS:
            x = maker.inputs[0]
            maker = self._makers.get(id(x))
        return x

    def memory(self, x: Operand) -> int:
        """Return what all views of the same memory share."""
        return id(self.root(x))

    def maker(self, x: Operand) -> Call | None:
        """Return the call that makes a value, None for those that are given."""
        return self._makers.get(self.memory(x))

    def way(self, maker: Call) -> list[Any]:
        """Return the views of a call's first result, then the only other user of it.

        The last one is None if there are more of them, or none.
        """
        way: list[Any] = []
        x: Operand = maker.outputs[0]
        while id(x) not in self._kept and len(self._users.get(id(x), ())) == 1:
            (user,) = self._users[id(x)]
            way.append(user)
            if user.name not in kernels.VIEWS:
                return way
            x = user.outputs[0]
        return [*way, None]


def replace_calls(graph: Graph, others: dict[Call, Call | None]) -> Graph:
    """Return a graph with other calls for some, or none."""
    if not others:
        return graph
    calls = [others.get(call, call) for call in graph.calls]
    return graph.replaced(_ordered([call for call in calls if call is not None]))


def _ordered(calls: list[Call]) -> list[Call]:
    """Return the calls once each, where they stood last, or once they can run.

    A joined call stands where both its parts did: those who need the first wait.
    """
    places = {call: place for place, call in enumerate(calls)}
    pending = {id(v): call for call in places for v in call.outputs}
    missing: dict[Call, int] = {}  # of those that wait
    users: dict[Call, list[Call]] = {}
    ordered = []
    for place, call in enumerate(calls):
        if places[call] != place:
            continue
        needed = {pending[i] for x in call.inputs if (i := id(x)) in pending}
        if needed:
            missing[call] = len(needed)
            for maker in needed:
                users.setdefault(maker, []).append(call)
            continue
        ready = [place]
        while ready:
            call = calls[heapq.heappop(ready)]
            ordered.append(call)
            for value in call.outputs:
                del pending[id(value)]
            for user in users.pop(call, ()):
                missing[user] -= 1
                if not missing[user]:
                    heapq.heappush(ready, places[user])
    return ordered
