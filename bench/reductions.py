"""Sums, means and extremes over axes."""

from __future__ import annotations

from collections.abc import Iterator

from .data import MATRICES, normal
from .harness import Case

RIVALS = {
    "sum": "sum",
    "mean": "mean",
    "max": "amax",
    "min": "amin",
    "argmax": "argmax",
    "argmin": "argmin",
}


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for label, shape in MATRICES.items():
        x = normal(*shape)
        yield Case(
            "bias_gradient",
            label,
            (x,),
            traffic=x.nbytes + x[0].nbytes,
            torch=lambda t, x: x.sum(0),
        )
        for name, rival in RIVALS.items():
            for axis in (1, 0, None):
                if axis is None and name.startswith("arg"):
                    continue
                yield Case(
                    name,
                    f"{label} axis {axis}" if axis is not None else f"{label} all",
                    (x, axis),
                    traffic=x.nbytes,
                    torch=lambda t, x, axis, rival=rival: (
                        getattr(t, rival)(x)
                        if axis is None
                        else getattr(t, rival)(x, axis)
                    ),
                )
