"""Calls `model(x)` as programs: the bits, side effects and errors of eager calls."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers, ops
from cnn_core.models import native_calls

compiled_only = pytest.mark.skipif(
    backend.name() != "compiled", reason="programs need the compiled backend"
)

X = np.random.default_rng(1).normal(size=(3, 6)).astype("float32")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(4)


def small(*extra):
    return keras.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(5, activation="tanh"),
            *extra,
            layers.Dense(4, activation="softmax"),
        ]
    )


def programs(model):
    calls = model._calls
    return [p for p in calls._programs.values() if p is not None] if calls else []


def eager(model, *args, **kwargs):
    """Call the model as a tape makes it run: operation by operation."""
    with keras.GradientTape():
        return model(*args, **kwargs)


def calls(model, *args, **kwargs):
    """Call a model often enough to have a program, and compare with an eager call."""
    for _ in range(3):
        got = keras.tree.flatten(model(*args, **kwargs))
    expected = keras.tree.flatten(eager(model, *args, **kwargs))
    for a, b in zip(got, expected, strict=True):
        assert type(a) is type(b)
        np.testing.assert_array_equal(a, b, strict=True)
    return got


# --- what is compiled -----------------------------------------------------------------


def two_inputs():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    joined = layers.Concatenate()([layers.Dense(4)(a), ops.exp(b) * 2])
    return keras.Model({"a": a, "b": b}, [layers.Dense(2)(joined), joined[:, 1:3]])


@compiled_only
def test_the_second_call_of_a_kind_is_compiled():
    model = small(layers.Dropout(0.5))
    first = model(X)
    assert not programs(model)
    second = model(X)
    assert len(programs(model)) == 1
    third = model(X)
    assert (
        first.numpy().tobytes() == second.numpy().tobytes() == third.numpy().tobytes()
    )
    assert third._node is None
    calls(model, X, training=False)
    assert len(programs(model)) == 2


@compiled_only
@pytest.mark.parametrize(
    "x",
    [
        X,
        X.astype("float64"),
        X.astype(">f4"),
        np.asfortranarray(X),
        X[::2],
        np.arange(12).reshape(2, 6),
        X > 0,
        ops.convert_to_tensor(X),
    ],
    ids=["f4", "f8", "big", "fortran", "strided", "int", "bool", "tensor"],
)
def test_inputs_of_any_kind(x):
    model = small()
    calls(model, x)
    assert len(programs(model)) == 1


@compiled_only
def test_several_inputs_and_outputs():
    model = two_inputs()
    inputs = {"b": X, "a": X[::-1]}
    calls(model, inputs)
    assert len(programs(model)) == 1
    calls(model, {"a": X, "b": ops.convert_to_tensor(X)})
    assert len(programs(model)) == 1
    inner = keras.Sequential([layers.Input((6,)), layers.Dense(3)])
    a, b = keras.Input((6,)), keras.Input((6,))
    model = keras.Model([a, b], {"sum": inner(a) + inner(b)})
    calls(model, [X, X[::-1]])
    calls(model, (X, X[::-1]))
    assert len(programs(model)) == 2
    assert list(model([X, X])) == ["sum"]


@compiled_only
def test_a_loop_over_many_lengths_compiles_few():
    model = keras.Sequential([layers.Input((None, 6)), layers.Dense(2)])
    for length in range(1, 40):
        model(np.zeros((2, length, 6), "float32"))
    assert not programs(model)
    for _ in range(5):
        for length in range(1, 40):
            model(np.zeros((2, length, 6), "float32"))
    assert len(programs(model)) == native_calls.CAPACITY
    assert model._calls._compiled == native_calls.CAPACITY


@compiled_only
def test_large_intermediate_results_are_not_kept():
    model = keras.Sequential([layers.Input((6,)), layers.Dense(512), layers.Dense(1)])
    calls(model, np.zeros((9000, 6), "float32"))
    assert not programs(model)


# --- what is not ----------------------------------------------------------------------


class Counting(layers.Layer):
    def __init__(self):
        super().__init__()
        self.counter = 0

    def call(self, inputs):
        self.counter += 1
        return inputs * self.counter


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self.factor = [1.0]

    def call(self, inputs):
        return self.dense(inputs) * self.factor[0]


def test_python_state_is_not_frozen():
    model = keras.Sequential([layers.Input((6,)), Counting()])
    start = model.layers[0].counter
    for i in range(1, 5):
        np.testing.assert_array_equal(model(X), X * (start + i))
    own = Own()
    first = [np.array(own(X)) for _ in range(3)][-1]
    own.factor[0] = 2.0
    np.testing.assert_array_equal(own(X), first * 2)
    factor = [1.0]
    model = keras.Sequential(
        [layers.Input((6,)), layers.Lambda(lambda x: x * factor[0])]
    )
    for factor[0] in (1.0, 2.0, 3.0, 4.0):
        np.testing.assert_array_equal(model(X), X * factor[0])
    inputs = keras.Input((6,))
    shift = np.ones(6, "float32")
    model = keras.Model(inputs, inputs + shift)
    for value in (1.0, 2.0, 3.0, 4.0):
        shift[:] = value
        assert np.array_equal(model(X), X + shift) == np.array_equal(
            eager(model, X), X + shift
        )


def test_own_activations_and_methods_stay_in_python():
    seen = []

    def activation(x):
        seen.append(1)
        return x * len(seen)

    model = keras.Sequential([layers.Input((6,)), layers.Activation(activation)])
    seen.clear()
    for i in range(1, 5):
        np.testing.assert_array_equal(model(X), X * i)
    model = small()
    layer = model.layers[0]
    layer.call = lambda inputs: inputs[:, :5] * len(seen)
    before = np.array(model(X))
    model(X), model(X)
    seen.clear()
    assert not np.array_equal(model(X), before)


def test_losses_are_those_of_the_call():
    model = small(layers.ActivityRegularization(0.1))
    for factor in (1, 2, 3, 4):
        model(X * factor)
        model(X * factor)
        (loss,) = model.losses
        eager(model, X * factor)
        assert float(loss) == float(model.losses[0]) > 0
    model = small()
    for _ in range(3):
        model(X)
    model.add_loss(ops.sum(model.layers[0].kernel))
    assert len(model.losses) == 1
    model(X)
    assert model.losses == []


def test_random_layers_draw_in_training_only():
    results = []
    for runs_eagerly in (True, False):
        keras.utils.set_random_seed(3)
        model = small(layers.Dropout(0.5, seed=1), layers.GaussianNoise(0.1, seed=2))
        results.append([])
        for training in (None, True, None, True, False) * 3:
            if runs_eagerly:
                outputs = eager(model, X, training=training)
            else:
                outputs = model(X, training=training)
            results[-1].append(np.array(outputs))
    np.testing.assert_array_equal(*results)


def test_masks_go_with_the_outputs():
    model = keras.Sequential([layers.Input((4, 3)), layers.Masking(), layers.Dense(2)])
    x = np.ones((2, 4, 3), "float32")
    x[0, 2:] = 0
    for _ in range(4):
        mask = model(x)._keras_mask
        np.testing.assert_array_equal(mask, x.any(-1))
    plain = keras.Sequential([layers.Input((4, 3)), layers.Dense(2)])
    for _ in range(3):
        plain(x)
    tensor = layers.Masking()(x)
    np.testing.assert_array_equal(plain(tensor)._keras_mask, x.any(-1))


def test_lost_masks_warn_as_ever():
    flat = layers.Flatten()
    assert not flat.supports_masking
    with pytest.warns(UserWarning, match="does not support masking"):
        model = keras.Sequential([layers.Input((4, 3)), layers.Masking(), flat])
    for _ in range(4):
        with pytest.warns(UserWarning, match="does not support masking"):
            model(np.ones((2, 4, 3), "float32"))


def test_tapes_and_traces_see_operations():
    model = small()
    for _ in range(3):
        model(X)
    x = ops.convert_to_tensor(X)
    with keras.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(model(x)[:, 0])
    assert np.abs(tape.gradient(y, x)).sum() > 0
    with keras.GradientTape() as tape:
        y = ops.sum(model(X)[:, 0])
    assert all(g is not None for g in tape.gradient(y, model.trainable_variables))
    symbol = model(keras.Input((6,)))
    assert symbol.shape == (None, 4)
    outer = keras.Sequential([layers.Input((6,)), model, layers.Dense(2)])
    calls(outer, X)


def test_errors_are_those_of_eager_calls():
    model = small()
    for _ in range(3):
        model(X)
    for bad in (X[:, :5], "text", None, X[0], [X, X]):
        messages = []
        for call in (model, eager):
            for _ in range(3):
                with pytest.raises((ValueError, TypeError, AttributeError)) as caught:
                    call(bad) if call is model else call(model, bad)
                messages.append((type(caught.value), str(caught.value)))
        assert len(set(messages)) == 1
    with pytest.raises(TypeError):
        model(X, unknown=1)
    inputs = {"a": X, "b": X, "c": X}
    two = two_inputs()
    for _ in range(4):
        with pytest.warns(UserWarning, match="not used"):
            two(inputs)


# --- what changes between calls -------------------------------------------------------


def changes_activation(model):
    model.layers[0].activation = keras.activations.relu


def changes_kernel(model):
    model.layers[0].kernel.assign(model.layers[0].kernel * 2)


def replaces_kernel(model):
    layer = model.layers[0]
    layer.kernel = keras.Variable(np.array(layer.kernel) + 1)


def drops_bias(model):
    model.layers[0].bias = None


def sets_weights(model):
    model.set_weights([w + 0.5 for w in model.get_weights()])


def adds_layer(model):
    model.add(layers.Dense(2))


def pops_layer(model):
    model.pop()


def edits_an_inner_model(model):
    model.layers[1].layers[0].activation = keras.activations.exponential


def changes_policy(model):
    model.layers[-1].dtype_policy = "float64"


def trains(model):
    model.compile("sgd", "mse")
    model.fit(X, np.ones((3, 4)), verbose=0)


def trains_on_a_batch(model):
    if not model.compiled:
        model.compile("sgd", "mse")
    model.train_on_batch(X, np.ones((3, 4)))


@pytest.mark.parametrize(
    "change",
    [
        changes_activation,
        changes_kernel,
        replaces_kernel,
        drops_bias,
        sets_weights,
        adds_layer,
        pops_layer,
        edits_an_inner_model,
        changes_policy,
        trains,
        trains_on_a_batch,
    ],
)
def test_changes_are_seen_at_once(change):
    inner = keras.Sequential([layers.Input((5,)), layers.Dense(3, activation="relu")])
    model = small(inner)
    calls(model, X)
    for _ in range(3):
        before = np.array(model(X))
        change(model)
        after = model(X)
        np.testing.assert_array_equal(after, eager(model, X), strict=True)
        if change is not changes_activation and change is not drops_bias:
            assert change in (edits_an_inner_model, changes_policy) or (
                after.shape != before.shape or not np.array_equal(after, before)
            )
        calls(model, X)
        if change in (adds_layer, pops_layer):
            break


def test_global_settings_are_seen():
    model = keras.Sequential(
        [layers.Input((2, 2, 3)), layers.Rescaling(2.0), layers.UnitNormalization()]
    )
    x = X[:2, :3].reshape(2, 1, 1, 3).repeat(2, 1).repeat(2, 2)
    calls(model, x)
    try:
        keras.config.set_floatx("float64")
        calls(model, x)
    finally:
        keras.config.set_floatx("float32")
    calls(model, x)
    before = keras.config.num_threads()
    try:
        for threads in (1, 2, 3):
            keras.config.set_num_threads(threads)
            calls(model, x)
    finally:
        keras.config.set_num_threads(before)


@compiled_only
def test_loops_that_train_keep_their_program():
    model = small()
    model.compile("sgd", "mse")
    for _ in range(3):
        model.fit(X, np.ones((3, 4)), verbose=0)
        model.predict(X, verbose=0)
        model(X)
    (kept,) = programs(model)
    for _ in range(3):
        model.fit(X, np.ones((3, 4)), verbose=0)
        model.predict(X, verbose=0)
        model.train_on_batch(X, np.ones((3, 4)))
        np.testing.assert_array_equal(model(X), eager(model, X))
    assert programs(model) == [kept]
    model.compile("sgd", "mse", run_eagerly=True)
    for _ in range(3):
        model(X)
    assert not programs(model)


# --- copies, results, threads ---------------------------------------------------------


def test_copies_have_programs_of_their_own():
    model = small()
    calls(model, X)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.set_weights([w * 2 for w in twin.get_weights()])
        assert not np.array_equal(twin(X), model(X))
        calls(twin, X)
        calls(model, X)
    calls(copy.copy(model), X)
    calls(model, X)


def test_results_are_kept_and_nothing_is_held():
    model = small()
    kept = [model(X * i) for i in range(6)]
    for i, y in enumerate(kept):
        np.testing.assert_array_equal(y, eager(model, X * i))
    x = X.copy()
    y = model(x)
    x[:] = 0
    np.testing.assert_array_equal(y, model(X))
    identity = keras.Sequential([layers.Input((6,)), layers.Identity()])
    for _ in range(3):
        x = X.copy()
        y = identity(x)
        x[:] = 7
        np.testing.assert_array_equal(y, X)


def test_threads_call_one_model():
    model = small()
    inputs = [X * i for i in range(4)]
    expected = [np.array(eager(model, x)) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(200):
            if not np.array_equal(model(inputs[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_is_said_about_what_cannot_be_compiled():
    model = keras.Sequential([layers.Dense(2), layers.Masking()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            model(np.ones((2, 3, 4), "float32"))
