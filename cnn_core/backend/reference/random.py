"""Counter-based random numbers: a draw depends on seed and position only.

References:
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import math

import numpy as np

from cnn_core.backend.reference._common import Array

__all__ = ["philox_uint32", "random_normal", "random_uniform"]

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox_4x32(counter: Array, key: tuple[int, int]) -> Array:
    """Apply the Philox 4x32-10 bijection to blocks of counters.

    Args:
        counter: uint32 array (n, 4).
        key: two 32-bit integers.

    Returns:
        uint32 array (n, 4) of random words.
    """
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        first = c0 * _MULTIPLIERS[0]
        second = c2 * _MULTIPLIERS[1]
        c0 = (second >> _HALF) ^ c1 ^ np.uint64(k0)
        c1 = second & _LOW
        c2 = (first >> _HALF) ^ c3 ^ np.uint64(k1)
        c3 = first & _LOW
        k0 = (k0 + _WEYL[0]) & 0xFFFFFFFF
        k1 = (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def philox_uint32(seed: int, offset: int, n: int) -> Array:
    """Return `n` random words of the stream `seed`, from block `offset` on.

    Block i of a stream holds four words; its counter is (low half of i, high half of
    i, 0, 0) and the key is (low half of seed, high half of seed).

    Args:
        seed: stream number, taken modulo 2**64.
        offset: first block, taken modulo 2**64.
        n: number of words.

    Returns:
        uint32 array (n,).
    """
    blocks = -(-n // 4)
    # uint64 addition wraps around, as the counter does.
    index = np.arange(blocks, dtype=np.uint64) + np.uint64(offset & 0xFFFFFFFFFFFFFFFF)
    counter = np.zeros((blocks, 4), dtype=np.uint32)
    counter[:, 0] = index & _LOW
    counter[:, 1] = index >> _HALF
    key = (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
    return philox_4x32(counter, key).reshape(-1)[:n]


def random_uniform(seed: int, offset: int, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers in [0, 1): the top 24 bits of each word times 2**-24.

    Args:
        seed: stream number.
        offset: first block of four words.
        shape: shape of the result, filled in row-major order.

    Returns:
        float32 array of that shape.
    """
    words = philox_uint32(seed, offset, math.prod(shape))
    top = (words >> np.uint32(8)).astype(np.float32)
    return (top * np.float32(2.0**-24)).reshape(shape)


def random_normal(seed: int, offset: int, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers from the standard normal distribution.

    Words 2i and 2i + 1 of the stream give numbers 2i and 2i + 1: sqrt(-2 log u) times
    the cosine and the sine of 2 pi v, where u in (0, 1] comes from the first word
    and v in [0, 1) from the second.

    Args:
        seed: stream number.
        offset: first block of four words.
        shape: shape of the result, filled in row-major order.

    Returns:
        float32 array of that shape.

    References:
        Box and Muller, "A note on the generation of random normal deviates", Annals
        of Mathematical Statistics 29 (1958), 610-611.
    """
    n = math.prod(shape)
    words = philox_uint32(seed, offset, n + n % 2).reshape(-1, 2).astype(np.float64)
    radius = np.sqrt(-2.0 * np.log((words[:, 0] + 1.0) * 2.0**-32))
    angle = words[:, 1] * (2.0 * math.pi * 2.0**-32)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)[:n].astype(np.float32).reshape(shape)
