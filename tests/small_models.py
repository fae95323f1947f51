"""Models that several tests train."""

from __future__ import annotations

import cnn_core as keras
from cnn_core import layers, ops


def wide():
    """40 inputs, 7 outputs; products large enough for panels and tile units."""
    keras.utils.set_random_seed(6)
    model = keras.Sequential(
        [
            layers.Input((40,)),
            layers.Dense(300, activation="tanh"),
            layers.Dense(200, activation="relu"),
            layers.Dense(7),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05), "mse")
    return model


class OwnStep(keras.Sequential):
    """A model whose training step is written with a tape."""

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(self(x, training=True) - y))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"own": loss}
