"""Element-wise arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from .data import MATRICES, VECTORS, normal, positive
from .harness import Case, array_bytes

UNARY = (
    "negative absolute sign exp expm1 log log1p sqrt rsqrt square reciprocal erf "
    "sin cos"
).split()
BINARY = "add subtract multiply divide maximum minimum".split()


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for label, shape in VECTORS.items():
        x, y = positive(*shape), positive(*shape, seed=1)
        for name in UNARY:
            yield Case(
                name,
                label,
                (x,),
                traffic=2 * x.nbytes,
                torch=lambda t, x, name=name: getattr(t, name)(x),
            )
        for name in BINARY:
            yield Case(
                name,
                label,
                (x, y),
                traffic=3 * x.nbytes,
                torch=lambda t, x, y, name=name: getattr(t, name)(x, y),
            )
        yield Case(
            "clip",
            label,
            (x, 0.75, 1.5),
            traffic=2 * x.nbytes,
            torch=lambda t, x, lo, hi: t.clip(x, lo, hi),
        )
        yield Case(
            "power",
            label,
            (x, y),
            traffic=3 * x.nbytes,
            torch=lambda t, x, y: t.pow(x, y),
        )
    for label, (m, n) in MATRICES.items():
        x, bias = normal(m, n), normal(n, seed=1)
        yield Case(
            "bias_add",
            label,
            (x, bias),
            traffic=x.nbytes + array_bytes(x, bias),
            torch=lambda t, x, b: x + b,
        )
        for kind, other in (
            ("row", bias),
            ("column", normal(m, 1, seed=1)),
        ):
            yield Case(
                "multiply",
                f"{label} by a {kind}",
                (x, other),
                traffic=x.nbytes + array_bytes(x, other),
                torch=lambda t, x, y: t.multiply(x, y),
            )
