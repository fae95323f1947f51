"""Random arrays, and a comparison of programs with eager operations."""

from __future__ import annotations

import numpy as np

from cnn_core import ops
from cnn_core.graph.program import Spec, compile_function


def draw(rng, shape, dtype="float32"):
    """Return normal numbers, small whole ones, or truth values."""
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        return rng.normal(size=shape).astype(dtype)
    low = 0 if dtype.startswith("u") else -50
    return rng.integers(low, 50, shape).astype(dtype)


def check(function, *arrays, fallbacks=(), without=()):
    """Compare the bits of a program with those of eager, and see how it ran."""
    specs = [Spec(a.shape, a.dtype.name) for a in arrays]
    program = compile_function(function, *specs, without=without)
    expected = function(*[ops.convert_to_tensor(a) for a in arrays])
    result = program(*arrays)
    if not isinstance(expected, (list, tuple)):
        expected, result = [expected], [result]
    for a, b in zip(expected, result, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    assert set(program.lowering.fallbacks) == set(fallbacks)
