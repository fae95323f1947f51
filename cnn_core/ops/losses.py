"""Losses of single samples as fused kernels; reductions over samples are in losses/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import backend, shapes
from ..graph import Primitive, apply, as_tensor
from . import activations, elementwise, indexing, reductions, shaping
from ._op import op, vjp_of

Rule = Callable[..., Any]


def _loss(name: str, infer: Rule, formula: Rule, slope: Rule) -> Primitive:
    """Return the primitive of a loss `name(target, output)`.

    Args:
        name: name of the backend functions, `name` and `name_grad`.
        infer: shape rule.
        formula: the loss written with ops: the gradient with respect to a target that
            was itself computed comes from it.
        slope: `slope(ct, target, output)`, the gradient written with ops, for
            gradients of gradients.
    """
    gradient = Primitive(
        f"{name}_grad",
        getattr(backend, f"{name}_grad"),
        lambda ct, target, output, **attrs: (output.shape, output.dtype),
        vjp_of(slope),
    )
    whole = vjp_of(formula)

    def vjp(
        ct: Any, out: Any, target: Any, output: Any, needs: Any, **attrs: Any
    ) -> Any:
        if needs[0]:
            return whole(ct, out, target, output, needs=needs, **attrs)
        return None, apply(gradient, ct, target, output, **attrs)

    return Primitive(name, getattr(backend, name), infer, vjp)


def _same_shapes(name: str, target: Any, output: Any) -> None:
    if not shapes.compatible(target.shape, output.shape):
        raise ValueError(
            f"{name}: expected target and output of one shape, got {target.shape} "
            f"and {output.shape}"
        )


def _infer_elements(name: str) -> Rule:
    def infer(target: Any, output: Any, **attrs: Any) -> Any:
        _same_shapes(name, target, output)
        return shapes.merged(output.shape, target.shape), output.dtype

    return infer


def _infer_rows(name: str) -> Rule:
    def infer(target: Any, output: Any, **attrs: Any) -> Any:
        _same_shapes(name, target, output)
        if output.ndim < 1:
            raise ValueError(f"{name}: expected at least 1 dimension, got a scalar")
        return shapes.merged(output.shape, target.shape)[:-1], output.dtype

    return infer


# --- squared error ------------------------------------------------------------


_mean_squared_error = _loss(
    "mean_squared_error",
    _infer_rows("mean_squared_error"),
    lambda t, o: reductions.mean(elementwise.square(o - t), axis=-1),
    lambda ct, t, o: (
        shaping.expand_dims(ct, -1) * (o - t) * (2.0 / max(1, o.shape[-1]))
    ),
)


def mean_squared_error(target: Any, output: Any) -> Any:
    """Return the mean over the last axis of the squared difference.

    Args:
        target: tensor of shape (..., n).
        output: tensor of shape (..., n).

    Returns:
        Tensor of shape (...).
    """
    target, output = _pair("mean_squared_error", target, output)
    return apply(_mean_squared_error, target, output)


def _pair(name: str, target: Any, output: Any) -> tuple[Any, Any]:
    output = elementwise.as_float(output)
    target = as_tensor(target, output.dtype)
    _same_shapes(name, target, output)
    return target, output


# --- binary cross-entropy -----------------------------------------------------


_EPSILON = 1e-7  # that of the kernels


def _clipped(p: Any) -> Any:
    return elementwise.clip(p, _EPSILON, 1 - _EPSILON)


def _binary_formula(t: Any, o: Any, from_logits: bool) -> Any:
    if from_logits:
        gap = elementwise.log1p(elementwise.exp(-elementwise.absolute(o)))
        return elementwise.maximum(o, 0.0) - o * t + gap
    p = _clipped(o)
    return -(t * elementwise.log(p) + (1 - t) * elementwise.log(1 - p))


def _binary_slope(ct: Any, t: Any, o: Any, from_logits: bool) -> Any:
    if from_logits:
        return ct * (activations.sigmoid(o) - t)
    p = _clipped(o)
    inside = shaping.cast(elementwise.equal(p, o), o.dtype)
    return ct * inside * ((1 - t) / (1 - p) - t / p)


_binary_crossentropy = _loss(
    "binary_crossentropy",
    _infer_elements("binary_crossentropy"),
    _binary_formula,
    _binary_slope,
)


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return `-(t log p + (1 - t) log(1 - p))` for each element.

    Args:
        target: tensor of probabilities in [0, 1].
        output: tensor of the same shape: probabilities, or logits.
        from_logits: whether `output` holds logits.

    Raises:
        ValueError: if the shapes differ.
    """
    target, output = _pair("binary_crossentropy", target, output)
    return apply(_binary_crossentropy, target, output, from_logits=bool(from_logits))


# --- categorical cross-entropy ------------------------------------------------


def _log_probabilities(o: Any, from_logits: bool) -> Any:
    if from_logits:
        return activations.log_softmax(o)
    return elementwise.log(_clipped(o / reductions.sum(o, axis=-1, keepdims=True)))


def _categorical_formula(t: Any, o: Any, from_logits: bool) -> Any:
    return -reductions.sum(t * _log_probabilities(o, from_logits), axis=-1)


def _sparse_formula(t: Any, o: Any, from_logits: bool) -> Any:
    hot = indexing.one_hot(t, o.shape[-1], dtype=o.dtype)
    return -reductions.sum(hot * _log_probabilities(o, from_logits), axis=-1)


def _slope_of(formula: Rule) -> Rule:
    """Return the gradient of a formula with respect to its output, as a formula."""
    vjp = vjp_of(formula)

    def slope(ct: Any, t: Any, o: Any, **attrs: Any) -> Any:
        return vjp(ct, None, t, o, needs=(False, True), **attrs)[1]

    return slope


def _infer_sparse(target: Any, output: Any, **attrs: Any) -> Any:
    expected = output.shape[:-1]
    if output.ndim < 1 or not shapes.compatible(target.shape, expected):
        raise ValueError(
            "sparse_categorical_crossentropy: expected integer labels of shape "
            f"{expected} for an output of shape {output.shape}, got {target.shape}"
        )
    return shapes.merged(expected, target.shape), output.dtype


_categorical_crossentropy = _loss(
    "categorical_crossentropy",
    _infer_rows("categorical_crossentropy"),
    _categorical_formula,
    _slope_of(_categorical_formula),
)
_sparse_categorical_crossentropy = _loss(
    "sparse_categorical_crossentropy",
    _infer_sparse,
    _sparse_formula,
    _slope_of(_sparse_formula),
)


def _last(x: Any, axis: int) -> Any:
    axis = shapes.normalize_axis(axis, x.ndim, "crossentropy")
    return x if axis == x.ndim - 1 else shaping.moveaxis(x, axis, -1)


@op
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return `-sum(t log p)` along `axis`.

    Args:
        target: tensor of class probabilities (one-hot, say).
        output: tensor of the same shape: probabilities, or logits.
        from_logits: whether `output` holds logits; probabilities are normalized to
            sum 1.
        axis: axis of the classes.

    Returns:
        Tensor without `axis`.

    Raises:
        ValueError: if the shapes differ.
    """
    target, output = _pair("categorical_crossentropy", target, output)
    return apply(
        _categorical_crossentropy,
        _last(target, axis),
        _last(output, axis),
        from_logits=bool(from_logits),
    )


@op
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return `-log p[target]` along `axis`.

    Args:
        target: integer class numbers, of the shape of `output` without `axis` (or with
            size 1 there).
        output: tensor of probabilities, or of logits.
        from_logits: whether `output` holds logits.
        axis: axis of the classes.

    Returns:
        Tensor without `axis`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    output = _last(elementwise.as_float(output), axis)
    target = as_tensor(target)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = shaping.squeeze(target, -1)
    if shapes.is_float(target.dtype) or target.dtype == "bool":
        target = shaping.cast(target, "int32")
    _infer_sparse(target, output)
    return apply(
        _sparse_categorical_crossentropy, target, output, from_logits=bool(from_logits)
    )
