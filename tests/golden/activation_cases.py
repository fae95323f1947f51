"""Activation cases: values and gradients on grids that hold zero and extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case_types import ActivationCase, Array, generator, normal

_LINE = [
    *(-1000.0, -100.0, -30.0, -20.0, -10.0, -6.0, -5.0, -3.5, -3.0, -2.5, -2.0),
    *(-1.5, -1.0, -0.75, -0.5, -0.3, -0.1, -1e-3, -1e-5, 0.0, 1e-5, 1e-3, 0.1),
    *(0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 5.0, 6.0, 7.0, 10.0, 20.0),
    *(30.0, 100.0, 1000.0),
]


def _matrix() -> Array:
    x = normal(generator("activation matrix"), 6, 4)
    x[0] = 0.0
    x[1] = [1000.0, -1000.0, 0.0, 1000.5]
    x[2] = [-1000.0, -1000.0, -999.0, -1001.0]
    return x


GRIDS: dict[str, Array] = {
    "line": np.array(_LINE, "float32"),
    "matrix": _matrix(),
    "cube": normal(generator("activation cube"), 2, 4, 3),
}


def _named(name: str, **options: Any) -> Callable[[Any, Any], Any]:
    return lambda keras, x: getattr(keras.activations, name)(x, **options)


ACTIVATION_CASES: dict[str, ActivationCase] = {
    "celu": ActivationCase(_named("celu")),
    "celu_alpha": ActivationCase(_named("celu", alpha=0.5)),
    "elu": ActivationCase(_named("elu")),
    "elu_alpha": ActivationCase(_named("elu", alpha=0.5), kinks=(0.0,)),
    "exponential": ActivationCase(_named("exponential")),
    "gelu": ActivationCase(_named("gelu")),
    "gelu_approximate": ActivationCase(_named("gelu", approximate=True)),
    "hard_shrink": ActivationCase(_named("hard_shrink"), kinks=(-0.5, 0.5)),
    "hard_shrink_threshold": ActivationCase(
        _named("hard_shrink", threshold=0.8), kinks=(-0.8, 0.8)
    ),
    "hard_sigmoid": ActivationCase(_named("hard_sigmoid"), kinks=(-3.0, 3.0)),
    "hard_silu": ActivationCase(_named("hard_silu"), kinks=(-3.0, 3.0)),
    "hard_swish": ActivationCase(_named("hard_swish"), kinks=(-3.0, 3.0)),
    "hard_tanh": ActivationCase(_named("hard_tanh"), kinks=(-1.0, 1.0)),
    "leaky_relu": ActivationCase(_named("leaky_relu"), kinks=(0.0,)),
    "leaky_relu_slope": ActivationCase(
        _named("leaky_relu", negative_slope=0.01), kinks=(0.0,)
    ),
    "linear": ActivationCase(_named("linear")),
    "log_sigmoid": ActivationCase(_named("log_sigmoid")),
    "mish": ActivationCase(_named("mish")),
    "relu": ActivationCase(_named("relu")),
    "relu_negative_slope": ActivationCase(
        _named("relu", negative_slope=0.3), kinks=(0.0,)
    ),
    "relu_max_value": ActivationCase(_named("relu", max_value=3.0), kinks=(0.0, 3.0)),
    "relu_max_value_6": ActivationCase(_named("relu", max_value=6.0), kinks=(0.0, 6.0)),
    "relu_threshold": ActivationCase(_named("relu", threshold=0.5), kinks=(0.5,)),
    "relu_slope_threshold": ActivationCase(
        _named("relu", negative_slope=0.1, threshold=1.0), kinks=(1.0,)
    ),
    "relu_everything": ActivationCase(
        _named("relu", negative_slope=0.1, threshold=1.0, max_value=5.0),
        kinks=(1.0, 5.0),
    ),
    "relu6": ActivationCase(_named("relu6"), kinks=(0.0, 6.0)),
    "selu": ActivationCase(_named("selu"), kinks=(0.0,)),
    "sigmoid": ActivationCase(_named("sigmoid")),
    "silu": ActivationCase(_named("silu")),
    "soft_shrink": ActivationCase(_named("soft_shrink"), kinks=(-0.5, 0.5)),
    "soft_shrink_threshold": ActivationCase(_named("soft_shrink", threshold=0.2)),
    "softplus": ActivationCase(_named("softplus")),
    "softsign": ActivationCase(_named("softsign")),
    "sparse_plus": ActivationCase(_named("sparse_plus")),
    "sparse_sigmoid": ActivationCase(_named("sparse_sigmoid"), kinks=(-1.0, 1.0)),
    "squareplus": ActivationCase(_named("squareplus"), limit=10.0),
    "squareplus_b": ActivationCase(_named("squareplus", b=1.0), limit=10.0),
    "swish": ActivationCase(_named("swish")),
    "tanh": ActivationCase(_named("tanh")),
    "tanh_shrink": ActivationCase(_named("tanh_shrink")),
    "threshold": ActivationCase(
        _named("threshold", threshold=0.6, default_value=-1.5), kinks=(0.6,)
    ),
    "glu": ActivationCase(_named("glu"), "matrix"),
    "glu_axis": ActivationCase(_named("glu", axis=1), "cube"),
    "softmax": ActivationCase(_named("softmax"), "matrix"),
    "softmax_axis_0": ActivationCase(_named("softmax", axis=0), "matrix"),
    "softmax_axis_1": ActivationCase(_named("softmax", axis=1), "cube"),
    "log_softmax": ActivationCase(_named("log_softmax"), "matrix"),
    "log_softmax_axis_1": ActivationCase(_named("log_softmax", axis=1), "cube"),
}
