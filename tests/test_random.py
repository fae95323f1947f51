"""Random numbers: seeds, streams, distributions, messages."""

from __future__ import annotations

import random as python_random

import numpy as np
import pytest

from cnn_core import ops, random, serialization
from cnn_core.graph import Tensor

DRAWS = {
    "uniform": lambda seed: random.uniform((4, 5), seed=seed),
    "normal": lambda seed: random.normal((4, 5), seed=seed),
    "truncated_normal": lambda seed: random.truncated_normal((4, 5), seed=seed),
    "randint": lambda seed: random.randint((4, 5), 0, 1000, seed=seed),
    "categorical": lambda seed: random.categorical(np.zeros((4, 50)), 5, seed=seed),
    "shuffle": lambda seed: random.shuffle(np.arange(30), seed=seed),
    "dropout": lambda seed: random.dropout(np.ones((6, 7)), 0.5, seed=seed),
}
EACH = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


# --- seeds -------------------------------------------------------------------


@EACH
def test_integer_seed_repeats(draw):
    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


@EACH
def test_generator_goes_on_and_repeats_from_its_start(draw):
    first, second = random.SeedGenerator(3), random.SeedGenerator(3)
    values = [np.asarray(draw(first)) for _ in range(3)]
    assert not np.array_equal(values[0], values[1])
    assert not np.array_equal(values[1], values[2])
    for value in values:
        np.testing.assert_array_equal(draw(second), value)
    # The first draw of a generator is that of the bare seed.
    np.testing.assert_array_equal(draw(3), values[0])


@EACH
def test_no_seed_uses_the_global_stream(draw):
    random.set_global_seed(11)
    values = [np.asarray(draw(None)) for _ in range(2)]
    assert not np.array_equal(*values)
    random.set_global_seed(11)
    np.testing.assert_array_equal(draw(None), values[0])


def test_a_draw_does_not_depend_on_the_size_of_others():
    a, b = random.SeedGenerator(5), random.SeedGenerator(5)
    random.uniform((3,), seed=a)
    random.uniform((100_000,), seed=b)
    np.testing.assert_array_equal(
        random.uniform((4,), seed=a), random.uniform((4,), seed=b)
    )


def test_a_longer_draw_begins_with_the_shorter():
    short, long = random.uniform((10,), seed=1), random.uniform((1000,), seed=1)
    np.testing.assert_array_equal(np.asarray(long)[:10], short)


def test_known_values():
    """The stream is part of the interface: it must not change between versions."""
    np.testing.assert_array_equal(
        random.randint((4,), 0, 2**32, dtype="uint32", seed=0),
        # Philox 4x32-10 of key 0, counter 0, from Random123's known answers.
        np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], "uint32"),
    )


def test_state():
    generator = random.SeedGenerator(7)
    assert generator.state.shape == (2,)
    assert generator.state.dtype == "uint32"
    assert not generator.state.trainable
    first, second = generator.next(), generator.next()
    np.testing.assert_array_equal(first, [7, 0])
    np.testing.assert_array_equal(second, [7, 1])


@pytest.mark.parametrize("seed", [-1, 2**32 + 5, 2**70, np.int64(3)])
def test_any_integer_is_a_seed(seed):
    np.testing.assert_array_equal(
        random.uniform((2,), seed=seed), random.uniform((2,), seed=int(seed))
    )
    random.SeedGenerator(seed)


def test_a_state_is_a_seed():
    state = Tensor(np.array([9, 2], "uint32"))
    generator = random.SeedGenerator(9)
    for _ in range(2):
        generator.next()
    np.testing.assert_array_equal(
        random.uniform((3,), seed=state), random.uniform((3,), seed=generator)
    )


@pytest.mark.parametrize("bad", ["a", 1.5, True, [1, 2]])
def test_bad_seeds(bad):
    with pytest.raises(ValueError, match=r"[Ee]xpected seed"):
        random.uniform((2,), seed=bad)
    with pytest.raises(ValueError, match="expected seed to be an integer"):
        random.SeedGenerator(bad)


def test_generator_config():
    generator = random.SeedGenerator(5, name="own")
    config = serialization.serialize_keras_object(generator)
    again = serialization.deserialize_keras_object(config)
    assert again.get_config() == {"seed": 5, "name": "own"}
    np.testing.assert_array_equal(again.state, generator.state)
    assert random.SeedGenerator().get_config()["seed"] is None


def test_global_seed_reaches_every_generator():
    def draw():
        return (
            python_random.random(),
            np.random.uniform(),
            float(random.uniform(())),
            random.make_default_seed(),
            int(random.SeedGenerator().state[0]),
        )

    random.set_global_seed(42)
    first = draw()
    random.set_global_seed(42)
    assert draw() == first
    assert draw() != first


@pytest.mark.parametrize("bad", [-1, 2**32, 1.0, "a", None])
def test_bad_global_seeds(bad):
    with pytest.raises(ValueError, match="set_random_seed: expected"):
        random.set_global_seed(bad)


# --- distributions -----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", None])
@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
def test_float_dtypes(name, dtype):
    value = getattr(random, name)((3, 2), dtype=dtype, seed=1)
    assert value.dtype == (dtype or "float32")
    assert value.shape == (3, 2)
    with pytest.raises(ValueError, match="floating-point dtype, got 'int32'"):
        getattr(random, name)((3,), dtype="int32")


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4), [2, 3], 5])
def test_shapes(shape):
    expected = (shape,) if isinstance(shape, int) else tuple(shape)
    for draw in (random.uniform, random.normal, random.truncated_normal):
        assert draw(shape, seed=1).shape == expected
    assert random.randint(shape, 0, 5, seed=1).shape == expected


def test_uniform_is_uniform():
    values = np.asarray(random.uniform((100_000,), 2.0, 5.0, seed=1))
    counts = np.histogram(values, 30, (2.0, 5.0))[0]
    expected = 100_000 / 30
    assert ((counts - expected) ** 2 / expected).sum() < 70  # chi square, 29 degrees
    assert values.min() >= 2.0
    assert values.max() < 5.0


def test_uniform_never_reaches_the_upper_bound():
    # Only two float32 lie in [1, 1 + 2**-22): rounding would give the bound itself.
    high = 1.0 + 2.0**-22
    values = np.asarray(random.uniform((1000,), 1.0, high, seed=1))
    assert values.max() < high


def test_normal_moments():
    values = np.asarray(random.normal((200_000,), 1.0, 2.0, seed=1), "float64")
    z = (values - 1.0) / 2.0
    assert z.mean() == pytest.approx(0.0, abs=0.01)
    assert z.var() == pytest.approx(1.0, abs=0.02)
    assert (z**3).mean() == pytest.approx(0.0, abs=0.04)
    assert (z**4).mean() == pytest.approx(3.0, abs=0.1)


def test_truncated_normal_follows_its_distribution_function():
    values = np.sort(np.asarray(random.truncated_normal((50_000,), seed=1), "float64"))
    assert np.abs(values).max() <= 2.0
    erf = np.asarray(ops.erf(values / np.sqrt(2.0)))
    theory = 0.5 + erf / (2 * 0.9544997361036416)
    empirical = (np.arange(50_000) + 0.5) / 50_000
    assert np.abs(theory - empirical).max() < 0.01  # Kolmogorov-Smirnov


def test_integers():
    values = np.asarray(random.randint((60_000,), -3, 3, seed=1))
    assert values.dtype == "int32"
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(found, range(-3, 3))
    np.testing.assert_allclose(counts, 10_000, rtol=0.06)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 256, "uint8"),
        (-128, 128, "int8"),
        (-(2**31), 2**31, "int32"),
        (-(2**63), 2**63, "int64"),
        (2**63, 2**64, "uint64"),
    ],
)
def test_whole_range_of_a_dtype(low, high, dtype):
    values = np.asarray(random.randint((2000,), low, high, dtype=dtype, seed=1))
    assert values.dtype == dtype
    scaled = (values.astype("float64") - low) / (float(high) - float(low))
    assert scaled.mean() == pytest.approx(0.5, abs=0.03)
    assert scaled.min() < 0.01
    assert scaled.max() > 0.98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 3), "minval < maxval, got 3 and 3"),
        ((0, 300, "uint8"), r"\[0, 300\) does not fit uint8"),
        ((-1, 3, "uint8"), r"\[-1, 3\) does not fit uint8"),
        ((0, 3, "float32"), "integer dtype, got 'float32'"),
    ],
)
def test_bad_integers(arguments, message):
    with pytest.raises(ValueError, match=message):
        random.randint((2,), *arguments)


def test_categorical():
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-30]], "float32"))
    draws = np.asarray(random.categorical(logits, 20_000, seed=1))
    assert draws.shape == (2, 20_000)
    assert draws.dtype == "int32"
    shares = [np.bincount(row, minlength=3) / 20_000 for row in draws]
    np.testing.assert_allclose(shares, [[0.1, 0.2, 0.7], [0.5, 0.5, 0]], atol=0.015)
    with pytest.raises(ValueError, match=r"\(batch, classes\), got shape \(3,\)"):
        random.categorical(logits[0], 5)


def test_shuffle():
    x = np.arange(60).reshape(20, 3)
    rows = np.asarray(random.shuffle(x, seed=1))
    assert not np.array_equal(rows, x)
    np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], x)
    columns = np.asarray(random.shuffle(x.T, axis=-1, seed=1))
    np.testing.assert_array_equal(columns, rows.T)


def test_shuffle_is_fair():
    generator = random.SeedGenerator(1)
    firsts = [int(random.shuffle(np.arange(4), seed=generator)[0]) for _ in range(2000)]
    np.testing.assert_allclose(np.bincount(firsts) / 2000, 0.25, atol=0.04)


# --- dropout -----------------------------------------------------------------


def test_dropout_keeps_the_mean():
    values = np.asarray(random.dropout(np.ones((300, 300), "float32"), 0.3, seed=1))
    assert set(np.unique(values)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert values.mean() == pytest.approx(1.0, abs=0.01)


def test_dropout_at_the_ends():
    x = np.ones((3, 4), "float32")
    np.testing.assert_array_equal(random.dropout(x, 0.0), x)
    np.testing.assert_array_equal(random.dropout(x, 1.0), 0 * x)
    for rate in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"rate in \[0, 1\], got"):
            random.dropout(x, rate)


def test_dropped_elements_are_zero_whatever_they_were():
    values = np.asarray(random.dropout(np.full(1000, np.inf, "float32"), 0.5, seed=1))
    assert set(np.unique(values)) == {0.0, np.inf}


def test_noise_shape():
    x = np.ones((5, 6, 7), "float32")
    values = np.asarray(random.dropout(x, 0.5, noise_shape=(None, 1, 7), seed=1))
    np.testing.assert_array_equal(values, np.broadcast_to(values[:, :1], x.shape))
    assert 0 < values.mean() < 2
    with pytest.raises(ValueError, match="3 entries for inputs"):
        random.dropout(x, 0.5, noise_shape=(5,))


def test_mask():
    mask = np.asarray(random.dropout_mask((50, 50), 0.2, "float64", seed=1))
    assert mask.dtype == "float64"
    assert set(np.unique(mask)) == {0.0, 1 / 0.8}
