"""Where a model's inputs enter."""

from __future__ import annotations

from typing import Any

from .. import shapes
from ..graph import KerasTensor
from ..serialization import builtin
from .base import Layer


@builtin("keras.layers")
class InputLayer(Layer):
    """The node of a symbolic input.

    Args:
        shape: shape of one sample.
        batch_size: number of samples, if fixed.
        dtype: dtype of the input.
        batch_shape: shape with the batch axis, instead of `shape`.
        input_tensor: an existing symbolic tensor to use.
        optional: whether None may be passed for this input.
        name: name.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        if sparse or ragged:
            raise ValueError(f"{self._who()}: there are no sparse or ragged tensors")
        kwargs.pop("trainable", None)
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if kwargs:
            raise TypeError(f"{self._who()}: unknown argument(s) {', '.join(kwargs)}")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise TypeError(
                    f"{self._who()}: input_tensor must be a KerasTensor, got "
                    f"{type(input_tensor).__name__}"
                )
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        elif (shape is None) == (batch_shape is None):
            raise ValueError(
                f"{self._who()}: expected exactly one of shape and batch_shape, got "
                f"shape={shape}, batch_shape={batch_shape}"
            )
        elif batch_shape is None:
            batch_shape = (batch_size, *shapes.standardize_shape(shape, self._who()))
        self.batch_shape = shapes.standardize_shape(batch_shape, self._who())
        self._dtype = shapes.dtype_name(dtype)
        self.optional = bool(optional)
        self.sparse = False
        self.built = True
        if input_tensor is None:
            input_tensor = KerasTensor(self.batch_shape, self._dtype, name=self.name)
        self.record((), {}, input_tensor)

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._dtype

    def call(self) -> Any:
        """Return the symbolic input."""
        return self.output

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def Input(  # noqa: N802 - Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """Return a symbolic tensor from which a functional model starts.

    Args:
        shape: shape of one sample; None entries are sizes not known yet.
        batch_size: number of samples, if fixed.
        dtype: dtype, `floatx()` by default.
        sparse: must not be True; there are no sparse tensors.
        ragged: must not be True; there are no ragged tensors.
        batch_shape: shape with the batch axis, instead of `shape`.
        name: name of the input.
        tensor: an existing symbolic tensor to use.
        optional: whether None may be passed for this input.

    Returns:
        KerasTensor of shape (batch_size, *shape).
    """
    return InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    ).output
