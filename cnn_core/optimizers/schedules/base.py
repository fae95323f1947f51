"""The base class of learning rate schedules, which optimizers know about."""

from __future__ import annotations

from typing import Any

from ...serialization import builtin


@builtin("keras.optimizers.schedules")
class LearningRateSchedule:
    """Base class: a function of the training step that returns a learning rate.

    Subclasses define `__call__(step)`, written with `ops`, and `get_config()`.
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        raise NotImplementedError(
            f"{type(self).__name__} must define get_config() to be saved"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a schedule from `get_config()`'s result."""
        return cls(**config)
