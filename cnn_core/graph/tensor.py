"""The eager tensor, the node that remembers how it was made, and conversion to both."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, shapes

if TYPE_CHECKING:
    from .primitive import Primitive

Array = np.ndarray[Any, Any]


class TensorLike:
    """What tensors, symbolic tensors and variables share: operators and indexing.

    The operators are those of `cnn_core.ops`, which installs them when it is imported.
    """

    __slots__ = ()
    __array_priority__ = 1000  # ndarray + Tensor is left to Tensor.__radd__

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[Any, ...]: ...  # noqa: D102
        @property
        def dtype(self) -> str: ...  # noqa: D102
        @property
        def ndim(self) -> int: ...  # noqa: D102
        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __floordiv__(self, other: Any) -> Any: ...
        def __rfloordiv__(self, other: Any) -> Any: ...
        def __mod__(self, other: Any) -> Any: ...
        def __rmod__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __rpow__(self, other: Any) -> Any: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __rmatmul__(self, other: Any) -> Any: ...
        def __neg__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __and__(self, other: Any) -> Any: ...
        def __or__(self, other: Any) -> Any: ...
        def __xor__(self, other: Any) -> Any: ...
        def __getitem__(self, key: Any) -> Any: ...


class Node:
    """One recorded application of a primitive, or a leaf (`primitive` is None).

    A node holds its inputs as tensors and its outputs as bare arrays: output tensors
    point to the node and never the other way round, so no reference cycle forms.
    `serial` grows with time; sorting by it is a topological order.
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "outputs", "primitive", "serial")

    def __init__(
        self,
        primitive: Primitive | None = None,
        inputs: tuple[Tensor, ...] = (),
        attrs: dict[str, Any] | None = None,
        outputs: tuple[Array, ...] = (),
    ) -> None:
        self.serial = next(_serials)
        self.primitive = primitive
        self.inputs = inputs
        self.attrs = attrs or {}
        self.outputs = outputs

    def output_tensor(self, index: int) -> Tensor:
        """Return output `index` as a tensor that gradients flow through."""
        return Tensor(self.outputs[index], self, index)


_serials = itertools.count()


def next_serial() -> int:
    """Return a number larger than the serial of every node made so far."""
    return next(_serials)


class _Recording(threading.local):
    trace: Any = None  # the trace in progress, see trace.py

    def __init__(self) -> None:
        self.tapes: list[Any] = []  # the tapes of this thread that are recording


recording = _Recording()


class Tensor(TensorLike):
    """An n-dimensional array of numbers that gradients can flow through.

    Tensors are immutable. They come from `ops.convert_to_tensor`, from other operations
    and from layers. `np.asarray(tensor)` and `tensor.numpy()` give its values.
    """

    __slots__ = ("__weakref__", "_array", "_index", "_keras_mask", "_node")

    def __init__(self, array: Array, node: Node | None = None, index: int = 0) -> None:
        self._array = array
        self._node = node
        self._index = index

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
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The tensor with its axes in reverse order."""
        return _late_ops["transpose"](self)

    def numpy(self) -> Array:
        """Return the values as a read-only NumPy array, without a copy."""
        view = self._array.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self._array.item()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return self._array.tolist()

    def astype(self, dtype: Any) -> Any:
        """Return the tensor cast to another dtype."""
        return _late_ops["cast"](self, dtype)

    def reshape(self, *shape: Any) -> Any:
        """Return the tensor in another shape with the same elements."""
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = tuple(shape[0])
        return _late_ops["reshape"](self, shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if dtype is not None and np.dtype(dtype) != self._array.dtype:
            if copy is False:
                raise ValueError(
                    f"Tensor of {self.dtype}: cannot become {np.dtype(dtype)} "
                    "without a copy"
                )
            converted: Array = self._array.astype(dtype)
            return converted
        return self._array.copy() if copy else self.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        # Many consumers write into what they are given and a tensor never changes, so
        # they get a copy; one that insists on none gets a read-only view.
        copy = options.pop("copy", None)
        array = self.numpy() if copy is False else self._array.copy()
        return array.__dlpack__(**{k: v for k, v in options.items() if v is not None})

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def _only_element(self, use: str) -> Any:
        if self._array.size != 1:
            raise ValueError(
                f"Only a tensor of one element can be used as {use}, got shape "
                f"{self.shape}"
            )
        return self._array.item()

    def __float__(self) -> float:
        return float(self._only_element("a Python number"))

    def __int__(self) -> int:
        return int(self._only_element("a Python number"))

    def __index__(self) -> int:
        return self._array.__index__()

    def __bool__(self) -> bool:
        return bool(self._only_element("a condition"))

    def __round__(self, ndigits: int | None = None) -> Any:
        return _late_ops["round"](self, ndigits or 0)

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a tensor without dimensions")
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        if not self._array.ndim:
            raise TypeError("iteration over a tensor without dimensions")
        return (self[i] for i in range(len(self._array)))

    def __format__(self, spec: str) -> str:
        return format(self._array.item() if not self.ndim else self._array, spec)

    def __repr__(self) -> str:
        values = np.array2string(self._array, separator=", ", prefix="Tensor(")
        return f"Tensor({values}, shape={self.shape}, dtype={self.dtype})"

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return Tensor(self._array.copy())

    def __reduce__(self) -> Any:
        return (Tensor, (self._array,))

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        return _late_ops["equal"](self, other)

    def __ne__(self, other: object) -> Any:
        return _late_ops["not_equal"](self, other)


_late_ops: dict[str, Any] = {}  # operations by name, from the floor above


def late_op(name: str) -> Any:
    """Return an operation that `cnn_core.ops` installed."""
    return _late_ops[name]


def install_operators(operators: dict[str, Any], functions: dict[str, Any]) -> None:
    """Give `TensorLike` its operators and `Tensor` its methods, which live in ops."""
    for name, function in operators.items():
        setattr(TensorLike, name, function)
    _late_ops.update(functions)


_SMALL = 65504.0  # floats below it overflow in no type


def as_tensor(x: Any, dtype: str | None = None) -> Any:
    """Return `x` as a tensor (symbolic tensors stay what they are).

    Python numbers become `floatx()`, int32 or bool; arrays keep their dtype. Lists that
    hold tensors are stacked.

    Raises:
        TypeError: if `x` holds something other than numbers.
        ValueError: if the rows of a nested list differ in length.
    """
    if type(x) is Tensor and (
        dtype is None or shapes.DTYPE_NAMES[x._array.dtype] == dtype
    ):
        return x
    if type(x) in (float, int) and -_SMALL < x < _SMALL:  # nothing to be silent about
        if type(x) is int:
            return Tensor(_integer_array(x, dtype))
        if dtype is None or shapes.is_float(dtype):
            return Tensor(np.array(x, dtype or config.floatx()))
    if isinstance(x, (list, tuple)) and _holds_tensor(x):
        x = _late_ops["stack"]([as_tensor(item) for item in x])
    if isinstance(x, TensorLike):
        x = x._as_tensor() if hasattr(x, "_as_tensor") else x
        if dtype is not None and x.dtype != dtype:
            return _late_ops["cast"](x, dtype)
        return x
    with np.errstate(all="ignore"):  # overflow gives infinity, silently
        return Tensor(_as_array(x, dtype))


def _holds_tensor(items: Any) -> bool:
    return any(
        isinstance(i, TensorLike) or (isinstance(i, (list, tuple)) and _holds_tensor(i))
        for i in items
    )


def _as_array(x: Any, dtype: str | None) -> Array:
    """Return a new array with the values of `x`, in rows and native byte order."""
    if type(x) is int:
        return _integer_array(x, dtype)
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        x = np.from_dlpack(x)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"convert_to_tensor: {error}") from None
    except OverflowError as error:
        raise ValueError(f"convert_to_tensor: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            "convert_to_tensor: expected real numbers or booleans, got "
            f"{type(x).__name__} of dtype {array.dtype}"
        )
    if dtype is None:
        dtype = _default_dtype(x, array)
    # A copy even where none is needed: a tensor is immutable, the caller's array not.
    return np.array(array, dtype, order="C")


def _integer_array(x: int, dtype: str | None) -> Array:
    if dtype is None:
        dtype = "int32" if _fits_int32(x, x) else "int64"
    try:
        return np.array(x, dtype)
    except OverflowError:
        raise ValueError(
            f"convert_to_tensor: the integer {x} is out of range for {dtype}"
        ) from None


def _fits_int32(low: int, high: int) -> bool:
    return low >= -(2**31) and high < 2**31


def _default_dtype(x: Any, array: Array) -> str:
    if not hasattr(x, "dtype"):  # Python numbers and lists of them are weakly typed
        if array.dtype == np.float64:
            return config.floatx()
        if array.dtype == np.int64 and (
            array.size == 0 or _fits_int32(array.min(), array.max())
        ):
            return "int32"
    return shapes.dtype_name(array.dtype)


def promote(*operands: Any) -> tuple[Any, ...]:
    """Return the operands as tensors of their common dtype.

    Python and NumPy scalars are weakly typed: they give way to the dtype of tensors and
    arrays of their kind.
    """
    first = operands[0]
    if type(first) is Tensor:
        dtype = first._array.dtype
        for x in operands:
            if type(x) is not Tensor or x._array.dtype != dtype:
                break
        else:
            return operands
        if len(operands) == 2 and dtype.kind == "f" and type(x) in (float, int):
            return first, as_tensor(x, shapes.DTYPE_NAMES[dtype])
    kinds: list[Any] = []
    tensors = []
    for x in operands:
        kind = _weak_kind(x)
        if kind is None:
            x = as_tensor(x)
        kinds.append(kind or x.dtype)
        tensors.append(x)
    common = shapes.result_type(*kinds)
    return tuple(as_tensor(x, common) for x in tensors)


def _weak_kind(x: Any) -> type | None:
    for kind, scalars in _SCALARS.items():
        if isinstance(x, scalars):
            return kind
    return None


_SCALARS: dict[type, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (float, np.floating),
}
