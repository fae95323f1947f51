"""The global state of a process: seeds and automatic names."""

from __future__ import annotations

from .. import naming, random


def set_random_seed(seed: int) -> None:
    """Make runs repeatable: seed this library, NumPy and Python's `random`.

    Args:
        seed: integer in [0, 2**32).

    Raises:
        ValueError: for anything else.
    """
    random.set_global_seed(seed)


def clear_session(free_memory: bool = True) -> None:
    """Number automatic names of layers from the start again.

    Models are ordinary objects here: memory is free when the last reference is gone.

    Args:
        free_memory: accepted for compatibility.
    """
    naming.reset_names()
