"""The IDX format, in which MNIST and its successors are published."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Split = tuple[tuple[Array, Array], tuple[Array, Array]]

ENVIRONMENT = "CNN_CORE_DATA"
_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_UBYTE = 8  # the code of unsigned bytes


def load_split(name: str, path: Any, source: str) -> Split:
    """Read the four files of a data set in the layout of MNIST.

    Args:
        name: name of the data set, also of its folder in $CNN_CORE_DATA.
        path: folder with the files; None for the folder in $CNN_CORE_DATA.
        source: where a user can get the files, for the error message.

    Returns:
        ((x_train, y_train), (x_test, y_test)), arrays of uint8.

    Raises:
        FileNotFoundError: if the files are not there; nothing is downloaded.
        ValueError: if a file is damaged, or images and labels do not match.
    """
    if path is None:
        root = os.environ.get(ENVIRONMENT)
        path = Path(root) / name if root else None
    if path is None or not all((Path(path) / file).is_file() for file in _FILES):
        looked = "" if path is None else f" in {os.fspath(path)!r}"
        raise FileNotFoundError(
            f"{name}: expected the files {', '.join(_FILES)}{looked}; nothing is "
            f"downloaded: get them from {source}, and pass their folder as path or put "
            f"it into the folder that {ENVIRONMENT} names, as '{name}'"
        )
    train_x, train_y, test_x, test_y = (read_idx(Path(path) / f) for f in _FILES)
    for images, labels in ((train_x, train_y), (test_x, test_y)):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{name}: expected images of shape (n, height, width) and n labels, "
                f"got shapes {images.shape} and {labels.shape} in {os.fspath(path)!r}"
            )
    return (train_x, train_y), (test_x, test_y)


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Return the array of bytes in a gzipped IDX file.

    Raises:
        ValueError: if the file is damaged or holds something else than bytes.
    """
    try:
        with gzip.open(path, "rb") as file:
            zeros, kind, ndim = file.read(2), *_bytes(file.read(2))
            if zeros != b"\0\0" or kind != _UBYTE or not 1 <= ndim <= 4:
                raise ValueError("its header is not that of unsigned bytes")
            sizes = file.read(4 * ndim)
            if len(sizes) != 4 * ndim:
                raise ValueError("its header is cut off")
            shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
            count = math.prod(shape)
            values = _read_bounded(file, count)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise ValueError(
            f"{os.fspath(path)!r} is not a sound IDX file: {error}"
        ) from error
    return values.reshape(shape)


def _bytes(pair: bytes) -> tuple[int, int]:
    if len(pair) != 2:
        raise ValueError("its header is cut off")
    return pair[0], pair[1]


def _read_bounded(file: Any, count: int) -> Array:
    """Read `count` bytes in steps: the header may promise more than the file has."""
    parts, left = [], count
    while left and (part := file.read(min(left, 2**20))):
        parts.append(part)
        left -= len(part)
    if left or file.read(1):
        raise ValueError(
            f"it does not hold the {count} values that its header declares"
        )
    return np.frombuffer(b"".join(parts), dtype="uint8")
