"""What the tests of matrix products share: operands, and products inside a Program."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

# what each activation of a product is by itself
ACTIVATIONS = {
    "linear": lambda n, x: x,
    "relu": lambda n, x: n.relu(x),
    "leaky_relu": lambda n, x: n.leaky_relu(x),
    "elu": lambda n, x: n.elu(x),
    "selu": lambda n, x: n.selu(x),
    "gelu": lambda n, x: n.gelu(x, approximate=False),
    "gelu_tanh": lambda n, x: n.gelu(x),
    "silu": lambda n, x: n.silu(x),
    "sigmoid": lambda n, x: n.sigmoid(x),
    "hard_sigmoid": lambda n, x: n.hard_sigmoid(x),
    "tanh": lambda n, x: n.tanh(x),
    "softplus": lambda n, x: n.softplus(x),
    "softsign": lambda n, x: n.softsign(x),
    "exponential": lambda n, x: n.exp(x),
}


def make(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape, dtype=np.float32)


def operands(
    m: int, n: int, k: int, transpose_a: bool = False, transpose_b: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return a and b; the flags tell which is laid out transposed."""
    a, b = make(m, k, seed=1), make(k, n, seed=2)
    if transpose_a:
        a = np.ascontiguousarray(a.T)
    if transpose_b:
        b = np.ascontiguousarray(b.T)
    return a, b


def equal_bits(x: np.ndarray, y: np.ndarray) -> bool:
    same = x.dtype == y.dtype == np.float32 and x.shape == y.shape
    return same and x.tobytes() == y.tobytes()


def multiply_add(x: np.float32, y: np.float32, z: np.float32) -> np.float32:
    """Return x * y + z, rounded once, halves to even."""
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    guess = np.float32(float(exact))
    around = [
        guess,
        np.nextafter(guess, np.float32(-np.inf)),
        np.nextafter(guess, np.float32(np.inf)),
    ]
    return min(
        around,
        key=lambda f: (abs(Fraction(float(f)) - exact), int(f.view(np.uint32)) & 1),
    )


def run_program(
    native: ModuleType, c: np.ndarray, *inputs: np.ndarray, **keys: Any
) -> None:
    """Run one product c = a @ b; keyword places refer to the arrays behind a and b."""
    flips = keys.pop("flips", (False, False))
    m, n = c.shape
    k = inputs[0].shape[0 if flips[0] else 1]
    program = native.Program()
    program.matmul(m, n, k, (1, 0), flips[0], (2, 0), flips[1], (0, 0), **keys)
    for slot, x in enumerate((c, *inputs)):
        program.bind(slot, x)
    program.run(0, 1)


class Held:
    """What panels want of a variable."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self._version = 0


def packed_product(
    native: ModuleType,
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    transpose_b: bool = False,
    activation: str | None = None,
) -> np.ndarray:
    """A program multiplies by panels that are written before its only step."""
    (m, k), n = a.shape, b.shape[0 if transpose_b else 1]
    variable, like = Held(b), np.empty((m, n), np.float32)
    program = native.Program()
    number = program.matmul(
        m, n, k, (1, 0), False, (2, 0), transpose_b, (0, 0),
        None if bias is None else (4, 0), activation, held=(3, 0),
    )  # fmt: skip
    panels = native.Panels(variable, m, n, k, transpose_b)
    entry = (2, 3, panels, number, True)
    program.arguments([(variable, 2, False)], [entry], [], [], [((0, 0), like)])
    program.bind(0, np.full_like(like, np.nan))
    program.bind(1, a)
    if bias is not None:
        program.bind(4, bias)
    (c,) = program.run(0, 1)
    return c
