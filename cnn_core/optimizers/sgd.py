"""Stochastic gradient descent, and Lion, which takes the sign of its direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .. import ops
from ..graph import Variable
from ..serialization import builtin
from .base import Optimizer, OptimizerOptions


@builtin("keras.optimizers")
class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    `m = momentum * m - learning_rate * g`, then `v += m`; with `nesterov`
    `v += momentum * m - learning_rate * g`.

    Args:
        learning_rate: see `Optimizer`.
        momentum: in [0, 1].
        nesterov: whether to look ahead along the momentum.
        **options: see `Optimizer`.

    Raises:
        ValueError: if `momentum` is outside [0, 1].
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"SGD '{self.name}': expected momentum in [0, 1], got {momentum}"
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(variables)
        self.momentums: list[Variable] = []
        if self.momentum:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        step = gradient * ops.cast(learning_rate, variable.dtype)
        if not self.momentum:
            self.assign_sub(variable, step)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, momentum * self.momentum - step)
        if self.nesterov:
            self.assign_add(variable, momentum * self.momentum - step)
        else:
            self.assign_add(variable, momentum)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }


@builtin("keras.optimizers")
class Lion(Optimizer):
    """Steps of one size in every coordinate, along the sign of a running mean.

    `v -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)`, then
    `m = beta_2 * m + (1 - beta_2) * g`.

    Args:
        learning_rate: see `Optimizer`.
        beta_1: weight of the mean in the direction, in (0, 1].
        beta_2: momentum of the mean.
        **options: see `Optimizer`.

    Raises:
        ValueError: if `beta_1` is outside (0, 1].

    References:
        Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        if not 0 < beta_1 <= 1:
            raise ValueError(
                f"Lion '{self.name}': expected beta_1 in (0, 1], got {beta_1}"
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        m = self._momentums[self._get_variable_index(variable)]
        direction = ops.sign(m * self.beta_1 + gradient * (1.0 - self.beta_1))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * direction)
        self.assign(m, m * self.beta_2 + gradient * (1.0 - self.beta_2))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
