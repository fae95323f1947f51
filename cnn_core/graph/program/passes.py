"""Passes: functions from graph to graph, each of which can be left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from ... import shapes
from ..primitive import Primitive
from ..trace import Call, Graph, Operand, Value
from . import kernels
from .chains import fuse_chains
from .joining import join_bias_gradients, join_gradients, join_losses
from .schedule import update_early


def remove_dead(graph: Graph) -> Graph:
    """Drop the calls whose results nobody needs."""
    needed = {id(v) for v in graph.results()}
    kept = []
    for call in reversed(graph.calls):
        if not needed.isdisjoint(map(id, call.outputs)):
            kept.append(call)
            needed.update(map(id, call.inputs))
    return graph.replaced(kept[::-1])


def merge_equal(graph: Graph) -> Graph:
    """Compute what is computed twice, from the same values, once."""
    seen: dict[Any, tuple[Value, ...]] = {}
    same: dict[int, Value] = {}
    calls = []
    for call in graph.calls:
        inputs = tuple([_follow(x, same) for x in call.inputs])
        key = _key(call, inputs)
        if key is not None and key in seen:
            for old, new in zip(call.outputs, seen[key], strict=True):
                same[id(old)] = new
            continue
        call = call.on(inputs)
        if key is not None:
            seen[key] = call.outputs
        calls.append(call)
    merged = graph.replaced(calls)
    merged.outputs = [_follow(x, same) for x in graph.outputs]
    merged.writes = {v: _follow(x, same) for v, x in graph.writes.items()}
    return merged


def _follow(x: Operand, same: dict[int, Value]) -> Operand:
    return same.get(id(x), x) if isinstance(x, Value) else x


def _key(call: Call, inputs: tuple[Operand, ...]) -> Any:
    """Return what two equal calls share, or None if that cannot be told."""
    parts: list[Any] = [call.primitive]
    for x in inputs:
        if isinstance(x, Value):
            parts.append(x.number)
        elif x.size == 1:
            parts.append((x.shape, x.dtype.name, x.tobytes()))
        else:
            parts.append(("array", id(x)))
    if call.attrs:
        parts += [(name, _told_apart(x)) for name, x in sorted(call.attrs.items())]
    try:
        hash(key := tuple(parts))
    except TypeError:
        return None
    return key


def _told_apart(x: Any) -> Any:
    """Return what equals only the same attribute: 0.0 is not -0.0."""
    return float(x).hex() if isinstance(x, float | np.floating) else x


def simplify(graph: Graph) -> Graph:
    """Drop products with 1 and quotients by 1, and casts to the type at hand."""
    same: dict[int, Value] = {}
    calls = []
    for call in graph.calls:
        inputs = tuple([_follow(x, same) for x in call.inputs])
        kept = _unchanged(call, inputs)
        if kept is not None:
            same[id(call.outputs[0])] = kept
        else:
            calls.append(call.on(inputs))
    simpler = graph.replaced(calls)
    simpler.outputs = [_follow(x, same) for x in graph.outputs]
    simpler.writes = {v: _follow(x, same) for v, x in graph.writes.items()}
    return simpler


def _unchanged(call: Call, inputs: tuple[Operand, ...]) -> Value | None:
    if call.name not in ("multiply", "divide"):
        return None
    pairs = [(inputs[0], inputs[1])]
    if call.name == "multiply":
        pairs.append((inputs[1], inputs[0]))
    for x, one in pairs:
        if (
            isinstance(x, Value)
            and isinstance(one, np.ndarray)
            and x.shape == call.outputs[0].shape
            and np.all(one == 1)
        ):
            return x
    return None


# --- old values of variables --------------------------------------------------

COPY = Primitive("copy", lambda x: x.copy(), lambda x: (x.shape, x.dtype))


def keep_old_values(graph: Graph) -> Graph:
    """Copy the old values of variables that are results of the step themselves."""
    written = {
        id(graph.reads[v]) for v, x in graph.writes.items() if x is not graph.reads[v]
    }
    shown = {
        id(c.outputs[0]): c.inputs[0] for c in graph.calls if c.name in kernels.VIEWS
    }
    copies: list[Call] = []

    def kept(x: Operand) -> Operand:
        root = x
        while id(root) in shown:
            root = shown[id(root)]
        if not isinstance(x, Value) or id(root) not in written:
            return x
        copies.append(Call(COPY, (x,), {}, (Value(x.shape, x.dtype, x.number),)))
        return copies[-1].outputs[0]

    outputs = [kept(x) for x in graph.outputs]
    writes = {v: x if x is graph.reads[v] else kept(x) for v, x in graph.writes.items()}
    kept_graph = graph.replaced(graph.calls + copies)
    kept_graph.outputs, kept_graph.writes = outputs, writes
    return kept_graph


# In the order in which they are applied; any of them can be left out.
PASSES: dict[str, Callable[[Graph], Graph]] = {
    p.__name__: p
    for p in (
        merge_equal,
        simplify,
        remove_dead,
        join_losses,
        join_gradients,
        join_bias_gradients,
        update_early,
        fuse_chains,
    )
}


def optimize(graph: Graph, without: Collection[str] = ()) -> Graph:
    """Apply the passes but those named in `without`, and those in the environment.

    Raises:
        ValueError: if there is no pass of that name.
    """
    named = os.environ.get("CNN_CORE_WITHOUT_PASSES", "").replace(",", " ").split()
    left_out = {*without, *named}
    for name in sorted(left_out - set(PASSES)):
        raise shapes.unknown_name("pass", name, list(PASSES))
    for name, apply in PASSES.items():
        if name not in left_out:
            graph = apply(graph)
    return keep_old_values(graph)  # no pass: programs are wrong without it
