"""Penalties on weights or activations that are added to the loss."""

from __future__ import annotations

import math
from typing import Any

from . import ops, shapes
from .serialization import (
    builtin,
    deserialize_instance,
    resolve,
    serialize_keras_object,
)


@builtin("keras.regularizers")
class Regularizer:
    """Base class: a function of a tensor that returns a scalar penalty.

    Subclasses define `__call__(x)` and, to be saved, `get_config()`.
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty of `x`, a tensor of any shape, as a scalar."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        raise NotImplementedError(
            f"{type(self).__name__} must define get_config() to be saved"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a regularizer from `get_config()`'s result."""
        return cls(**config)


def _factor(value: Any, default: float, name: str) -> float:
    if value is None:
        return default
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: expected a number >= 0, got {value!r}")
    return float(value)


@builtin("keras.regularizers", "l1")
class L1(Regularizer):
    """Penalty `l1 * sum(|x|)`.

    Args:
        l1: factor, not negative.
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor(l1, 0.01, "L1: l1")

    def __call__(self, x: Any) -> Any:
        """Return the penalty of `x`, a tensor of any shape, as a scalar."""
        return self.l1 * ops.sum(ops.absolute(x))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        return {"l1": self.l1}


@builtin("keras.regularizers", "l2")
class L2(Regularizer):
    """Penalty `l2 * sum(x**2)`.

    Args:
        l2: factor, not negative.
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(l2, 0.01, "L2: l2")

    def __call__(self, x: Any) -> Any:
        """Return the penalty of `x`, a tensor of any shape, as a scalar."""
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        return {"l2": self.l2}


@builtin("keras.regularizers", "l1_l2")
class L1L2(Regularizer):
    """Penalty `l1 * sum(|x|) + l2 * sum(x**2)`.

    Args:
        l1: factor of the first term, not negative.
        l2: factor of the second term, not negative.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(l1, 0.0, "L1L2: l1")
        self.l2 = _factor(l2, 0.0, "L1L2: l2")

    def __call__(self, x: Any) -> Any:
        """Return the penalty of `x`, a tensor of any shape, as a scalar."""
        penalty = ops.zeros((), dtype=x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.absolute(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        return {"l1": self.l1, "l2": self.l2}


@builtin("keras.regularizers", "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Penalty on dot products between normalized rows (or columns) of a matrix.

    It is `factor` times the mean absolute dot product over all pairs, so it is least
    where the rows (or columns) are orthogonal.

    Args:
        factor: factor, not negative.
        mode: "rows" or "columns".
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(factor, 0.01, "OrthogonalRegularizer: factor")
        if mode not in ("rows", "columns"):
            raise shapes.unknown_name(
                "mode of OrthogonalRegularizer", mode, ("rows", "columns")
            )
        self.mode = mode

    def __call__(self, inputs: Any) -> Any:
        """Return the penalty of `x`, a tensor of any shape, as a scalar."""
        if len(inputs.shape) != 2:
            raise ValueError(
                "OrthogonalRegularizer: expected a matrix, got shape "
                f"{tuple(inputs.shape)}"
            )
        if self.mode == "columns":
            inputs = ops.transpose(inputs)
        inputs = ops.normalize(inputs, axis=1)
        size = inputs.shape[0]
        products = ops.matmul(inputs, ops.transpose(inputs))
        products = products * (1.0 - ops.eye(size, dtype=inputs.dtype))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * ops.sum(ops.absolute(products)) / pairs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        return {"factor": self.factor, "mode": self.mode}


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_BY_NAME: dict[str, Any] = {
    "L1": L1,
    "L1L2": L1L2,
    "L2": L2,
    "OrthogonalRegularizer": OrthogonalRegularizer,
    "l1": L1,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "l2": L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: Any) -> Any:
    """Return a regularizer.

    Args:
        identifier: a name ("l2"), a configuration, a regularizer or its class, a
            function of a tensor, or None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for something that cannot be called.
    """
    if identifier is None:
        return None
    return resolve("regularizer", identifier, _BY_NAME)


def serialize(regularizer: Any) -> Any:
    """Return a configuration that `deserialize` understands."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the regularizer that `serialize` described."""
    return deserialize_instance("regularizer", config, _BY_NAME, custom_objects)
