"""Dense products: forward, both gradients, bias and activation."""

from __future__ import annotations

from collections.abc import Iterator

from .data import MATRICES, normal
from .harness import Case, array_bytes

# (rows, columns, inner): layers of small networks, squares, and extremes.
SHAPES = [
    (1, 512, 784),
    (8, 512, 784),
    (32, 32, 784),
    (32, 10, 512),
    (128, 512, 784),
    (128, 10, 512),
    (256, 2048, 1024),
    (64, 64, 64),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (8192, 64, 576),
    (100000, 32, 9),
    (4096, 1, 256),
]


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for m, n, k in SHAPES:
        a, b, bias = normal(m, k), normal(k, n, seed=1), normal(n, seed=2)
        flops = 2 * m * n * k
        shape = f"{m}x{n}x{k}"
        yield Case(
            "matmul", shape, (a, b), flops=flops, rival=lambda t, a, b: t.mm(a, b)
        )
        yield Case(
            "matmul",
            f"{shape} bias relu",
            (a, b, bias),
            {"activation": "relu"},
            flops=flops,
            rival=lambda t, a, b, c: t.addmm(c, a, b).relu_(),
        )
    for m, n, k in [(128, 512, 784), (256, 2048, 1024), (32, 10, 512)]:
        x, w, ct = normal(m, k), normal(k, n, seed=1), normal(m, n, seed=2)
        flops = 2 * m * n * k
        yield Case(
            "matmul",
            f"{m}x{n}x{k} ct @ w.T",
            (ct, w, None, False, True),
            flops=flops,
            rival=lambda t, c, w, *_: t.mm(c, w.T),
        )
        yield Case(
            "matmul",
            f"{m}x{n}x{k} x.T @ ct",
            (x, ct, None, True, False),
            flops=flops,
            rival=lambda t, x, c, *_: t.mm(x.T, c),
        )
        yield Case(
            "matmul_grad",
            f"{m}x{n}x{k} ct @ w.T relu",
            (ct, w, x, "relu", None, False, True),
            flops=flops,
            rival=lambda t, c, w, x, *_: t.where(x > 0, t.mm(c, w.T), 0),
        )
        yield Case(
            "matmul_bias_gradient",
            f"{m}x{n}x{k} x.T @ ct",
            (x, ct, True),
            flops=flops,
            rival=lambda t, x, c, *_: (t.mm(x.T, c), c.sum(0)),
        )
    for label, (m, n) in MATRICES.items():
        x, bias = normal(m, n), normal(n, seed=1)
        traffic = 2 * x.nbytes + bias.nbytes
        yield Case(
            "bias_add", label, (x, bias), traffic=traffic, rival=lambda t, x, b: x + b
        )
        yield Case(
            "bias_gradient",
            label,
            (x,),
            traffic=array_bytes(x, bias),
            rival=lambda t, x: x.sum(0),
        )
