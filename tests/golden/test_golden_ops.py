"""`keras.ops` against values, dtypes and gradients of real Keras."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import (
    BINARY_DTYPE_OPS,
    OP_CASES,
    SCALARS,
    UNARY_DTYPE_OPS,
    binary_dtype_call,
    unary_dtype_call,
)
from loader import assert_close, load

import cnn_core as keras

GOLDEN = load("ops")


@pytest.mark.parametrize("name", OP_CASES)
def test_value(name):
    inputs = GOLDEN.series(f"{name}/input")
    outputs = runners.outputs_of(OP_CASES[name].call(keras, *inputs))
    dtypes = [runners.dtype_name(output) for output in outputs]
    assert dtypes == GOLDEN.meta["cases"][name]
    expected = GOLDEN.series(f"{name}/output")
    for actual, wanted in zip(outputs, expected, strict=True):
        assert_close(runners.to_numpy(keras, actual), wanted)


@pytest.mark.parametrize("name", [n for n, c in OP_CASES.items() if c.gradient])
def test_gradient(name):
    inputs = GOLDEN.series(f"{name}/input")
    floating = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def call(*values):
        merged = list(inputs)
        for i, value in zip(floating, values, strict=True):
            merged[i] = value
        return OP_CASES[name].call(keras, *merged)

    gradients = runners.tape_gradients(
        keras, call, [inputs[i] for i in floating], GOLDEN.series(f"{name}/cotangent")
    )
    expected = GOLDEN.series(f"{name}/gradient")
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_close(actual, wanted, "gradient")


def operand(kind):
    """A 2 by 2 tensor of ones of a dtype, or a Python number."""
    if kind in SCALARS:
        return SCALARS[kind]
    return keras.ops.convert_to_tensor(np.ones((2, 2)), dtype=kind)


@pytest.mark.parametrize("name", BINARY_DTYPE_OPS)
def test_dtype_of_two(name):
    expected = {k: v for k, v in GOLDEN.meta["binary"][name].items() if v != "error"}
    actual = {}
    for pair in expected:
        left, right = map(operand, pair.split(","))
        result = binary_dtype_call(keras, name, left, right)
        actual[pair] = runners.dtype_name(result)
    assert actual == expected


@pytest.mark.parametrize("name", UNARY_DTYPE_OPS)
def test_dtype_of_one(name):
    expected = {k: v for k, v in GOLDEN.meta["unary"][name].items() if v != "error"}
    actual = {}
    for dtype in expected:
        result = unary_dtype_call(keras, name, operand(dtype))
        actual[dtype] = runners.dtype_name(result)
    assert actual == expected
