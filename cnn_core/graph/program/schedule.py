"""The order of calls: what frees memory runs as soon as it can."""

from __future__ import annotations

import heapq

from ..trace import Call, Graph, Value
from .kernels import VIEWS

_SMALL = 64  # bytes that do not count


def release_early(graph: Graph) -> Graph:
    """Move calls that free more memory than they take to where they can first run.

    A variable's update so follows its gradient, which need not be kept until all
    gradients are there. It stays behind the calls that read the variable's old value:
    those find it in place then.
    """
    return graph.replaced(_Schedule(graph).order())


class _Schedule:
    def __init__(self, graph: Graph) -> None:
        self.calls = graph.calls
        self.roots: dict[int, Value] = {}
        self.makers: dict[int, int] = {}
        self.users: dict[int, set[int]] = {}  # of a value and its views, still to come
        for i, call in enumerate(self.calls):
            for value in call.outputs:
                self.makers[id(value)] = i
            if call.name in VIEWS and isinstance(call.inputs[0], Value):
                self.roots[id(call.outputs[0])] = self.root(call.inputs[0])
            for x in call.inputs:
                if isinstance(x, Value):
                    self.users.setdefault(id(self.root(x)), set()).add(i)
        lasting = (*graph.reads.values(), *graph.results())
        self.lasting = {id(self.root(x)) for x in lasting}
        self.waiting = [0] * len(self.calls)  # calls that have to run before
        self.followers: list[list[int]] = [[] for _ in self.calls]
        self._order_calls(graph)

    def root(self, value: Value) -> Value:
        """Return the value whose memory a value shows."""
        return self.roots.get(id(value), value)

    def _order_calls(self, graph: Graph) -> None:
        before: list[set[int]] = [set() for _ in self.calls]
        for i, call in enumerate(self.calls):
            for x in call.inputs:
                if id(x) in self.makers:
                    before[i].add(self.makers[id(x)])
        for variable, old in graph.reads.items():
            maker = self.makers.get(id(graph.writes.get(variable, old)))
            if maker is not None:
                readers = self.users.get(id(old), ())
                before[maker].update(i for i in readers if i < maker)
        for i, needed in enumerate(before):
            self.waiting[i] = len(needed)
            for j in needed:
                self.followers[j].append(i)

    def order(self) -> list[Call]:
        """Return the calls in their new order."""
        placed: list[Call] = []
        done = [False] * len(self.calls)
        ready = [i for i, count in enumerate(self.waiting) if count == 0]  # a heap
        for first in range(-1, len(self.calls)):
            if first >= 0 and not done[first]:
                ready = [first]
            while ready:
                i = heapq.heappop(ready)
                if done[i] or not (i == first or self._pays(i)):
                    continue
                done[i] = True
                placed.append(self.calls[i])
                for j in self._run(i):
                    if not done[j] and self.waiting[j] == 0:
                        heapq.heappush(ready, j)
        return placed

    def _run(self, i: int) -> set[int]:
        """Take note that a call ran; return those that may have become worth it."""
        changed = set(self.followers[i])
        for j in self.followers[i]:
            self.waiting[j] -= 1
        for x in self.calls[i].inputs:
            if isinstance(x, Value):
                users = self.users[id(self.root(x))]
                users.discard(i)
                if len(users) == 1:
                    changed |= users
        return changed

    def _pays(self, i: int) -> bool:
        """Tell whether a call takes nothing, or frees more than it takes."""
        call = self.calls[i]
        taken = sum(
            value.nbytes
            for value in call.outputs
            if value.nbytes > _SMALL
            and id(value) not in self.roots
            and id(value) not in self.lasting
        )
        if taken == 0:
            return True
        roots = {id(r): r for r in map(self.root, _values(call))}
        freed = sum(
            root.nbytes
            for key, root in roots.items()
            if key not in self.lasting and self.users[key] == {i}
        )
        return freed > taken


def _values(call: Call) -> list[Value]:
    return [x for x in call.inputs if isinstance(x, Value)]
