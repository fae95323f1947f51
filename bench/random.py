"""Random numbers."""

from __future__ import annotations

from collections.abc import Iterator

from .harness import Case


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for label, n in (("1", 1), ("4K", 4096), ("4M", 4 << 20)):
        yield Case("philox_uint32", label, (7, 0, n), traffic=4 * n)
        yield Case(
            "random_uniform",
            label,
            (7, 0, (n,)),
            traffic=4 * n,
            torch=lambda t, seed, offset, shape: t.rand(shape),
        )
        yield Case(
            "random_normal",
            label,
            (7, 0, (n,)),
            traffic=4 * n,
            torch=lambda t, seed, offset, shape: t.randn(shape),
        )
