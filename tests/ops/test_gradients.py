"""Gradients of every primitive against central differences, first and second order.

In float64, along one random direction and with one random cotangent. A primitive with a
VJP and no case here fails `test_every_primitive_has_a_case`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, Tensor, apply
from cnn_core.graph.primitive import PRIMITIVES


@dataclass(frozen=True)
class Case:
    """Inputs of a primitive: float64 ones are differentiated.

    Args:
        inputs: arrays.
        attrs: attributes.
        prepare: what is done to an array before: makes, say, symmetric matrices of it.
        second: whether to check the gradient of the gradient, too.
    """

    inputs: tuple[np.ndarray, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    prepare: Any = None
    second: bool = True


RNG = np.random.default_rng(7)
CASES: dict[str, list[Case]] = {}


def case(name: str, *inputs: Any, prepare=None, second=True, **attrs: Any) -> None:
    CASES.setdefault(name, []).append(Case(inputs, attrs, prepare, second))


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return RNG.uniform(low, high, shape)


def apart(*shape: int) -> np.ndarray:
    """Numbers at least 0.1 from each other and 0.2 from 0: no ties, no kinks."""
    size = int(np.prod(shape))
    steps = RNG.permutation(size) * 0.1 + 0.2 + RNG.uniform(0, 0.01, size)
    return (steps * np.where(np.arange(size) % 2, 1, -1)).reshape(shape)


def ids(*values: Any) -> np.ndarray:
    return np.array(values, "int32")


for _name in (
    "identity negative absolute square exp exp2 expm1 sin cos tan arctan sinh cosh "
    "tanh arcsinh erf erfc cbrt relu selu silu sigmoid softplus softsign hard_sigmoid"
).split():
    case(_name, apart(2, 3))
for _name in ("arcsin", "arccos", "arctanh", "erfinv"):
    case(_name, real(2, 3, low=-0.9, high=0.9))
for _name in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal"):
    case(_name, real(2, 3, low=0.5))
case("arccosh", real(2, 3, low=1.5, high=3.0))
for _name in ("add", "subtract", "multiply", "divide", "arctan2", "hypot"):
    case(_name, apart(2, 3), apart(2, 3))
    case(_name, apart(2, 1, 3), apart(4, 1))
    case(_name, apart(3), apart(1))
for _name in ("maximum", "minimum"):
    case(_name, apart(2, 3), apart(2, 3))
    case(_name, apart(2, 1), apart(3))
for _name in ("mod", "fmod"):
    case(_name, real(2, 3, low=2.2, high=2.8), real(3, low=1.01, high=1.09))
    case(_name, -real(2, 1, low=2.2, high=2.8), real(2, 3, low=1.01, high=1.09))
case("power", real(2, 3, low=0.5), real(3))
case("power", real(1), real(2, 1, low=2.5, high=3.5) * 0 + 3)
case("where", np.array([[True], [False]]), real(2, 3), real(3))
case("clip", apart(2, 4), lo=-0.55, hi=0.45)

for _name, _attrs in {
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 1.5},
    "gelu": {"approximate": True},
    "softmax": {"axis": 1},
    "log_softmax": {"axis": -1},
    "relu": {},
    "selu": {},
    "silu": {},
    "sigmoid": {},
    "hard_sigmoid": {},
    "tanh": {},
    "softplus": {},
    "softsign": {},
}.items():
    if _attrs:
        case(_name, apart(2, 3), **_attrs)
    case(f"{_name}_grad", real(2, 3), apart(2, 3), **_attrs)
for _name in ("gelu", "gelu_grad"):
    case(_name, *(apart(2, 3),) * (1 + ("grad" in _name)), approximate=False)
case("softmax", apart(2, 3, 2), axis=0)

for _name in ("sum", "mean", "prod", "max", "min"):
    case(_name, apart(2, 3, 2), axis=None, keepdims=False)
    case(_name, apart(2, 3, 2), axis=1, keepdims=False)
    case(_name, apart(2, 3, 2), axis=(0, -1), keepdims=True)
    case(_name, apart(2, 3, 2), axis=(2, 0), keepdims=False)
case("prod", np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), axis=1, keepdims=False)
for _name in ("cumsum", "cumprod"):
    case(_name, apart(2, 3), axis=1)
    case(_name, apart(2, 3), axis=0)
_zeros = np.array([[2.0, 0.0, 3.0, 0.0, 5.0], [0.0, 2.0, 3.0, 4.0, 5.0]])
case("cumprod", _zeros, axis=1, second=False)

case("cast", real(2, 3), dtype="float64")
case("reshape", real(2, 3), shape=(3, -1))
case("transpose", real(2, 3, 4), axes=(2, 0, 1))
case("broadcast_to", real(3, 1), shape=(2, 3, 4))
case("roll", real(2, 3), shift=(1, -2), axis=(0, 1))
case("concatenate", real(2, 3), real(2, 1), real(2, 2), axis=1)
case("pad", real(2, 3), pad_width=((1, 0), (2, 1)), mode="constant", constant_values=5)
for _mode in ("reflect", "symmetric", "edge", "wrap"):
    _pairs = ((1, 1), (2, 1))
    case("pad", real(3, 3), pad_width=_pairs, mode=_mode, constant_values=0)
case("diagonal", real(2, 3, 4), offset=1, axis1=2, axis2=0)
case("diagonal", real(3, 4), offset=-1, axis1=0, axis2=1)
case("tril", real(2, 3, 4), k=1)
case("triu", real(3, 4), k=-1)
for _key in ((slice(None), 1), (Ellipsis, None, slice(None, None, -2)), ids(0, 1, 0)):
    case("getitem", real(3, 4), key=_key)
case("getitem", real(3, 4), key=(ids(0, 0), ids(1, 1)))
case("getitem", real(3, 2), key=np.array([True, False, True]))
case("scatter_add", real(2, 4), shape=(3, 4), key=ids(1, 1))
case("slice_update", real(3, 4), real(2, 2), key=(slice(1, 3), slice(0, 2)))
case("take", real(3, 4), ids([0, 2], [2, -1]), axis=1)
case("take_adjoint", real(3, 2, 2), ids([0, 2], [2, -1]), axis=1, shape=(3, 4))
case("take_along_axis", real(3, 4), ids([0, 0], [1, 3], [2, 2]), axis=1)
case("take_along_adjoint", real(2, 2), ids([0, 1], [1, 1]), axis=1, shape=(2, 3))
case("gather_nd", real(3, 4, 2), ids([0, 1], [2, 3], [0, 1]))
case("scatter", real(3, 2), ids([0], [3], [0]), shape=(4, 2))
case("scatter_update", real(4, 2), real(3, 2), ids([0], [3], [0]))
for _name in ("scatter_max", "scatter_min", "scatter_mul"):
    case(_name, apart(4, 2), apart(3, 2) + 0.05, ids([0], [3], [0]))
_factors = np.array([0.0, 2.0, 3.0, 0.0, 0.0, 0.0])
case(
    "scatter_mul",
    real(4),
    _factors,
    ids(*[[i] for i in (0, 0, 1, 1, 3, 3)]),
    second=False,
)

for _ta in (False, True):
    for _tb in (False, True):
        _a, _b = ((4, 3) if _ta else (3, 4)), ((5, 4) if _tb else (4, 5))
        for _lead_a, _lead_b in (((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,))):
            _options = {"transpose_a": _ta, "transpose_b": _tb}
            case("matmul", real(*_lead_a, *_a), real(*_lead_b, *_b), **_options)
for _activation in (None, *ops.activations.FUSED):
    case("dense", real(3, 4), real(4, 2), apart(2), activation=_activation)
    case("dense", real(2, 3, 4), real(4, 2), activation=_activation)
case("dense", real(4), real(4, 2), real(2), activation="tanh")
case("bias_gradient", real(3, 4))

_symmetric = {"prepare": lambda x: x @ np.swapaxes(x, -1, -2) + 3 * np.eye(x.shape[-1])}
case("inv", real(2, 3, 3), **_symmetric)
case("solve", real(2, 3, 3) + 4 * np.eye(3), real(2, 3, 2))
case("cholesky", real(2, 3, 3), **_symmetric)
case("det", real(2, 3, 3))
case("slogdet", real(2, 3, 3) + 3 * np.eye(3))
case("qr", real(2, 4, 3), mode="reduced")
case("qr", real(3, 3), mode="reduced")
case("eigh", real(3, 3), **_symmetric)
case("svd", real(4, 3), full=False)
case("svd", real(2, 3, 4), full=False)
case("svd", real(3, 3), full=True)

_p, _t = real(3, 4, low=0.1, high=0.9), real(3, 4, low=0.1, high=0.9)
case("mean_squared_error", _t, _p)
case("mean_squared_error_grad", real(3), _t, _p)
for _logits in (False, True):
    for _name, _shape in (("binary", (3, 4)), ("categorical", (3,))):
        _name = f"{_name}_crossentropy"
        case(_name, _t, _p, from_logits=_logits)
        case(f"{_name}_grad", real(*_shape), _t, _p, from_logits=_logits)
    _name = "sparse_categorical_crossentropy"
    case(_name, ids(0, 3, -1), _p, from_logits=_logits)
    case(f"{_name}_grad", real(3), ids(0, 3, -1), _p, from_logits=_logits)

ALL = [(name, i) for name, cases in CASES.items() for i in range(len(cases))]
STEP = 1e-5


def is_float(x: np.ndarray) -> bool:
    return x.dtype == np.float64


def value(name: str, c: Case, arrays: list[Any]) -> list[Any]:
    """The outputs of the primitive on tensors."""
    if c.prepare is not None:
        arrays = [prepared(c, x) for x in arrays]
    result = apply(PRIMITIVES[name], *arrays, **c.attrs)
    return list(result) if isinstance(result, tuple) else [result]


def prepared(c: Case, x: Any) -> Any:
    """`c.prepare(x)`, written with ops: symmetric and positive definite."""
    size = x.shape[-1]
    return ops.matmul(x, ops.swapaxes(x, -1, -2)) + 3 * np.eye(size)


def weighted(name: str, c: Case, arrays: list[Any], cotangents: list[Any]) -> Any:
    """The sum of all outputs with their cotangents."""
    outputs = value(name, c, arrays)
    return sum(ops.sum(y * ct) for y, ct in zip(outputs, cotangents, strict=True))


def along(name: str, c: Case, arrays, cotangents, directions) -> Any:
    """The derivative of `weighted` along the directions, by the tape."""
    floats = [x for x in arrays if is_float(x._array)]
    with GradientTape() as tape:
        tape.watch(floats)
        total = weighted(name, c, arrays, cotangents)
    gradients = tape.gradient(total, floats, unconnected_gradients="zero")
    for x, gradient in zip(floats, gradients, strict=True):
        assert gradient.shape == x.shape
        assert gradient.dtype == "float64"
    return sum(ops.sum(g * d) for g, d in zip(gradients, directions, strict=True))


def shifted(arrays, directions, step):
    rest = iter(directions)
    return [Tensor(x + step * next(rest)) if is_float(x) else Tensor(x) for x in arrays]


def central(function, arrays, directions):
    ahead = function(shifted(arrays, directions, STEP))
    behind = function(shifted(arrays, directions, -STEP))
    return (float(ahead) - float(behind)) / (2 * STEP)


def draw(name: str, c: Case):
    rng = np.random.default_rng(len(name))
    outputs = value(name, c, [Tensor(x) for x in c.inputs])
    cotangents = [rng.normal(size=y.shape) for y in outputs]
    directions = [
        [rng.normal(size=x.shape) for x in c.inputs if is_float(x)] for _ in range(2)
    ]
    return cotangents, *directions


def test_every_primitive_has_a_case():
    ours = {
        name
        for name, p in PRIMITIVES.items()
        if p.vjp is not None and p.infer.__module__.startswith("cnn_core.")
    }
    assert ours == set(CASES)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_gradient(name, i):
    c = CASES[name][i]
    cotangents, direction, _ = draw(name, c)
    actual = along(name, c, [Tensor(x) for x in c.inputs], cotangents, direction)
    expected = central(
        lambda arrays: weighted(name, c, arrays, cotangents), c.inputs, direction
    )
    np.testing.assert_allclose(float(actual), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "i"), [a for a in ALL if CASES[a[0]][a[1]].second])
def test_gradient_of_gradient(name, i):
    c = CASES[name][i]
    cotangents, direction, other = draw(name, c)
    tensors = [Tensor(x) for x in c.inputs]
    floats = [x for x in tensors if is_float(x._array)]
    with GradientTape() as tape:
        tape.watch(floats)
        slope = along(name, c, tensors, cotangents, direction)
    gradients = tape.gradient(slope, floats, unconnected_gradients="zero")
    actual = sum(float(ops.sum(g * d)) for g, d in zip(gradients, other, strict=True))
    expected = central(
        lambda arrays: along(name, c, arrays, cotangents, direction), c.inputs, other
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "i"), ALL)
def test_only_wanted_cotangents_are_computed(name, i):
    c = CASES[name][i]
    for k, x in enumerate(c.inputs):
        if not is_float(x):
            continue
        tensors = [Tensor(x) for x in c.inputs]
        with GradientTape() as tape:
            tape.watch(tensors[k])
            outputs = value(name, c, tensors)
        alone = tape.gradient(outputs, tensors[k], unconnected_gradients="zero")
        floats = [t for t in tensors if is_float(t._array)]
        with GradientTape() as tape:
            tape.watch(floats)
            outputs = value(name, c, tensors)
        full = tape.gradient(outputs, floats, unconnected_gradients="zero")
        position = [id(t) for t in floats].index(id(tensors[k]))
        np.testing.assert_allclose(alone, full[position], rtol=1e-12, atol=1e-13)
