"""Learning rate schedules."""

from __future__ import annotations

from typing import Any

from ...serialization import deserialize_object, serialize_keras_object
from .base import LearningRateSchedule
from .decay import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

_BY_NAME: dict[str, Any] = {
    name: globals()[name]
    for name in __all__
    if name[0].isupper() and name != "LearningRateSchedule"
}


def serialize(learning_rate_schedule: Any) -> Any:
    """Return a configuration that `deserialize` understands."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the schedule that `serialize` described."""
    return deserialize_object(
        "learning rate schedule", config, _BY_NAME, custom_objects
    )
