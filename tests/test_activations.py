"""Activations by name: functions, configurations, messages. Values: tests/golden."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import activations, ops, serialization

NAMES = sorted(activations._BY_NAME)
X = np.linspace(-4, 4, 17, dtype="float32").reshape(1, 17)


@pytest.mark.parametrize("name", NAMES)
def test_found_by_name_and_back(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    short = activations.serialize(function)
    assert activations.deserialize(short) is function
    config = serialization.serialize_keras_object(function)
    assert activations.deserialize(config) is function


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("threshold", "glu")])
def test_shape_and_dtype_stay(name):
    value = activations.get(name)(X)
    assert value.shape == X.shape
    assert str(value.dtype) == "float32"


def test_none_is_linear():
    assert activations.get(None) is activations.linear
    assert activations.linear(X) is X
    assert activations.get(ops.tanh) is ops.tanh


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, lambda x: np.maximum(x, 0)),
        ({"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ({"max_value": 2.0}, lambda x: np.clip(x, 0, 2)),
        ({"max_value": 6}, lambda x: np.clip(x, 0, 6)),
        ({"threshold": 1.0}, lambda x: np.where(x > 1, x, 0)),
        (
            {"negative_slope": 0.5, "threshold": 1.0, "max_value": 3.0},
            lambda x: np.where(x > 1, np.minimum(x, 3), 0.5 * (x - 1)),
        ),
    ],
)
def test_relu_options(options, expected):
    np.testing.assert_allclose(activations.relu(X, **options), expected(X), rtol=1e-6)


def test_unknown_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'sigmoid'"):
        activations.get("sigmoyd")
    with pytest.raises(TypeError, match="got 7"):
        activations.get(7)


@serialization.register_keras_serializable("tests")
def doubled(x):
    """An activation as a user writes it."""
    return 2 * x


def test_own_function():
    config = activations.serialize(doubled)
    assert config["config"] == "tests>doubled"
    assert activations.deserialize(config) is doubled
    assert activations.get("doubled") is doubled


def test_lambda_is_called_but_not_saved():
    function = activations.get(lambda x: x + 1)
    assert function(1) == 2
    with pytest.raises(TypeError, match="a lambda cannot be saved"):
        activations.serialize(function)
