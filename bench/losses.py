"""Losses of single samples and their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .data import MATRICES, normal, probabilities
from .harness import Case, array_bytes


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for label, (m, n) in MATRICES.items():
        logits, ct = normal(m, n), normal(m, seed=1)
        p, target = probabilities(m, n), probabilities(m, n, seed=1)
        labels = np.random.default_rng(0).integers(0, n, m)
        for from_logits in (True, False):
            output: Any = logits if from_logits else p
            what = f"{label} {'logits' if from_logits else 'probs'}"
            kwargs = {"from_logits": from_logits}
            yield Case(
                "binary_crossentropy",
                what,
                (target, output),
                kwargs,
                traffic=3 * p.nbytes,
                torch=_binary(from_logits),
            )
            yield Case(
                "binary_crossentropy_grad",
                what,
                (normal(m, n, seed=3), target, output),
                kwargs,
                traffic=4 * p.nbytes,
            )
            yield Case(
                "binary_crossentropy_with_grad",
                what,
                (normal(m, n, seed=3), target, output),
                kwargs,
                traffic=5 * p.nbytes,
            )
            for name, truth in (
                ("categorical_crossentropy", target),
                ("sparse_categorical_crossentropy", labels),
            ):
                traffic = array_bytes(truth, output, ct)
                yield Case(
                    name,
                    what,
                    (truth, output),
                    kwargs,
                    traffic=traffic,
                    torch=_categorical if from_logits else None,
                )
                for with_grad in ("_grad", "_with_grad"):
                    yield Case(
                        name + with_grad,
                        what,
                        (ct, truth, output),
                        kwargs,
                        traffic=traffic + output.nbytes,
                    )
        yield Case(
            "mean_squared_error",
            label,
            (target, p),
            traffic=2 * p.nbytes + ct.nbytes,
            torch=lambda t, y, p: (p - y).square_().mean(-1),
        )
        for name in ("mean_squared_error_grad", "mean_squared_error_with_grad"):
            yield Case(name, label, (ct, target, p), traffic=3 * p.nbytes)


def _binary(from_logits: bool) -> Any:
    def rival(t: Any, target: Any, output: Any) -> Any:
        f = t.nn.functional
        loss = (
            f.binary_cross_entropy_with_logits
            if from_logits
            else f.binary_cross_entropy
        )
        return loss(output, target, reduction="none")

    return rival


def _categorical(t: Any, target: Any, output: Any) -> Any:
    return t.nn.functional.cross_entropy(output, target, reduction="none")
