"""Small networks, data for them, and what training changed."""

from __future__ import annotations

import numpy as np

import cnn_core as keras
from cnn_core import layers

N = 40
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 4)).astype("float32")
Y = RNG.standard_normal((N, 2)).astype("float32")
LABELS = RNG.integers(0, 3, N)


def mlp(outputs=2, activation=None, **options):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="tanh"),
            layers.Dense(outputs, activation=activation),
        ]
    )
    if options:
        model.compile(**options)
    return model


def regression(optimizer="sgd", **options):
    return mlp(optimizer=optimizer, **{"loss": "mse", **options})


def state_of(model):
    """All values that training changes."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(v) for v in variables]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
