"""Callbacks that end training early."""

from __future__ import annotations

import math
from typing import Any

from .callback import Callback, Logs
from .monitor import MonitorCallback
from .progress import print_message


class EarlyStopping(MonitorCallback):
    """Ends training when a result no longer improves.

    Args:
        monitor: name of the result in the logs.
        min_delta: smallest change that is an improvement.
        patience: epochs without improvement after which training ends.
        verbose: 1 to print what happens.
        mode: "min" or "max"; "auto" takes the direction from the loss or metric.
        baseline: value that the result must beat for patience to start anew.
        restore_best_weights: whether the model gets the weights of the best epoch back.
        start_from_epoch: number of epochs that are not watched.

    Attributes:
        best: the best value.
        best_epoch: number of its epoch.
        stopped_epoch: number of the epoch that was the last, 0 if none was.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best: Any = None
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start watching anew."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Stop if there was no improvement for too long."""
        current = self._current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._remember(epoch)
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_weights = self.model.get_weights()
        self.best_epoch = epoch

    def on_train_end(self, logs: Logs = None) -> None:
        """Put the best weights back, if that is wanted."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print_message(f"Restoring the weights of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Ends training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise an error rather than to end as usual.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Stop if the loss is not finite."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"TerminateOnNaN: the loss is {loss} at batch {batch}; look for NaN in "
                "the data, or lower the learning rate"
            )
        print_message(f"Batch {batch}: the loss is {loss}, training ends")
        self.model.stop_training = True
