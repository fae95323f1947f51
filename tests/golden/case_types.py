"""Types shared by the case tables: what one golden case says.

No module of the case tables imports Keras or cnn_core. A case holds functions that
take the module as an argument, so that the same code runs on real Keras when the
values are generated and on cnn_core when they are tested.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
Shape = tuple[int, ...]
Build = Callable[..., Any]


def generator(name: str) -> np.random.Generator:
    """A random generator that depends on the case name only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Float32 normal values, odd multiples of 1/512: short, and never 0, 0.5 or 1."""
    steps = np.floor(rng.normal(size=shape) * 256)
    return ((steps + 0.5) / 256 * scale).astype("float32")


def uniform(
    rng: np.random.Generator, *shape: int, low: float = 0.0, high: float = 1.0
) -> Array:
    """Float32 uniform values in (low, high), on 256 points of the range."""
    fraction = (np.floor(rng.uniform(size=shape) * 256) + 0.5) / 256
    return (low + (high - low) * fraction).astype("float32")


@dataclass(frozen=True)
class LayerCase:
    """One layer, the shapes it is called on and what is compared.

    Args:
        build: `build(keras)` returns the layer.
        shapes: shapes of the inputs, batch included; more than one are a list input.
        dtypes: dtypes of the inputs; float32 where absent.
        training: values of `training` to call with; only those without randomness.
        gradient: whether gradients with respect to inputs and weights are compared.
        listed: whether a single input is passed as a list.
        config: whether `get_config()` rebuilds the layer (it does not in Keras for
            a few layers that leave an argument out).
        symbolic: whether the shapes that Keras infers are those of the output (they
            are not for `Activation("glu")`).
    """

    build: Build
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...] = ()
    training: tuple[bool, ...] = (False, True)
    gradient: bool = True
    listed: bool = False
    config: bool = True
    symbolic: bool = True

    def arguments(self, inputs: list[Any]) -> Any:
        """What the layer is called on: one tensor or a list of them."""
        return inputs if self.listed or len(inputs) > 1 else inputs[0]


@dataclass(frozen=True)
class ActivationCase:
    """One activation function on a grid of points.

    Args:
        call: `call(keras, x)` returns the activation of `x`.
        grid: name of the input grid in `activation_cases.GRIDS`.
        kinks: points where the derivative jumps; gradients are not compared there.
        limit: largest |x| that is compared; beyond it Keras itself cancels.
    """

    call: Build
    grid: str = "line"
    kinks: tuple[float, ...] = ()
    limit: float = float("inf")


@dataclass(frozen=True)
class LossCase:
    """One loss: `build(keras, **options)` must pass `reduction` on."""

    build: Build
    data: str
    gradient: bool = True


@dataclass(frozen=True)
class MetricCase:
    """One metric, updated on three batches of `data`."""

    build: Build
    data: str
    weighted: bool = True
    config: bool = True


@dataclass(frozen=True)
class OptimizerCase:
    """One optimizer, applied to a kernel and a bias for ten steps."""

    build: Build
    finalize: bool = False


@dataclass(frozen=True)
class ScheduleCase:
    """One learning-rate schedule, evaluated at `SCHEDULE_STEPS`."""

    build: Build


@dataclass(frozen=True)
class OpCase:
    """One call of `keras.ops`.

    Args:
        call: `call(keras, *inputs)` returns a tensor or a list or tuple of them.
        inputs: `inputs(rng)` returns the tuple of input arrays.
        gradient: whether the gradient with respect to the float inputs is compared.
    """

    call: Build
    inputs: Callable[[np.random.Generator], tuple[Array, ...]]
    gradient: bool = False


@dataclass(frozen=True)
class TrainCase:
    """One small training run.

    Args:
        build: `build(keras)` returns the model, not compiled.
        compile: `compile(keras)` returns the arguments of `model.compile`.
        data: `data(rng, rows)` returns `{"x": ..., "y": ...}` and, where the case
            has them, `"sample_weight"`; each an array or a list or dict of arrays.
        fit: more arguments of `fit` and `train_on_batch` (`class_weight`).
    """

    build: Build
    compile: Callable[[Any], dict[str, Any]]
    data: Callable[[np.random.Generator, int], dict[str, Any]]
    fit: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedCase:
    """One model saved to files by real Keras.

    Args:
        build: `build(keras)` returns the model, not compiled.
        inputs: shapes of the inputs, without the batch.
        outputs: shapes of the targets, without the batch; used where it trains.
        compile: arguments of `model.compile`, or None for a model saved uncompiled.
        steps: training steps taken before saving.
        weights_file: whether a `.weights.h5` file is stored beside the `.keras` file.
    """

    build: Build
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...] = ()
    compile: Callable[[Any], dict[str, Any]] | None = None
    steps: int = 0
    weights_file: bool = False
