"""Programs: a traced function, optimized, planned, and run again and again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ... import tree
from ..tensor import Tensor
from ..trace import Call, Graph, Operand, Spec, TraceError, Value, trace
from ..variable import Variable
from .lower import Lowering
from .passes import optimize
from .plan import ALIGNMENT, ARENA, Plan

__all__ = ["Program", "Spec", "TraceError", "compile_function", "trace"]


def compile_function(
    function: Callable[..., Any], *specs: Any, **options: Any
) -> Program:
    """Trace a function for given shapes and make a program of it.

    Args:
        function: takes tensors and returns a structure of tensors.
        specs: for each argument a structure of `Spec`.
        options: see `Program`.

    Raises:
        TraceError: if the function looks at values of tensors.
    """
    return Program(trace(function, *specs), **options)


class Program:
    """A graph made ready to run many steps without Python.

    The batches of a step come from arrays of many samples: step `i` takes the rows
    `i * batch` to `(i + 1) * batch`, or the rows that an index names there.

    Args:
        graph: the traced function.
        sources: dtype of the array behind each input; that of the input by default.
        indexed: whether rows are taken by an index.
        stores: whether the outputs of all steps are kept, one after the other.
        fuse: whether elementwise calls are fused.
    """

    def __init__(
        self,
        graph: Graph,
        sources: Sequence[str] | None = None,
        indexed: bool = False,
        stores: bool = False,
        fuse: bool = True,
    ) -> None:
        from ...backend.compiled import native

        self.graph = optimize(graph, chains=fuse)
        self.plan = Plan(self.graph)
        self._lock = threading.Lock()
        self._native = native.Program()
        self._written = {
            v for v, x in self.graph.writes.items() if x is not self.graph.reads[v]
        }
        self._stores = stores
        self.arena = _aligned(self.plan.arena_bytes)
        self._emit(sources, indexed)
        self._native.bind(ARENA, self.arena)
        for slot, array in self.plan.constants:
            self._native.bind(slot, array)

    @property
    def can_fail(self) -> bool:
        """Whether a step has operations in Python, which may raise."""
        return bool(self.lowering.fallbacks)

    # --- preparation ---

    def _emit(self, sources: Sequence[str] | None, indexed: bool) -> None:
        plan, native = self.plan, self._native
        self.lowering = Lowering(plan, native, self._python_call)
        self._sources = [
            np.dtype(s) for s in sources or [v.dtype for v in self.graph.inputs]
        ]
        self._index_slot = plan.new_slot() if indexed else None
        self._data_slots = []
        for value, source in zip(self.graph.inputs, self._sources, strict=True):
            slot = plan.new_slot()
            self._data_slots.append(slot)
            rows = value.shape[0] if value.shape else 1
            native.load(
                rows,
                value.size // max(1, rows),
                (slot, 0),
                source.name,
                plan.place(value),
                value.dtype.name,
                (self._index_slot, 0) if indexed else None,
            )
            self.lowering.note(f"{value!r} = load({source.name})")
        for call in self.graph.calls:
            self.lowering.lower(call)
        for variable, x in plan.copies:
            place = (plan.variables[variable], 0)
            dtype = x.dtype.name
            native.cast(variable.size, plan.place(x), dtype, place, dtype)
            self.lowering.note(f"{variable.path} = {x!r}")
        self._result_slots = []
        if self._stores:
            for x in self.graph.outputs:
                slot = plan.new_slot()
                self._result_slots.append(slot)
                rows = x.shape[0]
                native.store(
                    rows, x.size // max(1, rows), x.dtype.name, plan.place(x), (slot, 0)
                )
                self.lowering.note(f"store {x!r}")

    def _python_call(self, call: Call) -> Callable[[], None]:
        """Return a function that computes a call without an instruction."""

        def run() -> None:
            arrays = [self._array(x) for x in call.inputs]
            results = call.primitive.run(*arrays, **call.attrs)
            results = results if isinstance(results, tuple) else (results,)
            for value, result in zip(call.outputs, results, strict=True):
                self._array(value)[...] = result

        return run

    def _array(self, x: Operand) -> Any:
        """Return an operand's memory as an array."""
        if not isinstance(x, Value):
            return x
        slot, offset = self.plan.place(x)
        memory = self._native.array(slot)
        if slot != ARENA:
            return memory.reshape(x.shape)
        block = memory[offset : offset + x.nbytes]
        return block.view(x.dtype).reshape(x.shape)

    # --- running ---

    def run(
        self,
        data: Sequence[Any],
        index: Any = None,
        first: int = 0,
        count: int = 1,
        results: Sequence[Any] = (),
    ) -> list[Any]:
        """Run the steps `first` to `first + count - 1`.

        Args:
            data: the array behind each input.
            index: int64 row numbers, for an indexed program.
            first: first step.
            count: number of steps.
            results: arrays for the outputs of all steps, for a program that stores.

        Returns:
            The outputs of the last step as arrays of their own; nothing for a program
            that stores.
        """
        with self._lock:
            try:
                return self._run(data, index, first, count, results)
            finally:
                self._release()

    def _run(
        self, data: Sequence[Any], index: Any, first: int, count: int, results: Any
    ) -> list[Any]:
        self._bind_variables()
        native = self._native
        for slot, array, dtype in zip(
            self._data_slots, data, self._sources, strict=True
        ):
            native.bind(slot, np.ascontiguousarray(array, dtype))
        if self._index_slot is not None:
            native.bind(self._index_slot, np.ascontiguousarray(index, np.int64))
        for slot, array in zip(self._result_slots, results, strict=True):
            native.bind(slot, array)
        native.run(first, count)
        if self._stores:
            return []
        return [np.array(self._array(x)) for x in self.graph.outputs]

    def _release(self) -> None:
        """Hold no array of others between runs."""
        for slots in (
            self.plan.variables.values(),
            self._data_slots,
            self._result_slots,
        ):
            for slot in slots:
                self._native.release(slot)
        if self._index_slot is not None:
            self._native.release(self._index_slot)

    def _bind_variables(self) -> None:
        for variable, slot in self.plan.variables.items():
            array = variable._array
            if variable in self._written:
                # Tensors read before must keep their values: work on a copy if anyone
                # but the variable holds the array, or the memory that it shows.
                if (
                    sys.getrefcount(array) > _OWN_REFERENCES + 1
                    or not array.flags.carray
                    or not array.flags.owndata
                ):
                    array = variable._array = np.array(array, order="C")
            elif not array.flags.c_contiguous:
                array = variable._array = np.ascontiguousarray(array)
            self._native.bind(slot, array)

    def __call__(self, *arguments: Any) -> Any:
        """Run one step on arrays and return the outputs as tensors."""
        data = [np.asarray(x) for x in tree.flatten(list(arguments)) if x is not None]
        return self.structured([Tensor(x) for x in self.run(data)])

    def structured(self, leaves: Sequence[Any]) -> Any:
        """Return outputs in the nesting of the traced function's results."""
        given = iter(leaves)
        return tree.pack_sequence_as(
            self.graph.structure,
            [
                None if x is None else next(given)
                for x in tree.flatten(self.graph.structure)
            ],
        )

    # --- looking inside ---

    def explain(self, kinds: Mapping[str, Collection[Variable]] | None = None) -> str:
        """Return the memory and the instructions, with shapes and bytes, as text.

        Args:
            kinds: variables by the name of their kind, for the line about memory.
        """
        memory = self.plan.memory(kinds)
        parts = [f"{nbytes:,} {kind}" for kind, nbytes in memory.items()]
        lines = [
            f"{len(self._native)} instructions, arena {self.plan.arena_bytes} bytes, "
            f"{len(self.plan.variables)} variables, "
            f"{len(self.plan.constants)} constants",
            f"bytes: {' + '.join(parts)} = {sum(memory.values()):,}",
        ]
        if self.lowering.fallbacks:
            lines.append(
                f"in Python: {', '.join(sorted(set(self.lowering.fallbacks)))}"
            )
        return "\n".join(lines + [str(name) for name in self.lowering.names])


def _own_references() -> int:
    """Return the reference count of an object that one local variable holds."""
    array = np.empty(0)
    return sys.getrefcount(array)


_OWN_REFERENCES = _own_references()


def _aligned(nbytes: int) -> Any:
    memory = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]
