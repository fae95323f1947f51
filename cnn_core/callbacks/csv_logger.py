"""Results of epochs in a CSV file."""

from __future__ import annotations

import csv
import os
from typing import Any

from .callback import Callback, Logs


class CSVLogger(Callback):
    """Writes one row for each epoch to a CSV file: "epoch", then results by name.

    The file is complete after every epoch. A result that an epoch lacks is "NA".

    Args:
        filename: path of the file.
        separator: character between columns.
        append: whether to go on with an existing file.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start the file anew, unless rows are appended."""
        self.keys = None
        if not self.append:
            with open(self.filename, "w", newline="", encoding="utf-8"):
                pass

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a row."""
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                # A later epoch may be the first with validation.
                self.keys += [f"val_{key}" for key in self.keys]
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if file.tell() == 0:
                writer.writerow(["epoch", *self.keys])
            values = (logs.get(key, "NA") for key in self.keys)
            writer.writerow([epoch, *map(_cell, values)])


def _cell(value: Any) -> Any:
    if isinstance(value, str) or getattr(value, "ndim", 0) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
