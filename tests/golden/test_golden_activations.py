"""Activations against values and gradients of real Keras."""

from __future__ import annotations

import numpy as np
import pytest
import runners
from cases import ACTIVATION_CASES
from loader import assert_close, load

import cnn_core as keras

GOLDEN = load("activations")
ALL = pytest.mark.parametrize("name", ACTIVATION_CASES)


@ALL
def test_value(name):
    case = ACTIVATION_CASES[name]
    grid = GOLDEN[f"grid/{case.grid}"]
    output = runners.to_numpy(
        keras, case.call(keras, keras.ops.convert_to_tensor(grid))
    )
    expected = GOLDEN[f"{name}/output"]
    assert output.shape == expected.shape
    if np.isfinite(case.limit):
        near = np.abs(grid) <= case.limit
        output, expected = output[near], expected[near]
    assert_close(output, expected)


@ALL
def test_gradient(name):
    case = ACTIVATION_CASES[name]
    grid = GOLDEN[f"grid/{case.grid}"]
    (gradient,) = runners.tape_gradients(
        keras,
        lambda x: case.call(keras, x),
        [grid],
        GOLDEN.series(f"{name}/cotangent"),
    )
    smooth = ~np.isin(grid, np.float32(case.kinks)) & (np.abs(grid) <= case.limit)
    expected = GOLDEN[f"{name}/gradient/0"]
    assert_close(gradient[smooth], expected[smooth], "gradient")
