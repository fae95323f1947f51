"""Reference random numbers: known vectors, positions, distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_core.backend import reference
from cnn_core.backend.reference.random import philox_4x32

FULL = 0xFFFFFFFF


# Known answers published with Random123, the authors' implementation.
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((FULL,) * 4, (FULL, FULL), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_vectors(counter, key, words):
    result = philox_4x32(np.array([counter], dtype=np.uint32), key)
    assert " ".join(f"{word:08x}" for word in result[0]) == words


def test_stream_layout():
    seed, offset = 0x1234567_89ABCDEF, 0xFFFFFFFE
    words = reference.philox_uint32(seed, offset, 16)
    assert words.dtype == np.uint32
    for i in range(4):
        index = offset + i  # crosses into the high half of the counter
        block = np.array([[index & FULL, index >> 32, 0, 0]], dtype=np.uint32)
        expected = philox_4x32(block, (seed & FULL, seed >> 32))[0]
        np.testing.assert_array_equal(words[4 * i : 4 * i + 4], expected)


def test_draws_depend_on_position_only():
    whole = reference.philox_uint32(7, 0, 400)
    np.testing.assert_array_equal(reference.philox_uint32(7, 25, 101), whole[100:201])
    assert reference.philox_uint32(7, 0, 0).shape == (0,)
    for n in range(1, 10):
        np.testing.assert_array_equal(reference.philox_uint32(7, 0, n), whole[:n])
    assert not np.array_equal(reference.philox_uint32(8, 0, 400), whole)
    assert not np.array_equal(reference.philox_uint32(7 + 2**32, 0, 400), whole)
    normal = reference.random_normal(7, 0, (40,))
    np.testing.assert_array_equal(reference.random_normal(7, 5, (9,)), normal[20:29])


def test_seed_and_offset_wrap_at_64_bits():
    np.testing.assert_array_equal(
        reference.philox_uint32(-1, -1, 8),
        reference.philox_uint32(2**64 - 1, 2**64 - 1, 8),
    )
    np.testing.assert_array_equal(
        reference.philox_uint32(3, -1, 8)[4:], reference.philox_uint32(3, 0, 4)
    )


def test_uniform_is_the_top_24_bits():
    words = reference.philox_uint32(11, 3, 60)
    result = reference.random_uniform(11, 3, (3, 4, 5))
    assert result.dtype == np.float32 and result.shape == (3, 4, 5)
    np.testing.assert_array_equal(
        result.reshape(-1).astype("float64"), (words >> 8) / 2.0**24
    )


def test_normal_is_box_muller():
    words = reference.philox_uint32(11, 3, 6)
    result = reference.random_normal(11, 3, (5,))
    for i in range(5):
        u = (int(words[i - i % 2]) + 1) / 2**32
        angle = 2 * math.pi * int(words[i - i % 2 + 1]) / 2**32
        turn = math.sin(angle) if i % 2 else math.cos(angle)
        assert result[i] == np.float32(math.sqrt(-2 * math.log(u)) * turn)


@pytest.mark.parametrize("name", ["random_uniform", "random_normal"])
def test_shapes(name):
    function = getattr(reference, name)
    for shape in ((), (1,), (0,), (3, 0), (2, 3)):
        result = function(1, 0, shape)
        assert isinstance(result, np.ndarray)
        assert result.shape == shape and result.dtype == np.float32


def largest_gap(sample, distribution):
    """Return the Kolmogorov-Smirnov distance times the root of the sample size."""
    ordered = np.sort(sample.astype("float64"))
    n = len(ordered)
    cdf = np.vectorize(distribution)(ordered)
    above = np.max(np.arange(1, n + 1) / n - cdf)
    below = np.max(cdf - np.arange(n) / n)
    return math.sqrt(n) * max(above, below)


# 2.23 is exceeded with probability 1e-4; the draws are fixed by the seed.
def test_uniform_distribution():
    x = reference.random_uniform(2024, 0, (20_000,))
    assert x.min() >= 0 and x.max() < 1
    assert largest_gap(x, lambda v: v) < 2.23
    assert abs(x.mean() - 0.5) < 5 * math.sqrt(1 / 12 / len(x))
    assert abs(x.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / len(x))


def test_normal_distribution():
    x = reference.random_normal(2024, 0, (20_000,))
    assert np.all(np.isfinite(x))
    assert largest_gap(x, lambda v: 0.5 * math.erfc(-v / math.sqrt(2))) < 2.23
    assert abs(x.mean()) < 5 / math.sqrt(len(x))
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / len(x))
    assert abs(np.corrcoef(x[::2], x[1::2])[0, 1]) < 5 / math.sqrt(len(x) / 2)
