"""Layers: the building blocks of models."""

from __future__ import annotations

from typing import Any

from ..serialization import deserialize_object, serialize_keras_object
from .activations import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .base import InputSpec, Layer
from .core import Identity, Lambda, Masking, Rescaling, UnitNormalization
from .dense import Dense
from .input_layer import Input, InputLayer
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from .reshaping import Flatten, Permute, RepeatVector, Reshape

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LeakyReLU",
    "Masking",
    "Maximum",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "UnitNormalization",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return a configuration that `deserialize` understands."""
    config: dict[str, Any] = serialize_keras_object(layer)
    return config


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the layer that `serialize` described.

    Args:
        config: the configuration.
        custom_objects: own classes and functions by name.

    Raises:
        ValueError: for a class that is not known, or something that is not a layer.
    """
    known = {name: globals()[name] for name in __all__ if name[0].isupper()}
    layer = deserialize_object("layer", config, known, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"layers.deserialize: expected a layer, got {layer!r}")
    return layer
