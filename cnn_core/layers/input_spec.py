"""What a layer expects of its inputs, and the error when it gets something else."""

from __future__ import annotations

from typing import Any

from .. import shapes, tree
from ..graph import TensorLike


class InputSpec:
    """Expected dtype, rank and sizes of one input.

    Args:
        dtype: expected dtype.
        shape: expected shape; None entries match any size.
        ndim: expected number of dimensions.
        max_ndim: largest number of dimensions.
        min_ndim: smallest number of dimensions.
        axes: expected sizes by axis, e.g. `{-1: 784}`.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing.
        name: expected key when inputs are passed as a dictionary.
        optional: whether None may be passed.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else shapes.dtype_name(dtype)
        self.shape = None if shape is None else shapes.standardize_shape(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def __repr__(self) -> str:
        given = {k: v for k, v in self.get_config().items() if v}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in given.items())})"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """Rebuild the specification from `get_config()`."""
        return cls(**config)

    def mismatch(self, tensor: Any) -> str | None:
        """Return the rule that a tensor breaks, in words, or None."""
        shape = tensor.shape
        ndim = len(shape)
        squeezable = self.shape is not None and self.allow_last_axis_squeeze
        if (
            self.ndim is not None
            and ndim != self.ndim
            and not (squeezable and abs(ndim - self.ndim) == 1)
        ):
            return f"{self.ndim} dimensions"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"at least {self.min_ndim} dimensions"
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"at most {self.max_ndim} dimensions"
        if self.dtype is not None and tensor.dtype != self.dtype:
            return f"dtype {self.dtype}"
        for axis, size in self.axes.items():
            known = -ndim <= axis < ndim
            if size is not None and known and shape[axis] not in (size, None):
                where = "last axis " if axis == -1 else f"axis {axis} of size "
                return f"{where}{size}"
        if self.shape is not None:
            expected: shapes.Shape = self.shape
            if squeezable and len(expected) == ndim + 1 and expected[-1] == 1:
                expected = expected[:-1]
            if squeezable and len(expected) == ndim - 1 and shape[-1] == 1:
                shape = shape[:-1]
            if len(shape) != len(expected):
                return f"shape {self.shape}"
            for have, want in zip(shape, expected, strict=True):
                if have != want and have is not None and want is not None:
                    return f"shape {self.shape}"
        return None


def check_inputs(spec: Any, inputs: Any, layer: Any) -> None:
    """Check inputs against a specification, or one for each input.

    Raises:
        ValueError: naming the layer, the rule and the shape that came.
    """
    if spec is None:
        return
    if isinstance(spec, InputSpec) and isinstance(inputs, TensorLike):
        rule = spec.mismatch(inputs)
        if rule is not None:
            raise _broken(rule, inputs, layer)
        return
    who = layer._who()
    specs = tree.flatten(spec)
    if isinstance(inputs, dict) and all(s.name for s in specs):
        missing = [s.name for s in specs if s.name not in inputs and not s.optional]
        if missing:
            raise ValueError(
                f"{who}: missing input {missing[0]!r}; got {sorted(inputs)}"
            )
        tensors = [inputs.get(s.name) for s in specs]
    else:
        tensors = tree.flatten(inputs)
    if len(tensors) != len(specs):
        raise ValueError(f"{who}: expected {len(specs)} input(s), got {len(tensors)}")
    for tensor, one in zip(tensors, specs, strict=True):
        if tensor is None:
            if not one.optional:
                raise ValueError(f"{who}: expected a tensor, got None")
            continue
        if not isinstance(tensor, TensorLike):
            raise ValueError(
                f"{who}: expected a tensor or array, got {type(tensor).__name__}"
            )
        rule = one.mismatch(tensor)
        if rule is not None:
            raise _broken(rule, tensor, layer)


def _broken(rule: str, tensor: Any, layer: Any) -> ValueError:
    dtype = f" of dtype {tensor.dtype}" if "dtype" in rule else ""
    return ValueError(
        f"{layer._who()}: expected input with {rule}, got shape {tuple(tensor.shape)}"
        f"{dtype}; reshape the input, or build a layer for this shape"
    )
