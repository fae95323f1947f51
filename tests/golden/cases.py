"""All golden cases: what real Keras computed and cnn_core must compute too.

The tables hold functions of the `keras` module; nothing here imports Keras or
cnn_core. `generate.py` runs them on real Keras and writes `data/`; the tests beside
it run them on cnn_core and compare. Names are stable: data files refer to them.
"""

from __future__ import annotations

from activation_cases import ACTIVATION_CASES, GRIDS
from layer_cases import INPUT_CASES, LAYER_CASES
from loss_cases import DATA, LOSS_CASES, LOSS_NAMES, REDUCTIONS, WEIGHTS
from metric_cases import METRIC_CASES, METRIC_NAMES, REDUCTION_CASES
from model_cases import SAVED_CASES, TRAIN_CASES
from op_cases import (
    BINARY_DTYPE_OPS,
    DTYPES,
    OP_CASES,
    SCALARS,
    UNARY_DTYPE_OPS,
    UNSPECIFIED,
    binary_dtype_call,
    unary_dtype_call,
)
from optimizer_cases import (
    OPTIMIZER_CASES,
    OPTIMIZER_NAMES,
    SCHEDULE_CASES,
    SCHEDULE_STEPS,
    gradients,
    initial_values,
)
from small_cases import (
    CONSTRAINT_CASES,
    EXACT_INITIALIZERS,
    FAN_SHAPES,
    INITIALIZER_NAMES,
    ORTHOGONAL_GAIN,
    ORTHOGONAL_SHAPES,
    RANDOM_INITIALIZERS,
    RANDOM_SHAPE,
    REGULARIZER_CASES,
)

__all__ = [
    "ACTIVATION_CASES",
    "BINARY_DTYPE_OPS",
    "CONSTRAINT_CASES",
    "DATA",
    "DTYPES",
    "EXACT_INITIALIZERS",
    "FAN_SHAPES",
    "GRIDS",
    "INITIALIZER_NAMES",
    "INPUT_CASES",
    "LAYER_CASES",
    "LOSS_CASES",
    "LOSS_NAMES",
    "METRIC_CASES",
    "METRIC_NAMES",
    "OPTIMIZER_CASES",
    "OPTIMIZER_NAMES",
    "OP_CASES",
    "ORTHOGONAL_GAIN",
    "ORTHOGONAL_SHAPES",
    "RANDOM_INITIALIZERS",
    "RANDOM_SHAPE",
    "REDUCTIONS",
    "REDUCTION_CASES",
    "REGULARIZER_CASES",
    "SAVED_CASES",
    "SCALARS",
    "SCHEDULE_CASES",
    "SCHEDULE_STEPS",
    "TRAIN_CASES",
    "UNARY_DTYPE_OPS",
    "UNSPECIFIED",
    "WEIGHTS",
    "binary_dtype_call",
    "gradients",
    "initial_values",
    "unary_dtype_call",
]
