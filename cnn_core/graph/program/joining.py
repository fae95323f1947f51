"""Calls that one kernel computes together."""

from __future__ import annotations

from typing import Any

from ... import backend
from ..primitive import Primitive
from ..trace import Call, Graph, Operand


def _loss_with_gradient(name: str) -> Primitive:
    joined = f"{name}_with_grad"

    def run(*arrays: Any, **attrs: Any) -> Any:
        return getattr(backend, joined)(*arrays, **attrs)

    def infer(ct: Any, target: Any, output: Any, **attrs: Any) -> Any:
        return [(ct.shape, output.dtype), (output.shape, output.dtype)]

    return Primitive(joined, run, infer)


_LOSSES = {
    name: _loss_with_gradient(name)
    for name in (
        "binary_crossentropy",
        "categorical_crossentropy",
        "mean_squared_error",
        "sparse_categorical_crossentropy",
    )
}


def join_losses(graph: Graph) -> Graph:
    """Compute a loss and its gradient at once: they share exponentials and sums."""
    joined: dict[Call, Call] = {}
    for loss, gradient in _pairs(graph):
        joined[loss] = joined[gradient] = Call(
            _LOSSES[loss.name],
            gradient.inputs,
            loss.attrs,
            loss.outputs + gradient.outputs,
            loss.scope,
        )
    return graph.replaced(_ordered([joined.get(c, c) for c in graph.calls]))


def _pairs(graph: Graph) -> list[tuple[Call, Call]]:
    """Return losses with their gradients, as far as one does not need the other."""
    makers = {id(v): call for call in graph.calls for v in call.outputs}
    losses: dict[Any, Call] = {}
    pairs = []
    for call in graph.calls:
        if call.name in _LOSSES:
            losses[_key(call.name, call.inputs, call.attrs)] = call
        elif call.name.removesuffix("_grad") in _LOSSES:
            ct, *inputs = call.inputs
            key = _key(call.name.removesuffix("_grad"), inputs, call.attrs)
            loss = losses.get(key)
            if loss is not None and not _needs(ct, loss, makers):
                pairs.append((losses.pop(key), call))
    return pairs


def _key(name: str, inputs: Any, attrs: dict[str, Any]) -> Any:
    return (name, *map(id, inputs), *sorted(attrs.items()))


def _needs(x: Operand, source: Call, makers: dict[int, Call]) -> bool:
    """Tell whether a value is computed from a call's results."""
    open_values, seen = [x], set()
    while open_values:
        maker = makers.get(id(open_values.pop()))
        if maker is source:
            return True
        if maker is not None and maker not in seen:
            seen.add(maker)
            open_values += maker.inputs
    return False


def _ordered(calls: list[Call]) -> list[Call]:
    """Return the calls once each, every one after those it needs."""
    makers = {id(v): call for call in calls for v in call.outputs}
    done: set[Call] = set()
    ordered: list[Call] = []
    for call in calls:
        waiting = [call]
        while waiting:
            last = waiting[-1]
            needs = [makers[id(x)] for x in last.inputs if id(x) in makers]
            missing = [c for c in needs if c not in done]
            if missing and last not in done:
                waiting += missing[::-1]
                continue
            waiting.pop()
            if last not in done:
                done.add(last)
                ordered.append(last)
    return ordered
