"""Writing a file so that a crash or a full disk leaves the old one as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from typing import BinaryIO


def write_file(
    path: str, write: Callable[[BinaryIO], None], overwrite: bool = True
) -> None:
    """Write a file in one step: complete under its name, or not at all.

    Args:
        path: the file. A symbolic link stays one; what it points to is replaced.
        write: called with the open temporary file, which lies in the same folder.
        overwrite: whether an existing file may be replaced.

    Raises:
        FileExistsError: if the file exists and `overwrite` is false.
        OSError: if the folder does not exist, is not writable, or the disk is full.
    """
    target = os.path.realpath(path)
    mode = None
    if os.path.lexists(target):
        if not overwrite:
            raise FileExistsError(
                f"{path!r} exists already; pass overwrite=True to replace it"
            )
        if os.path.isdir(target):
            raise IsADirectoryError(
                f"{path!r} is a folder; expected the name of a file"
            )
        mode = stat.S_IMODE(os.stat(target).st_mode)
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{path!r} cannot be written: the folder {folder!r} does not exist"
        )
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make the new name durable too, on the systems where a folder can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems refuse; the file itself is safe
    finally:
        os.close(descriptor)
