"""Run with an interpreter that has Keras: opens files of cnn_core, writes its own.

For every `<case>.keras` and `<case>.weights.h5` in the folder given as argument, checks
what Keras loads against `<case>.npz`, and writes `<case>.back.keras`: the same model,
saved by Keras. Then builds every case itself, for cnn_core to open.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import interop_models as models
import numpy as np

if "KERAS_BACKEND" not in os.environ:
    known = ("jax", "torch", "tensorflow")
    found = [name for name in known if importlib.util.find_spec(name)]
    os.environ["KERAS_BACKEND"] = found[0] if found else "numpy"

import keras  # after the environment, which it reads


def main(folder: Path) -> None:
    """Check and write all cases."""
    models.block_class(keras)  # files name these classes
    models.own_model_class(keras)
    for name, optimizer in models.CASES:
        case = f"{name}-{optimizer}"
        with np.load(folder / f"{case}.npz") as file:
            expected = dict(file)
        loaded = keras.saving.load_model(folder / f"{case}.keras")
        models.assert_records(models.record(loaded), expected)
        loaded.save(folder / f"{case}.back.keras")
        other = models.BUILDERS[name](keras)
        other.load_weights(folder / f"{case}.weights.h5")
        weights = {k: v for k, v in expected.items() if not k.startswith("optimizer")}
        models.assert_records(models.record(other), weights)
        own = models.make(keras, name, optimizer)
        own.save(folder / f"{case}.own.keras")
        own.save_weights(folder / f"{case}.own.weights.h5")
        np.savez(folder / f"{case}.own.npz", **models.record(own))
    print(f"Keras {keras.__version__} on {keras.backend.backend()}: all cases agree")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
