"""Arrays in HDF5, in the layout of Keras 3: `<path>/vars/<key>`.

A file from elsewhere is not trusted. Only plain arrays stored in the file itself are
read: no links to other places, no external or virtual storage, no filters (so that no
plugin runs and nothing expands), and never more bytes than the file has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

Array = np.ndarray[Any, Any]
Entry = tuple[str, str | None, Mapping[str, Any]]  # path, name, arrays by key


class DamagedFileError(ValueError):
    """The file is truncated, foreign or malicious; never a question of the model."""


def import_h5py() -> Any:
    """Return the module h5py.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Saving and loading models needs the package h5py: pip install h5py"
        ) from error
    return h5py


def to_bytes(entries: Iterable[Entry]) -> memoryview:
    """Return the HDF5 file that holds the entries.

    Raises:
        ValueError: for a key with a slash, or values that are not numbers.
    """
    h5py = import_h5py()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, name, arrays in entries:
            if name is None and not arrays:
                continue
            group = file.create_group(f"{path}/vars" if path else "vars")
            if name is not None:
                group.attrs["name"] = name
            for key, value in arrays.items():
                array = np.asarray(value)
                if not isinstance(key, str) or "/" in key or not key:
                    raise ValueError(
                        f"save_own_variables of '{name or path}': keys must be strings "
                        f"without '/', got {key!r}"
                    )
                if array.dtype.kind not in "biuf":
                    raise ValueError(
                        f"save_own_variables of '{name or path}': expected numbers "
                        f"under {key!r}, got dtype {array.dtype}"
                    )
                group[key] = array
    return buffer.getbuffer()


class Reader:
    """The arrays in an open HDF5 file.

    Args:
        file: the file, open in binary mode; it is never opened by name.
        size: how many bytes it has.

    Raises:
        DamagedFileError: from every method, for whatever is wrong in the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._h5py = import_h5py()
        self._size = size
        self._bytes_left = size
        with _reported("is not a readable HDF5 file"):
            self._file = self._h5py.File(file, "r")

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def shapes(self, path: str) -> dict[str, tuple[int, ...]] | None:
        """Return the shapes of the arrays of an object by key; None if it has no group.

        Nothing is read yet, so that they can be compared with the model's first.
        """
        with _reported(f"is damaged at '{path}'"):
            group = self._group(f"{path}/vars" if path else "vars")
            if group is None:
                return None
            return {key: self._dataset(group, key).shape for key in sorted(group)}

    def arrays(self, path: str) -> dict[str, Array]:
        """Read the arrays of an object by key."""
        arrays: dict[str, Array] = {}
        with _reported(f"is damaged at '{path}'"):
            group = self._group(f"{path}/vars" if path else "vars")
            for key in sorted(group) if group is not None else ():
                dataset = self._dataset(group, key)
                self._bytes_left -= dataset.nbytes
                if self._bytes_left < 0:
                    raise DamagedFileError("it declares more values than it has bytes")
                array = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
                if array.size:
                    dataset.read_direct(array)
                arrays[key] = array
        return arrays

    def paths(self) -> list[str]:
        """Return the paths of all objects that have arrays."""
        with _reported("is damaged"):
            return sorted(self._search(self._file, "", 0))

    def _search(self, group: Any, path: str, depth: int) -> Iterator[str]:
        if depth > 64:  # hard links may form a circle
            raise DamagedFileError("its groups are nested too deeply")
        for name in group:
            if group.get(name, getlink=True, getclass=True) is not self._h5py.HardLink:
                raise DamagedFileError(
                    f"'{path}/{name}' is a link, which is not followed"
                )
            child = group[name]
            if not isinstance(child, self._h5py.Group):
                continue
            if name == "vars":
                if len(child):
                    yield path
            else:
                yield from self._search(
                    child, f"{path}/{name}" if path else name, depth + 1
                )

    def _group(self, path: str) -> Any | None:
        group: Any = self._file
        for name in path.split("/"):
            group = self._member(group, name)
            if group is None:
                return None
            if not isinstance(group, self._h5py.Group):
                raise DamagedFileError(f"'{path}' is an array, expected a group")
        return group

    def _member(self, group: Any, name: str) -> Any | None:
        link = group.get(name, getlink=True, getclass=True)
        if link is None:
            return None
        if link is not self._h5py.HardLink:
            raise DamagedFileError(
                f"'{name}' is a link ({link.__name__}), which is not followed"
            )
        return group[name]

    def _dataset(self, group: Any, key: str) -> Any:
        """Return a dataset after checking, by its header, that it is harmless."""
        h5d = self._h5py.h5d
        dataset = self._member(group, key)
        if not isinstance(dataset, self._h5py.Dataset):
            raise DamagedFileError(f"'{key}' is not an array")
        if dataset.dtype.kind not in "biuf":
            raise DamagedFileError(f"'{key}' holds {dataset.dtype}, expected numbers")
        if dataset.shape is None:
            raise DamagedFileError(f"'{key}' has no shape")
        creation = dataset.id.get_create_plist()
        layout = creation.get_layout()
        if layout not in (h5d.CONTIGUOUS, h5d.COMPACT) or creation.get_nfilters():
            raise DamagedFileError(
                f"'{key}' is compressed, chunked or virtual, as model files never are"
            )
        if creation.get_external_count():
            raise DamagedFileError(f"the values of '{key}' lie in another file")
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if declared != stored or declared > self._size:
            raise DamagedFileError(
                f"'{key}' declares shape {dataset.shape}, {declared} bytes, but "
                f"{stored} bytes are stored"
            )
        return dataset


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Turn whatever HDF5 raises on a damaged file into one kind of error."""
    try:
        yield
    except DamagedFileError as error:
        raise DamagedFileError(f"{what}: {error}") from None
    except Exception as error:
        raise DamagedFileError(f"{what} ({error})") from error
