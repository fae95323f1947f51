"""Matrix products and the fused dense step: product, bias, activation."""

from __future__ import annotations

import math
from typing import Any

from .. import backend, shapes
from ..graph import Primitive, apply, as_tensor, promote
from . import activations, diagonals, joining, reductions, shaping
from ._op import op
from .elementwise import unbroadcast

# --- matmul -------------------------------------------------------------------


def _run_matmul(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    if a.ndim > 2 and b.ndim == 2 and not transpose_a:  # one large product
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        y = backend.matmul(rows, b, transpose_b=transpose_b)
        return y.reshape(*a.shape[:-1], y.shape[-1])
    return backend.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def _infer_matmul(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    return shapes.matmul(a.shape, b.shape, transpose_a, transpose_b), a.dtype


def _vjp_matmul(
    ct: Any, out: Any, a: Any, b: Any, needs: Any, transpose_a: bool, transpose_b: bool
) -> Any:
    grad_a = grad_b = None
    if needs[0]:
        grad_a = (
            _product(b, ct, transpose_b, True)
            if transpose_a
            else _product(ct, b, False, not transpose_b)
        )
        grad_a = unbroadcast(grad_a, a)
    if needs[1]:
        if a.ndim > 2 and b.ndim == 2 and not transpose_a:
            a, ct = _rows(a), _rows(ct)
        grad_b = (
            _product(ct, a, True, transpose_a)
            if transpose_b
            else _product(a, ct, not transpose_a, False)
        )
        grad_b = unbroadcast(grad_b, b)
    return grad_a, grad_b


_matmul: Primitive = Primitive("matmul", _run_matmul, _infer_matmul, _vjp_matmul)


def _product(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False
) -> Any:
    return apply(_matmul, a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def _rows(x: Any) -> Any:
    """Return `x` as a matrix of its last axis's rows."""
    if x.ndim == 2:
        return x
    return shaping.resize(x, (shapes.known_size(x.shape[:-1]), x.shape[-1]))


@op
def matmul(x1: Any, x2: Any) -> Any:
    """Return the matrix product; leading axes are stacks and broadcast.

    Args:
        x1: tensor of shape (..., m, k), or (k,).
        x2: tensor of shape (..., k, n), or (k,).

    Returns:
        Tensor of shape (..., m, n), without the axes that a vector lacks.

    Raises:
        ValueError: if the sizes called k differ.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.dtype == b.dtype == "int8":  # products of bytes do not fit into bytes
        a, b = (shaping.cast(x, "int32") for x in (a, b))
    a, b = promote(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            f"matmul: expected at least 1 dimension, got shapes {a.shape} and {b.shape}"
        )
    vector_a, vector_b = a.ndim == 1, b.ndim == 1
    if vector_a:
        a = shaping.expand_dims(a, 0)
    if vector_b:
        b = shaping.expand_dims(b, 1)
    y = _product(a, b)
    axes = [-2] * vector_a + [-1] * vector_b
    return shaping.squeeze(y, axes) if axes else y


# --- the dense step -----------------------------------------------------------


def _run_dense(x: Any, kernel: Any, *bias: Any, activation: str | None) -> Any:
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = backend.matmul(rows, kernel, bias[0] if bias else None, activation=activation)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], kernel.shape[-1])


def _infer_dense(x: Any, kernel: Any, *bias: Any, activation: str | None) -> Any:
    if kernel.ndim != 2 or x.ndim < 1 or x.shape[-1] not in (None, kernel.shape[0]):
        raise ValueError(
            f"dense: expected x of shape (..., k) and a kernel of shape (k, n), got "
            f"{x.shape} and {kernel.shape}"
        )
    if bias and bias[0].shape != kernel.shape[1:]:
        raise ValueError(
            f"dense: expected a bias of shape {kernel.shape[1:]}, got {bias[0].shape}"
        )
    return (*x.shape[:-1], kernel.shape[1]), x.dtype


def _vjp_dense(
    ct: Any, out: Any, x: Any, kernel: Any, *bias: Any, needs: Any, activation: Any
) -> Any:
    if activation is not None:
        ct = activations.gradient_from_output(activation, ct, out)
    ct = _rows(ct)
    grads: list[Any] = [None] * len(needs)
    if needs[0]:
        grads[0] = shaping.reshape(_product(ct, kernel, transpose_b=True), x.shape)
    if needs[1]:
        grads[1] = _product(_rows(x), ct, transpose_a=True)
    if bias and needs[2]:
        grads[2] = apply(_bias_gradient, ct)
    return grads


_dense = Primitive("dense", _run_dense, _infer_dense, _vjp_dense)

_bias_gradient = Primitive(
    "bias_gradient",
    backend.bias_gradient,
    lambda ct: ((ct.shape[-1],), ct.dtype),
    lambda ct, out, x, needs: [shaping.broadcast_to(ct, x.shape)],
)


def dense(x: Any, kernel: Any, bias: Any = None, activation: str | None = None) -> Any:
    """Return `activation(x @ kernel + bias)` in one kernel.

    Args:
        x: tensor of shape (..., k).
        kernel: tensor of shape (k, n).
        bias: tensor of shape (n,), or None.
        activation: one of `activations.FUSED`, or None.

    Returns:
        Tensor of shape (..., n).

    Raises:
        ValueError: if the shapes do not fit or the activation is not a fused one.
    """
    if activation == "linear":
        activation = None
    if activation is not None and activation not in activations.FUSED:
        raise shapes.unknown_name("fused activation", activation, activations.FUSED)
    inputs = promote(x, kernel) if bias is None else promote(x, kernel, bias)
    return apply(_dense, *inputs, activation=activation)


# --- products with other conventions ------------------------------------------


@op
def dot(x1: Any, x2: Any) -> Any:
    """Return the dot product over the last axis of `x1` and the last but one of `x2`.

    Args:
        x1: tensor of shape (..., k).
        x2: tensor of shape (..., k, n) or (k,).
    """
    a, b = promote(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=([-1], [-2 if b.ndim > 1 else -1]))


@op
def vdot(x1: Any, x2: Any) -> Any:
    """Return the dot product of two tensors seen as vectors."""
    a, b = promote(x1, x2)
    return matmul(shaping.reshape(a, (-1,)), shaping.reshape(b, (-1,)))


@op
def inner(x1: Any, x2: Any) -> Any:
    """Return the sum of products over the last axis of both tensors."""
    a, b = promote(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=([-1], [-1]))


@op
def outer(x1: Any, x2: Any) -> Any:
    """Return all products of an element of `x1` with one of `x2`, as a matrix."""
    a, b = promote(x1, x2)
    return shaping.reshape(a, (-1, 1)) * shaping.reshape(b, (1, -1))


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sum of products over the given axes.

    Args:
        x1: tensor.
        x2: tensor.
        axes: how many of the last axes of `x1` and first of `x2` to sum over, or a pair
            of lists of axes.

    Raises:
        ValueError: if the summed axes do not have equal sizes.
    """
    a, b = promote(x1, x2)
    if isinstance(axes, int):
        groups: list[Any] = [range(a.ndim - axes, a.ndim), range(axes)]
    else:
        groups = [g if isinstance(g, (list, tuple)) else [g] for g in axes]
    summed_a, summed_b = (
        [shapes.normalize_axis(i, x.ndim, "tensordot") for i in group]
        for x, group in zip((a, b), groups, strict=True)
    )
    inner_a = tuple(a.shape[i] for i in summed_a)
    inner_b = tuple(b.shape[i] for i in summed_b)
    if not shapes.compatible(inner_a, inner_b):
        raise ValueError(
            f"tensordot: axes {summed_a} of shape {a.shape} and {summed_b} of shape "
            f"{b.shape} differ in size"
        )
    free_a = [i for i in range(a.ndim) if i not in summed_a]
    free_b = [i for i in range(b.ndim) if i not in summed_b]
    shape_a = tuple(a.shape[i] for i in free_a)
    shape_b = tuple(b.shape[i] for i in free_b)
    inner_size = shapes.known_size(shapes.merged(inner_a, inner_b))
    left = shaping.transpose(a, free_a + summed_a)
    right = shaping.transpose(b, summed_b + free_b)
    product = _product(
        shaping.resize(left, (shapes.known_size(shape_a), inner_size)),
        shaping.resize(right, (inner_size, shapes.known_size(shape_b))),
    )
    return shaping.resize(product, shape_a + shape_b)


@op
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Return a sum of products in Einstein's notation, e.g. "bij,bjk->bik".

    Args:
        subscripts: one group of letters per operand and, after "->", of the result;
            "..." stands for leading axes.
        operands: tensors.

    Raises:
        ValueError: if the subscripts do not fit the operands.
    """
    return _einsum(subscripts, [as_tensor(x) for x in promote(*operands)])


def _einsum(subscripts: str, operands: list[Any]) -> Any:
    inputs, output = _parse_einsum(subscripts, [x.ndim for x in operands])
    letters, value = inputs[0], operands[0]
    letters, value = _diagonals(letters, value)
    for i, (other, operand) in enumerate(
        zip(inputs[1:], operands[1:], strict=True), start=1
    ):
        other, operand = _diagonals(other, operand)
        later = set(output).union(*inputs[i + 1 :])
        letters, value = _contract(letters, value, other, operand, later)
    gone = [i for i, letter in enumerate(letters) if letter not in output]
    if gone:
        value = reductions.sum(value, axis=tuple(gone))
        letters = "".join(letter for letter in letters if letter in output)
    return shaping.transpose(value, [letters.index(letter) for letter in output])


def _parse_einsum(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    groups = left.split(",")
    if len(groups) != len(ranks):
        raise ValueError(
            f"einsum: {subscripts!r} names {len(groups)} operands, got {len(ranks)}"
        )
    spare = [chr(c) for c in range(ord("A"), ord("Z") + 1) if chr(c) not in text]
    widest = max(
        (
            r - len(g.replace("...", ""))
            for g, r in zip(groups, ranks, strict=True)
            if "..." in g
        ),
        default=0,
    )
    stack = "".join(spare[:widest]) if widest > 0 else ""
    inputs = []
    for group, rank in zip(groups, ranks, strict=True):
        missing = rank - len(group.replace("...", ""))
        group = group.replace("...", stack[len(stack) - missing :] if missing else "")
        if len(group) != rank or (not group.isalpha() and group):
            raise ValueError(
                f"einsum: {subscripts!r} does not fit an operand of {rank} dimensions"
            )
        inputs.append(group)
    if arrow:
        output = right.replace("...", stack)
    else:
        joined = "".join(inputs)
        output = stack + "".join(
            sorted(c for c in set(joined) if joined.count(c) == 1 and c not in stack)
        )
    unknown = set(output) - set("".join(inputs))
    if unknown or len(set(output)) != len(output):
        raise ValueError(f"einsum: bad result {right!r} in {subscripts!r}")
    return inputs, output


def _diagonals(letters: str, x: Any) -> tuple[str, Any]:
    """Take the diagonal of every letter that stands twice."""
    for letter in letters:
        while letters.count(letter) > 1:
            i = letters.index(letter)
            j = letters.index(letter, i + 1)
            x = diagonals.diagonal(x, 0, i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + letter
    return letters, x


def _contract(la: str, a: Any, lb: str, b: Any, later: set[str]) -> tuple[str, Any]:
    """Multiply two operands and sum over the letters that nobody needs later."""
    for letters, x, other in ((la, a, lb), (lb, b, la)):
        alone = [i for i, c in enumerate(letters) if c not in other and c not in later]
        if alone:
            x = reductions.sum(x, axis=tuple(alone))
            letters = "".join(c for i, c in enumerate(letters) if i not in alone)
        if other is lb:
            la, a = letters, x
        else:
            lb, b = letters, x
    batch = [c for c in la if c in lb and c in later]
    summed = [c for c in la if c in lb and c not in later]
    rows = [c for c in la if c not in lb]
    columns = [c for c in lb if c not in la]
    sizes = dict(zip(la, a.shape, strict=True))
    for letter, size in zip(lb, b.shape, strict=True):
        if sizes.get(letter) in (None, 1):
            sizes[letter] = size
        elif size not in (None, 1, sizes[letter]):
            raise ValueError(
                f"einsum: subscript {letter!r} has the sizes {sizes[letter]} and {size}"
            )

    def count(letters: list[str]) -> int | None:
        return shapes.known_size(tuple(sizes[c] for c in letters))

    def matrices(letters: str, x: Any, first: list[str], last: list[str]) -> Any:
        x = shaping.transpose(x, [letters.index(c) for c in batch + first + last])
        x = shaping.broadcast_to(x, [sizes[c] for c in batch + first + last])
        return shaping.resize(
            x, (*[sizes[c] for c in batch], count(first), count(last))
        )

    product = _product(matrices(la, a, rows, summed), matrices(lb, b, summed, columns))
    letters = "".join(batch + rows + columns)
    return letters, shaping.resize(product, [sizes[c] for c in letters])


@op
def cross(
    x1: Any,
    x2: Any,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Any:
    """Return the cross product of vectors of 2 or 3 elements.

    Args:
        x1: tensor with vectors along `axisa`.
        x2: tensor with vectors along `axisb`, whose other axes broadcast.
        axisa: axis of the vectors in `x1`.
        axisb: axis of the vectors in `x2`.
        axisc: axis of the vectors in the result. The product of two vectors of 2
            elements is a number and has no such axis.
        axis: all three axes at once.

    Raises:
        ValueError: if a vector has neither 2 nor 3 elements.
    """
    a, b = promote(x1, x2)
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = shaping.moveaxis(a, axisa, -1), shaping.moveaxis(b, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(
            "cross: expected vectors of 2 or 3 elements, got "
            f"{a.shape[-1]} and {b.shape[-1]}"
        )
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (_in_space(x) for x in (a, b))
    turned = shaping.roll(a, -1, -1) * shaping.roll(b, -2, -1)
    back = shaping.roll(a, -2, -1) * shaping.roll(b, -1, -1)
    return shaping.moveaxis(turned - back, -1, axisc)


def _in_space(x: Any) -> Any:
    """Return vectors of 2 elements with a third one, 0."""
    if x.shape[-1] == 3:
        return x
    return joining.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])


@op
def kron(x1: Any, x2: Any) -> Any:
    """Return the Kronecker product: `x2` scaled by each element of `x1`."""
    a, b = promote(x1, x2)
    ndim = max(a.ndim, b.ndim)
    sizes_a = (1,) * (ndim - a.ndim) + a.shape
    sizes_b = (1,) * (ndim - b.ndim) + b.shape
    pairs = list(zip(sizes_a, sizes_b, strict=True))
    spread_a = shaping.resize(a, [size for m, _ in pairs for size in (m, 1)])
    spread_b = shaping.resize(b, [size for _, n in pairs for size in (1, n)])
    return shaping.resize(spread_a * spread_b, [shapes.known_size(p) for p in pairs])
