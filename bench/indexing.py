"""Rows picked by number, and orders."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .data import normal
from .harness import Case


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    rng = np.random.default_rng(5)
    for rows, columns, shape in ((1000, 16, (32, 20)), (50_000, 128, (64, 100))):
        table, ct = normal(rows, columns), normal(*shape, columns, seed=1)
        indices = rng.integers(0, rows, shape)
        label = f"{rows}x{columns}"
        yield Case(
            "take",
            label,
            (table, indices, 0),
            traffic=2 * ct.nbytes,
            rival=lambda t, x, i, axis: t.nn.functional.embedding(i, x),
        )
        yield Case(
            "take_adjoint",
            label,
            (ct, indices, 0, table.shape),
            traffic=2 * ct.nbytes + table.nbytes,
            rival=lambda t, ct, i, axis, shape: t.zeros(shape).index_add_(
                0, i.reshape(-1), ct.reshape(-1, shape[1])
            ),
        )
    for label, n in (("4K", 4096), ("1M", 1 << 20)):
        keys = rng.integers(0, 1 << 32, n, dtype=np.uint32)
        yield Case("argsort", label, (keys, 0), traffic=12 * n)
