"""The record of a training run."""

from __future__ import annotations

from typing import Any

from .callback import Callback, Logs


class History(Callback):
    """Keeps the logs of every epoch; `fit` adds one and returns it.

    Attributes:
        history: list of values, one for each epoch, by name.
        epoch: numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keep the logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
