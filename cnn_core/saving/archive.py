"""The zip archive that a `.keras` file is: bounded reading, nothing extracted."""

from __future__ import annotations

import json
import zipfile
from typing import Any, BinaryIO

from .h5_weights import DamagedFileError

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"

# Model files are stored uncompressed. One packed again by other tools may be read, but
# not one that unpacks to far more than it is.
_MAX_EXPANSION = 50
_ALWAYS_ALLOWED = 2**24
_MAX_JSON = 2**26


def write(file: BinaryIO, config: str, metadata: str, weights: memoryview) -> None:
    """Write the three members."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(METADATA, metadata)
        archive.writestr(CONFIG, config)
        with archive.open(WEIGHTS, "w", force_zip64=True) as member:
            member.write(weights)


class Archive:
    """A `.keras` file open for reading.

    Args:
        file: the file, open in binary mode.

    Raises:
        DamagedFileError: from every method, for whatever is wrong in the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise DamagedFileError(
                f"is not a readable zip archive ({error})"
            ) from error
        size = file.seek(0, 2)
        for info in self._zip.infolist():
            if info.compress_size > size:
                raise DamagedFileError(
                    f"'{info.filename}' declares {info.compress_size} bytes, the whole "
                    f"file has {size}"
                )
        names = self._zip.namelist()
        for name in (CONFIG, WEIGHTS):
            if names.count(name) != 1:
                raise DamagedFileError(
                    f"is not a model: expected one member '{name}', found "
                    f"{names.count(name)}"
                )

    def json(self, name: str) -> Any:
        """Return the content of a JSON member."""
        if self._zip.getinfo(name).file_size > _MAX_JSON:
            raise DamagedFileError(f"'{name}' is larger than {_MAX_JSON} bytes")
        try:
            return json.loads(self.read(name))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise DamagedFileError(f"'{name}' is not valid JSON ({error})") from error

    def read(self, name: str) -> bytes:
        """Return the bytes of a member, whose checksum is verified."""
        info = self._zip.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedFileError(f"'{name}' is packed in an unusual way")
        allowed = max(_ALWAYS_ALLOWED, _MAX_EXPANSION * info.compress_size)
        if info.file_size > allowed:
            raise DamagedFileError(
                f"'{name}' would unpack from {info.compress_size} to {info.file_size} "
                "bytes, which no model needs"
            )
        try:
            with self._zip.open(info) as member:
                content = member.read(info.file_size + 1)
        except Exception as error:  # zipfile and its decoders raise many kinds
            raise DamagedFileError(f"'{name}' cannot be read ({error})") from error
        if len(content) != info.file_size:
            raise DamagedFileError(
                f"'{name}' has {len(content)} bytes, expected {info.file_size}"
            )
        return content
