"""Shapes and arrays that several families share."""

from __future__ import annotations

from typing import Any

import numpy as np

# From one call's overhead, through a cache's worth, to main memory.
VECTORS = {"1": (1,), "4K": (4096,), "4M": (4 << 20,)}
# Rows and columns: tiny, skinny, a layer's output, large.
MATRICES = {
    "8x10": (8, 10),
    "32x10": (32, 10),
    "128x512": (128, 512),
    "65536x16": (65536, 16),
    "2048x2048": (2048, 2048),
}


def normal(*shape: int, seed: int = 0) -> Any:
    """Return float32 numbers from a normal distribution."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def positive(*shape: int, seed: int = 0) -> Any:
    """Return float32 numbers in [0.5, 2)."""
    rng = np.random.default_rng(seed)
    return (rng.random(shape, dtype=np.float32) * 1.5 + 0.5).astype(np.float32)


def probabilities(rows: int, columns: int, seed: int = 0) -> Any:
    """Return rows of positive float32 numbers that sum to 1."""
    p = positive(rows, columns, seed=seed)
    return p / p.sum(axis=1, keepdims=True)
