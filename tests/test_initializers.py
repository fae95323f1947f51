"""Initializers: values, distributions, seeds, configurations, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core import initializers, ops, random, serialization
from cnn_core.graph import Variable

EXACT = [
    initializers.Zeros(),
    initializers.Ones(),
    initializers.Constant(2.5),
    initializers.Identity(gain=2.0),
]
RANDOM = [
    initializers.RandomNormal(mean=1.0, stddev=0.5, seed=1),
    initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=1),
    initializers.RandomUniform(-1.0, 2.0, seed=1),
    initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal", seed=1),
    initializers.GlorotUniform(seed=1),
    initializers.GlorotNormal(seed=1),
    initializers.HeUniform(seed=1),
    initializers.HeNormal(seed=1),
    initializers.LecunUniform(seed=1),
    initializers.LecunNormal(seed=1),
    initializers.Orthogonal(gain=2.0, seed=1),
]
ALL = pytest.mark.parametrize(
    "initializer", [*EXACT, *RANDOM], ids=lambda i: type(i).__name__
)
SEEDED = pytest.mark.parametrize("initializer", RANDOM, ids=lambda i: type(i).__name__)
SHAPE = (200, 300)


def sample(initializer, shape=SHAPE):
    return np.asarray(initializer(shape)).astype("float64")


@ALL
def test_config_round_trip(initializer):
    config = initializers.serialize(initializer)
    for again in (initializers.deserialize(config), initializer.clone()):
        assert type(again) is type(initializer)
        assert again.get_config() == initializer.get_config()
        np.testing.assert_array_equal(again((4, 3)), initializer((4, 3)))


@ALL
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", None])
def test_shape_and_dtype(initializer, dtype):
    value = initializer((4, 3), dtype=dtype)
    assert value.shape == (4, 3)
    assert value.dtype == (dtype or "float32")


@ALL
def test_makes_a_variable(initializer):
    variable = Variable(initializer, shape=(3, 3), name="kernel")
    np.testing.assert_array_equal(variable, initializer((3, 3)))


@SEEDED
def test_integer_seed_repeats(initializer):
    np.testing.assert_array_equal(initializer((5, 4)), initializer((5, 4)))
    other = type(initializer).from_config({**initializer.get_config(), "seed": 2})
    assert not np.array_equal(other((5, 4)), initializer((5, 4)))


@SEEDED
def test_generator_as_seed_goes_on(initializer):
    def make():
        config = {**initializer.get_config(), "seed": random.SeedGenerator(7)}
        return type(initializer).from_config(config)

    first, second = make(), make()
    values = [np.asarray(first((5, 4))) for _ in range(2)]
    assert not np.array_equal(*values)
    np.testing.assert_array_equal(second((5, 4)), values[0])
    config = initializers.serialize(first)
    again = initializers.deserialize(config)
    np.testing.assert_array_equal(again((5, 4)), values[0])


def test_no_seed_is_a_fresh_one_that_the_global_seed_decides():
    random.set_global_seed(3)
    first, second = initializers.GlorotUniform(), initializers.GlorotUniform()
    assert not np.array_equal(first((5, 4)), second((5, 4)))
    random.set_global_seed(3)
    np.testing.assert_array_equal(initializers.GlorotUniform()((5, 4)), first((5, 4)))
    assert first.get_config()["seed"] is None


# --- distributions -----------------------------------------------------------


def test_normal():
    values = sample(initializers.RandomNormal(mean=1.0, stddev=0.5, seed=1))
    assert values.mean() == pytest.approx(1.0, abs=0.01)
    assert values.std() == pytest.approx(0.5, rel=0.01)
    outside = (np.abs(values - 1.0) > 1.0).mean()
    assert outside == pytest.approx(0.0455, abs=0.004)


def test_truncated_normal():
    values = sample(initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=1))
    assert values.mean() == pytest.approx(1.0, abs=0.01)
    assert values.std() == pytest.approx(0.5 * 0.8796, rel=0.01)
    assert np.abs(values - 1.0).max() <= 1.0
    inner = (np.abs(values - 1.0) < 0.5).mean()
    assert inner == pytest.approx(0.6827 / 0.9545, abs=0.01)


def test_uniform():
    values = sample(initializers.RandomUniform(-1.0, 2.0, seed=1))
    assert values.min() >= -1.0
    assert values.max() < 2.0
    np.testing.assert_allclose(
        np.quantile(values, [0.1, 0.5, 0.9]), [-0.7, 0.5, 1.7], atol=0.02
    )


@pytest.mark.parametrize(
    ("cls", "variance"),
    [
        (initializers.GlorotUniform, 2 / 500),
        (initializers.GlorotNormal, 2 / 500),
        (initializers.HeUniform, 2 / 200),
        (initializers.HeNormal, 2 / 200),
        (initializers.LecunUniform, 1 / 200),
        (initializers.LecunNormal, 1 / 200),
    ],
)
def test_scaled_variance_and_limit(cls, variance):
    values = sample(cls(seed=1))
    assert values.mean() == pytest.approx(0.0, abs=0.02 * math.sqrt(variance))
    assert values.var() == pytest.approx(variance, rel=0.02)
    uniform = "Uniform" in cls.__name__
    limit = math.sqrt(3 * variance) if uniform else 2 * math.sqrt(variance) / 0.8796256
    assert np.abs(values).max() <= limit * (1 + 1e-6)
    assert np.abs(values).max() > 0.99 * limit


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4), (3, 3, 2, 8)])
def test_orthogonal(shape):
    values = sample(initializers.Orthogonal(gain=2.0, seed=1), shape)
    matrix = values.reshape(-1, shape[-1])
    small = (
        matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    )
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((3, 4), (3, 4)),
        ((3, 3, 8, 16), (72, 144)),
    ],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_fans_of_given_axes():
    shape = (2, 3, 4, 5)
    assert initializers.compute_fans(shape, [0, 1], [2]) == (6, 4)
    given = initializers.LecunNormal(seed=1, input_axes=[0], output_axes=[1])
    plain = initializers.LecunNormal(seed=1)
    np.testing.assert_array_equal(given((20, 5)), plain((20, 5)))
    assert given.get_config()["input_axes"] == [0]


# --- names and messages ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("zeros", initializers.Zeros),
        ("zero", initializers.Zeros),
        ("Ones", initializers.Ones),
        ("glorot_uniform", initializers.GlorotUniform),
        ("random_normal", initializers.RandomNormal),
        ("normal", initializers.RandomNormal),
        ("uniform", initializers.RandomUniform),
        ("identity", initializers.Identity),
        ("IdentityInitializer", initializers.Identity),
        ("orthogonal", initializers.Orthogonal),
        ("he_normal", initializers.HeNormal),
    ],
)
def test_found_by_name(name, cls):
    assert type(initializers.get(name)) is cls
    assert type(initializers.get({"class_name": name, "config": {}})) is cls


def test_get_other_things():
    assert initializers.get(None) is None
    assert type(initializers.get(initializers.Ones)) is initializers.Ones
    instance = initializers.Ones()
    assert initializers.get(instance) is instance

    def own(shape, dtype=None):
        return ops.ones(shape, dtype)

    assert initializers.get(own) is own


def test_get_an_array():
    values = np.arange(6.0).reshape(2, 3)
    initializer = initializers.get(values)
    made = initializer((2, 3), dtype="float32")
    assert made.dtype == "float32"
    np.testing.assert_array_equal(made, values)
    with pytest.raises(ValueError, match=r"shape \(2, 3\), the weight needs \(3, 2\)"):
        initializer((3, 2))
    again = initializers.deserialize(initializers.serialize(initializer))
    np.testing.assert_array_equal(again((2, 3)), values)


def test_constant_of_an_array():
    initializer = initializers.Constant([1.0, 2.0])
    np.testing.assert_array_equal(initializer((3, 2)), [[1.0, 2.0]] * 3)
    again = initializers.deserialize(initializers.serialize(initializer))
    np.testing.assert_array_equal(again((3, 2)), initializer((3, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.get("glorot_unifrom"), "did you mean 'glorot_uniform'"),
        (lambda: initializers.Identity()((2, 3, 4)), r"2 dimensions, got \(2, 3, 4\)"),
        (lambda: initializers.Orthogonal()((3,)), r"at least 2 dimensions, got \(3,\)"),
        (lambda: initializers.VarianceScaling(scale=0), "scale > 0, got 0"),
        (lambda: initializers.VarianceScaling(mode="fan_inn"), "mean 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="unifrm"), "'uniform'"),
        (lambda: initializers.HeNormal(seed="a"), "HeNormal: expected seed.*'a'"),
        (lambda: initializers.HeNormal(seed=1.5), "HeNormal: expected seed.*1.5"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@serialization.register_keras_serializable("tests")
class Alternating(initializers.Initializer):
    """An initializer as a user writes it."""

    def __init__(self, size=1.0):
        self.size = size

    def __call__(self, shape, dtype=None):
        signs = np.where(np.arange(math.prod(shape)) % 2, -1.0, 1.0)
        return ops.cast(self.size * signs.reshape(shape), dtype or "float32")

    def get_config(self):
        return {"size": self.size}


def test_own_class():
    again = initializers.deserialize(initializers.serialize(Alternating(2.0)))
    assert type(again) is Alternating
    np.testing.assert_array_equal(again((2, 2)), [[2.0, -2.0], [2.0, -2.0]])
    assert type(initializers.get("Alternating")) is Alternating


def test_own_class_without_call():
    class Empty(initializers.Initializer):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define __call__"):
        Empty()((2,))
