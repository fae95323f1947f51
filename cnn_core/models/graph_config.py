"""Functional models from their configurations."""

from __future__ import annotations

from typing import Any

from .. import tree
from ..ops._op import OpCall
from ..serialization import deserialize_keras_object

_MISSING = object()


def functional_from_config(
    cls: type,
    config: dict[str, Any],
    custom_objects: Any = None,
    made: dict[str, Any] | None = None,
) -> Any:
    """Make a functional model from its `get_config()`.

    Args:
        cls: class of the model.
        config: the configuration.
        custom_objects: own classes and functions by name.
        made: layers to use, by the name in the configuration, instead of new ones.

    Raises:
        ValueError: if the connections cannot be resolved.
    """
    made = dict(made or {})
    waiting: list[tuple[str, Any]] = []
    for layer in config["layers"]:
        if layer["name"] not in made:
            made[layer["name"]] = deserialize_keras_object(layer, custom_objects)
        waiting.extend((layer["name"], node) for node in layer["inbound_nodes"])
    # Layers that were called before, elsewhere, get their calls here after those.
    called = {
        name: len([n for n in layer._inbound_nodes if n.input_tensors])
        for name, layer in made.items()
    }

    def find(name: str, index: int, position: int) -> Any:
        if name not in made:
            raise ValueError(f"Functional: the configuration names no layer {name!r}")
        nodes = made[name]._inbound_nodes
        index += called[name]
        if index >= len(nodes):
            return _MISSING
        return nodes[index].output_tensors[position]

    while waiting:
        left = []
        blocked: set[str] = set()
        for name, node in waiting:
            call = None if name in blocked else _call_arguments(node, find)
            if call is None:
                blocked.add(name)  # calls of one layer keep their order
                left.append((name, node))
            else:
                args, kwargs = call
                if is_get_item(made[name]):  # files have lists for tuples
                    args[1:] = [
                        tuple(k) if isinstance(k, list) else k for k in args[1:]
                    ]
                made[name](*args, **kwargs)
        if len(left) == len(waiting):
            raise ValueError(
                "Functional: the configuration has a loop or a missing connection at "
                f"{sorted({name for name, _ in left})}"
            )
        waiting = left

    def end(reference: Any) -> Any:
        if isinstance(reference, dict):
            return {k: end(v) for k, v in reference.items()}
        if reference and not isinstance(reference[0], str):
            return [end(r) for r in reference]
        name, index, position = reference
        # The making of a functional model counts as its first call here.
        index -= hasattr(made.get(name), "_graph_config")
        found = find(name, index, position)
        if found is _MISSING:
            raise ValueError(
                f"Functional: the configuration has no call {index} of layer {name!r}"
            )
        return found

    others = {
        k: v
        for k, v in config.items()
        if k not in ("layers", "input_layers", "output_layers")
    }
    return cls(
        inputs=end(config["input_layers"]),
        outputs=end(config["output_layers"]),
        **others,
    )


def is_get_item(operation: Any) -> bool:
    """Tell whether an operation is an indexing, `x[key]`."""
    return isinstance(operation, OpCall) and operation.serialized_name == "GetItem"


def _call_arguments(node: Any, find: Any) -> Any:
    """Return args and kwargs of a recorded call, or None while an input is missing."""

    def revive(x: Any) -> Any:
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                return find(*x["config"]["keras_history"])
            if "class_name" in x and "config" in x:
                return deserialize_keras_object(x)
            return {k: revive(v) for k, v in x.items()}
        if isinstance(x, list):
            return [revive(item) for item in x]
        return x

    args, kwargs = revive(node["args"]), revive(node["kwargs"])
    if any(leaf is _MISSING for leaf in tree.flatten([args, kwargs])):
        return None
    return args, kwargs
