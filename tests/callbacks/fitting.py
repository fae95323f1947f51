"""A model of one weight, and a short way to fit it."""

from __future__ import annotations

import numpy as np

import cnn_core as keras

X = np.linspace(-1, 1, 16, dtype="float32")[:, None]
Y = 2 * X


def make_model(learning_rate=0.05, **options):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    options = {"loss": "mse", **options}
    model.compile(keras.optimizers.SGD(learning_rate), **options)
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"batch_size": 8, "verbose": 0, "shuffle": False, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


class Scripted(keras.callbacks.Callback):
    """Puts given values into the logs of epochs, ahead of the callback tested."""

    def __init__(self, **values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        for name, values in self.values.items():
            logs[name] = values[epoch]
