"""Calls of every public operation on small arrays: what the data-driven tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import ops


@dataclass(frozen=True)
class Call:
    """One call: `function(*inputs, **options)`.

    Args:
        function: takes the inputs as tensors, symbolic or not.
        inputs: arrays.
        sized: whether sizes of the inputs must be known, because the shape or the
            number of the results follows from them in a way Nones cannot say: True for
            all, "last" for those of the last axes.
    """

    function: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    sized: bool | str = False


def reals(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Any:
    """Uniform float32 numbers."""
    rng = np.random.default_rng((seed, *shape))
    return rng.uniform(low, high, shape).astype("float32")


def whole(*shape: int, low: int = 0, high: int = 5, seed: int = 0) -> Any:
    """Uniform int32 numbers."""
    return np.random.default_rng((seed, *shape)).integers(low, high, shape, "int32")


def bits(*shape: int, seed: int = 0) -> Any:
    """Random booleans."""
    return np.random.default_rng((seed, *shape)).integers(0, 2, shape).astype(bool)


def positive_definite(n: int) -> Any:
    """A stack of two positive definite matrices."""
    root = reals(2, n, n)
    return root @ root.transpose(0, 2, 1) + n * np.eye(n, dtype="float32")


CALLS: dict[str, list[Call]] = {}


def call(name: str, *inputs: Any, sized: Any = False, **options: Any) -> None:
    """Add a case: the leading arrays are the tensors, the rest goes along."""
    tensors = []
    for x in inputs:
        if not isinstance(x, np.ndarray):
            break
        tensors.append(x)
    rest = inputs[len(tensors) :]
    function = ops.slice if name == "slice_" else getattr(ops, name)
    CALLS.setdefault(name, []).append(
        Call(lambda *x: function(*x, *rest, **options), tuple(tensors), sized)
    )


def code(name: str, function: Callable[..., Any], *inputs: Any, sized=False) -> None:
    """Add a case with a function of its own."""
    CALLS.setdefault(name, []).append(Call(function, inputs, sized))


_ANY = (
    "absolute negative square sign trunc round angle real imag isreal fabs rad2deg "
    "deg2rad exp exp2 expm1 cbrt sin cos tan arctan sinh cosh tanh arcsinh erf erfc "
    "floor ceil isnan isinf isfinite isposinf isneginf signbit sinc sigmoid relu relu6 "
    "selu silu gelu elu celu leaky_relu hard_sigmoid hard_silu hard_tanh log_sigmoid "
    "softplus softsign soft_shrink hard_shrink tanh_shrink squareplus sparse_plus "
    "sparse_sigmoid softmax log_softmax sparsemax logical_not nan_to_num copy "
    "stop_gradient ones_like zeros_like"
).split()
for _name in _ANY:
    call(_name, reals(3, 4))
for _name in ("arcsin", "arccos", "arctanh", "erfinv"):
    call(_name, reals(3, 4, low=-0.9, high=0.9))
for _name in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal"):
    call(_name, reals(3, 4, low=0.5))
call("arccosh", reals(3, 4, low=1.5, high=3.0))
for _name in ("absolute", "negative", "square", "round", "relu", "exp", "floor"):
    call(_name, whole(2, 3))
call("round", reals(3), decimals=1)
call("threshold", reals(3, 4), 0.5, -1.0)
call("glu", reals(3, 4))
call("softmax", reals(2, 3, 4), axis=1)
call("softmax", reals(2, 3, 4), axis=(0, 2))
call("log_softmax", reals(2, 3, 4), axis=None)
call("sparsemax", reals(2, 3), axis=0)
call("cast", reals(3, 4), "int32")
call("cast", whole(3), "float16")
call("saturate_cast", reals(3, low=-500, high=500), "int8")
call("view", reals(3, 4), "int32")
call("view", reals(3, 4), "float16")
call("bitwise_not", whole(3))
call("full_like", reals(3, 4), 2)
call("zeros_like", reals(3), dtype="int32")

for _name in (
    "add subtract multiply divide maximum minimum arctan2 hypot logaddexp logaddexp2 "
    "fmax fmin heaviside divide_no_nan mod fmod floor_divide nextafter equal not_equal "
    "less less_equal greater greater_equal isclose"
).split():
    call(_name, reals(3, 4, low=0.5), reals(3, 4, low=0.5, seed=1))
    call(_name, reals(2, 1, 4, low=0.5), reals(3, 1, low=0.5))
for _name in ("add", "multiply", "divide", "maximum", "floor_divide", "equal"):
    call(_name, whole(3, low=1), whole(2, 3, low=1, seed=1))
    call(_name, reals(3, low=0.5), whole(3, low=1))
    call(_name, reals(3), 2.5)
    call(_name, whole(3), 2)
call("add", bits(3), bits(3, seed=1))
call("power", reals(3, 4, low=0.5), reals(4))
call("power", reals(3, 4), 2)
call("power", whole(3), 3)
call("ldexp", reals(3), whole(3))
for _name in (
    "bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm"
).split():
    call(_name, whole(2, 3), whole(3, seed=1))
for _name in ("logical_and", "logical_or", "logical_xor"):
    call(_name, bits(2, 3), bits(3, seed=1))
call("allclose", reals(3), reals(3))
call("where", bits(3, 1), reals(3, 4), reals(4))
call("where", bits(3), reals(3), 0)
call("clip", reals(3, 4), -0.5, 0.5)
call("clip", whole(3), 1, 3)
call("clip", reals(3, 4), np.float32([-1, -1, 0, 0]), np.float32(1))
code(
    "select",
    lambda c, d, a, b: ops.select([c, d], [a, b], 7.0),
    *(bits(3), bits(2, 3), reals(3), reals(2, 1)),
)

for _name in (
    "sum mean prod max min amax amin any all var std logsumexp ptp nansum nanprod "
    "nanmax nanmin nanmean nanvar nanstd"
).split():
    for _options in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}):
        call(_name, reals(2, 3, 4), **_options)
for _name in ("sum", "prod", "max", "mean", "any", "cumsum", "argmax", "sort"):
    call(_name, whole(2, 3))
    call(_name, bits(2, 3))
call("sum", np.uint8([1, 2]))
call("max", reals(2, 3), axis=1, initial=1.0)
for _name in ("argmax", "argmin", "nanargmax", "nanargmin"):
    call(_name, reals(3, 4))
    call(_name, reals(3, 4), axis=0)
    call(_name, reals(3, 4), axis=1, keepdims=True)
for _name in ("cumsum", "cumprod", "nancumsum", "nancumprod"):
    call(_name, reals(3, 4), axis=1)
    call(_name, reals(3, 4))
call("count_nonzero", whole(3, 4, high=2), axis=0)
call("moments", reals(2, 3, 4), [0, 1])
call("average", reals(3, 4), axis=1)
code("average", lambda x, w: ops.average(x, 0, w), reals(3, 4), reals(3))
code("average", lambda x, w: ops.average(x, weights=w), reals(3, 4), reals(3, 4))

call("matmul", reals(3, 4), reals(4, 5))
call("matmul", reals(4), reals(4, 5))
call("matmul", reals(3, 4), reals(4))
call("matmul", reals(4), reals(4, seed=1))
call("matmul", reals(2, 1, 3, 4), reals(5, 4, 2))
call("matmul", whole(2, 3), whole(3, 2))
call("matmul", np.int8([[1, 2]]), np.int8([[3], [4]]))
call("dot", reals(2, 3, 4), reals(4, 5))
call("dot", reals(4), reals(4))
call("vdot", reals(2, 3), reals(2, 3))
call("inner", reals(2, 4), reals(3, 4))
call("outer", reals(3), reals(4))
call("kron", reals(2, 3), reals(3, 2))
call("kron", reals(3), reals(2, 2))
call("tensordot", reals(2, 3, 4), reals(3, 4, 5))
call("tensordot", reals(2, 3, 4), reals(4, 2, 5), axes=((0, 2), (1, 0)))
call("cross", reals(4, 3), reals(3), sized=True)
call("cross", reals(3, 4), reals(3, 4), axis=0, sized=True)
call("cross", reals(4, 2), reals(4, 2), sized="last")
call("cross", reals(4, 2), reals(4, 3), sized="last")
for _subscripts, *_operands in (
    ("bqhd,bkhd->bhqk", reals(2, 3, 2, 4), reals(2, 5, 2, 4)),
    ("...i,ij->...j", reals(2, 3, 4), reals(4, 5)),
    ("ij,jk,kl->il", reals(2, 3), reals(3, 4), reals(4, 2)),
    ("ii->i", reals(3, 3)),
    ("ijk->ki", reals(2, 3, 4)),
    ("i,j", reals(3), reals(4)),
    ("ij,ij->", reals(2, 3), reals(2, 3)),
):
    code("einsum", lambda *x, text=_subscripts: ops.einsum(text, *x), *_operands)

call("reshape", reals(2, 6), (3, -1))
call("reshape", reals(2, 6), (-1, 2, 2))
call("ravel", reals(2, 3))
call("expand_dims", reals(2, 3), (0, -1))
call("squeeze", reals(3, 1, 2), 1)
call("squeeze", reals(1, 3, 1), sized=True)
call("transpose", reals(2, 3, 4), (1, 2, 0))
call("moveaxis", reals(2, 3, 4), 0, -1)
call("moveaxis", reals(2, 3, 4), (0, 1), (2, 0))
call("swapaxes", reals(2, 3, 4), 0, 2)
call("broadcast_to", reals(3, 1), (2, 3, 4))
call("tile", reals(2, 3), (2, 1, 2))
call("repeat", reals(2, 3), 2, axis=1)
call("repeat", reals(2, 3), 2)
call("repeat", reals(2, 3), [1, 0, 2], axis=1)
call("flip", reals(2, 3), axis=1)
call("fliplr", reals(2, 3))
call("flipud", reals(2, 3))
call("rot90", reals(2, 3))
call("rot90", reals(2, 3, 4), k=3, axes=(0, 2))
call("rot90", reals(2, 3), k=2)
call("roll", reals(2, 3), 1, axis=1)
call("roll", reals(2, 3), (1, -1), axis=(0, 1))
call("roll", reals(2, 3), 2)
code("concatenate", lambda *x: ops.concatenate(x, axis=1), reals(2, 3), reals(2, 1))
code("concatenate", lambda *x: ops.concatenate(x), reals(2), whole(3))
code("stack", lambda *x: ops.stack(x, axis=-1), reals(2, 3), reals(2, 3))
for _name in ("vstack", "hstack", "dstack"):
    code(_name, lambda *x, n=_name: getattr(ops, n)(x), reals(2, 3), reals(2, 3))
    code(_name, lambda *x, n=_name: getattr(ops, n)(x), reals(3), reals(3))
call("append", reals(2, 3), reals(1, 3), axis=0)
call("append", reals(2, 3), reals(4))
call("split", reals(4, 6), 3, axis=1)
call("split", reals(4, 6), [1, 4], axis=1)
call("array_split", reals(7), 3)
call("hsplit", reals(2, 4), 2)
call("vsplit", reals(4, 2), 2)
call("dsplit", reals(2, 3, 4), [1])
call("pad", reals(2, 3), ((1, 0), (2, 1)))
call("pad", reals(3, 4), 1, mode="reflect")
call("diagonal", reals(3, 4), offset=1)
call("diagonal", reals(2, 3, 4), 0, 2, 0)
call("diag", reals(3), k=-1)
call("diag", reals(3, 4))
call("diagflat", reals(2, 2))
call("trace", reals(3, 3))
call("tril", reals(2, 3, 4), k=1)
call("triu", reals(3, 4))
call("vander", reals(3))
call("vander", reals(3), 2, increasing=True)
call("meshgrid", reals(2), reals(3))
call("meshgrid", reals(2), reals(3), reals(4), indexing="ij")
call("unravel_index", whole(4, high=6), (2, 3))

for _key in (
    1,
    -1,
    slice(1, None),
    slice(None, None, -1),
    (slice(None), 2),
    (Ellipsis, 0),
    (None, Ellipsis, None),
    (0, slice(None), slice(1, 3)),
    [0, 1, 0],
    (slice(None), [0, 2]),
    (0, slice(None), [0, 2]),
    (Ellipsis, [0, 2], [1, 3]),
):
    call("get_item", reals(2, 3, 4), _key)
code("get_item", lambda x, i: ops.get_item(x, i), reals(4, 3), whole(2, 2, high=4))
code(
    "get_item",
    lambda x, i: ops.get_item(x, (slice(None), i, None)),
    *(reals(2, 4, 3), whole(2, high=4)),
)
code("get_item", lambda x, i: x[..., i, :], reals(2, 4, 3), whole(2, high=4))
call("take", reals(4, 3), whole(2, 2, high=4), axis=0)
call("take", reals(4, 3), whole(5, high=12))
call("take_along_axis", reals(3, 4), whole(3, 2, high=4), axis=1)
call("take_along_axis", reals(3, 4), whole(1, 4, high=3), axis=0)
call("unstack", reals(2, 3), axis=1, sized=True)
call("slice_", reals(4, 5), (1, 2), (2, 3))
code(
    "slice_update",
    lambda x, u: ops.slice_update(x, (1, 2), u),
    reals(4, 5),
    reals(2, 2),
)
code(
    "scatter",
    lambda i, v: ops.scatter(i, v, (5, 2)),
    whole(3, 1),
    reals(3, 2),
    sized="last",
)
code(
    "scatter",
    lambda i, v: ops.scatter(i, v, (5, 5)),
    whole(3, 2),
    reals(3),
    sized="last",
)
for _reduction in (None, "add", "max", "min", "mul"):
    call(
        "scatter_update",
        reals(5, 2),
        whole(3, 1),
        reals(3, 2),
        _reduction,
        sized="last",
    )
for _name in ("segment_sum", "segment_max", "segment_min", "segment_prod"):
    call(_name, reals(5, 2), np.int32([0, 2, 0, 2, 5]), num_segments=4)
    call(_name, whole(5), np.int32([0, 2, 0, 2, 5]), 4)
call("one_hot", whole(3, 2), 4)
call("one_hot", whole(3), 4, axis=0, dtype="int32")
call("multi_hot", whole(3, 2), 4)

call("sort", reals(3, 4), axis=0)
call("sort", reals(3, 4), axis=None)
call("argsort", reals(3, 4))
call("argpartition", reals(3, 4), 2)
call("top_k", reals(3, 4), 2)
call("top_k", np.uint8([3, 1, 255]), 2)
call("in_top_k", whole(3, high=4), reals(3, 4), k=2)
call("searchsorted", np.float32([1, 2, 4]), reals(2, 2))
call("digitize", reals(2, 2), np.float32([-1, 0, 1]))
call("isin", whole(3, 4), whole(2))
for _name in ("median", "nanmedian"):
    call(_name, reals(3, 5))
    call(_name, reals(3, 4), axis=1, keepdims=True)
for _name in ("quantile", "nanquantile", "percentile", "nanpercentile"):
    call(_name, reals(3, 5), 0.3, axis=0)
    call(_name, reals(2, 3, 4), [0.1, 0.9], axis=(0, 2), keepdims=True)
    for _method in ("lower", "higher", "midpoint", "nearest"):
        call(_name, reals(3, 4), 0.4, axis=1, method=_method)

call("inv", positive_definite(3))
call("solve", positive_definite(3), reals(2, 3, 2))
call("solve", positive_definite(3), reals(2, 3))
call("solve_triangular", positive_definite(3), reals(2, 3, 1), lower=True)
call("lstsq", reals(4, 2), reals(4), sized=True)
call("cholesky", positive_definite(3))
call("cholesky", positive_definite(3), upper=True)
call("cholesky_inverse", positive_definite(3))
call("det", positive_definite(3))
call("slogdet", positive_definite(3))
call("logdet", positive_definite(3))
call("qr", reals(2, 4, 3))
call("qr", reals(4, 3), mode="complete")
call("eigh", positive_definite(3))
call("svd", reals(2, 4, 3))
call("svd", reals(3, 4), full_matrices=False)
call("svd", reals(3, 4), compute_uv=False)
call("pinv", reals(4, 3), sized=True)
call("matrix_rank", reals(2, 4, 3), sized=True)
call("norm", reals(3, 4))
call("norm", reals(2, 3, 4), axis=(0, 1), keepdims=True)
for _order in (0, 1, 2, 3, np.inf, -np.inf):
    call("norm", reals(3, 4), ord=_order, axis=1)
for _order in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
    call("norm", reals(2, 3, 4), ord=_order, axis=(2, 1))
    call("norm", reals(2, 3, 4), ord=_order, axis=(0, 2), keepdims=True)
call("normalize", reals(3, 4))
call("normalize", reals(3, 4), axis=0, order=1)

call("diff", reals(3, 5), n=2)
call("diff", bits(3, 5), axis=0)
call("trapezoid", reals(3, 5), dx=0.5)
code("trapezoid", lambda y, x: ops.trapezoid(y, x, axis=0), reals(3, 5), reals(3))
for _mode in ("valid", "same", "full"):
    call("correlate", reals(5), reals(3), mode=_mode, sized=True)
    call("correlate", reals(2), reals(5), mode=_mode, sized=True)
call("corrcoef", reals(3, 5))
call("corrcoef", reals(5))
call("cdist", reals(2, 3, 4), reals(5, 4))
call("psnr", reals(3, 4), reals(3, 4, seed=1), max_val=2.0)
_qkv = [reals(2, 3, 4, 5, seed=i) for i in range(3)]
call("dot_product_attention", *_qkv, sized="last")
code(
    "dot_product_attention",
    lambda q, k, v, m: ops.dot_product_attention(
        q, k, v, mask=m, is_causal=True, attn_logits_soft_cap=3.0
    ),
    *(
        reals(2, 3, 4, 6),
        reals(2, 5, 2, 6),
        reals(2, 5, 2, 6, seed=1),
        bits(2, 1, 3, 5),
    ),
    sized=True,
)
for _logits in (False, True):
    _output = reals(3, 4, low=0.1, high=0.9)
    call("binary_crossentropy", reals(3, 4, low=0, high=1), _output, _logits)
    call("categorical_crossentropy", reals(3, 4, low=0, high=1), _output, _logits)
    call("sparse_categorical_crossentropy", whole(3, high=4), _output, _logits)
call("categorical_crossentropy", reals(2, 3, 4, low=0), reals(2, 3, 4, low=0.1), axis=1)
call(
    "sparse_categorical_crossentropy",
    whole(3, 1, high=4),
    reals(3, 4, low=0.1),
    sized="last",
)

call("moments", reals(2, 3), axes=0)
code("map", lambda x: ops.map(lambda row: row * 2, x), reals(3, 4))
code("vectorized_map", lambda x: ops.vectorized_map(ops.sum, x), reals(3, 4))
code(
    "scan",
    lambda x: ops.scan(lambda c, row: (c + row, c * 2), ops.zeros((4,)), x),
    reals(3, 4),
)
code(
    "associative_scan",
    lambda x: ops.associative_scan(ops.add, x, axis=1, reverse=True),
    reals(3, 4),
)
code(
    "while_loop",
    lambda x: ops.while_loop(lambda v: ops.sum(v) < 100, lambda v: v * 2, [x]),
    reals(3, low=1.0),
)
code("fori_loop", lambda x: ops.fori_loop(0, 3, lambda i, v: v + i, x), reals(3))
code(
    "cond",
    lambda x: ops.cond(ops.sum(x) > 0, lambda: ops.ones(2), lambda: ops.zeros(2)),
    reals(3),
)
code(
    "switch",
    lambda i, x: ops.switch(i, [ops.negative, ops.square], x),
    *(np.int32(1), reals(3)),
)

# Their results have a shape that depends on values: symbolic tensors are refused.
VALUE_DEPENDENT = ("nonzero", "bincount", "unique", "histogram")

ALL_CALLS = {
    f"{name}-{i}": case for name, cases in CALLS.items() for i, case in enumerate(cases)
}
