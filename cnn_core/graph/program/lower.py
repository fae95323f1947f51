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
from .folds import Folds
from .moves import Moves
from .panels import HeldPanels
from .plan import Plan

_FLOAT32 = np.dtype("float32")


class Lowering(Moves, Folds):
    """Emits the instructions of a plan.

    Attributes:
        fallbacks: names of the primitives that run in Python.
        at_risk: slots of the variables that may have a new value when an error comes.

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
        self.at_risk: set[int] = set()
        self._written: set[int] = set()  # slots of variables that have a new value
        self._variables = set(plan.variables.values())
        self._in_range = set()

    def note(self, text: Any) -> None:
        """Say what the latest instruction is."""
        self.names.append(text)

    def lower(self, call: Call) -> None:
        """Emit the instructions of one call."""
        if call.outputs and self.plan.is_view(call):
            return
        first = call.members[0] if isinstance(call, Chain) else call
        if first.outputs and first.outputs[0].size == 0:
            return
        before = len(self.program)
        if not self._native(call):
            self.program.call(self._checked(call))
            self.fallbacks.append(call.name)
        self.names += [call] * (len(self.program) - before)
        self._written |= self._variables & {self._at(v)[0] for v in call.outputs}

    def _checked(self, call: Call) -> Callable[[], None]:
        """Return the call in Python, for an instruction that may have to raise."""
        self.at_risk |= self._written
        return self._python(call)

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

    def _random(self, call: Call) -> bool:
        (state,), (y,) = call.inputs, call.outputs
        normal = call.name == "random_normal"
        self.program.random(y.size, normal, self._at(state), self._at(y))
        return True

    _random_uniform = _random_normal = _random

    # --- products ---

    def _dense(self, call: Call) -> bool:
        x, kernel, *bias = call.inputs
        if any(v.dtype != _FLOAT32 for v in call.inputs):
            return False
        self._emit_product(
            math.prod(x.shape[:-1]),
            kernel.shape[1],
            kernel.shape[0],
            x,
            False,
            kernel,
            False,
            call.outputs[0],
            bias=self._at(bias[0]) if bias else None,
            activation=call.attrs["activation"],
        )
        return True

    def _emit_product(
        self,
        m: int,
        n: int,
        k: int,
        a: Operand,
        transpose_a: bool,
        b: Operand,
        transpose_b: bool,
        c: Value,
        **more: Any,
    ) -> None:
        """Emit a product, which reads panels of b where the program holds them."""
        if "grad" not in more and "bias_gradient" not in more:
            more["held"] = self.panels.want(b, m, n, k, transpose_b)
        places = self._at(a), transpose_a, self._at(b), transpose_b, self._at(c)
        number = self.program.matmul(m, n, k, *places, **more)
        if more.get("held") is not None:
            self.panels.read_by(number)

    def _product(self, call: Call, **more: Any) -> bool:
        a, b = call.inputs[:2]
        transpose_a, transpose_b = call.attrs["transpose_a"], call.attrs["transpose_b"]
        if a.dtype != _FLOAT32 or b.dtype != _FLOAT32 or min(a.ndim, b.ndim) < 2:
            return False
        if b.ndim > 2 or (a.ndim > 2 and transpose_a):
            return self._products(call)
        m = a.shape[1] if transpose_a else math.prod(a.shape[:-1])
        k = a.shape[0] if transpose_a else a.shape[-1]
        n = b.shape[0] if transpose_b else b.shape[1]
        c = call.outputs[0]
        self._emit_product(m, n, k, a, transpose_a, b, transpose_b, c, **more)
        return True

    _matmul = _product

    def _matmul_grad(self, call: Call) -> bool:
        return self._product(
            call,
            grad=call.attrs["activation"],
            parameter=call.attrs["parameter"],
            saved=self._at(call.inputs[2]),
        )

    def _matmul_bias_gradient(self, call: Call) -> bool:
        return self._product(call, bias_gradient=self._at(call.outputs[1]))

    def _products(self, call: Call) -> bool:
        """Emit a stack of products."""
        (a, b), (y,) = call.inputs, call.outputs
        transpose_a, transpose_b = call.attrs["transpose_a"], call.attrs["transpose_b"]
        m, n = y.shape[-2:]
        stack = y.shape[:-2]
        if len(stack) > kernels.AXES:
            return False
        self.program.products(
            *(m, n, a.shape[-2 if transpose_a else -1]),
            *(self._at(a), transpose_a, self._at(b), transpose_b, self._at(y)),
            stack,
            *[kernels.steps(x, (*stack, *x.shape[-2:]))[:-2] for x in (a, b)],
        )
        return True

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
        if len(call.outputs) == 2:
            places["g"] = self._at(call.outputs[1])
        y = self._at(call.outputs[0])
        self.program.rows(_loss_kernel(call), rows, n, y, **places)
        return True

    def _binary_crossentropy_with_grad(self, call: Call) -> bool:
        y, g = call.outputs
        if any(x.dtype != _FLOAT32 or x.shape != y.shape for x in call.inputs):
            return False
        inputs = [self._at(x) for x in call.inputs]
        kernel = _loss_kernel(call)
        self.program.map(kernel, y.size, inputs, self._at(y), g=self._at(g))
        return True

    _mean_squared_error = _mean_squared_error_grad = _row_loss
    _categorical_crossentropy = _categorical_crossentropy_grad = _row_loss
    _sparse_categorical_crossentropy = _row_loss
    _sparse_categorical_crossentropy_grad = _row_loss
    _mean_squared_error_with_grad = _row_loss
    _categorical_crossentropy_with_grad = _row_loss
    _sparse_categorical_crossentropy_with_grad = _row_loss


def _loss_kernel(call: Call) -> str:
    """Return the kernel of a loss, of its gradient, or of both."""
    loss = call.name.removesuffix("_grad").removesuffix("_with")
    logits = "_logits" if call.attrs.get("from_logits") else ""
    return f"{loss}{logits}{call.name[len(loss) :]}_f32"


def _name(x: Operand) -> str:
    return shapes.DTYPE_NAMES[x.dtype]
