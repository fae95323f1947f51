"""Linear algebra against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, KerasTensor
from cnn_core.ops import linalg

RNG = np.random.default_rng(3)
A = RNG.normal(size=(2, 4, 3))
S = A.transpose(0, 2, 1) @ A + np.eye(3)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)


def test_systems():
    b = RNG.normal(size=(2, 3, 2))
    close(ops.inv(S), np.linalg.inv(S))
    close(ops.solve(S, b), np.linalg.solve(S, b))
    close(ops.solve(S, b[..., 0]), np.linalg.solve(S, b)[..., 0])
    lower = np.tril(S)
    close(ops.solve_triangular(S, b, lower=True), np.linalg.solve(lower, b))
    close(ops.solve_triangular(S, b), np.linalg.solve(np.triu(S), b))
    y = RNG.normal(size=4)
    close(ops.lstsq(A[0], y), np.linalg.lstsq(A[0], y, rcond=None)[0])
    close(ops.pinv(A), np.linalg.pinv(A))
    close(ops.matrix_rank(np.ones((2, 3, 3))), [1, 1])


def test_factorizations():
    factor = np.asarray(ops.cholesky(S))
    close(factor, np.linalg.cholesky(S))
    close(ops.cholesky(S, upper=True), np.swapaxes(factor, 1, 2))
    close(ops.cholesky_inverse(factor), np.linalg.inv(S))
    q, r = ops.qr(A)
    close(ops.matmul(q, r), A)
    close(r, np.triu(r))
    w, v = ops.eigh(S)
    close(ops.matmul(S, v), v * w[:, None, :])
    u, s, vh = ops.svd(A, full_matrices=False)
    close(ops.matmul(u * s[:, None, :], vh), A)
    assert [t.shape for t in ops.svd(A)] == [(2, 4, 4), (2, 3), (2, 3, 3)]


def test_determinants():
    close(ops.det(S), np.linalg.det(S))
    sign, logarithm = ops.slogdet(-S)
    close(sign, [-1, -1])
    close(logarithm, np.log(np.linalg.det(S)))
    close(ops.logdet(S), logarithm)


@pytest.mark.parametrize("ord", [None, 0, 1, 2, 3.5, np.inf, -np.inf, -2])
def test_vector_norms(ord):
    close(ops.norm(A, ord, axis=1), np.linalg.norm(A, ord, axis=1))
    close(ops.norm(A[0, 0], ord), np.linalg.norm(A[0, 0], ord))


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [(1, 2), (2, 1), (0, -1)])
def test_matrix_norms(ord, axis):
    for keepdims in (False, True):
        expected = np.linalg.norm(A, ord, axis, keepdims)
        close(ops.norm(A, ord, axis, keepdims), expected)


def test_norms_that_do_not_fit():
    with pytest.raises(ValueError, match=r"needs an axis"):
        ops.norm(A, 2)
    with pytest.raises(ValueError, match=r"norm of matrices"):
        ops.norm(A, "fro", axis=1)
    with pytest.raises(
        ValueError, match=r"Unknown matrix norm 'fra'; did you mean 'fro'"
    ):
        ops.norm(A, "fra", axis=(0, 1))
    close(ops.norm(A), np.linalg.norm(A.ravel()))


def test_normalize():
    close(ops.normalize([[3.0, 4.0], [0.0, 0.0]]), np.float32([[0.6, 0.8], [0, 0]]))
    close(ops.normalize(A, axis=0, order=1), A / np.abs(A).sum(0))
    x = ops.zeros((2,))
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.normalize(x)
    assert np.isfinite(np.asarray(tape.gradient(y, x))).all()
    with pytest.raises(ValueError, match=r"expected order >= 1"):
        ops.normalize(A, order=0.5)


def test_errors():
    with pytest.raises(ValueError, match=r"inv: [Ss]ingular"):
        ops.inv(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"cholesky: .*positive definite"):
        ops.cholesky(-np.eye(2))
    for x in (A, KerasTensor((2, 4, 3))):
        with pytest.raises(
            ValueError, match=r"inv: expected square matrices .*\(2, 4, 3"
        ):
            ops.inv(x)
    with pytest.raises(ValueError, match=r"det: expected matrices"):
        ops.det(np.ones(3))
    with pytest.raises(ValueError, match=r"solve: expected a of shape"):
        ops.solve(S, np.ones((3, 3, 3)))
    with pytest.raises(ValueError, match=r"mode"):
        ops.qr(A, mode="full")


def test_float16_and_the_namespace():
    assert ops.inv(np.eye(2, dtype="float16")).dtype == "float16"
    assert linalg.norm is ops.norm
    assert all(hasattr(linalg, name) for name in linalg.__all__)
