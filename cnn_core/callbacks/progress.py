"""The progress bar on a terminal, and lines in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

from .callback import Callback, Logs

_INTERVAL = 0.05  # seconds between updates of the bar

_open_bar: Bar | None = None


def print_message(text: str) -> None:
    """Print a line, above the progress bar if there is one."""
    if _open_bar is not None:
        _open_bar.print(text)
    else:
        print(text, flush=True)


def format_seconds(seconds: float) -> str:
    """Return a duration in a unit that suits it, e.g. "12ms" or "1:05"."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 1:
        return f"{seconds * 1e3:.0f}ms"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_logs(logs: Logs) -> str:
    """Return results as text, e.g. "loss: 0.1234 - accuracy: 0.9375"."""
    return " - ".join(
        f"{name}: {_number(value)}" for name, value in (logs or {}).items()
    )


def _number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 or number == 0 else f"{number:.4e}"


def _is_live() -> bool:
    """Tell whether standard output is a terminal or a notebook."""
    isatty = getattr(sys.stdout, "isatty", None)
    return bool(isatty and isatty()) or "ipykernel" in sys.modules


class Bar:
    """A bar on a terminal, drawn with rich.

    Args:
        total: steps to be done, or None if nobody knows.
    """

    def __init__(self, total: int | None) -> None:
        global _open_bar
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.fields[count]}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(file=sys.stdout),
            auto_refresh=False,  # no thread: drawn when there is something new
        )
        self._task = self._progress.add_task("", total=total, count="", text="")
        self._progress.start()
        _open_bar = self

    def show(self, done: int, count: str, text: str) -> None:
        """Draw the bar with the text around it."""
        self._progress.update(
            self._task, completed=done, count=count, text=text, refresh=True
        )

    def set_total(self, total: int) -> None:
        """Set the number of steps."""
        self._progress.update(self._task, total=total)

    def print(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        global _open_bar
        if _open_bar is self:
            _open_bar = None
        self._progress.stop()


class ProgbarLogger(Callback):
    """Shows progress and results.

    On a terminal it draws a bar with the estimated time left. Elsewhere, and with
    verbose=2, it prints one line for each epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self._in_fit = False
        self._bar: Bar | None = None
        self._started = 0.0
        self._shown = 0.0

    def set_params(self, params: dict[str, Any]) -> None:
        """Take over how much to show and how many steps there are."""
        self.params = params
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else verbose
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs = None) -> None:
        """Stay silent in evaluations from now on."""
        self._in_fit = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Give the terminal back."""
        self._in_fit = False
        self.close()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start a bar."""
        live = self.verbose == 1 and _is_live()
        if live and self.epochs > 1:
            print_message(f"Epoch {epoch + 1}/{self.epochs}")
        self._start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Show how far it is."""
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Show the results of the epoch."""
        prefix = f"Epoch {epoch + 1}/{self.epochs} - " if self.epochs > 1 else ""
        self._finish(logs, prefix)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Start a bar, unless it is a validation."""
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Show how far it is."""
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """Show the results, unless it is a validation."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Start a bar."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Show how far it is."""
        self._update(batch, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Show that all is done."""
        self._finish(None)

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._in_fit = False

    def _start(self) -> None:
        self.seen = 0
        self._started = time.perf_counter()
        self._shown = 0.0
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        # One bar at a time: a `predict` in a callback of `fit` prints a line.
        if self.verbose == 1 and _is_live() and _open_bar is None:
            self._bar = Bar(self.target)

    def _update(self, batch: int, logs: Logs) -> None:
        self.seen = batch + 1
        if self._bar is None:
            return
        now = time.perf_counter()
        if now - self._shown < _INTERVAL:
            return
        self._shown = now
        per_step = (now - self._started) / self.seen
        time_left = ""
        if self.target is not None:
            time_left = format_seconds(per_step * (self.target - self.seen)) + " left "
        self._bar.show(
            self.seen,
            f"{self.seen}/{self.target if self.target is not None else '?'}",
            _joined(time_left + f"{format_seconds(per_step)}/step", logs),
        )

    def _finish(self, logs: Logs, prefix: str = "") -> None:
        if self.verbose == 0:
            return
        elapsed = time.perf_counter() - self._started
        per_step = format_seconds(elapsed / max(self.seen, 1))
        text = _joined(f"{format_seconds(elapsed)} {per_step}/step", logs)
        self.target = self.seen if self.target is None else self.target
        count = f"{self.seen}/{self.target}"
        if self._bar is not None:
            self._bar.set_total(self.target)
            self._bar.show(self.seen, count, text)
            self._bar.stop()
            self._bar = None
        else:
            print(f"{prefix}{count} - {text}", flush=True)


def _joined(times: str, logs: Logs) -> str:
    results = format_logs(dict(sorted((logs or {}).items())))
    return f"{times} - {results}" if results else times
