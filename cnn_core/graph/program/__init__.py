"""Programs: a traced function, optimized, planned, and run again and again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ... import tree
from ..errors import name_operation, name_scope
from ..tensor import Tensor
from ..trace import Call, Graph, Operand, Spec, TraceError, Value, trace
from ..variable import Variable
from .lower import Lowering
from .passes import optimize
from .plan import ARENA, Plan

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
        without: names of the passes that are left out, see `passes.PASSES`.
        arenas: those of another program: both work in the same memory, one after the
            other; when both run at once, there is more.

    Attributes:
        arenas: what lends the memory for intermediate results.
        stores: whether the outputs of all steps are kept.
        pace: steps that the caller should run at once; it is the caller's to adjust.
    """

    def __init__(
        self,
        graph: Graph,
        sources: Sequence[str] | None = None,
        indexed: bool = False,
        stores: bool = False,
        without: Collection[str] = (),
        arenas: Any = None,
    ) -> None:
        from ...backend.compiled import native

        self.graph = optimize(graph, without)
        self.plan = Plan(self.graph)
        self._native = native.Program()
        self._written = {
            v for v, x in self.graph.writes.items() if x is not self.graph.reads[v]
        }
        self.stores = stores
        self.pace = 1.0
        self._emit(sources, indexed)
        self._native.arguments(
            [(v, slot, v in self._written) for v, slot in self.plan.variables.items()],
            self.lowering.panels.entries,
            zip(self._data_slots, self._sources, strict=True),
            self._result_slots,
            []
            if stores
            else [(self.plan.place(x), _like(x)) for x in self.graph.outputs],
            self._index_slot,
        )
        self.arenas = native.Arenas() if arenas is None else arenas
        self._native.borrow(self.arenas, self.plan.arena_bytes)
        for slot, array in self.plan.constants:
            self._native.bind(slot, array)

    @property
    def is_current(self) -> bool:
        """Whether it was made for the kernels, threads and products now in use."""
        return bool(self._native.is_current)

    # --- preparation ---

    def _emit(self, sources: Sequence[str] | None, indexed: bool) -> None:
        plan, native = self.plan, self._native
        self.lowering = Lowering(
            plan, native, functools.partial(_python_call, plan, weakref.ref(native))
        )
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
        reads, risk = self.graph.reads, self.lowering.at_risk
        native.undo(
            [(s, reads[v].nbytes) for v, s in plan.variables.items() if s in risk]
        )
        self._result_slots = []
        if self.stores:
            for x in self.graph.outputs:
                slot = plan.new_slot()
                self._result_slots.append(slot)
                rows = x.shape[0]
                native.store(
                    rows, x.size // max(1, rows), x.dtype.name, plan.place(x), (slot, 0)
                )
                self.lowering.note(f"store {x!r}")

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
        outputs: list[Any] = self._native.run(first, count, data, index, results)
        return outputs

    def __call__(self, *arguments: Any) -> Any:
        """Run one step on arrays and return the outputs as tensors."""
        data = [np.asarray(x) for x in tree.flatten(list(arguments)) if x is not None]
        return self.structured([Tensor(x) for x in self.run(data)])

    def structured(self, leaves: Sequence[Any]) -> Any:
        """Return outputs in the nesting of the traced function's results."""
        if type(self.graph.structure) is Tensor:
            return leaves[0]
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
        if self.lowering.panels.entries:
            memory["weights in panels"] = self.lowering.panels.nbytes
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


def _python_call(plan: Plan, program: Any, call: Call) -> Callable[[], None]:
    """Return a function that computes a call of a running program in Python.

    Args:
        plan: where values live.
        program: weak reference to the native program, which holds the function.
        call: the call.
    """

    def run() -> None:
        native = program()
        arrays = [_array(plan, native, x) for x in call.inputs]
        try:
            results = call.primitive.run(*arrays, **call.attrs)
        except Exception as error:
            name_operation(error, call.name)
            name_scope(error, call.scope)
            raise
        results = results if isinstance(results, tuple) else (results,)
        for value, result in zip(call.outputs, results, strict=True):
            _array(plan, native, value)[...] = result

    return run


def _array(plan: Plan, native: Any, x: Operand) -> Any:
    """Return an operand's memory as an array."""
    if not isinstance(x, Value):
        return x
    slot, offset = plan.place(x)
    memory = native.array(slot)
    if slot != ARENA:
        return memory.reshape(x.shape)
    block = memory[offset : offset + x.nbytes]
    return block.view(x.dtype).reshape(x.shape)


def _like(x: Operand) -> Any:
    """Return an array of the shape and dtype of an operand, of next to no memory."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)
