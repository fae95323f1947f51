"""Linear algebra: norms, factorizations and the solution of linear systems."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config, shapes
from ..graph import Primitive, apply, per_argument
from . import diagonals, elementwise, reductions, shaping
from ._op import op
from .core import jvp
from .elementwise import as_float, promote_floats, quiet
from .matmul import matmul

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eigh",
    "inv",
    "jvp",
    "logdet",
    "lstsq",
    "matrix_rank",
    "norm",
    "normalize",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
]

Rule = Callable[..., Any]


def _t(x: Any) -> Any:
    return shaping.swapaxes(x, -1, -2)


def _run(function: Rule) -> Rule:
    """Return a kernel from a function of NumPy, which has none for float16."""

    def run(*arrays: Any, **attrs: Any) -> Any:
        wide = [a.astype(np.float32) if a.dtype == np.float16 else a for a in arrays]
        try:
            result = quiet(function)(*wide, **attrs)
        except np.linalg.LinAlgError as error:
            raise ValueError(str(error)) from None
        dtype = arrays[0].dtype
        if isinstance(result, tuple):
            return tuple(np.asarray(part, dtype) for part in result)
        return np.asarray(result, dtype)

    return run


def _square(who: str, x: Any) -> None:
    if x.ndim < 2 or (None not in x.shape[-2:] and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"{who}: expected square matrices (..., n, n), got {x.shape}")


def _matrices(who: str, x: Any) -> Any:
    x = as_float(x)
    if x.ndim < 2:
        raise ValueError(f"{who}: expected matrices (..., m, n), got shape {x.shape}")
    return x


def _square_primitive(name: str, function: Rule, rule: Rule) -> Primitive:
    def infer(x: Any) -> Any:
        _square(name, x)
        return x.shape, x.dtype

    return Primitive(name, _run(function), infer, per_argument(rule))


# --- inverse and systems ------------------------------------------------------

_inv = _square_primitive(
    "inv",
    np.linalg.inv,
    lambda ct, y, x: -matmul(_t(y), matmul(ct, _t(y))),
)


@op
def inv(x: Any) -> Any:
    """Return the inverses of square matrices.

    Args:
        x: tensor of shape (..., n, n).

    Raises:
        ValueError: if a matrix is singular.
    """
    return apply(_inv, _matrices("inv", x))


def _infer_solve(a: Any, b: Any) -> Any:
    _square("solve", a)
    shapes.matmul(a.shape, b.shape, who="solve")
    return b.shape, b.dtype


def _solve_a(ct: Any, y: Any, a: Any, b: Any) -> Any:
    return -matmul(apply(_solve, _t(a), ct), _t(y))


_solve: Primitive = Primitive(
    "solve",
    _run(np.linalg.solve),
    _infer_solve,
    per_argument(_solve_a, lambda ct, y, a, b: apply(_solve, _t(a), ct)),
)


@op
def solve(a: Any, b: Any) -> Any:
    """Return the x with `a @ x = b`.

    Args:
        a: square matrices of shape (..., n, n).
        b: tensor of shape (..., n, k), or (..., n) for one right-hand side.

    Raises:
        ValueError: if a matrix is singular or the shapes do not fit.
    """
    a, b = promote_floats(a, b)
    if b.ndim == a.ndim - 1:
        return shaping.squeeze(solve(a, shaping.expand_dims(b, -1)), -1)
    if a.ndim != b.ndim or not shapes.compatible(a.shape[:-1], b.shape[:-1]):
        raise ValueError(
            "solve: expected a of shape (..., n, n) and b of shape (..., n, k) or "
            f"(..., n), got {a.shape} and {b.shape}"
        )
    return apply(_solve, a, b)


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Return the x with `a @ x = b` for triangular matrices.

    Args:
        a: matrices of shape (..., n, n), of which one triangle is used.
        b: tensor of shape (..., n, k) or (..., n).
        lower: whether the lower triangle is used.
    """
    a = _matrices("solve_triangular", a)
    return solve(diagonals.tril(a) if lower else diagonals.triu(a), b)


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Return the x that minimizes the squared error of `a @ x = b`.

    Args:
        a: matrix of shape (m, n).
        b: tensor of shape (m,) or (m, k).
        rcond: singular values below this part of the largest count as zero.
    """
    a, b = promote_floats(a, b)
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise ValueError(
            f"lstsq: expected shapes (m, n) and (m,) or (m, k), got {a.shape} and "
            f"{b.shape}"
        )
    return matmul(pinv(a, rcond), b)


# --- Cholesky -----------------------------------------------------------------


def _lower_half(x: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    return (diagonals.tril(x) + diagonals.tril(x, -1)) / 2


def _cholesky_rule(ct: Any, y: Any, x: Any) -> Any:
    inner = _lower_half(matmul(_t(y), diagonals.tril(ct)))
    half = matmul(apply(_solve, _t(y), inner), apply(_inv, y))
    return (half + _t(half)) / 2


_cholesky = _square_primitive("cholesky", np.linalg.cholesky, _cholesky_rule)


@op
def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the triangular L with `x = L @ L.T` of positive definite matrices.

    Args:
        x: symmetric matrices of shape (..., n, n).
        upper: whether to return the transpose of L.

    Raises:
        ValueError: if a matrix is not positive definite.

    References:
        Murray 2016, "Differentiation of the Cholesky decomposition".
    """
    y = apply(_cholesky, _matrices("cholesky", x))
    return _t(y) if upper else y


@op
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Return the inverse of the matrix whose Cholesky factor is `x`."""
    factor = _matrices("cholesky_inverse", x)
    factor = _t(diagonals.triu(factor)) if upper else diagonals.tril(factor)
    inverse = apply(_inv, factor)
    return matmul(_t(inverse), inverse)


# --- determinants -------------------------------------------------------------


def _infer_det(x: Any) -> Any:
    _square("det", x)
    return x.shape[:-2], x.dtype


def _matrix(x: Any) -> Any:
    return shaping.expand_dims(x, (-2, -1))


_det = Primitive(
    "det",
    _run(np.linalg.det),
    _infer_det,
    per_argument(lambda ct, y, x: _matrix(ct * y) * _t(apply(_inv, x))),
)


@op
def det(x: Any) -> Any:
    """Return the determinants of square matrices of shape (..., n, n)."""
    return apply(_det, _matrices("det", x))


def _infer_slogdet(x: Any) -> Any:
    _square("slogdet", x)
    return [(x.shape[:-2], x.dtype)] * 2


_slogdet = Primitive(
    "slogdet",
    _run(lambda x: tuple(np.linalg.slogdet(x))),
    _infer_slogdet,
    per_argument(lambda ct, y, x: _matrix(ct[1]) * _t(apply(_inv, x))),
)


@op
def slogdet(x: Any) -> tuple[Any, Any]:
    """Return the sign and the logarithm of the absolute value of determinants."""
    sign, logarithm = apply(_slogdet, _matrices("slogdet", x))
    return sign, logarithm


@op
def logdet(x: Any) -> Any:
    """Return the logarithm of the determinants of positive definite matrices."""
    return slogdet(x)[1]


# --- factorizations -----------------------------------------------------------


def _infer_qr(x: Any, mode: str) -> Any:
    *lead, m, n = x.shape
    if mode == "complete":
        return [((*lead, m, m), x.dtype), ((*lead, m, n), x.dtype)]
    k = None if m is None or n is None else min(m, n)
    return [((*lead, m, k), x.dtype), ((*lead, k, n), x.dtype)]


def _vjp_qr(ct: Any, out: Any, x: Any, needs: Any, mode: str) -> Any:
    (ct_q, ct_r), (q, r) = ct, out
    if mode == "complete" or x.shape[-2] < x.shape[-1]:
        raise ValueError(
            f"qr: the gradient needs mode='reduced' and at least as many rows as "
            f"columns, got mode={mode!r} and shape {x.shape}"
        )
    m = matmul(r, _t(ct_r)) - matmul(_t(ct_q), q)
    # Symmetric, with the lower triangle of m.
    symmetric = diagonals.tril(m) + _t(diagonals.tril(m, -1))
    right = ct_q + matmul(q, symmetric)
    return [_t(apply(_solve, r, _t(right)))]


_qr = Primitive(
    "qr", _run(lambda x, mode: tuple(np.linalg.qr(x, mode))), _infer_qr, _vjp_qr
)


@op
def qr(x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """Return an orthogonal Q and a triangular R with `x = Q @ R`.

    Args:
        x: tensor of shape (..., m, n).
        mode: "reduced" (Q has min(m, n) columns) or "complete" (m columns).
    """
    if mode not in ("reduced", "complete"):
        raise shapes.unknown_name("mode", mode, ("reduced", "complete"))
    q, r = apply(_qr, _matrices("qr", x), mode=mode)
    return q, r


def _reciprocal_gaps(values: Any) -> Any:
    """Return 1 / (v[j] - v[i]) with zeros on the diagonal."""
    gaps = shaping.expand_dims(values, -2) - shaping.expand_dims(values, -1)
    same = np.eye(values.shape[-1], dtype=bool)
    return elementwise.where(same, 0, 1 / elementwise.where(same, 1, gaps))


def _infer_eigh(x: Any) -> Any:
    _square("eigh", x)
    return [(x.shape[:-1], x.dtype), (x.shape, x.dtype)]


def _eigh_rule(ct: Any, out: Any, x: Any) -> Any:
    (ct_w, ct_v), (w, v) = ct, out
    inner = _reciprocal_gaps(w) * matmul(_t(v), ct_v)
    inner = inner + shaping.expand_dims(ct_w, -1) * np.eye(x.shape[-1], dtype=x.dtype)
    full = matmul(v, matmul(inner, _t(v)))
    return (full + _t(full)) / 2


_eigh = Primitive(
    "eigh",
    _run(lambda x: tuple(np.linalg.eigh(x))),
    _infer_eigh,
    per_argument(_eigh_rule),
)


@op
def eigh(x: Any) -> tuple[Any, Any]:
    """Return eigenvalues, in ascending order, and eigenvectors as columns.

    Args:
        x: symmetric matrices of shape (..., n, n).

    Returns:
        Tensors of shape (..., n) and (..., n, n).
    """
    w, v = apply(_eigh, _matrices("eigh", x))
    return w, v


def _infer_svd(x: Any, full: bool) -> Any:
    *lead, m, n = x.shape
    k = None if m is None or n is None else min(m, n)
    u, v = ((*lead, m, m), (*lead, n, n)) if full else ((*lead, m, k), (*lead, k, n))
    return [(u, x.dtype), ((*lead, k), x.dtype), (v, x.dtype)]


def _vjp_svd(ct: Any, out: Any, x: Any, needs: Any, full: bool) -> Any:
    (ct_u, ct_s, ct_vh), (u, s, vh) = ct, out
    if full and x.shape[-1] != x.shape[-2]:
        raise ValueError("svd: the gradient needs full_matrices=False")
    v, ct_v = _t(vh), _t(ct_vh)
    size = s.shape[-1]
    row, column = shaping.expand_dims(s, -2), shaping.expand_dims(s, -1)
    gaps = _reciprocal_gaps(elementwise.square(s))
    left, right = matmul(_t(u), ct_u), matmul(_t(v), ct_v)
    inner = gaps * (left - _t(left)) * row + column * gaps * (right - _t(right))
    inner = inner + shaping.expand_dims(ct_s, -1) * np.eye(size, dtype=x.dtype)
    total = matmul(u, matmul(inner, vh))
    if x.shape[-2] > size:  # the part outside the column space
        rest = ct_u / row
        total = total + matmul(rest - matmul(u, matmul(_t(u), rest)), vh)
    if x.shape[-1] > size:
        rest = ct_v / row
        total = total + matmul(u, _t(rest - matmul(v, matmul(vh, rest))))
    return [total]


_svd = Primitive(
    "svd", _run(lambda x, full: tuple(np.linalg.svd(x, full))), _infer_svd, _vjp_svd
)


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return U, the singular values in descending order, and V transposed.

    Args:
        x: tensor of shape (..., m, n).
        full_matrices: whether U and V are square; needed False for gradients unless
            m equals n.
        compute_uv: whether to return U and V, too.

    Returns:
        Tensors of shape (..., m, m), (..., min(m, n)) and (..., n, n), the first and
        last cut to min(m, n) columns and rows unless `full_matrices`.
    """
    x = _matrices("svd", x)
    if not compute_uv:
        return apply(_svd, x, full=False)[1]
    return apply(_svd, x, full=bool(full_matrices))


@op
def pinv(x: Any, rcond: float | None = None) -> Any:
    """Return the Moore-Penrose pseudoinverses of matrices of shape (..., m, n).

    Args:
        x: tensor of shape (..., m, n).
        rcond: singular values below this part of the largest count as zero; by default
            10 * max(m, n) * the spacing of floats at 1.
    """
    x = _matrices("pinv", x)
    u, s, vh = svd(x, full_matrices=False)
    if rcond is None:
        rcond = 10 * max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    large = s > rcond * reductions.max(s, axis=-1, keepdims=True)
    inverse = elementwise.where(large, 1 / elementwise.where(large, s, 1), 0)
    return matmul(_t(vh) * shaping.expand_dims(inverse, -2), _t(u))


@op
def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """Return the int32 number of singular values above a tolerance.

    Args:
        x: tensor of shape (..., m, n).
        tol: the tolerance; by default max(m, n) * the spacing of floats at the largest
            singular value.
    """
    x = _matrices("matrix_rank", x)
    s = svd(x, compute_uv=False)
    limit: Any = tol
    if tol is None:
        largest = reductions.max(s, axis=-1, keepdims=True)
        limit = largest * (max(x.shape[-2:]) * float(np.finfo(x.dtype).eps))
    return reductions.sum(shaping.cast(s > limit, "int32"), axis=-1)


# --- norms --------------------------------------------------------------------


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return norms of vectors or matrices.

    Args:
        x: tensor.
        ord: for vectors None or 2 (Euclidean), 1, infinity, -infinity, 0 (number of
            nonzero elements) or any p; for matrices None or "fro" (Frobenius), "nuc"
            (sum of singular values), 1, -1, 2, -2, infinity or -infinity.
        axis: axis of the vectors or the two axes of the matrices. By default `x` is
            one vector or matrix, or with `ord=None` all its elements are one vector.
        keepdims: whether those axes stay, with size 1.

    Raises:
        ValueError: for an unknown norm, or one that does not fit the axes.
    """
    x = as_float(x)
    if axis is None and ord is not None and x.ndim not in (1, 2):
        raise ValueError(
            f"norm: ord={ord!r} needs an axis (or two) for shape {x.shape}"
        )
    order = axis if isinstance(axis, (list, tuple)) else None
    axes = shapes.normalize_axes(axis, x.ndim, "norm")
    if ord is None or (ord in (2, "fro") and len(axes) == (1 if ord == 2 else 2)):
        return elementwise.sqrt(reductions.sum(elementwise.square(x), axes, keepdims))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: expected one axis or two, got axis={axis}")
    rows, columns = axes if order is None else (a % x.ndim for a in order)
    return _matrix_norm(x, ord, (rows, columns), keepdims)


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} is a norm of matrices, got one axis")
    size = elementwise.absolute(x)
    if ord == math.inf:
        return reductions.max(size, axis, keepdims)
    if ord == -math.inf:
        return reductions.min(size, axis, keepdims)
    if ord == 0:
        nonzero = shaping.cast(elementwise.not_equal(x, 0), x.dtype)
        return reductions.sum(nonzero, axis, keepdims)
    if ord == 1:
        return reductions.sum(size, axis, keepdims)
    return reductions.sum(size**ord, axis, keepdims) ** (1.0 / ord)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    rows, columns = axes
    pick = reductions.min if ord in (-1, -2, -math.inf) else reductions.max
    if ord in (1, -1, math.inf, -math.inf):
        along, rest = axes if ord in (1, -1) else (columns, rows)
        sums = reductions.sum(elementwise.absolute(x), along, keepdims=True)
        y = pick(sums, rest, keepdims=True)
    elif ord in (2, -2, "nuc"):
        s = svd(shaping.moveaxis(x, axes, (-2, -1)), compute_uv=False)
        y = reductions.sum(s, -1) if ord == "nuc" else pick(s, -1)
        y = shaping.expand_dims(y, sorted(axes))
    else:
        known = ("fro", "nuc", "1", "-1", "2", "-2", "inf", "-inf")
        raise shapes.unknown_name("matrix norm", str(ord), known)
    return y if keepdims else shaping.squeeze(y, sorted(axes))


@op
def normalize(x: Any, axis: int = -1, order: Any = 2, epsilon: Any = None) -> Any:
    """Return `x` divided by its norm along an axis.

    Args:
        x: tensor.
        axis: axis of the vectors.
        order: order of the norm, a number or infinity.
        epsilon: lower limit of the norm, `config.epsilon()` by default.
    """
    x = as_float(x)
    if not isinstance(order, (int, float)) or order < 1:
        raise ValueError(f"normalize: expected order >= 1, got {order!r}")
    limit = config.epsilon() if epsilon is None else epsilon
    if x.ndim == 0:
        x = shaping.reshape(x, (1,))
    if order == 2:  # limited before the root, which has no slope at zero
        square = reductions.sum(elementwise.square(x), axis, keepdims=True)
        return x * elementwise.rsqrt(elementwise.maximum(square, limit**2))
    return x / elementwise.maximum(norm(x, order, axis, keepdims=True), limit)
