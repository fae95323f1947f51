"""How much arithmetic a kernel does for the bytes it moves, and what that allows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .harness import Case, array_bytes

LEVELS = ("L1", "L2", "L3", "DRAM")
KINDS = ("read", "write", "copy", "triad")

# Operations on an element of the largest array, as our formulas count: +, -, *, /,
# sqrt, a comparison, maximum or minimum are one, a fused multiply-add two. Kernels that
# are not here (in double, on integers, or several results at once) are held against the
# memory alone.
_SIGMOID, _LOG, _SOFTPLUS = 28, 26, 55
_SIMPLE = {
    1: "absolute add argmax argmin bias_add bias_gradient divide max maximum mean min "
    "minimum multiply negative reciprocal relu relu_grad sign sqrt square subtract sum",
    2: "clip elu_grad hard_sigmoid_grad leaky_relu leaky_relu_grad rsqrt selu_grad "
    "softsign",
    3: "mean_squared_error mean_squared_error_grad sigmoid_grad tanh_grad",
    4: "hard_sigmoid softmax_grad softsign_grad",
}
OPERATIONS: dict[str, int] = {
    **{name: count for count, names in _SIMPLE.items() for name in names.split()},
    "exp": 23,
    "expm1": 25,
    "log": _LOG,
    "log1p": 32,
    "erf": 51,
    "sin": 32,
    "cos": 32,
    "tanh": 37,
    "elu": 27,
    "selu": 28,
    "gelu": 37,
    "gelu_grad": 48,
    "sigmoid": _SIGMOID,
    "silu": _SIGMOID + 1,
    "silu_grad": _SIGMOID + 7,
    "softplus": _SOFTPLUS,
    "softplus_grad": _SIGMOID + 1,
    "softmax": 26,
    "log_softmax": 26,
    "log_softmax_grad": 25,
    "binary_crossentropy logits": _SOFTPLUS + 2,
    "binary_crossentropy_grad logits": _SIGMOID + 2,
    "binary_crossentropy probs": 2 * _LOG + 6,
    "binary_crossentropy_grad probs": 8,
    "categorical_crossentropy logits": 27,
    "categorical_crossentropy_grad logits": 28,
    "categorical_crossentropy probs": _LOG + 6,
    "categorical_crossentropy_grad probs": 8,
    "sparse_categorical_crossentropy logits": 25,
    "sparse_categorical_crossentropy_grad logits": 26,
}


def operations_of(kernel: str, shape: str) -> int | None:
    """Return the operations on an element, None where nobody counted them."""
    for word in ("logits", "probs"):
        if word in shape:
            kernel = f"{kernel} {word}"
    return OPERATIONS.get(kernel)


@dataclass
class Work:
    """What one call of a case does.

    Args:
        flops: floating-point operations; None where they are not counted.
        traffic: bytes to read and write once.
        written: how many of these are written.
    """

    flops: int | None
    traffic: int
    written: int

    @property
    def intensity(self) -> float | None:
        """Operations per byte."""
        return None if self.flops is None else self.flops / self.traffic

    @property
    def kind(self) -> str:
        """Which of the simple loops moves bytes in a like proportion."""
        share = self.written / self.traffic
        if share < 0.1:
            return "read"
        if share > 0.9:
            return "write"
        return "triad" if share < 0.42 else "copy"


def work_of(case: Case, result: Any) -> Work:
    """Return what a case's call does, given what it returned."""
    results = result if isinstance(result, tuple) else (result,)
    written = array_bytes(*results)
    traffic = case.traffic or array_bytes(*case.args) + written
    if case.flops:
        return Work(case.flops, traffic, min(written, traffic))
    each = operations_of(case.kernel, case.shape)
    arrays = [a for a in (*case.args, *results) if isinstance(a, np.ndarray)]
    largest = max(a.size for a in arrays)
    return Work(each and each * largest, traffic, min(written, traffic))


@dataclass
class Machine:
    """What a machine can do at best with a number of threads.

    Args:
        threads: how many threads.
        flops: floating-point operations per second.
        bandwidth: bytes per second, by level and kind of loop.
        caches: bytes of each level of cache, of one core; L3 is shared.
        tiles: operations per second of a float32 product on tile units; 0 without.
    """

    threads: int
    flops: float
    bandwidth: Mapping[str, Mapping[str, float]]
    caches: Mapping[str, int]
    tiles: float = 0.0

    def level(self, nbytes: int) -> str:
        """Return the smallest cache that holds so many bytes, or "DRAM".

        A quarter of each is left to everything else.
        """
        for name, size in self.caches.items():
            if nbytes <= 0.75 * (size if name == "L3" else size * self.threads):
                return name
        return "DRAM"

    def place(self, work: Work, seconds: float, product: bool = False) -> Place:
        """Put a measured call under the roof, that of matrix products if it is one."""
        level = self.level(work.traffic)
        bandwidth = self.bandwidth[level][work.kind]
        fastest = work.traffic / bandwidth
        limit = f"{level} {work.kind}"
        flops, unit = self.flops, "FMA"
        if product and self.tiles > flops:
            flops, unit = self.tiles, "tiles"
        if work.flops is not None and work.flops / flops > fastest:
            fastest, limit = work.flops / flops, unit
        return Place(work, seconds, level, limit, 100 * fastest / seconds)


@dataclass
class Place:
    """A measured call, and the limit that applies to it.

    Args:
        work: what it does.
        seconds: what it takes.
        level: where its arrays fit.
        limit: "FMA", "tiles", or level and kind of the memory that it waits for.
        percent: of what the limit allows.
    """

    work: Work
    seconds: float
    level: str
    limit: str
    percent: float

    @property
    def flop_rate(self) -> float | None:
        """Operations per second."""
        return None if self.work.flops is None else self.work.flops / self.seconds

    def cells(self) -> list[str]:
        """Return the columns of the table."""
        intensity, rate = self.work.intensity, self.flop_rate
        return [
            f"{self.seconds * 1e6:.1f}",
            "" if intensity is None else f"{intensity:.3g}",
            "" if rate is None else f"{rate / 1e9:.1f}",
            f"{self.work.traffic / self.seconds / 1e9:.1f}",
            self.limit,
            f"{self.percent:.0f}",
        ]


HEAD = ("us", "FLOP/byte", "GFLOP/s", "GB/s", "limit", "%")


def spread(wanted: Sequence[float], distance: float) -> list[float]:
    """Move ascending positions apart, as little as that takes.

    Args:
        wanted: where labels would stand, ascending.
        distance: what two of them need between them.
    """
    blocks: list[tuple[list[float], float]] = []  # what its members want, its start
    for position in wanted:
        members, start = [position], position
        while blocks and blocks[-1][1] + len(blocks[-1][0]) * distance > start:
            members = blocks.pop()[0] + members
            offsets = [p - i * distance for i, p in enumerate(members)]
            start = math.fsum(offsets) / len(offsets)
        blocks.append((members, start))
    return [s + i * distance for members, s in blocks for i in range(len(members))]
