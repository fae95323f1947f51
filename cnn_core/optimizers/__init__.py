"""Optimizers: formulas that turn gradients into updates of variables."""

from __future__ import annotations

from typing import Any

from ..serialization import deserialize_instance, serialize_keras_object
from . import schedules
from .adam import Adam, Adamax, AdamW, Nadam
from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from .base import Optimizer
from .sgd import SGD, Lion

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES: tuple[type[Optimizer], ...] = (
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lion,
    Nadam,
    RMSprop,
    SGD,
)
_BY_NAME: dict[str, Any] = {
    name: cls for cls in _CLASSES for name in (cls.__name__, cls.__name__.lower())
}


def get(identifier: Any) -> Any:
    """Return an optimizer.

    Args:
        identifier: a name in any case ("adam"), a configuration, an optimizer or its
            class, or None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for something else.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    if not isinstance(identifier, (str, dict)):
        raise TypeError(
            "Expected an optimizer as a name, a configuration or an Optimizer, got "
            f"{identifier!r}"
        )
    return deserialize(identifier)


def serialize(optimizer: Any) -> Any:
    """Return a configuration that `deserialize` understands."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the optimizer that `serialize` described; case does not matter."""
    if isinstance(config, str):
        config = config.lower() if config.lower() in _BY_NAME else config
    elif isinstance(config, dict) and str(config.get("class_name")).lower() in _BY_NAME:
        config = {**config, "class_name": config["class_name"].lower()}
    return deserialize_instance("optimizer", config, _BY_NAME, custom_objects)
