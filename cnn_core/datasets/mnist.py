"""MNIST: small images of handwritten digits, read from local files.

References:
    LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document
    Recognition", 1998.
"""

from __future__ import annotations

from typing import Any

from .idx import Split, load_split


def load_data(path: Any = None) -> Split:
    """Return the 70,000 images of 28 x 28 pixels in 10 classes.

    Args:
        path: folder with the four gzipped IDX files as published; by default
            the folder `mnist` in the one that $CNN_CORE_DATA names.

    Returns:
        ((x_train, y_train), (x_test, y_test)), arrays of uint8: images of shape
        (60000, 28, 28) and (10000, 28, 28), labels of shape (60000,) and (10000,).

    Raises:
        FileNotFoundError: if the files are not there; nothing is downloaded.
        ValueError: if a file is damaged.
    """
    return load_split("mnist", path, "a mirror of yann.lecun.com/exdb/mnist")
