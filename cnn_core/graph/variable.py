"""Variables: the state that layers, optimizers and metrics keep."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import naming, shapes
from .symbolic import KerasTensor, is_symbolic_scope
from .tensor import Array, Node, Tensor, TensorLike, as_tensor, recording


def _local_references() -> int:
    """Return the reference count of an object that one local variable holds."""
    array = np.empty(0)
    return sys.getrefcount(array)


_LOCAL_REFERENCES = _local_references()


class _Budget(threading.local):
    bytes_left: float = math.inf


_budget = _Budget()


@contextmanager
def variables_limited_to(nbytes: int) -> Iterator[None]:
    """Let this thread make variables of `nbytes` in all; a file describes them."""
    before, _budget.bytes_left = _budget.bytes_left, nbytes
    try:
        yield
    finally:
        _budget.bytes_left = before


def _spend(shape: tuple[int, ...], dtype: str, name: str) -> None:
    _budget.bytes_left -= math.prod(shape) * np.dtype(dtype).itemsize
    if _budget.bytes_left < 0:
        raise ValueError(
            f"Variable '{name}' of shape {shape} is larger than the file justifies"
        )


class Variable(TensorLike):
    """A tensor that can be assigned to, e.g. a layer's kernel.

    Args:
        initializer: initial values as an array or tensor, or a callable
            `initializer(shape, dtype)`.
        shape: shape, needed with a callable; a bare integer is a vector's length.
        dtype: element type; by default that of the values, or `floatx()`.
        trainable: whether gradients are recorded for it.
        name: name, unique within a layer by convention.

    Raises:
        ValueError: if the initial values do not have the given shape, or a callable
            comes without a shape.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_keras_mask",
        "_node",
        "_panels",
        "_trainable",
        "_version",
        "aggregation",
        "constraint",
        "name",
        "path",
        "regularizer",
    )

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        name: str | None = None,
    ) -> None:
        self.name = name or naming.unique_name("variable")
        if not isinstance(self.name, str) or "/" in self.name:
            raise ValueError(
                f"Variable: name must be a string without '/', got {name!r}"
            )
        self.path = self.name
        self.regularizer: Any = None
        self.constraint: Any = None
        self.aggregation = aggregation
        if callable(initializer) and not isinstance(initializer, TensorLike):
            if shape is None:
                raise ValueError(
                    f"Variable '{self.name}': a callable initializer needs a shape"
                )
            shape = shapes.standardize_shape(shape, f"Variable '{self.name}'")
            if None in shape:
                raise ValueError(
                    f"Variable '{self.name}': every size must be known, got {shape}"
                )
            dtype = shapes.dtype_name(dtype)
            _spend(shape, dtype, self.name)
            initializer = initializer(shape, dtype=dtype)
        if dtype is not None:
            dtype = shapes.dtype_name(dtype)
        array: np.ndarray[Any, Any] = as_tensor(initializer, dtype)._array
        del initializer
        owned = array.flags.owndata and array.flags.carray
        if not owned or sys.getrefcount(array) > _LOCAL_REFERENCES:
            array = np.array(array)  # somebody else may hold it, or its memory
        if shape is not None and array.shape != shapes.standardize_shape(shape):
            raise ValueError(
                f"Variable '{self.name}': initial values have shape {array.shape}, "
                f"expected {shapes.standardize_shape(shape)}"
            )
        self._array = array
        self._version = 0  # programs that write to the array count it
        self._panels: Any = None  # copies that programs hold, by layout, weakly
        self._node: Node | None = None
        self._trainable = False
        self.trainable = trainable

    @property
    def trainable(self) -> bool:
        """Whether gradients are recorded for this variable."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if value and self._node is None and shapes.is_float(self.dtype):
            self._node = Node()
        elif not value:
            self._node = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def dtype(self) -> str:
        """Name of the element type, e.g. 'float32'."""
        return shapes.DTYPE_NAMES[self._array.dtype]

    @property
    def value(self) -> Tensor:
        """The present values as a tensor; a later `assign` does not change it."""
        return self._as_tensor()

    def _as_tensor(self) -> Tensor:
        if self._node is not None and self._trainable:
            for tape in recording.tapes:
                tape.note_access(self)
        array = self._array
        if recording.trace is not None:
            array = recording.trace.read(self)
        return Tensor(array, self._node)

    def numpy(self) -> Array:
        """Return a read-only view of the present values."""
        return self._as_tensor().numpy()

    def assign(self, value: Any) -> Tensor:
        """Replace the values; `value` is cast to the variable's dtype.

        Raises:
            ValueError: if the shape differs.
        """
        if isinstance(value, KerasTensor) or is_symbolic_scope():
            # Shape inference: check and leave the state alone.
            self._check(as_tensor(value).shape)
            return self._as_tensor()
        # Arrays are shared, not copied: tensors never change theirs, and tensors read
        # before keep the array they had.
        array = as_tensor(value, self.dtype)._array
        self._check(array.shape)
        if recording.trace is not None:
            recording.trace.write(self, array)
        else:
            self._array = array
        return self._as_tensor()

    def _check(self, shape: shapes.Shape) -> None:
        if shape != self.shape and not (
            None in shape and len(shape) == len(self.shape)
        ):
            raise ValueError(
                f"Variable '{self.path}': cannot assign values of shape {shape} to "
                f"shape {self.shape}"
            )

    def assign_add(self, value: Any) -> Tensor:
        """Add `value` to the values."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract `value` from the values."""
        return self.assign(self.value - value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._as_tensor().__array__(dtype, copy)

    def __float__(self) -> float:
        return float(self._as_tensor())

    def __int__(self) -> int:
        return int(self._as_tensor())

    def __index__(self) -> int:
        return self._array.__index__()

    def __bool__(self) -> bool:
        return bool(self._as_tensor())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._as_tensor())

    def __len__(self) -> int:
        return len(self._as_tensor())

    def __format__(self, spec: str) -> str:
        return format(self._as_tensor(), spec)

    def __repr__(self) -> str:
        return (
            f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, "
            f"value={np.array2string(self._array, separator=', ')}>"
        )

    __hash__ = object.__hash__  # equality is elementwise

    def __eq__(self, other: object) -> Any:
        return self._as_tensor() == other

    def __ne__(self, other: object) -> Any:
        return self._as_tensor() != other

    def __getstate__(self) -> dict[str, Any]:
        # Not the node: it belongs to the tapes of this process.
        names = ("_array", "_trainable", *_PLAIN_STATE)
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._array = state["_array"]
        self._version = 0
        self._panels = None
        self._node = None
        self._trainable = False
        self.trainable = state["_trainable"]
        for name in _PLAIN_STATE:
            setattr(self, name, state[name])

    def __deepcopy__(self, memo: Any) -> Variable:
        twin = Variable.__new__(type(self))
        twin.__setstate__({**self.__getstate__(), "_array": self._array.copy()})
        return twin


_PLAIN_STATE = ("name", "path", "aggregation", "regularizer", "constraint")
