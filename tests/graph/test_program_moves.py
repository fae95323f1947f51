"""Instructions that move elements or work on all types have the bits of eager."""

from __future__ import annotations

import numpy as np
import pytest
from program_checks import check
from program_checks import draw as random_array

from cnn_core import backend, ops
from cnn_core.graph import GradientTape, Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.backend import reference
from cnn_core.backend.compiled import native
from cnn_core.graph.program import Spec, compile_function

RNG = np.random.default_rng(11)
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -2.5, 0.5, 2.5, -0.3, 1e30, -1e-30]


def draw(shape, dtype="float32"):
    return random_array(RNG, shape, dtype)


DTYPES = ["float32", "float64", "int32", "uint8", "bool", "int16"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "move",
    [
        lambda x: ops.transpose(x),
        lambda x: ops.transpose(x, (1, 0, 2)),
        lambda x: ops.transpose(x, (2, 0, 1)),
        lambda x: ops.flip(x),
        lambda x: ops.flip(x, 1),
        lambda x: x[1],
        lambda x: x[1, 2, 3],
        lambda x: x[..., -1],
        lambda x: x[:, None, ::2, 5:1:-2],
        lambda x: x[1:, -2:],
        lambda x: ops.concatenate([x, x[:, :2], x], axis=1),
        lambda x: ops.concatenate([x, x[..., ::-1]], axis=-1),
        lambda x: ops.stack([x, x], axis=2),
        lambda x: ops.split(x, 3),
        lambda x: ops.unstack(x, axis=1),
        lambda x: ops.broadcast_to(x[:, :1, :], (2, 3, 5, 7)),
        lambda x: ops.tile(x, (2, 1, 3)),
        lambda x: ops.pad(x, ((1, 0), (0, 2), (3, 1))),
        lambda x: ops.roll(x, 2, axis=2),
        lambda x: ops.roll(x, (-1, 9, 0), axis=(0, 2, 1)),
        lambda x: ops.roll(x, 4),
        lambda x: ops.slice_update(x, (1, 0, 2), x[:2, :3, :4]),
        lambda x: ops.repeat(x, 3, axis=1),
    ],
)
def test_moves(move, dtype):
    check(move, draw((3, 5, 7), dtype))


@pytest.mark.parametrize("shape", [(300, 200), (17, 33), (1, 70), (64, 48, 20)])
def test_transposes_larger_than_a_tile_and_a_thread(shape):
    check(ops.transpose, draw(shape))
    order = (1, 0, 2)[: len(shape)]
    check(lambda x: ops.transpose(x, order), draw(shape))


def test_many_axes():
    x = draw((2, 1, 3, 2, 1, 2, 2, 3))
    check(lambda t: ops.transpose(t, (7, 5, 3, 0, 2, 1, 4, 6)), x)
    check(lambda t: t[:, :, ::2, :, :, ::-1], x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[1:, ::2],
        lambda x: x[0],
        lambda x: x[..., 3:0:-1],
        lambda x: ops.concatenate([x, x * 2], axis=1),
        lambda x: ops.stack([x, x * 3], axis=0),
        lambda x: ops.split(x, 2, axis=1)[0],
        lambda x: ops.pad(x, ((1, 2), (0, 3))),
        lambda x: ops.transpose(x),
    ],
)
def test_gradients_of_moves(function):
    variable = Variable(draw((3, 6)))

    def traced(x):
        with GradientTape() as tape:
            y = function(x * variable)
            loss = ops.sum(y * y)
        return tape.gradient(loss, variable)

    check(traced, draw((3, 6)))


def test_indices_with_arrays_run_in_python():
    check(lambda x: x[[2, 0, 2]], draw((4, 3)), fallbacks=["getitem"])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("to", ["float32", "int32", "bool", "float64"])
def test_one_hot(dtype, to):
    labels = np.array([[0, 1, 3], [4, 5, 1]]).astype(dtype)
    check(lambda x: ops.one_hot(x, 4, dtype=to), labels)


def test_labels_outside_have_no_one():
    check(lambda x: ops.one_hot(x, 3), np.array([-1, 0, 3, 2**40]))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "uint32"])
@pytest.mark.parametrize("shapes", [((4, 6), (4, 6)), ((4, 6), ()), ((4, 1), (1, 6))])
@pytest.mark.parametrize(
    "name",
    ["add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "mod"]
    + ["equal", "less", "greater_equal", "logical_and", "logical_xor"],
)
def test_arithmetic_of_integers(name, dtype, shapes):
    a, b = (draw(shape, dtype) for shape in shapes)
    check(getattr(ops, name), a, b)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_quotients_at_the_limits(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    a = np.array([low, low, 7, -7, 7, -7, 0, high, 5], dtype)
    b = np.array([-1, 1, 3, 3, -3, -3, 0, -1, 0], dtype)
    check(ops.floor_divide, a, b)
    check(ops.mod, a, b)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
@pytest.mark.parametrize("name", ["sign", "negative", "absolute", "square"])
def test_functions_of_integers(name, dtype):
    x = draw((5, 6), dtype)
    x[0, 0] = np.iinfo(dtype).min
    check(getattr(ops, name), x)


@pytest.mark.parametrize(
    "name",
    ["isnan", "isinf", "isfinite", "floor", "ceil", "round", "sign", "logical_not"],
)
def test_functions_of_special_floats(name):
    check(getattr(ops, name), np.array(SPECIAL, "float32"))


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_operands_are_widened(dtype):
    a, b, c = draw((4, 1), dtype), draw((6,), dtype), draw((4, 6), "bool")
    check(ops.where, c, a, b)
    check(ops.where, c[:1], a, b)
    check(ops.less, a, b)
    check(ops.logical_or, a, b)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "less"])
@pytest.mark.parametrize("shapes", [((4, 6), (4, 6)), ((4, 6), ()), ((4, 1), (1, 6))])
def test_arithmetic_of_doubles(name, shapes):
    check(getattr(ops, name), *(draw(shape, "float64") for shape in shapes))
    special = np.array([*SPECIAL, -np.nan])
    with np.errstate(all="ignore"):
        check(getattr(ops, name), special[:, None], special)


@pytest.mark.parametrize(
    "name",
    ["negative", "absolute", "square", "sqrt", "rsqrt", "reciprocal", "sign", "floor"]
    + ["ceil", "round", "isnan", "isinf", "isfinite", "logical_not"],
)
def test_functions_of_doubles(name):
    check(getattr(ops, name), np.array([*SPECIAL, -np.nan]))
    check(getattr(ops, name), draw((7, 9), "float64"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["floor_divide", "mod"])
def test_quotients_of_floats(name, dtype):
    a, b = draw((60, 1), dtype) * 20, draw((50,), dtype)
    check(getattr(ops, name), a, b)
    check(getattr(ops, name), np.round(a), np.round(b * 4) / 2)
    special = np.array(SPECIAL, dtype)
    check(getattr(ops, name), special[:, None], special)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [-2, 0, 1, 9])
@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangles(name, k, dtype):
    x = draw((3, 4, 6), dtype)
    check(lambda t: getattr(ops, name)(t, k), x)
    check(lambda t: getattr(ops, name)(t[0], k), x)


# --- powers ---------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -1.0, -0.5, 0.0, 1.7, np.nan])
def test_powers_have_the_bits_of_eager(exponent):
    x = np.concatenate([draw(5000), np.array(SPECIAL, "float32")])
    number = np.float32(exponent)
    check(lambda t: ops.power(t, ops.convert_to_tensor(number)), x)
    check(lambda t: ops.power(ops.convert_to_tensor(number), t), x)
    check(ops.power, x, np.full_like(x, exponent))
    result = backend.power(x, np.array(number))
    with np.errstate(all="ignore"):
        wide = np.full(x.shape, float(number))  # NumPy has shortcuts for single numbers
        exact = np.power(x.astype("float64"), wide).astype("float32")
    np.testing.assert_allclose(result, exact, rtol=1.2e-7, atol=0)
    each = [backend.power(x[i : i + 1], np.array(number)) for i in range(0, 5000, 997)]
    assert np.array_equal(np.concatenate(each), result[:5000:997], equal_nan=True)
    if exponent == 2:
        with np.errstate(all="ignore"):
            assert np.array_equal(result, x * x, equal_nan=True)


def test_powers_of_any_layout():
    x = draw((6, 8))[:, ::2]
    y = np.abs(draw((4, 6))).T
    assert np.array_equal(backend.power(y, x), backend.power(y.copy(), x.copy()))
    wide = backend.power(y[:, :1].copy(), x[:1].copy())
    np.testing.assert_allclose(wide, np.power(y[:, :1], x[:1]), rtol=2e-7)
    one = backend.power(np.ones((1, 1), "float32"), draw(3))
    assert one.shape == (1, 3)
    assert backend.power(draw((0, 3)), np.array(2, "float32")).shape == (0, 3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_powers_and_copies_do_not_depend_on_threads(threads):
    x, before = np.abs(draw((400, 300))), native.num_threads()
    expected = backend.power(x, np.array(1.3, "float32"))
    try:
        native.set_num_threads(threads)
        result = backend.power(x, np.array(1.3, "float32"))
        check(lambda t: ops.transpose(t, (1, 0)), x)
        check(lambda t: ops.where(t > 1, t, 0.0) ** 1.3, x)
        check(lambda t: ops.cast(t * 9, "int32"), x)
    finally:
        native.set_num_threads(before)
    assert np.array_equal(result, expected)


# --- rows by number -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take(axis, dtype):
    x = draw((3, 5, 7), dtype)
    size = x.size if axis is None else x.shape[axis]
    for kind, shape in (("int32", (4, 2)), ("int64", (9,)), ("int8", ()), ("uint8", 3)):
        low = 0 if kind == "uint8" else -size
        indices = RNG.integers(max(low, -128), min(size, 127), shape).astype(kind)
        check(lambda x, i: ops.take(x, i, axis), x, np.asarray(indices))
    check(lambda x: ops.take(x, [[0, -1]], axis), x)  # known in advance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradient_of_take(axis, dtype):
    x = Variable(draw((6, 5, 40), dtype))
    indices = RNG.integers(-5, 5, (30, 2))
    weights = draw((*x.shape[:axis], 30, 2, *x.shape[axis + 1 :]), dtype)

    def gradient(indices, weights):
        with GradientTape() as tape:
            y = ops.sum(ops.multiply(ops.take(x, indices, axis), weights))
        return tape.gradient(y, x)

    check(gradient, indices, weights)
    given = (weights, indices, axis, x.shape)
    expected = reference.take_adjoint(*given)
    assert backend.take_adjoint(*given).tobytes() == expected.tobytes()
    turned = (weights.T.copy().T, indices.T.copy().T, axis, x.shape)
    assert backend.take_adjoint(*turned).tobytes() == expected.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_tables_do_not_depend_on_threads(threads):
    table, indices = draw((2000, 96)), RNG.integers(0, 300, (64, 50))
    ct = draw((64, 50, 96))
    expected = np.zeros_like(table)
    np.add.at(expected, indices, ct)
    before = native.num_threads()
    try:
        native.set_num_threads(threads)
        assert np.array_equal(backend.take(table, indices, 0), table[indices])
        adjoint = backend.take_adjoint(ct, indices, 0, table.shape)
        check(lambda x, i: ops.take(x, i, 0), table, indices)
    finally:
        native.set_num_threads(before)
    assert adjoint.tobytes() == expected.tobytes()


def test_indices_out_of_range_change_nothing():
    table, calls = Variable(draw((4, 3))), Variable(np.zeros((), "int32"))

    def step(indices, late):
        with GradientTape() as tape:
            rows = ops.take(table, indices, 0)
            loss = ops.sum(rows * rows)
        gradient = tape.gradient(loss, table)
        if late:
            calls.assign_add(1)
            rows = ops.take(rows, indices, 0)
        table.assign_sub(0.5 * gradient)
        return rows

    for late in (False, True):
        program = compile_function(
            lambda i, late=late: step(i, late), Spec((4,), "int64")
        )
        assert bool(program.lowering.at_risk) is late  # else nothing is kept
        assert not program.lowering.fallbacks
        before = np.array(table)
        with pytest.raises(IndexError, match="take: index 4 is out of bounds"):
            program(np.array([0, 4, 1, 2]))
        assert np.array_equal(table, before)
        assert int(calls) == 0
        program(np.array([0, -4, 3, 0]))
    assert np.array_equal(table.numpy()[1:3], before[1:3])


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint32", "float64", "uint8"])
@pytest.mark.parametrize("shape", [(6,), (4, 100), (3, 5, 9), (2, 3000), (70, 2, 3)])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_orders(axis, shape, dtype):
    x = draw(shape, dtype)
    x.flat[:: 2 if dtype == "float32" else 3] = x.flat[0]  # equal ones keep their order
    if dtype == "float32":
        x.flat[: min(x.size, 40)] = (SPECIAL * 4)[: min(x.size, 40)]
        x.flat[1] = -np.nan
    fallbacks = [] if dtype in ("float32", "int32", "uint32") else ["argsort"]
    check(lambda t: ops.argsort(t, axis), x, fallbacks=fallbacks)
    check(lambda t: ops.sort(t, axis), x, fallbacks=fallbacks)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_take_along_axis(axis, dtype):
    x = draw((4, 5, 6), dtype)
    for kind, count in (("int32", 3), ("int64", 1), ("int8", 9)):
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        indices = RNG.integers(-x.shape[axis], x.shape[axis], shape).astype(kind)
        check(lambda x, i: ops.take_along_axis(x, i, axis), x, indices)
        check(lambda x, i: ops.take_along_axis(x, i[:1], axis), x, indices)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradient_of_take_along_axis(axis, dtype):
    x = Variable(draw((4, 5, 6), dtype))
    shape = (*x.shape[:axis], 40, *x.shape[axis + 1 :])
    indices = RNG.integers(-x.shape[axis], x.shape[axis], shape)

    def gradient(indices, weights):
        with GradientTape() as tape:
            y = ops.sum(ops.multiply(ops.take_along_axis(x, indices, axis), weights))
        return tape.gradient(y, x)

    check(gradient, indices, draw(shape, dtype))
    turned = np.asfortranarray(indices)
    with GradientTape() as tape:
        y = ops.sum(ops.take_along_axis(x, turned, axis))
    assert np.asarray(tape.gradient(y, x)).sum() == indices.size


def test_an_index_out_of_range_along_an_axis():
    program = compile_function(
        lambda x, i: ops.take_along_axis(x, i, 1),
        Spec((2, 3), "float32"),
        Spec((2, 1), "int32"),
    )
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=r"take_along_axis: index .* is out of"):
            program(draw((2, 3)), np.array([[0], [wrong]], "int32"))


def test_the_reference_of_the_adjoint_adds_twice():
    ct = np.array([[1.0], [2.0], [4.0]], "float32")
    for take_adjoint in (backend.take_adjoint, reference.take_adjoint):
        result = take_adjoint(ct, np.array([2, 0, -1]), 0, (3, 1))
        assert result.tolist() == [[2], [0], [5]]
        whole = take_adjoint(ct.astype("int32"), np.array([2, 0, -1]), 0, (3, 1))
        assert whole.tolist() == [[2], [0], [5]]
        with pytest.raises(IndexError):
            take_adjoint(ct, np.array([0, 1, 3]), 0, (3, 1))
