"""Adam and its kin: running means of gradients and of their squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .. import initializers, ops
from ..graph import Variable
from ..serialization import builtin
from .base import Optimizer, OptimizerOptions


@builtin("keras.optimizers")
class Adam(Optimizer):
    """Steps along the mean gradient, scaled by the root mean square gradient.

    `m += (1 - beta_1) * (g - m)`, `s += (1 - beta_2) * (g**2 - s)`, then
    `v -= alpha * m / (sqrt(s) + epsilon)` with the bias corrections of step t in
    `alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)`.

    Args:
        learning_rate: see `Optimizer`.
        beta_1: momentum of the mean.
        beta_2: momentum of the mean square.
        epsilon: keeps the division finite.
        amsgrad: whether to divide by the largest mean square so far.
        **options: see `Optimizer`.

    References:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014.
        Reddi et al., "On the Convergence of Adam and Beyond", 2018 (amsgrad).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(
            var_list, ["momentum", "velocity"]
        )
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def _correction(self, dtype: str) -> Any:
        def compute() -> Any:
            step = self._step(dtype)
            return ops.sqrt(1.0 - ops.power(self.beta_2, step)) / (
                1.0 - ops.power(self.beta_1, step)
            )

        return self._once(("correction", dtype), compute)

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        alpha = ops.cast(learning_rate, variable.dtype)
        alpha = alpha * self._correction(variable.dtype)
        index = self._get_variable_index(variable)
        m, s = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(s, (ops.square(gradient) - s) * (1 - self.beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[index]
            self.assign(largest, ops.maximum(largest, s))
            s = largest
        self.assign_sub(variable, m * alpha / (ops.sqrt(s) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


@builtin("keras.optimizers")
class AdamW(Adam):
    """Adam with decoupled weight decay.

    Args:
        learning_rate: see `Optimizer`.
        weight_decay: see `Optimizer`.
        beta_1: momentum of the mean.
        beta_2: momentum of the mean square.
        epsilon: keeps the division finite.
        amsgrad: whether to divide by the largest mean square so far.
        **options: see `Optimizer`.

    Raises:
        ValueError: if `weight_decay` is None.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay=weight_decay,
            **options,
        )
        if weight_decay is None:
            raise ValueError(
                f"AdamW '{self.name}': expected weight_decay to be a float, got None; "
                "use Adam for none"
            )


@builtin("keras.optimizers")
class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root mean square.

    `m += (1 - beta_1) * (g - m)`, `u = max(beta_2 * u, |g|)`, then
    `v -= learning_rate / (1 - beta_1**t) * m / (u + epsilon)`.

    Args:
        learning_rate: see `Optimizer`.
        beta_1: momentum of the mean.
        beta_2: decay of the largest gradient.
        epsilon: keeps the division finite.
        **options: see `Optimizer`.

    References:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._m, self._u = self.add_optimizer_variables(var_list, ["momentum", "norm"])

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        correction = self._once(
            ("correction", dtype),
            lambda: 1.0 - ops.power(self.beta_1, self._step(dtype)),
        )
        index = self._get_variable_index(variable)
        m, u = self._m[index], self._u[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign(u, ops.maximum(u * self.beta_2, ops.absolute(gradient)))
        alpha = ops.cast(learning_rate, dtype) / correction
        self.assign_sub(variable, alpha * m / (u + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


_NADAM_DECAY = 0.96


@builtin("keras.optimizers")
class Nadam(Optimizer):
    """Adam with Nesterov momentum.

    The momentum of step t is `u_t = beta_1 * (1 - 0.96**t / 2)`; the mean gradient that
    the step follows already contains the next one's momentum.

    Args:
        learning_rate: see `Optimizer`.
        beta_1: momentum of the mean.
        beta_2: momentum of the mean square.
        epsilon: keeps the division finite.
        **options: see `Optimizer`.

    References:
        Dozat, "Incorporating Nesterov Momentum into Adam", 2015.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for the variables, the only ones that can be updated then."""
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(
            var_list, ["momentum", "velocity"]
        )
        self._u_product = self.add_variable(
            (),
            initializers.Ones(),
            dtype=var_list[0].dtype if var_list else None,
        )

    def _momentum(self, step: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * ops.power(_NADAM_DECAY, step))

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Variable], learning_rate: Any
    ) -> None:
        step = self._step(self._u_product.dtype)
        self.assign(self._u_product, self._u_product * self._momentum(step))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _factors(self, dtype: str) -> tuple[Any, Any, Any]:
        """Return the factors of the mean and the gradient, and that of the square."""

        def compute() -> tuple[Any, Any, Any]:
            step = self._step(dtype)
            now, following = self._momentum(step), self._momentum(step + 1.0)
            product = ops.cast(self._u_product, dtype)
            return (
                following / (1.0 - product * following),
                (1.0 - now) / (1.0 - product),
                1.0 - ops.power(self.beta_2, step),
            )

        factors: tuple[Any, Any, Any] = self._once(("factors", dtype), compute)
        return factors

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        gradient = ops.cast(gradient, variable.dtype)
        of_mean, of_gradient, of_square = self._factors(variable.dtype)
        index = self._get_variable_index(variable)
        m, s = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(s, (ops.square(gradient) - s) * (1 - self.beta_2))
        direction = m * of_mean + gradient * of_gradient
        step = direction * ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, step / (ops.sqrt(s / of_square) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
