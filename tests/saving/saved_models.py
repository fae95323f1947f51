"""Models of every kind that files have to hold, and what compares them."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, saving

h5py = pytest.importorskip("h5py")

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def stack(units=3, compiled=False):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(units, activation="tanh"),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )
    if compiled:
        model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


def graph():
    x = keras.Input((4,))
    left = layers.Dense(3, activation="relu")(x)
    right = layers.Dense(3)(x)
    y = layers.Dense(2)(left * right + left)
    return keras.Model(x, [y, right])


@saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """Sublayers in every kind of place a file path can name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4)
        self.items = [layers.Dense(4), [layers.Dense(4)]]
        self.table = {"a": layers.Dense(4), "b": layers.Dense(4)}
        self._hidden = layers.Dense(4)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")
        for layer in self.all_layers():
            layer.build(input_shape)

    def all_layers(self):
        inner = [self.items[0], *self.items[1], *self.table.values()]
        return [self.first, *inner, self._hidden]

    def call(self, x):
        for layer in self.all_layers():
            x = layer(x)
        return x * self.scale


@saving.register_keras_serializable("tests")
class OwnModel(keras.Model):
    """A subclass whose attributes sort before and after `layers`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = layers.Dense(3)
        self.neck = layers.Dense(3)

    def call(self, x):
        return self.neck(self.encoder(x))


def own_model():
    model = OwnModel()
    model(X)
    return model


def blocks():
    x = keras.Input((4,))
    return keras.Model(x, Block()(Block()(x)))


def nested():
    x = keras.Input((4,))
    first, _ = graph()(Block()(x))
    stacked = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    return keras.Model(x, stacked(first))


BUILDERS = {f.__name__: f for f in (stack, graph, blocks, own_model, nested)}
ALL = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def outputs(model, x=X):
    y = model.predict(x, verbose=0)
    return y if isinstance(y, list) else [y]


def assert_same(first, second):
    for a, b in zip(outputs(first), outputs(second), strict=True):
        np.testing.assert_array_equal(a, b)


def paths_in(path):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found
