"""A layer with one weight, and arrays for it."""

from __future__ import annotations

import numpy as np

from cnn_core import layers


class Scale(layers.Layer):
    def build(self, input_shape):
        self.factor = self.add_weight(
            shape=input_shape[-1], initializer="ones", name="factor"
        )

    def call(self, inputs):
        return inputs * self.factor


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)
