"""Cases of initializers, regularizers and constraints."""

from __future__ import annotations

from typing import Any

from case_types import Build


def _make(module: str, name: str, **options: Any) -> Build:
    return lambda keras: getattr(getattr(keras, module), name)(**options)


def _init(name: str, **options: Any) -> Build:
    return _make("initializers", name, **options)


# Initializers without randomness: (build, shape).
EXACT_INITIALIZERS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "zeros": (_init("Zeros"), (2, 3)),
    "ones": (_init("Ones"), (2, 3)),
    "constant": (_init("Constant", value=0.7), (2, 3)),
    "constant_default": (_init("Constant"), (4,)),
    "identity": (_init("Identity"), (3, 3)),
    "identity_gain_wide": (_init("Identity", gain=2.0), (2, 4)),
    "identity_tall": (_init("Identity"), (4, 2)),
}

RANDOM_INITIALIZERS: dict[str, Build] = {
    "random_normal": _init("RandomNormal", seed=1),
    "random_normal_options": _init("RandomNormal", mean=1.0, stddev=0.5, seed=1),
    "random_uniform": _init("RandomUniform", seed=1),
    "random_uniform_options": _init("RandomUniform", minval=-1.0, maxval=3.0, seed=1),
    "truncated_normal": _init("TruncatedNormal", seed=1),
    "truncated_normal_options": _init("TruncatedNormal", mean=2.0, stddev=0.5, seed=1),
    "glorot_normal": _init("GlorotNormal", seed=1),
    "glorot_uniform": _init("GlorotUniform", seed=1),
    "he_normal": _init("HeNormal", seed=1),
    "he_uniform": _init("HeUniform", seed=1),
    "lecun_normal": _init("LecunNormal", seed=1),
    "lecun_uniform": _init("LecunUniform", seed=1),
    "variance_scaling": _init("VarianceScaling", seed=1),
    "variance_scaling_fan_out": _init(
        "VarianceScaling", scale=3.0, mode="fan_out", seed=1
    ),
    "variance_scaling_fan_avg_uniform": _init(
        "VarianceScaling", scale=0.5, mode="fan_avg", distribution="uniform", seed=1
    ),
    "variance_scaling_untruncated": _init(
        "VarianceScaling", distribution="untruncated_normal", seed=1
    ),
}
RANDOM_SHAPE = (200, 300)

# Shapes whose fans show the rule for dense, convolution, vector and scalar weights.
FAN_SHAPES = ((), (7,), (30, 20), (5, 4, 6), (3, 3, 8, 16), (2, 3, 4, 5, 6))

ORTHOGONAL_SHAPES = ((5, 5), (4, 7), (7, 4), (3, 2, 4))
ORTHOGONAL_GAIN = 1.5

INITIALIZER_NAMES = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "one",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "zero",
    "zeros",
)

REGULARIZER_CASES: dict[str, Build] = {
    "l1": _make("regularizers", "L1", l1=0.1),
    "l1_default": _make("regularizers", "L1"),
    "l2": _make("regularizers", "L2", l2=0.1),
    "l2_default": _make("regularizers", "L2"),
    "l1_l2": _make("regularizers", "L1L2", l1=0.1, l2=0.2),
    "l1_l2_default": _make("regularizers", "L1L2"),
    "l1_by_name": lambda keras: keras.regularizers.get("l1"),
    "l1_l2_by_name": lambda keras: keras.regularizers.get("l1l2"),
    "l2_by_name": lambda keras: keras.regularizers.get("l2"),
    "orthogonal_rows": _make("regularizers", "OrthogonalRegularizer", factor=0.3),
    "orthogonal_columns": _make(
        "regularizers", "OrthogonalRegularizer", factor=0.3, mode="columns"
    ),
}

CONSTRAINT_CASES: dict[str, Build] = {
    "max_norm": _make("constraints", "MaxNorm"),
    "max_norm_value": _make("constraints", "MaxNorm", max_value=0.8, axis=1),
    "non_neg": _make("constraints", "NonNeg"),
    "unit_norm": _make("constraints", "UnitNorm"),
    "unit_norm_axis_1": _make("constraints", "UnitNorm", axis=1),
    "unit_norm_two_axes": _make("constraints", "UnitNorm", axis=[0, 1]),
    "min_max_norm": _make("constraints", "MinMaxNorm"),
    "min_max_norm_rate": _make(
        "constraints", "MinMaxNorm", min_value=0.5, max_value=1.2, rate=0.6, axis=1
    ),
    "max_norm_by_name": lambda keras: keras.constraints.get("max_norm"),
    "non_neg_by_name": lambda keras: keras.constraints.get("non_neg"),
}
