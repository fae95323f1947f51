"""Applying primitives: several outputs, what is recorded, errors."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core.graph import GradientTape, KerasTensor, Primitive, Tensor, apply
from cnn_core.graph.primitive import PRIMITIVES

_largest = Primitive(
    "test_largest",  # a float and an integer output
    lambda x: (np.asarray(x.max()), np.asarray(x.argmax())),
    lambda x: [((), x.dtype), ((), "int64")],
    lambda ct, out, x, needs: [
        Tensor(np.where(np.arange(x.size) == out[1]._array, ct[0]._array, 0))
    ],
)


def test_several_outputs():
    x = Tensor(np.array([1.0, 5.0, 2.0]))
    with GradientTape() as tape:
        tape.watch(x)
        value, index = apply(_largest, x)
    assert (float(value), int(index)) == (5.0, 1)
    assert index._node is None  # integers carry no gradient
    np.testing.assert_array_equal(tape.gradient(value, x), [0, 1, 0])


def test_several_symbolic_outputs():
    value, index = apply(_largest, KerasTensor((3,)))
    assert (value.dtype, index.dtype) == ("float32", "int64")


def test_names_are_unique():
    assert PRIMITIVES["test_largest"] is _largest
    with pytest.raises(ValueError, match="one named 'test_largest' already"):
        Primitive("test_largest", lambda x: x, lambda x: (x.shape, x.dtype))


def _refuse(x):
    raise ValueError("kernel says no")


_failing = Primitive("test_failing", _refuse, lambda x: (x.shape, x.dtype))
_ruled = Primitive("test_ruled", _refuse, lambda x: _infer_nothing(x))


def _infer_nothing(x):
    raise TypeError("ruled: expected something else")


def test_errors_of_kernels_and_of_shape_rules():
    x = Tensor(np.ones(2))
    with pytest.raises(ValueError, match=r"^test_failing: kernel says no$"):
        apply(_failing, x)
    with pytest.raises(TypeError, match=r"^ruled: expected something else$") as caught:
        apply(_ruled, x)
    assert caught.value.__suppress_context__


def test_a_primitive_without_vjp_is_not_recorded():
    flat = Primitive("test_flat", lambda x: x * 0, lambda x: (x.shape, x.dtype))
    x = Tensor(np.ones(2))
    with GradientTape() as tape:
        tape.watch(x)
        y = apply(flat, x)
    assert y._node is None
    assert tape.gradient(y, x) is None
