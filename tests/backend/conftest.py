"""Checks that the backend tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240)


@pytest.fixture
def check_gradient(rng):
    """Return a check of a gradient against central differences in float64.

    The derivative along one random direction, weighted by one random cotangent, has
    to equal the product of the gradient with that direction.
    """

    def check(
        value: Callable[[np.ndarray], np.ndarray],
        gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
        x: np.ndarray,
        direction: np.ndarray | None = None,
    ) -> None:
        y = value(x)
        ct = rng.normal(size=y.shape)
        if direction is None:
            direction = rng.normal(size=x.shape)
        step = 1e-6
        change = value(x + step * direction) - value(x - step * direction)
        expected = np.sum(ct * change) / (2 * step)
        gradient_x = gradient(ct, x, y)
        assert gradient_x.shape == x.shape
        assert gradient_x.dtype == np.float64
        np.testing.assert_allclose(
            np.sum(gradient_x * direction), expected, rtol=1e-6, atol=1e-8
        )

    return check
