"""From primitives to instructions of the native executor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import shapes
from ..trace import Call, Operand, Value
from . import kernels
from .chains import Chain
from .moves import Moves
from .panels import HeldPanels
from .plan import Plan

_FLOAT32 = np.dtype("float32")


class Lowering(Moves):
    """Emits the instructions of a plan.

    Args:
        plan: where values live.
        program: the native program.
        call: `call(primitive_call)` returns a Python function that computes a call for
            which there is no instruction.
    """

    def __init__(
        self, plan: Plan, program: Any, call: Callable[[Call], Callable[[], None]]
    ) -> None:
        self.plan = plan
        self.program = program
        self._python = call
        self.panels = HeldPanels(plan)
        self.names: list[Any] = []  # what each instruction is, for explain()
        self.fallbacks: list[str] = []

    def note(self, text: Any) -> None:
        """Say what the latest instruction is."""
        self.names.append(text)

    def lower(self, call: Call) -> None:
        """Emit the instructions of one call."""
        if call.outputs and self.plan.is_view(call):
            return
        if call.outputs and call.outputs[0].size == 0:
            return
        before = len(self.program)
        if not self._native(call):
            self.program.call(self._python(call))
            self.fallbacks.append(call.name)
        self.names += [call] * (len(self.program) - before)

    def _native(self, call: Call) -> bool:
        if any(x.size == 0 for x in call.inputs):
            return False
        if isinstance(call, Chain):
            self._chain(call)
            return True
        found = kernels.elementwise(call)
        if found is not None:
            return self._elementwise(call, *found)
        rule = getattr(self, f"_{call.name}", None)
        if rule is not None:
            return bool(rule(call))
        if kernels.is_typed(call):
            self._typed(call)
            return True
        return False

    # --- elementwise ---

    def _elementwise(self, call: Call, kernel: str, p: float, q: float) -> bool:
        (y,) = call.outputs
        if kernels.signatures()[kernel] != "binary":
            if any(x.shape != y.shape for x in call.inputs):
                return False
            inputs = [self._at(x) for x in call.inputs]
            self.program.map(kernel, y.size, inputs, self._at(y), p, q)
            return True
        a, b = call.inputs
        self._broadcast(kernel, y, a, b)
        return True

    def _broadcast(self, kernel: str, y: Value, a: Operand, b: Operand) -> None:
        self.program.binary(
            kernel,
            y.shape,
            self._at(a),
            kernels.steps(a, y.shape),
            self._at(b),
            kernels.steps(b, y.shape),
            self._at(y),
        )

    def _chain(self, chain: Chain) -> None:
        outputs = {id(v) for v in chain.outputs}
        numbers: dict[int, int] = {}
        streams: list[tuple[tuple[int, int], int]] = []

        def stream(x: Operand) -> int:
            if id(x) not in numbers:
                shape = chain.members[0].outputs[0].shape
                step = kernels.flat_step(x, shape)
                numbers[id(x)] = len(streams)
                streams.append((self._at(x), step or 0))
            return numbers[id(x)]

        for x in (*chain.inputs, *chain.outputs):
            stream(x)
        last: dict[int, int] = {}
        for i, call in enumerate(chain.members):
            for x in call.inputs:
                last[id(x)] = i
        blocks, free = 0, []
        ops = []
        for i, call in enumerate(chain.members):
            found = kernels.elementwise(call)
            assert found is not None, "only elementwise calls are fused"
            inputs = tuple(numbers[id(x)] for x in call.inputs)
            for x in {id(x): x for x in call.inputs}.values():
                number = numbers[id(x)]
                if number >= len(streams) and last[id(x)] == i:
                    free.append(number)
            (y,) = call.outputs
            if id(y) not in outputs:
                if not free:
                    free.append(len(streams) + blocks)
                    blocks += 1
                numbers[id(y)] = free.pop()
            kernel, p, q = found
            ops.append((kernel, inputs, numbers[id(y)], p, q))
        n = chain.members[0].outputs[0].size
        self.program.chain(n, streams, blocks, ops)

    # --- small jobs on any type ---

    def _flat(self, call: Call) -> list[Any]:
        """Return place and step of each operand, copied where it has to be."""
        shape = call.outputs[0].shape
        flat: list[Any] = []
        at = 0
        for x in call.inputs:
            step = kernels.flat_step(x, shape)
            if step is None:
                slot, offset = self.plan.temporary(call)
                place, step = (slot, offset + at), 1
                at += kernels.widened_bytes(x, shape)
                self._spread(x, shape, place)
            else:
                place = self._at(x)
            flat += [place, step]
        return flat

    def _typed(self, call: Call) -> None:
        (y,) = call.outputs
        operands = self._flat(call)
        if len(call.inputs) == 1:  # the second one is not looked at, but for squares
            operands *= 2
        name = "multiply" if call.name == "square" else call.name
        dtype = _name(call.inputs[0])
        self.program.typed(name, dtype, y.size, *operands, self._at(y), _name(y))

    def _cast(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        source, target = _name(x), _name(y)
        if source not in kernels.TYPES or target not in kernels.TYPES:
            return False
        if source.startswith("float") and target.startswith("uint"):
            return False  # NumPy's result for negative numbers is its own affair
        self.program.cast(y.size, self._at(x), source, self._at(y), target)
        return True

    def _copy(self, call: Call) -> bool:
        return self._cast(call)

    def _where(self, call: Call) -> bool:
        (c, *parts), (y,) = call.inputs, call.outputs
        if c.dtype != "bool" or any(x.dtype != y.dtype for x in parts):
            return False
        if _name(y) not in kernels.TYPES or y.ndim > kernels.AXES:
            return False
        self.program.where(_name(y), y.size, *self._flat(call), self._at(y))
        return True

    def _random_uniform(self, call: Call) -> bool:
        self.program.uniform(
            call.outputs[0].size, self._at(call.inputs[0]), self._at(call.outputs[0])
        )
        return True

    # --- products ---

    def _dense(self, call: Call) -> bool:
        x, kernel, *bias = call.inputs
        if any(v.dtype != _FLOAT32 for v in call.inputs):
            return False
        m = math.prod(x.shape[:-1])
        y = call.outputs[0]
        options = self._at(bias[0]) if bias else None, call.attrs["activation"]
        self._product(m, x, False, kernel, False, y, *options)
        return True

    def _matmul(self, call: Call) -> bool:
        a, b = call.inputs
        transpose_a, transpose_b = call.attrs["transpose_a"], call.attrs["transpose_b"]
        if a.dtype != _FLOAT32 or b.ndim != 2 or (a.ndim > 2 and transpose_a):
            return False
        m = a.shape[1] if transpose_a else math.prod(a.shape[:-1])
        self._product(m, a, transpose_a, b, transpose_b, call.outputs[0])
        return True

    def _product(
        self,
        m: int,
        a: Operand,
        transpose_a: bool,
        b: Operand,
        transpose_b: bool,
        y: Value,
        bias: Any = None,
        activation: str | None = None,
    ) -> None:
        """Emit y = activation(a @ b + bias), where y has m rows in all."""
        k, n = b.shape[::-1] if transpose_b else b.shape
        held = self.panels.want(b, m, n, k, transpose_b)
        number = self.program.matmul(
            m,
            n,
            k,
            self._at(a),
            transpose_a,
            self._at(b),
            transpose_b,
            self._at(y),
            bias,
            activation,
            held=held,
        )
        if held is not None:
            self.panels.read_by(number)

    # --- reductions ---

    def _bias_gradient(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        if x.dtype != _FLOAT32:
            return False
        columns = x.shape[-1]
        self.program.reduce(
            "sum", 1, x.size // columns, columns, self._at(x), self._at(y)
        )
        return True

    def _reduce(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        axes = _axes(call.attrs["axis"], x.ndim)
        if x.dtype != _FLOAT32 or not axes:
            return False
        sized = [i for i in axes if x.shape[i] != 1]
        between = range(sized[0], sized[-1] + 1) if sized else ()
        if any(x.shape[i] != 1 and i not in axes for i in between):
            return False
        first = sized[0] if sized else 0
        last = sized[-1] + 1 if sized else 0
        outer = math.prod(x.shape[:first])
        n = math.prod(x.shape[first:last])
        inner = math.prod(x.shape[last:])
        self.program.reduce(call.name, outer, n, inner, self._at(x), self._at(y))
        return True

    _sum = _mean = _max = _min = _reduce

    def _index(self, call: Call) -> bool:
        (x,), (y,) = call.inputs, call.outputs
        axis = call.attrs["axis"]
        if x.dtype != _FLOAT32 or (axis is not None and axis % x.ndim != x.ndim - 1):
            return False
        n = x.size if axis is None else x.shape[-1]
        wide = self.plan.temporary(call)
        self.program.rows(f"{call.name}_f32", x.size // n, n, wide, a=self._at(x))
        self.program.cast(y.size, wide, "int64", self._at(y), "int32")
        return True

    _argmax = _argmin = _index

    # --- rows ---

    def _row_map(self, call: Call) -> bool:
        inputs, (y,) = call.inputs, call.outputs
        axis = call.attrs["axis"] % y.ndim
        if axis != y.ndim - 1 or any(
            x.dtype != _FLOAT32 or x.shape != y.shape for x in inputs
        ):
            return False
        n = y.shape[-1]
        self.program.rows(
            f"{call.name}_f32",
            y.size // n,
            n,
            self._at(y),
            *[self._at(x) for x in inputs],
        )
        return True

    _softmax = _softmax_grad = _log_softmax = _log_softmax_grad = _row_map

    def _row_loss(self, call: Call) -> bool:
        *ct, target, output = call.inputs
        name = call.name.removesuffix("_grad")
        if call.attrs.get("from_logits"):
            name += "_logits"
        kernel = f"{name}_grad_f32" if ct else f"{name}_f32"
        if output.dtype != _FLOAT32 or any(c.dtype != _FLOAT32 for c in ct):
            return False
        n = output.shape[-1]
        rows = output.size // n
        places: dict[str, Any] = {"b": self._at(output)}
        if ct:
            places["c"] = self._at(ct[0])
        if call.name.startswith("sparse"):
            places["labels"] = self._labels(call, target)
            if places["labels"] is None:
                return False
        elif target.dtype != _FLOAT32:
            return False
        else:
            places["a"] = self._at(target)
        self.program.rows(kernel, rows, n, self._at(call.outputs[0]), **places)
        return True

    _mean_squared_error = _mean_squared_error_grad = _row_loss
    _categorical_crossentropy = _categorical_crossentropy_grad = _row_loss
    _sparse_categorical_crossentropy = _row_loss
    _sparse_categorical_crossentropy_grad = _row_loss


def _axes(axis: Any, ndim: int) -> list[int]:
    if axis is None:
        return list(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return sorted(a % ndim for a in given)


def _name(x: Operand) -> str:
    return shapes.DTYPE_NAMES[x.dtype]
