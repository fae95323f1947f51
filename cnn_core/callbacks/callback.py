"""The base class of callbacks."""

from __future__ import annotations

from typing import Any

Logs = dict[str, Any] | None


class Callback:
    """Code that runs at certain points of `fit`, `evaluate` and `predict`.

    Subclass it and override the hooks you need. `logs` holds results by name, as Python
    floats; what a hook adds to the logs of an epoch, later callbacks see as well.

    Attributes:
        params: "verbose", "epochs" and "steps" of the run.
        model: the model that runs.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell the callback about the run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Tell the callback which model runs."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that runs."""
        return getattr(self, "_model", None)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Do as `on_train_batch_begin`; an older name."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Do as `on_train_batch_end`; an older name."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Run before an epoch of training, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Run after an epoch of training, with its results and those of validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of training, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of training, with the results since the epoch began."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of `evaluate` or of validation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of `predict`; logs["outputs"] has its predictions."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Run when `fit` begins."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Run when `fit` ends, unless by an exception; with the last epoch's logs."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Run when `evaluate` or a validation begins."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Run when `evaluate` or a validation ends, with its results."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Run when `predict` begins."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Run when `predict` ends."""
