"""Symbolic inference: shapes and dtypes equal those of the eager results."""

from __future__ import annotations

import numpy as np
import pytest
from op_call_cases import ALL_CALLS, CALLS, VALUE_DEPENDENT

from cnn_core import ops, shapes, tree
from cnn_core.graph import KerasTensor, inferring
from cnn_core.ops._op import REGISTRY


def specs(result):
    """Shape and dtype of every tensor in a result."""
    return [(tuple(t.shape), t.dtype) for t in tree.flatten(result)]


def eager(case):
    return specs(case.function(*map(ops.convert_to_tensor, case.inputs)))


def symbols(case, unknown):
    """Symbolic inputs; `unknown(axis)` tells which sizes are not known."""

    def known(x, i):
        last = case.sized == "last" and i == x.ndim - 1
        return x.shape[i] if last or not unknown(i) else None

    return [
        KerasTensor([known(x, i) for i in range(x.ndim)], x.dtype.name)
        for x in case.inputs
    ]


def test_every_public_operation_has_a_case():
    missing = set(REGISTRY) - set(CALLS) - set(VALUE_DEPENDENT)
    assert not missing
    assert not set(CALLS) - set(REGISTRY)


@pytest.mark.parametrize("name", ALL_CALLS)
def test_known_sizes(name):
    case = ALL_CALLS[name]
    with inferring():
        result = case.function(*symbols(case, lambda axis: False))
    assert all(isinstance(t, KerasTensor) for t in tree.flatten(result))
    assert specs(result) == eager(case)


UNSIZED = [name for name, case in ALL_CALLS.items() if case.sized is not True]


@pytest.mark.parametrize("unknown", [lambda i: i == 0, lambda i: i >= 0], ids="ba")
@pytest.mark.parametrize("name", UNSIZED)
def test_unknown_sizes(name, unknown):
    case = ALL_CALLS[name]
    with inferring():
        result = specs(case.function(*symbols(case, unknown)))
    expected = eager(case)
    for (shape, dtype), (wanted, wanted_dtype) in zip(result, expected, strict=True):
        assert shapes.compatible(shape, wanted), (shape, wanted)
        assert dtype == wanted_dtype


@pytest.mark.parametrize("name", ALL_CALLS)
def test_recorded_calls_have_the_same_results_when_replayed(name):
    case = ALL_CALLS[name]
    inputs = symbols(case, lambda axis: False)
    outputs = tree.flatten(case.function(*inputs))
    tensors = [ops.convert_to_tensor(x) for x in case.inputs]
    values = dict(zip(map(id, inputs), tensors, strict=True))
    replayed = [replay(t, values) for t in outputs]
    direct = tree.flatten(case.function(*tensors))
    for actual, expected in zip(replayed, direct, strict=True):
        np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected))


def replay(tensor, values):
    """The value of a symbolic tensor, from the calls it was recorded with."""
    if not isinstance(tensor, KerasTensor):
        return tensor
    if id(tensor) not in values:
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        args, kwargs = tree.map_structure(
            lambda x: replay(x, values), [node.args, node.kwargs]
        )
        results = tree.flatten(operation(*args, **kwargs))
        for symbol, value in zip(node.output_tensors, results, strict=True):
            values[id(symbol)] = value
    return values[id(tensor)]


@pytest.mark.parametrize("name", VALUE_DEPENDENT)
def test_results_that_depend_on_values_are_refused(name):
    with pytest.raises(TypeError, match=name):
        getattr(ops, name)(KerasTensor((3,), "int32"))
