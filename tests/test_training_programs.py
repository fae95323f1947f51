"""Training natively: the bits of eager training, and what surrounds the steps."""

from __future__ import annotations

import gc
import os
import signal
import threading
import warnings
import weakref

import numpy as np
import pytest
from small_models import OwnStep

import cnn_core as keras
from cnn_core import backend, layers, ops

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, compile_function

RNG = np.random.default_rng(3)
X = RNG.normal(size=(70, 12)).astype("float32")
LABELS = RNG.integers(0, 4, 70)
TARGETS = RNG.normal(size=(70, 2)).astype("float32")


class Scaled(layers.Layer):
    """An own layer with a weight, a state and an added loss."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        self.calls = self.add_weight(initializer="zeros", trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        self.add_loss(ops.mean(ops.square(self.scale)) * 1e-3)
        return inputs * self.scale


def stack():
    model = keras.Sequential(
        [
            layers.Input((12,)),
            layers.Dense(16, activation="tanh", kernel_regularizer="l2"),
            layers.Dropout(0.3),
            Scaled(),
            layers.Dense(4),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model, X, LABELS, {}


def weighted():
    model, x, y, _ = stack()
    return model, x, y, {"class_weight": {0: 2.0, 3: 0.5}}


def two_outputs():
    inputs = {"a": keras.Input((8,), name="a"), "b": keras.Input((4,), name="b")}
    joined = layers.Concatenate()(
        [layers.Dense(8, activation="relu")(inputs["a"]), inputs["b"]]
    )
    outputs = {
        "label": layers.Dense(4, activation="softmax", name="label")(joined),
        "value": layers.Dense(2, name="value")(joined * 0.5),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1.0),
        {"label": "sparse_categorical_crossentropy", "value": "mse"},
        loss_weights={"label": 1.0, "value": 0.3},
        metrics={"value": ["mae"]},
    )
    x = {"a": X[:, :8].astype("float64"), "b": X[:, 8:]}
    return model, x, {"label": LABELS, "value": TARGETS}, {}


def own_step():
    model = OwnStep([layers.Input((12,)), layers.Dense(5, "silu"), layers.Dense(2)])
    model.compile(keras.optimizers.RMSprop(1e-2))
    return model, X, TARGETS, {}


def not_built():
    model = keras.Sequential([layers.Dense(6, activation="gelu"), layers.Dense(2)])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9)
    model.compile(keras.optimizers.Adam(schedule), "huber")
    return model, X, TARGETS, {}


CASES = [stack, weighted, two_outputs, own_step, not_built]


def train(make, eager: bool, **options):
    keras.utils.set_random_seed(11)
    keras.utils.clear_session()
    model, x, y, extra = make()
    model.run_eagerly = eager
    history = model.fit(
        x, y, batch_size=16, epochs=3, verbose=0, **{**extra, **options}
    )
    return model, x, y, history.history


def same_bits(a, b) -> bool:
    return all(
        np.asarray(p).tobytes() == np.asarray(q).tobytes()
        for p, q in zip(a, b, strict=True)
    )


def state(model):
    return [np.array(v) for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize("make", CASES)
def test_training_has_the_bits_of_eager_training(make):
    a, x, y, eager_history = train(make, eager=True)
    b, _, _, history = train(make, eager=False)
    assert b._programs is not None
    assert len(b._programs._programs) > 0
    assert eager_history == history
    assert same_bits(state(a), state(b))
    eager, native = a.predict(x, verbose=0), b.predict(x, verbose=0)
    if isinstance(eager, dict):
        assert list(eager) == list(native)
        eager, native = list(eager.values()), list(native.values())
    assert same_bits([eager] if a is stack else eager, native)
    if make is not own_step:
        assert a.evaluate(x, y, verbose=0) == b.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("make", CASES)
def test_single_batches_have_the_bits_of_eager_ones(make):
    models = []
    for eager in (True, False):
        keras.utils.set_random_seed(5)
        keras.utils.clear_session()
        model, x, y, _ = make()
        model.run_eagerly = eager
        if isinstance(x, dict):
            x, y = ({k: v[:20] for k, v in d.items()} for d in (x, y))
        else:
            x, y = x[:20], y[:20]
        logs = [model.train_on_batch(x, y) for _ in range(4)]
        models.append((logs, state(model), model))
    assert models[0][0] == models[1][0]
    assert same_bits(models[0][1], models[1][1])
    assert models[1][2]._programs._programs


def test_callbacks_see_every_batch_when_they_want_to():
    seen = {}
    for eager in (True, False):
        log = seen[eager] = []
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, log=log: log.append(batch),
            on_train_batch_end=lambda batch, logs, log=log: log.append((batch, logs)),
        )
        train(stack, eager, callbacks=[watch])
    assert len(seen[True]) == 2 * 3 * 5
    assert seen[True] == seen[False]


def test_generators_and_steps_per_epoch():
    histories = []
    for eager in (True, False):

        def batches():
            while True:
                for i in range(0, 64, 16):
                    yield X[i : i + 16], LABELS[i : i + 16]

        keras.utils.set_random_seed(1)
        model, *_ = stack()
        model.run_eagerly = eager
        fit = model.fit(batches(), steps_per_epoch=4, epochs=3, verbose=0)
        histories.append(fit.history)
    assert histories[0] == histories[1]


class Looks(layers.Layer):
    def call(self, inputs):
        if float(ops.max(inputs)) > 1e9:
            inputs = inputs * 0
        return inputs


def test_what_cannot_be_traced_runs_eagerly_after_one_warning():
    keras.utils.set_random_seed(2)
    model = keras.Sequential([layers.Dense(2), Looks()])
    model.compile("sgd", "mse")
    with pytest.warns(
        UserWarning, match=r"test_training_programs\.py.*, in call"
    ) as seen:
        model.fit(X, TARGETS, epochs=2, verbose=0)
    assert sum("operation by operation" in str(w.message) for w in seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, TARGETS, epochs=2, verbose=0)


def test_learning_rate_and_trainable_can_change_between_fits():
    model, x, y, _ = stack()
    model.fit(x, y, verbose=0)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    trainable = {id(v) for v in model.trainable_variables}
    for v, old in zip(model.weights, before, strict=True):
        if id(v) in trainable:
            assert np.array_equal(v, old)
    model.layers[0].trainable = False
    model.compile(keras.optimizers.SGD(0.5), model.loss)
    frozen = np.array(model.layers[0].kernel)
    last = np.array(model.layers[-1].kernel)
    model.fit(x, y, verbose=0)
    assert np.array_equal(model.layers[0].kernel, frozen)
    assert not np.array_equal(model.layers[-1].kernel, last)


def test_weights_read_during_training_keep_their_values():
    kept = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            value = self.model.layers[0].kernel.value
            kept.append((value, np.array(value)))

    model, x, y, _ = stack()
    model.fit(x, y, epochs=4, verbose=0, callbacks=[Keep()])
    for tensor, copy in kept:
        assert np.array_equal(tensor, copy)
    assert not np.array_equal(kept[0][0], kept[-1][0])


def test_weights_are_updated_in_place_and_data_is_let_go():
    model, x, y, _ = stack()
    x = x.copy()
    model.fit(x, y, batch_size=16, verbose=0)  # whole batches, and a smaller one
    arrays = [v._array for v in model.optimizer.variables]
    addresses = [a.ctypes.data for a in arrays]
    del arrays
    data = weakref.ref(x)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert [v._array.ctypes.data for v in model.optimizer.variables] == addresses
    del x
    gc.collect()
    assert data() is None


def test_tensors_that_share_the_memory_of_weights_keep_their_values():
    model = keras.Sequential([layers.Input((12,)), layers.Dense(2)])
    model.compile("adam", "mse")
    both = ops.ones((2, 12, 2))
    kernel = model.layers[0].kernel
    kernel.assign(both[0])
    rows = np.asarray(kernel)[3:]
    model.fit(X, TARGETS, verbose=0)
    assert np.all(both == 1)
    assert np.all(rows == 1)
    assert not np.any(kernel == 1)


@pytest.mark.parametrize("dtype", ["float16", "longdouble", ">f4", "uint64"])
def test_data_of_unusual_types(dtype):
    x = np.abs(X).astype(dtype)
    model = keras.Sequential([layers.Input((12,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    results = []
    for eager in (True, False):
        model.set_weights(before)
        model.run_eagerly = eager
        model.fit(x, TARGETS, batch_size=16, verbose=0, shuffle=False)
        results.append((model.get_weights(), model.predict(x, verbose=0)))
    assert same_bits(keras.tree.flatten(results[0]), keras.tree.flatten(results[1]))


@pytest.mark.parametrize("layout", ["fortran", "strided", "big-endian"])
def test_data_of_any_layout_is_copied_once(layout, monkeypatch):
    x = {
        "fortran": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "big-endian": X.astype(">f4"),
    }[layout]
    _, _, _, expected = train(stack, eager=False)
    keras.utils.set_random_seed(11)
    keras.utils.clear_session()
    model, *_ = stack()
    kept = set()
    run = Program.run

    def watched(self, data, *arguments):
        kept.add(id(data[0].base if data[0].base is not None else data[0]))
        assert data[0].flags.carray or not data[0].flags.writeable
        return run(self, data, *arguments)

    monkeypatch.setattr(Program, "run", watched)
    history = model.fit(x, LABELS, batch_size=16, epochs=3, verbose=0).history
    assert history == expected
    assert len(kept) == 1
    assert np.array_equal(x, X)  # the caller's array is as it was


@pytest.fixture
def interruptible():
    """Let SIGINT raise, also in a process that was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_whole_steps_and_a_usable_model():
    model = keras.Sequential([layers.Input((12,)), layers.Dense(64), layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = np.tile(X, (200, 1)), np.tile(TARGETS, (200, 1))
    model.fit(x[:64], y[:64], verbose=0)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=8, epochs=10_000, verbose=0)
    timer.join()
    step = int(model.optimizer.iterations)
    assert step > 2
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x[:64], y[:64], batch_size=32, verbose=0)
    assert int(model.optimizer.iterations) == step + 2


def test_programs_are_bounded():
    from cnn_core.models.programs import CAPACITY

    model = keras.Sequential([layers.Input((None, 3)), layers.Dense(2)])
    for length in range(1, 3 * CAPACITY):
        for _ in range(2):
            model.predict(np.zeros((4, length, 3), "float32"), verbose=0)
    assert 0 < len(model._programs._programs) <= CAPACITY


def test_two_threads_predict_with_one_model():
    model, x, _, _ = stack()
    expected = model.predict(x, verbose=0)
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(model.predict(x, verbose=0), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_nan_spreads_as_in_eager_training():
    y = TARGETS.copy()
    y[3] = np.nan
    for eager in (True, False):
        model = keras.Sequential([layers.Input((12,)), layers.Dense(2)])
        model.compile("sgd", "mse", run_eagerly=eager)
        history = model.fit(X, y, verbose=0).history
        assert np.isnan(history["loss"]).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_number_of_threads_does_not_matter(threads):
    before = keras.config.num_threads()
    try:
        keras.config.set_num_threads(threads)
        model, *_ = train(stack, eager=False)
    finally:
        keras.config.set_num_threads(before)
    reference, *_ = train(stack, eager=False)
    assert same_bits(state(model), state(reference))


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adadelta", "nadam", "ftrl"])
def test_optimizers_update_all_their_variables_in_place(name):
    optimizer = keras.optimizers.get(name)
    variable = keras.Variable(np.zeros((5, 4), "float32"))
    optimizer.build([variable])
    program = compile_function(
        lambda g: optimizer.apply([g], [variable]), Spec((5, 4), "float32")
    )
    assert not program.plan.copies
