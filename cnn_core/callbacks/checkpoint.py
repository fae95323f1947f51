"""Models written to files during training."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from .callback import Logs
from .monitor import MonitorCallback
from .progress import print_message


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, while it is trained.

    Args:
        filepath: path that ends in ".keras", or in ".weights.h5" for weights. It may
            hold fields that are filled in: `{epoch}` (from 1), `{batch}`, and results
            by name, e.g. "{epoch:02d}-{val_loss:.2f}.keras".
        monitor: name of the result in the logs that decides what is best.
        verbose: 1 to print what happens.
        save_best_only: whether to save only when the result is the best so far.
        save_weights_only: whether to save the weights only.
        mode: "min" or "max"; "auto" takes the direction from the loss or metric.
        save_freq: "epoch", or a number of batches after which to save.
        initial_value_threshold: value that the result must beat at first.

    Raises:
        ValueError: if the path or `save_freq` does not fit.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._current_epoch = 0
        self._batches_since_save = 0
        if save_freq != "epoch" and (
            isinstance(save_freq, (bool, str)) or not isinstance(save_freq, int)
        ):
            raise ValueError(
                "ModelCheckpoint: expected save_freq to be 'epoch' or a number of "
                f"batches, got {save_freq!r}"
            )
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"ModelCheckpoint: expected filepath to end in '{ending}' with "
                f"save_weights_only={save_weights_only}, got {self.filepath!r}"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the number of the epoch."""
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save if it is time to."""
        if not isinstance(self.save_freq, int):
            return
        self._batches_since_save += 1
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save(self._current_epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save if that is done after epochs."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"ModelCheckpoint: expected filepath to be a file, {path!r} is a folder"
            )
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        fields = {"epoch": epoch + 1, **logs}
        if batch is not None:
            fields.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} has a field {error} that "
                f"there is no result for; available: {', '.join(fields)}"
            ) from None

    def _should_save(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        if not self.save_best_only:
            self._tell(epoch, f"saving the model to {path}")
            return True
        current = self._current(logs)
        if current is None:
            return True  # better one file too many than none
        if np.ndim(current):
            warnings.warn(
                f"ModelCheckpoint: '{self.monitor}' is not a single number, so every "
                "model is saved",
                stacklevel=2,
            )
            return True
        best = "none" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._tell(epoch, f"'{self.monitor}' did not improve from {best}")
            return False
        self._tell(
            epoch,
            f"'{self.monitor}' improved from {best} to {current:.5f}, saving the model "
            f"to {path}",
        )
        self.best = current
        return True

    def _tell(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print_message(f"Epoch {epoch + 1}: {text}")
