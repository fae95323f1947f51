"""Dropout and noise: when they act, how much, and that seeds repeat them."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, ops, random

NOISY = {
    "dropout": lambda **k: layers.Dropout(0.4, **k),
    "spatial_1d": lambda **k: layers.SpatialDropout1D(0.4, **k),
    "gaussian_dropout": lambda **k: layers.GaussianDropout(0.4, **k),
    "gaussian_noise": lambda **k: layers.GaussianNoise(0.4, **k),
    "alpha_dropout": lambda **k: layers.AlphaDropout(0.4, **k),
}
X = np.ones((50, 20, 8), "float32")

noisy = pytest.mark.parametrize("make", NOISY.values(), ids=NOISY)


@noisy
def test_acts_in_training_only(make):
    layer = make()
    for training in (False, None):
        np.testing.assert_array_equal(layer(X, training=training), X)
    assert not np.array_equal(layer(X, training=True), X)


@noisy
def test_equal_seeds_give_equal_draws_and_every_call_differs(make):
    first, second = make(seed=7), make(seed=7)
    a, b = first(X, training=True), first(X, training=True)
    np.testing.assert_array_equal(a, second(X, training=True))
    np.testing.assert_array_equal(b, second(X, training=True))
    assert not np.array_equal(a, b)
    assert not np.array_equal(a, make(seed=8)(X, training=True))


@noisy
def test_without_seed_the_global_one_decides(make):
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        results.append(np.asarray(make()(X, training=True)))
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(make()(X, training=True), results[0])


@pytest.mark.parametrize("name", [n for n in NOISY if n != "alpha_dropout"])
def test_mean_stays(name):
    y = np.asarray(NOISY[name](seed=1)(X, training=True))
    independent = 50 * 8 if name == "spatial_1d" else X.size
    assert abs(y.mean() - 1) < 4 * y.std() / np.sqrt(independent)


@noisy
def test_symbolic_call(make):
    assert make()(keras.Input((20, 8)), training=True).shape == (None, 20, 8)


@noisy
def test_gradient_is_that_of_the_draw(make):
    layer = make(seed=2)
    x = keras.Variable(X)
    with keras.GradientTape() as tape:
        y = layer(x, training=True)
        loss = ops.sum(y)
    gradient = np.asarray(tape.gradient(loss, x))
    if isinstance(layer, layers.GaussianNoise):
        np.testing.assert_array_equal(gradient, np.ones_like(X))
    elif not isinstance(layer, layers.AlphaDropout):
        np.testing.assert_allclose(gradient, y, rtol=1e-6)


def test_dropout_scales_what_it_keeps():
    y = np.asarray(layers.Dropout(0.25, seed=0)(X, training=True))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03


def test_dropout_draws_from_its_generator():
    layer = layers.Dropout(0.5, seed=11)
    generator = random.SeedGenerator(11)
    np.testing.assert_array_equal(
        layer(X, training=True), random.dropout(X, 0.5, seed=generator)
    )


def test_noise_shape():
    y = np.asarray(layers.Dropout(0.5, (None, 1, None), seed=0)(X, training=True))
    assert (y == y[:, :1]).all()
    assert 0 < (y[:, 0] == 0).mean() < 1
    with pytest.raises(ValueError, match=r"noise_shape with 3 entries"):
        layers.Dropout(0.5, (1, 2))(X, training=True)


def test_spatial_dropout_drops_channels():
    y = np.asarray(layers.SpatialDropout1D(0.5, seed=0)(X, training=True))
    assert (y == y[:, :1]).all()
    image = np.ones((30, 3, 4, 8), "float32")
    y = np.asarray(layers.SpatialDropout2D(0.5, seed=0)(image, training=True))
    assert (y == y[:, :1, :1]).all()
    first = layers.SpatialDropout2D(0.5, "channels_first", seed=0)
    y = np.asarray(first(image, training=True))
    assert (y == y[:, :, :1, :1]).all()
    assert not (y == y[:, :1]).all()
    volume = np.ones((20, 2, 3, 4, 8), "float32")
    y = np.asarray(layers.SpatialDropout3D(0.5, seed=0)(volume, training=True))
    assert (y == y[:, :1, :1, :1]).all()
    with pytest.raises(ValueError, match="4 dimensions"):
        layers.SpatialDropout2D(0.5)(X)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(300, 300)).astype("float32")
    y = np.asarray(layers.AlphaDropout(0.3, seed=0)(x, training=True))
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02
    y = np.asarray(layers.AlphaDropout(0.3, (1, None), seed=0)(x, training=True))
    dropped = np.isclose(y, y[0]).all(0)
    assert abs(dropped.mean() - 0.3) < 0.1
    with pytest.raises(ValueError, match=r"1 dimensions"):
        layers.AlphaDropout(0.3, (1,))(x, training=True)


def test_gaussian_amounts():
    y = np.asarray(layers.GaussianNoise(0.5, seed=0)(X, training=True))
    assert abs(y.std() - 0.5) < 0.02
    y = np.asarray(layers.GaussianDropout(0.5, seed=0)(X, training=True))
    assert abs(y.std() - 1.0) < 0.04


def test_rates_zero_and_one():
    layer = layers.Dropout(0)
    np.testing.assert_array_equal(layer(X, training=True), X)
    assert layer.variables == []
    assert not np.asarray(layers.Dropout(1.0)(X, training=True)).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dropout(1.5),
        lambda: layers.Dropout(-0.1),
        lambda: layers.Dropout("a"),
        lambda: layers.Dropout(float("nan")),
        lambda: layers.GaussianDropout(1.0),
        lambda: layers.AlphaDropout(1),
        lambda: layers.GaussianNoise(2.0),
        lambda: layers.Dropout(0.5, noise_shape="ab"),
        lambda: layers.Dropout(0.5, noise_shape=(0, 1)),
        lambda: layers.Dropout(0.5, noise_shape=3),
        lambda: layers.Dropout(0.5, seed="a"),
        lambda: layers.ActivityRegularization(l1=-1.0),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_activity_regularization():
    layer = layers.ActivityRegularization(l1=0.1, l2=0.01)
    layer(np.full((4, 3), 2.0))
    assert [float(v) for v in layer.losses] == pytest.approx([3 * (0.2 + 0.04)])


def test_training_in_a_model():
    model = keras.Sequential([keras.Input((8,)), layers.Dropout(0.5, seed=1)])
    x = np.ones((4, 8), "float32")
    np.testing.assert_array_equal(model(x), x)
    np.testing.assert_array_equal(model(x, training=False), x)
    assert not np.array_equal(model(x, training=True), x)
    assert model.weights == []
    assert len(model.variables) == 1
