"""Conversion, shape inference and control flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import shapes, tree
from ..graph import (
    GradientTape,
    KerasTensor,
    Tensor,
    TensorLike,
    Variable,
    any_symbolic,
    as_tensor,
    inferring,
)
from ..graph import stop_gradient as graph_stop_gradient
from . import joining, shaping
from ._op import op
from .elementwise import clip


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None
) -> Any:
    """Return `x` as a tensor.

    Args:
        x: number, nested list, array, tensor or variable.
        dtype: dtype; by default that of an array, `floatx()` for Python floats, int32
            for Python integers.
        sparse: must not be True; there are no sparse tensors.
        ragged: must not be True; there are no ragged tensors.
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: there are no sparse or ragged tensors")
    return as_tensor(x, None if dtype is None else shapes.dtype_name(dtype))


def array(x: Any, dtype: Any = None) -> Any:
    """Return `x` as a tensor."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> Any:
    """Return the values of a tensor as a NumPy array of its own."""
    return np.array(as_tensor(x))


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor with values."""
    return isinstance(x, Tensor)


def is_keras_tensor(x: Any) -> bool:
    """Tell whether `x` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def dtype(x: Any) -> str:
    """Return the name of the dtype of `x`."""
    return str(as_tensor(x).dtype)


def ndim(x: Any) -> int:
    """Return the number of dimensions of `x`."""
    return int(as_tensor(x).ndim)


def size(x: Any) -> int | None:
    """Return the number of elements of `x`; None while it is unknown."""
    return shapes.known_size(as_tensor(x).shape)


@op
def copy(x: Any) -> Any:
    """Return a tensor with the same values (tensors are immutable)."""
    return as_tensor(x)


@op
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Cast to `dtype` after limiting the values to its range."""
    x, name = as_tensor(x), shapes.dtype_name(dtype)
    if name == "bool" or x.dtype in ("bool", name):
        return shaping.cast(x, name)
    wide = _limits(x.dtype)
    low, high = _limits(name)
    if shapes.is_float(x.dtype) and not shapes.is_float(name):
        # The largest integer may lie between two floats: take the one below.
        numbers = np.array([low, high], x.dtype)
        if float(numbers[1]) > high:
            numbers[1] = np.nextafter(numbers[1], np.array(0, x.dtype))
        low, high = numbers.tolist()
    return shaping.cast(clip(x, max(low, wide[0]), min(high, wide[1])), name)


def _limits(dtype: str) -> tuple[Any, Any]:
    if shapes.is_float(dtype):
        finite = np.finfo(dtype)
        return float(finite.min), float(finite.max)
    whole = np.iinfo(dtype)
    return whole.min, whole.max


def compute_output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the symbolic outputs of `function` for symbolic inputs."""
    with inferring():
        return _specs(function(*args, **kwargs))


def _specs(outputs: Any) -> Any:
    """Return a structure of tensors as new symbolic ones."""
    return tree.map_structure(
        lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, TensorLike) else x,
        outputs,
    )


# --- control flow -------------------------------------------------------------


@op
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Return `true_fn()` if `pred` holds and `false_fn()` otherwise.

    Raises:
        ValueError: if with a symbolic `pred` the results differ in shape.
    """
    if not isinstance(pred, KerasTensor):
        return true_fn() if bool(pred) else false_fn()
    return _agreed("cond", [true_fn(), false_fn()])


@op
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return `branches[index](*operands)`; `index` is limited to those there are.

    Raises:
        ValueError: if with a symbolic `index` the results differ in shape.
    """
    if not isinstance(index, KerasTensor):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    return _agreed("switch", [branch(*operands) for branch in branches])


def _agreed(who: str, results: list[Any]) -> Any:
    """Return the symbolic result that the branches have in common."""

    def check(*leaves: Any) -> Any:
        tensors = [as_tensor(leaf) for leaf in leaves]
        found = {t.shape for t in tensors}
        if len(found) > 1:
            raise ValueError(
                f"{who}: every branch must return one shape, got "
                f"{' and '.join(sorted(str(shape) for shape in found))}"
            )
        return KerasTensor(tensors[0].shape, tensors[0].dtype)

    return tree.map_structure(check, *results)


@op
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds.

    Args:
        cond: returns a boolean.
        body: returns new loop variables, in the same nesting.
        loop_vars: tensor, or list or tuple of tensors.
        maximum_iterations: how often at most.
    """
    single = not isinstance(loop_vars, (list, tuple))
    state = [loop_vars] if single else list(loop_vars)
    if any_symbolic(state):
        return _specs(loop_vars)
    count = 0
    while bool(cond(*state)) and (
        maximum_iterations is None or count < maximum_iterations
    ):
        result = body(*state)
        state = list(result) if isinstance(result, (list, tuple)) else [result]
        count += 1
    state = [tree.map_structure(as_tensor, item) for item in state]
    return state[0] if single else type(loop_vars)(state)


@op
def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[..., Any], init_val: Any
) -> Any:
    """Return the value after `value = body_fun(i, value)` for i in [lower, upper).

    Args:
        lower: first i.
        upper: end, not reached.
        body_fun: the step.
        init_val: first value, a tensor or nested structure.
    """
    value = init_val
    if any_symbolic([lower, upper]):
        return _specs(value)
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


@op
def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Carry a state over the first axis of `xs`, stacking one output per step.

    Args:
        f: `f(carry, x)` returns `(carry, y)`.
        init: first carry.
        xs: tensors whose first axis is walked, or None.
        length: number of steps if `xs` is None.
        reverse: whether to walk backwards.
        unroll: accepted for compatibility.

    Returns:
        The last carry, and the outputs stacked along a new first axis.

    Raises:
        ValueError: if the number of steps is not given, or differs between the `xs`.
    """
    steps = _steps("scan", xs, length)
    if steps is None:
        carry, y = f(init, _slices(xs, 0))
        return _specs(carry), tree.map_structure(_with_unknown_axis, y)
    carry, outputs = init, []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, y = f(carry, _slices(xs, i))
        outputs.append(y)
    if reverse:
        outputs.reverse()
    if not outputs or outputs[0] is None:
        return carry, None
    stacked = tree.map_structure(lambda *ys: joining.stack(list(ys)), *outputs)
    return carry, stacked


def _steps(who: str, xs: Any, length: int | None) -> int | None:
    sizes = {as_tensor(x).shape[0] for x in tree.flatten(xs) if x is not None}
    sizes |= set() if length is None else {length}
    if not sizes:
        raise ValueError(f"{who}: expected xs or length, got neither")
    known = sizes - {None}
    if len(known) > 1:
        raise ValueError(f"{who}: the lengths of the first axes differ: {sizes}")
    return known.pop() if known else None


def _slices(xs: Any, i: int) -> Any:
    return tree.map_structure(lambda v: None if v is None else as_tensor(v)[i], xs)


def _with_unknown_axis(y: Any) -> Any:
    y = as_tensor(y)
    return KerasTensor((None, *y.shape), y.dtype)


@op
def map(f: Callable[..., Any], xs: Any) -> Any:
    """Apply `f` to every slice of `xs` along its first axis and stack the results."""
    return scan(lambda carry, x: (carry, f(x)), 0, xs)[1]


@op
def vectorized_map(function: Callable[..., Any], elements: Any) -> Any:
    """Apply `function` to every slice of `elements` along the first axis: `map`."""
    return map(function, elements)


@op
def associative_scan(
    f: Callable[..., Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Return the running combination of slices by an associative function.

    Args:
        f: `f(a, b)` combines slices of the size 1 along `axis`, in the nesting of
            `elems`.
        elems: tensors of equal size along `axis`.
        reverse: whether to start from the last slice.
        axis: axis to run along.

    Returns:
        Tensors of the shapes of `elems`.
    """
    flat = [as_tensor(x) for x in tree.flatten(elems)]
    along = shapes.normalize_axis(axis, flat[0].ndim, "associative_scan")
    count = flat[0].shape[along]
    if count is None:
        return _specs(elems)
    lead = (slice(None),) * along
    totals: list[Any] = []
    for i in reversed(range(count)) if reverse else range(count):
        part = tree.pack_sequence_as(elems, [x[(*lead, slice(i, i + 1))] for x in flat])
        totals.append(f(totals[-1], part) if totals else part)
    if not totals:
        return tree.pack_sequence_as(elems, flat)
    if reverse:
        totals.reverse()
    return tree.map_structure(
        lambda *parts: joining.concatenate(list(parts), axis=along), *totals
    )


# --- derivatives --------------------------------------------------------------


def jvp(
    fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """Return `fun(*primals)` and its derivative in the direction of the tangents.

    Args:
        fun: function of tensors.
        primals: list or tuple of its arguments.
        tangents: one tensor for each of them, of its shape.
        has_aux: whether `fun` returns `(outputs, more)`, of which more is handed on.

    Returns:
        `(outputs, derivatives)`, or `(outputs, derivatives, more)`.
    """
    primals = [as_tensor(x) for x in primals]
    tangents = [as_tensor(t, x.dtype) for t, x in zip(tangents, primals, strict=True)]
    # The gradient is linear in the cotangents u; its derivative in u is the JVP.
    with GradientTape() as outer:
        with GradientTape() as inner:
            inner.watch(primals)
            result = fun(*primals)
        outputs, aux = result if has_aux else (result, None)
        flat = [as_tensor(y) for y in tree.flatten(outputs)]
        cotangents = [as_tensor(np.zeros(y.shape, y.dtype)) for y in flat]
        outer.watch(cotangents)
        gradients = inner.gradient(
            flat, primals, cotangents, unconnected_gradients="zero"
        )
    parts = outer.gradient(
        gradients, cotangents, tangents, unconnected_gradients="zero"
    )
    derivatives = tree.pack_sequence_as(outputs, parts)
    return (outputs, derivatives, aux) if has_aux else (outputs, derivatives)


@op
def stop_gradient(variable: Any) -> Any:
    """Return the same values, through which no gradient flows."""
    return graph_stop_gradient(variable)


def is_variable(x: Any) -> bool:
    """Tell whether `x` is a variable."""
    return isinstance(x, Variable)
