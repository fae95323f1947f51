"""Golden training runs and saved model files, part of `generate.py`."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import cases
import keras
import numpy as np
import runners
from case_types import Array, SavedCase, generator, normal
from loader import SAVED, flatten

Arrays = dict[str, Array]
Meta = dict[str, Any]
ROWS, VALIDATION_ROWS = 10, 6


def random_weights(name: str, model: Any) -> list[Array]:
    """Seeded weights of the shapes of the model."""
    rng = generator(name + " weights")
    return [normal(rng, *w.shape, scale=0.5) for w in model.weights]


def training() -> tuple[Arrays, Meta]:
    """`train_on_batch`, `evaluate`, `predict` and `fit` of every case."""
    arrays: Arrays = {}
    meta: Meta = {}
    for name, case in cases.TRAIN_CASES.items():
        rng = generator(name)
        data, validation = case.data(rng, ROWS), case.data(rng, VALIDATION_ROWS)
        weights = random_weights(name, case.build(keras))
        steps = runners.train_steps(keras, case, weights, data)
        history, fitted = runners.fit_history(keras, case, weights, data, validation)
        trees = {
            "weights": weights,
            "stepped": steps[1],
            "predictions": steps[2],
            "fitted": fitted,
            **data,
            **{f"validation_{key}": value for key, value in validation.items()},
        }
        for key, value in trees.items():
            arrays.update(flatten(f"{name}/{key}", value))
        meta[name] = {**steps[0], "history": history}
    return arrays, meta


def _as_one(items: list[Array]) -> Any:
    return items if len(items) > 1 else items[0]


def _train(case: SavedCase, model: Any, x: Any, y: Any, steps: int) -> list[float]:
    return [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(steps)]


def saved() -> tuple[Arrays, Meta]:
    """Model files, what the models predict and how training goes on from them."""
    arrays: Arrays = {}
    meta: Meta = {}
    shutil.rmtree(SAVED, ignore_errors=True)
    SAVED.mkdir(parents=True)
    for name, case in cases.SAVED_CASES.items():
        keras.utils.clear_session()
        rng = generator(name)
        inputs = [normal(rng, 5, *shape) for shape in case.inputs]
        targets = [normal(rng, 5, *shape) for shape in case.outputs]
        x, y = _as_one(inputs), _as_one(targets) if targets else None
        model = case.build(keras)
        model.set_weights(random_weights(name, model))
        if case.compile is not None:
            model.compile(**case.compile(keras))
            _train(case, model, x, y, case.steps)
        path = SAVED / f"{name}.keras"
        model.save(path)
        _make_reproducible(path)
        if case.weights_file:
            model.save_weights(SAVED / f"{name}.weights.h5")
        arrays.update(flatten(f"{name}/x", inputs))
        arrays.update(flatten(f"{name}/y", targets))
        arrays.update(flatten(f"{name}/weights", model.get_weights()))
        predictions = runners.outputs_of(model.predict(x, verbose=0))
        arrays.update(flatten(f"{name}/predictions", predictions))
        meta[name] = {
            "class_name": type(model).__name__,
            "layers": [layer.name for layer in model.layers],
            "count_params": model.count_params(),
            "trainable_params": sum(
                w.size for w in map(np.asarray, model.trainable_weights)
            ),
            "output_shape": model.output_shape,
            "config": model.get_config(),
        }
        if case.compile is not None:
            loaded = keras.saving.load_model(path)
            state = [np.asarray(v) for v in loaded.optimizer.variables]
            arrays.update(flatten(f"{name}/optimizer", state))
            meta[name]["optimizer_variables"] = [
                v.name for v in loaded.optimizer.variables
            ]
            meta[name]["compile_config"] = model.get_compile_config()
            meta[name]["continued"] = _train(case, loaded, x, y, 3)
    return arrays, meta


def _make_reproducible(path: Path) -> None:
    """Write the file again without what differs from run to run.

    That is the saving date, and the identities of shared objects, which Keras takes
    from memory addresses: they become 1, 2, ... in order of appearance.
    """
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    metadata = json.loads(members["metadata.json"])
    metadata["date_saved"] = "2025-01-01@00:00:00"
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda m: str(numbers.setdefault(m.group(), len(numbers) + 1)).encode(),
        members["config.json"],
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
