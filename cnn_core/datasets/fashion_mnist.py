"""Fashion-MNIST: small images of clothes, read from local files.

References:
    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
    Machine Learning Algorithms", 2017.
"""

from __future__ import annotations

from typing import Any

from .idx import Split, load_split


def load_data(path: Any = None) -> Split:
    """Return the 70,000 images of 28 x 28 pixels in 10 classes.

    Args:
        path: folder with the four gzipped IDX files as published; by default
            the folder `fashion_mnist` in the one that $CNN_CORE_DATA names.

    Returns:
        ((x_train, y_train), (x_test, y_test)), arrays of uint8: images of shape
        (60000, 28, 28) and (10000, 28, 28), labels of shape (60000,) and (10000,).

    Raises:
        FileNotFoundError: if the files are not there; nothing is downloaded.
        ValueError: if a file is damaged.
    """
    return load_split(
        "fashion_mnist",
        path,
        "https://github.com/zalandoresearch/fashion-mnist (on Debian the package "
        "dataset-fashion-mnist)",
    )
