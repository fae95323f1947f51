"""Where every value of a graph lives: in the arena, in a variable, or in a constant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..trace import Call, Graph, Operand, Value
from ..variable import Variable
from . import folds, kernels
from .chains import Chain

ALIGNMENT = 64
ARENA = 0  # slot of the arena

# Calls whose kernel reads an element before it writes the same one.
_TYPED_IN_PLACE = frozenset({"add", "subtract", "multiply"})


class Plan:
    """Slots, and for each value its slot and its offset there in bytes.

    Attributes:
        graph: what is computed.
        arena_bytes: size of slot 0.
        variables: slot of each variable.
        constants: slot of each constant array.
        copies: variables whose new value has to be copied to them at the end.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arena_bytes = 0
        self.slots = 1
        self.variables: dict[Variable, int] = {}
        self.constants: list[tuple[int, Any]] = []
        self.copies: list[tuple[Variable, Operand]] = []
        self._constant_slots: dict[Any, int] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._roots: dict[int, Value] = {}  # views by the value they show
        self._temporaries: dict[int, int] = {}
        self._keep: list[Any] = []
        for variable, value in graph.reads.items():
            self.variables[variable] = self.new_slot()
            self._places[id(value)] = (self.variables[variable], 0)
        self._follow_views()
        self._place_variables()
        self._place_arena()

    def new_slot(self) -> int:
        """Return the number of a new slot."""
        self.slots += 1
        return self.slots - 1

    def place(self, x: Operand) -> tuple[int, int]:
        """Return slot and offset of an operand."""
        if isinstance(x, Value):
            return self._places[id(self.root(x))]
        key = (x.dtype.str, x.shape, x.tobytes()) if x.size <= 16 else id(x)
        if key not in self._constant_slots:
            self._constant_slots[key] = self.new_slot()
            array = np.ascontiguousarray(x).reshape(x.shape)
            self.constants.append((self._constant_slots[key], array))
            self._keep.append(x)  # ids must stay unique
        return self._constant_slots[key], 0

    def temporary(self, call: Call) -> tuple[int, int]:
        """Return the place of a call's scratch."""
        return ARENA, self._temporaries[id(call)]

    def root(self, value: Value) -> Value:
        """Return the value whose memory a view shows."""
        return self._roots.get(id(value), value)

    def is_view(self, call: Call) -> bool:
        """Tell whether a call only gives its input another shape."""
        return id(call.outputs[0]) in self._roots

    def memory(
        self, kinds: Mapping[str, Collection[Variable]] | None = None
    ) -> dict[str, int]:
        """Return the bytes that a step works on, by what they are for.

        Args:
            kinds: variables by the name of their kind; "variables" for all others.
        """
        found = dict.fromkeys(kinds or (), 0)
        kind_of = {v: kind for kind, members in (kinds or {}).items() for v in members}
        for variable in self.variables:
            kind = kind_of.get(variable, "variables")
            found[kind] = found.get(kind, 0) + self.graph.reads[variable].nbytes
        found["temporaries"] = self.arena_bytes
        found["constants"] = sum(array.nbytes for _, array in self.constants)
        return found

    # --- views ---

    def _follow_views(self) -> None:
        for call in self.graph.calls:
            if call.name in kernels.VIEWS and isinstance(call.inputs[0], Value):
                self._roots[id(call.outputs[0])] = self.root(call.inputs[0])

    # --- variables ---

    def _place_variables(self) -> None:
        """Compute new values of variables in place where nobody misses the old ones."""
        order: dict[int, int] = {}  # position of each elementary call
        makers: dict[int, Call] = {}
        last_use: dict[int, int] = {}
        for position, call in enumerate(_members(self.graph.calls)):
            order[id(call)] = position
            for v in call.outputs:
                makers[id(v)] = call
            for x in call.inputs:
                if isinstance(x, Value):
                    last_use[id(self.root(x))] = position
        taken: set[int] = set()
        reads = {id(r) for r in self.graph.reads.values()}
        for variable, new in self.graph.writes.items():
            old = self.graph.reads[variable]
            if new is old:
                continue
            maker = makers.get(id(new)) if isinstance(new, Value) else None
            in_place = (
                maker is not None
                and id(new) not in self._roots
                and id(new) not in taken
                and id(new) not in reads
                and _reads_before_writing(maker)
                and last_use.get(id(old), -1) <= order[id(maker)]
            )
            if in_place:
                taken.add(id(new))
                self._places[id(new)] = (self.variables[variable], 0)
            else:
                self.copies.append((variable, new))

    # --- the arena ---

    def _place_arena(self) -> None:
        calls = self.graph.calls
        last: dict[int, int] = {}
        for position, call in enumerate(calls):
            for x in (*call.inputs, *call.outputs):
                if isinstance(x, Value):
                    last[id(self.root(x))] = position
        end = len(calls)
        for x in self.graph.results():
            last[id(self.root(x))] = end
        arena = _Arena()
        dying: dict[int, list[Value]] = {}
        for value in self.graph.inputs:  # every step loads them anew
            if id(value) not in self._places:
                self._places[id(value)] = (ARENA, arena.take(value.nbytes))
                dying.setdefault(last.get(id(value), end), []).append(value)
        for position, call in enumerate(calls):
            if not (call.outputs and self.is_view(call)):
                self._place_call(call, position, arena, last, dying)
            for value in dying.pop(position, []):
                arena.give(self._places[id(value)][1])
        self.arena_bytes = arena.size

    def _place_call(
        self,
        call: Call,
        position: int,
        arena: _Arena,
        last: dict[int, int],
        dying: dict[int, list[Value]],
    ) -> None:
        for value in call.outputs:
            if id(value) in self._places:
                continue
            heir = self._heir(call, value, position, last, dying)
            if heir is not None:
                dying[position].remove(heir)
                self._places[id(value)] = self._places[id(heir)]
            else:
                self._places[id(value)] = (ARENA, arena.take(value.nbytes))
            dying.setdefault(last[id(value)], []).append(value)
        scratch = temporary_bytes(call)
        if scratch:
            self._temporaries[id(call)] = arena.take(scratch)
            arena.give(self._temporaries[id(call)])

    def _heir(
        self,
        call: Call,
        value: Value,
        position: int,
        last: dict[int, int],
        dying: dict[int, list[Value]],
    ) -> Value | None:
        """Return an input that dies here and whose memory the output can take over."""
        for x in call.inputs:
            if not isinstance(x, Value):
                continue
            old = self.root(x)
            if (
                old in dying.get(position, [])
                and old.nbytes == value.nbytes
                and last[id(old)] == position
                and self._done_with(call, old, value)
            ):
                return old
        return None

    def _done_with(self, call: Call, old: Value, new: Value) -> bool:
        """Tell whether a call has read all of `old` by the time it writes `new`."""
        members = call.members if isinstance(call, Chain) else [call]
        written = next(i for i, c in enumerate(members) if new in c.outputs)
        reads = [
            i
            for i, c in enumerate(members)
            for x in c.inputs
            if isinstance(x, Value) and self.root(x) is old
        ]
        maker = members[written]
        return (
            max(reads) <= written
            and _reads_before_writing(maker)
            and not any(
                isinstance(x, Value) and self.root(x) is old and x.shape != new.shape
                for x in maker.inputs
            )
        )


def _members(calls: list[Call]) -> Any:
    for call in calls:
        if isinstance(call, Chain):
            yield from call.members
        else:
            yield call


def _reads_before_writing(call: Call) -> bool:
    """Tell whether a kernel may write over an input of the output's shape."""
    if kernels.elementwise(call) is not None:
        return kernels.is_chainable(call)
    return call.name in _TYPED_IN_PLACE and all(
        kernels.flat_step(x, call.outputs[0].shape) is not None for x in call.inputs
    )


def temporary_bytes(call: Call) -> int:
    """Return the scratch that a call's instructions need in the arena."""
    if call.name in ("argmax", "argmin"):
        return kernels.rounded(call.outputs[0].size * 8) + kernels.turned_bytes(call)
    if call.name in folds.NAMES:
        return folds.scratch_bytes(call)
    if call.name.startswith("sparse_categorical_crossentropy"):
        labels = call.inputs[-2]
        return 0 if labels.dtype == np.int64 else labels.size * 8
    if call.name == "one_hot":
        return call.inputs[0].size * 8
    if call.name.startswith("take"):
        indices = call.inputs[1]
        return 0 if indices.dtype.name in ("int32", "int64") else indices.size * 8
    if call.outputs and kernels.elementwise(call) is None:
        shape = call.outputs[0].shape
        return sum(kernels.widened_bytes(x, shape) for x in kernels.widened(call))
    return 0


class _Arena:
    """A block of memory parts of which are taken and given back, best fit first."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []  # (offset, size), by offset
        self._taken: dict[int, int] = {}

    def take(self, nbytes: int) -> int:
        """Return the offset of `nbytes` bytes."""
        need = max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
        fits = [(size, offset) for offset, size in self._free if size >= need]
        if fits:
            size, offset = min(fits)
            self._free.remove((offset, size))
            if size > need:
                self._free.append((offset + need, size - need))
                self._free.sort()
        else:
            offset = self.size
            if self._free and sum(self._free[-1]) == self.size:  # grow the last hole
                offset = self._free.pop()[0]
            self.size = offset + need
        self._taken[offset] = need
        return offset

    def give(self, offset: int) -> None:
        """Give a part back and merge it with its neighbours."""
        hole = [offset, self._taken.pop(offset)]
        merged = []
        for start, size in self._free:
            if start + size == hole[0]:
                hole = [start, size + hole[1]]
            elif hole[0] + hole[1] == start:
                hole[1] += size
            else:
                merged.append((start, size))
        merged.append((hole[0], hole[1]))
        self._free = sorted(merged)
