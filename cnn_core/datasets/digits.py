"""Small images of handwritten digits, contained in the package.

References:
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed under CC BY 4.0
    (https://creativecommons.org/licenses/by/4.0/). This is its test set, stored as
    bytes, otherwise unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Split = tuple[tuple[Array, Array], tuple[Array, Array]]

_FILE = Path(__file__).with_name("digits.npz")


def load_data() -> Split:
    """Return the 1,797 images of 8 x 8 pixels, split into training and test data.

    The split is fixed: of every five images in the original order, the fifth is test
    data.

    Returns:
        ((x_train, y_train), (x_test, y_test)), arrays of uint8: images of shape
        (1438, 8, 8) and (359, 8, 8) with values from 0 to 16, labels of shape (1438,)
        and (359,) from 0 to 9.
    """
    with np.load(_FILE, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    is_test = np.arange(len(images)) % 5 == 4
    return (
        (images[~is_test], labels[~is_test]),
        (images[is_test], labels[is_test]),
    )
