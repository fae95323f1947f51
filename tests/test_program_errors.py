"""An error inside a program says what it says in eager mode, and undoes the step."""

from __future__ import annotations

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers, ops
from cnn_core.graph import Primitive, apply, as_tensor

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

X = np.random.default_rng(3).normal(size=(12, 4)).astype("float32")
Y = X[:, :2]


class OwnError(Exception):
    """An error that holds more than a message."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


def _refuse(x):
    if np.max(x) > 50:
        raise OwnError(7, "too large")
    return x


def _exhaust(x):
    if np.max(x) > 50:
        raise MemoryError("no memory")
    return x


def _same(name, run):
    def vjp(ct, *_, needs):
        return [ct]

    return Primitive(name, run, lambda x: (x.shape, x.dtype), vjp)


refuse, exhaust = _same("refuse", _refuse), _same("exhaust", _exhaust)


class Picky(layers.Layer):
    """Fails where an element is above 50."""

    def __init__(self, how, **options):
        super().__init__(**options)
        self.how = how

    def build(self, input_shape):
        self.calls = self.add_weight((), "zeros", "int32", trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1)
        largest = ops.cast(ops.max(inputs), "int32")
        if self.how == "take":
            rows = ops.maximum(largest - 10, 0)
            return inputs + ops.take(inputs, rows, axis=1)[:, None] * 0.0
        if self.how == "inv":
            whole = ops.where(largest > 50, 0.0, 1.0) * ops.eye(2)
            return inputs + ops.inv(whole)[0, 0] * 0.0
        return apply(refuse if self.how == "refuse" else exhaust, inputs)


def pick(y_true, y_pred):
    rows = ops.cast(ops.maximum(ops.max(y_true) - 10, 0), "int32")
    return ops.mean((y_true - y_pred) ** 2, -1) + 0 * ops.take(y_pred, rows, axis=0)[0]


class PickyLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return pick(y_true, y_pred)


def picky_metric(y_true, y_pred):
    return pick(y_true, y_pred)


def with_layer(how):
    return lambda: ([layers.Dense(4), Picky(how, name="picky")], "mse", None)


CASES = {
    "take": (with_layer("take"), IndexError, "take", "Picky 'picky'"),
    "inv": (with_layer("inv"), ValueError, "inv", "Picky 'picky'"),
    "own": (with_layer("refuse"), OwnError, "refuse", "Picky 'picky'"),
    "memory": (with_layer("memory"), MemoryError, "exhaust", "Picky 'picky'"),
    "loss": (lambda: ([], PickyLoss(name="mine"), None), IndexError, "take", "'mine'"),
    "function": (lambda: ([], pick, None), IndexError, "take", "'pick'"),
    "metric": (
        lambda: ([], "mse", [picky_metric]),
        *(IndexError, "take", "'picky_metric'"),
    ),
}


def told(error):
    return [str(error), *getattr(error, "__notes__", [])]


def fail(make, kind, eager):
    """Train, fail in the sixth step; return what the error says and what is left."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    middle, loss, metric = make()
    model = keras.Sequential([layers.Input((4,)), *middle, layers.Dense(2)])
    model.compile("adam", loss, metrics=metric, run_eagerly=eager)
    good = np.concatenate([X, X[:8]]), np.concatenate([Y, Y[:8]])
    bad, far = 1e4 + 0 * X[:4], 1e3 + 0 * Y[:4]
    rows = np.concatenate([good[0], bad]), np.concatenate([good[1], far])
    with pytest.raises(kind) as raised:
        model.fit(*rows, batch_size=4, verbose=0, shuffle=False)
    assert type(raised.value) is kind
    variables = [*model.variables, *model.optimizer.variables]
    left = [np.array(v) for v in variables]
    assert int(model.optimizer.iterations) == 5
    for _ in range(2):  # the second one runs natively
        with pytest.raises(kind) as again:
            model.train_on_batch(bad, far)
        assert told(again.value) == told(raised.value)
    for variable, old in zip(variables, left, strict=True):
        np.testing.assert_array_equal(variable, old)
    natively = model._programs is not None and bool(model._programs._programs)
    assert natively is not eager
    model.fit(*good, batch_size=4, verbose=0)  # the model is still usable
    return told(raised.value), left


@pytest.mark.parametrize("name", CASES)
def test_an_error_names_operation_and_layer_and_undoes_the_step(name):
    make, kind, operation, who = CASES[name]
    eager, after_eager = fail(make, kind, True)
    native, after_native = fail(make, kind, False)
    assert native == eager
    text = "\n".join(eager)
    assert operation in text
    assert who in text
    assert "of shape (4, " in text
    for a, b in zip(after_eager, after_native, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_a_shape_that_does_not_fit_names_both_while_tracing():
    class Wrong(layers.Layer):
        def call(self, inputs):
            return ops.matmul(inputs, ops.ones((3, 2)))

    model = keras.Sequential([Wrong(name="wrong")])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"(?s)matmul.*Wrong 'wrong'.*\(8, 4\)"):
        model.fit(X, Y, batch_size=8, verbose=0)

    def loss(y_true, y_pred):
        return ops.concatenate([y_true, y_pred], axis=5)

    model = keras.Sequential([layers.Dense(2)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"(?s)concatenate.*'loss'"):
        model.fit(X, Y, batch_size=8, verbose=0)


def test_an_operation_outside_of_layers_names_itself():
    from cnn_core.graph.program import Spec, compile_function

    def function(x, i):
        return ops.take(x, i)

    program = compile_function(function, Spec((3,), "float32"), Spec((2,), "int32"))
    given = np.zeros(3, "float32"), np.array([0, 9], "int32")
    with pytest.raises(IndexError, match=r"^take: index 9 is out of bounds") as native:
        program(*given)
    with pytest.raises(IndexError) as eager:
        function(*map(as_tensor, given))
    assert told(native.value) == told(eager.value)


def test_explain_shows_the_layer_of_an_operation():
    model = keras.Sequential([layers.Dense(3, name="first"), layers.Dense(2)])
    model.compile("sgd", "mse")
    text = model.explain(X, Y)
    assert "# Dense 'first'" in text
    assert "# LossFunctionWrapper 'mse'" in text


def test_gradients_belong_to_their_layers():
    model = keras.Sequential(
        [
            layers.Dense(3, activation="tanh", name="first"),
            layers.Dense(4, activation="gelu", name="second"),
            layers.Dense(2, name="third"),
        ]
    )
    model.compile("sgd", "mse")
    lines = model.explain(X, Y).splitlines()
    joined = [line for line in lines if "matmul_grad" in line or "_bias_grad" in line]
    owners = [line.partition("  # ")[2] for line in joined]
    assert sorted(set(owners)) == ["Dense 'first'", "Dense 'second'", "Dense 'third'"]
    assert any("matmul_grad" in line for line in joined)
    (loss,) = [line for line in lines if "mean_squared_error_with_grad" in line]
    assert loss.endswith("# LossFunctionWrapper 'mse'")


def test_an_error_in_a_gradient_names_the_layer():
    def vjp(ct, out, x, needs):
        return [apply(refuse, ct * 1e4)]

    primitive = Primitive("harmless", lambda x: x, lambda x: (x.shape, x.dtype), vjp)

    class Harmless(layers.Layer):
        def call(self, inputs):
            return apply(primitive, inputs)

    model = keras.Sequential([layers.Dense(2), Harmless(name="harmless")])
    model.compile("sgd", "mse")
    with pytest.raises(OwnError) as raised:
        model.fit(X, 100 + Y, batch_size=4, verbose=0)
    assert "Harmless 'harmless'" in "\n".join(told(raised.value))
