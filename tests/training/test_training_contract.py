"""Whole training steps keep the numeric contract: threads and layouts of the data
change no bit of a prediction or a trained weight; without tile units, instruction sets
and the split of a batch do not either."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers

if backend.name() != "compiled":
    pytest.skip("the contract is that of the compiled backend", allow_module_level=True)

from cnn_core.backend.compiled import native

RNG = np.random.default_rng(4)
# Large enough that products, chains, reductions and losses are cut among threads.
ROWS, WIDTH, CLASSES = 600, 190, 130
X = RNG.normal(size=(ROWS, WIDTH)).astype("float32")
LABELS = RNG.integers(0, CLASSES, ROWS)
TARGETS = np.eye(CLASSES, dtype="float32")[LABELS]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = native.isa(), native.num_threads()
    yield
    native.set_isa(before[0])
    native.set_num_threads(before[1])
    keras.config.set_portable_bits(False)


def classifier() -> keras.Model:
    model = keras.Sequential(
        [
            layers.Input((WIDTH,)),
            layers.Dense(170, activation="gelu", kernel_regularizer="l2"),
            layers.Dropout(0.2),
            layers.Dense(CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def regression() -> keras.Model:
    inputs = keras.Input((WIDTH,))
    x = layers.Dense(180, activation="silu")(inputs)
    x = layers.Add()([layers.Dense(180, activation="tanh")(x), x])
    outputs = layers.Dense(CLASSES, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1.0)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


MODELS = [(classifier, LABELS), (regression, TARGETS)]
each_model = pytest.mark.parametrize(
    ("make", "y"), MODELS, ids=[make.__name__ for make, _ in MODELS]
)


def train(
    make: Callable[[], keras.Model], x: np.ndarray, y: np.ndarray, eager: bool = False
) -> list[bytes]:
    """Train from the same start and return every bit of what came out."""
    keras.utils.set_random_seed(11)
    keras.utils.clear_session()
    model = make()
    model.run_eagerly = eager
    history = model.fit(x, y, batch_size=250, epochs=2, verbose=0).history
    results = [*model.variables, *model.optimizer.variables, *history.values()]
    results.append(model.predict(x, batch_size=250, verbose=0))
    return [np.asarray(result).tobytes() for result in results]


@each_model
@pytest.mark.parametrize("eager", [False, True], ids=["program", "eager"])
def test_threads(make, y, eager):
    native.set_num_threads(1)
    alone = train(make, X, y, eager)
    for threads in (2, 3, 8):
        native.set_num_threads(threads)
        assert train(make, X, y, eager) == alone


@each_model
def test_instruction_sets(make, y):
    names = [name for name in native.available_isas() if name != "baseline"]
    if len(names) < 2:
        pytest.skip(f"nothing to compare: the sets with FMA here are {names}")
    keras.config.set_portable_bits(True)
    results = []
    for name in names:
        native.set_isa(name)
        results.append(train(make, X, y))
    assert all(result == results[0] for result in results)


def off_by_four(x: np.ndarray) -> np.ndarray:
    raw = np.empty(x.size + 16, x.dtype)
    start = (-raw.ctypes.data % 64 + 4) // 4
    raw[start : start + x.size] = x.reshape(-1)
    return raw[start : start + x.size].reshape(x.shape)


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "off_by_four": off_by_four,
    "read_only": read_only,
    "fortran": np.asfortranarray,
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every_second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "columns_of_more": lambda x: np.hstack([x, x])[:, : x.shape[1]],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x, y = LAYOUTS[layout](X), LAYOUTS[layout](TARGETS)
    assert np.array_equal(x, X)
    assert train(regression, x, y) == train(regression, X, TARGETS)


@each_model
def test_parts_of_the_batch(make, y):
    """A prediction does not depend on the rows around it."""
    keras.config.set_portable_bits(True)
    model = make()
    whole = model.predict(X, batch_size=ROWS, verbose=0)
    for size in (1, 7, 64):
        part = model.predict(X[: 3 * size], batch_size=size, verbose=0)
        assert part.tobytes() == whole[: 3 * size].tobytes()
    for start, stop in ((0, 1), (13, 14), (590, 600), (5, 300)):
        for part in (
            model.predict_on_batch(X[start:stop]),
            np.asarray(model(X[start:stop], training=False)),
        ):
            assert part.tobytes() == whole[start:stop].tobytes()
