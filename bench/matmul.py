"""Dense products: forward, both gradients, bias and activation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .data import normal
from .harness import Case

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
# Layers whose gradients are also taken together with what else is due then.
LAYERS = [(32, 10, 512), (128, 512, 784), (256, 2048, 1024)]


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for m, n, k in SHAPES:
        yield from _products(m, n, k)
        if (m, n, k) in LAYERS:
            yield from _gradients(m, n, k)


def _products(m: int, n: int, k: int) -> Iterator[Case]:
    """Yield the products of one size, the operands in each layout."""
    a, b, bias = normal(m, k), normal(k, n, seed=1), normal(n, seed=2)
    size: dict[str, Any] = {"shape": f"{m}x{n}x{k}", "flops": 2 * m * n * k}
    plain: dict[str, Any] = {
        "torch": lambda t, a, b, out=None: t.mm(a, b, out=out),
        "numpy": lambda n, a, b, out=None: n.matmul(a, b, out=out),
        "jax": lambda j, a, b: j.matmul(a, b),
    }
    yield Case("matmul", args=(a, b), form="A B", **size, **plain)
    c = np.empty((m, n), np.float32)
    yield Case("matmul", args=(a, b), form="A B held", held=c, **size, **plain)
    yield Case(
        "matmul",
        args=(a, b, bias),
        kwargs={"activation": "relu"},
        form="A B + b relu",
        torch=lambda t, a, b, bias: t.addmm(bias, a, b).relu_(),
        numpy=_numpy_bias_relu,
        jax=lambda j, a, b, bias: j.maximum(j.matmul(a, b) + bias, 0),
        **size,
    )
    yield Case(
        "matmul",
        args=(np.ascontiguousarray(a.T), b),
        kwargs={"transpose_a": True},
        form="A^T B",
        torch=lambda t, a, b: t.mm(a.T, b),
        numpy=lambda n, a, b: n.matmul(a.T, b),
        jax=lambda j, a, b: j.matmul(a.T, b),
        **size,
    )
    yield Case(
        "matmul",
        args=(a, np.ascontiguousarray(b.T)),
        kwargs={"transpose_b": True},
        form="A B^T",
        torch=lambda t, a, b: t.mm(a, b.T),
        numpy=lambda n, a, b: n.matmul(a, b.T),
        jax=lambda j, a, b: j.matmul(a, b.T),
        **size,
    )


def _gradients(m: int, n: int, k: int) -> Iterator[Case]:
    """Yield the two gradients of a layer with k inputs and n units for m samples."""
    x, w, ct = normal(m, k), normal(k, n, seed=1), normal(m, n, seed=2)
    size: dict[str, Any] = {"shape": f"{m}x{n}x{k}", "flops": 2 * m * n * k}
    yield Case(
        "matmul_bias_gradient",
        args=(x, ct),
        kwargs={"transpose_a": True},
        form="bias gradient",
        torch=lambda t, x, ct: (t.mm(x.T, ct), ct.sum(0)),
        numpy=lambda n, x, ct: (n.matmul(x.T, ct), ct.sum(0)),
        jax=lambda j, x, ct: (j.matmul(x.T, ct), ct.sum(0)),
        **size,
    )
    yield Case(
        "matmul_grad",
        args=(ct, w, x),
        kwargs={"activation": "relu", "transpose_b": True},
        form="relu gradient",
        torch=lambda t, ct, w, x: t.ops.aten.threshold_backward(
            t.mm(ct, w.T), x, 0
        ),  # what autograd calls
        numpy=_numpy_relu_gradient,
        jax=lambda j, ct, w, x: j.where(x > 0, j.matmul(ct, w.T), 0),
        **size,
    )


def _numpy_bias_relu(n: Any, a: Any, b: Any, bias: Any) -> Any:
    c = n.matmul(a, b)
    c += bias
    return n.maximum(c, 0, out=c)


def _numpy_relu_gradient(n: Any, ct: Any, w: Any, x: Any) -> Any:
    c = n.matmul(ct, w.T)
    c *= x > 0
    return c


def can_run(native: Any, case: Case) -> bool:
    """Return whether a Program has such a case: it holds panels where they pay."""
    if case.held is None:
        return True
    (m, k), (_, n) = (matrix.shape for matrix in case.args)
    return bool(native.packed_size(m, n, k))


def held_product(native: Any, a: Any, b: Any, c: Any) -> Callable[[], Any]:
    """Return the call of a Program that multiplies by a matrix in panels into `c`.

    The first call writes the panels. As in a Program, no call takes new memory.
    """
    (m, k), n = a.shape, b.shape[1]
    variable = SimpleNamespace(_array=b, _version=0)
    program = native.Program()
    number = program.matmul(m, n, k, (1, 0), False, (2, 0), False, (0, 0), held=(3, 0))
    panels = native.Panels(variable, m, n, k, False)
    entry = (2, 3, panels, number, True)
    program.arguments([(variable, 2, False)], [entry], [], [], [])
    program.bind(0, c)
    program.bind(1, a)

    def call() -> Any:
        program.run(0, 1)
        return c

    return call
