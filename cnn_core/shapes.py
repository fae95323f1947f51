"""Shape and dtype rules with their error messages; `None` is a size not known yet."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from . import config

Shape = tuple[int | None, ...]

DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
)
DTYPE_NAMES = {np.dtype(name): name for name in DTYPES}
_DTYPE_ALIASES = {"float": None, "int": "int32", float: None, int: "int32"}


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not in `known`, with the nearest that is."""
    import difflib  # slow to import, and rarely needed

    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), [n.lower() for n in names], 1)
    nearest = [n for n in names if near and n.lower() == near[0]]
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names)}"
    return ValueError(f"Unknown {kind} {name!r}; {hint}")


# --- dtypes ------------------------------------------------------------------


def dtype_name(dtype: Any) -> str:
    """Return the standard name of a dtype, e.g. 'float32'; `None` means `floatx()`.

    Raises:
        ValueError: if the library has no such dtype.
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    if isinstance(dtype, (str, type)) and dtype in _DTYPE_ALIASES:
        return _DTYPE_ALIASES[dtype] or config.floatx()
    if isinstance(dtype, str):
        raise unknown_name("dtype", dtype, DTYPES)
    try:
        return DTYPE_NAMES[np.dtype(getattr(dtype, "name", dtype))]
    except (TypeError, KeyError):
        raise unknown_name("dtype", dtype, DTYPES) from None


def is_float(dtype: str) -> bool:
    """Tell whether `dtype` is a floating-point type."""
    return dtype.startswith("float")


def result_type(*dtypes: Any) -> str:
    """Return the dtype that operands of these dtypes are promoted to.

    The rule is that of Keras: integers never widen a float type, and the Python types
    `int`, `float` and `bool` are weak: they choose a kind, not a width.
    """
    return _promoted(config.floatx(), *dtypes)


@functools.lru_cache(maxsize=1024)
def _promoted(floatx: str, *dtypes: Any) -> str:
    weak = {d for d in dtypes if isinstance(d, type) and d in (int, float, bool)}
    strong = {dtype_name(d) for d in dtypes if not (isinstance(d, type) and d in weak)}
    floats = {name for name in strong if is_float(name)}
    integers = strong - floats - {"bool"}
    if floats:
        return np.result_type(*floats).name
    if float in weak or not dtypes:
        return floatx
    if integers:
        common = np.result_type(*integers).name
        return floatx if is_float(common) else common
    return "int32" if int in weak else "bool"


# --- shapes ------------------------------------------------------------------


def standardize_shape(shape: Any, who: str = "shape") -> Shape:
    """Return `shape` as a tuple of ints and Nones; a bare integer is a vector's length.

    Raises:
        TypeError: if an entry is neither an integer nor None.
        ValueError: if an entry is negative.
    """
    if shape is None:
        raise TypeError(f"{who}: expected a tuple of integers, got None")
    if not isinstance(shape, (tuple, list)):
        try:
            shape = (operator.index(shape),)
        except TypeError:
            try:
                shape = tuple(shape)
            except TypeError:
                raise TypeError(
                    f"{who}: expected a tuple of integers, got {shape!r}"
                ) from None
    result: list[int | None] = []
    for size in shape:
        if size is None:
            result.append(None)
            continue
        try:
            number = operator.index(size)
        except TypeError:
            raise TypeError(
                f"{who}: expected integers or None, got {size!r} in {tuple(shape)}"
            ) from None
        if number < 0:
            raise ValueError(f"{who}: expected sizes >= 0, got {tuple(shape)}")
        result.append(number)
    return tuple(result)


def normalize_axis(axis: Any, ndim: int, who: str = "axis") -> int:
    """Return `axis` counted from the front.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range for `ndim` dimensions.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        raise TypeError(f"{who}: expected an integer axis, got {axis!r}") from None
    if not -ndim <= number < ndim:
        allowed = f"in [{-ndim}, {ndim - 1}]" if ndim else "None"
        raise ValueError(
            f"{who}: expected an axis {allowed} for {ndim} dimensions, got {number}"
        )
    return number % ndim


def normalize_axes(axis: Any, ndim: int, who: str = "axis") -> tuple[int, ...]:
    """Return the sorted axes that `axis` (one or several) names; None names all.

    Raises:
        TypeError: if an axis is not an integer.
        ValueError: if an axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        return (normalize_axis(axis, ndim, who),)
    axes = sorted(normalize_axis(a, ndim, who) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{who}: axis {tuple(axis)} names a dimension twice")
    return tuple(axes)


def broadcast(*shapes: Shape, who: str = "broadcast") -> Shape:
    """Return the shape that `shapes` broadcast to, by NumPy's rule.

    Raises:
        ValueError: if two sizes differ and neither is 1.
    """
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return tuple(shapes[0])
    result: list[int | None] = []
    ndim = max(map(len, shapes), default=0)
    for position in range(-ndim, 0):
        sizes = {s[position] for s in shapes if len(s) >= -position} - {1}
        known = sizes - {None}
        if len(known) > 1:
            raise ValueError(
                f"{who}: shapes {' and '.join(map(str, shapes))} do not broadcast; "
                "aligned at the last axis, sizes must be equal or 1"
            )
        if known:
            result.append(known.pop())
        else:
            result.append(None if sizes else 1)
    return tuple(result)


def reduced(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """Return `shape` after a reduction over the (normalized) `axes`."""
    if keepdims:
        return tuple(1 if i in axes else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in axes)


def matmul(
    a: Shape,
    b: Shape,
    transpose_a: bool = False,
    transpose_b: bool = False,
    who: str = "matmul",
) -> Shape:
    """Return the shape of a matrix product of operands with at least 2 dimensions.

    Raises:
        ValueError: if the inner sizes differ or the leading axes do not broadcast.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"{who}: expected at least 2 dimensions, got {a} and {b}")
    rows, inner_a = (a[-1], a[-2]) if transpose_a else (a[-2], a[-1])
    inner_b, columns = (b[-1], b[-2]) if transpose_b else (b[-2], b[-1])
    if None not in (inner_a, inner_b) and inner_a != inner_b:
        raise ValueError(
            f"{who}: inner sizes must be equal, got {inner_a} and {inner_b} "
            f"(shapes {a}{' transposed' * transpose_a} and "
            f"{b}{' transposed' * transpose_b})"
        )
    return (*broadcast(a[:-2], b[:-2], who=who), rows, columns)


def known_size(shape: Shape) -> int | None:
    """Return the number of elements, or None while a size is unknown."""
    total = 1
    for size in shape:
        if size is None:
            return None
        total *= size
    return total


def reshaped(shape: Shape, target: Sequence[int | None], who: str = "reshape") -> Shape:
    """Return the shape after a reshape to `target`, which may hold one -1.

    Raises:
        TypeError: if a size is not an integer.
        ValueError: if the number of elements would change.
    """
    target = tuple(target)
    if target.count(None) == 1 == shape.count(None) and -1 in target:
        # The one unknown size, that of the batch, stays as it is.
        rest_of = tuple(s for s in shape if s is not None)
        known = list(reshaped(rest_of, [s for s in target if s is not None], who))
        known.insert(target.index(None), None)
        return tuple(known)
    wanted: list[int | None] = [-1 if s is None else operator.index(s) for s in target]
    if wanted.count(-1) > 1:
        raise ValueError(f"{who}: only one size may be -1, got {tuple(target)}")
    if any(s is not None and s < -1 for s in wanted):
        raise ValueError(f"{who}: sizes must be >= -1, got {tuple(target)}")
    total = known_size(shape)
    rest = known_size(tuple(s for s in wanted if s != -1))
    assert rest is not None
    if total is None:
        if -1 in wanted:
            wanted[wanted.index(-1)] = None
        return tuple(wanted)
    if -1 in wanted:
        if rest == 0 or total % rest:
            raise ValueError(
                f"{who}: {total} elements of shape {shape} do not divide into "
                f"{tuple(target)}"
            )
        wanted[wanted.index(-1)] = total // rest
    elif rest != total:
        raise ValueError(
            f"{who}: shape {shape} has {total} elements, {tuple(target)} has {rest}"
        )
    return tuple(wanted)


def compatible(a: Shape, b: Shape) -> bool:
    """Tell whether two shapes may be equal, given what is known of them."""
    return len(a) == len(b) and all(
        x is None or y is None or x == y for x, y in zip(a, b, strict=True)
    )


def merged(a: Shape, b: Shape) -> Shape:
    """Return what is known from two compatible shapes of the same tensor."""
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def concatenated(inputs: Sequence[Shape], axis: int, who: str = "concatenate") -> Shape:
    """Return the shape of tensors joined along `axis`.

    Raises:
        ValueError: if there are none, or they differ in another axis.
    """
    if not inputs:
        raise ValueError(f"{who}: expected at least one tensor, got none")
    axis = normalize_axis(axis, len(inputs[0]), who)
    total: int | None = 0
    rest = (*inputs[0][:axis], *inputs[0][axis + 1 :])
    for shape in inputs:
        other = (*shape[:axis], *shape[axis + 1 :])
        if len(shape) != len(inputs[0]) or not compatible(rest, other):
            raise ValueError(
                f"{who}: shapes must be equal except along axis {axis}, "
                f"got {', '.join(map(str, inputs))}"
            )
        rest = merged(rest, other)
        size = shape[axis]
        total = None if total is None or size is None else total + size
    return (*rest[:axis], total, *rest[axis:])


# --- indices -----------------------------------------------------------------


def indexed(shape: Shape, key: Any, who: str = "getitem") -> Shape:
    """Return the shape of `x[key]` for an `x` of `shape`, by NumPy's rules.

    Args:
        shape: shape of `x`.
        key: an integer, slice, Ellipsis, None, an integer or boolean array, or a tuple
            of these.
        who: what to call it in messages.

    Raises:
        IndexError: if there are too many indices, or one is out of range.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(
        np.ndim(part) if _is_mask(part) else 1
        for part in parts
        if part is not None and part is not Ellipsis
    )
    if used > len(shape):
        raise IndexError(f"{who}: too many indices for shape {shape}, got {used}")
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    sizes = iter(shape)
    result: list[int | None] = []
    arrays: list[Shape] = []  # shapes of the advanced indices
    spots: list[tuple[int, int]] = []  # their positions in the key and the result
    for position, part in enumerate(parts):
        if part is None:
            result.append(1)
        elif part is Ellipsis:
            result.extend(next(sizes) for _ in range(len(shape) - used))
        elif isinstance(part, slice):
            size = next(sizes)
            result.append(_sliced(size, part))
        else:
            spots.append((position, len(result)))
            arrays.extend(_advanced(part, sizes, shape, who))
    if all(type(parts[position]) is int for position, _ in spots):
        return tuple(result)
    # Arrays stand where they are if they are neighbors, in front otherwise.
    positions = [position for position, _ in spots]
    together = positions == list(range(positions[0], positions[-1] + 1))
    place = spots[0][1] if together else 0
    return (*result[:place], *broadcast(*arrays, who=who), *result[place:])


def _is_mask(part: Any) -> bool:
    return isinstance(part, bool) or getattr(part, "dtype", None) == np.bool_


def _sliced(size: int | None, part: slice) -> int | None:
    if size is not None:
        return len(range(*part.indices(size)))
    return None


def _advanced(
    part: Any, sizes: Iterator[int | None], shape: Shape, who: str
) -> list[Shape]:
    """Return the shapes of the integer arrays that one part of a key stands for."""
    if _is_mask(part):
        for wanted in np.shape(part):
            size = next(sizes)
            if size not in (None, wanted):
                raise IndexError(
                    f"{who}: a boolean index of shape {np.shape(part)} does not fit "
                    f"shape {shape}"
                )
        return [(int(np.count_nonzero(part)),)]
    size = next(sizes)
    low, high = (part, part) if isinstance(part, int) else _extent(part)
    if size is not None and low is not None and not (-size <= low and high < size):
        raise IndexError(
            f"{who}: index {low if low < -size else high} is out of range for an axis "
            f"of size {size} of shape {shape}"
        )
    return [np.shape(part)]


def _extent(part: Any) -> tuple[Any, Any]:
    array = np.asarray(part)
    if array.dtype.kind not in "iu":
        raise IndexError(
            f"indices must be integers or booleans, got dtype {array.dtype}"
        )
    return (array.min(), array.max()) if array.size else (None, None)
