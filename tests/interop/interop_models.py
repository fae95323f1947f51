"""Models that cnn_core and Keras build with the same lines. Imports neither."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np


@cache
def block_class(keras: Any) -> type:
    """Return a layer with sublayers in every kind of place that a file path names."""

    @keras.saving.register_keras_serializable("interop")
    class Block(keras.layers.Layer):
        def __init__(self, units: int = 4, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.first = keras.layers.Dense(units)
            self.items = [keras.layers.Dense(units), [keras.layers.Dense(units)]]
            self.table = {
                "b": keras.layers.Dense(units),
                "a": keras.layers.Dense(units, activation="tanh"),
            }
            self._hidden = keras.layers.Dense(units)

        def _all(self) -> list[Any]:
            inner = [self.items[0], *self.items[1], *self.table.values()]
            return [self.first, *inner, self._hidden]

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(
                shape=(self.units,), initializer="ones", name="scale"
            )
            self.count = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="count"
            )
            for layer in self._all():
                layer.build(input_shape)

        def call(self, x: Any) -> Any:
            for layer in self._all():
                x = layer(x)
            return x * self.scale + self.count

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    return Block


@cache
def own_model_class(keras: Any) -> type:
    """Return a model subclass with attributes before and after `layers`."""

    @keras.saving.register_keras_serializable("interop")
    class OwnModel(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.encoder = keras.layers.Dense(3, activation="relu")
            self.neck = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.neck(self.encoder(x))

    return OwnModel


def stack(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Rescaling(0.5, offset=0.1),
            keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01)),
            keras.layers.Activation("gelu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(6, activation="relu", use_bias=False),
            keras.layers.Reshape((3, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )


def graph(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    left = keras.layers.Dense(3, activation="relu", name="left")(x)
    right = keras.layers.Dense(3, activation="elu", name="right")(x)
    both = keras.layers.Concatenate(name="both")([left, right])
    return keras.Model(x, keras.layers.Dense(2, name="out")(both), name="graph")


def two_outputs(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    trunk = keras.layers.Dense(5, activation="tanh", name="trunk")(x)
    first = keras.layers.Dense(2, name="first")(trunk)
    second = keras.layers.Dense(2, activation="softmax", name="second")(trunk)
    return keras.Model(x, [first, second], name="two_outputs")


def shared(keras: Any) -> Any:
    layer = keras.layers.Dense(4, activation="tanh", name="shared")
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(layer(layer(x))))


def operators(keras: Any) -> Any:
    x = keras.Input((4,))
    y = keras.layers.Dense(3)(x)
    y = keras.ops.relu(y) * 2.0 + keras.ops.sum(x, axis=-1, keepdims=True)
    return keras.Model(x, keras.layers.Dense(2)(keras.ops.concatenate([y, x], axis=1)))


def nested(keras: Any) -> Any:
    x = keras.Input((4,), name="outer_input")
    inner_input = keras.Input((4,), name="inner_input")
    inner_output = keras.layers.Dense(3, activation="relu")(inner_input)
    inner = keras.Model(inner_input, inner_output, name="inner")
    stacked = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    return keras.Model(x, stacked(inner(x)), name="nested")


def blocks(keras: Any) -> Any:
    block = block_class(keras)
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(block()(block()(x))))


def own_model(keras: Any) -> Any:
    model = own_model_class(keras)()
    model(np.zeros((1, 4), dtype="float32"))
    return model


BUILDERS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f
    for f in (
        stack,
        graph,
        two_outputs,
        shared,
        operators,
        nested,
        blocks,
        own_model,
    )
}

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "adam": lambda keras: keras.optimizers.Adam(0.02),
    "sgd": lambda keras: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda keras: keras.optimizers.RMSprop(
        keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9), momentum=0.5
    ),
}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of shape (8, 4) and targets of shape (8, 2)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    return x.astype("float32"), y.astype("float32")


def outputs(model: Any, x: np.ndarray) -> list[np.ndarray]:
    """Return the predictions as a list of arrays."""
    predicted = model.predict(x, verbose=0)
    if not isinstance(predicted, list | tuple):
        predicted = [predicted]
    return [np.asarray(part) for part in predicted]


def record(model: Any) -> dict[str, np.ndarray]:
    """Return by name what a loaded model must agree in."""
    x, _ = data()
    arrays = {f"output/{i}": part for i, part in enumerate(outputs(model, x))}
    arrays |= {f"weight/{i}": w for i, w in enumerate(model.get_weights())}
    if getattr(model, "optimizer", None) is not None:
        for i, variable in enumerate(model.optimizer.variables):
            arrays[f"optimizer/{i}"] = np.asarray(variable)
    return arrays


def assert_records(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare records: state bit by bit, outputs up to rounding."""
    assert sorted(actual) == sorted(expected)
    for name, value in expected.items():
        if name.startswith("output"):
            np.testing.assert_allclose(actual[name], value, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name)


def make(keras: Any, name: str, optimizer: str | None) -> Any:
    """Build a model and, with an optimizer, train it a little."""
    model = BUILDERS[name](keras)
    if optimizer is not None:
        x, y = data()
        several = len(outputs(model, x)) > 1
        model.compile(
            OPTIMIZERS[optimizer](keras), "mse", metrics=None if several else ["mae"]
        )
        for _ in range(2):
            model.train_on_batch(x, [y, y] if several else y)
    return model


CASES: list[tuple[str, str | None]] = [
    *((name, None) for name in BUILDERS),
    *((name, "adam") for name in BUILDERS),
    ("stack", "sgd"),
    ("graph", "rmsprop"),
]
