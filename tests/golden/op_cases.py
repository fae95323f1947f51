"""Cases of `keras.ops`: values, output dtypes and gradients on small arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case_types import Array, OpCase, normal, uniform

Rng = np.random.Generator
Inputs = Callable[[Rng], tuple[Array, ...]]


def real(*shapes: tuple[int, ...]) -> Inputs:
    """Normal float32 arrays."""
    return lambda rng: tuple(normal(rng, *s) for s in shapes)


def between(low: float, high: float, *shapes: tuple[int, ...]) -> Inputs:
    """Uniform float32 arrays."""
    return lambda rng: tuple(uniform(rng, *s, low=low, high=high) for s in shapes)


def integers(low: int, high: int, *shapes: tuple[int, ...]) -> Inputs:
    """Int32 arrays."""
    return lambda rng: tuple(rng.integers(low, high, s).astype("int32") for s in shapes)


def booleans(*shapes: tuple[int, ...]) -> Inputs:
    """Boolean arrays."""
    return lambda rng: tuple(rng.integers(0, 2, s).astype(bool) for s in shapes)


def fixed(*arrays: Any, dtype: str = "float32") -> Inputs:
    """Exactly these arrays."""
    return lambda rng: tuple(np.array(a, dtype) for a in arrays)


def op(name: str, inputs: Inputs, *args: Any, grad: bool = True, **options: Any):
    """`keras.ops.<name>(*inputs, *args, **options)`."""
    return OpCase(
        lambda keras, *x: getattr(keras.ops, name)(*x, *args, **options), inputs, grad
    )


def listed(name: str, inputs: Inputs, **options: Any) -> OpCase:
    """`keras.ops.<name>([*inputs], **options)`."""
    return OpCase(
        lambda keras, *x: getattr(keras.ops, name)(list(x), **options), inputs, True
    )


def made(call: Callable[..., Any], inputs: Inputs | None = None, grad: bool = False):
    """Any other call."""
    return OpCase(call, inputs or fixed(), grad)


_SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 3e38]
_A, _B = (3, 4), (3, 4)

UNARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        ("abs", "absolute", "negative", "square", "exp", "expm1", "sin", "cos"),
        (-2.0, 2.0),
    ),
    **dict.fromkeys(("tan", "sinh", "cosh", "tanh", "arctan", "arcsinh"), (-1.2, 1.2)),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), (-0.95, 0.95)),
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"), (0.1, 4)),
    **dict.fromkeys(("log1p",), (-0.9, 3.0)),
    **dict.fromkeys(("arccosh",), (1.1, 4.0)),
    **dict.fromkeys(("erf", "erfinv"), (-0.95, 0.95)),
    **dict.fromkeys(("sigmoid", "softplus", "silu", "gelu", "elu", "selu"), (-3.0, 3)),
    **dict.fromkeys(("relu", "relu6", "leaky_relu", "hard_sigmoid"), (-8.0, 8.0)),
    **dict.fromkeys(("softsign", "log_sigmoid"), (-3.0, 3.0)),
    **dict.fromkeys(("floor", "ceil", "round", "sign", "trunc"), (-3.0, 3.0)),
}
_NO_GRADIENT = {"floor", "ceil", "round", "sign", "trunc"}

BINARY = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "true_divide",
    "maximum",
    "minimum",
    "arctan2",
    "logaddexp",
)
COMPARE = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
REDUCE = ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp")

OP_CASES: dict[str, OpCase] = {
    **{
        f"{name}": op(name, between(low, high, (3, 4)), grad=name not in _NO_GRADIENT)
        for name, (low, high) in UNARY.items()
    },
    **{f"{name}": op(name, between(0.5, 2.0, _A, _B)) for name in BINARY},
    **{f"{name}_broadcast": op(name, real((3, 1), (4,))) for name in BINARY[:4]},
    "power": op("power", between(0.5, 2.0, _A, _B)),
    "power_scalar": op("power", real(_A), 3.0),
    "divide_no_nan": op(
        "divide_no_nan", fixed([1.0, 2.0, 3.0], [0.0, 4.0, 2.0]), grad=False
    ),
    "floor_divide": op("floor_divide", real(_A, _B), grad=False),
    "mod": op("mod", real(_A, _B), grad=False),
    "floor_divide_int": op(
        "floor_divide",
        fixed([-7, 7, -7, 6], [2, -2, -2, 3], dtype="int32"),
        grad=False,
    ),
    "mod_int": op(
        "mod", fixed([-7, 7, -7, 6], [2, -2, -2, 3], dtype="int32"), grad=False
    ),
    **{f"{name}": op(name, integers(0, 3, _A, _B), grad=False) for name in COMPARE},
    **{
        name: op(name, booleans(_A, _B), grad=False)
        for name in ("logical_and", "logical_or", "logical_xor")
    },
    "logical_not": op("logical_not", booleans(_A), grad=False),
    "isfinite": op("isfinite", fixed(_SPECIAL), grad=False),
    "isinf": op("isinf", fixed(_SPECIAL), grad=False),
    "isnan": op("isnan", fixed(_SPECIAL), grad=False),
    "isclose": op(
        "isclose", fixed([1.0, 1.0, np.nan], [1.0, 1.0001, np.nan]), grad=False
    ),
    "isclose_tolerance": op(
        "isclose", fixed([1.0, 2.0], [1.01, 2.5]), rtol=0.05, grad=False
    ),
    "allclose": op("allclose", fixed([1.0, 2.0], [1.0, 2.0]), grad=False),
    "nan_to_num": op("nan_to_num", fixed(_SPECIAL), grad=False),
    "nan_to_num_options": op(
        "nan_to_num", fixed(_SPECIAL), nan=1.0, posinf=2.0, neginf=-2.0, grad=False
    ),
    "clip": op("clip", real(_A), -0.5, 0.75),
    "round_half": op("round", fixed([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999]), grad=False),
    "round_decimals": op("round", real(_A), decimals=1, grad=False),
    "where": OpCase(
        lambda keras, c, a, b: keras.ops.where(c, a, b),
        lambda rng: (*booleans(_A)(rng), *real(_A, _B)(rng)),
        True,
    ),
    "where_broadcast": OpCase(
        lambda keras, c, a: keras.ops.where(c, a, 0.0),
        lambda rng: (*booleans((3, 1))(rng), *real(_A)(rng)),
        True,
    ),
    "maximum_nan": op("maximum", fixed([1.0, np.nan], [np.nan, 2.0]), grad=False),
    "minimum_nan": op("minimum", fixed([1.0, np.nan], [np.nan, 2.0]), grad=False),
    # reductions
    **{f"{name}_all": op(name, real((2, 3, 4))) for name in REDUCE},
    **{f"{name}_axis_0": op(name, real((2, 3, 4)), axis=0) for name in REDUCE},
    **{
        f"{name}_axes_keepdims": op(name, real((2, 3, 4)), axis=(0, 2), keepdims=True)
        for name in REDUCE
    },
    **{f"{name}_negative_axis": op(name, real((2, 3, 4)), axis=-1) for name in REDUCE},
    **{
        f"{name}_axis_1": op(name, real((3, 5)), axis=1, grad=False)
        for name in ("argmax", "argmin")
    },
    "argmax_all": op("argmax", real((3, 5)), grad=False),
    "argmax_ties": op(
        "argmax", fixed([[1.0, 2.0, 2.0], [3.0, 3.0, 0.0]]), axis=-1, grad=False
    ),
    "argmin_keepdims": op("argmin", real((3, 5)), axis=0, keepdims=True, grad=False),
    "any": op("any", booleans((3, 4)), axis=1, grad=False),
    "all": op("all", booleans((3, 4)), axis=0, grad=False),
    "any_all": op("any", booleans((3, 4)), grad=False),
    "count_nonzero": op("count_nonzero", integers(0, 2, (3, 4)), axis=1, grad=False),
    "cumsum": op("cumsum", real((3, 4)), axis=1),
    "cumsum_flat": op("cumsum", real((2, 3))),
    "cumprod": op("cumprod", between(0.5, 1.5, (3, 4)), axis=0),
    "median": op("median", real((3, 5)), axis=1, grad=False),
    "quantile": op("quantile", real((3, 5)), 0.3, axis=1, grad=False),
    "average": op("average", real((3, 4)), axis=1),
    "average_weights": OpCase(
        lambda keras, x, w: keras.ops.average(x, axis=1, weights=w),
        lambda rng: (*real((3, 4))(rng), *between(0.1, 1.0, (3, 4))(rng)),
        True,
    ),
    "norm": op("norm", real((3, 4))),
    "norm_axis": op("norm", real((3, 4)), axis=1),
    "norm_keepdims": op("norm", real((3, 4)), axis=-1, keepdims=True),
    "norm_1": op("norm", real((3, 4)), ord=1, axis=1),
    "norm_inf": op("norm", real((3, 4)), ord=np.inf, axis=1),
    "normalize": op("normalize", real((3, 4))),
    "normalize_axis_0": op("normalize", real((3, 4)), axis=0),
    "moments": made(
        lambda keras, x: keras.ops.moments(x, axes=[0, 1]), real((2, 3, 4)), True
    ),
    "softmax": op("softmax", real((3, 4))),
    "softmax_axis_0": op("softmax", real((3, 4)), axis=0),
    "log_softmax": op("log_softmax", real((3, 4))),
    # products
    "matmul": op("matmul", real((3, 4), (4, 5))),
    "matmul_vector_matrix": op("matmul", real((4,), (4, 5))),
    "matmul_matrix_vector": op("matmul", real((3, 4), (4,))),
    "matmul_vectors": op("matmul", real((4,), (4,))),
    "matmul_stack": op("matmul", real((2, 3, 4), (2, 4, 5))),
    "matmul_stack_broadcast": op("matmul", real((2, 1, 3, 4), (3, 4, 2))),
    "matmul_stack_matrix": op("matmul", real((2, 3, 4), (4, 5))),
    "matmul_one_row": op("matmul", real((1, 33), (33, 17))),
    "matmul_int": op("matmul", integers(-3, 4, (2, 3), (3, 2)), grad=False),
    "dot": op("dot", real((3, 4), (4, 5))),
    "dot_vectors": op("dot", real((4,), (4,))),
    "dot_higher": op("dot", real((2, 3, 4), (5, 4, 2))),
    "tensordot": op("tensordot", real((2, 3, 4), (3, 4, 5))),
    "tensordot_one": op("tensordot", real((2, 3), (3, 4)), axes=1),
    "tensordot_pairs": op(
        "tensordot", real((2, 3, 4), (4, 2, 5)), axes=((0, 2), (1, 0))
    ),
    "outer": op("outer", real((3,), (4,))),
    "inner": op("inner", real((2, 4), (3, 4))),
    "einsum_matmul": made(
        lambda keras, a, b: keras.ops.einsum("ij,jk->ik", a, b),
        real((3, 4), (4, 5)),
        True,
    ),
    "einsum_batch": made(
        lambda keras, a, b: keras.ops.einsum("bij,bjk->bik", a, b),
        real((2, 3, 4), (2, 4, 5)),
        True,
    ),
    "einsum_attention": made(
        lambda keras, a, b: keras.ops.einsum("bqhd,bkhd->bhqk", a, b),
        real((2, 3, 2, 4), (2, 5, 2, 4)),
        True,
    ),
    "einsum_ellipsis": made(
        lambda keras, a, b: keras.ops.einsum("...i,ij->...j", a, b),
        real((2, 3, 4), (4, 5)),
        True,
    ),
    "einsum_sum": made(
        lambda keras, a: keras.ops.einsum("ijk->ik", a), real((2, 3, 4)), True
    ),
    "einsum_transpose": made(
        lambda keras, a: keras.ops.einsum("ij->ji", a), real((2, 3)), True
    ),
    "einsum_outer": made(
        lambda keras, a, b: keras.ops.einsum("i,j->ij", a, b), real((3,), (4,)), True
    ),
    "einsum_diagonal": made(
        lambda keras, a: keras.ops.einsum("ii->i", a), real((3, 3)), True
    ),
    # shapes
    "reshape": op("reshape", real((2, 6)), (3, 4)),
    "reshape_minus_one": op("reshape", real((2, 3, 4)), (2, -1)),
    "transpose": op("transpose", real((2, 3, 4))),
    "transpose_axes": op("transpose", real((2, 3, 4)), axes=(1, 2, 0)),
    "swapaxes": op("swapaxes", real((2, 3, 4)), 0, 2),
    "moveaxis": op("moveaxis", real((2, 3, 4)), 0, -1),
    "expand_dims": op("expand_dims", real((2, 3)), 1),
    "expand_dims_negative": op("expand_dims", real((2, 3)), -1),
    "expand_dims_two": op("expand_dims", real((2, 3)), (0, 2)),
    "squeeze": op("squeeze", real((1, 3, 1))),
    "squeeze_axis": op("squeeze", real((1, 3, 1)), axis=0),
    "ravel": op("ravel", real((2, 3))),
    "broadcast_to": op("broadcast_to", real((3, 1)), (2, 3, 4)),
    "concatenate": listed("concatenate", real((2, 3), (1, 3)), axis=0),
    "concatenate_last": listed("concatenate", real((2, 3), (2, 1), (2, 2)), axis=-1),
    "stack": listed("stack", real((2, 3), (2, 3))),
    "stack_last": listed("stack", real((2, 3), (2, 3)), axis=-1),
    "hstack": listed("hstack", real((2, 3), (2, 1))),
    "vstack": listed("vstack", real((2, 3), (1, 3))),
    "split": op("split", real((6, 2)), 3),
    "split_indices": op("split", real((2, 6)), [1, 4], axis=1),
    "unstack": op("unstack", real((2, 3)), axis=1),
    "tile": op("tile", real((2, 3)), (2, 2)),
    "tile_more": op("tile", real((2,)), (3, 2)),
    "repeat": op("repeat", real((2, 3)), 2, axis=1),
    "repeat_flat": op("repeat", real((2, 3)), 2),
    "repeat_counts": made(
        lambda keras, x: keras.ops.repeat(x, np.array([1, 0, 2]), axis=1), real((2, 3))
    ),
    "flip": op("flip", real((2, 3)), axis=1),
    "flip_all": op("flip", real((2, 3))),
    "roll": op("roll", real((2, 4)), 1, axis=1),
    "roll_flat": op("roll", real((2, 3)), -2),
    "rot90": op("rot90", real((2, 3)), grad=False),
    "pad": op("pad", real((2, 3)), ((1, 0), (2, 1))),
    "pad_value": op("pad", real((2, 3)), ((1, 1), (0, 2)), constant_values=9.0),
    "pad_reflect": op("pad", real((3, 4)), ((1, 1), (2, 1)), mode="reflect"),
    "pad_symmetric": op("pad", real((3, 4)), ((1, 1), (2, 1)), mode="symmetric"),
    "pad_one_number": op("pad", real((2, 3)), 1),
    "diag": op("diag", real((3,))),
    "diag_offset": op("diag", real((3, 4)), k=1),
    "diagonal": op("diagonal", real((3, 4))),
    "trace": op("trace", real((3, 3))),
    "tril": op("tril", real((3, 4))),
    "tril_offset": op("tril", real((2, 3, 3)), k=-1),
    "triu": op("triu", real((3, 4)), k=1),
    "meshgrid": made(lambda keras, a, b: keras.ops.meshgrid(a, b), real((2,), (3,))),
    "meshgrid_ij": made(
        lambda keras, a, b: keras.ops.meshgrid(a, b, indexing="ij"), real((2,), (3,))
    ),
    "slice": op("slice", real((4, 5)), (1, 2), (2, 3)),
    "slice_update": made(
        lambda keras, x, u: keras.ops.slice_update(x, (1, 2), u),
        real((4, 5), (2, 2)),
        True,
    ),
    "index_row": made(
        lambda keras, x: keras.ops.convert_to_tensor(x)[1], real((3, 4)), True
    ),
    "index_slices": made(
        lambda keras, x: keras.ops.convert_to_tensor(x)[1:, ::2], real((3, 4)), True
    ),
    "index_ellipsis": made(
        lambda keras, x: keras.ops.convert_to_tensor(x)[..., -1], real((2, 3, 4)), True
    ),
    "index_new_axis": made(
        lambda keras, x: keras.ops.convert_to_tensor(x)[:, None], real((3, 4)), True
    ),
    # gather, scatter, sort
    "take": OpCase(
        lambda keras, x, i: keras.ops.take(x, i, axis=0),
        lambda rng: (*real((5, 3))(rng), np.array([[0, 4], [2, 2]], "int32")),
        True,
    ),
    "take_axis_1": OpCase(
        lambda keras, x, i: keras.ops.take(x, i, axis=1),
        lambda rng: (*real((2, 4))(rng), np.array([3, 0, -1], "int32")),
        True,
    ),
    "take_flat": OpCase(
        lambda keras, x, i: keras.ops.take(x, i),
        lambda rng: (*real((2, 3))(rng), np.array([5, 0], "int32")),
        True,
    ),
    "take_along_axis": OpCase(
        lambda keras, x, i: keras.ops.take_along_axis(x, i, axis=1),
        lambda rng: (*real((2, 4))(rng), np.array([[3], [1]], "int32")),
        True,
    ),
    "scatter": OpCase(
        lambda keras, i, v: keras.ops.scatter(i, v, (5, 2)),
        lambda rng: (np.array([[0], [3], [0]], "int32"), *real((3, 2))(rng)),
    ),
    "scatter_update": OpCase(
        lambda keras, x, i, v: keras.ops.scatter_update(x, i, v),
        lambda rng: (
            *real((4, 2))(rng),
            np.array([[1], [3]], "int32"),
            *real((2, 2))(rng),
        ),
    ),
    "one_hot": op("one_hot", integers(0, 4, (5,)), 4, grad=False),
    "one_hot_outside": op(
        "one_hot", fixed([-1, 0, 3, 9], dtype="int32"), 3, grad=False
    ),
    "one_hot_axis_0": op("one_hot", integers(0, 4, (5,)), 4, axis=0, grad=False),
    "one_hot_int": op("one_hot", integers(0, 4, (5,)), 4, dtype="int32", grad=False),
    "multi_hot": op(
        "multi_hot", fixed([[0, 2, 2], [1, 1, 3]], dtype="int32"), 4, grad=False
    ),
    "sort": op("sort", real((3, 5)), axis=1),
    "sort_axis_0": op("sort", real((4, 2)), axis=0),
    "argsort": op("argsort", real((3, 5)), grad=False),
    "argsort_ties": op("argsort", fixed([2, 1, 2, 1, 0], dtype="int32"), grad=False),
    "top_k": made(lambda keras, x: tuple(keras.ops.top_k(x, 3)), real((2, 6))),
    "top_k_ties": made(
        lambda keras, x: tuple(keras.ops.top_k(x, 3)),
        fixed([[1.0, 3.0, 3.0, 2.0, 3.0]]),
    ),
    "in_top_k": made(
        lambda keras, t, p: keras.ops.in_top_k(t, p, k=2),
        lambda rng: (np.array([1, 0, 3], "int32"), *real((3, 4))(rng)),
    ),
    "searchsorted": op(
        "searchsorted", fixed([1.0, 2.0, 4.0], [0.5, 2.0, 3.0, 9.0]), grad=False
    ),
    "bincount": op("bincount", fixed([0, 1, 1, 4], dtype="int32"), grad=False),
    "digitize": op("digitize", fixed([0.5, 2.0, 9.0], [1.0, 2.0, 4.0]), grad=False),
    "segment_sum": made(
        lambda keras, x, i: keras.ops.segment_sum(x, i, num_segments=3),
        lambda rng: (*real((5, 2))(rng), np.array([0, 0, 2, 2, 2], "int32")),
    ),
    # creation
    "arange": made(lambda keras: keras.ops.arange(5)),
    "arange_bounds": made(lambda keras: keras.ops.arange(2, 9, 3)),
    "arange_float": made(lambda keras: keras.ops.arange(0.0, 1.0, 0.25)),
    "arange_dtype": made(lambda keras: keras.ops.arange(3, dtype="float32")),
    "linspace": made(lambda keras: keras.ops.linspace(0.0, 1.0, 5)),
    "linspace_open": made(
        lambda keras: keras.ops.linspace(0.0, 1.0, 5, endpoint=False)
    ),
    "logspace": made(lambda keras: keras.ops.logspace(0.0, 2.0, 3)),
    "eye": made(lambda keras: keras.ops.eye(3)),
    "eye_offset": made(lambda keras: keras.ops.eye(2, 4, k=1)),
    "identity": made(lambda keras: keras.ops.identity(3)),
    "zeros": made(lambda keras: keras.ops.zeros((2, 3))),
    "ones_int": made(lambda keras: keras.ops.ones((2,), dtype="int32")),
    "full": made(lambda keras: keras.ops.full((2, 2), 7.0)),
    "full_int": made(lambda keras: keras.ops.full((2, 2), 7)),
    "tri": made(lambda keras: keras.ops.tri(3, 4, k=1)),
    "zeros_like": op("zeros_like", integers(0, 3, (2, 3)), grad=False),
    "ones_like": op("ones_like", real((2, 3)), grad=False),
    "full_like": op("full_like", real((2, 3)), 2, grad=False),
    "array_list": made(lambda keras: keras.ops.array([[1, 2], [3, 4]])),
    "array_float_list": made(lambda keras: keras.ops.array([1.0, 2.0])),
    "convert_bool": made(lambda keras: keras.ops.convert_to_tensor([True, False])),
    "convert_dtype": made(
        lambda keras: keras.ops.convert_to_tensor([1, 2], dtype="float32")
    ),
    "cast_truncates": op("cast", fixed([-1.7, 1.7, 0.0]), "int32", grad=False),
    "cast_bool": op("cast", fixed([-1.7, 0.0]), "bool", grad=False),
    "shape": made(
        lambda keras, x: keras.ops.convert_to_tensor(list(keras.ops.shape(x))),
        real((2, 3)),
    ),
    "size": made(
        lambda keras, x: keras.ops.convert_to_tensor(int(keras.ops.size(x))),
        real((2, 3)),
    ),
    "binary_crossentropy": OpCase(
        lambda keras, t, p: keras.ops.binary_crossentropy(t, p),
        between(0.1, 0.9, (3, 4), (3, 4)),
        True,
    ),
    "categorical_crossentropy": OpCase(
        lambda keras, t, p: keras.ops.categorical_crossentropy(t, p, from_logits=True),
        between(0.1, 0.9, (3, 4), (3, 4)),
        True,
    ),
    "sparse_categorical_crossentropy": OpCase(
        lambda keras, t, p: keras.ops.sparse_categorical_crossentropy(t, p),
        lambda rng: (np.array([0, 3, 1], "int32"), *between(0.1, 0.9, (3, 4))(rng)),
        True,
    ),
    "operators": made(
        lambda keras, a, b: (
            lambda s, t: -s + t * 2 - s / t + 1 - abs(s) ** 2 + (s @ t) * 0.5
        )(keras.ops.convert_to_tensor(a), keras.ops.convert_to_tensor(b)),
        between(0.5, 2.0, (3, 3), (3, 3)),
        True,
    ),
    "reverse_operators": made(
        lambda keras, a: (lambda s: 2 + 3 * s - (1 - s) / 2 + 2 / s + 2**s)(
            keras.ops.convert_to_tensor(a)
        ),
        between(0.5, 2.0, (3, 3)),
        True,
    ),
}

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "float16", "float32")
SCALARS: dict[str, Any] = {"int": 2, "float": 2.5}
# Operand dtypes for which the backends of Keras disagree or some refuse.
UNSPECIFIED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("power", "floor_divide", "mod", "relu"), ("bool",)),
    **dict.fromkeys(("sum", "prod", "trace"), ("uint8",)),
    "softmax": ("bool", "uint8", "int8", "int16", "int32"),
}
BINARY_DTYPE_OPS = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "power",
    "floor_divide",
    "mod",
    "matmul",
    "greater",
    "where",
    "concatenate",
)
UNARY_DTYPE_OPS = (
    "abs",
    "negative",
    "square",
    "sqrt",
    "exp",
    "log1p",
    "tanh",
    "sin",
    "floor",
    "round",
    "sign",
    "sum",
    "mean",
    "prod",
    "max",
    "var",
    "std",
    "cumsum",
    "argmax",
    "any",
    "isnan",
    "sort",
    "argsort",
    "sigmoid",
    "relu",
    "softmax",
    "logical_not",
    "zeros_like",
    "reciprocal",
    "logsumexp",
    "clip",
    "trace",
    "median",
    "average",
    "norm",
)


def binary_dtype_call(keras: Any, name: str, a: Any, b: Any) -> Any:
    """The call whose result dtype the binary table holds."""
    ops = keras.ops
    if name == "where":
        return ops.where(np.ones((2, 2), bool), a, b)
    if name == "concatenate":
        return ops.concatenate([a, b])
    return getattr(ops, name)(a, b)


def unary_dtype_call(keras: Any, name: str, a: Any) -> Any:
    """The call whose result dtype the unary table holds."""
    return keras.ops.clip(a, 0, 1) if name == "clip" else getattr(keras.ops, name)(a)
