"""What callbacks share that watch a result."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

from .callback import Callback, Logs


class MonitorCallback(Callback):
    """Base of callbacks that watch a result and compare it with the best so far.

    Args:
        monitor: name of the result in the logs.
        mode: "min" or "max"; "auto" takes the direction from the loss or metric.
        baseline: best value to begin with.
        min_delta: smallest change that is an improvement.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode {mode!r} is none of 'auto', 'min', "
                "'max'; 'auto' is used",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], bool] | None = None

    def _current(self, logs: Logs) -> Any:
        """Return the value watched, or None with a warning if there is none."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: there is no result '{self.monitor}' to watch; "
                f"available: {', '.join(logs or {})}",
                stacklevel=3,
            )
        return value

    def _set_monitor_op(self) -> None:
        """Find out whether less or more is better.

        Raises:
            ValueError: if mode is "auto" and the metric does not say.
        """
        better = {"min": operator.lt, "max": operator.gt}.get(self.mode)
        self.monitor_op = better or self._direction()

    def _direction(self) -> Callable[[Any, Any], bool]:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return operator.lt
        for metric in getattr(self.model, "metrics", ()):
            found = getattr(metric, "named_metrics", {metric.name: metric}).get(name)
            direction = getattr(found, "_direction", None)
            if direction is not None:
                return operator.gt if direction == "up" else operator.lt
        raise ValueError(
            f"{type(self).__name__}: cannot tell whether '{self.monitor}' should be "
            "small or large; use mode='min' or mode='max'"
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Tell whether `value` beats `reference`; NaN loses against everything."""
        if self.monitor_op is None:
            self._set_monitor_op()
        assert self.monitor_op is not None
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        delta = self.min_delta if self.monitor_op is operator.gt else -self.min_delta
        return bool(self.monitor_op(value - delta, reference))
