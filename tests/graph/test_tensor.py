"""Tensors: conversion, operators, promotion, indexing, exchange."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

from cnn_core import config, ops
from cnn_core.graph import KerasTensor, Tensor, Variable


def tensor(values, dtype="float32"):
    return ops.convert_to_tensor(np.array(values, dtype))


X = [[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]


# --- conversion ---


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int32"),
        (2**40, "int64"),
        (-(2**31), "int32"),
        (-(2**31) - 1, "int64"),
        (2.5, "float32"),
        ([1, 2], "int32"),
        ([1, 2**40], "int64"),
        ([-(2**63)], "int64"),
        ([1, 2.5], "float32"),
        ([[True], [False]], "bool"),
        ([], "float32"),
        ((1.0,), "float32"),
        (np.float64(2), "float64"),
        (np.int8(2), "int8"),
        (np.ones(2), "float64"),
        (np.arange(2), "int64"),
        (np.ones(2, "float16"), "float16"),
        ([np.float32(1)], "float32"),
        (range(3), "int32"),
    ],
)
def test_default_dtypes(value, dtype):
    t = ops.convert_to_tensor(value)
    assert t.dtype == dtype
    np.testing.assert_array_equal(np.asarray(t), np.asarray(value))


def test_floatx_is_the_default_float():
    config.set_floatx("float64")
    try:
        assert ops.convert_to_tensor(1.5).dtype == "float64"
        assert (ops.convert_to_tensor([1, 2]) * 0.5).dtype == "float64"
    finally:
        config.set_floatx("float32")


def test_explicit_dtypes():
    assert ops.convert_to_tensor(3, "float16").dtype == "float16"
    assert ops.convert_to_tensor([1.7], int).dtype == "int32"
    assert ops.convert_to_tensor(np.ones(2), np.float32).dtype == "float32"
    with pytest.raises(ValueError, match=r"did you mean 'float32'"):
        ops.convert_to_tensor(1, "float23")
    with pytest.raises(ValueError, match=r"300 is out of range for int8"):
        ops.convert_to_tensor(300, "int8")
    assert np.isinf(float(ops.convert_to_tensor(1e300, "float32")))


@pytest.mark.parametrize(
    "value",
    [None, "text", [None], object(), np.array(["a"]), 1j, np.array([1j]), {"a": 1}],
    ids=repr,
)
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match=r"expected real numbers or booleans, got"):
        ops.convert_to_tensor(value)


def test_ragged_lists():
    with pytest.raises(ValueError, match=r"convert_to_tensor: .*inhomogeneous"):
        ops.convert_to_tensor([[1, 2], [3]])


def test_lists_of_tensors_are_stacked():
    t = ops.convert_to_tensor([[tensor(1.0), 2.0], [3, Variable(4.0)]])
    np.testing.assert_array_equal(t, [[1.0, 2.0], [3.0, 4.0]])
    symbolic = ops.convert_to_tensor([KerasTensor((None, 2)), tensor([1.0, 2.0])[None]])
    assert symbolic.shape == (2, 1, 2)


def test_other_byte_orders_and_layouts():
    big = np.arange(6, dtype=">f4").reshape(2, 3)
    t = ops.convert_to_tensor(big)
    assert t.dtype == "float32"
    assert np.asarray(t).dtype.isnative
    np.testing.assert_array_equal(t, big)
    for array in (np.arange(12.0).reshape(3, 4).T, np.arange(12.0)[::-2]):
        t = ops.convert_to_tensor(array)
        assert np.asarray(t).flags.c_contiguous
        np.testing.assert_array_equal(t, array)


def test_tensors_do_not_change_with_the_callers_array():
    source = np.ones(3, "float32")
    views = [source, source[:2], memoryview(source), np.asarray(source).view(np.matrix)]
    tensors = [ops.convert_to_tensor(v) for v in views]
    source[:] = 9
    assert all(float(ops.max(t)) == 1.0 for t in tensors)


def test_arrays_from_tensors_cannot_change_them():
    t = tensor([1.0, 2.0])
    for array in (np.asarray(t), t.numpy()):
        with pytest.raises(ValueError, match=r"read-only"):
            array[0] = 9
    for array in (np.array(t), ops.convert_to_numpy(t), np.asarray(t, "float64")):
        array[0] = 9
    np.testing.assert_array_equal(t, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"without a copy"):
        t.__array__("float64", copy=False)


def test_pickle_and_copies():
    t = tensor(X)
    for twin in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), copy.copy(t)):
        assert twin.dtype == "float32"
        np.testing.assert_array_equal(twin, X)


def test_dlpack_out():
    t = tensor(X)
    array = np.from_dlpack(t)
    np.testing.assert_array_equal(array, X)
    writable = np.from_dlpack(t, copy=True)
    writable[0] = 9
    np.testing.assert_array_equal(t, X)


def test_dlpack_in():
    class OnlyDLPack:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    source = np.float32([1, 2])
    t = ops.convert_to_tensor(OnlyDLPack(source))
    source[0] = 9
    np.testing.assert_array_equal(t, [1.0, 2.0])


def test_torch_both_ways():
    torch = pytest.importorskip("torch")
    there = torch.from_dlpack(tensor(X))
    there[0, 0] = 9
    back = ops.convert_to_tensor(torch.arange(3.0))
    np.testing.assert_array_equal(back, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(
        tensor([1.0] * 3) + torch.arange(3.0), [1.0, 2.0, 3.0]
    )


def test_python_numbers():
    assert float(tensor(1.5)) == 1.5
    assert int(tensor([[7.9]])) == 7
    assert bool(tensor([0.0])) is False
    assert [10, 20, 30][tensor(1, "int32")] == 20
    assert tensor(2.5).item() == 2.5
    assert tensor(X).tolist() == X
    assert f"{tensor(1.234):.2f}" == "1.23"
    assert f"{tensor([1.0])}" == "[1.]"
    for use in (float, int, bool):
        with pytest.raises(ValueError, match=r"one element.* got shape \(2,\)"):
            use(tensor([1.0, 2.0]))
        with pytest.raises(ValueError, match=r"one element.* got shape \(0,\)"):
            use(tensor([]))
    with pytest.raises(TypeError):
        operator.index(tensor(1.5))


def test_length_and_iteration():
    t = tensor(X)
    assert len(t) == 2
    assert [row.shape for row in t] == [(3,), (3,)]
    _, second = t
    np.testing.assert_array_equal(second, X[1])
    for use in (len, iter):
        with pytest.raises(TypeError, match=r"without dimensions"):
            use(tensor(1.0))


def test_attributes():
    t = tensor(X)
    assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, "float32")
    np.testing.assert_array_equal(t.T, np.array(X).T)
    assert t.reshape(3, 2).shape == t.reshape((3, -1)).shape == (3, 2)
    assert t.astype("int8").dtype == "int8"
    assert repr(tensor([1.0])) == "Tensor([1.], shape=(1,), dtype=float32)"
    assert len({t, t, tensor(X)}) == 2


# --- operators ---

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
    operator.eq,
    operator.ne,
]


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("wrap", [tensor, Variable, np.float32], ids="tvn")
def test_operators_on_either_side(function, wrap):
    a, b = np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([2, 5, 3])
    expected = function(a, b)
    for x, y in ((tensor(a), wrap(b)), (wrap(a), tensor(b))):
        result = function(x, y)
        assert isinstance(result, Tensor)
        assert result.dtype == expected.dtype.name
        np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("scalar", [2, 2.0, np.float32(2), np.float64(2), np.int64(2)])
def test_operators_with_scalars(function, scalar):
    a = np.float32([1, 2, 3])
    for x, y, expected in (
        (tensor(a), scalar, function(a, np.float32(2))),
        (scalar, tensor(a), function(np.float32(2), a)),
    ):
        result = function(x, y)
        assert isinstance(result, Tensor)
        assert result.dtype == expected.dtype.name
        np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_matrix_products():
    a = np.float32(X)
    for x, y in ((tensor(a), a.T), (a, tensor(a.T)), (tensor(a), tensor(a.T))):
        assert isinstance(x @ y, Tensor)
        np.testing.assert_allclose(x @ y, a @ a.T)
    np.testing.assert_allclose(tensor(a) @ [1.0, 2.0, 3.0], a @ [1, 2, 3])


def test_unary_operators():
    a = np.float32(X)
    np.testing.assert_array_equal(-tensor(a), -a)
    np.testing.assert_array_equal(abs(tensor(a)), abs(a))
    np.testing.assert_array_equal(round(tensor(a * 0.37), 1), (a * 0.37).round(1))


def test_logical_and_bitwise_operators():
    t, f = tensor([True, True, False], bool), tensor([True, False, False], bool)
    np.testing.assert_array_equal(t & f, [True, False, False])
    np.testing.assert_array_equal(t | f, [True, True, False])
    np.testing.assert_array_equal(t ^ f, [False, True, False])
    np.testing.assert_array_equal(~t, [False, False, True])
    np.testing.assert_array_equal(True & t, t)
    six = tensor([6, 5], "int32")
    np.testing.assert_array_equal(six & 3, [2, 1])
    np.testing.assert_array_equal(3 | six, [7, 7])
    np.testing.assert_array_equal(six ^ 1, [7, 4])
    np.testing.assert_array_equal(~six, [-7, -6])
    with pytest.raises(TypeError, match=r"bitwise_and: expected integers or booleans"):
        tensor([1.0]) & tensor([1.0])


def test_in_place_operators_make_new_tensors():
    t = before = tensor([1.0])
    t += 1
    np.testing.assert_array_equal(before, [1.0])
    np.testing.assert_array_equal(t, [2.0])


def test_operands_of_other_kinds():
    t = tensor([1.0])
    for function in (operator.add, operator.mul, operator.lt, operator.matmul):
        for other in (None, "text", {}, object()):
            with pytest.raises(TypeError):
                function(t, other)
    assert (t == None) is False  # noqa: E711
    assert (t != "text") is True
    assert t not in [None, "text"]


def test_broadcasting_that_fails_names_the_operation():
    with pytest.raises(ValueError, match=r"add: shapes \(2,\) and \(3,\) do not broad"):
        tensor([1.0, 2.0]) + tensor([1.0, 2.0, 3.0])


# --- weak types and promotion ---


@pytest.mark.parametrize(
    ("dtype", "scalar", "expected"),
    [
        ("float16", 2, "float16"),
        ("float16", 2.5, "float16"),
        ("float16", True, "float16"),
        ("float64", 2.5, "float64"),
        ("int8", 2, "int8"),
        ("uint8", 2, "uint8"),
        ("int64", 2, "int64"),
        ("int64", 2.5, "float32"),
        ("int32", True, "int32"),
        ("bool", 2, "int32"),
        ("bool", 2.5, "float32"),
        ("bool", True, "bool"),
        ("float32", np.float64(2), "float32"),
        ("float16", np.float32(2), "float16"),
        ("int32", np.int64(2), "int32"),
        ("int32", np.float64(2), "float32"),
    ],
)
def test_scalars_are_weak(dtype, scalar, expected):
    t = tensor([1, 0], dtype)
    assert (t * scalar).dtype == expected
    assert (scalar * t).dtype == expected
    assert ops.where([True, False], t, scalar).dtype == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("bool", "int8", "int8"),
        ("uint8", "int8", "int16"),
        ("uint32", "int32", "int64"),
        ("uint64", "int64", "float32"),
        ("int64", "float16", "float16"),
        ("int32", "float32", "float32"),
        ("float16", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("int8", "uint64", "float32"),
    ],
)
def test_arrays_are_promoted(a, b, expected):
    for x, y in ((a, b), (b, a)):
        assert (tensor([1], x) + tensor([1], y)).dtype == expected
        assert (tensor([1], x) + np.array([1], y)).dtype == expected


def test_scalars_alone():
    assert ops.add(1, 2).dtype == "int32"
    assert ops.add(1, 2.0).dtype == "float32"
    assert ops.add(True, 1).dtype == "int32"
    assert ops.add(np.float64(1), 1).dtype == "float32"


def test_integers_that_do_not_fit():
    with pytest.raises(ValueError, match=r"1000 is out of range for uint8"):
        tensor([1], "uint8") + 1000
    with pytest.raises(ValueError, match=r"-1 is out of range for uint8"):
        tensor([1], "uint8") * -1


# --- indexing ---


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(1),
        (1, -2),
        slice(None, None, -1),
        (slice(0, 1), slice(None), 2),
        Ellipsis,
        (Ellipsis, 1),
        (None, 1, None),
        [0, 1, 1],
        np.array([[1, 0]]),
        (slice(None), [0, 2]),
        (0, slice(None), [0, 2]),
        ([0, 1], [1, 2]),
        ([0, 1], slice(None), [1, 2]),
        (slice(None), [0, 1], None, [1, 2]),
        (slice(None), [0, 1], 2),
        np.array([True, False]),
        (slice(None), np.array([True, False, True])),
        np.ones((2, 3), bool),
        (1, np.array([True, False, True])),
        [],
        (),
        True,
    ],
    ids=repr,
)
def test_indexing_as_numpy(key):
    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    expected = array[np.array(key, int) if isinstance(key, list) else key]
    np.testing.assert_array_equal(tensor(array)[key], expected)
    symbolic = KerasTensor((2, 3, 4))[key]
    assert symbolic.shape == expected.shape


def test_indexing_with_tensors():
    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    t, i = tensor(array), tensor([2, 0], "int32")
    np.testing.assert_array_equal(t[:, i], array[:, [2, 0]])
    np.testing.assert_array_equal(t[..., i], array[..., [2, 0]])
    np.testing.assert_array_equal(t[..., i, :], array[..., [2, 0], :])
    np.testing.assert_array_equal(t[None, :, i], array[None, :, [2, 0]])
    np.testing.assert_array_equal(t[tensor(1, "int32")], array[1])
    np.testing.assert_array_equal(t[0, i], array[0, [2, 0]])
    np.testing.assert_array_equal(t[t > 5], array[array > 5])
    np.testing.assert_array_equal(t[:, i, Variable([1, 3])], array[:, [2, 0], [1, 3]])
    np.testing.assert_array_equal(t[1 : tensor(2, "int32")], array[1:2])
    assert KerasTensor((None, 3, 4))[:, KerasTensor((None, 5), "int32")].shape == (
        *(None, None, 5, 4),
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (5, r"getitem: index 5 is out of range .* size 2 of shape \(2, 3\)"),
        ((0, -4), r"index -4 is out of range .* size 3"),
        ([0, 7], "index 7 is out of range"),
        ((0, 0, 0), r"too many indices for shape \(2, 3\), got 3"),
        (np.array([True] * 3), r"boolean index of shape \(3,\) does not fit"),
        (1.5, "getitem: expected integers, slices"),
        ("a", "getitem: expected integers, slices"),
    ],
)
def test_bad_indices(key, message):
    for x in (tensor(X), KerasTensor((2, 3))):
        with pytest.raises(IndexError, match=message):
            x[key]


def test_empty_and_scalar_tensors():
    empty = tensor(np.zeros((0, 3)))
    assert (empty + 1).shape == (0, 3)
    assert ops.sum(empty, axis=0).tolist() == [0.0, 0.0, 0.0]
    assert ops.matmul(empty, ops.ones((3, 2))).shape == (0, 2)
    assert ops.matmul(ops.ones((2, 0)), ops.ones((0, 4))).tolist() == [[0.0] * 4] * 2
    assert ops.concatenate([empty, empty]).shape == (0, 3)
    assert ops.sort(empty).shape == (0, 3)
    scalar = tensor(4.0)
    assert ops.sqrt(scalar).shape == ()
    assert scalar[None].shape == (1,)
    assert scalar[...].shape == ()


def test_symbolic_tensors_have_no_values():
    x = KerasTensor((2, 3))
    for use in (np.asarray, bool, float, int, iter, len, operator.index):
        with pytest.raises(TypeError, match=r"symbolic KerasTensor has no values"):
            use(x)
    assert x.T.shape == x.reshape(3, -1).shape == (3, 2)
    assert x.astype("int32").dtype == "int32"
    assert KerasTensor((1, 3)).squeeze(0).shape == (3,)
    assert "shape=(2, 3), dtype=float32" in repr(x)
    assert (x + np.ones(3)).shape == (np.ones(3) + x).shape == (2, 3)
    assert (x == x) is True
