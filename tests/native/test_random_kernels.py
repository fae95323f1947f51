"""Compiled Philox 4x32-10: known answers, and the bits of the reference."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from cnn_core.backend import reference
from cnn_core.backend.reference.random import philox_4x32

SIZES = (0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 66, 127, 129, 1000)
STREAMS = (
    (0, 0),
    (1, 0),
    (2**32 - 1, 2**32 - 3),  # the counter carries into its second word
    (2**63 + 12345, 2**64 - 5),  # and wraps around
    (2**64 - 1, 2**40 + 7),
    (-1, -9),
)


def test_known_answers() -> None:
    """The vectors published with the paper, for the reference all else rests on."""
    for counter, key, expected in (
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ):
        words = philox_4x32(np.array([counter], np.uint32), key)[0]
        assert " ".join(f"{int(w):08x}" for w in words) == expected


@pytest.mark.usefixtures("isa")
def test_first_block(native: ModuleType) -> None:
    words = native.philox_uint32(0, 0, 4)
    expected = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert words.dtype == np.uint32
    assert words.tolist() == expected


@pytest.mark.usefixtures("isa")
def test_bits_of_the_reference(native: ModuleType) -> None:
    for seed, offset in STREAMS:
        for n in SIZES:
            expected = reference.philox_uint32(seed, offset, n)
            assert np.array_equal(native.philox_uint32(seed, offset, n), expected)
            uniform = native.random_uniform(seed, offset, (n,))
            assert uniform.dtype == np.float32
            assert np.array_equal(uniform, reference.random_uniform(seed, offset, (n,)))


@pytest.mark.usefixtures("isa", "restore")
def test_threads_do_not_change_a_bit(native: ModuleType) -> None:
    expected = reference.random_uniform(7, 3, (100_003,))
    for threads in (1, 2, 3, 8):
        native.set_num_threads(threads)
        assert np.array_equal(native.random_uniform(7, 3, (100_003,)), expected)


@pytest.mark.usefixtures("isa")
def test_normal_numbers_are_those_of_the_reference(native: ModuleType) -> None:
    for seed, offset in STREAMS:
        for n in (*SIZES, 40_000):
            expected = reference.random_normal(seed, offset, (n,))
            normal = native.random_normal(seed, offset, (n,))
            assert normal.dtype == np.float32
            np.testing.assert_allclose(normal, expected, rtol=1.2e-7, atol=1e-16)


@pytest.mark.usefixtures("restore")
def test_normal_numbers_depend_on_their_place_only(native: ModuleType) -> None:
    expected = native.random_normal(7, 3, (100_003,))
    for threads in (1, 2, 3, 8):
        native.set_num_threads(threads)
        assert np.array_equal(native.random_normal(7, 3, (100_003,)), expected)
    assert np.array_equal(native.random_normal(7, 5, (90,)), expected[8:98])
    for isa in native.available_isas()[1:]:  # those with FMA
        native.set_isa(isa)
        assert np.array_equal(native.random_normal(7, 3, (100_003,)), expected)


def test_extreme_words_give_the_widest_and_the_smallest_numbers(
    native: ModuleType,
) -> None:
    x = native.random_normal(11, 0, (2_000_000,))
    assert np.isfinite(x).all()
    assert 4.5 < np.abs(x).max() < np.sqrt(64 * np.log(2)) * 1.0001
    assert abs(float(x.mean())) < 0.005
    assert abs(float(x.std()) - 1) < 0.005


def test_position_decides(native: ModuleType) -> None:
    whole = native.philox_uint32(9, 100, 4000)
    assert np.array_equal(native.philox_uint32(9, 350, 1000), whole[1000:2000])


def test_uniform_shape_and_range(native: ModuleType) -> None:
    x = native.random_uniform(1, 2, (30, 40, 50))
    assert x.shape == (30, 40, 50)
    assert x.min() >= 0
    assert x.max() < 1
    assert abs(float(x.mean()) - 0.5) < 0.005
    assert native.random_uniform(1, 2, ()).shape == ()


def test_negative_size_is_refused(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="-1"):
        native.philox_uint32(0, 0, -1)
