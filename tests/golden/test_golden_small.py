"""Initializers, regularizers and constraints against real Keras."""

from __future__ import annotations

import math

import numpy as np
import pytest
import runners
from cases import (
    CONSTRAINT_CASES,
    EXACT_INITIALIZERS,
    INITIALIZER_NAMES,
    ORTHOGONAL_GAIN,
    ORTHOGONAL_SHAPES,
    RANDOM_INITIALIZERS,
    RANDOM_SHAPE,
    REGULARIZER_CASES,
)
from loader import assert_close, assert_config, load

import cnn_core as keras

GOLDEN = load("small")
INITIALIZERS = {
    **{name: build for name, (build, _) in EXACT_INITIALIZERS.items()},
    **RANDOM_INITIALIZERS,
}
CONFIGURED = {**INITIALIZERS, **REGULARIZER_CASES, **CONSTRAINT_CASES}
FANS = [(tuple(row["shape"]), tuple(row["fans"])) for row in GOLDEN.meta["fans"]]
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@pytest.mark.parametrize("name", CONFIGURED)
def test_config(name):
    instance, config = CONFIGURED[name](keras), GOLDEN.meta["config"][name]
    assert_config(instance.get_config(), config)
    assert_config(type(instance).from_config(dict(config)).get_config(), config)


@pytest.mark.parametrize("name", EXACT_INITIALIZERS)
def test_exact_initializer(name):
    build, shape = EXACT_INITIALIZERS[name]
    value = runners.to_numpy(keras, build(keras)(shape, dtype="float32"))
    assert_close(value, GOLDEN[f"{name}/output"])


@pytest.mark.parametrize("name", RANDOM_INITIALIZERS)
def test_distribution(name):
    """The same distribution as Keras, within sampling error of 60,000 draws."""
    stats = GOLDEN.meta["statistics"][name]
    sample = runners.to_numpy(keras, RANDOM_INITIALIZERS[name](keras)(RANDOM_SHAPE))
    assert sample.dtype == np.float32
    assert sample.shape == RANDOM_SHAPE
    std, error = stats["std"], stats["std"] / math.sqrt(sample.size)
    assert abs(sample.mean() - stats["mean"]) < 8 * error
    assert sample.std() == pytest.approx(std, rel=0.02)
    quantiles = np.quantile(sample, QUANTILES)
    np.testing.assert_allclose(quantiles, stats["quantiles"], rtol=0, atol=0.05 * std)
    if not name.startswith("random_normal") and "untruncated" not in name:
        bounds = [sample.min(), sample.max()]
        wanted = [stats["min"], stats["max"]]
        np.testing.assert_allclose(bounds, wanted, rtol=0, atol=0.02 * std)


@pytest.mark.parametrize("name", RANDOM_INITIALIZERS)
def test_seed(name):
    first = runners.to_numpy(keras, RANDOM_INITIALIZERS[name](keras)((4, 5)))
    again = runners.to_numpy(keras, RANDOM_INITIALIZERS[name](keras)((4, 5)))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(("shape", "fans"), FANS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_fans(shape, fans, mode):
    fan = {"fan_in": fans[0], "fan_out": fans[1], "fan_avg": sum(fans) / 2}[mode]
    limit = math.sqrt(3.0 / max(1.0, fan))
    draws = []
    for seed in range(1 if math.prod(shape) > 100 else 100):
        initializer = keras.initializers.VarianceScaling(
            mode=mode, distribution="uniform", seed=seed
        )
        draws.append(np.ravel(runners.to_numpy(keras, initializer(shape))))
    largest = np.abs(np.concatenate(draws)).max()
    assert 0.9 * limit < largest <= limit * (1 + 1e-6)


@pytest.mark.parametrize("shape", ORTHOGONAL_SHAPES)
def test_orthogonal(shape):
    initializer = keras.initializers.Orthogonal(gain=ORTHOGONAL_GAIN, seed=3)
    matrix = runners.to_numpy(keras, initializer(shape))
    assert matrix.shape == shape
    flat = matrix.reshape(-1, shape[-1]).astype("float64")
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    expected = np.eye(len(gram)) * ORTHOGONAL_GAIN**2
    np.testing.assert_allclose(gram, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", INITIALIZER_NAMES)
def test_string_name(name):
    assert type(keras.initializers.get(name)).__name__ == GOLDEN.meta["names"][name]


@pytest.mark.parametrize("name", REGULARIZER_CASES)
def test_regularizer(name):
    regularizer = REGULARIZER_CASES[name](keras)
    weight = GOLDEN["weight"]
    value = runners.to_numpy(keras, regularizer(keras.ops.convert_to_tensor(weight)))
    assert_close(value, GOLDEN[f"{name}/output"])
    (gradient,) = runners.tape_gradients(
        keras, regularizer, [weight], [np.ones((), "float32")]
    )
    assert_close(gradient, GOLDEN[f"{name}/gradient"], "gradient")


@pytest.mark.parametrize("name", CONSTRAINT_CASES)
def test_constraint(name):
    weight = keras.ops.convert_to_tensor(GOLDEN["weight"])
    value = CONSTRAINT_CASES[name](keras)(weight)
    assert_close(runners.to_numpy(keras, value), GOLDEN[f"{name}/output"])
