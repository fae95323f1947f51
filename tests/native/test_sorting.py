"""The order of 32-bit keys against NumPy's stable sort."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core.backend import reference
from cnn_core.backend.compiled import native


@pytest.mark.parametrize("highest", [1, 3, 2**11, 2**22, 2**32])
@pytest.mark.parametrize("n", [0, 1, 2, 63, 2049, 12800])
def test_argsort_of_keys_is_stable(n, highest):
    keys = np.random.default_rng(n).integers(0, highest, n).astype(np.uint32)
    order = native.argsort(keys)
    assert order.dtype == np.int64
    assert np.array_equal(order, np.argsort(keys, kind="stable"))
    assert np.array_equal(order, reference.argsort(keys))


def test_argsort_of_other_layouts_and_types():
    keys = np.random.default_rng(0).integers(0, 9, 40).astype(np.uint32)
    for x in (keys[::2], keys[::-1], keys.byteswap().view(">u4"), keys.astype("f8")):
        assert np.array_equal(native.argsort(x), np.argsort(x, kind="stable"))
    table = keys.reshape(5, 8)
    for axis in (0, 1, -1):
        expected = np.argsort(table, axis=axis, kind="stable")
        assert np.array_equal(native.argsort(table, axis), expected)
    with pytest.raises(np.exceptions.AxisError):
        native.argsort(keys, 1)
