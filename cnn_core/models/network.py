"""Walks over the graph of symbolic calls: what leads from inputs to outputs."""

from __future__ import annotations

from typing import Any

from .. import tree
from ..graph import KerasTensor, Operation
from ..graph.symbolic import SymbolicNode
from ..layers import Input, InputLayer


def as_symbols(tensors: Any, what: str) -> list[KerasTensor]:
    """Return the tensors of a structure, which must all be symbolic.

    Raises:
        ValueError: if there is none, or something else is among them.
    """
    flat = tree.flatten(tensors)
    if not flat:
        raise ValueError(f"{what}: expected at least one tensor, got {tensors!r}")
    for tensor in flat:
        if not isinstance(tensor, KerasTensor):
            raise ValueError(
                f"{what} must be symbolic tensors made by Input() and layers, got "
                f"{type(tensor).__name__}"
            )
    return flat


def history(tensor: KerasTensor) -> Any:
    """Return which call made a tensor.

    Raises:
        ValueError: if none did.
    """
    made_by = tensor._keras_history
    if made_by is None:
        raise ValueError(
            f"Functional: {tensor!r} was made neither by Input() nor by a layer"
        )
    return made_by


def node_of(tensor: KerasTensor) -> SymbolicNode:
    """Return the call that made a tensor."""
    operation, index, _ = history(tensor)
    node: SymbolicNode = operation._inbound_nodes[index]
    return node


def detached(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Put new inputs in the place of inputs that layers made.

    The calls between inputs and outputs are recorded once more for them; where all
    inputs come from `Input()`, both structures are returned as they are.
    """
    given = tree.flatten(inputs)
    if all(isinstance(history(t).operation, InputLayer) for t in given):
        return inputs, outputs
    new: dict[int, KerasTensor] = {}
    for t in given:
        if isinstance(history(t).operation, InputLayer):
            new[id(t)] = t
        else:
            name = f"{t.name}_input"
            new[id(t)] = Input(batch_shape=t.shape, dtype=t.dtype, name=name)

    def replace(x: Any) -> Any:
        return new.get(id(x), x) if isinstance(x, KerasTensor) else x

    def like(x: Any) -> Any:
        return KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) else x

    for node in trace_graph(given, tree.flatten(outputs))[0]:
        made = node.operation.record(
            tree.map_structure(replace, node.args),
            tree.map_structure(replace, node.kwargs),
            tree.map_structure(like, node.outputs),
        )
        for old, copy in zip(node.output_tensors, tree.flatten(made), strict=True):
            new.setdefault(id(old), copy)
    return tree.map_structure(replace, inputs), tree.map_structure(replace, outputs)


def trace_graph(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[SymbolicNode], list[Operation]]:
    """Return the nodes to run, in order, and the operations, in the order of files.

    Operations are sorted by their distance from the outputs, then by when a walk from
    the outputs back first meets them: the order in which Keras numbers layers in files.

    Raises:
        ValueError: if an output depends on a tensor that is not an input.
    """
    given = {id(t) for t in inputs}
    first_met: dict[Operation, int] = {}
    order: list[SymbolicNode] = []  # parents first
    state: dict[SymbolicNode, bool] = {}  # False: being walked, True: done
    stack: list[tuple[SymbolicNode, Any, bool]] = [
        (node_of(t), t, False) for t in reversed(outputs)
    ]
    while stack:
        node, tensor, leaving = stack.pop()
        if leaving:
            state[node] = True
            order.append(node)
            continue
        stop = id(tensor) in given
        if stop and not isinstance(node.operation, InputLayer):
            continue  # the call that made this input is not part of the graph
        if node in state:
            if not state[node]:
                raise ValueError("Functional: the graph has a cycle")
            continue
        first_met.setdefault(node.operation, len(first_met))
        state[node] = False
        stack.append((node, tensor, True))
        if stop:
            continue
        if not node.input_tensors:
            raise ValueError(
                f"Functional: the outputs depend on '{tensor.name}', which is not "
                f"among the inputs ({', '.join(t.name for t in inputs)})"
            )
        stack.extend((node_of(t), t, False) for t in reversed(node.input_tensors))
    depths: dict[SymbolicNode, int] = {}
    operation_depths: dict[Operation, int] = {}
    for node in reversed(order):
        depth = max(depths.get(node, 0), operation_depths.get(node.operation, 0))
        depths[node] = operation_depths[node.operation] = depth
        for parent in node.parents:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    for tensor in inputs:  # inputs that no output depends on are kept
        node = node_of(tensor)
        if isinstance(node.operation, InputLayer) and node not in state:
            operation_depths.setdefault(node.operation, 0)
            first_met.setdefault(node.operation, -1)
    operations = sorted(
        operation_depths, key=lambda op: (-operation_depths[op], first_met[op])
    )
    to_run = [node for node in order if not isinstance(node.operation, InputLayer)]
    return to_run, operations
