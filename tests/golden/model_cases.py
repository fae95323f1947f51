"""Training runs and saved models."""

from __future__ import annotations

from typing import Any

import numpy as np
from case_types import SavedCase, TrainCase, normal, uniform

Rng = np.random.Generator
Data = dict[str, Any]


def _mlp(keras: Any, outputs: int = 3, activation: str = "softmax") -> Any:
    return keras.Sequential(
        [
            keras.Input((4,), name="features"),
            keras.layers.Dense(5, activation="tanh", name="hidden"),
            keras.layers.Dense(outputs, activation=activation, name="output"),
        ],
        name="mlp",
    )


def _linear(keras: Any) -> Any:
    return _mlp(keras, 2, "linear")


def _binary_model(keras: Any) -> Any:
    return _mlp(keras, 1, "sigmoid")


def _regularized(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((4,), name="features"),
            keras.layers.Dense(
                5,
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(0.01),
                bias_regularizer=keras.regularizers.L1(0.02),
                kernel_constraint=keras.constraints.MaxNorm(1.0),
                name="hidden",
            ),
            keras.layers.ActivityRegularization(l1=0.01, l2=0.005, name="activity"),
            keras.layers.Dense(
                3,
                activity_regularizer=keras.regularizers.L2(0.03),
                kernel_regularizer=keras.regularizers.L1L2(0.001, 0.002),
                name="logits",
            ),
        ],
        name="regularized",
    )


def _two_outputs(keras: Any) -> Any:
    x = keras.Input((4,), name="features")
    h = keras.layers.Dense(5, activation="tanh", name="trunk")(x)
    value = keras.layers.Dense(1, name="value")(h)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(h)
    return keras.Model(x, [value, kind], name="two_outputs")


def _dict_outputs(keras: Any) -> Any:
    x = keras.Input((4,), name="features")
    h = keras.layers.Dense(5, activation="tanh", name="trunk")(x)
    value = keras.layers.Dense(1, name="value")(h)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(h)
    return keras.Model(x, {"value": value, "kind": kind}, name="dict_outputs")


def _two_inputs(keras: Any) -> Any:
    a = keras.Input((3,), name="left")
    b = keras.Input((2,), name="right")
    left = keras.layers.Dense(4, activation="relu", name="left_dense")(a)
    right = keras.layers.Dense(4, activation="elu", name="right_dense")(b)
    both = keras.layers.concatenate([left, right])
    added = keras.layers.add([left, right])
    merged = keras.layers.Concatenate(name="merged")([both, added])
    return keras.Model([a, b], keras.layers.Dense(2, name="out")(merged), name="pair")


def _shared(keras: Any) -> Any:
    shared = keras.layers.Dense(3, activation="tanh", name="shared")
    x = keras.Input((3,), name="features")
    y = shared(shared(x))
    return keras.Model(x, keras.layers.Dense(1, name="out")(y), name="shared_layer")


def _frozen(keras: Any) -> Any:
    model = _mlp(keras)
    model.get_layer("hidden").trainable = False
    return model


def _flat(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((2, 3)),
            keras.layers.Rescaling(0.5, offset=0.1),
            keras.layers.Flatten(),
            keras.layers.Dense(6),
            keras.layers.Activation("gelu"),
            keras.layers.Dropout(0.3),
            keras.layers.Reshape((3, 2)),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name="flat",
    )


def _nested(keras: Any) -> Any:
    inner_input = keras.Input((4,), name="inner_input")
    inner_output = keras.layers.Dense(3, activation="relu", name="d1")(inner_input)
    inner = keras.Model(inner_input, inner_output, name="inner")
    x = keras.Input((4,), name="outer_input")
    y = keras.layers.Dense(2, name="head")(inner(x))
    return keras.Model(x, y, name="nested")


def _labels(rng: Rng, rows: int) -> Data:
    return {"x": normal(rng, rows, 4), "y": rng.integers(0, 3, rows).astype("int32")}


def _one_hot(rng: Rng, rows: int) -> Data:
    data = _labels(rng, rows)
    return {"x": data["x"], "y": np.eye(3, dtype="float32")[data["y"]]}


def _targets(rng: Rng, rows: int) -> Data:
    return {"x": normal(rng, rows, 4), "y": normal(rng, rows, 2)}


def _binary(rng: Rng, rows: int) -> Data:
    y = rng.integers(0, 2, (rows, 1)).astype("float32")
    return {"x": normal(rng, rows, 4), "y": y}


def _weighted_binary(rng: Rng, rows: int) -> Data:
    weight = uniform(rng, rows, low=0.0, high=2.0)
    return {**_binary(rng, rows), "sample_weight": weight}


def _weighted_labels(rng: Rng, rows: int) -> Data:
    weight = uniform(rng, rows, low=0.0, high=2.0)
    return {**_labels(rng, rows), "sample_weight": weight}


def _both(rng: Rng, rows: int) -> Data:
    kinds = rng.integers(0, 3, rows).astype("int32")
    return {"x": normal(rng, rows, 4), "y": [normal(rng, rows, 1), kinds]}


def _both_dict(rng: Rng, rows: int) -> Data:
    data = _both(rng, rows)
    return {"x": data["x"], "y": {"value": data["y"][0], "kind": data["y"][1]}}


def _both_weighted(rng: Rng, rows: int) -> Data:
    weights = [uniform(rng, rows, high=2.0), uniform(rng, rows, high=2.0)]
    return {**_both(rng, rows), "sample_weight": weights}


def _pairs(rng: Rng, rows: int) -> Data:
    x = [normal(rng, rows, 3), normal(rng, rows, 2)]
    return {"x": x, "y": normal(rng, rows, 2)}


def _pairs_dict(rng: Rng, rows: int) -> Data:
    data = _pairs(rng, rows)
    return {"x": {"left": data["x"][0], "right": data["x"][1]}, "y": data["y"]}


def _scalars(rng: Rng, rows: int) -> Data:
    return {"x": normal(rng, rows, 3), "y": normal(rng, rows)}


TRAIN_CASES: dict[str, TrainCase] = {
    "mse_sgd": TrainCase(
        _linear,
        lambda keras: {"optimizer": keras.optimizers.SGD(0.1), "loss": "mse"},
        _targets,
    ),
    "mse_adam_metrics": TrainCase(
        _linear,
        lambda keras: {
            "optimizer": keras.optimizers.Adam(0.05),
            "loss": keras.losses.MeanSquaredError(),
            "metrics": ["mae", keras.metrics.RootMeanSquaredError(name="rmse")],
        },
        _targets,
    ),
    "sparse_adam": TrainCase(
        _mlp,
        lambda keras: {
            "optimizer": keras.optimizers.Adam(0.05),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        _labels,
    ),
    "categorical_sgd_momentum": TrainCase(
        _mlp,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
            "loss": "categorical_crossentropy",
            "metrics": ["acc", "mse", "categorical_crossentropy"],
        },
        _one_hot,
    ),
    "binary_rmsprop_sample_weight": TrainCase(
        _binary_model,
        lambda keras: {
            "optimizer": keras.optimizers.RMSprop(0.02),
            "loss": "binary_crossentropy",
            "metrics": ["accuracy"],
            "weighted_metrics": ["accuracy", "mae"],
        },
        _weighted_binary,
    ),
    "binary_precision_recall": TrainCase(
        _binary_model,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.5),
            "loss": keras.losses.BinaryCrossentropy(label_smoothing=0.1),
            "metrics": [
                keras.metrics.Precision(name="precision"),
                keras.metrics.Recall(name="recall"),
            ],
        },
        _binary,
    ),
    "sparse_class_weight": TrainCase(
        _mlp,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.2),
            "loss": "sparse_categorical_crossentropy",
            "weighted_metrics": ["accuracy"],
        },
        _labels,
        {"class_weight": {0: 1.0, 1: 3.0, 2: 0.25}},
    ),
    "one_hot_class_weight": TrainCase(
        _mlp,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.2),
            "loss": "categorical_crossentropy",
        },
        _one_hot,
        {"class_weight": {0: 2.0, 2: 0.5}},
    ),
    "sum_reduction": TrainCase(
        _mlp,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.05),
            "loss": keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
        },
        _weighted_labels,
    ),
    "regularized_sgd": TrainCase(
        _regularized,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "metrics": ["accuracy"],
        },
        _labels,
    ),
    "loss_weight_single": TrainCase(
        _linear,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": "huber",
            "loss_weights": [0.5],
        },
        _targets,
    ),
    "frozen_layer": TrainCase(
        _frozen,
        lambda keras: {
            "optimizer": keras.optimizers.Adam(0.05),
            "loss": "sparse_categorical_crossentropy",
        },
        _labels,
    ),
    "schedule_clipnorm_ema": TrainCase(
        _linear,
        lambda keras: {
            "optimizer": keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(0.1, 6),
                weight_decay=0.05,
                clipnorm=0.5,
                use_ema=True,
                ema_momentum=0.9,
            ),
            "loss": "log_cosh",
        },
        _targets,
    ),
    "gradient_accumulation": TrainCase(
        _linear,
        lambda keras: {
            "optimizer": keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
            "loss": "mse",
        },
        _targets,
    ),
    "two_outputs": TrainCase(
        _two_outputs,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": ["mse", "sparse_categorical_crossentropy"],
            "loss_weights": [0.3, 2.0],
            "metrics": [["mae"], ["accuracy"]],
        },
        _both,
    ),
    "two_outputs_dict": TrainCase(
        _two_outputs,
        lambda keras: {
            "optimizer": keras.optimizers.Adam(0.05),
            "loss": {"value": "mae", "kind": "sparse_categorical_crossentropy"},
            "loss_weights": {"value": 0.5, "kind": 1.5},
            "metrics": {"kind": ["accuracy"], "value": "mse"},
        },
        _both_dict,
    ),
    "two_outputs_one_loss": TrainCase(
        _two_outputs,
        lambda keras: {"optimizer": keras.optimizers.SGD(0.05), "loss": ["mse", None]},
        _both,
    ),
    "two_outputs_sample_weight": TrainCase(
        _two_outputs,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": ["mse", "sparse_categorical_crossentropy"],
            "weighted_metrics": [["mae"], ["accuracy"]],
        },
        _both_weighted,
    ),
    "dict_outputs": TrainCase(
        _dict_outputs,
        lambda keras: {
            "optimizer": keras.optimizers.SGD(0.1),
            "loss": {"value": "mse", "kind": "sparse_categorical_crossentropy"},
            "metrics": {"value": ["mae"], "kind": ["accuracy"]},
        },
        _both_dict,
    ),
    "two_inputs": TrainCase(
        _two_inputs,
        lambda keras: {"optimizer": keras.optimizers.SGD(0.1), "loss": "mse"},
        _pairs,
    ),
    "two_inputs_dict": TrainCase(
        _two_inputs,
        lambda keras: {"optimizer": keras.optimizers.SGD(0.1), "loss": "mse"},
        _pairs_dict,
    ),
    "shared_layer_vector_targets": TrainCase(
        _shared,
        lambda keras: {
            "optimizer": keras.optimizers.Nadam(0.05),
            "loss": "mse",
            "metrics": ["mae", "mse"],
        },
        _scalars,
    ),
}


def _adam(keras: Any) -> dict[str, Any]:
    return {
        "optimizer": keras.optimizers.Adam(0.02),
        "loss": "mse",
        "metrics": ["mae"],
    }


def _rmsprop(keras: Any) -> dict[str, Any]:
    return {
        "optimizer": keras.optimizers.RMSprop(
            keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9), momentum=0.5
        ),
        "loss": keras.losses.Huber(delta=0.5),
    }


def _weighted_sum(keras: Any) -> dict[str, Any]:
    return {
        "optimizer": "sgd",
        "loss": ["mse", keras.losses.MeanAbsoluteError()],
        "loss_weights": [1.0, 0.5],
        "metrics": [["mae"], []],
    }


SAVED_CASES: dict[str, SavedCase] = {
    "sequential": SavedCase(_flat, ((2, 3),)),
    "branches": SavedCase(_two_inputs, ((3,), (2,)), weights_file=True),
    "two_outputs": SavedCase(
        _two_outputs, ((4,),), ((1,), (3,)), _weighted_sum, steps=1
    ),
    "regularized": SavedCase(_regularized, ((4,),)),
    "shared_layer": SavedCase(_shared, ((3,),)),
    "nested": SavedCase(_nested, ((4,),), weights_file=True),
    "adam_trained": SavedCase(
        _linear, ((4,),), ((2,),), _adam, steps=2, weights_file=True
    ),
    "rmsprop_schedule": SavedCase(_linear, ((4,),), ((2,),), _rmsprop, steps=2),
}
