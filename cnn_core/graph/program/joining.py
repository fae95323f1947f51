"""Calls that one kernel computes together."""

from __future__ import annotations

from typing import Any

from ... import backend, shapes
from ..primitive import Primitive
from ..trace import Call, Graph, Operand
from . import kernels
from .uses import Uses, replace_calls


def _loss_with_gradient(name: str) -> Primitive:
    joined = f"{name}_with_grad"

    def run(*arrays: Any, **attrs: Any) -> Any:
        return getattr(backend, joined)(*arrays, **attrs)

    def infer(ct: Any, target: Any, output: Any, **attrs: Any) -> Any:
        return [(ct.shape, output.dtype), (output.shape, output.dtype)]

    return Primitive(joined, run, infer)


_LOSSES = {
    name: _loss_with_gradient(name)
    for name in (
        "binary_crossentropy",
        "categorical_crossentropy",
        "mean_squared_error",
        "sparse_categorical_crossentropy",
    )
}


# --- losses -------------------------------------------------------------------


def join_losses(graph: Graph) -> Graph:
    """Compute a loss and its gradient at once: they share exponentials and sums."""
    joined: dict[Call, Call | None] = {}
    for loss, gradient in _pairs(graph):
        joined[loss] = joined[gradient] = Call(
            _LOSSES[loss.name],
            gradient.inputs,
            loss.attrs,
            loss.outputs + gradient.outputs,
            loss.scope,
        )
    return replace_calls(graph, joined)


def _pairs(graph: Graph) -> list[tuple[Call, Call]]:
    """Return losses with their gradients, as far as one does not need the other."""
    makers = {id(v): call for call in graph.calls for v in call.outputs}
    losses: dict[Any, Call] = {}
    pairs = []
    for call in graph.calls:
        if call.name in _LOSSES:
            losses[_key(call.name, call.inputs, call.attrs)] = call
        elif call.name.removesuffix("_grad") in _LOSSES:
            ct, *inputs = call.inputs
            key = _key(call.name.removesuffix("_grad"), inputs, call.attrs)
            loss = losses.get(key)
            if loss is not None and not _needs(ct, loss, makers):
                pairs.append((losses.pop(key), call))
    return pairs


def _key(name: str, inputs: Any, attrs: dict[str, Any]) -> Any:
    return (name, *map(id, inputs), *sorted(attrs.items()))


def _needs(x: Operand, source: Call, makers: dict[int, Call]) -> bool:
    """Tell whether a value is computed from a call's results."""
    open_values, seen = [x], set()
    while open_values:
        maker = makers.get(id(open_values.pop()))
        if maker is source:
            return True
        if maker is not None and maker not in seen:
            seen.add(maker)
            open_values += maker.inputs
    return False


# --- products -----------------------------------------------------------------


def _run_product_grad(a: Any, b: Any, saved: Any, **attrs: Any) -> Any:
    rows = a if a.ndim == 2 else a.reshape(-1, a.shape[-1])
    n = b.shape[0 if attrs["transpose_b"] else 1]
    ct = backend.matmul_grad(rows, b, saved.reshape(-1, n), **attrs)
    return ct.reshape(saved.shape)


def _run_product_sums(a: Any, b: Any, **attrs: Any) -> Any:
    return backend.matmul_bias_gradient(a, b, **attrs)


def _like_saved(a: Any, b: Any, saved: Any, **attrs: Any) -> Any:
    return saved.shape, saved.dtype


def _product_and_sums(
    a: Any, b: Any, transpose_a: bool, transpose_b: bool
) -> list[Any]:
    shape = shapes.matmul(a.shape, b.shape, transpose_a, transpose_b)
    return [(shape, a.dtype), (shape[-1:], b.dtype)]


_PRODUCT_GRAD = Primitive("matmul_grad", _run_product_grad, _like_saved)
_PRODUCT_SUMS = Primitive("matmul_bias_gradient", _run_product_sums, _product_and_sums)

# The activation whose gradient a kernel is, as products name it.
_GRADIENTS = {
    f"{kernel}_grad_f32": name
    for kernel, name in (
        *((name, name) for name in "relu leaky_relu elu selu silu sigmoid".split()),
        *((name, name) for name in "hard_sigmoid tanh softplus softsign".split()),
        ("gelu_erf", "gelu"),
        ("gelu_tanh", "gelu_tanh"),
    )
}


def join_gradients(graph: Graph) -> Graph:
    """Let products end with the gradient of the activation before them."""
    uses = Uses(graph)
    joined: dict[Call, Call | None] = {}
    for call in graph.calls:
        activation = _gradient_of(call)
        product = uses.maker(call.inputs[0]) if activation else None
        if activation is None or product is None or not is_product(product):
            continue
        *views, user = uses.way(product)
        if user is call and uses.maker(call.inputs[1]) is not product:
            name, parameter = activation
            joined.update(dict.fromkeys((product, *views)))
            joined[call] = Call(
                _PRODUCT_GRAD,
                (*product.inputs, call.inputs[1]),
                {**product.attrs, "activation": name, "parameter": parameter},
                call.outputs,
                call.scope,
            )
    return replace_calls(graph, joined)


def join_bias_gradients(graph: Graph) -> Graph:
    """Let the product that is a kernel's gradient sum up the bias's gradient."""
    uses = Uses(graph)
    joined: dict[Call, Call | None] = {}
    products: dict[Any, Call] = {}  # by their second operand
    for call in graph.calls:
        if not is_product(call) or call.attrs["transpose_b"]:
            continue
        a, ct = call.inputs
        if a.ndim == 2:
            products.setdefault((uses.memory(ct), ct.shape[1]), call)
    for call in graph.calls:
        if call.name != "bias_gradient":
            continue
        (ct,) = call.inputs
        product = products.pop((uses.memory(ct), ct.shape[-1]), None)
        if product is not None:
            joined[call] = joined[product] = Call(
                _PRODUCT_SUMS,
                product.inputs,
                product.attrs,
                product.outputs + call.outputs,
                product.scope,
            )
    return replace_calls(graph, joined)


def is_product(call: Call) -> bool:
    """Tell whether a call is one product of two float32 matrices."""
    if call.name != "matmul" or call.outputs[0].size == 0:
        return False
    a, b = call.inputs
    return (
        a.dtype == b.dtype == "float32"
        and b.ndim == 2
        and a.size > 0
        and (a.ndim == 2 or not call.attrs["transpose_a"])
    )


def _gradient_of(call: Call) -> tuple[str, float] | None:
    """Return the activation whose gradient a call is, and its parameter."""
    found = kernels.elementwise(call)
    if found is None or found[0] not in _GRADIENTS:
        return None
    return _GRADIENTS[found[0]], found[1]
