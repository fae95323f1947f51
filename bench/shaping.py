"""Random orders, and rows taken by index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .data import normal
from .harness import Case


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    rng = np.random.default_rng(0)
    for label, n in (("1", 1), ("4K", 4096), ("4M", 4 << 20)):
        keys = rng.integers(0, 1 << 32, n).astype(np.uint32)
        yield Case(
            "argsort",
            label,
            (keys,),
            traffic=12 * n,
            torch=lambda t, keys: t.argsort(keys.long()),
        )
    for rows, columns, count in ((1000, 64, 32), (50000, 128, 4096)):
        table, taken = normal(rows, columns), normal(count, columns)
        places = rng.integers(0, rows, count)
        label = f"{count} of {rows}x{columns}"
        yield Case(
            "take",
            label,
            (table, places, 0),
            traffic=8 * taken.size + places.nbytes,
            torch=lambda t, table, places, axis: table.index_select(axis, places),
        )
        yield Case(
            "take_adjoint",
            label,
            (taken, places, 0, table.shape),
            traffic=4 * table.size + 12 * taken.size + places.nbytes,
            torch=lambda t, ct, places, axis, shape: t.zeros(shape).index_add_(
                axis, places, ct
            ),
        )
