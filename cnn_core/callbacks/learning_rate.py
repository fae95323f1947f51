"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .callback import Callback, Logs
from .monitor import MonitorCallback
from .progress import print_message


def _learning_rate(callback: Callback) -> float:
    optimizer = callback.model.optimizer
    if not hasattr(optimizer, "learning_rate"):
        raise ValueError(
            f"{type(callback).__name__}: the optimizer {optimizer!r} has no "
            "learning_rate"
        )
    return float(optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: called with the number of the epoch, from 0, and the present learning
            rate; returns the new one.
        verbose: 1 to print it.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the learning rate."""
        present = _learning_rate(self)
        arguments = (epoch, present) if _takes_two(self.schedule) else (epoch,)
        new = self.schedule(*arguments)
        if (
            isinstance(new, (bool, int))
            or np.ndim(new)
            or np.asarray(new).dtype.kind != "f"
        ):
            raise ValueError(
                "LearningRateScheduler: expected schedule to return a float, got "
                f"{new!r}"
            )
        self.model.optimizer.learning_rate = float(new)
        if self.verbose > 0:
            print_message(f"Epoch {epoch + 1}: the learning rate is {float(new)}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the learning rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = _learning_rate(self)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function of C
        return True
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return False
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a result no longer improves.

    Args:
        monitor: name of the result in the logs.
        factor: what the learning rate is multiplied by, less than 1.
        patience: epochs without improvement after which it is lowered.
        verbose: 1 to print it.
        mode: "min" or "max"; "auto" takes the direction from the loss or metric.
        min_delta: smallest change that is an improvement.
        cooldown: epochs to wait after a change before watching again.
        min_lr: the learning rate is never set lower.

    Raises:
        ValueError: if factor is not less than 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau: expected factor to be less than 1, got {factor}"
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.on_train_begin()

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start watching anew."""
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Tell whether a change was so recent that nothing is watched."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Lower the learning rate if there was no improvement for too long."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = _learning_rate(self)
        current = self._current(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        present = _learning_rate(self)
        if present <= np.float32(self.min_lr):
            return
        new = max(present * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print_message(
                f"Epoch {epoch + 1}: '{self.monitor}' no longer improves, the learning "
                f"rate is lowered to {new}"
            )
        self.cooldown_counter = self.cooldown
        self.wait = 0
