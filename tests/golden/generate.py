"""Write the golden data with real Keras.

    pip install keras jax scikit-learn
    KERAS_BACKEND=jax python tests/golden/generate.py [family ...]

The data in the repository came from Keras 3.15.1 on JAX 0.10.2 on the CPU. Running
it again with the same versions gives the same files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import cases
import generate_models
import jax
import keras
import numpy as np
import runners
from case_types import Array, generator, normal, uniform
from keras.src.initializers.random_initializers import compute_fans
from loader import DATA, flatten, normalized_config, save

Arrays = dict[str, Array]
Meta = dict[str, Any]


def vjp(function: Callable[..., Any], inputs: list[Array]) -> Any:
    """Outputs of `function(*inputs)` and the map from cotangents to gradients."""
    arrays = [jax.numpy.asarray(x) for x in inputs]
    return jax.vjp(lambda *x: runners.outputs_of(function(*x)), *arrays)


def add_gradients(
    arrays: Arrays, name: str, function: Callable[..., Any], inputs: list[Array]
) -> None:
    """Store a random cotangent per float output and the gradient per input."""
    outputs, pullback = vjp(function, inputs)
    rng = generator(name + " cotangent")
    cotangents = [normal(rng, *y.shape) for y in outputs]
    arrays.update(flatten(f"{name}/cotangent", cotangents))
    arrays.update(flatten(f"{name}/gradient", list(pullback(cotangents))))


def layers() -> tuple[Arrays, Meta]:
    arrays: Arrays = {}
    meta: Meta = {"inputs": {}}
    for name, case in cases.LAYER_CASES.items():
        rng = generator(name)
        dtypes = case.dtypes or ("float32",) * len(case.shapes)
        inputs = [
            normal(rng, *shape).astype(dtype)
            if np.dtype(dtype).kind == "f"
            else rng.integers(0, 200, shape).astype(dtype)
            for shape, dtype in zip(case.shapes, dtypes, strict=True)
        ]
        layer = runners.built_layer(keras, case.build(keras), case)
        weights = [normal(rng, *w.shape, scale=0.5) for w in layer.weights]
        layer.set_weights(weights)
        arrays.update(flatten(f"{name}/input", inputs))
        arrays.update(flatten(f"{name}/weight", weights))
        value = runners.layer_output(keras, layer, case, inputs, False)
        losses = [float(loss) for loss in layer.losses]
        arrays[f"{name}/output"] = value
        for training in case.training:
            again = runners.layer_output(keras, layer, case, inputs, training)
            np.testing.assert_array_equal(again, value)
        if case.gradient:
            _layer_gradients(arrays, name, case, layer, inputs, weights)
        meta[name] = {
            "dtype": str(value.dtype),
            "weights": [w.name for w in layer.weights],
            "losses": losses,
            "config": normalized_config(layer.get_config()) if case.config else None,
        }
        if case.symbolic:
            shapes = {
                "compute_output_shape": runners.output_shape(layer, case),
                "symbolic_shape": runners.symbolic_shape(
                    keras, case.build(keras), case
                ),
            }
            known = [(None, *value.shape[1:])] * 2
            if list(map(tuple, shapes.values())) != known:
                raise ValueError(f"{name}: Keras infers {shapes}, not {known[0]}")
            meta[name] |= shapes
    for name, options in cases.INPUT_CASES.items():
        tensor = keras.Input(**options)
        config = keras.layers.InputLayer(**options).get_config()
        meta["inputs"][name] = {
            "shape": tensor.shape,
            "dtype": tensor.dtype,
            "config": normalized_config(config),
        }
    return arrays, meta


def _layer_gradients(
    arrays: Arrays,
    name: str,
    case: Any,
    layer: Any,
    inputs: list[Array],
    weights: list[Array],
) -> None:
    state = [v.value for v in layer.non_trainable_variables]

    def call(*values: Any) -> Any:
        tensors, trainable = list(values[: len(inputs)]), list(values[len(inputs) :])
        return layer.stateless_call(trainable, state, case.arguments(tensors))[0]

    add_gradients(arrays, name, call, [*inputs, *weights])


def activations() -> tuple[Arrays, Meta]:
    arrays: Arrays = {f"grid/{name}": grid for name, grid in cases.GRIDS.items()}
    for name, case in cases.ACTIVATION_CASES.items():
        grid = cases.GRIDS[case.grid]
        arrays[f"{name}/output"] = runners.to_numpy(keras, case.call(keras, grid))
        add_gradients(arrays, name, lambda x, c=case: c.call(keras, x), [grid])
    return arrays, {}


def losses() -> tuple[Arrays, Meta]:
    arrays: Arrays = {}
    meta: Meta = {"names": {}}
    for name, build in cases.DATA.items():
        arrays[f"{name}/y_true"], arrays[f"{name}/y_pred"] = build(generator(name))
        shape = arrays[f"{name}/y_pred"].shape
        raw = uniform(generator(name + " weights"), *shape, low=0.125, high=2.0)
        arrays[f"{name}/raw_weight"] = raw.reshape(-1)
    for name, case in cases.LOSS_CASES.items():
        y_true, y_pred = arrays[f"{case.data}/y_true"], arrays[f"{case.data}/y_pred"]
        raw = arrays[f"{case.data}/raw_weight"]
        each = case.build(keras, reduction="none")
        values = runners.to_numpy(keras, each(y_true, y_pred))
        arrays[f"{name}/none"] = values
        reduced: dict[str, dict[str, float]] = {}
        for kind in cases.WEIGHTS:
            weight = runners.loss_weights(kind, y_pred, values, raw)
            if weight is None and kind != "none":
                continue
            reduced[kind] = {
                reduction: float(
                    case.build(keras, reduction=reduction)(y_true, y_pred, weight)
                )
                for reduction in cases.REDUCTIONS
            }
        meta[name] = {
            "reduced": reduced,
            "config": normalized_config(case.build(keras).get_config()),
        }
        if case.gradient:
            add_gradients(arrays, name, lambda p, e=each, t=y_true: e(t, p), [y_pred])
    for name in cases.LOSS_NAMES:
        found = keras.losses.get(name)
        meta["names"][name] = getattr(found, "__name__", type(found).__name__)
    return arrays, meta


def metrics() -> tuple[Arrays, Meta]:
    arrays: Arrays = {}
    meta: Meta = {"names": {}, "reductions": {}}
    for data in sorted({case.data for case in cases.METRIC_CASES.values()}):
        rng = generator(data + " metric")
        for i in range(3):
            y_true, y_pred = cases.DATA[data](rng)
            arrays[f"{data}/y_true/{i}"], arrays[f"{data}/y_pred/{i}"] = y_true, y_pred
            weight = uniform(rng, y_pred.shape[0], low=0.0, high=2.0)
            arrays[f"{data}/sample_weight/{i}"] = weight
    for name, case in cases.METRIC_CASES.items():

        def stored(key: str, data: str = case.data) -> list[Array]:
            return [arrays[f"{data}/{key}/{i}"] for i in range(3)]

        for kind in ("plain", "weighted") if case.weighted else ("plain",):
            batches = runners.metric_batches(case, stored, kind == "weighted")
            metric = case.build(keras)
            results = runners.metric_results(keras, metric, batches)
            arrays[f"{name}/{kind}"] = np.array(results, "float32")
        meta[name] = {
            "config": normalized_config(case.build(keras).get_config()),
            "variables": [v.name for v in metric.variables],
        }
    for name, (kind, shape, weights) in cases.REDUCTION_CASES.items():
        rng = generator(name)
        metric = getattr(keras.metrics, kind)()
        for i in range(2):
            values = normal(rng, *shape)
            arrays[f"{name}/values/{i}"] = values
            weight = None
            if weights is not None:
                weight = uniform(rng, *weights, low=0.1, high=2.0)
                arrays[f"{name}/sample_weight/{i}"] = weight
            metric.update_state(values, sample_weight=weight)
            arrays[f"{name}/result/{i}"] = runners.to_numpy(keras, metric.result())
    for name in cases.METRIC_NAMES:
        found = keras.metrics.get(name)
        meta["names"][name] = getattr(found, "__name__", type(found).__name__)
    return arrays, meta


def optimizers() -> tuple[Arrays, Meta]:
    initial, gradients = cases.initial_values(), cases.gradients()
    arrays = flatten("initial", initial)
    for i in range(2):
        arrays[f"gradients/{i}"] = np.stack([step[i] for step in gradients])
    meta: Meta = {"names": {}}
    for name, case in cases.OPTIMIZER_CASES.items():
        history, optimizer = runners.optimizer_steps(keras, case, initial, gradients)
        for i in range(2):
            arrays[f"{name}/variable/{i}"] = np.stack([step[i] for step in history])
        state = [runners.to_numpy(keras, v) for v in optimizer.variables]
        arrays.update(flatten(f"{name}/state", state))
        meta[name] = {
            "config": normalized_config(optimizer.get_config()),
            "variables": runners.without_counter([v.name for v in optimizer.variables]),
            "learning_rate": float(optimizer.learning_rate),
        }
    for name in cases.OPTIMIZER_NAMES:
        meta["names"][name] = type(keras.optimizers.get(name)).__name__
    arrays["schedule_steps"] = cases.SCHEDULE_STEPS
    for name, case in cases.SCHEDULE_CASES.items():
        values = runners.schedule_values(keras, case, cases.SCHEDULE_STEPS)
        arrays[f"{name}/values"] = values
        meta[name] = {"config": normalized_config(case.build(keras).get_config())}
    return arrays, meta


def ops() -> tuple[Arrays, Meta]:
    arrays: Arrays = {}
    meta: Meta = {"cases": {}, "binary": {}, "unary": {}}
    for name, case in cases.OP_CASES.items():
        inputs = list(case.inputs(generator(name)))
        outputs = runners.outputs_of(case.call(keras, *inputs))
        values = [runners.to_numpy(keras, y) for y in outputs]
        arrays.update(flatten(f"{name}/input", inputs))
        arrays.update(flatten(f"{name}/output", values))
        meta["cases"][name] = [runners.dtype_name(y) for y in outputs]
        if case.gradient:
            _op_gradients(arrays, name, case, inputs)
    for name in cases.BINARY_DTYPE_OPS:
        meta["binary"][name] = _binary_dtypes(name)
    for name in cases.UNARY_DTYPE_OPS:
        meta["unary"][name] = {
            dtype: _dtype(
                lambda n=name, d=dtype: cases.unary_dtype_call(keras, n, _ones(d))
            )
            for dtype in cases.DTYPES
            if dtype not in cases.UNSPECIFIED.get(name, ())
        }
    return arrays, meta


def _op_gradients(arrays: Arrays, name: str, case: Any, inputs: list[Array]) -> None:
    floating = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def call(*values: Any) -> Any:
        merged = list(inputs)
        for i, value in zip(floating, values, strict=True):
            merged[i] = value
        return case.call(keras, *merged)

    add_gradients(arrays, name, call, [inputs[i] for i in floating])


def _ones(dtype: str) -> Any:
    return keras.ops.convert_to_tensor(np.ones((2, 2)), dtype=dtype)


def _dtype(call: Callable[[], Any]) -> str:
    try:
        return runners.dtype_name(call())
    except (TypeError, ValueError, AttributeError):
        return "error"


def _binary_dtypes(name: str) -> dict[str, str]:
    skipped = cases.UNSPECIFIED.get(name, ())
    operands = {dtype: _ones(dtype) for dtype in cases.DTYPES if dtype not in skipped}
    if name not in ("matmul", "concatenate"):
        operands |= cases.SCALARS
    return {
        f"{a},{b}": _dtype(
            lambda a=a, b=b: cases.binary_dtype_call(
                keras, name, operands[a], operands[b]
            )
        )
        for a in operands
        for b in operands
        if not {a, b} <= set(cases.SCALARS)
    }


def small() -> tuple[Arrays, Meta]:
    """Initializers, regularizers and constraints."""
    arrays: Arrays = {}
    meta: Meta = {"config": {}, "statistics": {}, "names": {}}
    for name, (build, shape) in cases.EXACT_INITIALIZERS.items():
        arrays[f"{name}/output"] = runners.to_numpy(keras, build(keras)(shape))
        meta["config"][name] = normalized_config(build(keras).get_config())
    for name, build in cases.RANDOM_INITIALIZERS.items():
        sample = runners.to_numpy(keras, build(keras)(cases.RANDOM_SHAPE))
        sample = sample.astype("float64")
        meta["statistics"][name] = {
            "mean": sample.mean(),
            "std": sample.std(),
            "min": sample.min(),
            "max": sample.max(),
            "quantiles": np.quantile(sample, (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)),
        }
        meta["statistics"][name]["quantiles"] = list(
            meta["statistics"][name]["quantiles"]
        )
        meta["config"][name] = normalized_config(build(keras).get_config())
    meta["fans"] = [
        {"shape": shape, "fans": compute_fans(shape)} for shape in cases.FAN_SHAPES
    ]
    for name in cases.INITIALIZER_NAMES:
        meta["names"][name] = type(keras.initializers.get(name)).__name__
    weight = normal(generator("constrained weight"), 4, 5)
    arrays["weight"] = weight
    tensor = keras.ops.convert_to_tensor(weight)
    for name, build in cases.REGULARIZER_CASES.items():
        arrays[f"{name}/output"] = runners.to_numpy(keras, build(keras)(tensor))
        gradient = jax.grad(build(keras))(tensor)
        arrays[f"{name}/gradient"] = np.asarray(gradient)
        meta["config"][name] = normalized_config(build(keras).get_config())
    for name, build in cases.CONSTRAINT_CASES.items():
        arrays[f"{name}/output"] = runners.to_numpy(keras, build(keras)(tensor))
        meta["config"][name] = normalized_config(build(keras).get_config())
    return arrays, meta


FAMILIES: dict[str, Callable[[], tuple[Arrays, Meta]]] = {
    "layers": layers,
    "activations": activations,
    "losses": losses,
    "metrics": metrics,
    "optimizers": optimizers,
    "ops": ops,
    "small": small,
    "models": generate_models.training,
    "saved": generate_models.saved,
}


def main(names: list[str]) -> None:
    """Write the named families, or all of them."""
    unknown = sorted(set(names) - set(FAMILIES))
    if unknown:
        raise ValueError(f"unknown families {unknown}, known are {list(FAMILIES)}")
    for name in names or FAMILIES:
        keras.utils.clear_session()
        arrays, meta = FAMILIES[name]()
        save(name, arrays, meta)
        size = sum(path.stat().st_size for path in DATA.glob(f"{name}.*"))
        print(f"{name:12} {len(arrays):5} arrays {size:8} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
