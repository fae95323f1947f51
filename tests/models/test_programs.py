"""Whole programs as users write them for Keras, with only the import lines changed."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops


@pytest.fixture(scope="module")
def digits():
    (x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()

    def rows(x):
        return x.reshape(len(x), -1).astype("float32") / 16

    return (rows(x_train), y_train), (rows(x_test), y_test)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def accuracy(model, x, y):
    return float((model.predict(x, verbose=0).argmax(-1) == y).mean())


class SimpleDense(keras.layers.Layer):
    def __init__(self, units, activation=None):
        super().__init__()
        self.units = units
        self.activation = activation

    def build(self, input_shape):
        input_dim = input_shape[-1]
        self.W = self.add_weight(
            shape=(input_dim, self.units), initializer="random_normal"
        )
        self.b = self.add_weight(shape=(self.units), initializer="zeros")

    def call(self, inputs):
        y = ops.matmul(inputs, self.W) + self.b
        if self.activation is not None:
            y = self.activation(y)
        return y


def test_sequential_with_input_shape():
    model = keras.Sequential(
        [layers.Dense(32, input_shape=(784,)), layers.Dense(32)],
    )
    assert model.built
    assert model.input_shape == (None, 784)
    assert model.output_shape == (None, 32)
    assert model.count_params() == 784 * 32 + 32 + 32 * 32 + 32
    assert model.predict(np.ones((3, 784)), verbose=0).shape == (3, 32)


def test_own_layer_prints_its_output_shape(capsys):
    my_dense = SimpleDense(units=32, activation=ops.relu)
    input_tensor = ops.ones(shape=(2, 784))
    output_tensor = my_dense(input_tensor)
    print(output_tensor.shape)
    assert capsys.readouterr().out == "(2, 32)\n"
    assert my_dense.b.shape == (32,)
    assert float(ops.min(output_tensor)) >= 0


def test_own_layer_learns_in_a_sequential(digits):
    (x, y), (x_test, y_test) = digits
    model = keras.Sequential(
        [SimpleDense(32, activation=ops.relu), SimpleDense(10, ops.softmax)]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate=0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(x, y, epochs=8, batch_size=64, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    loss, metric = model.evaluate(x_test, y_test, verbose=0)
    assert metric == pytest.approx(accuracy(model, x_test, y_test))
    assert metric > 0.85
    assert loss < 0.6


def test_two_branches_learn(digits):
    (x, y), (x_test, y_test) = digits
    upper = keras.Input(shape=(32,), name="upper")
    lower = keras.Input(shape=(32,), name="lower")
    a = layers.Dense(24, activation="relu")(upper)
    b = layers.Dense(24, activation="tanh")(lower)
    merged = layers.concatenate([a, b])
    outputs = layers.Dense(10)(merged)
    model = keras.Model(inputs=[upper, lower], outputs=outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit([x[:, :32], x[:, 32:]], y, epochs=8, batch_size=64, verbose=0)
    by_list = model.predict([x_test[:, :32], x_test[:, 32:]], verbose=0)
    by_name = model.predict(
        {"lower": x_test[:, 32:], "upper": x_test[:, :32]}, verbose=0
    )
    np.testing.assert_array_equal(by_list, by_name)
    assert (by_list.argmax(-1) == y_test).mean() > 0.85


def test_two_outputs_share_one_loss(digits):
    (x, y), (x_test, y_test) = digits
    inputs = keras.Input(shape=(64,))
    features = layers.Dense(32, activation="relu")(inputs)
    digit = layers.Dense(10, activation="softmax", name="digit")(features)
    odd = layers.Dense(1, activation="sigmoid", name="odd")(features)
    model = keras.Model(inputs, [digit, odd])
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=["sparse_categorical_crossentropy", "binary_crossentropy"],
        loss_weights=[1.0, 0.5],
        metrics=[["accuracy"], ["accuracy"]],
    )
    parity = (y % 2).astype("float32")
    model.fit(x, [y, parity], epochs=8, batch_size=64, verbose=0)
    logs = model.evaluate(
        x_test, [y_test, (y_test % 2).astype("float32")], verbose=0, return_dict=True
    )
    # The total is the weighted sum of the losses, not their mean.
    assert logs["loss"] == pytest.approx(
        logs["digit_loss"] + 0.5 * logs["odd_loss"], rel=1e-5
    )
    assert logs["digit_accuracy"] > 0.85
    assert logs["odd_accuracy"] > 0.85


def test_inception_like_block_learns(digits):
    (x, y), (x_test, y_test) = digits

    def block(inputs, name):
        narrow = layers.Dense(8, activation="relu", name=f"{name}_narrow")(inputs)
        deep = layers.Dense(8, activation="relu", name=f"{name}_reduce")(inputs)
        deep = layers.Dense(16, activation="relu", name=f"{name}_deep")(deep)
        passed = layers.Identity(name=f"{name}_passed")(inputs)
        return layers.Concatenate(name=name)([narrow, deep, passed])

    inputs = keras.Input(shape=(64,))
    outputs = block(block(inputs, "first"), "second")
    assert outputs.shape == (None, 64 + 2 * 24)
    outputs = layers.Dropout(0.1, seed=1)(outputs)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(outputs))
    model.compile(
        optimizer=keras.optimizers.Adam(0.004), loss="sparse_categorical_crossentropy"
    )
    model.fit(x, y, epochs=5, batch_size=32, verbose=0)
    assert accuracy(model, x_test, y_test) > 0.85


def test_own_model_with_a_loop_of_its_own(digits):
    (x, y), (x_test, y_test) = digits

    class Classifier(keras.Model):
        def __init__(self, width, **kwargs):
            super().__init__(**kwargs)
            self.hidden = [layers.Dense(width, activation="relu") for _ in range(2)]
            self.drop = layers.Dropout(0.2, seed=3)
            self.top = layers.Dense(10)

        def call(self, inputs, training=False):
            for layer in self.hidden:
                inputs = layer(inputs)
            return self.top(self.drop(inputs, training=training))

    model = Classifier(32)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.01)
    for step in range(160):
        rows = np.arange(step * 64, (step + 1) * 64) % len(x)
        with keras.GradientTape() as tape:
            loss = loss_function(y[rows], model(x[rows], training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
    assert (np.argmax(model(x_test), -1) == y_test).mean() > 0.85
