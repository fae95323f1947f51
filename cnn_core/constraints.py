"""Projections that keep weights in a set; applied after every update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import config as defaults
from . import ops
from .serialization import (
    builtin,
    deserialize_instance,
    resolve,
    serialize_keras_object,
)

Axis = int | Sequence[int]


@builtin("keras.constraints")
class Constraint:
    """Base class: a function of a weight that returns its projection.

    Subclasses define `__call__(w)` and, if they have arguments, `get_config()`.
    """

    def __call__(self, w: Any) -> Any:
        """Return the projection of `w`, a tensor of the same shape."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a constraint from `get_config()`'s result."""
        return cls(**config)


def _norms(w: Any, axis: Axis) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@builtin("keras.constraints", "max_norm")
class MaxNorm(Constraint):
    """Scales down weights whose norm along `axis` exceeds `max_value`.

    Args:
        max_value: largest norm.
        axis: axis, or axes, that the norms run over: 0 for the kernel of a Dense
            layer, (0, 1, 2) for that of a Conv2D layer.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of `w`, a tensor of the same shape."""
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        wanted = ops.clip(norms, 0, self.max_value)
        return w * (wanted / (defaults.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal constraint."""
        return {"max_value": self.max_value, "axis": self.axis}


@builtin("keras.constraints", "non_neg")
class NonNeg(Constraint):
    """Sets negative weights to 0."""

    def __call__(self, w: Any) -> Any:
        """Return the projection of `w`, a tensor of the same shape."""
        return ops.maximum(w, 0)


@builtin("keras.constraints", "unit_norm")
class UnitNorm(Constraint):
    """Scales weights to norm 1 along `axis`.

    Args:
        axis: axis, or axes, that the norms run over.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of `w`, a tensor of the same shape."""
        w = ops.convert_to_tensor(w)
        return w / (defaults.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal constraint."""
        return {"axis": self.axis}


@builtin("keras.constraints", "min_max_norm")
class MinMaxNorm(Constraint):
    """Moves norms along `axis` towards [min_value, max_value].

    Args:
        min_value: smallest norm.
        max_value: largest norm.
        rate: how far to go: 1 enforces the bounds at once.
        axis: axis, or axes, that the norms run over.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of `w`, a tensor of the same shape."""
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        bounded = ops.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * bounded + (1 - self.rate) * norms
        return w * (wanted / (defaults.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal constraint."""
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

_BY_NAME: dict[str, Any] = {
    "MaxNorm": MaxNorm,
    "MinMaxNorm": MinMaxNorm,
    "NonNeg": NonNeg,
    "UnitNorm": UnitNorm,
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def get(identifier: Any) -> Any:
    """Return a constraint.

    Args:
        identifier: a name ("non_neg"), a configuration, a constraint or its class, a
            function of a tensor, or None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for something that cannot be called.
    """
    if identifier is None:
        return None
    return resolve("constraint", identifier, _BY_NAME)


def serialize(constraint: Any) -> Any:
    """Return a configuration that `deserialize` understands."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the constraint that `serialize` described."""
    return deserialize_instance("constraint", config, _BY_NAME, custom_objects)
