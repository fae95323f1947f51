"""The Optimizer base class: clipping, weight decay, averages, accumulation."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict

import numpy as np

from .. import config as defaults
from .. import initializers, naming, ops, shapes
from ..graph import Tensor, TensorLike, Variable
from ..serialization import (
    builtin,
    deserialize_keras_object,
    serialize_keras_object,
)
from .schedules import LearningRateSchedule
from .schedules import serialize as serialize_schedule
from .state import OptimizerState


class OptimizerOptions(TypedDict, total=False):
    """The keyword arguments that all optimizers share; see `Optimizer`."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


@builtin("keras.optimizers")
class Optimizer(OptimizerState):
    """Base class of optimizers.

    Subclasses make their state in `build(variables)` with `add_optimizer_variables` and
    define `update_step(gradient, variable, learning_rate)`, a formula written with
    `ops` that assigns the new state and the new variable.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a function without
            arguments.
        weight_decay: every update first subtracts `weight_decay * learning_rate` times
            the variable.
        clipnorm: largest norm of each gradient.
        clipvalue: largest absolute value of a gradient's elements.
        global_clipnorm: largest norm of all gradients together.
        use_ema: whether to keep an exponential moving average of the variables.
        ema_momentum: its momentum, in [0, 1].
        ema_overwrite_frequency: every so many steps the variables become the average;
            None for at the end of training only.
        loss_scale_factor: what the loss is multiplied with and gradients divided by.
        gradient_accumulation_steps: update with the mean gradient of so many steps.
        name: name; by default that of the class in snake case, numbered.

    Raises:
        ValueError: if an argument is unknown or does not fit.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        for key in kwargs:
            known = (*OptimizerOptions.__annotations__, "learning_rate")
            raise shapes.unknown_name(f"argument of {kind}", key, known)
        super().__init__()
        self._trainable_variables: list[Variable] = []
        self._trainable_variables_indices: dict[Variable, int] = {}
        self._excluded: set[Variable] = set()
        self._excluded_names: re.Pattern[str] | None = None
        self._per_step: dict[Any, Any] | None = None  # values shared by all variables
        self._warned_missing = False
        self.built = False
        self.name = name or naming.unique_name(naming.snake_case(kind))
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_options(f"{kind} '{self.name}'")
        self._iterations = self.add_variable(
            (), dtype="int32", aggregation="only_first_replica", name="iteration"
        )
        self._learning_rate = self._make_learning_rate(learning_rate)

    def _check_options(self, who: str) -> None:
        clips = {
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(
                f"{who}: expected at most one of clipnorm, clipvalue and "
                f"global_clipnorm, got {clips}"
            )
        steps = self.gradient_accumulation_steps
        if steps and not steps >= 2:
            raise ValueError(
                f"{who}: expected gradient_accumulation_steps >= 2 or None, got {steps}"
            )
        if not self.use_ema:
            return
        if not 0 <= self.ema_momentum <= 1:
            raise ValueError(
                f"{who}: expected ema_momentum in [0, 1], got {self.ema_momentum}"
            )
        frequency = self.ema_overwrite_frequency
        if frequency and not (isinstance(frequency, int) and frequency >= 1):
            raise ValueError(
                f"{who}: expected ema_overwrite_frequency to be a positive integer or "
                f"None, got {frequency!r}"
            )

    def _make_learning_rate(self, learning_rate: Any) -> Any:
        if isinstance(learning_rate, LearningRateSchedule) or (
            callable(learning_rate) and not isinstance(learning_rate, TensorLike)
        ):
            return learning_rate
        if not isinstance(learning_rate, (float, np.floating)):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': expected learning_rate to be a "
                "float, a LearningRateSchedule or a function without arguments, got "
                f"{learning_rate!r} of type {type(learning_rate).__name__}"
            )
        return self.add_variable(
            (),
            initializers.Constant(float(learning_rate)),
            dtype=defaults.floatx(),
            aggregation="only_first_replica",
            name="learning_rate",
        )

    # --- state ---

    @property
    def iterations(self) -> Any:
        """Number of updates so far, as a variable (or a tensor, with accumulation)."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The present learning rate: a variable, or what a schedule gives."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        if isinstance(rate, TensorLike):
            return rate
        return rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        old = self._learning_rate
        if isinstance(value, LearningRateSchedule) or (
            callable(value) and not isinstance(value, TensorLike)
        ):
            self._learning_rate = value
            self._variables = [v for v in self._variables if v is not old]
        elif isinstance(old, Variable):
            old.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__} '{self.name}': the learning rate follows a "
                "schedule, so it cannot be set to a number; make the optimizer with a "
                "float learning_rate"
            )

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for `variables`, the only ones that can be updated then."""
        variables = list(variables)
        self._trainable_variables = variables
        self._trainable_variables_indices = {v: i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(
                variables, "gradient_accumulator"
            )
        self.built = True

    def _get_variable_index(self, variable: Variable) -> int:
        return self._trainable_variables_indices[variable]

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returns, run once in the update of all variables."""
        if self._per_step is None:
            return compute()
        if key not in self._per_step:
            self._per_step[key] = compute()
        return self._per_step[key]

    def _step(self, dtype: str) -> Any:
        """Return the number of this update, from 1, as a scalar of `dtype`."""
        return self._once(("step", dtype), lambda: ops.cast(self.iterations + 1, dtype))

    # --- updates ---

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Update one variable, and the state that belongs to it."""
        raise NotImplementedError(
            f"{type(self).__name__} must define "
            "update_step(gradient, variable, learning_rate)"
        )

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> Any:
        """Update variables.

        Args:
            grads_and_vars: pairs of a gradient and its variable.

        Returns:
            The step count.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Update variables.

        Args:
            grads: one gradient for each variable; None leaves a variable alone.
            trainable_variables: the variables, by default those given to `build`.

        Raises:
            ValueError: if gradients and variables do not fit each other, or a variable
                was not given to `build`.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._matching_variables(grads, trainable_variables)
        present = self._present_gradients(grads, variables)
        grads = [g for g, _ in present]
        variables = [v for _, v in present]
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        self._per_step = {}
        try:
            if self.gradient_accumulation_steps:
                self._accumulate(grads, variables)
            else:
                self._update(grads, variables)
            if self.use_ema:
                self._update_averages()
        finally:
            self._per_step = None
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self._iterations.assign_add(1)

    def _matching_variables(
        self, grads: list[Any], trainable_variables: Sequence[Variable] | None
    ) -> list[Variable]:
        who = f"{type(self).__name__} '{self.name}'"
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    f"{who}: gradients came without variables; call build(variables) "
                    "first or pass the variables too"
                )
            variables = self._trainable_variables
        else:
            variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"{who}: expected one gradient for each of {len(variables)} variables, "
                f"got {len(grads)}"
            )
        for gradient, variable in zip(grads, variables, strict=True):
            if gradient is not None and tuple(np.shape(gradient)) != variable.shape:
                raise ValueError(
                    f"{who}: expected a gradient of shape {variable.shape} for "
                    f"variable '{variable.path}', got {tuple(np.shape(gradient))}"
                )
        if not self.built:
            self.build(variables)
            self.built = True
        for variable in variables:
            if variable not in self._trainable_variables_indices:
                raise ValueError(
                    f"{who}: variable '{variable.path}' of shape {variable.shape} is "
                    "not among those the optimizer was built for; make a new optimizer "
                    "for a new set of variables"
                )
        return variables

    def _present_gradients(
        self, grads: list[Any], variables: list[Variable]
    ) -> list[tuple[Any, Variable]]:
        present = [
            (g if isinstance(g, Tensor) else ops.convert_to_tensor(g), v)
            for g, v in zip(grads, variables, strict=True)
            if g is not None
        ]
        if not present:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': expected a gradient for at "
                "least one variable, all are None; the loss does not depend on the "
                "variables"
            )
        if len(present) < len(grads) and not self._warned_missing:
            self._warned_missing = True
            missing = [
                v.path for g, v in zip(grads, variables, strict=True) if g is None
            ]
            warnings.warn(
                f"{type(self).__name__} '{self.name}': there are no gradients for "
                f"variables {missing}, which stay as they are; the loss does not "
                "depend on them",
                stacklevel=4,
            )
        return present

    def _update(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = self._clip_gradients(grads)
        rate = self._once("learning_rate", lambda: self.learning_rate)
        self._apply_weight_decay(variables)
        self._backend_update_step(grads, variables, rate)

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Variable], learning_rate: Any
    ) -> None:
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _accumulate(self, grads: list[Any], variables: list[Variable]) -> None:
        """Add up gradients and update with their mean at every n-th step.

        The update is computed at every step and kept at the n-th one: no branch depends
        on a tensor, so that the step can be traced.
        """
        steps = self.gradient_accumulation_steps
        now = ops.equal(ops.mod(self._iterations + 1, steps), 0)
        indices = [self._get_variable_index(v) for v in variables]
        sums = [self._accumulated_gradients[i] for i in indices]
        totals = [g + total for g, total in zip(grads, sums, strict=True)]
        fixed = {id(v) for v in (self._iterations, *self._accumulated_gradients)}
        fixed |= {id(v) for v in self._averages} if self.use_ema else set()
        changing = [*variables, *(v for v in self._variables if id(v) not in fixed)]
        before = [v.value for v in changing]
        self._update([total / steps for total in totals], variables)
        for variable, old in zip(changing, before, strict=True):
            variable.assign(ops.where(now, variable, old))
        for total, new in zip(sums, totals, strict=True):
            total.assign(ops.where(now, 0.0, new))

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return [self._clip_by_norm(g) for g in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def _clip_by_norm(self, gradient: Any) -> Any:
        norm = ops.sqrt(ops.sum(ops.square(gradient)))
        return gradient * (self.clipnorm / ops.maximum(norm, self.clipnorm))

    # --- weight decay ---

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Name variables that weight decay leaves alone, before the first update.

        Args:
            var_list: variables.
            var_names: regular expressions; a variable is left alone if one is found in
                its name.

        Raises:
            ValueError: if the optimizer is built already.
        """
        if self.built:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': exclude_from_weight_decay must "
                "be called before the optimizer is built"
            )
        self._excluded = set(var_list or ())
        self._excluded_names = re.compile("|".join(var_names)) if var_names else None

    def _use_weight_decay(self, variable: Variable) -> bool:
        if variable in self._excluded:
            return False
        names = self._excluded_names
        return names is None or names.search(variable.name) is None

    def _apply_weight_decay(self, variables: list[Variable]) -> None:
        if self.weight_decay is None:
            return
        rate = self._once("learning_rate", lambda: self.learning_rate)
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign_sub(variable.value * self._decay(rate, variable.dtype))

    def _decay(self, learning_rate: Any, dtype: str) -> Any:
        return self._once(
            ("decay", dtype),
            lambda: ops.cast(learning_rate, dtype) * self.weight_decay,
        )

    # --- moving averages ---

    def _update_averages(self) -> None:
        first = ops.equal(self.iterations, 0)
        momentum = ops.where(first, 0.0, float(self.ema_momentum))
        pairs = list(zip(self._trainable_variables, self._averages, strict=True))
        for variable, average in pairs:
            weight = ops.cast(momentum, variable.dtype)
            average.assign(weight * average + (1.0 - weight) * variable)
        frequency = self.ema_overwrite_frequency
        if frequency:
            now = ops.equal(ops.mod(self.iterations + 1, frequency), 0)
            for variable, average in pairs:
                variable.assign(ops.where(now, average, variable))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Give `var_list` its final values: the averages, with `use_ema`.

        Raises:
            ValueError: if it is not the list given to `build`.
        """
        if not self.use_ema or not self.built:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': there are "
                f"{len(self._averages)} averages, got {len(var_list)} variables"
            )
        for variable, average in zip(var_list, self._averages, strict=True):
            variable.assign(average)

    # --- loss scale, configuration ---

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times `loss_scale_factor`, if there is one."""
        if self.loss_scale_factor is None:
            return loss
        return loss * self.loss_scale_factor

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal optimizer, without its state."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = serialize_schedule(rate)
        elif isinstance(rate, TensorLike):
            rate = float(np.asarray(rate))
        else:
            rate = serialize_keras_object(rate)
        return {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """Make an optimizer from `get_config()`'s result."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(
                config["learning_rate"], custom_objects
            )
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def clip_by_global_norm(grads: list[Any], clip_norm: float) -> list[Any]:
    """Scale gradients so that the norm of all of them is at most `clip_norm`.

    A norm that is not finite makes every gradient NaN.
    """
    squares = [ops.sum(ops.square(g)) for g in grads]
    norm = ops.sqrt(ops.sum(ops.stack(squares)))
    scale = clip_norm / ops.maximum(norm, clip_norm) + (norm - norm)
    return [g * scale for g in grads]
