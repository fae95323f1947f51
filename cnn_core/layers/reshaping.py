"""Layers that only change the shape."""

from __future__ import annotations

from typing import Any

from .. import ops, shapes
from ..graph import KerasTensor
from ..serialization import builtin
from .base import InputSpec, Layer
from .checks import data_format as checked_format
from .checks import positive_int


def _reshape(inputs: Any, sizes: tuple[int | None, ...]) -> Any:
    """Give every sample the shape `sizes`."""
    shape = (inputs.shape[0], *sizes)
    if isinstance(inputs, KerasTensor):  # several sizes may be unknown
        return KerasTensor(shape, inputs.dtype)
    return ops.reshape(inputs, shape)


@builtin("keras.layers")
class Flatten(Layer):
    """All axes after the first as one.

    Args:
        data_format: "channels_last", or "channels_first" to move axis 1 to the end
            before flattening.

    Input shape:
        (batch, ...).

    Output shape:
        (batch, features); (batch, 1) for inputs of shape (batch,).
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_format(self, data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """Return `inputs` as a matrix, one row for each sample."""
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 1:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        return _reshape(inputs, (shapes.known_size(inputs.shape[1:]),))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}


@builtin("keras.layers")
class Reshape(Layer):
    """The elements of every sample in another shape.

    Args:
        target_shape: shape of one sample; one size may be -1, which stands for the
            rest.

    Output shape:
        (batch, *target_shape).

    Raises:
        ValueError: if the number of elements of a sample would change.
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = target_shape if isinstance(target_shape, (list, tuple)) else None
        sizes = [s for s in target or [] if isinstance(s, int) and s >= -1]
        if target is None or len(sizes) != len(target) or sizes.count(-1) > 1:
            raise ValueError(
                f"{self._who()}: expected target_shape to be a tuple of sizes, at most "
                f"one of them -1, got {target_shape!r}"
            )
        self.target_shape = tuple(sizes)

    def call(self, inputs: Any) -> Any:
        """Return `inputs` of shape (batch, ...) as (batch, *target_shape)."""
        return _reshape(
            inputs, shapes.reshaped(inputs.shape[1:], self.target_shape, self._who())
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "target_shape": self.target_shape}


@builtin("keras.layers")
class Permute(Layer):
    """The axes of every sample in another order.

    Args:
        dims: order of the axes, counted from 1: `(2, 1)` swaps two.
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dims, (list, tuple)) or sorted(dims) != list(
            range(1, len(dims) + 1)
        ):
            raise ValueError(
                f"{self._who()}: expected dims to hold every axis once, counted from "
                f"1, got {dims!r}"
            )
        self.dims = tuple(dims)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """Return the transposed `inputs`."""
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dims": self.dims}


@builtin("keras.layers")
class RepeatVector(Layer):
    """Every row `n` times: (batch, features) becomes (batch, n, features).

    Args:
        n: how often.
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_int(self, "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """Return the repeated `inputs`."""
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "n": self.n}
