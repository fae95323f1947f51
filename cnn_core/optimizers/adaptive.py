"""Learning rates adapted to each element: RMSprop, Adagrad, Adadelta, FTRL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .. import initializers, ops
from ..graph import Variable
from ..serialization import builtin
from .base import Optimizer, OptimizerOptions


@builtin("keras.optimizers")
class RMSprop(Optimizer):
    """Gradient over its root mean square.

    `s = rho * s + (1 - rho) * g**2`, then
    `v -= learning_rate * g / sqrt(s + epsilon)`.

    Args:
        learning_rate: see `Optimizer`.
        rho: momentum of the mean square.
        momentum: momentum of the steps.
        epsilon: keeps the division finite.
        centered: whether to divide by the standard deviation of the gradient instead.
        **options: see `Optimizer`.

    References:
        Hinton, "Neural Networks for Machine Learning", lecture 6, 2012.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        self._momentums: list[Variable] = []
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(var_list, "momentum")
        self._average_gradients: list[Variable] = []
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(
                var_list, "average_gradient"
            )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        square = self._velocities[index]
        self.assign(square, square * self.rho + ops.square(gradient) * (1 - self.rho))
        variance = square.value
        if self.centered:
            mean = self._average_gradients[index]
            self.assign(mean, mean * self.rho + gradient * (1 - self.rho))
            variance = variance - ops.square(mean)
        step = ops.cast(learning_rate, variable.dtype) * gradient
        step = step / ops.sqrt(variance + self.epsilon)
        if self.momentum > 0:
            momentum = self._momentums[index]
            self.assign(momentum, momentum * self.momentum + step)
            step = momentum.value
        self.assign_sub(variable, step)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


@builtin("keras.optimizers")
class Adagrad(Optimizer):
    """Gradient over the root of the sum of all its squares so far.

    `s += g**2`, then `v -= learning_rate * g / sqrt(s + epsilon)`.

    Args:
        learning_rate: see `Optimizer`.
        initial_accumulator_value: what the sums start from.
        epsilon: keeps the division finite.
        **options: see `Optimizer`.

    References:
        Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
        Optimization", 2011.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._accumulators = self.add_optimizer_variables(
            var_list,
            "accumulator",
            initializers.Constant(self.initial_accumulator_value),
        )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        total = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(total, ops.square(gradient))
        step = ops.cast(learning_rate, variable.dtype) * gradient
        self.assign_sub(variable, step / ops.sqrt(total + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


@builtin("keras.optimizers")
class Adadelta(Optimizer):
    """Gradient times the ratio of the root mean squares of past steps and gradients.

    `s = rho * s + (1 - rho) * g**2`, `d = g * sqrt(x + epsilon) / sqrt(s + epsilon)`,
    `x = rho * x + (1 - rho) * d**2`, then `v -= learning_rate * d`.

    Args:
        learning_rate: see `Optimizer`; 1.0 is that of the paper.
        rho: momentum of the mean squares.
        epsilon: keeps the division finite.
        **options: see `Optimizer`.

    References:
        Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._accumulated_grads, self._accumulated_delta_vars = (
            self.add_optimizer_variables(
                var_list, ["accumulated_grad", "accumulated_delta_var"]
            )
        )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        squares = self._accumulated_grads[index]
        deltas = self._accumulated_delta_vars[index]
        self.assign(squares, squares * self.rho + ops.square(gradient) * (1 - self.rho))
        delta = gradient * ops.sqrt(deltas + self.epsilon)
        delta = delta / ops.sqrt(squares + self.epsilon)
        self.assign(deltas, deltas * self.rho + ops.square(delta) * (1 - self.rho))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * delta)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


@builtin("keras.optimizers")
class Ftrl(Optimizer):
    """Follow the regularized leader, for sparse linear models.

    Args:
        learning_rate: see `Optimizer`.
        learning_rate_power: how the rate falls with the sum of squares, not positive.
        initial_accumulator_value: what the sums start from, not negative.
        l1_regularization_strength: L1 penalty, not negative.
        l2_regularization_strength: L2 penalty, not negative.
        l2_shrinkage_regularization_strength: L2 penalty on the magnitude only, which
            acts through the gradient; not negative.
        beta: lowers the rate of rarely seen features.
        **options: see `Optimizer`.

    Raises:
        ValueError: if an argument has the wrong sign.

    References:
        McMahan et al., "Ad Click Prediction: a View from the Trenches", 2013.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        for name, value in {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": (
                l2_shrinkage_regularization_strength
            ),
        }.items():
            if value < 0.0:
                raise ValueError(
                    f"Ftrl '{self.name}': expected {name} >= 0, got {value}"
                )
        if learning_rate_power > 0.0:
            raise ValueError(
                f"Ftrl '{self.name}': expected learning_rate_power <= 0, got "
                f"{learning_rate_power}"
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._accumulators, self._linears = self.add_optimizer_variables(
            var_list,
            ["accumulator", "linear"],
            [initializers.Constant(self.initial_accumulator_value), "zeros"],
        )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        index = self._get_variable_index(variable)
        total, linear = self._accumulators[index], self._linears[index]
        # the old total is read before the new one is there, which takes its place
        old_power = ops.power(total, -self.learning_rate_power)
        new_total = total + ops.square(gradient)
        new_power = ops.power(new_total, -self.learning_rate_power)
        shrunk = gradient
        if self.l2_shrinkage_regularization_strength:
            shrinkage = 2.0 * self.l2_shrinkage_regularization_strength
            shrunk = gradient + variable * shrinkage
        self.assign_add(linear, shrunk - (new_power - old_power) / rate * variable)
        l2 = 2.0 * self.l2_regularization_strength
        quadratic = new_power / rate + (l2 + self.beta / rate if self.beta else l2)
        l1 = self.l1_regularization_strength
        clipped = ops.clip(linear, -l1, l1)
        self.assign(variable, (clipped - linear) / quadratic)
        self.assign(total, new_total)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": (
                self.l2_shrinkage_regularization_strength
            ),
            "beta": self.beta,
        }
