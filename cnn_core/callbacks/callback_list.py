"""Many callbacks called as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import tree
from .callback import Callback, Logs
from .history import History
from .progress import ProgbarLogger

# Each hook of a batch, with the older one it falls back to.
_BATCH_HOOKS = {
    "on_train_batch_begin": ("on_train_batch_begin", "on_batch_begin"),
    "on_train_batch_end": ("on_train_batch_end", "on_batch_end"),
    "on_test_batch_begin": ("on_test_batch_begin",),
    "on_test_batch_end": ("on_test_batch_end",),
    "on_predict_batch_begin": ("on_predict_batch_begin",),
    "on_predict_batch_end": ("on_predict_batch_end",),
    "on_batch_begin": ("on_batch_begin",),
    "on_batch_end": ("on_batch_end",),
}


def pythonify_logs(logs: Logs) -> dict[str, Any]:
    """Return logs sorted by name, with numbers as Python floats, without nesting."""
    result: dict[str, Any] = {}
    for key, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            result.update(pythonify_logs(value))
        else:
            try:
                result[key] = float(value)
            except (TypeError, ValueError):  # an array, a text: it stays what it is
                result[key] = value
    return result


class CallbackList(Callback):
    """Calls a list of callbacks in order.

    Results are turned into Python floats only where a callback uses the hook, so a
    batch that nobody looks at costs nothing.

    Args:
        callbacks: a callback, or a list of them.
        add_history: whether to add a `History`, if there is none.
        add_progbar: whether to add a `ProgbarLogger`, if there is none.
        model: the model that runs.
        **params: what callbacks get as `params`.

    Raises:
        TypeError: if something is not a callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = tree.flatten(callbacks) if callbacks else []
        for callback in self.callbacks:
            if not hasattr(callback, "set_model") or isinstance(callback, type):
                raise TypeError(
                    f"expected callbacks to be Callback instances, got {callback!r}"
                )
        if add_history and self.history is None:
            self.callbacks.append(History())
        if add_progbar and self._find(ProgbarLogger) is None:
            self.callbacks.append(ProgbarLogger())
        self._hooks: dict[str, list[Any]] = {}
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)
        callback.set_params(self.params)
        callback.set_model(self._model)
        self._find_hooks()

    def _find(self, kind: type) -> Any:
        return next((c for c in self.callbacks if isinstance(c, kind)), None)

    @property
    def history(self) -> History | None:
        """The `History` among the callbacks."""
        found: History | None = self._find(History)
        return found

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks about the run."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)
        self._find_hooks()

    def set_model(self, model: Any) -> None:
        """Tell all callbacks which model runs."""
        if model is None:
            return
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def _find_hooks(self) -> None:
        """Note which callbacks do something at each hook of a batch."""
        watchers = [c for c in self.callbacks if type(c) is not History]
        self._hooks = {
            name: [c for c in watchers if _uses(c, name)] if watchers else []
            for name in _BATCH_HOOKS
        }

    def watches_batches(self, kind: str) -> bool:
        """Tell whether a callback wants every batch of "train", "test" or "predict".

        The progress bar does not: it is drawn a few times a second.
        """
        hooks = (f"on_{kind}_batch_begin", f"on_{kind}_batch_end")
        return any(
            not isinstance(callback, ProgbarLogger)
            for hook in hooks
            for callback in self._hooks[hook]
        )

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Give the terminal back at the end, however it comes."""
        try:
            yield
        finally:
            for callback in self.callbacks:
                if isinstance(callback, ProgbarLogger):
                    callback.close()

    # --- hooks of batches ---

    def _on_batch(self, hook: str, batch: int, logs: Logs) -> None:
        plain: Logs = None
        for callback in self._hooks[hook]:
            if isinstance(callback, ProgbarLogger):
                given = logs  # it converts them when it shows them
            else:
                given = plain = pythonify_logs(logs) if plain is None else plain
            getattr(callback, hook)(batch, logs=given)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_batch("on_predict_batch_end", batch, logs)

    # --- the other hooks ---

    def _on_run(self, hook: str, logs: Logs) -> None:
        if hook.endswith("begin"):  # hooks may have been set since
            self._find_hooks()
        logs = pythonify_logs(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    def _on_epoch(self, hook: str, epoch: int, logs: Logs) -> None:
        logs = pythonify_logs(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(epoch, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_epoch("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_epoch("on_epoch_end", epoch, logs)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_train_end", logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_test_end", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Call the hook of all callbacks."""
        self._on_run("on_predict_end", logs)


def _uses(callback: Any, hook: str) -> bool:
    """Tell whether a callback overrides a hook, or the older one it falls back to."""
    own, kind = getattr(callback, "__dict__", ()), type(callback)
    for name in _BATCH_HOOKS[hook]:
        if name in own or getattr(kind, name, None) is not getattr(Callback, name):
            return True
    return False
