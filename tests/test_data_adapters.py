"""What `fit`, `evaluate` and `predict` take as data."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import cnn_core as keras
from cnn_core.models.data import (
    ArrayData,
    class_weight_to_sample_weight,
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from cnn_core.models.sources import BatchData, DatasetData, Epochs, make_source


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(7)


def rows(source):
    """The batches of an epoch, as lists of the first input's values."""
    batches = []
    for batch in source.batches():
        x, _, _ = unpack_x_y_sample_weight(batch)
        batches.append(np.asarray(keras.tree.flatten(x)[0])[:, 0].tolist())
    return batches


def column(n, dtype="float32"):
    return np.arange(n, dtype=dtype)[:, None]


class Batches(keras.utils.PyDataset):
    def __init__(self, n=5, weighted=False, delay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.n, self.weighted, self.delay = n, weighted, delay
        self.events = []
        self.threads = set()

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if self.delay:
            time.sleep(self.delay * (self.n - index))
        self.threads.add(threading.current_thread().name)
        x = np.full((2, 1), index, "float32")
        return (x, x, np.ones(2)) if self.weighted else (x, x)

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


# --- packing -----------------------------------------------------------------


def test_unpack():
    assert unpack_x_y_sample_weight(3) == (3, None, None)
    assert unpack_x_y_sample_weight((3,)) == (3, None, None)
    assert unpack_x_y_sample_weight([3, 4]) == (3, 4, None)
    assert unpack_x_y_sample_weight((3, 4, 5)) == (3, 4, 5)
    assert unpack_x_y_sample_weight({"a": 1}) == ({"a": 1}, None, None)
    with pytest.raises(ValueError, match="4 items"):
        unpack_x_y_sample_weight((1, 2, 3, 4))


def test_pack():
    assert pack_x_y_sample_weight(3) == 3
    assert pack_x_y_sample_weight([3]) == ([3],)
    assert pack_x_y_sample_weight(3, 4) == (3, 4)
    assert pack_x_y_sample_weight(3, None, 5) == (3, None, 5)


# --- arrays ------------------------------------------------------------------


def test_batches_in_order_with_a_small_last_one():
    source = ArrayData(column(7), batch_size=3)
    assert rows(source) == [[0, 1, 2], [3, 4, 5], [6]]
    assert source.num_batches == 3


def test_default_batch_size_is_32_or_fits_the_steps():
    assert ArrayData(column(100)).batch_size == 32
    assert ArrayData(column(100), steps=7).batch_size == 15
    assert ArrayData(column(3), batch_size=10).num_batches == 1


def test_shuffle_takes_every_sample_once_and_differs_between_epochs():
    source = ArrayData(column(50), batch_size=8, shuffle=True)
    first, second = (np.concatenate(rows(source)).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != list(range(50))
    assert first != second


def test_shuffle_is_reproducible():
    orders = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        orders.append(rows(ArrayData(column(50), shuffle=True)))
    assert orders[0] == orders[1]


def test_shuffle_keeps_samples_together():
    x, y = column(20), {"a": column(20) * 2, "b": column(20, "int64") * 3}
    for batch_x, batch_y, weight in ArrayData(
        x, y, {"a": x[:, 0], "b": x[:, 0]}, 6, shuffle=True
    ).batches():
        np.testing.assert_array_equal(batch_x * 2, batch_y["a"])
        np.testing.assert_array_equal(np.asarray(batch_x) * 3, batch_y["b"])
        np.testing.assert_array_equal(batch_x[:, 0], weight["a"])


def test_batch_shuffle_mixes_within_batches_only():
    found = rows(ArrayData(column(40), batch_size=10, shuffle="batch"))
    assert [sorted(batch) for batch in found] == [
        list(range(start, start + 10)) for start in range(0, 40, 10)
    ]
    assert all(batch != sorted(batch) for batch in found)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("float64", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("int64", "int64"),
        ("uint8", "uint8"),
        ("bool", "bool"),
        (">f4", "float32"),
        (">i4", "int32"),
    ],
)
def test_dtypes(given, got):
    x = np.array([[0], [1]], given)
    (batch,) = ArrayData(x).batches()
    assert batch.dtype == got
    np.testing.assert_array_equal(batch, x)


def test_no_copy_of_contiguous_rows():
    x = column(10)
    first = next(ArrayData(x, batch_size=5).batches())
    assert np.shares_memory(first.numpy(), x)


def test_strided_and_read_only_arrays():
    x = np.arange(24.0, dtype="float32").reshape(6, 4)[::2, ::-1]
    x.flags.writeable = False
    (batch,) = ArrayData(x).batches()
    np.testing.assert_array_equal(batch, x)


def test_what_counts_as_an_array():
    class Frame:  # like a data frame
        def __array__(self, dtype=None, copy=None):
            return np.ones((4, 2))

    for x in (keras.ops.ones((4, 2)), keras.Variable(np.ones((4, 2))), Frame()):
        (batch,) = ArrayData(x).batches()
        assert batch.shape == (4, 2)


def test_x_alone_and_in_a_list():
    assert isinstance(ArrayData(column(2)).peek(), keras.Tensor)
    (inputs,) = ArrayData([column(2), column(2)]).peek()
    assert len(inputs) == 2
    assert set(ArrayData({"a": column(2)}).peek()) == {"a"}


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"x": None}, ValueError, "x=None"),
        ({"x": [1.0, 2.0]}, TypeError, r"list of float.*np\.array\(x\)"),
        ({"x": []}, ValueError, "empty list"),
        ({"x": "text"}, TypeError, "expected x to be an array.*got str"),
        ({"x": np.array(["a", "b"])}, TypeError, "x to hold numbers, got dtype <U1"),
        ({"x": np.array([[1], [1, 2]], object)}, TypeError, "got dtype object"),
        ({"x": np.ones(2, complex)}, TypeError, "complex128"),
        ({"x": np.float32(3)}, ValueError, "axis of samples"),
        ({"x": np.ones((0, 3))}, ValueError, "at least one sample"),
        ({"x": np.ones(3), "y": np.ones(4)}, ValueError, "x has 3, y has 4"),
        (
            {"x": {"left": np.ones(3), "right": np.array("a")}},
            TypeError,
            r"x\['right'\] to hold numbers",
        ),
        ({"x": [np.ones(3), np.ones(5)]}, ValueError, "x has 3 and 5"),
        ({"x": np.ones(3), "batch_size": 0}, ValueError, "batch_size to be at least 1"),
        (
            {"x": np.ones(3), "batch_size": 1.5},
            TypeError,
            "batch_size to be an integer",
        ),
    ],
)
def test_wrong_arrays(data, error, message):
    with pytest.raises(error, match=message):
        make_source(**data)


def test_symbolic_input_is_refused():
    with pytest.raises(TypeError, match="symbolic"):
        ArrayData(keras.Input((3,)))


# --- weights and splits ------------------------------------------------------


def test_class_weights():
    weights = {0: 0.5, 2: 3.0}
    expected = np.array([0.5, 1, 3], "float32")
    for y in (np.array([0, 1, 2]), np.array([[0.0], [1], [2]]), np.eye(3)):
        np.testing.assert_array_equal(
            class_weight_to_sample_weight(y, weights), expected
        )


def test_class_weight_of_nan_label_is_one():
    y = np.array([0, np.nan])
    np.testing.assert_array_equal(class_weight_to_sample_weight(y, {0: 2.0}), [2, 1])


def test_wrong_class_weights():
    x = np.ones((4, 2))
    with pytest.raises(TypeError, match="dictionary"):
        ArrayData(x, np.ones(4), class_weight=[1, 2])
    with pytest.raises(ValueError, match="one array of labels, got list"):
        ArrayData(x, [np.ones(4), np.ones(4)], class_weight={0: 1.0})
    with pytest.raises(ValueError, match="one array of labels, got None"):
        ArrayData(x, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="not both"):
        ArrayData(x, np.ones(4), np.ones(4), class_weight={0: 1.0})
    with pytest.raises(ValueError, match=r"got \(4, 2, 3\)"):
        ArrayData(x, np.ones((4, 2, 3)), class_weight={0: 1.0})


def test_one_sample_weight_serves_all_outputs():
    x = column(4)
    _, _, weights = ArrayData(x, [x, x], np.arange(4.0)).peek()
    assert len(weights) == 2
    with pytest.raises(ValueError, match=r"needs shape \(batch,\), got \(4, 2\)"):
        ArrayData(x, [x, x], np.ones((4, 2)))


def test_validation_split_takes_the_end_as_views():
    x, y = column(10), column(10)
    train, validation = train_validation_split((x, y, None), 0.25)
    assert train[0][:, 0].tolist() == list(range(7))
    assert validation[1][:, 0].tolist() == [7, 8, 9]
    assert np.shares_memory(train[0], x)
    assert train[2] is None
    with pytest.raises(ValueError, match="leaves one part empty"):
        train_validation_split((x[:1], None, None), 0.5)


# --- batches from elsewhere --------------------------------------------------


def test_generator():
    source = BatchData((column(2) + i, column(2)) for i in range(3))
    assert np.asarray(source.peek()[0])[0, 0] == 0
    assert rows(source) == [[0, 1], [1, 2], [2, 3]]
    assert not source.restartable


def test_iterable_starts_anew():
    source = BatchData([(column(2),), (column(1) + 5,)])
    assert source.num_batches == 2
    assert rows(source) == rows(source) == [[0, 1], [5]]


def test_iterable_batches_may_be_lists_or_dictionaries():
    class Loader:
        def __iter__(self):
            yield [column(2, "float64"), column(2)]

    (batch,) = BatchData(Loader()).batches()
    assert batch[0].dtype == "float32"
    assert len(batch) == 2
    (batch,) = BatchData({"a": column(2)} for _ in range(1)).batches()
    assert set(batch) == {"a"}


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([column(2), column(2)], TypeError, "yield a tuple"),
        ((column(2),) * 4, ValueError, "tuple of 4"),
        ((), ValueError, "tuple of 0"),
        ((column(2), column(3)), ValueError, "x has 2, y has 3"),
        ("text", TypeError, "got str"),
    ],
)
def test_wrong_batches(batch, error, message):
    with pytest.raises(error, match=message):
        make_source(batch for _ in range(1)).peek()


def test_generator_without_batches():
    with pytest.raises(ValueError, match="gave none"):
        make_source(iter(())).peek()


def test_y_beside_batches_is_refused():
    with pytest.raises(ValueError, match="batches include y"):
        make_source((b for b in ()), y=column(2))
    with pytest.raises(ValueError, match="batches include sample_weight"):
        make_source(Batches(), sample_weight=column(2))


def test_class_weight_of_batches():
    x, y = column(3), np.array([0, 1, 1])
    source = make_source(((x, y) for _ in range(1)), class_weight={1: 4.0})
    (batch,) = source.batches()
    np.testing.assert_array_equal(batch[2], [1, 4, 4])
    with pytest.raises(ValueError, match="not both"):
        make_source(Batches(weighted=True), class_weight={0: 1.0}).peek()


@pytest.mark.parametrize("workers", [1, 3])
def test_dataset(workers):
    dataset = Batches(workers=workers, delay=0.002, max_queue_size=2)
    source = DatasetData(dataset)
    assert source.num_batches == 5
    assert rows(source) == [[i, i] for i in range(5)]
    used_threads = any(name.startswith("PyDataset") for name in dataset.threads)
    assert used_threads == (workers > 1)


def test_dataset_shuffled():
    found = [batch[0] for batch in rows(DatasetData(Batches(20), shuffle=True))]
    assert sorted(found) == list(range(20))
    assert found != list(range(20))


def test_endless_dataset_stops_its_workers():
    class Endless(Batches):
        num_batches = None

    epochs = Epochs(DatasetData(Endless(1, workers=2)), steps=3)
    for _ in range(2):
        assert [step for step, _ in epochs.epoch()] == [0, 1, 2]
    del epochs
    deadline = time.monotonic() + 10
    while any(t.name.startswith("PyDataset") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_error_in_a_worker_is_raised():
    class Broken(Batches):
        def __getitem__(self, index):
            if index == 2:
                raise RuntimeError("no file")
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="no file"):
        rows(DatasetData(Broken(workers=2)))


def test_dataset_without_constructor_call():
    class Bare(keras.utils.PyDataset):
        def __init__(self):
            pass

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return (column(2),)

    assert rows(DatasetData(Bare())) == [[0, 1]]


def test_empty_or_incomplete_dataset():
    with pytest.raises(ValueError, match="has no batches"):
        DatasetData(Batches(0))
    with pytest.raises(NotImplementedError, match="__len__"):
        DatasetData(keras.utils.PyDataset())


def test_dataset_iterates():
    assert len(list(Batches(4))) == 4


# --- epochs ------------------------------------------------------------------


def walk(epochs):
    return [np.asarray(batch)[0, 0] for _, batch in epochs.epoch()]


def test_epochs_over_arrays_start_anew():
    epochs = Epochs(ArrayData(column(4), batch_size=1))
    assert walk(epochs) == walk(epochs) == [0, 1, 2, 3]
    assert epochs.num_batches == 4


def test_steps_continue_over_epochs():
    epochs = Epochs(ArrayData(column(4), batch_size=1), steps=2)
    assert [walk(epochs) for _ in range(4)] == [[0, 1], [2, 3], [0, 1], [2, 3]]


def test_arrays_run_out_within_an_epoch():
    epochs = Epochs(ArrayData(column(5), batch_size=1), steps=3)
    assert walk(epochs) == [0, 1, 2]
    with pytest.warns(UserWarning, match="3 batches were wanted for an epoch, 2 came"):
        assert walk(epochs) == [3, 4]
    assert walk(epochs) == [0, 1, 2]
    assert not epochs.exhausted


def test_generator_ends_with_the_epoch():
    epochs = Epochs(BatchData(column(1) + i for i in range(3)))
    assert walk(epochs) == [0, 1, 2]
    assert epochs.exhausted


def test_generator_runs_out():
    epochs = Epochs(BatchData(column(1) + i for i in range(3)), steps=2)
    assert walk(epochs) == [0, 1]
    with pytest.warns(UserWarning, match="ran out of data"):
        assert walk(epochs) == [2]
    assert epochs.exhausted


def test_iterable_of_unknown_length():
    class Stream:
        def __iter__(self):
            return iter([column(1), column(1) + 1])

    epochs = Epochs(BatchData(Stream()), steps=1)
    assert [walk(epochs) for _ in range(3)] == [[0], [1], [0]]


def test_dataset_is_told_about_epochs():
    dataset = Batches(2)
    epochs = Epochs(DatasetData(dataset))
    for _ in epochs.epoch():
        break  # leaving early counts
    list(epochs.epoch())
    assert dataset.events == ["begin", "end"] * 2
