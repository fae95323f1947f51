"""Deep learning on CPUs with the API of Keras 3: `import cnn_core as keras`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    dtype_policies,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    tree,
)
from .dtype_policies import DTypePolicy
from .graph import GradientTape, KerasTensor, Operation, Tensor, Variable
from .initializers import Initializer
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .models import Functional, Model, Sequential
from .optimizers import Optimizer
from .random import SeedGenerator
from .regularizers import Regularizer

if TYPE_CHECKING:
    from . import datasets, saving, utils

__version__ = "0.1.0"

# Loaded when first asked for, so that `import cnn_core` stays quick.
_LAZY = ("datasets", "saving", "utils")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def version() -> str:
    """Return the version of the library."""
    return __version__


__all__ = [
    "DTypePolicy",
    "Functional",
    "GradientTape",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Regularizer",
    "SeedGenerator",
    "Sequential",
    "Tensor",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
    "version",
]
