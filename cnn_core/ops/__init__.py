"""The public tensor operations, with the names of `keras.ops`."""

# The imports below are exports:
# ruff: noqa: F401
# mypy: implicit-reexport

from __future__ import annotations

from typing import Any

from ..graph import custom_gradient
from ..graph.tensor import install_operators
from . import linalg, losses
from .activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from .core import (
    array,
    associative_scan,
    compute_output_spec,
    cond,
    convert_to_numpy,
    convert_to_tensor,
    copy,
    dtype,
    fori_loop,
    is_keras_tensor,
    is_tensor,
    is_variable,
    jvp,
    map,
    ndim,
    saturate_cast,
    scan,
    size,
    stop_gradient,
    switch,
    vectorized_map,
    while_loop,
)
from .creation import (
    arange,
    bartlett,
    blackman,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    geomspace,
    hamming,
    hanning,
    identity,
    kaiser,
    linspace,
    logspace,
    ones,
    ones_like,
    tri,
    zeros,
    zeros_like,
)
from .diagonals import (
    diag,
    diagflat,
    diagonal,
    trace,
    tril,
    triu,
    vander,
)
from .elementwise import (
    abs,
    absolute,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    gcd,
    greater,
    greater_equal,
    hypot,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    lcm,
    left_shift,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    nextafter,
    not_equal,
    power,
    reciprocal,
    right_shift,
    rsqrt,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    true_divide,
    trunc,
    where,
)
from .functions import (
    allclose,
    angle,
    conj,
    conjugate,
    deg2rad,
    divide_no_nan,
    fabs,
    fmax,
    fmin,
    heaviside,
    imag,
    isclose,
    isreal,
    ldexp,
    logaddexp,
    logaddexp2,
    nan_to_num,
    rad2deg,
    real,
    round,
    select,
    sinc,
)
from .indexing import (
    get_item,
    multi_hot,
    nonzero,
    one_hot,
    slice_update,
    take,
    take_along_axis,
    unstack,
)
from .indexing import slice_ as slice
from .joining import (
    append,
    array_split,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    pad,
    split,
    stack,
    vsplit,
    vstack,
)
from .linalg import (
    cholesky,
    cholesky_inverse,
    det,
    eigh,
    inv,
    logdet,
    lstsq,
    matrix_rank,
    norm,
    normalize,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
)
from .losses import (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from .matmul import (
    cross,
    dot,
    einsum,
    inner,
    kron,
    matmul,
    outer,
    tensordot,
    vdot,
)
from .reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    average,
    count_nonzero,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    moments,
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
    prod,
    ptp,
    std,
    sum,
    var,
)
from .scattering import (
    bincount,
    scatter,
    scatter_update,
    segment_max,
    segment_min,
    segment_prod,
    segment_sum,
)
from .sequences import (
    cdist,
    corrcoef,
    correlate,
    diff,
    dot_product_attention,
    psnr,
    trapezoid,
)
from .shaping import (
    broadcast_to,
    cast,
    expand_dims,
    flip,
    fliplr,
    flipud,
    meshgrid,
    moveaxis,
    ravel,
    repeat,
    reshape,
    roll,
    rot90,
    shape,
    squeeze,
    swapaxes,
    tile,
    transpose,
    unravel_index,
    view,
)
from .sorting import (
    argpartition,
    argsort,
    digitize,
    histogram,
    in_top_k,
    isin,
    median,
    nanmedian,
    nanpercentile,
    nanquantile,
    percentile,
    quantile,
    searchsorted,
    sort,
    top_k,
    unique,
)

__all__ = [
    name
    for name, value in sorted(globals().items())
    if callable(value) and name not in ("Any", "install_operators")
]


def _operators() -> dict[str, Any]:
    """Return the Python operators of tensors, in terms of the operations."""

    def known(x: Any) -> bool:
        return isinstance(x, (int, float, list, tuple)) or hasattr(x, "__array__")

    operators: dict[str, Any] = {}

    def define(name: str, function: Any, reflected: bool = False) -> None:
        def operator(self: Any, other: Any) -> Any:
            if not known(other):
                return NotImplemented
            return function(other, self) if reflected else function(self, other)

        operators[name] = operator

    for name, function in {
        "add": add,
        "sub": subtract,
        "mul": multiply,
        "truediv": divide,
        "floordiv": floor_divide,
        "mod": mod,
        "pow": power,
        "matmul": matmul,
        "and": bitwise_and,
        "or": bitwise_or,
        "xor": bitwise_xor,
    }.items():
        define(f"__{name}__", function)
        define(f"__r{name}__", function, reflected=True)
    for name, function in {
        "lt": less,
        "le": less_equal,
        "gt": greater,
        "ge": greater_equal,
    }.items():
        define(f"__{name}__", function)
    operators["__neg__"] = negative
    operators["__abs__"] = absolute
    operators["__invert__"] = bitwise_not
    operators["__getitem__"] = get_item
    return operators


def _equal(x: Any, other: Any) -> Any:
    return (
        equal(x, other) if hasattr(other, "__array__") or _is_number(other) else False
    )


def _not_equal(x: Any, other: Any) -> Any:
    if hasattr(other, "__array__") or _is_number(other):
        return not_equal(x, other)
    return True


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, list, tuple))


install_operators(
    _operators(),
    {
        "transpose": transpose,
        "cast": cast,
        "reshape": reshape,
        "round": round,
        "squeeze": squeeze,
        "stack": stack,
        "equal": _equal,
        "not_equal": _not_equal,
    },
)
