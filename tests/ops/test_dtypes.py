"""Result dtypes: those of Keras, the same with and without values, in every float."""

from __future__ import annotations

import numpy as np
import pytest
from op_call_cases import ALL_CALLS

from cnn_core import config, ops, tree
from cnn_core.graph import GradientTape, KerasTensor, inferring

UNARY = {
    "exp": "f32 f32 f32 f32 f16 f64",
    "floor": "f32 f32 f32 f32 f16 f64",
    "sqrt": "f32 f32 f32 f32 f16 f64",
    "sigmoid": "f32 f32 f32 f32 f16 f64",
    "mean": "f32 f32 f32 f32 f16 f64",
    "std": "f32 f32 f32 f32 f16 f64",
    "median": "f32 f32 f32 f32 f16 f64",
    "absolute": "bool u8 i8 i64 f16 f64",
    "square": "i32 u8 i8 i64 f16 f64",
    "relu": "bool u8 i8 i64 f16 f64",
    "round": "bool u8 i8 i64 f16 f64",
    "max": "bool u8 i8 i64 f16 f64",
    "sort": "bool u8 i8 i64 f16 f64",
    "cumsum": "i32 u8 i8 i64 f16 f64",
    "sum": "i32 u32 i32 i64 f16 f64",
    "prod": "i32 u32 i32 i64 f16 f64",
    "argmax": "i32 i32 i32 i32 i32 i32",
    "argsort": "i32 i32 i32 i32 i32 i32",
    "count_nonzero": "i32 i32 i32 i32 i32 i32",
    "isnan": "bool bool bool bool bool bool",
    "any": "bool bool bool bool bool bool",
    "logical_not": "bool bool bool bool bool bool",
}
LONG = {
    "bool": "bool",
    "u8": "uint8",
    "u32": "uint32",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
}


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name):
    inputs = ["bool", "u8", "i8", "i64", "f16", "f64"]
    for given, expected in zip(inputs, UNARY[name].split(), strict=True):
        x = ops.convert_to_tensor(np.ones((2, 2)), LONG[given])
        if (name, given) == ("round", "bool"):
            continue  # NumPy rounds no booleans
        assert getattr(ops, name)(x).dtype == LONG[expected], given
        with inferring():
            symbol = KerasTensor((2, 2), LONG[given])
            assert getattr(ops, name)(symbol).dtype == LONG[expected], given


# Their dtypes follow an attribute, or several operands.
MIXED = ("view", "meshgrid", "scan", "fori_loop", "cond")
FLOATING = [
    name
    for name, case in ALL_CALLS.items()
    if any(x.dtype == np.float32 for x in case.inputs)
    and name.partition("-")[0] not in MIXED
]


@pytest.mark.parametrize("name", FLOATING)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_floats_keep_their_width(name, dtype):
    """What gives float32 for float32 gives `dtype` for it, without a detour."""
    case = ALL_CALLS[name]
    inputs = [x.astype(dtype) if x.dtype == np.float32 else x for x in case.inputs]
    plain = tree.flatten(case.function(*map(ops.convert_to_tensor, case.inputs)))
    actual = tree.flatten(case.function(*map(ops.convert_to_tensor, inputs)))
    for single, result in zip(plain, actual, strict=True):
        assert result.dtype == (dtype if single.dtype == "float32" else single.dtype)
        if dtype == "float64" and not name.startswith(("argpartition", "svd", "qr")):
            np.testing.assert_allclose(
                np.asarray(result, "float64"), np.asarray(single), rtol=2e-4, atol=2e-5
            )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients_have_the_dtype_of_their_source(dtype):
    for name in (
        "sum-1",
        "matmul-0",
        "softmax-1",
        "norm-0",
        "std-2",
        "gelu-0",
        "clip-0",
    ):
        case = ALL_CALLS[name]
        inputs = [ops.convert_to_tensor(x.astype(dtype)) for x in case.inputs]
        with GradientTape() as tape:
            tape.watch(inputs)
            y = case.function(*inputs)
        for x, gradient in zip(inputs, tape.gradient(y, inputs), strict=True):
            assert gradient.dtype == dtype
            assert gradient.shape == x.shape


def test_floatx_decides_what_integers_become():
    config.set_floatx("float16")
    try:
        assert ops.exp([1, 2]).dtype == "float16"
        assert ops.divide(1, 2).dtype == "float16"
        assert ops.zeros(2).dtype == ops.one_hot([1], 2).dtype == "float16"
        assert ops.mean(np.int32([1, 2])).dtype == "float16"
    finally:
        config.set_floatx("float32")
