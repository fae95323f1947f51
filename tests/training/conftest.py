"""Makes `mlps` importable, and every test start from one seed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import cnn_core as keras

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(5)
