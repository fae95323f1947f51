"""Tensors, variables, primitives and gradients."""

from .gradient import GradientTape, custom_gradient, stop_gradient
from .primitive import Primitive, apply, per_argument
from .symbolic import KerasTensor, Operation, any_symbolic, inferring, is_symbolic_scope
from .tensor import Node, Tensor, TensorLike, as_tensor, promote, recording
from .variable import Variable

__all__ = [
    "GradientTape",
    "KerasTensor",
    "Node",
    "Operation",
    "Primitive",
    "Tensor",
    "TensorLike",
    "Variable",
    "any_symbolic",
    "apply",
    "as_tensor",
    "custom_gradient",
    "inferring",
    "is_symbolic_scope",
    "per_argument",
    "promote",
    "recording",
    "stop_gradient",
]
