"""In-memory training data: checks, splits, class weights and batches by index."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import backend, config, random, tree
from ..graph import KerasTensor, Tensor, TensorLike

Array = np.ndarray[Any, Any]
_PARTS = ("x", "y", "sample_weight")


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return what `train_step` gets as `(x, y, sample_weight)`, None where absent.

    Args:
        data: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: for a longer tuple.
    """
    if not isinstance(data, (list, tuple)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "unpack_x_y_sample_weight: expected x, (x,), (x, y) or "
            f"(x, y, sample_weight), got {len(data)} items"
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return `(x, y, sample_weight)` without the parts that are None.

    A single `x` that is neither a list nor a tuple is returned as it is.
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    if y is not None:
        return (x, y)
    return (x,) if isinstance(x, (list, tuple)) else x


# --- checks ------------------------------------------------------------------


def check_count(name: str, value: Any, who: str) -> int | None:
    """Return `value` as a positive integer, or None.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is not positive.
    """
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{who}: expected {name} to be an integer, got {value!r}"
        ) from None
    if number < 1:
        raise ValueError(f"{who}: expected {name} to be at least 1, got {number}")
    return number


def as_arrays(structure: Any, name: str, who: str = "fit") -> Any:
    """Return the same nesting with every leaf an array of numbers with rows.

    Args:
        structure: arrays, tensors, data frames and their like, or lists, tuples and
            dictionaries of them; None stays None.
        name: what the data is, for messages.
        who: the method that asks.

    Raises:
        TypeError: if a leaf is not an array of numbers.
        ValueError: if a leaf has no axis of samples.
    """
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {k: as_arrays(v, f"{name}[{k!r}]", who) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        if not structure:
            raise ValueError(f"{who}: {name} is an empty {type(structure).__name__}")
        if all(isinstance(v, (bool, int, float, str, np.generic)) for v in structure):
            raise TypeError(
                f"{who}: {name} is a {type(structure).__name__} of "
                f"{type(structure[0]).__name__}; a list stands for several arrays, so "
                f"turn it into one with np.array({name})"
            )
        items = [as_arrays(v, f"{name}[{i}]", who) for i, v in enumerate(structure)]
        return items if isinstance(structure, list) else tuple(items)
    return as_array(structure, name, who)


def as_array(value: Any, name: str, who: str) -> Array:
    """Return one array of numbers with at least one axis; see `as_arrays`."""
    if isinstance(value, KerasTensor):
        raise TypeError(f"{who}: {name} is symbolic, it has no values: {value!r}")
    if not isinstance(value, (np.ndarray, TensorLike)) and not hasattr(
        value, "__array__"
    ):
        raise TypeError(
            f"{who}: expected {name} to be an array, a tensor or a list or dictionary "
            f"of them, got {type(value).__name__}"
        )
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{who}: expected {name} to hold numbers, got dtype {array.dtype}; encode "
            "text and categories as numbers, pad rows to one length, and convert with "
            "astype('float32')"
        )
    if not array.ndim:
        raise ValueError(
            f"{who}: expected {name} to have an axis of samples, got a single number"
        )
    return array


def check_lengths(data: tuple[Any, ...], who: str) -> int:
    """Return the number of samples that all arrays of `(x, y, sample_weight)` have.

    Raises:
        ValueError: if they differ, or there are no arrays or no samples.
    """
    lengths = {
        name: [len(a) for a in tree.flatten(part) if a is not None]
        for name, part in zip(_PARTS, data, strict=False)
        if part is not None
    }
    distinct = {n for counts in lengths.values() for n in counts}
    if not distinct:
        raise ValueError(f"{who}: expected data, got x=None")
    if len(distinct) > 1:
        found = ", ".join(
            f"{name} has {' and '.join(map(str, dict.fromkeys(counts)))}"
            for name, counts in lengths.items()
        )
        raise ValueError(
            f"{who}: every array needs the same number of samples (rows), but {found}"
        )
    (count,) = distinct
    if not count:
        raise ValueError(f"{who}: expected at least one sample, got arrays of none")
    return count


# --- weights and splits ------------------------------------------------------


def class_weight_to_sample_weight(y: Any, class_weight: Any, who: str = "fit") -> Array:
    """Return one weight per sample: that of its class, 1 for classes without one.

    Args:
        y: integer labels of shape (batch,) or (batch, 1), or one-hot labels of shape
            (batch, classes).
        class_weight: weight by class index.
        who: the method that asks.

    Raises:
        TypeError: if `class_weight` is not a dictionary.
        ValueError: if it is not one array of labels, or has another shape.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"{who}: expected class_weight to be a dictionary from class index to "
            f"weight, got {type(class_weight).__name__}"
        )
    if y is None or tree.is_nested(y):
        raise ValueError(
            f"{who}: class_weight needs y to be one array of labels, got "
            f"{'None' if y is None else type(y).__name__}"
        )
    labels = np.asarray(y)
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    elif labels.ndim != 1:
        raise ValueError(
            f"{who}: class_weight needs labels of shape (batch,), (batch, 1) or "
            f"(batch, classes), one-hot, got {labels.shape}; give sample_weight instead"
        )
    labels = np.round(labels)
    weights = np.ones(len(labels), config.floatx())
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def train_validation_split(
    arrays: tuple[Any, ...], fraction: float, who: str = "fit"
) -> tuple[Any, Any]:
    """Cut the last part off every array, as views.

    Args:
        arrays: `(x, y, sample_weight)`, already checked; None stays None.
        fraction: share of the samples to cut off.
        who: the method that asks.

    Raises:
        ValueError: if a part would be empty.
    """
    count = check_lengths(arrays, who)
    cut = math.floor(count * (1.0 - fraction))
    if not 0 < cut < count:
        raise ValueError(
            f"{who}: validation_split={fraction} of {count} samples leaves one part "
            "empty; give more data or another fraction"
        )

    def slices(rows: slice) -> Any:
        return tree.map_structure(lambda a: None if a is None else a[rows], arrays)

    return slices(slice(0, cut)), slices(slice(cut, count))


# --- batches -----------------------------------------------------------------


def to_tensor(array: Array) -> Tensor:
    """Return an array as a tensor without a copy where its layout and dtype allow.

    Floats become `floatx()`, everything else keeps its type.
    """
    dtype = (
        config.floatx() if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    )
    return Tensor(np.ascontiguousarray(array, dtype))


def to_batch(arrays: Any) -> Any:
    """Return nested arrays as tensors; None stays None."""
    return tree.map_structure(lambda a: None if a is None else to_tensor(a), arrays)


class DataSource:
    """Where batches come from.

    Attributes:
        num_batches: batches of an epoch, or None if nobody knows.
        restartable: whether `batches()` can be called again for a new epoch.
    """

    num_batches: int | None = None
    restartable = True

    def peek(self) -> Any:
        """Return the first batch without using it up."""
        raise NotImplementedError(f"{type(self).__name__} must define peek()")

    def batches(self) -> Iterator[Any]:
        """Return the batches of one epoch."""
        raise NotImplementedError(f"{type(self).__name__} must define batches()")

    def on_epoch_begin(self) -> None:
        """Get ready for an epoch."""

    def on_epoch_end(self) -> None:
        """Clean up after an epoch."""


class ArrayData(DataSource):
    """Arrays in memory, cut into batches by index; the whole is never copied.

    Args:
        x: input array, or a list, tuple or dictionary of arrays.
        y: targets, likewise, or None.
        sample_weight: one array, or one for each output, or None.
        batch_size: samples in a batch; by default 32, or what fits `steps`.
        steps: batches in an epoch.
        shuffle: whether each epoch has an order of its own; "batch" keeps the batches
            and mixes the samples within each.
        class_weight: weight by class index, instead of `sample_weight`.
        who: the method that asks, for messages.

    Raises:
        TypeError: if something is not an array of numbers.
        ValueError: if lengths differ or there are no samples.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Any = None,
        who: str = "fit",
    ) -> None:
        x, y = as_arrays(x, "x", who), as_arrays(y, "y", who)
        sample_weight = as_arrays(sample_weight, "sample_weight", who)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    f"{who}: give class_weight or sample_weight, not both; multiply "
                    "them into one sample_weight"
                )
            sample_weight = class_weight_to_sample_weight(y, class_weight, who)
        sample_weight = _spread(sample_weight, y, who)
        self.num_samples = check_lengths((x, y, sample_weight), who)
        self.data = pack_x_y_sample_weight(x, y, sample_weight)
        if batch_size is None:
            batch_size = math.ceil(self.num_samples / steps) if steps else 32
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.num_batches = math.ceil(self.num_samples / batch_size)

    def order(self) -> Array | None:
        """Return the order of the samples in a new epoch, or None for theirs."""
        if not self.shuffle:
            return None
        if self.shuffle != "batch":
            return permutation(self.num_samples)
        starts = range(0, self.num_samples, self.batch_size)
        sizes = [min(self.batch_size, self.num_samples - start) for start in starts]
        return np.concatenate(
            [s + permutation(n) for s, n in zip(starts, sizes, strict=True)]
        )

    def rows(self, rows: Any) -> Any:
        """Return the batch of some rows, a slice or an array of indices."""
        if isinstance(rows, slice):
            return self._map(lambda a: a[rows])
        return self._map(lambda a: a.take(rows, axis=0))

    def _map(self, select: Callable[[Array], Array]) -> Any:
        return tree.map_structure(
            lambda a: None if a is None else to_tensor(select(a)), self.data
        )

    def make_contiguous(self) -> None:
        """Copy arrays of another layout once, instead of at each native call."""
        self.data = tree.map_structure(
            lambda a: (
                None
                if a is None
                else np.ascontiguousarray(a, a.dtype.newbyteorder("="))
            ),
            self.data,
        )

    def peek(self) -> Any:
        """Return the first rows as a batch."""
        return self.rows(slice(0, self.batch_size))

    def batches(self) -> Iterator[Any]:
        """Return the batches of one epoch, in its order."""
        order = self.order()
        for start in range(0, self.num_samples, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.rows(part if order is None else order[part])


def permutation(count: int) -> Array:
    """Return a random order of `count` things, drawn from the global generator."""
    keys = random.randint((count,), 0, 2**32, dtype="uint32")
    order: Array = backend.argsort(np.asarray(keys))
    return order


def _spread(sample_weight: Any, y: Any, who: str) -> Any:
    """Give every output the one array of weights there is."""
    if sample_weight is None or not tree.is_nested(y) or tree.is_nested(sample_weight):
        return sample_weight
    shape = sample_weight.shape
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(
            f"{who}: y has several outputs, so a single sample_weight needs shape "
            f"(batch,), got {shape}; give one array for each output"
        )
    return tree.map_structure(lambda _: sample_weight, y)
