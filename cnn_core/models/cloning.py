"""Copies of models with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layers import InputLayer, Layer
from ..ops._op import OpCall
from .functional import Functional
from .graph_config import functional_from_config
from .sequential import Sequential

Copier = Callable[[Any], Any]


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Copier | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model of the same structure with newly initialized weights.

    Args:
        model: functional or sequential model.
        input_tensors: not supported; call the copy on them instead.
        clone_function: makes the copy of a layer; by default from its configuration.
        recursive: whether `clone_function` makes the layers of models in the model,
            instead of these models.

    Raises:
        ValueError: for a subclassed model, whose structure is in its code.
    """
    if input_tensors is not None:
        raise ValueError(
            "clone_model: input_tensors is not supported; call the copy on them"
        )

    def copy(layer: Any) -> Any:
        if recursive and isinstance(layer, (Sequential, Functional)):
            return clone_model(layer, clone_function=clone_function, recursive=True)
        plain = isinstance(layer, Layer) and not isinstance(layer, InputLayer)
        return (clone_function if clone_function and plain else _copy)(layer)

    if isinstance(model, Sequential):
        copies = [copy(layer) for layer in model._stack]
        return Sequential(copies, name=model.name, trainable=model.trainable)
    if isinstance(model, Functional):
        config = model._graph_config(lambda operation: {})
        made = {operation.name: copy(operation) for operation in model.operations}
        return functional_from_config(type(model), config, made=made)
    raise ValueError(
        f"clone_model: {type(model).__name__} is neither functional nor sequential; "
        "make another instance of the class"
    )


def _copy(layer: Any) -> Any:
    if isinstance(layer, OpCall):
        return OpCall(layer.function, dict(layer.attributes), layer.name)
    return type(layer).from_config(layer.get_config())
