"""The digits in the package, and the reader of IDX files."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np
import pytest

from cnn_core.datasets import digits, fashion_mnist, mnist
from cnn_core.datasets.idx import read_idx


def test_digits_are_the_published_ones():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1438, 8, 8)
    assert x_test.shape == (359, 8, 8)
    assert y_train.shape == (1438,)
    assert y_test.shape == (359,)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
    images = np.empty((1797, 8, 8), "uint8")
    labels = np.empty(1797, "uint8")
    is_test = np.arange(1797) % 5 == 4
    images[is_test], images[~is_test] = x_test, x_train
    labels[is_test], labels[~is_test] = y_test, y_train
    assert images.max() == 16
    assert labels[:12].tolist() == [*range(10), 0, 1]
    assert np.bincount(labels).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    # The first image of the original file, an empty circle.
    assert images[0, :3].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
    ]
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_digits_are_fresh_arrays():
    (first, _), _ = digits.load_data()
    first[...] = 0
    (again, _), _ = digits.load_data()
    assert again.any()


def idx_bytes(array, kind=8, sizes=None):
    sizes = array.shape if sizes is None else sizes
    header = struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3": rng.integers(0, 256, (6, 28, 28)),
        "train-labels-idx1": rng.integers(0, 10, 6),
        "t10k-images-idx3": rng.integers(0, 256, (2, 28, 28)),
        "t10k-labels-idx1": rng.integers(0, 10, 2),
    }
    target = tmp_path / "fashion_mnist"
    target.mkdir()
    for name, array in arrays.items():
        content = gzip.compress(idx_bytes(array.astype("uint8")))
        (target / f"{name}-ubyte.gz").write_bytes(content)
    return target, list(arrays.values())


@pytest.mark.parametrize("module", [fashion_mnist, mnist])
def test_idx_files_are_read(folder, module):
    path, arrays = folder
    (x_train, y_train), (x_test, y_test) = module.load_data(path)
    for actual, expected in zip(
        (x_train, y_train, x_test, y_test), arrays, strict=True
    ):
        np.testing.assert_array_equal(actual, expected)
        assert actual.dtype == np.uint8


def test_folder_from_the_environment(folder, monkeypatch):
    path, arrays = folder
    monkeypatch.setenv("CNN_CORE_DATA", str(path.parent))
    (x_train, _), _ = fashion_mnist.load_data()
    np.testing.assert_array_equal(x_train, arrays[0])


def test_missing_files_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("CNN_CORE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"nothing is downloaded: get them"):
        fashion_mnist.load_data()
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        fashion_mnist.load_data(tmp_path)


def test_images_and_labels_must_match(folder):
    path, _ = folder
    labels = gzip.compress(idx_bytes(np.zeros(5, "uint8")))
    (path / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(ValueError, match=r"n labels, got shapes \(6, 28, 28\)"):
        fashion_mnist.load_data(path)


SOUND = idx_bytes(np.arange(6, dtype="uint8").reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not gzip at all", "sound IDX file"),
        (b"", "sound IDX file"),
        (gzip.compress(b"\0"), "header"),
        (gzip.compress(b"\0\0\x08\x02\0\0"), "header is cut off"),
        (gzip.compress(idx_bytes(np.zeros(4), kind=13)), "unsigned bytes"),
        (gzip.compress(SOUND[:-1]), "does not hold the 6 values"),
        (gzip.compress(SOUND + b"\0"), "does not hold the 6 values"),
        (gzip.compress(SOUND)[:-9], "sound IDX file"),
        (
            gzip.compress(idx_bytes(np.zeros(4, "uint8"), sizes=(2**31, 2**31))),
            "does not hold",
        ),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_sound_idx_file(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(SOUND))
    assert read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]
