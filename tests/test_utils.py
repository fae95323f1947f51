"""Label encodings, norms, padding, seeds, names and the summary table."""

from __future__ import annotations

import builtins
import random

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import utils


class TestToCategorical:
    def test_rows(self):
        np.testing.assert_array_equal(
            utils.to_categorical([2, 0, 1]), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        )

    @pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 3), (2, 3, 1), (0,), ()])
    def test_shapes(self, shape):
        x = np.ones(shape, dtype="uint8")
        expected = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
        result = utils.to_categorical(x, 5)
        assert result.shape == (*expected, 5)
        assert (result.sum(-1) == 1).all()

    def test_tensor_gives_tensor(self):
        result = utils.to_categorical(keras.ops.convert_to_tensor([1, 0]), 2)
        assert isinstance(result, keras.Tensor)
        np.testing.assert_array_equal(result, [[0, 1], [1, 0]])

    @pytest.mark.parametrize("x", [[-1], [3], [0.5], [np.nan]])
    @pytest.mark.filterwarnings("ignore:invalid value")
    def test_labels_out_of_range(self, x):
        with pytest.raises(ValueError, match="to_categorical"):
            utils.to_categorical(x, 3)

    def test_nothing_to_infer_from(self):
        with pytest.raises(ValueError, match="num_classes"):
            utils.to_categorical([])


class TestNormalize:
    @pytest.mark.parametrize("axis", [0, 1, -1])
    @pytest.mark.parametrize("order", [1, 2])
    def test_norm_is_one(self, axis, order):
        x = np.random.default_rng(0).normal(size=(3, 4))
        norms = np.linalg.norm(utils.normalize(x, axis, order), order, axis)
        np.testing.assert_allclose(norms, 1, rtol=1e-12)

    def test_zero_stays_zero(self):
        assert not utils.normalize(np.zeros((2, 3))).any()

    def test_tensor(self):
        x = keras.ops.convert_to_tensor([[3.0, 4.0]])
        np.testing.assert_allclose(utils.normalize(x), [[0.6, 0.8]], rtol=1e-6)


class TestPadSequences:
    SEQUENCES = ([1], [2, 3], [4, 5, 6])

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
            ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
            ({"value": -1}, [[-1, -1, 1], [-1, 2, 3], [4, 5, 6]]),
            ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
            ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
            (
                {"maxlen": 4, "padding": "post"},
                [[1, 0, 0, 0], [2, 3, 0, 0], [4, 5, 6, 0]],
            ),
        ],
    )
    def test_options(self, options, expected):
        result = utils.pad_sequences(self.SEQUENCES, **options)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == np.int32

    def test_steps_of_vectors(self):
        result = utils.pad_sequences(
            [np.ones((1, 2)), np.ones((3, 2))], dtype="float32"
        )
        assert result.shape == (2, 3, 2)
        assert result[0, :2].sum() == 0

    def test_empty_sequences(self):
        assert utils.pad_sequences([]).shape == (0, 0)
        assert utils.pad_sequences([[], [1]]).tolist() == [[0], [1]]

    @pytest.mark.parametrize(
        ("sequences", "options", "message"),
        [
            ([1, 2], {}, "list of sequences"),
            ([[1]], {"padding": "left"}, "padding"),
            ([[1]], {"truncating": "left"}, "truncating"),
            ([np.ones((1, 2)), np.ones((1, 3))], {}, "steps of shape"),
        ],
    )
    def test_errors(self, sequences, options, message):
        with pytest.raises(ValueError, match=message):
            utils.pad_sequences(sequences, **options)


def test_random_seed():
    def draw():
        utils.set_random_seed(7)
        drawn = np.asarray(keras.random.normal((3,)))
        return [*drawn, random.random(), np.random.rand()]

    assert draw() == draw()
    with pytest.raises(ValueError, match="set_random_seed"):
        utils.set_random_seed(-1)


def test_clear_session_numbers_names_anew():
    utils.clear_session()
    assert keras.layers.Dense(1).name == "dense"
    assert keras.layers.Dense(1).name == "dense_1"
    utils.clear_session()
    assert keras.layers.Dense(1).name == "dense"


def test_interactive_logging():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params["verbose"])

    model = stack()
    model.compile("sgd", "mse")
    data = np.ones((2, 4)), np.ones((2, 2))
    assert utils.is_interactive_logging_enabled()
    model.fit(*data, callbacks=[Watch()])
    utils.disable_interactive_logging()
    try:
        assert not keras.config.is_interactive_logging_enabled()
        model.fit(*data, callbacks=[Watch()])
    finally:
        utils.enable_interactive_logging()
    assert seen == [1, 2]


# --- summary ------------------------------------------------------------------


def stack():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="first"),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Dense(2, name="second"),
        ],
        name="stack",
    )


def branches():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    left = keras.layers.Dense(3, name="left")(a)
    return keras.Model(
        [a, b], keras.layers.Dense(2, name="out")(left + b), name="branches"
    )


@pytest.fixture(params=["rich", "plain"])
def text(request, monkeypatch):
    """Return a function that gives a model's summary, with rich and without it."""
    if request.param == "plain":
        original = builtins.__import__

        def without_rich(name, *args, **kwargs):
            if name.partition(".")[0] == "rich":
                raise ImportError(name)
            return original(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without_rich)

    def summary(model, **options):
        printed = []
        model.summary(print_fn=printed.append, **{"line_length": 100, **options})
        assert len(printed) == 1
        return printed[0]

    return summary


def row(text, name):
    (line,) = [line for line in text.splitlines() if f"{name} (" in line]
    return line


def test_summary_of_a_stack(text):
    result = text(stack())
    assert 'Model: "stack"' in result
    assert "first (Dense)" in result
    assert "(None, 3)" in row(result, "first")
    assert " 15 " in row(result, "first") + " "
    assert " 0" in row(result, "drop")
    assert "Connected to" not in result
    assert "Total params: 23 (92.00 B)" in result
    assert "Trainable params: 23 (92.00 B)" in result
    assert "Non-trainable params: 0 (0.00 B)" in result
    assert "Optimizer params" not in result


def test_summary_of_a_graph(text):
    result = text(branches(), line_length=120)
    assert "Connected to" in result
    assert "a[0][0]" in row(result, "left")
    assert "(Add)" in result
    assert "b[0][0]" in result
    assert "-" in row(result, "a")


def test_functional_chain_needs_no_connections(text):
    x = keras.Input((4,))
    result = text(keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(3)(x))))
    assert "Connected to" not in result


def test_summary_shows_what_is_trained(text):
    model = stack()
    model.get_layer("first").trainable = False
    result = text(model, show_trainable=True)
    assert "Trainable" in result
    assert " N" in row(result, "first")
    assert " Y" in row(result, "second")
    assert "Trainable params: 8 (32.00 B)" in result
    assert "Non-trainable params: 15 (60.00 B)" in result


def test_summary_of_nested_models(text):
    model = keras.Sequential([keras.Input((4,)), stack()], name="outer")
    assert "first (" not in text(model)
    inner = row(text(model, expand_nested=True), "first")
    assert "└ first (Dense)" in inner


def test_summary_of_a_range(text):
    result = text(stack(), layer_range=("drop", "second"))
    assert "first (" not in result
    assert "second (" in result
    assert text(stack(), layer_range=("second", "drop")) == result
    with pytest.raises(ValueError, match="matches no layers"):
        text(stack(), layer_range=("drop", "third"))
    with pytest.raises(ValueError, match="two names"):
        text(stack(), layer_range=("drop",))


def test_summary_counts_the_optimizer(text):
    model = stack()
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    result = text(model)
    assert "Optimizer params: 48 (192.00 B)" in result
    assert "Total params: 71 (284.00 B)" in result


def test_summary_before_building(text):
    result = text(keras.Sequential([keras.layers.Dense(3, name="first")]))
    assert "?" in row(result, "first")
    assert "0 (unbuilt)" in row(result, "first")


def test_summary_of_a_subclass(text):
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.inner = keras.layers.Dense(3, name="inner")

        def call(self, x):
            return self.inner(x)

    model = Own()
    model(np.ones((2, 4), "float32"))
    result = text(model)
    assert "15" in row(result, "inner")
    assert "3)" in row(result, "inner")


def test_names_are_not_markup(text):
    model = keras.Sequential([keras.layers.Dense(3, name="[bold]x")])
    assert "[bold]x (Dense)" in text(model)


def test_width_is_checked(text):
    with pytest.raises(ValueError, match="line_length"):
        text(stack(), line_length=10)
    with pytest.raises(ValueError, match="positions"):
        text(stack(), positions=[0.5, 1.0])
    wide = text(stack(), line_length=60)
    table = wide.splitlines()[1:-3]
    assert max(map(len, table)) <= 60


def test_summary_is_printed(capsys):
    stack().summary(line_length=80)
    assert "first (Dense)" in capsys.readouterr().out
