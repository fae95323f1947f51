"""Activation functions, each with a fused gradient kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import backend, shapes
from ..graph import KerasTensor, Primitive, apply, as_tensor, per_argument
from . import creation, elementwise, joining, reductions, shaping, sorting
from ._op import named, op, vjp_of

Rule = Callable[..., Any]

# Activations that a matmul kernel applies to its tile in registers and whose gradient
# needs the output only. name -> gradient(ct, y)
FUSED: dict[str, Rule] = {}


def gradient_from_output(name: str, ct: Any, y: Any) -> Any:
    """Return the cotangent before a fused activation, given its output `y`."""
    return FUSED[name](ct, y)


def _infer(x: Any, **attrs: Any) -> Any:
    return x.shape, x.dtype


def _infer_grad(ct: Any, saved: Any, **attrs: Any) -> Any:
    return shapes.broadcast(ct.shape, saved.shape, who="activation"), saved.dtype


def _activation(name: str, saves: str, formula: Rule) -> tuple[Primitive, Primitive]:
    """Return the primitives of an activation and of its gradient kernel.

    Args:
        name: name of the backend functions, `name` and `name_grad`.
        saves: what the gradient kernel takes, "x" or "y".
        formula: `formula(ct, saved, **attrs)` computes the gradient with ops; its own
            derivative serves gradients of gradients.
    """
    gradient = Primitive(
        f"{name}_grad",
        getattr(backend, f"{name}_grad"),
        _infer_grad,
        vjp_of(formula),
    )

    def rule(ct: Any, y: Any, x: Any, **attrs: Any) -> Any:
        return apply(gradient, ct, x if saves == "x" else y, **attrs)

    forward = Primitive(name, getattr(backend, name), _infer, per_argument(rule))
    return forward, gradient


def _as(mask: Any, like: Any) -> Any:
    return shaping.cast(mask, like.dtype)


_relu, _relu_grad = _activation(
    "relu", "y", lambda ct, y: elementwise.where(y > 0, ct, 0)
)
_leaky_relu, _leaky_relu_grad = _activation(
    "leaky_relu",
    "x",
    lambda ct, x, negative_slope: elementwise.where(x > 0, ct, ct * negative_slope),
)
_elu, _elu_grad = _activation(
    "elu", "y", lambda ct, y, alpha: elementwise.where(y > 0, ct, ct * (y + alpha))
)
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_selu, _selu_grad = _activation(
    "selu",
    "y",
    lambda ct, y: (
        ct * elementwise.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)
    ),
)


def _gelu_formula(ct: Any, x: Any, approximate: bool) -> Any:
    if approximate:
        c = math.sqrt(2 / math.pi)
        t = tanh(c * (x + 0.044715 * x * x * x))
        slope = c * (1 + 3 * 0.044715 * x * x)
        return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = elementwise.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return ct * (0.5 * (1 + elementwise.erf(x * math.sqrt(0.5))) + x * density)


def _silu_formula(ct: Any, x: Any) -> Any:
    s = sigmoid(x)
    return ct * (s + x * s * (1 - s))


_gelu, _ = _activation("gelu", "x", _gelu_formula)
_silu, _ = _activation("silu", "x", _silu_formula)
_sigmoid, _sigmoid_grad = _activation("sigmoid", "y", lambda ct, y: ct * y * (1 - y))
_hard_sigmoid, _hard_sigmoid_grad = _activation(
    "hard_sigmoid",
    "x",
    lambda ct, x: ct * _as(elementwise.logical_and(x > -3, x < 3), x) / 6,
)
_tanh, _tanh_grad = _activation("tanh", "y", lambda ct, y: ct * (1 - y * y))
_softplus, _ = _activation("softplus", "x", lambda ct, x: ct * sigmoid(x))
_softsign, _ = _activation(
    "softsign",
    "x",
    lambda ct, x: ct / elementwise.square(1 + elementwise.absolute(x)),
)

FUSED.update(
    relu=lambda ct, y: apply(_relu_grad, ct, y),
    # The slope is positive, so the output has the sign of the input.
    leaky_relu=lambda ct, y: apply(_leaky_relu_grad, ct, y, negative_slope=0.2),
    elu=lambda ct, y: apply(_elu_grad, ct, y, alpha=1.0),
    selu=lambda ct, y: apply(_selu_grad, ct, y),
    sigmoid=lambda ct, y: apply(_sigmoid_grad, ct, y),
    tanh=lambda ct, y: apply(_tanh_grad, ct, y),
    exponential=lambda ct, y: ct * y,
)


def _simple(
    primitive: Primitive, doc: str, convert: Rule = elementwise.as_float
) -> Rule:
    def function(x: Any) -> Any:
        return apply(primitive, convert(x))

    return named(function, primitive.name, doc, x="tensor of any shape.")


relu: Rule = _simple(_relu, "Return `max(x, 0)`.", as_tensor)
selu = _simple(_selu, "Return the scaled exponential linear unit (Klambauer 2017).")
silu = _simple(_silu, "Return `x * sigmoid(x)`, also called swish.")
swish = silu
sigmoid: Rule = _simple(_sigmoid, "Return `1 / (1 + exp(-x))`.")
hard_sigmoid = _simple(_hard_sigmoid, "Return `x / 6 + 0.5` limited to [0, 1].")
tanh: Rule = _simple(_tanh, "Return the hyperbolic tangent.")
softplus = _simple(_softplus, "Return `log(1 + exp(x))`.")
softsign = _simple(_softsign, "Return `x / (1 + |x|)`.")


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return `x` where positive and `negative_slope * x` elsewhere.

    Args:
        x: tensor of any shape.
        negative_slope: slope left of zero.
    """
    return apply(
        _leaky_relu, elementwise.as_float(x), negative_slope=float(negative_slope)
    )


@op
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return `x` where positive and `alpha * (exp(x) - 1)` elsewhere.

    Args:
        x: tensor of any shape.
        alpha: limit for large negative `x` is `-alpha`.

    References:
        Clevert et al. 2016, "Fast and Accurate Deep Network Learning by ELUs".
    """
    x = elementwise.as_float(x)
    if alpha < 0:  # the kernel tells the sides apart by the sign of the output
        return elementwise.where(x > 0, x, alpha * elementwise.expm1(x))
    return apply(_elu, x, alpha=float(alpha))


@op
def gelu(x: Any, approximate: bool = True) -> Any:
    """Return `x` times the normal distribution function of `x`.

    Args:
        x: tensor of any shape.
        approximate: whether to use the tanh form instead of erf.

    References:
        Hendrycks and Gimpel 2016, "Gaussian Error Linear Units (GELUs)".
    """
    return apply(_gelu, elementwise.as_float(x), approximate=bool(approximate))


# --- softmax ------------------------------------------------------------------


def _softmax_formula(ct: Any, y: Any, axis: int) -> Any:
    return y * (ct - reductions.sum(ct * y, axis=axis, keepdims=True))


def _log_softmax_formula(ct: Any, y: Any, axis: int) -> Any:
    return ct - elementwise.exp(y) * reductions.sum(ct, axis=axis, keepdims=True)


def _infer_softmax(x: Any, axis: int) -> Any:
    shapes.normalize_axis(axis, x.ndim, "softmax")
    return x.shape, x.dtype


_softmax, _ = _activation("softmax", "y", _softmax_formula)
_log_softmax, _ = _activation("log_softmax", "y", _log_softmax_formula)
_softmax.infer = _log_softmax.infer = _infer_softmax


def _along(primitive: Primitive, x: Any, axis: Any) -> Any:
    """Apply a softmax along one axis, several axes, or (None) all of them."""
    x = elementwise.as_float(x)
    axes = shapes.normalize_axes(axis, x.ndim, primitive.name)
    if len(axes) == 1 or isinstance(x, KerasTensor):
        return apply(primitive, x, axis=axes[0] if axes else -1)
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    moved = shaping.transpose(x, order)
    kept = moved.shape[: x.ndim - len(axes)]
    rows = shaping.reshape(moved, (*kept, math.prod(moved.shape[len(kept) :])))
    y = shaping.reshape(apply(primitive, rows, axis=-1), moved.shape)
    return shaping.moveaxis(y, list(range(x.ndim)), order)


@op
def softmax(x: Any, axis: Any = -1) -> Any:
    """Return `exp(x)` normalized to sum 1 along `axis`.

    Args:
        x: tensor of logits.
        axis: axis, or axes, whose elements sum to 1; None for all.
    """
    return _along(_softmax, x, axis)


@op
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return the logarithm of `softmax(x, axis)`, without overflow.

    Args:
        x: tensor of logits.
        axis: axis, or axes, whose probabilities sum to 1; None for all.
    """
    return _along(_log_softmax, x, axis)


# --- compositions -------------------------------------------------------------


@op
def relu6(x: Any) -> Any:
    """Return `x` limited to [0, 6]."""
    return elementwise.minimum(relu(x), 6)


@op
def log_sigmoid(x: Any) -> Any:
    """Return `log(sigmoid(x))`, without overflow."""
    return -softplus(-elementwise.as_float(x))


@op
def hard_silu(x: Any) -> Any:
    """Return `x * hard_sigmoid(x)`, also called hard swish."""
    x = elementwise.as_float(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


@op
def hard_tanh(x: Any) -> Any:
    """Return `x` limited to [-1, 1]."""
    return elementwise.clip(elementwise.as_float(x), -1.0, 1.0)


@op
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))` (Barron 2017)."""
    x = elementwise.as_float(x)
    low = elementwise.where(x > 0, 0, x)  # expm1 of large numbers is infinite
    return elementwise.where(x > 0, x, alpha * elementwise.expm1(low / alpha))


@op
def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half of `x` along `axis` times the sigmoid of the second.

    Raises:
        ValueError: if the size along `axis` is odd.
    """
    x = elementwise.as_float(x)
    axis = shapes.normalize_axis(axis, x.ndim, "glu")
    if x.shape[axis] is not None and x.shape[axis] % 2:
        raise ValueError(
            f"glu: expected an even size along axis {axis}, got shape {x.shape}"
        )
    value, gate = joining.split(x, 2, axis)
    return value * sigmoid(gate)


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Move `x` towards zero by `threshold`, stopping at zero."""
    x = elementwise.as_float(x)
    return elementwise.where(
        x > threshold,
        x - threshold,
        elementwise.where(x < -threshold, x + threshold, 0.0),
    )


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Set elements within `threshold` of zero to zero."""
    x = elementwise.as_float(x)
    return elementwise.where(elementwise.absolute(x) > threshold, x, 0.0)


@op
def tanh_shrink(x: Any) -> Any:
    """Return `x - tanh(x)`."""
    x = elementwise.as_float(x)
    return x - tanh(x)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return `x` above `threshold` and `default_value` elsewhere."""
    x = elementwise.as_float(x)
    return elementwise.where(x > threshold, x, default_value)


@op
def squareplus(x: Any, b: float = 4) -> Any:
    """Return `(x + sqrt(x * x + b)) / 2` (Barron 2021)."""
    x = elementwise.as_float(x)
    return (x + elementwise.sqrt(x * x + b)) / 2


@op
def sparse_plus(x: Any) -> Any:
    """Return 0 up to -1, `x` from 1 on, and `(x + 1)**2 / 4` between."""
    x = elementwise.as_float(x)
    middle = elementwise.square(x + 1) / 4
    return elementwise.where(x <= -1, 0.0, elementwise.where(x < 1, middle, x))


@op
def sparse_sigmoid(x: Any) -> Any:
    """Return 0 up to -1, 1 from 1 on, and `(x + 1) / 2` between."""
    x = elementwise.as_float(x)
    return elementwise.where(x <= -1, 0.0, elementwise.where(x >= 1, 1.0, (x + 1) / 2))


@op
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return the Euclidean projection of `x` onto the probability simplex.

    Args:
        x: tensor of logits.
        axis: axis whose elements sum to 1.

    References:
        Martins and Astudillo 2016, "From Softmax to Sparsemax".
    """
    x = elementwise.as_float(x)
    shapes.normalize_axis(axis, x.ndim, "sparsemax")
    logits = shaping.moveaxis(x, axis, -1)
    descending = shaping.flip(sorting.sort(logits, axis=-1), -1)
    ranks = reductions.cumsum(creation.ones_like(logits), axis=-1)
    totals = reductions.cumsum(descending, axis=-1)
    kept = _as(1 + ranks * descending > totals, logits)
    count = reductions.sum(kept, axis=-1, keepdims=True)
    tau = (reductions.sum(descending * kept, axis=-1, keepdims=True) - 1) / count
    return shaping.moveaxis(relu(logits - tau), -1, axis)
