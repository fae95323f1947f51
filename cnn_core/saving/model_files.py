"""`.keras` and `.weights.h5` files, as Keras 3 writes and reads them."""

from __future__ import annotations

import datetime
import io
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .. import __version__
from ..graph.variable import variables_limited_to
from ..models import Model
from ..serialization import deserialize_keras_object, serialize_keras_object
from . import archive, h5_weights, state
from .atomic import write_file
from .h5_weights import DamagedFileError

KERAS_VERSION = "3.15.1"  # whose file format this is
# A model may have more state than its file: an optimizer that was not built, metrics.
_SPARE_BYTES, _SPARE_FACTOR = 2**23, 8
_LEGACY = (".h5", ".hdf5")


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any
) -> None:
    """Write a model to a `.keras` file: structure, weights, state of the optimizer.

    The file appears complete or not at all; an old one stays as it was on any error.

    Args:
        model: the model.
        filepath: path that ends in ".keras".
        overwrite: whether an existing file may be replaced.
        **kwargs: `zipped=True` is accepted for compatibility.

    Raises:
        ValueError: for another ending, or a model that cannot be described.
        FileExistsError: if the file exists and `overwrite` is false.
        OSError: if the file cannot be written.
    """
    path = os.fspath(filepath)
    if kwargs.pop("zipped", True) is False:
        raise ValueError("save_model: models are saved as one zip file; omit zipped")
    if kwargs:
        raise TypeError(f"save_model: unknown argument(s) {', '.join(kwargs)}")
    if not path.endswith(".keras"):
        hint = (
            " (the old HDF5 format for whole models is not written)"
            if path.endswith(_LEGACY) and not path.endswith(".weights.h5")
            else ""
        )
        raise ValueError(
            f"save_model: expected a path that ends in '.keras', got {path!r}{hint}; "
            "save_weights() writes '.weights.h5' files"
        )
    if not model.built:
        warnings.warn(
            f"save_model: model '{model.name}' is not built, so the file has no "
            "weights; call the model on some data first",
            stacklevel=2,
        )
    try:
        config = json.dumps(serialize_keras_object(model))
    except TypeError as error:
        raise ValueError(
            f"save_model: model '{model.name}' cannot be described: {error}"
        ) from error
    metadata = json.dumps(
        {
            "keras_version": KERAS_VERSION,
            "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
            "cnn_core_version": __version__,
        }
    )
    weights = h5_weights.to_bytes(state.collect(model))

    def write(file: BinaryIO) -> None:
        archive.write(file, config, metadata, weights)

    write_file(path, write, overwrite)


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Read a model from a `.keras` file written here or by Keras 3.

    No code from the file is run and no other file is opened, whatever `safe_mode` is.

    Args:
        filepath: path that ends in ".keras".
        custom_objects: own classes and functions by name.
        compile: whether to compile the model as it was, with the optimizer's state.
        safe_mode: accepted for compatibility; it is always on.

    Returns:
        The model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another format, or does not describe a model
            that can be made here.
    """
    path = os.fspath(filepath)
    if path.endswith(_LEGACY):
        raise ValueError(
            f"load_model: {path!r} is in the old HDF5 format, which is not read; open "
            "it with Keras 3 and save it as '.keras', or read its weights from a "
            "'.weights.h5' file with load_weights()"
        )
    if not path.endswith(".keras"):
        raise ValueError(
            f"load_model: expected a path that ends in '.keras', got {path!r}"
        )
    with _named("load_model", path), _opened(path) as (file, _):
        contents = archive.Archive(file)
        config = contents.json(archive.CONFIG)
        if not isinstance(config, dict) or "class_name" not in config:
            raise DamagedFileError(f"'{archive.CONFIG}' does not describe a model")
        if not compile:
            config["compile_config"] = None
        weights = contents.read(archive.WEIGHTS)
        limit = _SPARE_BYTES + _SPARE_FACTOR * len(weights)
        with (
            h5_weights.Reader(io.BytesIO(weights), len(weights)) as reader,
            variables_limited_to(limit),
        ):
            model = _build(config, custom_objects, safe_mode)
            state.restore(model, reader)
    return model


def _build(
    config: dict[str, Any], custom_objects: dict[str, Any] | None, safe_mode: bool
) -> Any:
    try:
        model = deserialize_keras_object(config, custom_objects, safe_mode)
    except Exception as error:  # a foreign configuration fails in any way it likes
        raise ValueError(f"its model cannot be made: {error}") from error
    if not isinstance(model, Model):
        raise ValueError(f"it describes a {type(model).__name__}, not a model")
    return model


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write a model's weights, and its optimizer's state, to a `.weights.h5` file.

    The file appears complete or not at all; an old one stays as it was on any error.

    Args:
        model: built model.
        filepath: path that ends in ".weights.h5".
        overwrite: whether an existing file may be replaced.

    Raises:
        ValueError: for another ending, or a model that is not built.
        FileExistsError: if the file exists and `overwrite` is false.
        OSError: if the file cannot be written.
    """
    path = os.fspath(filepath)
    if not path.endswith(".weights.h5"):
        raise ValueError(
            f"save_weights: expected a path that ends in '.weights.h5', got {path!r}"
        )
    _check_built(model, "save_weights")
    weights = h5_weights.to_bytes(state.collect(model))

    def write(file: BinaryIO) -> None:
        file.write(weights)

    write_file(path, write, overwrite)


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Read a model's weights from a `.weights.h5` or `.keras` file.

    All of the file is checked before the first weight changes. The optimizer's state
    is read too if the model is compiled and the file has it.

    Args:
        model: built model of the structure that was saved.
        filepath: path of the file.
        skip_mismatch: leave layers alone whose weights do not fit, with one warning.
        **kwargs: none; `by_name` belongs to a format that is not read here.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or does not fit; the model has not changed then.
    """
    path = os.fspath(filepath)
    if kwargs.pop("by_name", None):
        raise ValueError(
            "load_weights: by_name needs the old HDF5 format, which is not read; name "
            "the layers' weights with get_weights() and set_weights()"
        )
    if kwargs:
        raise TypeError(f"load_weights: unknown argument(s) {', '.join(kwargs)}")
    if not path.endswith((".weights.h5", ".keras")):
        raise ValueError(
            "load_weights: expected a path that ends in '.weights.h5' or '.keras', got "
            f"{path!r}"
        )
    _check_built(model, "load_weights")
    with _named("load_weights", path), _opened(path) as (file, size):
        if path.endswith(".keras"):
            content = archive.Archive(file).read(archive.WEIGHTS)
            file, size = io.BytesIO(content), len(content)
        with h5_weights.Reader(file, size) as reader:
            state.restore(model, reader, skip_mismatch)


def _check_built(model: Any, who: str) -> None:
    if not model.built:
        raise ValueError(
            f"{who}: model '{model.name}' is not built, so it has no weights yet; call "
            "it on some data or call build(input_shape)"
        )


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    if os.path.isdir(path):
        raise ValueError("is a folder, expected a file")
    with open(path, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


@contextmanager
def _named(who: str, path: str) -> Iterator[None]:
    """Put the name of the file before what is wrong with it."""
    try:
        yield
    except DamagedFileError as error:
        raise ValueError(f"{who}: {path!r} {error}") from error.__cause__
    except ValueError as error:
        raise ValueError(f"{who}: {path!r}: {error}") from error
