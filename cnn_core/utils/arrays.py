"""Preparing data: one-hot labels, unit norms, sequences of equal length."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..graph import TensorLike
from ..shapes import unknown_name


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Turn integer labels into one-hot rows.

    Args:
        x: labels in [0, num_classes), of any shape; a last axis of size 1 is dropped.
        num_classes: size of the new last axis; by default the largest label plus one.

    Returns:
        NumPy array of floats, or a tensor of `floatx()` for a tensor, of shape
        (*x.shape, num_classes).

    Raises:
        ValueError: for labels that are not integers in that range.
    """
    labels = np.asarray(x)
    if labels.size and not np.array_equal(labels, labels.astype("int64")):
        raise ValueError(f"to_categorical: expected integer labels, got {labels.dtype}")
    labels = labels.astype("int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if not num_classes:
        if not labels.size:
            raise ValueError("to_categorical: no labels; give num_classes")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"to_categorical: expected labels in [0, {num_classes}), got "
            f"{labels.min()} to {labels.max()}"
        )
    if isinstance(x, TensorLike):
        return ops.one_hot(labels, num_classes)
    one_hot = np.zeros((*labels.shape, num_classes))
    np.put_along_axis(one_hot, labels[..., np.newaxis], 1.0, axis=-1)
    return one_hot


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """Divide by the norm along an axis; zero vectors stay zero.

    Args:
        x: array or tensor.
        axis: axis along which norms are taken.
        order: order of the norm, 2 for the Euclidean one.

    Returns:
        Array or tensor of the shape of `x`.
    """
    if isinstance(x, TensorLike):
        return ops.normalize(x, axis=axis, order=order)
    x = np.asarray(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray[Any, Any]:
    """Make sequences equally long by padding short ones and cutting long ones.

    Args:
        sequences: list of sequences, each of shape (length, ...).
        maxlen: the common length; by default that of the longest sequence.
        dtype: dtype of the result.
        padding: "pre" or "post": where values are added.
        truncating: "pre" or "post": where steps are cut away.
        value: what is added.

    Returns:
        Array of shape (len(sequences), maxlen, ...).

    Raises:
        ValueError: if an element is not a sequence, or the shapes of steps differ.
    """
    for argument, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise unknown_name(f"{argument} of pad_sequences", choice, ("pre", "post"))
    rows = []
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(
                f"pad_sequences: expected a list of sequences, got {sequence!r} at {i}"
            )
        rows.append(np.asarray(sequence, dtype=dtype))
    filled = [(i, row) for i, row in enumerate(rows) if len(row)]
    step_shape = filled[0][1].shape[1:] if filled else ()
    if maxlen is None:
        maxlen = max((len(row) for row in rows), default=0)
    result = np.full((len(rows), maxlen, *step_shape), value, dtype=dtype)
    for i, row in filled:
        if row.shape[1:] != step_shape:
            raise ValueError(
                f"pad_sequences: expected steps of shape {step_shape} as in the first "
                f"sequence, got {row.shape[1:]} in sequence {i}"
            )
        cut = max(len(row) - maxlen, 0)
        row = row[cut:] if truncating == "pre" else row[: len(row) - cut]
        start = maxlen - len(row) if padding == "pre" else 0
        result[i, start : start + len(row)] = row
    return result
