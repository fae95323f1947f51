"""Every layer, loss, metric and optimizer: programs give the bits of eager training."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend, layers, losses, metrics, ops, optimizers

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

RNG = np.random.default_rng(5)
ROWS = 22  # a partial batch at the end
X = RNG.normal(size=(ROWS, 6)).astype("float32")
CUBE = RNG.normal(size=(ROWS, 4, 3)).astype("float32")
IMAGES = RNG.normal(size=(ROWS, 2, 3, 2)).astype("float32")
VOLUMES = RNG.normal(size=(ROWS, 2, 2, 2, 2)).astype("float32")
NUMBERS = RNG.integers(0, 9, (ROWS, 6))
TARGETS = RNG.normal(size=(ROWS, 3)).astype("float32")
POSITIVE = RNG.uniform(0.1, 2, (ROWS, 3)).astype("float32")
LABELS = RNG.integers(0, 3, ROWS)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
BITS = RNG.integers(0, 2, (ROWS, 3)).astype("float32")
SIGNS = 2 * BITS - 1
HOLES = CUBE * RNG.integers(0, 2, (ROWS, 4, 1))
ALL_STEPS = {"train_step", "test_step", "predict_step"}
ONCE = {"train_step"}  # single batches run eagerly the first time


def assert_same_training(make, x, y, **options):
    """Train eagerly and natively and compare everything, bit for bit."""
    seen = []
    for eager in (True, False):
        keras.utils.clear_session()
        keras.utils.set_random_seed(7)
        model = make()
        model.run_eagerly = eager
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = model.fit(
                x, y, batch_size=8, epochs=2, verbose=0, **options
            ).history
            results = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
            outputs = keras.tree.flatten(model.predict(x, batch_size=8, verbose=0))
        kept = [
            *model.weights,
            *model.optimizer.variables,
            *model.non_trainable_weights,
        ]
        kept += model.metrics_variables
        seen.append((history, results, [np.array(v) for v in kept], outputs))
        if not eager:
            steps = {key[0] for key in model._programs._programs}
            assert steps == (ALL_STEPS if len(keras.tree.flatten(x)[0]) >= 16 else ONCE)
    (history, results, kept, outputs), native = seen
    assert _exact(history) == _exact(native[0])
    assert _exact(results) == _exact(native[1])
    for a, b in zip((*kept, *outputs), (*native[2], *native[3]), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def _exact(logs):
    return {k: np.array(v).tobytes() for k, v in logs.items()}


def compiled(layer_list, loss="mse", optimizer="sgd", metric=()):
    model = keras.Sequential(layer_list)
    model.compile(optimizer, loss, metrics=list(metric) or None)
    return model


# --- layers -------------------------------------------------------------------


def merged(layer, **options):
    def make():
        inputs = keras.Input((6,))
        a = layers.Dense(4, activation="tanh")(inputs)
        b = layers.Dense(4)(inputs)
        model = keras.Model(inputs, layers.Dense(3)(layer(**options)([a, b])))
        model.compile("adam", "mse")
        return model

    return make


def masked():
    inputs = keras.Input((4, 3))
    x = layers.Masking(mask_value=0.0)(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    return model


def stacked(shape, *middle):
    """Return a function that makes a model with fresh layers between two others."""

    def make():
        between = [part() for part in middle]
        return compiled(
            [layers.Input(shape), *between, layers.Flatten(), layers.Dense(3)]
        )

    return make


LAYERS = {
    "ELU": lambda: layers.ELU(0.7),
    "Activation": lambda: layers.Activation("softsign"),
    "ActivityRegularization": lambda: layers.ActivityRegularization(0.1, 0.2),
    "AlphaDropout": lambda: layers.AlphaDropout(0.3),
    "Dense": lambda: layers.Dense(
        4,
        activation="selu",
        kernel_regularizer="l1_l2",
        bias_regularizer="l2",
        activity_regularizer="l1",
        kernel_constraint="max_norm",
        bias_constraint="non_neg",
    ),
    "Dropout": lambda: layers.Dropout(0.4),
    "Flatten": layers.Flatten,
    "GaussianDropout": lambda: layers.GaussianDropout(0.3),
    "GaussianNoise": lambda: layers.GaussianNoise(0.3),
    "Identity": layers.Identity,
    "Lambda": lambda: layers.Lambda(lambda x: ops.sin(x) * x + 1),
    "LeakyReLU": layers.LeakyReLU,
    "PReLU": lambda: layers.PReLU("uniform", shared_axes=[1]),
    "Permute": lambda: layers.Permute((2, 1)),
    "ReLU": lambda: layers.ReLU(2.0, 0.1, 0.2),
    "Rescaling": lambda: layers.Rescaling(0.5, offset=[0.1, 0.2, 0.3]),
    "Reshape": lambda: layers.Reshape((2, -1)),
    "Softmax": layers.Softmax,
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.4),
    "UnitNormalization": layers.UnitNormalization,
}
OTHERS = {
    "RepeatVector": (stacked((6,), lambda: layers.RepeatVector(3)), X, TARGETS),
    "SpatialDropout2D": (
        stacked((2, 3, 2), lambda: layers.SpatialDropout2D(0.4)),
        IMAGES,
        TARGETS,
    ),
    "SpatialDropout3D": (
        stacked((2, 2, 2, 2), lambda: layers.SpatialDropout3D(0.4)),
        VOLUMES,
        TARGETS,
    ),
    "Dot": (merged(layers.Dot, axes=1), X, TARGETS),
    "Masking": (masked, HOLES, HOLES[..., :2]),
    **{
        name: (merged(getattr(layers, name)), X, TARGETS)
        for name in "Add Average Concatenate Maximum Minimum Multiply Subtract".split()
    },
}
NOT_LAYERS_OF_A_STACK = {"Input", "InputLayer", "InputSpec", "Layer"}


def classes_of(module):
    return {name for name in module.__all__ if name[0].isupper()}


def test_all_layers_are_here():
    assert classes_of(layers) - NOT_LAYERS_OF_A_STACK == {*LAYERS, *OTHERS}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    make = stacked((4, 3), lambda: layers.Dense(3), LAYERS[name])
    assert_same_training(make, CUBE, TARGETS)


@pytest.mark.parametrize("name", OTHERS)
def test_other_layer(name):
    make, x, y = OTHERS[name]
    assert_same_training(make, x, y)


ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh "
    "leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu "
    "soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax "
    "squareplus swish tanh tanh_shrink threshold"
).split()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    function = keras.activations.get(name)
    if name == "threshold":
        function = lambda x: keras.activations.threshold(x, 0.1, -0.2)
    make = stacked((6,), lambda: layers.Dense(4, activation=function))
    assert_same_training(make, X, TARGETS)


# --- losses and metrics -------------------------------------------------------

TARGETS_OF_LOSSES = {
    "BinaryCrossentropy": BITS,
    "BinaryFocalCrossentropy": BITS,
    "CategoricalCrossentropy": ONE_HOT,
    "CategoricalFocalCrossentropy": ONE_HOT,
    "CategoricalHinge": ONE_HOT,
    "Hinge": SIGNS,
    "KLDivergence": ONE_HOT,
    "MeanSquaredLogarithmicError": POSITIVE,
    "Poisson": POSITIVE,
    "SparseCategoricalCrossentropy": LABELS,
    "SquaredHinge": SIGNS,
}
LOSSES = sorted(classes_of(losses) - {"Loss", "LossFunctionWrapper"})


def positive_outputs(loss, metric=()):
    return lambda: compiled(
        [
            layers.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ],
        loss() if callable(loss) else loss,
        "adam",
        [m() for m in metric],
    )


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"]
)
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    make = positive_outputs(lambda: getattr(losses, name)(reduction=reduction))
    weights = np.linspace(0, 2, ROWS)
    y = TARGETS_OF_LOSSES.get(name, TARGETS)
    assert_same_training(make, X, y, sample_weight=weights)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
        (
            "BinaryFocalCrossentropy",
            {"from_logits": True, "apply_class_balancing": True},
        ),
        ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
        ("CategoricalFocalCrossentropy", {"from_logits": True}),
        ("SparseCategoricalCrossentropy", {"from_logits": True}),
        ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}),
        ("SparseCategoricalCrossentropy", {"ignore_class": -1}),
        ("Huber", {"delta": 0.3}),
    ],
)
def test_loss_with_options(name, options):
    make = positive_outputs(lambda: getattr(losses, name)(**options))
    assert_same_training(make, X, TARGETS_OF_LOSSES.get(name, TARGETS))


OF_BITS = {
    "PrecisionAtRecall": lambda: metrics.PrecisionAtRecall(0.5),
    "RecallAtPrecision": lambda: metrics.RecallAtPrecision(0.5),
    "SensitivityAtSpecificity": lambda: metrics.SensitivityAtSpecificity(0.5),
    "SpecificityAtSensitivity": lambda: metrics.SpecificityAtSensitivity(0.5),
    "SparseTopKCategoricalAccuracy": lambda: metrics.SparseTopKCategoricalAccuracy(2),
    "TopKCategoricalAccuracy": lambda: metrics.TopKCategoricalAccuracy(2),
}
# Those take values rather than targets and predictions.
NOT_FOR_MODELS = {"Mean", "Sum", "Metric", "MeanMetricWrapper"}
METRICS = sorted(classes_of(metrics) - NOT_FOR_MODELS)


@pytest.mark.parametrize("name", METRICS)
def test_metric(name):
    make_metric = OF_BITS.get(name, getattr(metrics, name))
    sparse = name.startswith("Sparse")
    loss = "sparse_categorical_crossentropy" if sparse else "mse"
    make = positive_outputs(lambda: loss, [make_metric])
    assert_same_training(make, X, LABELS if sparse else ONE_HOT)


# --- optimizers ---------------------------------------------------------------

OPTIMIZERS = {
    name: [{}] for name in classes_of(optimizers) - {"Optimizer", "LossScaleOptimizer"}
}
OPTIMIZERS["SGD"] += [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]
OPTIMIZERS["RMSprop"] += [{"momentum": 0.9, "centered": True}]
OPTIMIZERS["Adam"] += [
    {"amsgrad": True},
    {"weight_decay": 0.01},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.01},
    {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2},
    {"use_ema": True},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 2, "use_ema": True, "clipnorm": 0.1},
]
SCHEDULES = {
    "CosineDecay": lambda s: s.CosineDecay(0.1, 4, warmup_target=0.2, warmup_steps=2),
    "CosineDecayRestarts": lambda s: s.CosineDecayRestarts(0.1, 3),
    "ExponentialDecay": lambda s: s.ExponentialDecay(0.1, 2, 0.5, staircase=True),
    "InverseTimeDecay": lambda s: s.InverseTimeDecay(0.1, 2, 0.5),
    "PiecewiseConstantDecay": lambda s: s.PiecewiseConstantDecay(
        [2, 4], [0.1, 0.05, 0.01]
    ),
    "PolynomialDecay": lambda s: s.PolynomialDecay(0.1, 3, cycle=True),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in sorted(OPTIMIZERS) for options in OPTIMIZERS[name]],
)
def test_optimizer(name, options):
    def make():
        return compiled(
            [layers.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(3)],
            "mse",
            getattr(optimizers, name)(0.05, **options),
        )

    assert_same_training(make, X, TARGETS)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    def make():
        schedule = SCHEDULES[name](optimizers.schedules)
        return compiled(
            [layers.Input((6,)), layers.Dense(3)], "mse", optimizers.Adam(schedule)
        )

    assert_same_training(make, X, TARGETS)


# --- models -------------------------------------------------------------------


class Counting(layers.Layer):
    """Keeps a moving mean and a number of calls, and draws noise."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(4)

    def build(self, input_shape):
        self.mean = self.add_weight((input_shape[-1],), "zeros", trainable=False)
        self.calls = self.add_weight((), "zeros", "int32", trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(inputs, axis=0))
            self.calls.assign_add(1)
            inputs = inputs + keras.random.normal(ops.shape(inputs), seed=self.seeds)
        self.add_loss(0.1 * ops.mean(ops.abs(inputs)))
        return inputs - self.mean


def with_state():
    return compiled([layers.Input((6,)), layers.Dense(4), Counting(), layers.Dense(3)])


def with_operations():
    inputs = keras.Input((4, 3))
    x = layers.Dense(3)(inputs)
    x = ops.concatenate([x, ops.exp(-x), inputs * 2 - 1], axis=-1)
    x = ops.where(x > 0.5, x, ops.square(x))
    x = ops.transpose(x, (0, 2, 1))
    left, right = ops.split(x, [4], axis=1)
    x = ops.matmul(left, ops.transpose(right, (0, 2, 1))) / 3
    x = ops.max(x, axis=1) + ops.mean(x, axis=2)[:, :1] + x[:, 0, ::-1]
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("rmsprop", "mae")
    return model


def shared():
    twin = layers.Dense(5, activation="tanh")
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    distance = layers.Subtract()([twin(a), twin(b)])
    inner = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dropout(0.2)])
    model = keras.Model({"a": a, "b": b}, layers.Dense(3)(inner(distance)))
    model.compile("nadam", "mse", metrics=["mae"])
    return model


def whole_numbers():
    def embed(x):
        return ops.one_hot(x, 9)

    inputs = keras.Input((6,), dtype="int64")
    x = layers.Flatten()(layers.Lambda(embed)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("ftrl", "mse")
    return model


def double():
    model = keras.Sequential(
        [
            layers.Input((6,), dtype="float64"),
            layers.Dense(4, activation="gelu", dtype="float64"),
            layers.Dense(3, dtype="float64"),
        ]
    )
    model.compile("adam", "mse")
    return model


def no_weights():
    inputs = keras.Input((6,))
    hidden = layers.Dense(3)(inputs)
    hidden = layers.Reshape((3, 1))(layers.Identity()(hidden))
    model = keras.Model(inputs, [layers.Flatten()(hidden), layers.ReLU()(hidden[:, 0])])
    model.compile("lion", ["mse", None])
    return model


MODELS = {
    "state": (with_state, X, TARGETS),
    "operations": (with_operations, CUBE, TARGETS),
    "shared": (shared, {"a": X, "b": X[::-1]}, TARGETS),
    "whole_numbers": (whole_numbers, NUMBERS, TARGETS),
    "double": (double, X.astype("float64"), TARGETS.astype("float64")),
    "no_weights": (no_weights, X, [TARGETS, TARGETS[:, :1]]),
}


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    assert_same_training(*MODELS[name])


def test_batches_of_one():
    make = MODELS["state"][0]
    for rows in (1, 2, 9, 17):
        assert_same_training(make, X[:rows], TARGETS[:rows])
