"""Errors that say where they happened: in which operation, layer, loss or metric."""

from __future__ import annotations

from typing import Any

from .symbolic import NoValuesError
from .tensor import TensorLike, recording

# Errors whose message may be extended; others may hold more than a message.
_REWORDED = (ValueError, TypeError, IndexError, NoValuesError)

# Who applies an operation, e.g. "Dense 'dense_1'", and on what it was called.
Scope = tuple[str, str]


def name_operation(error: Exception, name: str) -> None:
    """Say in an error which operation's kernel raised it."""
    message = _message(error)
    if message is None:
        error.add_note(f"In the operation {name}.")
    elif not message.startswith(f"{name}:"):
        error.args = (f"{name}: {message}",)


def name_scope(error: Exception, scope: Scope | None) -> None:
    """Say once in an error in which layer, loss or metric it happened."""
    if scope is None or getattr(error, "_names_scope", False):
        return
    who, where = scope
    error._names_scope = True  # type: ignore[attr-defined]
    message = _message(error)
    if message is None:
        error.add_note(f"In {who}, {where}.")
    elif not message.startswith(who):
        error.args = (f"{message} (in {who}, {where})",)


def _message(error: Exception) -> str | None:
    """Return the message of an error if it may be extended."""
    if type(error) not in _REWORDED or len(error.args) != 1:
        return None
    message = error.args[0]
    return message if isinstance(message, str) else None


def called_on(arguments: dict[str, Any]) -> str:
    """Return the second part of a scope: the shapes of the tensors by their names."""
    got = ", ".join(
        f"{name} of shape {value.shape}"
        for name, value in arguments.items()
        if isinstance(value, TensorLike)
    )
    return f"called on {got or 'no tensors'}"


class scope:  # noqa: N801  (a context manager)
    """Name a loss or metric in the errors that operations raise inside, now or later.

    Args:
        owner: what has a name; its class is shown, too.
        arguments: what it is called on, by name.
    """

    __slots__ = ("_arguments", "_outer", "_owner", "_trace")

    def __init__(self, owner: Any, **arguments: Any) -> None:
        self._owner = owner
        self._arguments = arguments

    def _scope(self) -> Scope:
        who = f"{type(self._owner).__name__} '{self._owner.name}'"
        return who, called_on(self._arguments)

    def __enter__(self) -> None:
        self._trace = recording.trace
        if self._trace is not None:
            self._outer, self._trace.scope = self._trace.scope, self._scope()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._trace is not None:
            self._trace.scope = self._outer
        if isinstance(error, Exception):
            name_scope(error, self._scope())
