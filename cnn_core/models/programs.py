"""Steps of a model as Programs: traced once for each kind of batch, run natively."""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import backend, config, tree
from ..graph import Tensor
from ..graph.program import Program, Spec, TraceError, trace
from ..graph.program.kernels import TYPES
from ..layers.state import edits
from .native_calls import supports

# Programs of a model kept at once; the one used longest ago goes first.
CAPACITY = 32
# Seconds of steps per native call: Ctrl-C and the progress bar wait that long.
_SLICE = 0.04


class StepPrograms:
    """The programs of a model's steps.

    A kind of batch (shapes, dtypes, nesting) that comes once runs eagerly; one that
    comes again, or with several batches at once, is compiled. A step that cannot be
    traced runs eagerly from then on, after one warning.

    Args:
        model: the model.
    """

    def __init__(self, model: Any) -> None:
        self._who = f"{type(model).__name__} '{model.name}'"
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._arenas: Any = None  # in which all of them work
        self._seen: OrderedDict[Any, None] = OrderedDict()
        self._eager: set[str] = set()  # steps that cannot be traced
        # Programs for whole calls on one array, of a model whose changes are counted.
        self._whole: dict[Any, Program] | None = {} if supports(model) else None
        self._stamp: Any = None  # the count when they were kept

    def __deepcopy__(self, memo: Any) -> None:
        """Leave a copy of the model without programs: it makes its own."""

    def __reduce__(self) -> Any:
        return (type(None), ())

    def find(
        self,
        model: Any,
        step: str,
        batch: Any,
        sources: Any = None,
        indexed: bool = False,
        stores: bool = False,
        now: bool = True,
    ) -> Program | None:
        """Return the program of a step for a kind of batch, or None to run eagerly.

        Args:
            model: the model.
            step: name of the method, e.g. "train_step".
            batch: a batch of tensors.
            sources: dtypes of the arrays behind it.
            indexed: whether rows are taken by an index.
            stores: whether all outputs are kept.
            now: whether to compile a kind that has not been seen before.
        """
        if step in self._eager or model.run_eagerly or backend.name() != "compiled":
            return None
        key = (step, _signature(batch), sources, indexed, stores, _surroundings(model))
        program = self._programs.get(key)
        if program is not None:
            self._programs.move_to_end(key)
            return program
        if not now and key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > 64 * CAPACITY:
                self._seen.popitem(last=False)
            return None
        program = self._compile(model, step, batch, sources, indexed, stores)
        # If another thread changed a setting meanwhile, the program serves once.
        if program is not None and program.is_current:
            self._programs[key] = program
            if len(self._programs) > CAPACITY:
                self._programs.popitem(last=False)
        return program

    def keep(self, x: Any, program: Program) -> None:
        """Keep the program of `predict_step` for an array that is one batch."""
        if self._whole is None or type(x) is not np.ndarray:
            return
        stamp = edits.latest, config.changes()
        if stamp != self._stamp or len(self._whole) >= CAPACITY:
            self._whole.clear()
            self._stamp = stamp
        self._whole[x.shape, x.dtype] = program

    def predict_again(self, model: Any, x: Any, batch_size: Any = math.inf) -> Any:
        """Return the predictions for one batch of a kind that came before, or None.

        Args:
            model: the model.
            x: any input; arrays may be of a kind that was kept.
            batch_size: that of `predict`; infinite if all samples are one batch.
        """
        if (
            not self._whole
            or type(x) is not np.ndarray
            or self._stamp != (edits.latest, config.changes())
            or model.run_eagerly
        ):
            return None
        program = self._whole.get((x.shape, x.dtype))
        if program is None or not program.is_current:
            return None
        limit = 32 if batch_size is None else batch_size
        if not (limit is math.inf or (type(limit) is int and len(x) <= limit)):
            return None
        if not program.stores:
            return program.structured(program.run([x]))
        outputs, arrays = stored_outputs(program, len(x))
        program.run([x], results=arrays)
        return outputs

    def latest(self) -> tuple[str, Program] | None:
        """Return the step and the program that were used last, or None."""
        for key, program in reversed(self._programs.items()):
            return key[0], program
        return None

    def _compile(
        self,
        model: Any,
        step: str,
        batch: Any,
        sources: Any,
        indexed: bool,
        stores: bool,
    ) -> Program | None:
        specs = tree.map_structure(
            lambda t: None if t is None else Spec(t.shape, t.dtype), batch
        )
        try:
            graph = trace(getattr(model, step), specs)
            program = Program(graph, sources, indexed, stores, arenas=self._arenas)
            self._arenas = program.arenas
            return program
        except TraceError as error:
            reason = str(error)
        finally:
            model._clear_losses()  # those of the trace have no values
        self._eager.add(step)
        warnings.warn(
            f"{self._who}: {step} runs operation by operation, which is slower: "
            f"{reason}. Use operations of `ops` there, or compile(run_eagerly=True).",
            stacklevel=5,
        )
        return None


def _signature(batch: Any) -> Any:
    """Return what batches of one kind share."""
    if type(batch) is Tensor:
        return batch._array.shape, batch._array.dtype
    if isinstance(batch, dict):
        return dict, *[(k, _signature(v)) for k, v in batch.items()]
    if isinstance(batch, (list, tuple)):
        return type(batch), *[_signature(v) for v in batch]
    return None if batch is None else (batch.shape, batch.dtype)


def _surroundings(model: Any) -> Any:
    """Return what else a traced step depends on."""
    optimizer = model.optimizer
    return (
        tuple(id(v) for v in model._variables_to_train()),
        id(getattr(optimizer, "_learning_rate", None)),
        config.floatx(),
        config.matmul_parts(),
        backend.num_threads(),
        backend.isa(),
    )


# --- running ------------------------------------------------------------------


def leaves_of(data: Any) -> list[Any]:
    """Return the arrays of a batch or of a whole data set, flat, without None."""
    return [a for a in tree.flatten(data) if a is not None]


def run_batch(program: Program, batch: Any) -> Any:
    """Run one step on a batch of tensors, wholly or not at all; return its results."""
    return _structured(program, program.run([t._array for t in leaves_of(batch)]))


def _structured(program: Program, arrays: list[Any]) -> Any:
    return program.structured([Tensor(a) for a in arrays])


class ArrayRunner:
    """Runs the batches of arrays in memory, many steps per native call.

    Args:
        programs: the model's programs.
        model: the model.
        step: name of the method.
        source: an `ArrayData`.
        stores: whether the outputs of all batches are kept.

    Attributes:
        ready: whether there are programs for all batches.
    """

    def __init__(
        self,
        programs: StepPrograms,
        model: Any,
        step: str,
        source: Any,
        stores: bool = False,
    ) -> None:
        self._source = source
        self._stores = stores
        self._find = functools.partial(programs.find, model, step)
        # program, first row, rows in a step, steps
        self._parts: list[tuple[Program, int, int, int]] = []
        whole, rest = divmod(source.num_samples, source.batch_size)
        self._sources = tuple(_dtype_name(a.dtype) for a in leaves_of(source.data))
        last_row = whole * source.batch_size
        self.ready = False
        if not set(self._sources) <= set(TYPES):  # e.g. float16: batch by batch, then
            return
        for first, size, steps in (
            (0, source.batch_size, whole),
            (last_row, rest, int(rest > 0)),
        ):
            if not steps:
                continue
            program = self._program(first, size, now=whole > 1)
            if program is None or (stores and not _has_rows(program, size)):
                self._parts = []
                break
            self._parts.append((program, first, size, steps))
        self.ready = bool(self._parts)
        if self.ready:
            source.make_contiguous()
        self._data = leaves_of(source.data)

    def _program(self, first: int, size: int, now: bool = True) -> Program | None:
        """Return the program for batches like the one that begins at a row, or None."""
        source = self._source
        batch = source.rows(slice(first, first + size))
        indexed = bool(source.shuffle)
        return self._find(batch, self._sources, indexed, self._stores, now)

    @property
    def only(self) -> Program | None:
        """The program, if all samples are one batch."""
        program, _, _, steps = self._parts[0]
        return program if steps == len(self._parts) == 1 else None

    def outputs(self) -> tuple[Any, list[Any]]:
        """Return arrays for all outputs, in the nesting of the results and flat."""
        return stored_outputs(self._parts[0][0], self._source.num_samples)

    def run(
        self,
        results: Sequence[Any] = (),
        before_each: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Run an epoch; give the number and the results of the last step of each call.

        Args:
            results: arrays for all outputs, if they are kept.
            before_each: called before every step, which then runs by itself.
        """
        order = self._source.order()
        done = 0
        for program, row, size, steps in self._parts:
            index = None if order is None else order[row:]
            data = self._data if index is not None else [a[row:] for a in self._data]
            kept = [r[row:] for r in results]
            at = 0
            while at < steps:
                count = min(steps - at, max(1, int(program.pace)))
                if before_each is not None:
                    before_each(done)
                    count = 1
                if not program.is_current:  # a callback changed a setting
                    program = self._program(row, size) or program
                started = time.perf_counter()
                arrays = program.run(data, index, at, count, kept)
                taken = time.perf_counter() - started
                program.pace = min(4 * program.pace, count * _SLICE / max(taken, 1e-9))
                at += count
                done += count
                yield done - 1, None if kept else _structured(program, arrays)


def stored_outputs(program: Program, rows: int) -> tuple[Any, list[Any]]:
    """Return arrays for all outputs of a program that stores, nested and flat."""
    arrays = [np.empty((rows, *x.shape[1:]), x.dtype) for x in program.graph.outputs]
    return program.structured(arrays), arrays


@functools.cache
def _dtype_name(dtype: Any) -> str:
    """Return the name of a dtype, whatever its byte order."""
    return str(dtype.newbyteorder("=").name)


def _has_rows(program: Program, size: int) -> bool:
    """Tell whether every output has a row for each sample."""
    return all(x.ndim and x.shape[0] == size for x in program.graph.outputs)
