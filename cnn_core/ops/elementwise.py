"""Element-wise primitives, with NumPy's broadcasting, and their operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend, config, shapes
from ..backend.reference.elementwise import erf_float64
from ..graph import Primitive, apply, as_tensor, per_argument, promote
from . import indexing, reductions, shaping
from ._op import alias, named, op

Rule = Callable[..., Any]
quiet = np.errstate(all="ignore")  # for NumPy functions that serve as kernels


def unbroadcast(ct: Any, like: Any) -> Any:
    """Sum a cotangent over the axes along which `like` was broadcast."""
    if ct.shape == like.shape:
        return ct
    extra = ct.ndim - like.ndim
    axes = tuple(range(extra)) + tuple(
        i + extra
        for i, size in enumerate(like.shape)
        if size == 1 and ct.shape[i + extra] != 1
    )
    summed = reductions.sum(ct, axis=axes, keepdims=True) if axes else ct
    return shaping.reshape(summed, like.shape)


def as_float(x: Any) -> Any:
    """Return `x` as a tensor; integers and booleans become `floatx()`."""
    x = as_tensor(x)
    return x if shapes.is_float(x.dtype) else as_tensor(x, config.floatx())


def as_number(x: Any) -> Any:
    """Return `x` as a tensor; booleans become int32."""
    x = as_tensor(x)
    return x if x.dtype != "bool" else as_tensor(x, "int32")


def promote_numbers(*operands: Any) -> tuple[Any, ...]:
    """Return the operands as tensors of their common dtype, int32 for booleans."""
    return tuple(as_number(x) for x in promote(*operands))


def promote_floats(*operands: Any) -> tuple[Any, ...]:
    """Return the operands as tensors of their common float dtype."""
    return tuple(as_float(x) for x in promote(*operands))


def promote_integers(who: str, *operands: Any) -> tuple[Any, ...]:
    """Return the operands as tensors of their common integer (or boolean) dtype.

    Raises:
        TypeError: if it is a float type.
    """
    tensors = promote(*operands)
    if shapes.is_float(tensors[0].dtype):
        raise TypeError(
            f"{who}: expected integers or booleans, got dtype {tensors[0].dtype}"
        )
    return tensors


# --- one operand --------------------------------------------------------------


def _unary(
    name: str,
    rule: Rule | None,
    doc: str,
    *,
    convert: Rule = as_float,
    dtype: str = "",
    run: Rule | None = None,
) -> Rule:
    """Define a unary operation.

    Args:
        name: its name, also that of the backend function.
        rule: its VJP, `rule(ct, y, x)`.
        doc: first line of its docstring.
        convert: how operands become tensors.
        dtype: dtype of the result, if not that of the operand.
        run: kernel, if not a backend function.
    """
    primitive = Primitive(
        name,
        quiet(run) if run is not None else getattr(backend, name),
        lambda x: (x.shape, dtype or x.dtype),
        None if rule is None else per_argument(rule),
    )

    def function(x: Any) -> Any:
        return apply(primitive, convert(x))

    return named(function, name, doc, x="tensor of any shape.")


negative: Rule = _unary(
    "negative", lambda ct, y, x: -ct, "Return `-x`.", convert=as_tensor
)
absolute: Rule = _unary(
    "absolute", lambda ct, y, x: ct * sign(x), "Return `|x|`.", convert=as_tensor
)
abs = alias(absolute, "abs")
sign: Rule = _unary("sign", None, "Return -1, 0 or 1.", convert=as_tensor)
square: Rule = _unary(
    "square", lambda ct, y, x: ct * (x + x), "Return `x * x`.", convert=as_number
)
exp: Rule = _unary("exp", lambda ct, y, x: ct * y, "Return e to the power `x`.")
exp2: Rule = _unary(
    "exp2",
    lambda ct, y, x: ct * y * math.log(2),
    "Return 2 to the power `x`.",
    run=np.exp2,
)
expm1: Rule = _unary("expm1", lambda ct, y, x: ct * (y + 1), "Return `exp(x) - 1`.")
log: Rule = _unary("log", lambda ct, y, x: ct / x, "Return the natural logarithm.")
log1p: Rule = _unary("log1p", lambda ct, y, x: ct / (x + 1), "Return `log(1 + x)`.")
log2: Rule = _unary(
    "log2", lambda ct, y, x: ct / (x * math.log(2)), "Return the base-2 logarithm."
)
log10: Rule = _unary(
    "log10", lambda ct, y, x: ct / (x * math.log(10)), "Return the base-10 logarithm."
)
sqrt: Rule = _unary("sqrt", lambda ct, y, x: ct * 0.5 / y, "Return the square root.")
cbrt: Rule = _unary(
    "cbrt", lambda ct, y, x: ct / (3 * y * y), "Return the cube root.", run=np.cbrt
)
rsqrt: Rule = _unary(
    "rsqrt", lambda ct, y, x: ct * -0.5 * y / x, "Return `1 / sqrt(x)`."
)
reciprocal: Rule = _unary("reciprocal", lambda ct, y, x: -ct * y * y, "Return `1 / x`.")
sin: Rule = _unary("sin", lambda ct, y, x: ct * cos(x), "Return the sine.")
cos: Rule = _unary("cos", lambda ct, y, x: -ct * sin(x), "Return the cosine.")
tan: Rule = _unary("tan", lambda ct, y, x: ct * (1 + y * y), "Return the tangent.")
arcsin: Rule = _unary(
    "arcsin", lambda ct, y, x: ct * rsqrt(1 - x * x), "Return the inverse sine."
)
arccos: Rule = _unary(
    "arccos", lambda ct, y, x: -ct * rsqrt(1 - x * x), "Return the inverse cosine."
)
arctan: Rule = _unary(
    "arctan", lambda ct, y, x: ct / (1 + x * x), "Return the inverse tangent."
)
sinh: Rule = _unary(
    "sinh", lambda ct, y, x: ct * cosh(x), "Return the hyperbolic sine."
)
cosh: Rule = _unary(
    "cosh", lambda ct, y, x: ct * sinh(x), "Return the hyperbolic cosine."
)
arcsinh: Rule = _unary(
    "arcsinh",
    lambda ct, y, x: ct * rsqrt(1 + x * x),
    "Return the inverse hyperbolic sine.",
)
arccosh: Rule = _unary(
    "arccosh",
    lambda ct, y, x: ct * rsqrt(x - 1) * rsqrt(x + 1),
    "Return the inverse hyperbolic cosine.",
)
arctanh: Rule = _unary(
    "arctanh",
    lambda ct, y, x: ct / (1 - x * x),
    "Return the inverse hyperbolic tangent.",
)


def _bell(x: Any) -> Any:
    return (2 / math.sqrt(math.pi)) * exp(-x * x)


def _run_erfc(x: Any) -> Any:
    return np.asarray(erf_float64(x, complement=True), x.dtype)


def _run_erfinv(x: Any) -> Any:
    """Solve erf(y) = x by Halley's method from Winitzki's approximation."""
    x64 = np.asarray(x, np.float64)
    w = -np.log((1 - x64) * (1 + x64))
    y = np.sign(x64) * np.sqrt(
        np.sqrt((4.33 + w * -0.5) ** 2 + w / 0.147) - (4.33 + w * -0.5)
    )
    for _ in range(4):
        error = np.where(
            np.abs(x64) < 0.5,
            erf_float64(y) - x64,
            np.sign(x64) * ((1 - np.abs(x64)) - erf_float64(np.abs(y), True)),
        )
        step = error / (2 / math.sqrt(math.pi) * np.exp(-y * y))
        y = np.where(np.isfinite(step), y - step / (1 + y * step), y)
    y = np.where(np.abs(x64) == 1, x64 * np.inf, y)
    return np.asarray(np.where(x64 == 0, x64, y), x.dtype)


erf: Rule = _unary("erf", lambda ct, y, x: ct * _bell(x), "Return the error function.")
erfc: Rule = _unary(
    "erfc",
    lambda ct, y, x: -ct * _bell(x),
    "Return `1 - erf(x)`, accurate also where it is tiny.",
    run=_run_erfc,
)
erfinv: Rule = _unary(
    "erfinv",
    lambda ct, y, x: ct / _bell(y),
    "Return the inverse error function, NaN outside [-1, 1].",
    run=_run_erfinv,
)
floor: Rule = _unary("floor", None, "Round down.")
ceil: Rule = _unary("ceil", None, "Round up.")
trunc: Rule = _unary("trunc", None, "Round towards 0.", convert=as_tensor, run=np.trunc)
nearest: Rule = _unary(
    "round", None, "Round to the nearest integer, halves to even.", convert=as_number
)
isnan: Rule = _unary("isnan", None, "Tell where `x` is NaN.", dtype="bool")
isinf: Rule = _unary("isinf", None, "Tell where `x` is infinite.", dtype="bool")
isfinite: Rule = _unary("isfinite", None, "Tell where `x` is finite.", dtype="bool")
isposinf: Rule = _unary(
    "isposinf", None, "Tell where `x` is infinity.", dtype="bool", run=np.isposinf
)
isneginf: Rule = _unary(
    "isneginf", None, "Tell where `x` is minus infinity.", dtype="bool", run=np.isneginf
)
signbit: Rule = _unary(
    "signbit",
    None,
    "Tell where the sign of `x` is minus, also for -0.",
    convert=as_number,
    dtype="bool",
    run=np.signbit,
)
logical_not: Rule = _unary(
    "logical_not",
    None,
    "Return True where `x` is zero or False.",
    convert=lambda x: as_tensor(x, "bool"),
    dtype="bool",
)
bitwise_not: Rule = _unary(
    "bitwise_not",
    None,
    "Invert every bit of integers, or booleans.",
    convert=lambda x: promote_integers("bitwise_not", x)[0],
    run=np.bitwise_not,
)
bitwise_invert = alias(bitwise_not, "bitwise_invert")


# --- two operands -------------------------------------------------------------


def _binary(
    name: str,
    rules: tuple[Rule, Rule] | None,
    doc: str,
    *,
    convert: Rule = promote,
    dtype: str = "",
    run: Rule | None = None,
) -> Rule:
    """Define a binary operation.

    Args:
        name: its name, also that of the backend function.
        rules: its VJPs before un-broadcasting, `rule(ct, y, a, b)`.
        doc: first line of its docstring.
        convert: how operands become tensors.
        dtype: dtype of the result, if not that of the operands.
        run: kernel, if not a backend function.
    """

    def reduced(rule: Rule, which: int) -> Rule:
        return lambda ct, y, a, b: unbroadcast(rule(ct, y, a, b), (a, b)[which])

    vjp = None
    if rules is not None:
        vjp = per_argument(reduced(rules[0], 0), reduced(rules[1], 1))
    primitive = Primitive(
        name,
        quiet(run) if run is not None else getattr(backend, name),
        lambda a, b: (shapes.broadcast(a.shape, b.shape, who=name), dtype or a.dtype),
        vjp,
    )

    def function(x1: Any, x2: Any) -> Any:
        return apply(primitive, *convert(x1, x2))

    return named(
        function,
        name,
        doc,
        x1="tensor.",
        x2="tensor whose shape broadcasts with that of `x1`.",
    )


def _share(ct: Any, y: Any, a: Any, b: Any) -> Any:
    """Give a maximum's cotangent to `a` where it won, half where both did."""
    won = shaping.cast(equal(a, y), ct.dtype)
    return ct * won / (won + shaping.cast(equal(b, y), ct.dtype))


def _power_slope(ct: Any, y: Any, a: Any, b: Any) -> Any:
    # x ** 0 has the derivative 0 also at 0, where 0 * 0 ** -1 would be NaN.
    return ct * b * power(a, where(equal(b, 0), 1, b - 1))


def _exponent_slope(ct: Any, y: Any, a: Any, b: Any) -> Any:
    # 0 ** b has the derivative 0 in b; log(0) would make it NaN.
    return ct * y * log(where(a > 0, a, 1))


add: Rule = _binary(
    "add", (lambda ct, y, a, b: ct, lambda ct, y, a, b: ct), "Return `x1 + x2`."
)
subtract: Rule = _binary(
    "subtract", (lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct), "Return `x1 - x2`."
)
multiply: Rule = _binary(
    "multiply",
    (lambda ct, y, a, b: ct * b, lambda ct, y, a, b: ct * a),
    "Return `x1 * x2`.",
)
divide: Rule = _binary(
    "divide",
    (lambda ct, y, a, b: ct / b, lambda ct, y, a, b: -ct * y / b),
    "Return `x1 / x2`, as a float.",
    convert=promote_floats,
)
true_divide = alias(divide, "true_divide")
maximum: Rule = _binary(
    "maximum",
    (_share, lambda ct, y, a, b: _share(ct, y, b, a)),
    "Return the larger of `x1` and `x2`, or NaN.",
)
minimum: Rule = _binary(
    "minimum",
    (_share, lambda ct, y, a, b: _share(ct, y, b, a)),
    "Return the smaller of `x1` and `x2`, or NaN.",
)
_power: Rule = _binary(
    "power",
    (_power_slope, _exponent_slope),
    "Raise to a power.",
    convert=promote_numbers,
)
floor_divide: Rule = _binary(
    "floor_divide",
    None,
    "Return `x1 / x2` rounded down.",
    convert=promote_numbers,
)
mod: Rule = _binary(
    "mod",
    (lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * floor_divide(a, b)),
    "Return the remainder of `x1 / x2`, with the sign of `x2`.",
    convert=promote_numbers,
)
fmod: Rule = _binary(
    "fmod",
    (lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * trunc(a / b)),
    "Return the remainder of `x1 / x2`, with the sign of `x1`.",
    convert=promote_numbers,
    run=np.fmod,
)
arctan2: Rule = _binary(
    "arctan2",
    (
        lambda ct, y, a, b: ct * b / (a * a + b * b),
        lambda ct, y, a, b: -ct * a / (a * a + b * b),
    ),
    "Return the angle of the point (x2, x1) in radians.",
    convert=promote_floats,
)
hypot: Rule = _binary(
    "hypot",
    (lambda ct, y, a, b: ct * a / y, lambda ct, y, a, b: ct * b / y),
    "Return `sqrt(x1**2 + x2**2)` without overflow.",
    convert=promote_floats,
    run=np.hypot,
)
nextafter: Rule = _binary(
    "nextafter",
    None,
    "Return the next float after `x1` in the direction of `x2`.",
    convert=promote_floats,
    run=np.nextafter,
)
equal: Rule = _binary("equal", None, "Tell where `x1 == x2`.", dtype="bool")
not_equal: Rule = _binary("not_equal", None, "Tell where `x1 != x2`.", dtype="bool")
less: Rule = _binary("less", None, "Tell where `x1 < x2`.", dtype="bool")
less_equal: Rule = _binary("less_equal", None, "Tell where `x1 <= x2`.", dtype="bool")
greater: Rule = _binary("greater", None, "Tell where `x1 > x2`.", dtype="bool")
greater_equal: Rule = _binary(
    "greater_equal", None, "Tell where `x1 >= x2`.", dtype="bool"
)


def _as_booleans(x1: Any, x2: Any) -> tuple[Any, Any]:
    return as_tensor(x1, "bool"), as_tensor(x2, "bool")


logical_and: Rule = _binary(
    "logical_and", None, "Return `x1 and x2`.", convert=_as_booleans
)
logical_or: Rule = _binary(
    "logical_or", None, "Return `x1 or x2`.", convert=_as_booleans
)
logical_xor: Rule = _binary(
    "logical_xor", None, "Return `x1 xor x2`.", convert=_as_booleans
)


def _integers(name: str, doc: str, run: Rule) -> Rule:
    return _binary(
        name,
        None,
        doc,
        convert=lambda x1, x2: promote_integers(name, x1, x2),
        run=run,
    )


def _bits(name: str, doc: str, run: Rule) -> Rule:
    """Define an operation on bits, whose operands Keras calls x and y."""
    primitive = Primitive(
        name,
        quiet(run),
        lambda x, y: (shapes.broadcast(x.shape, y.shape, who=name), x.dtype),
    )

    def function(x: Any, y: Any) -> Any:
        return apply(primitive, *promote_integers(name, x, y))

    return named(
        function,
        name,
        doc,
        x="tensor of integers, or booleans.",
        y="tensor whose shape broadcasts with that of `x`.",
    )


bitwise_and: Rule = _bits(
    "bitwise_and", "Return the bits that both integers have.", np.bitwise_and
)
bitwise_or: Rule = _bits(
    "bitwise_or", "Return the bits that either integer has.", np.bitwise_or
)
bitwise_xor: Rule = _bits(
    "bitwise_xor", "Return the bits that one of the integers has.", np.bitwise_xor
)
left_shift: Rule = _bits(
    "left_shift", "Shift the bits of `x` left by `y`.", np.left_shift
)
bitwise_left_shift = alias(left_shift, "bitwise_left_shift")
right_shift: Rule = _bits(
    "right_shift", "Shift the bits of `x` right by `y`.", np.right_shift
)
bitwise_right_shift = alias(right_shift, "bitwise_right_shift")
gcd: Rule = _integers("gcd", "Return the greatest common divisor.", np.gcd)
lcm: Rule = _integers("lcm", "Return the least common multiple.", np.lcm)


@op
def power(x1: Any, x2: Any) -> Any:
    """Return `x1` to the power `x2`.

    Args:
        x1: tensor.
        x2: tensor whose shape broadcasts with that of `x1`.
    """
    if isinstance(x2, (int, float)) and x2 == 2 and not isinstance(x2, bool):
        return square(promote(x1, x2)[0])  # by far the most frequent one
    return _power(x1, x2)


# --- three operands -----------------------------------------------------------

_where = Primitive(
    "where",
    backend.where,
    lambda c, a, b: (shapes.broadcast(c.shape, a.shape, b.shape, who="where"), a.dtype),
    per_argument(
        None,
        lambda ct, y, c, a, b: unbroadcast(where(c, ct, 0), a),
        lambda ct, y, c, a, b: unbroadcast(where(c, 0, ct), b),
    ),
)


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return `x1` where `condition` holds and `x2` elsewhere.

    Args:
        condition: boolean tensor.
        x1: tensor whose shape broadcasts with the others.
        x2: likewise. Without `x1` and `x2` the indices of the True elements are
            returned, one tensor per axis.
    """
    if x1 is None and x2 is None:
        return indexing.nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where: expected both x1 and x2, or neither")
    return apply(_where, as_tensor(condition, "bool"), *promote(x1, x2))


_clip = Primitive(
    "clip",
    lambda x, lo, hi: backend.clip(x, lo, hi),
    lambda x, lo, hi: (x.shape, x.dtype),
    per_argument(lambda ct, y, x, lo, hi: where(logical_and(x >= lo, x <= hi), ct, 0)),
)


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Limit the elements to `[x_min, x_max]`.

    Args:
        x: tensor of any shape.
        x_min: lower limit, a number or a tensor that broadcasts with `x`.
        x_max: upper limit, likewise.
    """
    x = as_number(x)
    if all(isinstance(v, (int, float)) for v in (x_min, x_max)):
        if isinstance(x_min, float) or isinstance(x_max, float):
            x = as_float(x)
        return apply(_clip, x, lo=x_min, hi=x_max)
    return minimum(maximum(x, x_min), x_max)
