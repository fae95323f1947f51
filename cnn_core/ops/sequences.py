"""Operations along the order of elements: differences, correlation, distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import shapes
from ..graph import as_tensor, promote
from . import creation, diagonals, elementwise, joining, reductions, shaping
from ._op import op
from .activations import softmax, tanh
from .elementwise import as_float, promote_floats
from .matmul import einsum, matmul


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Return the differences of neighbors along an axis, taken `n` times.

    Args:
        a: tensor.
        n: how often.
        axis: axis, which becomes `n` elements shorter.
    """
    x = as_tensor(a)
    axis = shapes.normalize_axis(axis, x.ndim, "diff")
    if n < 0:
        raise ValueError(f"diff: expected n >= 0, got {n}")
    lead = (slice(None),) * axis
    for _ in range(n):
        later, earlier = x[(*lead, slice(1, None))], x[(*lead, slice(None, -1))]
        if x.dtype == "bool":
            x = elementwise.not_equal(later, earlier)
        else:
            x = later - earlier
    return x


@op
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Return the integral along an axis by the trapezoidal rule.

    Args:
        y: values.
        x: the points they belong to, a vector or a tensor of the shape of `y`.
        dx: distance of the points where `x` is None.
        axis: axis to integrate along.
    """
    y = as_float(y)
    axis = shapes.normalize_axis(axis, y.ndim, "trapezoid")
    y = shaping.moveaxis(y, axis, -1)
    if x is None:
        widths = as_tensor(dx, y.dtype)
    else:
        x = as_tensor(x, y.dtype)
        widths = diff(x if x.ndim == 1 else shaping.moveaxis(x, axis, -1))
    return reductions.sum(widths * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Return the cross-correlation of two vectors.

    Args:
        x1: vector.
        x2: vector.
        mode: "valid" (only full overlaps), "same" (the length of the longer vector) or
            "full".
    """
    a, b = promote(x1, x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"correlate: expected vectors, got {a.shape} and {b.shape}")
    if mode not in ("valid", "same", "full"):
        raise shapes.unknown_name("mode", mode, ("valid", "same", "full"))
    if a.shape[0] is None or b.shape[0] is None:
        raise ValueError("correlate: the lengths of both vectors must be known")
    swapped = a.shape[0] < b.shape[0]
    long, short = (b, a) if swapped else (a, b)
    n, m = long.shape[0], short.shape[0]
    if m == 0:
        raise ValueError("correlate: a vector is empty")
    if mode != "valid":
        left = m - 1 if mode == "full" else m // 2
        right = m - 1 if mode == "full" else (m - 1) - m // 2
        long = joining.pad(long, [(left, right)])
        n = long.shape[0]
    windows = np.arange(n - m + 1)[:, None] + np.arange(m)
    y = matmul(long[windows], short)
    return shaping.flip(y) if swapped else y


@op
def corrcoef(x: Any) -> Any:
    """Return the correlation coefficients of the rows of a matrix with each other."""
    x = as_float(x)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: expected at most 2 dimensions, got {x.shape}")
    rows = shaping.reshape(x, (1, -1)) if x.ndim < 2 else x
    centered = rows - reductions.mean(rows, axis=-1, keepdims=True)
    covariance = matmul(centered, shaping.transpose(centered))
    scale = elementwise.sqrt(diagonals.diagonal(covariance))
    y = covariance / shaping.expand_dims(scale, 0) / shaping.expand_dims(scale, 1)
    y = elementwise.clip(y, -1.0, 1.0)
    return y if x.ndim == 2 else shaping.reshape(y, ())


@op
def cdist(x: Any, y: Any) -> Any:
    """Return the Euclidean distances of all pairs of rows.

    Args:
        x: tensor of shape (..., m, d).
        y: tensor of shape (..., n, d).

    Returns:
        Tensor of shape (..., m, n).
    """
    a, b = promote_floats(x, y)
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"cdist: expected rows (..., m, d), got {a.shape}, {b.shape}")
    gaps = shaping.expand_dims(a, -2) - shaping.expand_dims(b, -3)
    return elementwise.sqrt(reductions.sum(elementwise.square(gaps), axis=-1))


@op
def psnr(x1: Any, x2: Any, max_val: Any) -> Any:
    """Return the peak signal-to-noise ratio of two tensors of one shape, in decibels.

    Args:
        x1: tensor.
        x2: tensor of the same shape.
        max_val: largest value that an element can have.
    """
    a, b = promote_floats(x1, x2)
    if not shapes.compatible(a.shape, b.shape):
        raise ValueError(f"psnr: expected one shape, got {a.shape} and {b.shape}")
    error = reductions.mean(elementwise.square(a - b))
    peak = elementwise.log10(as_tensor(max_val, a.dtype))
    return 20 * peak - 10 * elementwise.log10(error)


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Return values averaged with the softmax of the products of queries and keys.

    Args:
        query: tensor of shape (batch, queries, heads, depth).
        key: tensor of shape (batch, keys, key_heads, depth); key_heads divides heads.
        value: tensor of the shape of `key`.
        bias: tensor to add to the logits (batch, heads, queries, keys).
        mask: boolean tensor that broadcasts to the logits, False where a key is hidden.
        scale: factor of the logits, 1 / sqrt(depth) by default.
        is_causal: whether a query sees only keys at or before its own position.
        flash_attention: must not be True; there is one way to compute.
        attn_logits_soft_cap: limit that a tanh keeps the logits within.

    Returns:
        Tensor of the shape of `query`.

    References:
        Vaswani et al. 2017, "Attention Is All You Need".
    """
    if flash_attention:
        raise ValueError("dot_product_attention: there is no flash_attention on CPUs")
    query, key, value = promote_floats(query, key, value)
    if not query.ndim == key.ndim == value.ndim == 4:
        raise ValueError(
            "dot_product_attention: expected tensors of 4 dimensions (batch, positions,"
            f" heads, depth), got {query.shape}, {key.shape} and {value.shape}"
        )
    heads, key_heads = query.shape[2], key.shape[2]
    if heads != key_heads:
        if key_heads is None or heads is None or heads % key_heads:
            raise ValueError(
                f"dot_product_attention: {key_heads} key heads do not divide {heads} "
                "query heads"
            )
        key, value = (shaping.repeat(x, heads // key_heads, 2) for x in (key, value))
    factor = 1 / math.sqrt(key.shape[-1]) if scale is None else scale
    logits = einsum("btnh,bsnh->bnts", query, key) * factor
    if attn_logits_soft_cap is not None:
        logits = tanh(logits / attn_logits_soft_cap) * attn_logits_soft_cap
    if bias is not None:
        logits = logits + as_tensor(bias, logits.dtype)
    lowest = 0.7 * float(np.finfo(logits.dtype).min)
    if mask is not None:
        logits = elementwise.where(as_tensor(mask, "bool"), logits, lowest)
    if is_causal:
        visible = diagonals.tril(creation.ones_like(logits, "bool"))
        logits = elementwise.where(visible, logits, lowest)
    return einsum("bnts,bsnh->btnh", softmax(logits), value)
