"""Which dtype a layer's variables have and which it computes in."""

from __future__ import annotations

from typing import Any

from . import config, shapes
from .serialization import builtin


@builtin("keras")
class DTypePolicy:
    """One float type for variables and computation.

    Args:
        name: "float32", "float64" or "float16"; `floatx()` by default.

    Raises:
        ValueError: for another name. Mixed precision has no gain on a CPU.
    """

    def __init__(self, name: str | None = None) -> None:
        name = config.floatx() if name is None else str(name)
        if name.startswith("mixed_"):
            raise ValueError(
                f"DTypePolicy: {name!r} needs hardware that CPUs lack; use 'float32'"
            )
        self._name = shapes.dtype_name(name)

    @property
    def name(self) -> str:
        """Name of the policy."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype that inputs are cast to."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """Dtype of new weights."""
        return self._name

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Rebuild the policy from `get_config()`."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def get(identifier: Any) -> DTypePolicy:
    """Return the policy that a name, dtype, policy or configuration stands for."""
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return DTypePolicy.from_config(identifier.get("config", identifier))
    return DTypePolicy(
        identifier
        if identifier is None or isinstance(identifier, str)
        else shapes.dtype_name(identifier)
    )


def dtype_policy() -> DTypePolicy:
    """Return the policy of layers that name none."""
    return DTypePolicy()


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers that name none (the same as `set_floatx`)."""
    config.set_floatx(get(policy).name)
