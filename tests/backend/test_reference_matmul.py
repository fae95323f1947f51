"""Reference matmul: batches, transposition, epilogues, errors."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core.backend import reference

ACTIVATIONS = {
    "relu": reference.relu,
    "leaky_relu": reference.leaky_relu,
    "elu": reference.elu,
    "selu": reference.selu,
    "gelu": lambda x: reference.gelu(x, approximate=False),
    "gelu_tanh": reference.gelu,
    "silu": reference.silu,
    "sigmoid": reference.sigmoid,
    "hard_sigmoid": reference.hard_sigmoid,
    "tanh": reference.tanh,
    "softplus": reference.softplus,
    "softsign": reference.softsign,
    "exponential": reference.exp,
}


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize(
    ("batch_a", "batch_b", "batch"),
    [
        ((), (), ()),
        ((2,), (2,), (2,)),
        ((2,), (), (2,)),
        ((), (3,), (3,)),
        ((4, 1), (3,), (4, 3)),
    ],
)
def test_batches_and_transposition(
    batch_a, batch_b, batch, transpose_a, transpose_b, rng
):
    m, k, n = 5, 3, 4
    a, b = rng.normal(size=(*batch_a, m, k)), rng.normal(size=(*batch_b, k, n))
    expected = np.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)
    left = np.swapaxes(a, -1, -2).copy() if transpose_a else a
    right = np.swapaxes(b, -1, -2).copy() if transpose_b else b
    result = reference.matmul(
        left, right, transpose_a=transpose_a, transpose_b=transpose_b
    )
    assert result.shape == (*batch, m, n)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", [None, "linear", *ACTIVATIONS])
def test_epilogue(activation, rng):
    a, b, bias = rng.normal(size=(6, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
    plain = a @ b + bias
    expected = ACTIVATIONS[activation](plain) if activation in ACTIVATIONS else plain
    result = reference.matmul(a, b, bias, activation=activation)
    np.testing.assert_allclose(result, expected, rtol=1e-13)
    single = reference.matmul(
        a.astype("float32"), b.astype("float32"), bias.astype("float32"), False, False,
        activation,
    )  # fmt: skip
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5)


def test_zero_sizes():
    a, b = np.zeros((2, 0), "float32"), np.zeros((0, 3), "float32")
    np.testing.assert_array_equal(reference.matmul(a, b), np.zeros((2, 3)))
    bias = np.float32([-1, 0, 1])
    np.testing.assert_array_equal(
        reference.matmul(a, b, bias, activation="relu"), [[0, 0, 1], [0, 0, 1]]
    )
    assert reference.matmul(b, np.zeros((3, 4), "float32")).shape == (0, 4)


def test_integers_and_infinities():
    a = np.array([[1, 2]], dtype="int32")
    assert reference.matmul(a, a, transpose_b=True).dtype == np.int32
    assert reference.matmul(a, a, transpose_b=True)[0, 0] == 5
    flags = np.array([[True, False]])
    assert reference.matmul(flags, flags, transpose_b=True).dtype == np.bool_
    infinite = np.array([[np.inf, -np.inf]], dtype="float32")
    assert np.isnan(reference.matmul(infinite, np.ones((2, 1), "float32")))[0, 0]


def test_inputs_stay(rng):
    arrays = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    copies = [a.copy() for a in arrays]
    reference.matmul(*arrays, activation="relu")
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_errors():
    a = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        reference.matmul(a, a)
    with pytest.raises(ValueError, match="at least 2"):
        reference.matmul(a, np.zeros(3))
    with pytest.raises(ValueError, match=r"bias.*\(3,\).*\(4,\)"):
        reference.matmul(a, a, np.zeros(4), transpose_a=True)
    with pytest.raises(ValueError, match="sigmoid"):
        reference.matmul(a, a, transpose_a=True, activation="sigmoyd")


def test_bias(rng):
    x, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=4)
    np.testing.assert_array_equal(reference.bias_add(x, bias), x + bias)
    np.testing.assert_allclose(
        reference.bias_gradient(x), x.reshape(-1, 4).sum(0), rtol=1e-13
    )
    np.testing.assert_array_equal(reference.bias_gradient(bias), bias)
    assert reference.bias_gradient(np.ones((2, 3), "float32")).dtype == np.float32
    np.testing.assert_array_equal(reference.bias_gradient(np.zeros((0, 2))), [0, 0])
    for wrong in (np.zeros(3), np.zeros((1, 4)), np.zeros(())):
        with pytest.raises(ValueError, match="bias_add"):
            reference.bias_add(x, wrong)
    with pytest.raises(ValueError, match="bias_add"):
        reference.bias_add(np.zeros(()), np.zeros(()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_by_projection(activation, rng):
    from_input = activation in {
        "leaky_relu", "gelu", "gelu_tanh", "silu", "hard_sigmoid", "softplus",
        "softsign",
    }  # fmt: skip
    ct, kernel = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    x, direction = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    function, step = ACTIVATIONS[activation], 1e-6
    saved = x if from_input else function(x)
    gradient = reference.matmul_grad(ct, kernel, saved, activation, transpose_b=True)
    slope = function(x + step * direction) - function(x - step * direction)
    expected = np.sum((ct @ kernel.T) * slope) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-7)


def test_gradient_parameters_and_errors(rng):
    a, b, saved = (
        rng.normal(size=(6, 3)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(6, 4)),
    )
    for name in ("leaky_relu", "elu"):
        gradient = getattr(reference, f"{name}_grad")
        for parameter in (None, 0.6):
            expected = gradient(a @ b, saved, *([parameter] if parameter else []))
            result = reference.matmul_grad(a, b, saved, name, parameter)
            np.testing.assert_allclose(result, expected, rtol=1e-13)
    np.testing.assert_allclose(reference.matmul_grad(a, b, saved, "linear"), a @ b)
    with pytest.raises(ValueError, match="tanh"):
        reference.matmul_grad(a, b, saved, "tahn")
    with pytest.raises(ValueError, match=r"\(6, 4\)"):
        reference.matmul_grad(a, b, saved[:5], "tanh")


@pytest.mark.parametrize("transpose_b", [False, True])
def test_product_with_bias_gradient(transpose_b, rng):
    x, ct = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))
    product, sums = reference.matmul_bias_gradient(
        x, ct.T.copy() if transpose_b else ct, True, transpose_b
    )
    np.testing.assert_allclose(product, x.T @ ct, rtol=1e-13)
    np.testing.assert_allclose(sums, ct.sum(axis=0), rtol=1e-13)
    with pytest.raises(ValueError, match="two matrices"):
        reference.matmul_bias_gradient(x[None], ct, True)
