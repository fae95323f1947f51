"""Activation functions and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .data import MATRICES, VECTORS, normal
from .harness import Case

Rival = Callable[..., Any]

FORWARD: dict[str, Rival] = {
    "relu": lambda t, x: t.relu(x),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x, 0.2),
    "elu": lambda t, x: t.nn.functional.elu(x),
    "selu": lambda t, x: t.selu(x),
    "gelu": lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    "silu": lambda t, x: t.nn.functional.silu(x),
    "sigmoid": lambda t, x: t.sigmoid(x),
    "hard_sigmoid": lambda t, x: t.nn.functional.hardsigmoid(x),
    "tanh": lambda t, x: t.tanh(x),
    "softplus": lambda t, x: t.nn.functional.softplus(x),
    "softsign": lambda t, x: t.nn.functional.softsign(x),
}
BACKWARD: dict[str, Rival | None] = {
    "relu_grad": lambda t, c, y: t.ops.aten.threshold_backward(c, y, 0),
    "leaky_relu_grad": lambda t, c, x: t.ops.aten.leaky_relu_backward(c, x, 0.2, False),
    "elu_grad": lambda t, c, y: t.ops.aten.elu_backward(c, 1.0, 1.0, 1.0, True, y),
    "selu_grad": None,
    "gelu_grad": lambda t, c, x: t.ops.aten.gelu_backward(c, x, approximate="tanh"),
    "silu_grad": lambda t, c, x: t.ops.aten.silu_backward(c, x),
    "sigmoid_grad": lambda t, c, y: t.ops.aten.sigmoid_backward(c, y),
    "hard_sigmoid_grad": lambda t, c, x: t.ops.aten.hardsigmoid_backward(c, x),
    "tanh_grad": lambda t, c, y: t.ops.aten.tanh_backward(c, y),
    "softplus_grad": lambda t, c, x: t.ops.aten.softplus_backward(c, x, 1.0, 20.0),
    "softsign_grad": None,
}


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for label, shape in VECTORS.items():
        x, ct = normal(*shape), normal(*shape, seed=1)
        for name, rival in FORWARD.items():
            yield Case(name, label, (x,), traffic=2 * x.nbytes, torch=rival)
        for name, backward in BACKWARD.items():
            yield Case(name, label, (ct, x), traffic=3 * x.nbytes, torch=backward)
    for label, shape in MATRICES.items():
        x, ct = normal(*shape), normal(*shape, seed=1)
        yield Case(
            "softmax",
            label,
            (x,),
            traffic=2 * x.nbytes,
            torch=lambda t, x: t.softmax(x, -1),
        )
        yield Case(
            "log_softmax",
            label,
            (x,),
            traffic=2 * x.nbytes,
            torch=lambda t, x: t.log_softmax(x, -1),
        )
        yield Case(
            "softmax_grad",
            label,
            (ct, x),
            traffic=3 * x.nbytes,
            torch=lambda t, c, y: t.ops.aten._softmax_backward_data(c, y, -1, y.dtype),
        )
        yield Case(
            "log_softmax_grad",
            label,
            (ct, x),
            traffic=3 * x.nbytes,
            torch=lambda t, c, y: t.ops.aten._log_softmax_backward_data(
                c, y, -1, y.dtype
            ),
        )
