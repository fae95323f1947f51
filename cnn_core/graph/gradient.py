"""Reverse-mode differentiation: the tape, custom gradients, stopped gradients."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import shapes, tree
from .primitive import Primitive, apply
from .symbolic import KerasTensor, any_symbolic
from .tensor import Node, Tensor, as_tensor, late_op, next_serial, recording
from .variable import Variable


class GradientTape:
    """Record operations, then differentiate them (the interface of TensorFlow's).

    Trainable variables are watched when they are read, other tensors after `watch`.
    Tapes nest, which gives gradients of gradients::

        with GradientTape() as tape:
            loss = ops.sum(ops.square(variable))
        gradient = tape.gradient(loss, variable)

    A tape belongs to the thread that entered it.

    Args:
        persistent: whether `gradient` may be called more than once.
        watch_accessed_variables: whether trainable variables are watched.
    """

    def __init__(
        self, persistent: bool = False, watch_accessed_variables: bool = True
    ) -> None:
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._watched: dict[Node, Any] = {}  # leaf or recorded node -> what was watched
        self._spans: list[list[float]] = []  # serials of the nodes this tape recorded
        self._recording = False
        self._used = False

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise ValueError("GradientTape: the tape is recording already")
        if self._used and not self._persistent:
            self.reset()
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._recording:
            self._stop()

    def _start(self) -> None:
        recording.tapes.append(self)
        self._recording = True
        self._spans.append([next_serial(), math.inf])

    def _stop(self) -> None:
        recording.tapes.remove(self)
        self._recording = False
        self._spans[-1][1] = next_serial()

    def watch(self, tensor: Any) -> None:
        """Make gradients with respect to `tensor` (or each in a structure) possible.

        Raises:
            TypeError: if it is not a floating-point tensor or variable.
        """
        for x in tree.flatten(tensor):
            if not isinstance(x, (Tensor, Variable)):
                raise TypeError(
                    "GradientTape.watch: expected a Tensor or Variable, got "
                    f"{type(x).__name__}; use ops.convert_to_tensor"
                )
            if not shapes.is_float(x.dtype):
                raise TypeError(
                    "GradientTape.watch: expected a floating-point tensor, got dtype "
                    f"{x.dtype}"
                )
            if x._node is None:
                x._node = Node()
            self._watched[x._node] = x

    def note_access(self, variable: Variable) -> None:
        """Watch a trainable variable that is being read."""
        if self._watch_variables and variable._node is not None:
            self._watched[variable._node] = variable

    def watched_variables(self) -> tuple[Any, ...]:
        """Return the variables that are watched, in the order of their first use."""
        return tuple(x for x in self._watched.values() if isinstance(x, Variable))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Leave out what happens inside the `with` block."""
        if not self._recording:
            raise ValueError("GradientTape.stop_recording: the tape is not recording")
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self) -> None:
        """Forget everything recorded so far."""
        was_recording = self._recording
        if was_recording:
            self._stop()
        self._spans.clear()
        self._watched.clear()
        self._used = False
        if was_recording:
            self._start()

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Return the gradient of the sum of `target` with respect to `sources`.

        Args:
            target: a tensor or a nested structure of tensors.
            sources: a tensor or variable, or a nested structure of them.
            output_gradients: cotangents of `target`, in its nesting; ones by default,
                also where one is None.
            unconnected_gradients: what a source gets that `target` does not depend on:
                "none" gives None, "zero" zeros.

        Returns:
            Tensors shaped like the sources, in the same nesting.

        Raises:
            RuntimeError: on a second call of a tape that is not persistent.
            TypeError: if a source is not a tensor or variable.
            ValueError: if a cotangent does not have its target's shape.
        """
        zeros = _zeros_if_unconnected(unconnected_gradients)
        flat = _checked_sources(sources)
        targets = _checked_targets(target)
        if output_gradients is None:
            given = [None] * len(targets)
        else:
            given = tree.flatten(output_gradients)
            if len(given) != len(targets):
                raise ValueError(
                    f"GradientTape.gradient: expected {len(targets)} output "
                    f"gradient(s), one per target, got {len(given)}"
                )
        cotangents = [
            _initial_cotangent(t, ct) for t, ct in zip(targets, given, strict=True)
        ]
        self._use()
        gradients = self._walk(targets, cotangents, flat)
        if zeros:
            gradients = [
                Tensor(np.zeros(x.shape, x.dtype)) if g is None else g
                for g, x in zip(gradients, flat, strict=True)
            ]
        return tree.pack_sequence_as(sources, gradients)

    def jacobian(
        self, target: Any, sources: Any, unconnected_gradients: str = "none"
    ) -> Any:
        """Return d target / d source, of shape `target.shape + source.shape`.

        There is one backward walk per element of `target`.

        Args:
            target: a tensor.
            sources: a tensor or variable, or a nested structure of them.
            unconnected_gradients: as in `gradient`.

        Returns:
            Tensors in the nesting of the sources.
        """
        zeros = _zeros_if_unconnected(unconnected_gradients)
        flat = _checked_sources(sources)
        (target,) = _checked_targets([target])
        self._use()
        rows = []
        for i in range(target.size):
            cotangent = np.zeros(target.size, target.dtype)
            cotangent[i] = 1
            cotangent = cotangent.reshape(target.shape)
            rows.append(self._walk([target], [Tensor(cotangent)], flat))
        results = []
        for k, x in enumerate(flat):
            column = [row[k] for row in rows]
            shape = target.shape + x.shape
            if all(part is None for part in column):
                empty = Tensor(np.zeros(shape, x.dtype))
                results.append(empty if zeros or not target.size else None)
                continue
            blank = Tensor(np.zeros(x.shape, x.dtype))
            stacked = late_op("stack")([blank if p is None else p for p in column])
            results.append(late_op("reshape")(stacked, shape))
        return tree.pack_sequence_as(sources, results)

    def _use(self) -> None:
        """Note that gradients are asked for, which ends a tape for a single use."""
        if self._used and not self._persistent:
            raise RuntimeError(
                "GradientTape: gradients were asked for twice; use "
                "GradientTape(persistent=True) for that"
            )
        self._used = True
        if self._recording and not self._persistent:
            self._stop()

    # --- the walk ---

    def _saw(self, node: Node) -> bool:
        serial = node.serial
        return any(start < serial < stop for start, stop in self._spans)

    def _walk(
        self, targets: list[Any], cotangents: list[Any], sources: list[Any]
    ) -> list[Any]:
        reached = self._reached(targets)
        wanted = self._wanted(sources, reached)
        useful = self._useful(reached, {node for node, _ in wanted})
        pending: dict[Node, list[Any]] = {}
        for target, ct in zip(targets, cotangents, strict=True):
            if target._node in useful:
                _accumulate(pending, target._node, target._index, ct)
        for node in reversed(reached):
            cts = pending.pop(node, None)
            if cts is None:
                continue
            for index, ct in enumerate(cts):
                if (node, index) in wanted:
                    wanted[node, index] = ct
            if node.primitive is not None and self._saw(node):
                self._propagate(node, cts, useful, pending)
        return [wanted.get((x._node, _index(x))) for x in sources]

    def _reached(self, targets: list[Any]) -> list[Node]:
        """Return the nodes that the targets depend on, in the order of recording."""
        reached: set[Node] = set()
        stack = [t._node for t in targets if t._node is not None]
        while stack:
            node = stack.pop()
            if node in reached:
                continue
            reached.add(node)
            if node.inputs and self._saw(node):
                stack.extend(x._node for x in node.inputs if x._node is not None)
        return sorted(reached, key=lambda node: node.serial)

    def _wanted(
        self, sources: list[Any], reached: list[Node]
    ) -> dict[tuple[Node, int], Any]:
        """Return an empty slot for each source whose gradient this tape can tell."""
        wanted: dict[tuple[Node, int], Any] = {}
        live: set[Node] | None = None
        for x in sources:
            node = x._node
            if node is None:
                continue
            if node not in self._watched:
                # A result counts if it was recorded and depends on something watched.
                live = live or self._useful(reached, set(self._watched))
                if node not in live:
                    continue
            wanted[node, _index(x)] = None
        return wanted

    def _useful(self, reached: list[Node], roots: set[Node]) -> set[Node]:
        """Return those of the reached nodes that are a root or depend on one.

        An input that was watched only after an operation was a constant for it: its
        node is younger, comes later here, and so does not count.
        """
        useful: set[Node] = set()
        for node in reached:
            if node in roots or (
                self._saw(node) and any(x._node in useful for x in node.inputs)
            ):
                useful.add(node)
        return useful

    @staticmethod
    def _propagate(
        node: Node, cts: list[Any], useful: set[Node], pending: dict[Node, list[Any]]
    ) -> None:
        primitive = node.primitive
        assert primitive is not None
        assert primitive.vjp is not None
        needs = [x._node in useful for x in node.inputs]
        if not any(needs):
            return
        if len(node.outputs) == 1:
            ct: Any = cts[0]
            out: Any = node.output_tensor(0)
        else:
            cts = cts + [None] * (len(node.outputs) - len(cts))
            out = tuple(node.output_tensor(i) for i in range(len(node.outputs)))
            ct = tuple(
                Tensor(np.zeros(o.shape, o.dtype)) if c is None else c
                for c, o in zip(cts, out, strict=True)
            )
        trace = recording.trace
        if trace is None:
            parts = primitive.vjp(ct, out, *node.inputs, needs=needs, **node.attrs)
        else:  # a layer's gradients are its own, too
            outer = trace.enter(node.outputs[0])
            try:
                parts = primitive.vjp(ct, out, *node.inputs, needs=needs, **node.attrs)
            finally:
                trace.scope = outer
        for x, part, need in zip(node.inputs, parts, needs, strict=True):
            if need and part is not None:
                _accumulate(pending, x._node, x._index, part)


def _index(x: Any) -> int:
    return x._index if isinstance(x, Tensor) else 0


def _accumulate(
    pending: dict[Node, list[Any]], node: Any, index: int, part: Any
) -> None:
    slots = pending.setdefault(node, [])
    while len(slots) <= index:
        slots.append(None)
    slots[index] = part if slots[index] is None else slots[index] + part


def _zeros_if_unconnected(unconnected_gradients: str) -> bool:
    if unconnected_gradients not in ("none", "zero"):
        raise shapes.unknown_name(
            "unconnected_gradients", unconnected_gradients, ("none", "zero")
        )
    return unconnected_gradients == "zero"


def _checked_sources(sources: Any) -> list[Any]:
    flat = tree.flatten(sources)
    for x in flat:
        if not isinstance(x, (Tensor, Variable)):
            raise TypeError(
                "GradientTape: sources must be tensors or variables, got "
                f"{type(x).__name__}"
            )
    return flat


def _checked_targets(target: Any) -> list[Any]:
    flat = tree.flatten(target)
    if any_symbolic(flat):
        raise TypeError("GradientTape: a symbolic target has no values and no gradient")
    return [as_tensor(t) for t in flat]


def _initial_cotangent(target: Any, given: Any) -> Any:
    if given is None:
        return Tensor(np.ones(target.shape, target.dtype))
    given = as_tensor(given, target.dtype)
    if given.shape != target.shape:
        raise ValueError(
            "GradientTape.gradient: expected an output gradient of the target's shape "
            f"{target.shape}, got {given.shape}"
        )
    return given


# --- custom and stopped gradients --------------------------------------------

_stop_gradient = Primitive(
    "stop_gradient", lambda x: x, lambda x: (x.shape, x.dtype), None
)


def stop_gradient(variable: Any) -> Any:
    """Return the same values, through which no gradient flows."""
    return tree.map_structure(lambda x: apply(_stop_gradient, as_tensor(x)), variable)


class _CustomGradient(Primitive):
    """Stands in a node for a function with its own gradient; it is never applied."""

    __slots__ = ()

    def __init__(self, name: str, vjp: Callable[..., Any]) -> None:
        self.name = name
        self.vjp = vjp


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of tensors its own gradient.

    Gradients flow to the positional arguments only: not to keyword arguments, nor to
    variables that `f` reads without being given them.

    Args:
        f: returns `(outputs, grad_fn)`. `grad_fn(*upstream)` takes one cotangent per
            output (`grad_fn(upstream=...)` where it has no positional parameters) and
            returns one cotangent for each positional argument of `f`, None for none.

    Returns:
        A function of the same arguments that returns `outputs`.
    """
    name = getattr(f, "__name__", type(f).__name__)

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inputs = [_differentiable(x) for x in tree.flatten(args)]
        outputs, grad_fn = f(*args, **kwargs)
        flat = [as_tensor(x) for x in tree.flatten(outputs)]
        if not recording.tapes or any_symbolic([inputs, flat]):
            return tree.pack_sequence_as(outputs, flat)

        def vjp(ct: Any, out: Any, *_: Any, needs: Any) -> list[Any]:
            parts = _call_grad_fn(grad_fn, ct if isinstance(ct, tuple) else (ct,))
            if len(parts) != len(inputs):
                raise ValueError(
                    f"custom_gradient: {name} has {len(inputs)} arguments, its "
                    f"gradient function returned {len(parts)} cotangents"
                )
            return [
                None if part is None else _fitting(name, part, x)
                for part, x in zip(parts, inputs, strict=True)
                if x is not None
            ]

        node = Node(
            _CustomGradient(name, vjp),
            tuple(x for x in inputs if x is not None),
            {},
            tuple(t._array for t in flat),
        )
        return tree.pack_sequence_as(
            outputs, [Tensor(t._array, node, i) for i, t in enumerate(flat)]
        )

    return wrapped


def _differentiable(x: Any) -> Any:
    """Return an argument as the tensor it is now, None if it is not one."""
    return as_tensor(x) if isinstance(x, (Tensor, Variable, KerasTensor)) else None


def _call_grad_fn(grad_fn: Callable[..., Any], upstream: tuple[Any, ...]) -> list[Any]:
    parameters = inspect.signature(grad_fn).parameters.values()
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    if any(p.kind in positional for p in parameters):
        parts = grad_fn(*upstream)
    else:
        parts = grad_fn(upstream=upstream[0] if len(upstream) == 1 else upstream)
    return tree.flatten(parts)


def _fitting(name: str, part: Any, x: Any) -> Any:
    part = as_tensor(part, x.dtype)
    if part.shape != x.shape:
        raise ValueError(
            f"custom_gradient: the gradient function of {name} returned a cotangent of "
            f"shape {part.shape} for an argument of shape {x.shape}"
        )
    return part
