"""Symbolic tensors: what operations record on them, and when they do not."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import KerasTensor, inferring
from cnn_core.ops._op import OpCall


def test_an_operation_is_recorded_with_its_name_and_arguments():
    x = KerasTensor((None, 3))
    y = ops.sum(x, axis=1)
    operation, index, position = y._keras_history
    assert isinstance(operation, OpCall)
    assert operation.name.startswith("sum")
    assert (index, position) == (0, 0)
    assert operation.attributes == {"axis": 1}
    assert operation.input is x
    assert operation.output is y
    node = operation._inbound_nodes[0]
    assert node.parents == []
    assert ops.exp(y)._keras_history.operation._inbound_nodes[0].parents == [node]


def test_names_are_numbered():
    x = KerasTensor((2,))
    first, second = (ops.tanh(x)._keras_history.operation.name for _ in range(2))
    assert first != second


def test_operators_are_recorded():
    x = KerasTensor((None, 3))
    y = 2.0 * x + np.ones(3, "float32")
    assert y._keras_history.operation.name.startswith("add")
    assert x[:, 0]._keras_history.operation.name.startswith("get_item")


def test_one_node_for_a_composition():
    x = KerasTensor((None, 3))
    y = ops.logsumexp(x, axis=-1)
    (node,) = y._keras_history.operation._inbound_nodes
    assert node.input_tensors == [x]


def test_nothing_is_recorded_while_inferring():
    x = KerasTensor((None, 3))
    with inferring():
        y = ops.sum(x)
    assert y._keras_history is None
    assert ops.compute_output_spec(ops.sum, x)._keras_history is None


def test_what_passes_through_is_a_tensor_of_its_own():
    x = KerasTensor((None, 3))
    y = ops.cast(x, "float32")
    assert y is not x
    assert x._keras_history is None
    assert y._keras_history.operation.input is x


def test_several_outputs():
    x = KerasTensor((None, 4))
    first, second = ops.split(x, 2, axis=1)
    assert first._keras_history.operation is second._keras_history.operation
    assert [t._keras_history.tensor_index for t in (first, second)] == [0, 1]


def test_sizes_are_not_recorded():
    assert ops.shape(KerasTensor((None, 3))) == (None, 3)


def test_tensors_by_name_and_behind_attributes():
    x, w = KerasTensor((2, 3)), KerasTensor((2, 3))
    y = ops.average(x, weights=w)
    node = y._keras_history.operation._inbound_nodes[0]
    assert (node.args, node.kwargs) == ((x,), {"weights": w})
    u = KerasTensor((1, 1))
    y = ops.slice_update(x, (0, 0), u)
    node = y._keras_history.operation._inbound_nodes[0]
    assert (node.args, node.kwargs) == ((x,), {"updates": u})
    low = KerasTensor((3,))
    node = ops.clip(x, low, 1.0)._keras_history.operation._inbound_nodes[0]
    assert low in node.input_tensors


def test_an_operation_called_twice_has_no_single_input():
    operation = OpCall(ops.exp)
    x = KerasTensor((2,))
    operation(x)
    operation(x)
    with pytest.raises(AttributeError, match="called symbolically 2 times"):
        _ = operation.input


def test_compute_output_spec_of_eager_results():
    spec = ops.compute_output_spec(lambda x: {"a": x, "b": ops.ones(3)}, ops.ones(2))
    assert isinstance(spec["b"], KerasTensor)
    assert (spec["a"].shape, spec["b"].shape) == ((2,), (3,))
