"""Learning rates that fall as training goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import ops
from ...serialization import builtin
from .base import LearningRateSchedule


def _check_steps(schedule: Any, **steps: float) -> None:
    for name, value in steps.items():
        if not value > 0:
            raise ValueError(
                f"{type(schedule).__name__}: expected {name} > 0, got {value}"
            )


def _start(initial_learning_rate: Any, step: Any) -> tuple[Any, Any]:
    """Return the initial rate as a scalar, and the step in the same dtype."""
    initial = ops.convert_to_tensor(initial_learning_rate)
    return initial, ops.cast(step, initial.dtype)


@builtin("keras.optimizers.schedules")
class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps after which the rate is multiplied by `decay_rate`.
        decay_rate: factor.
        staircase: whether the rate falls in jumps, every `decay_steps` steps.
        name: name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _check_steps(self, decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        initial, step = _start(self.initial_learning_rate, step)
        exponent = step / float(self.decay_steps)
        if self.staircase:
            exponent = ops.floor(exponent)
        return initial * ops.power(float(self.decay_rate), exponent)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@builtin("keras.optimizers.schedules")
class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and including step `boundaries[i]`, the last value after.

    Args:
        boundaries: increasing steps.
        values: rates, one more than boundaries.
        name: name.

    Raises:
        ValueError: if the numbers of boundaries and values do not fit.
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: expected one value more than boundaries, got "
                f"{len(values)} values and {len(boundaries)} boundaries"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        step = ops.convert_to_tensor(step)
        result = ops.convert_to_tensor(float(self.values[-1]))
        for i in reversed(range(len(self.boundaries))):
            result = ops.where(
                step <= self.boundaries[i], float(self.values[i]), result
            )
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "boundaries": self.boundaries,
            "values": self.values,
            "name": self.name,
        }


@builtin("keras.optimizers.schedules")
class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` along `(1 - x)**power`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps until the end rate is reached.
        end_learning_rate: rate from then on.
        power: 1 for a straight line.
        cycle: whether to start again, each time for one `decay_steps` longer.
        name: name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _check_steps(self, decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        initial, step = _start(self.initial_learning_rate, step)
        steps = float(self.decay_steps)
        if self.cycle:
            fraction = step / (steps * ops.maximum(ops.ceil(step / steps), 1.0))
        else:
            fraction = ops.minimum(step, steps) / steps
        end = float(self.end_learning_rate)
        return (initial - end) * ops.power(1.0 - fraction, float(self.power)) + end

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@builtin("keras.optimizers.schedules")
class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: unit of time.
        decay_rate: how fast the rate falls.
        staircase: whether the rate falls in jumps, every `decay_steps` steps.
        name: name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _check_steps(self, decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        initial, step = _start(self.initial_learning_rate, step)
        time = step / float(self.decay_steps)
        if self.staircase:
            time = ops.floor(time)
        return initial / (1.0 + float(self.decay_rate) * time)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@builtin("keras.optimizers.schedules")
class CosineDecay(LearningRateSchedule):
    """A linear warmup, if wanted, then half a period of a cosine.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps of the cosine, after the warmup.
        alpha: last rate as a fraction of the rate where the cosine starts.
        name: name.
        warmup_target: rate at the end of the warmup; None for no warmup.
        warmup_steps: steps of the warmup.

    References:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        2016.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _check_steps(self, decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        initial, step = _start(self.initial_learning_rate, step)
        if self.warmup_target is None:
            return self._decayed(step, initial)
        warmup_steps, target = float(self.warmup_steps), float(self.warmup_target)
        decayed = self._decayed(step - warmup_steps, target)
        if not warmup_steps:
            return decayed
        rising = (target - initial) * (step / warmup_steps) + initial
        return ops.where(step < warmup_steps, rising, decayed)

    def _decayed(self, step: Any, start: Any) -> Any:
        steps = float(self.decay_steps)
        fraction = ops.minimum(step, steps) / steps
        cosine = 0.5 * (1.0 + ops.cos(math.pi * fraction))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@builtin("keras.optimizers.schedules")
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays, one after the other.

    Args:
        initial_learning_rate: rate at step 0.
        first_decay_steps: steps of the first decay.
        t_mul: each decay is this much longer than the one before.
        m_mul: each decay starts at this fraction of the rate of the one before.
        alpha: last rate of a decay as a fraction of the initial one.
        name: name.

    References:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        2016.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _check_steps(self, first_decay_steps=first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, an integer scalar, as a scalar."""
        initial, step = _start(self.initial_learning_rate, step)
        fraction = step / float(self.first_decay_steps)
        t_mul = float(self.t_mul)
        if t_mul == 1.0:
            restart = ops.floor(fraction)
            fraction = fraction - restart
        else:
            # The decays' lengths are a geometric series, solved for the restart.
            restart = ops.floor(
                ops.log(1.0 - fraction * (1.0 - t_mul)) / math.log(t_mul)
            )
            length = ops.power(t_mul, restart)
            fraction = (fraction - (1.0 - length) / (1.0 - t_mul)) / length
        start = ops.power(float(self.m_mul), restart)
        cosine = 0.5 * start * (1.0 + ops.cos(math.pi * fraction))
        return initial * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
