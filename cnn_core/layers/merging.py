"""Layers that make one tensor of several."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from .. import config, ops, shapes
from ..graph import TensorLike
from ..serialization import builtin
from .base import Layer, default
from .calls import is_shape


class Merge(Layer):
    """Base of the layers whose input is a list of tensors.

    Inputs of fewer dimensions get axes of size 1 after the batch axis; then their
    shapes must broadcast.
    """

    least = 1  # number of inputs
    most: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Check the shapes of the inputs."""
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Return the merged `inputs`, a list of tensors."""
        self._check_count(inputs)
        rank = max(len(x.shape) for x in inputs)
        return self._merge([_with_rank(x, rank) for x in inputs])

    def _merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def _check_count(self, inputs: Any) -> None:
        """Check the number of inputs, given as tensors or as shapes."""
        single = isinstance(inputs, TensorLike) or (is_shape(inputs) and inputs)
        several = isinstance(inputs, (list, tuple)) and not single
        most = self.most or math.inf
        if not (several and self.least <= len(inputs) <= most):
            wanted = f"exactly {self.most}" if self.most else f"at least {self.least}"
            got = f"{len(inputs)}" if several else "one that is not in a list"
            if isinstance(inputs, dict):
                got = "a dictionary"
            raise ValueError(
                f"{self._who()}: expected a list of {wanted} tensor(s), got {got}"
            )

    @default
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that the shapes of the inputs broadcast to."""
        self._check_count(input_shape)
        given = [tuple(s) for s in input_shape]
        rank = max(map(len, given))
        if len({s[0] for s in given if s} - {None}) > 1:
            raise ValueError(
                f"{self._who()}: expected inputs of one batch size, got shapes "
                f"{', '.join(map(str, given))}"
            )
        padded = [(*s[:1], *(1,) * (rank - len(s)), *s[1:]) for s in given]
        try:
            sizes = shapes.broadcast(*[s[1:] for s in padded])
        except ValueError:
            raise ValueError(
                f"{self._who()}: expected inputs whose shapes broadcast (sizes must be "
                f"equal or 1), got {', '.join(map(str, given))}"
            ) from None
        batch = next((s[0] for s in given if s and s[0] is not None), None)
        return (batch, *sizes) if rank else ()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return where any of the inputs is unmasked; None unless all have masks."""
        if previous_mask is None or any(m is None for m in previous_mask):
            return None
        return functools.reduce(ops.logical_or, previous_mask)


def _with_rank(x: Any, rank: int) -> Any:
    for _ in range(rank - len(x.shape)):
        mask = getattr(x, "_keras_mask", None)
        x = ops.expand_dims(x, 1)
        if mask is not None:
            x._keras_mask = mask
    return x


def _mask_like(x: Any) -> Any:
    """Return the mask of `x` in the shape of `x`, or None."""
    mask = getattr(x, "_keras_mask", None)
    if mask is None:
        return None
    mask = ops.expand_dims(mask, -1)
    return ops.logical_or(mask, ops.zeros_like(x, dtype="bool"))


@builtin("keras.layers")
class Add(Merge):
    """Sum of the inputs."""

    def _merge(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.add, inputs)


@builtin("keras.layers")
class Subtract(Merge):
    """First input minus the second."""

    least = most = 2

    def _merge(self, inputs: list[Any]) -> Any:
        return ops.subtract(*inputs)


@builtin("keras.layers")
class Multiply(Merge):
    """Product of the inputs; masked elements count as 1."""

    def _merge(self, inputs: list[Any]) -> Any:
        masks = [_mask_like(x) for x in inputs]
        factors = [
            x if mask is None else ops.where(mask, x, 1)
            for x, mask in zip(inputs, masks, strict=True)
        ]
        output = functools.reduce(ops.multiply, factors)
        if any(mask is None for mask in masks):
            return output
        mask = functools.reduce(ops.logical_or, masks)
        output = ops.where(mask, output, 0)
        output._keras_mask = ops.any(mask, axis=-1)
        return output


@builtin("keras.layers")
class Average(Merge):
    """Mean of the inputs."""

    def _merge(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.add, inputs) / len(inputs)


def _extreme(function: Callable[..., Any], inputs: list[Any]) -> Any:
    """Reduce by a function without neutral element, leaving out masked elements."""
    output, output_mask = inputs[0], _mask_like(inputs[0])
    for x in inputs[1:]:
        mask = _mask_like(x)
        x = x if mask is None else ops.where(mask, x, output)
        if output_mask is not None:
            output = ops.where(output_mask, output, x)
        both = mask is not None and output_mask is not None
        output_mask = ops.logical_or(output_mask, mask) if both else None
        output = function(output, x)
    if output_mask is not None and output is not inputs[0]:
        output._keras_mask = ops.any(output_mask, axis=-1)
    return output


@builtin("keras.layers")
class Maximum(Merge):
    """Largest of the inputs, elementwise."""

    def _merge(self, inputs: list[Any]) -> Any:
        return _extreme(ops.maximum, inputs)


@builtin("keras.layers")
class Minimum(Merge):
    """Smallest of the inputs, elementwise."""

    def _merge(self, inputs: list[Any]) -> Any:
        return _extreme(ops.minimum, inputs)


@builtin("keras.layers")
class Concatenate(Merge):
    """The inputs one after the other along an axis.

    Args:
        axis: axis along which the sizes may differ; the others must be equal.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise ValueError(
                f"{self._who()}: expected axis to be an integer, got {axis!r}"
            )
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """Return the joined `inputs`, a list of tensors."""
        self._check_count(inputs)
        return ops.concatenate(list(inputs), axis=self.axis)

    @default
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the joined inputs."""
        self._check_count(input_shape)
        return shapes.concatenated(
            [tuple(s) for s in input_shape], self.axis, self._who()
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the joined masks; inputs without one count as unmasked."""
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                mask = ops.ones_like(x, dtype="bool")
            elif len(mask.shape) < len(x.shape):
                mask = ops.expand_dims(mask, -1)
                mask = ops.logical_or(mask, ops.zeros_like(x, dtype="bool"))
            masks.append(mask)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


@builtin("keras.layers")
class Dot(Merge):
    """Sum of products of two inputs over one axis of each, for every sample.

    Args:
        axes: the summed axis of both inputs, or one for each; not the batch axis.
        normalize: whether to divide both inputs by their norms along these axes first,
            which gives the cosine of the angle.

    Output shape:
        The axes of the first input without the summed one, then those of the second
        without the batch axis and the summed one; (batch, 1) if only the batch is left.
    """

    least = most = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = axes if isinstance(axes, (list, tuple)) else (axes, axes)
        if len(pair) != 2 or not all(
            isinstance(a, int) and not isinstance(a, bool) and a != 0 for a in pair
        ):
            raise ValueError(
                f"{self._who()}: expected axes to be an axis or a pair of axes other "
                f"than the batch axis 0, got {axes!r}"
            )
        self.axes = tuple(axes) if isinstance(axes, (list, tuple)) else axes
        self.normalize = bool(normalize)

    def _summed(self, first: Any, second: Any) -> tuple[int, int]:
        a, b = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        i = shapes.normalize_axis(a, len(first), self._who())
        j = shapes.normalize_axis(b, len(second), self._who())
        if 0 in (i, j):
            raise ValueError(f"{self._who()}: the batch axis cannot be summed over")
        if None not in (first[i], second[j]) and first[i] != second[j]:
            raise ValueError(
                f"{self._who()}: expected equal sizes along axes {i} and {j}, got "
                f"shapes {tuple(first)} and {tuple(second)}"
            )
        return i, j

    def call(self, inputs: Any) -> Any:
        """Return the products of `inputs`, a list of two tensors."""
        self._check_count(inputs)
        x, y = inputs
        i, j = self._summed(x.shape, y.shape)
        if self.normalize:
            x, y = _normalized(x, i), _normalized(y, j)
        batch = x.shape[0] if x.shape[0] is not None else y.shape[0]
        shape_x = [s for k, s in enumerate(x.shape) if k not in (0, i)]
        shape_y = [s for k, s in enumerate(y.shape) if k not in (0, j)]
        product = ops.matmul(
            _rows(ops.moveaxis(x, i, -1), shape_x),
            ops.swapaxes(_rows(ops.moveaxis(y, j, -1), shape_y), 1, 2),
        )
        shape = (batch, *(shape_x + shape_y or [1]))
        if len(shape) == len(product.shape):
            return product
        return ops.reshape(product, tuple(-1 if s is None else s for s in shape))

    @default
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the products."""
        self._check_count(input_shape)
        first, second = (tuple(s) for s in input_shape)
        i, j = self._summed(first, second)
        batch = first[0] if first[0] is not None else second[0]
        left = [s for k, s in enumerate(first) if k not in (0, i)]
        right = [s for k, s in enumerate(second) if k not in (0, j)]
        return (batch, *(left + right or [1]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return None: the products have no mask."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "axes": self.axes,
            "normalize": self.normalize,
        }


def _normalized(x: Any, axis: int) -> Any:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, config.epsilon() ** 2))


def _rows(x: Any, sizes: list[Any]) -> Any:
    """Return `x` of shape (batch, *sizes, k) as (batch, rows, k)."""
    if len(sizes) == 1:
        return x
    batch, k = x.shape[0], x.shape[-1]
    rows = shapes.known_size(tuple(sizes))
    return ops.reshape(x, tuple(-1 if s is None else s for s in (batch, rows, k)))


# --- the same as functions ----------------------------------------------------


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return the sum of a list of tensors, by an `Add` layer."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Return the difference of two tensors, by a `Subtract` layer."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Return the product of a list of tensors, by a `Multiply` layer."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Return the mean of a list of tensors, by an `Average` layer."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Return the elementwise largest of a list of tensors, by a `Maximum` layer."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Return the elementwise smallest of a list of tensors, by a `Minimum` layer."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return a list of tensors joined along an axis, by a `Concatenate` layer."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """Return products of two tensors summed over an axis, by a `Dot` layer."""
    return Dot(axes=axes, **kwargs)(inputs)
