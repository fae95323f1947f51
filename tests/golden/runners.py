"""What is done with each case: the same steps on real Keras and on cnn_core.

Every function takes the `keras` module. Gradients are the one thing the two
libraries spell differently: `tape_gradients` is for cnn_core, and `generate.py` has
its own way on JAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from case_types import (
    Array,
    LayerCase,
    MetricCase,
    OptimizerCase,
    ScheduleCase,
    TrainCase,
)

STEPS = 5
BATCH = 4


def to_numpy(keras: Any, value: Any) -> Array:
    """A tensor, variable or number as an array."""
    return np.asarray(keras.ops.convert_to_numpy(value))


def dtype_name(tensor: Any) -> str:
    """The dtype of a tensor by its name in NumPy."""
    return str(tensor.dtype).rpartition(".")[-1]


def without_counter(names: list[str]) -> list[str]:
    """Variable names without the number that makes an automatic name unique."""
    return [re.sub(r"_\d+$", "", name) for name in names]


def outputs_of(value: Any) -> list[Any]:
    """The results of an operation as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def tape_gradients(
    keras: Any,
    function: Callable[..., Any],
    arrays: list[Array],
    cotangents: list[Array],
    variables: list[Any] | None = None,
) -> list[Array]:
    """Gradients of sum(output * cotangent) by the arrays, then by the variables."""
    inputs = [keras.ops.convert_to_tensor(array) for array in arrays]
    sources = inputs + list(variables or [])
    with keras.GradientTape() as tape:
        for x in inputs:
            tape.watch(x)
        outputs = outputs_of(function(*inputs))
        factors = [keras.ops.convert_to_tensor(c) for c in cotangents]
        pairs = zip(outputs, factors, strict=True)
        total = sum(keras.ops.sum(y * c) for y, c in pairs)
    gradients = tape.gradient(total, sources)
    return [
        np.zeros(x.shape, "float32") if g is None else to_numpy(keras, g)
        for x, g in zip(sources, gradients, strict=True)
    ]


# layers


def built_layer(keras: Any, layer: Any, case: LayerCase) -> Any:
    """`layer`, with its weights created for the shapes of the case."""
    layer.build(case.arguments(list(case.shapes)))
    return layer


def layer_output(
    keras: Any, layer: Any, case: LayerCase, inputs: list[Array], training: bool
) -> Array:
    """The layer called on the inputs; `training` is passed where it matters."""
    tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
    options = {"training": True} if training else {}
    return to_numpy(keras, layer(case.arguments(tensors), **options))


def symbolic_shape(keras: Any, layer: Any, case: LayerCase) -> list[int | None]:
    """The shape of the output on symbolic inputs with an unknown batch."""
    dtypes = case.dtypes or ("float32",) * len(case.shapes)
    inputs = [
        keras.Input(shape=shape[1:], dtype=dtype)
        for shape, dtype in zip(case.shapes, dtypes, strict=True)
    ]
    return list(layer(case.arguments(inputs)).shape)


def output_shape(layer: Any, case: LayerCase) -> list[int | None]:
    """`compute_output_shape` with an unknown batch."""
    shapes = [(None, *shape[1:]) for shape in case.shapes]
    return list(layer.compute_output_shape(case.arguments(shapes)))


# losses and metrics


def loss_weights(kind: str, y_pred: Array, values: Array, raw: Array) -> Any:
    """Sample weights of a kind that fits `values`, or None where none fits.

    Args:
        kind: one of `cases.WEIGHTS`.
        y_pred: the predictions, shape (batch, ...).
        values: the losses before reduction.
        raw: positive numbers to take weights from, shape of `y_pred`, flattened.
    """
    batch = y_pred.shape[0]
    if kind == "none":
        return None
    if kind == "scalar":
        return np.float32(raw[0])
    if kind == "elements":
        return raw[: values.size].reshape(values.shape)
    if kind == "column":
        return raw[:batch, None]
    return raw[:batch] if values.ndim == 1 else None


def metric_results(
    keras: Any, metric: Any, batches: list[tuple[Array, ...]]
) -> list[Array]:
    """The result after each batch of `(y_true, y_pred[, sample_weight])`."""
    results = []
    for batch in batches:
        weight = {"sample_weight": batch[2]} if len(batch) > 2 else {}
        metric.update_state(batch[0], batch[1], **weight)
        results.append(to_numpy(keras, metric.result()))
    return results


def metric_batches(
    case: MetricCase, stored: Callable[[str], list[Array]], weighted: bool
) -> list[tuple[Array, ...]]:
    """The batches of a case from its stored data."""
    parts = [stored("y_true"), stored("y_pred")]
    if weighted:
        parts.append(stored("sample_weight"))
    return list(zip(*parts, strict=True))


# optimizers


def optimizer_steps(
    keras: Any,
    case: OptimizerCase,
    initial: list[Array],
    gradients: list[list[Array]],
) -> tuple[list[list[Array]], Any]:
    """Values of the variables after each step, and the optimizer."""
    variables = [
        keras.Variable(value, name=name)
        for value, name in zip(initial, ("kernel", "bias"), strict=True)
    ]
    optimizer = case.build(keras)
    history = []
    for step in gradients:
        tensors = [keras.ops.convert_to_tensor(g) for g in step]
        optimizer.apply_gradients(list(zip(tensors, variables, strict=True)))
        history.append([to_numpy(keras, v) for v in variables])
    if case.finalize:
        optimizer.finalize_variable_values(variables)
        history.append([to_numpy(keras, v) for v in variables])
    return history, optimizer


def schedule_values(keras: Any, case: ScheduleCase, steps: Array) -> Array:
    """The learning rate at each step."""
    schedule = case.build(keras)
    values = [to_numpy(keras, schedule(int(step))) for step in steps]
    return np.array(values, "float32")


# training


def compiled(keras: Any, case: TrainCase, weights: list[Array]) -> Any:
    """A fresh model of the case with the given weights."""
    model = case.build(keras)
    model.compile(**case.compile(keras))
    model.set_weights(weights)
    return model


def numbers(logs: Any) -> Any:
    """Logs with plain Python numbers."""
    if isinstance(logs, dict):
        return {key: float(value) for key, value in logs.items()}
    return [float(value) for value in logs] if isinstance(logs, list) else float(logs)


def train_steps(keras: Any, case: TrainCase, weights: list[Array], data: Any) -> Any:
    """Five `train_on_batch` steps on the whole data, then the evaluations.

    Returns:
        `(logs, weights, predictions)`: logs by name, the weights after the steps
        and the flat list of predictions.
    """
    model = compiled(keras, case, weights)
    batch = (data["x"], data["y"])
    weight = {k: v for k, v in data.items() if k == "sample_weight"}
    steps = [
        numbers(model.train_on_batch(*batch, **weight, **case.fit, return_dict=True))
        for _ in range(STEPS)
    ]
    evaluation = {"batch_size": BATCH, "verbose": 0, **weight}
    logs = {
        "train_on_batch": steps,
        "test_on_batch": numbers(
            model.test_on_batch(*batch, **weight, return_dict=True)
        ),
        "evaluate": numbers(model.evaluate(*batch, **evaluation, return_dict=True)),
        "evaluate_list": numbers(model.evaluate(*batch, **evaluation)),
        "metrics_names": list(model.metrics_names),
    }
    predictions = model.predict(data["x"], batch_size=BATCH, verbose=0)
    return logs, model.get_weights(), predictions


def fit_history(
    keras: Any, case: TrainCase, weights: list[Array], data: Any, validation: Any
) -> tuple[dict[str, list[float]], list[Array]]:
    """History and final weights of a two-epoch `fit` without shuffling."""
    model = compiled(keras, case, weights)
    names = [name for name in ("x", "y", "sample_weight") if name in data]
    history = model.fit(
        **data,
        **case.fit,
        batch_size=BATCH,
        epochs=2,
        shuffle=False,
        verbose=0,
        validation_data=tuple(validation[name] for name in names),
    )
    logs = {k: [float(v) for v in values] for k, values in history.history.items()}
    return logs, model.get_weights()
