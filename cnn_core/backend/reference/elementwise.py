"""Elementwise arithmetic, comparison and mathematical functions.

Binary functions broadcast like NumPy and expect operands of one dtype. Functions
whose values are fractions (`exp`, `divide`, `floor` ...) keep a float dtype and
turn integers into float32; the others keep any dtype.
"""

from __future__ import annotations

import numpy as np

from cnn_core.backend.reference._common import Array, as_float, narrow, quiet

__all__ = [
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "round",
    "rsqrt",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "where",
]

# Coefficients of W. J. Cody's rational approximations, highest power first.
_ERF_SMALL_P = (
    1.85777706184603153e-1,
    3.16112374387056560e00,
    1.13864154151050156e02,
    3.77485237685302021e02,
    3.20937758913846947e03,
)
_ERF_SMALL_Q = (
    1.0,
    2.36012909523441209e01,
    2.44024637934444173e02,
    1.28261652607737228e03,
    2.84423683343917062e03,
)
_ERFC_MIDDLE_P = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e00,
    6.61191906371416295e01,
    2.98635138197400131e02,
    8.81952221241769090e02,
    1.71204761263407058e03,
    2.05107837782607147e03,
    1.23033935479799725e03,
)
_ERFC_MIDDLE_Q = (
    1.0,
    1.57449261107098347e01,
    1.17693950891312499e02,
    5.37181101862009858e02,
    1.62138957456669019e03,
    3.29079923573345963e03,
    4.36261909014324716e03,
    3.43936767414372164e03,
    1.23033935480374942e03,
)
_ERFC_LARGE_P = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_ERFC_LARGE_Q = (
    1.0,
    2.56852019228982242e00,
    1.87295284992346725e00,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)
_ONE_OVER_SQRT_PI = 0.56418958354775628695
_ERF_SMALL_LIMIT = 0.46875
_ERFC_LARGE_LIMIT = 4.0
_ERFC_UNDERFLOW = 27.3


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Evaluate a polynomial, highest power first, by Horner's scheme."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _exp_minus_square(x: Array) -> Array:
    """Return exp(-x*x) for x >= 0 without the error of squaring a rounded x."""
    head = np.trunc(x * 16.0) / 16.0
    return np.asarray(np.exp(-head * head) * np.exp(-(x - head) * (x + head)))


def _erfc_positive(x: Array) -> Array:
    """Return erfc(x) in float64 for a one-dimensional x >= 0.46875."""
    value = np.zeros_like(x)
    middle = x <= _ERFC_LARGE_LIMIT
    part = x[middle]
    ratio = _polynomial(_ERFC_MIDDLE_P, part) / _polynomial(_ERFC_MIDDLE_Q, part)
    value[middle] = _exp_minus_square(part) * ratio
    large = (x > _ERFC_LARGE_LIMIT) & (x < _ERFC_UNDERFLOW)
    part = x[large]
    inverse = 1.0 / (part * part)
    ratio = (
        inverse
        * _polynomial(_ERFC_LARGE_P, inverse)
        / _polynomial(_ERFC_LARGE_Q, inverse)
    )
    value[large] = _exp_minus_square(part) * (_ONE_OVER_SQRT_PI - ratio) / part
    return value


def erf_float64(x: Array, complement: bool = False) -> Array:
    """Return erf(x), or erfc(x) = 1 - erf(x), as float64.

    Both are accurate to a few units of the last place of float64 over the whole
    line; erfc keeps its relative accuracy down to where it underflows.

    Args:
        x: float array of any shape.
        complement: whether to return erfc instead of erf.

    Returns:
        float64 array of the shape of `x`.

    References:
        W. J. Cody, "Rational Chebyshev approximations for the error function",
        Mathematics of Computation 23 (1969), 631-637.
    """
    flat = np.asarray(x, dtype=np.float64).reshape(-1)
    size = np.abs(flat)
    value = np.full_like(flat, np.nan)
    small = size <= _ERF_SMALL_LIMIT
    part = flat[small]
    squared = part * part
    series = part * (
        _polynomial(_ERF_SMALL_P, squared) / _polynomial(_ERF_SMALL_Q, squared)
    )
    value[small] = 1.0 - series if complement else series
    outer = size > _ERF_SMALL_LIMIT
    tail = _erfc_positive(size[outer])
    positive = flat[outer] > 0.0
    if complement:
        value[outer] = np.where(positive, tail, 2.0 - tail)
    else:
        value[outer] = np.where(positive, 1.0 - tail, tail - 1.0)
    return value.reshape(np.shape(x))


# Arithmetic of two arrays.


@quiet
def add(a: Array, b: Array) -> Array:
    """Return a + b."""
    return np.asarray(np.add(a, b))


@quiet
def subtract(a: Array, b: Array) -> Array:
    """Return a - b."""
    return np.asarray(np.subtract(a, b))


@quiet
def multiply(a: Array, b: Array) -> Array:
    """Return a * b."""
    return np.asarray(np.multiply(a, b))


@quiet
def divide(a: Array, b: Array) -> Array:
    """Return the true quotient a / b."""
    return np.asarray(np.divide(as_float(a), as_float(b)))


@quiet
def floor_divide(a: Array, b: Array) -> Array:
    """Return the quotient rounded towards minus infinity."""
    return np.asarray(np.floor_divide(a, b))


@quiet
def mod(a: Array, b: Array) -> Array:
    """Return the remainder of `floor_divide`; it has the sign of `b`."""
    return np.asarray(np.mod(a, b))


@quiet
def power(a: Array, b: Array) -> Array:
    """Return a raised to the power b."""
    return np.asarray(np.power(a, b))


@quiet
def maximum(a: Array, b: Array) -> Array:
    """Return the larger element; NaN if either is NaN."""
    return np.asarray(np.maximum(a, b))


@quiet
def minimum(a: Array, b: Array) -> Array:
    """Return the smaller element; NaN if either is NaN."""
    return np.asarray(np.minimum(a, b))


@quiet
def arctan2(a: Array, b: Array) -> Array:
    """Return the angle of the point with ordinate `a` and abscissa `b`."""
    return np.asarray(np.arctan2(as_float(a), as_float(b)))


# Comparison, logic and choice; comparisons and logic return booleans.


@quiet
def equal(a: Array, b: Array) -> Array:
    """Return a == b."""
    return np.asarray(np.equal(a, b))


@quiet
def not_equal(a: Array, b: Array) -> Array:
    """Return a != b."""
    return np.asarray(np.not_equal(a, b))


@quiet
def less(a: Array, b: Array) -> Array:
    """Return a < b."""
    return np.asarray(np.less(a, b))


@quiet
def less_equal(a: Array, b: Array) -> Array:
    """Return a <= b."""
    return np.asarray(np.less_equal(a, b))


@quiet
def greater(a: Array, b: Array) -> Array:
    """Return a > b."""
    return np.asarray(np.greater(a, b))


@quiet
def greater_equal(a: Array, b: Array) -> Array:
    """Return a >= b."""
    return np.asarray(np.greater_equal(a, b))


@quiet
def logical_and(a: Array, b: Array) -> Array:
    """Return whether both elements are nonzero."""
    return np.asarray(np.logical_and(a, b))


@quiet
def logical_or(a: Array, b: Array) -> Array:
    """Return whether at least one element is nonzero."""
    return np.asarray(np.logical_or(a, b))


@quiet
def logical_xor(a: Array, b: Array) -> Array:
    """Return whether exactly one element is nonzero."""
    return np.asarray(np.logical_xor(a, b))


@quiet
def logical_not(x: Array) -> Array:
    """Return whether the element is zero."""
    return np.asarray(np.logical_not(x))


@quiet
def where(condition: Array, a: Array, b: Array) -> Array:
    """Return `a` where the condition is nonzero, `b` elsewhere (all broadcast)."""
    return np.where(condition, a, b)


@quiet
def isnan(x: Array) -> Array:
    """Return whether the element is NaN."""
    return np.asarray(np.isnan(x))


@quiet
def isinf(x: Array) -> Array:
    """Return whether the element is plus or minus infinity."""
    return np.asarray(np.isinf(x))


@quiet
def isfinite(x: Array) -> Array:
    """Return whether the element is neither NaN nor infinite."""
    return np.asarray(np.isfinite(x))


# Functions of one array that keep any dtype.


@quiet
def negative(x: Array) -> Array:
    """Return -x."""
    return np.asarray(np.negative(x))


@quiet
def absolute(x: Array) -> Array:
    """Return the absolute value."""
    return np.asarray(np.absolute(x))


@quiet
def sign(x: Array) -> Array:
    """Return -1, 0 or 1 with the sign of the element; NaN stays NaN."""
    return np.asarray(np.sign(x))


@quiet
def square(x: Array) -> Array:
    """Return x * x."""
    return np.asarray(np.square(x))


@quiet
def round(x: Array) -> Array:
    """Return the nearest integral value, halves to even."""
    return np.asarray(np.round(x))


@quiet
def clip(x: Array, lo: Array | float | None, hi: Array | float | None) -> Array:
    """Return x limited to [lo, hi]; a bound of None does not limit."""
    return np.asarray(np.clip(x, lo, hi))


# Functions of one array with float results.


@quiet
def floor(x: Array) -> Array:
    """Return the largest integral value not above x."""
    return np.asarray(np.floor(as_float(x)))


@quiet
def ceil(x: Array) -> Array:
    """Return the smallest integral value not below x."""
    return np.asarray(np.ceil(as_float(x)))


@quiet
def reciprocal(x: Array) -> Array:
    """Return 1 / x."""
    return np.asarray(np.reciprocal(as_float(x)))


@quiet
def sqrt(x: Array) -> Array:
    """Return the square root; NaN for negative x."""
    return np.asarray(np.sqrt(as_float(x)))


@quiet
def rsqrt(x: Array) -> Array:
    """Return 1 / sqrt(x)."""
    return np.asarray(np.reciprocal(np.sqrt(as_float(x))))


@quiet
def exp(x: Array) -> Array:
    """Return e**x."""
    return np.asarray(np.exp(as_float(x)))


@quiet
def expm1(x: Array) -> Array:
    """Return e**x - 1, accurate near zero."""
    return np.asarray(np.expm1(as_float(x)))


@quiet
def log(x: Array) -> Array:
    """Return the natural logarithm."""
    return np.asarray(np.log(as_float(x)))


@quiet
def log1p(x: Array) -> Array:
    """Return log(1 + x), accurate near zero."""
    return np.asarray(np.log1p(as_float(x)))


@quiet
def log2(x: Array) -> Array:
    """Return the logarithm to base 2."""
    return np.asarray(np.log2(as_float(x)))


@quiet
def log10(x: Array) -> Array:
    """Return the logarithm to base 10."""
    return np.asarray(np.log10(as_float(x)))


@quiet
def sin(x: Array) -> Array:
    """Return the sine."""
    return np.asarray(np.sin(as_float(x)))


@quiet
def cos(x: Array) -> Array:
    """Return the cosine."""
    return np.asarray(np.cos(as_float(x)))


@quiet
def tan(x: Array) -> Array:
    """Return the tangent."""
    return np.asarray(np.tan(as_float(x)))


@quiet
def arcsin(x: Array) -> Array:
    """Return the inverse sine."""
    return np.asarray(np.arcsin(as_float(x)))


@quiet
def arccos(x: Array) -> Array:
    """Return the inverse cosine."""
    return np.asarray(np.arccos(as_float(x)))


@quiet
def arctan(x: Array) -> Array:
    """Return the inverse tangent."""
    return np.asarray(np.arctan(as_float(x)))


@quiet
def sinh(x: Array) -> Array:
    """Return the hyperbolic sine."""
    return np.asarray(np.sinh(as_float(x)))


@quiet
def cosh(x: Array) -> Array:
    """Return the hyperbolic cosine."""
    return np.asarray(np.cosh(as_float(x)))


@quiet
def arcsinh(x: Array) -> Array:
    """Return the inverse hyperbolic sine."""
    return np.asarray(np.arcsinh(as_float(x)))


@quiet
def arccosh(x: Array) -> Array:
    """Return the inverse hyperbolic cosine."""
    return np.asarray(np.arccosh(as_float(x)))


@quiet
def arctanh(x: Array) -> Array:
    """Return the inverse hyperbolic tangent."""
    return np.asarray(np.arctanh(as_float(x)))


@quiet
def erf(x: Array) -> Array:
    """Return the error function, computed in float64 and rounded once."""
    return narrow(erf_float64(as_float(x)), like=np.asarray(x))
