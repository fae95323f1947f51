"""Layer cases."""

from __future__ import annotations

from typing import Any

from case_types import LayerCase

# Without "sparsemax": the rows that Keras 3.15 returns do not sum to one.
ACTIVATION_NAMES = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
)
DENSE_ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
)


def _dense(activation: str) -> LayerCase:
    return LayerCase(
        lambda keras: keras.layers.Dense(4, activation=activation), ((3, 5),)
    )


def _activation(name: str) -> LayerCase:
    return LayerCase(lambda keras: keras.layers.Activation(name), ((3, 4),))


def _merge(name: str, *shapes: tuple[int, ...], **options: Any) -> LayerCase:
    return LayerCase(lambda keras: getattr(keras.layers, name)(**options), shapes)


def _plain(name: str, *shapes: tuple[int, ...], **options: Any) -> LayerCase:
    return LayerCase(lambda keras: getattr(keras.layers, name)(**options), shapes)


LAYER_CASES: dict[str, LayerCase] = {
    "dense": _plain("Dense", (3, 5), units=4),
    "dense_no_bias": _plain("Dense", (3, 5), units=4, use_bias=False),
    "dense_no_bias_relu": _plain(
        "Dense", (3, 5), units=4, use_bias=False, activation="relu"
    ),
    "dense_one_unit": _plain("Dense", (6, 3), units=1, activation="sigmoid"),
    "dense_one_row": _plain("Dense", (1, 7), units=3, activation="tanh"),
    "dense_one_feature": _plain("Dense", (4, 1), units=3),
    "dense_wide": _plain("Dense", (5, 37), units=33, activation="relu"),
    "dense_3d": _plain("Dense", (2, 3, 5), units=4, activation="relu"),
    "dense_4d": _plain("Dense", (2, 2, 3, 5), units=2),
    "dense_3d_softmax": _plain("Dense", (2, 3, 5), units=4, activation="softmax"),
    "dense_int_input": LayerCase(
        lambda keras: keras.layers.Dense(2), ((3, 4),), ("int32",), gradient=False
    ),
    "dense_float64_input": LayerCase(
        lambda keras: keras.layers.Dense(2), ((3, 4),), ("float64",), gradient=False
    ),
    "dense_callable_activation": LayerCase(
        lambda keras: keras.layers.Dense(4, activation=keras.activations.gelu),
        ((3, 5),),
    ),
    "dense_configured": LayerCase(
        lambda keras: keras.layers.Dense(
            4,
            activation="elu",
            kernel_initializer="he_normal",
            bias_initializer=keras.initializers.Constant(0.5),
            kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02),
            bias_regularizer="l2",
            activity_regularizer=keras.regularizers.L1(0.03),
            kernel_constraint=keras.constraints.MaxNorm(1.5, axis=0),
            bias_constraint="non_neg",
        ),
        ((3, 5),),
    ),
    "dense_seeded": LayerCase(
        lambda keras: keras.layers.Dense(
            2, kernel_initializer=keras.initializers.GlorotUniform(seed=7)
        ),
        ((3, 2),),
    ),
    **{f"dense_{name}": _dense(name) for name in DENSE_ACTIVATIONS},
    **{f"activation_{name}": _activation(name) for name in ACTIVATION_NAMES},
    "activation_glu": LayerCase(
        lambda keras: keras.layers.Activation("glu"), ((3, 4),), symbolic=False
    ),
    "activation_callable": LayerCase(
        lambda keras: keras.layers.Activation(keras.ops.tanh),
        ((3, 4),),
        config=False,
    ),
    "flatten": _plain("Flatten", (3, 2, 4)),
    "flatten_1d": _plain("Flatten", (5,)),
    "flatten_2d": _plain("Flatten", (5, 3)),
    "flatten_4d": _plain("Flatten", (2, 2, 3, 2)),
    "flatten_channels_first": _plain(
        "Flatten", (2, 2, 3, 2), data_format="channels_first"
    ),
    "flatten_int": LayerCase(
        lambda keras: keras.layers.Flatten(), ((2, 2, 2),), ("int32",), gradient=False
    ),
    "reshape": _plain("Reshape", (3, 6), target_shape=(2, 3)),
    "reshape_minus_one": _plain("Reshape", (3, 4, 3), target_shape=(-1, 6)),
    "reshape_minus_one_last": _plain("Reshape", (3, 4, 3), target_shape=(2, -1)),
    "reshape_flat": _plain("Reshape", (3, 4, 3), target_shape=(12,)),
    "permute": _plain("Permute", (2, 3, 4), dims=(2, 1)),
    "permute_4d": _plain("Permute", (2, 3, 4, 5), dims=(3, 1, 2)),
    "repeat_vector": _plain("RepeatVector", (3, 2), n=4),
    "dropout": LayerCase(
        lambda keras: keras.layers.Dropout(0.4), ((3, 4),), training=(False,)
    ),
    "dropout_zero": _plain("Dropout", (3, 4), rate=0.0),
    "dropout_configured": LayerCase(
        lambda keras: keras.layers.Dropout(0.25, noise_shape=(None, 1), seed=3),
        ((3, 4),),
        training=(False,),
    ),
    "gaussian_noise": LayerCase(
        lambda keras: keras.layers.GaussianNoise(0.3), ((3, 4),), training=(False,)
    ),
    "gaussian_noise_zero": _plain("GaussianNoise", (3, 4), stddev=0.0),
    "rescaling": _plain("Rescaling", (3, 4), scale=1 / 255),
    "rescaling_offset": _plain("Rescaling", (2, 3, 2), scale=2.0, offset=-1.0),
    "rescaling_uint8": LayerCase(
        lambda keras: keras.layers.Rescaling(1 / 127.5, offset=-1),
        ((2, 3, 2),),
        ("uint8",),
        gradient=False,
    ),
    "identity": _plain("Identity", (3, 4)),
    "activity_regularization": _plain("ActivityRegularization", (3, 4), l1=0.1, l2=0.2),
    "relu": _plain("ReLU", (3, 6)),
    "relu_max_value": _plain("ReLU", (3, 6), max_value=0.8),
    "relu_max_value_6": _plain("ReLU", (3, 6), max_value=6.0),
    "relu_negative_slope": _plain("ReLU", (3, 6), negative_slope=0.25),
    "relu_threshold": _plain("ReLU", (3, 6), threshold=0.5),
    "relu_everything": _plain(
        "ReLU", (4, 8), max_value=1.0, negative_slope=0.1, threshold=0.3
    ),
    "leaky_relu": _plain("LeakyReLU", (3, 6)),
    "leaky_relu_slope": _plain("LeakyReLU", (3, 6), negative_slope=0.05),
    "elu": _plain("ELU", (3, 6)),
    "elu_alpha": LayerCase(
        lambda keras: keras.layers.ELU(alpha=0.5), ((3, 6),), config=False
    ),
    "prelu": _plain("PReLU", (3, 2, 4)),
    "prelu_shared_axes": _plain("PReLU", (3, 2, 4), shared_axes=[1]),
    "softmax": _plain("Softmax", (3, 4)),
    "softmax_axis_1": _plain("Softmax", (2, 3, 4), axis=1),
    "softmax_two_axes": _plain("Softmax", (2, 3, 4), axis=(1, 2)),
    "add": _merge("Add", (3, 4), (3, 4)),
    "add_three": _merge("Add", (3, 4), (3, 4), (3, 4)),
    "add_broadcast": _merge("Add", (2, 3, 4), (2, 1, 4)),
    "add_broadcast_rank": _merge("Add", (2, 3, 4), (2, 4)),
    "subtract": _merge("Subtract", (3, 4), (3, 4)),
    "multiply": _merge("Multiply", (3, 4), (3, 4), (3, 4)),
    "multiply_broadcast": _merge("Multiply", (2, 3, 4), (2, 3, 1)),
    "average": _merge("Average", (3, 4), (3, 4), (3, 4)),
    "maximum": _merge("Maximum", (3, 4), (3, 4), (3, 4)),
    "minimum": _merge("Minimum", (3, 4), (3, 4)),
    "concatenate": _merge("Concatenate", (3, 4), (3, 2)),
    "concatenate_three": _merge("Concatenate", (2, 2, 3), (2, 2, 1), (2, 2, 2)),
    "concatenate_axis_1": _merge("Concatenate", (2, 3, 4), (2, 1, 4), axis=1),
    "dot": _merge("Dot", (3, 4), (3, 4), axes=1),
    "dot_normalized": _merge("Dot", (3, 4), (3, 4), axes=1, normalize=True),
    "dot_matrix": _merge("Dot", (2, 3, 4), (2, 4, 5), axes=(2, 1)),
    "dot_mixed_rank": _merge("Dot", (2, 3, 4), (2, 4), axes=(2, 1)),
}

INPUT_CASES: dict[str, dict[str, Any]] = {
    "shape": {"shape": (3, 4)},
    "unknown_dimension": {"shape": (None, 4)},
    "batch_size": {"shape": (5,), "batch_size": 8},
    "batch_shape": {"batch_shape": (2, 5)},
    "scalar": {"shape": ()},
    "int32": {"shape": (3,), "dtype": "int32"},
    "named": {"shape": (3,), "name": "pixels"},
}
