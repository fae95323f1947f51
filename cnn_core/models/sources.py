"""Data that comes in batches: generators, iterables and `PyDataset`; epochs of it."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import tree
from .data import (
    ArrayData,
    DataSource,
    as_arrays,
    check_count,
    check_lengths,
    class_weight_to_sample_weight,
    permutation,
    to_batch,
)

if TYPE_CHECKING:
    from concurrent.futures import Future


class PyDataset:
    """Base class of data that is made batch by batch.

    Subclasses define `__getitem__(index)`, which returns batch `index` as `(x,)`,
    `(x, y)` or `(x, y, sample_weight)`, and `__len__`, the number of batches (or the
    property `num_batches`; None stands for endless data).

    Args:
        workers: how many threads prepare batches ahead; 1 prepares them when needed.
        use_multiprocessing: accepted for compatibility; the workers are threads, for
            which NumPy and reading files release the interpreter.
        max_queue_size: how many batches are prepared ahead at most.
    """

    def __init__(
        self,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__()")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches of an epoch, or None for endless data."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(
                f"{type(self).__name__} must define __len__() or num_batches"
            )
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called at the start of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch."""


class BatchData(DataSource):
    """Batches that an iterable yields.

    Args:
        batches: a generator, which is used up, or something to iterate over anew in
            each epoch.
        class_weight: weight by class index, or None.
        who: the method that asks, for messages.

    Raises:
        ValueError: if there is no batch at all.
    """

    def __init__(
        self, batches: Any, class_weight: Any = None, who: str = "fit"
    ) -> None:
        self._iterable = batches
        self._class_weight = class_weight
        self._who = who
        self.restartable = not hasattr(batches, "__next__")
        if hasattr(batches, "__len__"):
            try:
                self.num_batches = len(batches)
            except TypeError:  # e.g. a loader over a stream
                self.num_batches = None
        self._ahead: list[Any] = []

    def peek(self) -> Any:
        """Return the first batch without using it up."""
        if self._ahead:
            return self._ahead[0]
        try:
            batch = self._standardize(next(iter(self._iterable)))
        except StopIteration:
            raise ValueError(
                f"{self._who}: expected at least one batch, the data gave none"
            ) from None
        if not self.restartable:
            self._ahead.append(batch)
        return batch

    def batches(self) -> Iterator[Any]:
        """Return the batches as tensors."""
        while self._ahead:
            yield self._ahead.pop()
        for batch in self._iterable:
            yield self._standardize(batch)

    def _standardize(self, batch: Any) -> Any:
        return standardize_batch(
            batch, self._class_weight, self._who, lists=self.restartable
        )


class DatasetData(DataSource):
    """Batches of a `PyDataset`.

    Args:
        dataset: the data.
        shuffle: whether the batches come in another order in each epoch.
        class_weight: weight by class index, or None.
        who: the method that asks, for messages.

    Raises:
        ValueError: if the dataset is empty.
    """

    def __init__(
        self,
        dataset: PyDataset,
        shuffle: bool | str = False,
        class_weight: Any = None,
        who: str = "fit",
    ) -> None:
        self._dataset = dataset
        self._shuffle = shuffle
        self._class_weight = class_weight
        self._who = who
        self.num_batches = dataset.num_batches
        if self.num_batches == 0:
            raise ValueError(f"{who}: {type(dataset).__name__} has no batches")
        # A subclass need not have called the constructor.
        self._workers = int(getattr(dataset, "workers", 1))
        self._queue_size = max(int(getattr(dataset, "max_queue_size", 10)), 1)

    def peek(self) -> Any:
        """Return the first batch without using it up."""
        return self._standardize(self._dataset[0])

    def batches(self) -> Iterator[Any]:
        """Return the batches as tensors."""
        count = self.num_batches
        indices: Any = itertools.count() if count is None else range(count)
        if self._shuffle and count is not None:
            indices = permutation(count).tolist()
        if self._workers < 2:
            for index in indices:
                yield self._standardize(self._dataset[index])
        else:
            yield from map(self._standardize, self._ahead(iter(indices)))

    def _ahead(self, indices: Iterator[int]) -> Iterator[Any]:
        """Return the items in order, made by threads a few batches ahead."""
        from concurrent.futures import ThreadPoolExecutor

        queue: deque[Future[Any]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="PyDataset")
        try:
            for index in itertools.islice(indices, self._queue_size):
                queue.append(pool.submit(self._dataset.__getitem__, index))
            while queue:
                item = queue.popleft().result()
                for index in itertools.islice(indices, 1):
                    queue.append(pool.submit(self._dataset.__getitem__, index))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)

    def on_epoch_begin(self) -> None:
        """Tell the dataset."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the dataset."""
        self._dataset.on_epoch_end()

    def _standardize(self, batch: Any) -> Any:
        return standardize_batch(batch, self._class_weight, self._who, lists=True)


def standardize_batch(
    batch: Any, class_weight: Any = None, who: str = "fit", lists: bool = True
) -> Any:
    """Return a user's batch as tensors: `x`, `(x,)`, `(x, y)` or with weights.

    Args:
        batch: the batch, a tuple or one array or dictionary of inputs.
        class_weight: weight by class index, or None.
        who: the method that asks, for messages.
        lists: whether a list is as good as a tuple.

    Raises:
        TypeError: if it is something else, or holds something other than arrays.
        ValueError: if lengths differ or there are too many parts.
    """
    if isinstance(batch, list) and lists:
        batch = tuple(batch)
    if isinstance(batch, list):
        raise TypeError(
            f"{who}: expected the generator to yield a tuple (x,), (x, y) or "
            f"(x, y, sample_weight), got a list of {len(batch)}; a list stands for "
            "several inputs"
        )
    if not isinstance(batch, tuple):
        arrays = as_arrays(batch, "x", who)
        check_lengths((arrays,), who)
        return to_batch(arrays)
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"{who}: expected batches (x,), (x, y) or (x, y, sample_weight), got a "
            f"tuple of {len(batch)}"
        )
    names = ("x", "y", "sample_weight")
    data = tuple(
        as_arrays(part, name, who) for part, name in zip(batch, names, strict=False)
    )
    check_lengths(data, who)
    if class_weight is not None:
        if len(data) == 3 and data[2] is not None:
            raise ValueError(
                f"{who}: give class_weight, or batches with sample_weight, not both"
            )
        y = data[1] if len(data) > 1 else None
        data = (*data[:2], class_weight_to_sample_weight(y, class_weight, who))
    return to_batch(data)


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Any = None,
    who: str = "fit",
) -> DataSource:
    """Return the source of batches for what a user gave; see `ArrayData`.

    Args:
        x: arrays, a `PyDataset`, a generator, or another iterable of batches.
        y: targets; only with arrays.
        sample_weight: weights; only with arrays.
        batch_size: samples in a batch; only with arrays.
        steps: batches in an epoch.
        shuffle: whether each epoch has an order of its own.
        class_weight: weight by class index.
        who: the method that asks, for messages.

    Raises:
        TypeError: if `x` is none of these.
        ValueError: if the parts do not fit together.
    """
    batch_size = check_count("batch_size", batch_size, who)
    if not comes_in_batches(x):
        return ArrayData(
            x, y, sample_weight, batch_size, steps, shuffle, class_weight, who
        )
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"{who}: x is a {type(x).__name__}, whose batches include {name}, so "
                f"{name} must not be given"
            )
    if isinstance(x, PyDataset):
        return DatasetData(x, shuffle, class_weight, who)
    return BatchData(x, class_weight, who)


def comes_in_batches(x: Any) -> bool:
    """Tell whether `x` yields batches rather than being arrays."""
    if isinstance(x, PyDataset) or hasattr(x, "__next__"):
        return True
    return (
        hasattr(x, "__iter__")
        and not tree.is_nested(x)
        and not isinstance(x, (str, bytes))
        and not hasattr(x, "__array__")
    )


_END: Any = object()


class Epochs:
    """Walks over a source, epoch by epoch.

    Args:
        source: the data.
        steps: batches in an epoch; by default all there are. With `steps`, an epoch
            goes on where the one before stopped.

    Attributes:
        exhausted: whether a generator has come to its end.
    """

    def __init__(self, source: DataSource, steps: int | None = None) -> None:
        self.source = source
        self.exhausted = False
        self._steps = steps
        self._iterator: Iterator[Any] | None = None
        self._taken = 0  # batches taken from the iterator
        self._warned = False

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch, or None if that is not known."""
        return self._steps or self.source.num_batches

    @property
    def arrays(self) -> ArrayData | None:
        """The arrays, if an epoch is one walk over arrays in memory."""
        if self._steps is None and isinstance(self.source, ArrayData):
            return self.source
        return None

    def epoch(self) -> Iterator[tuple[int, Any]]:
        """Return the numbered batches of the next epoch."""
        self.source.on_epoch_begin()
        try:
            for step in (
                itertools.count() if self._steps is None else range(self._steps)
            ):
                batch = self._next(step)
                if batch is _END:
                    self._finish(step)
                    return
                yield step, batch
        finally:
            if self._steps is None:
                self._iterator = None
            self.source.on_epoch_end()

    def _next(self, step: int) -> Any:
        restart = step == 0 and self.source.restartable
        if restart and self._taken == self.source.num_batches:
            self._iterator = None
        batch = self._take()
        if batch is _END and restart and self._taken:
            self._iterator = None
            batch = self._take()
        return batch

    def _take(self) -> Any:
        if self._iterator is None:
            self._iterator, self._taken = self.source.batches(), 0
        batch = next(self._iterator, _END)
        self._taken += batch is not _END
        return batch

    def _finish(self, step: int) -> None:
        """Note that the data ended before the epoch did."""
        self._iterator = None
        if self.source.restartable:
            if self._steps is None:
                self.source.num_batches = step
        else:
            self.exhausted = True
        if step == 0 or self._steps is not None:
            self.warn(step)

    def warn(self, step: int = 0) -> None:
        """Warn that an epoch had only `step` batches; about a generator once."""
        if self._warned:
            return
        self._warned = self.exhausted
        wanted = "more" if self._steps is None else str(self._steps)
        warnings.warn(
            f"The input ran out of data: {wanted} batches were wanted for an epoch, "
            f"{step} came. A generator must yield steps_per_epoch * epochs batches; "
            "arrays or a PyDataset start anew in every epoch.",
            stacklevel=4,
        )
