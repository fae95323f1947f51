"""What surrounds a layer's `call`: its signature, the open calls, masks, errors."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import tree
from ..graph import KerasTensor, Tensor, TensorLike
from ..graph.errors import Scope

_ANYTHING = inspect.Parameter.VAR_KEYWORD
_MORE = inspect.Parameter.VAR_POSITIONAL


class CallContext(threading.local):
    """The calls in progress in this thread, outermost first."""

    def __init__(self) -> None:
        self.depth = 0
        self.training: bool | None = None
        self.serial = 0  # number of the outermost call in progress, or of the latest
        self.path: list[str] = []  # names of the open layers


context = CallContext()
_serials = itertools.count(1)


def next_serial() -> int:
    """Return a number for a new outermost call, larger than all before."""
    return next(_serials)


@contextmanager
def open_path(path: list[str]) -> Iterator[None]:
    """Make `path` the names of the open layers inside a `with` block."""
    before, context.path = context.path, path
    try:
        yield
    finally:
        context.path = before


@contextmanager
def training_scope(training: bool | None) -> Iterator[None]:
    """Make `training` what layers see that are not told otherwise."""
    before, context.training = context.training, training
    try:
        yield
    finally:
        context.training = before


class CallSpec:
    """What the signature of a `call` method says, without `self`."""

    def __init__(self, call: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(call).parameters.values())[1:]
        self.signature = inspect.Signature(parameters)
        self.names = [
            p.name
            for p in parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.keywords = {
            p.name
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        self.takes_anything = any(p.kind is _ANYTHING for p in parameters)
        self.takes_more = any(p.kind is _MORE for p in parameters)
        self.takes_training = "training" in self.keywords
        self.default_training: bool | None = None
        if self.takes_training:
            default = self.signature.parameters["training"].default
            self.default_training = default if isinstance(default, bool) else None
        self.masks = [
            n for n in self.signature.parameters if n == "mask" or n.endswith("_mask")
        ]

    def bind(
        self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the given arguments by name; `layer` is who to name in an error.

        Raises:
            TypeError: if `call` does not take them.
        """
        if len(args) <= len(self.names):
            given = dict(zip(self.names, args, strict=False))
            for name, value in kwargs.items():
                if name in given or name not in self.keywords:
                    break
                given[name] = value
            else:
                return given
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{layer._who()}: call(): {error}") from None
        given = {}
        for name, value in bound.items():
            kind = self.signature.parameters[name].kind
            if kind is _ANYTHING:
                given.update(value)
            elif kind is _MORE:
                given.update({f"{name}_{i}": v for i, v in enumerate(value)})
            else:
                given[name] = value
        return given

    def first(self, arguments: dict[str, Any]) -> Any:
        """Return the value of the first parameter, or else the first value."""
        if self.names and self.names[0] in arguments:
            return arguments[self.names[0]]
        return next(iter(arguments.values()), None)

    def with_masks(
        self, arguments: dict[str, Any], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Return `kwargs` with the masks that the arguments carry."""
        owners = [n for n in arguments if n not in self.masks and n != "training"]
        filled = dict(kwargs)
        for mask in self.masks:
            owner = owners[0] if mask == "mask" and owners else mask[: -len("_mask")]
            if owner in arguments and arguments.get(mask) is None:
                found = mask_of(arguments[owner])
                if has_mask(found):
                    filled[mask] = found
        return filled

    def with_training(
        self, training: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with `training` in its place."""
        if "training" in self.names[: len(args)]:
            position = self.names.index("training")
            return (*args[:position], training, *args[position + 1 :]), kwargs
        return args, {**kwargs, "training": training}


# --- masks and shapes of nested tensors ---------------------------------------


def mask_of(value: Any) -> Any:
    """Return the mask that a tensor carries, or masks in the nesting of tensors."""
    if isinstance(value, TensorLike):
        return getattr(value, "_keras_mask", None)
    if not tree.is_nested(value):
        return None
    return tree.map_structure(lambda t: getattr(t, "_keras_mask", None), value)


def has_mask(mask: Any) -> bool:
    """Tell whether a result of `mask_of` holds a mask."""
    return any(m is not None for m in tree.flatten(mask))


def is_tensors(value: Any) -> bool:
    """Tell whether `value` is a tensor or a nesting of tensors only."""
    flat = tree.flatten(value)
    return bool(flat) and all(isinstance(x, (Tensor, KerasTensor)) for x in flat)


def shape_of(value: Any) -> Any:
    """Return the shape of a tensor, or the shapes in the nesting of the tensors."""
    if isinstance(value, TensorLike):
        return value.shape
    return tree.map_structure(lambda x: getattr(x, "shape", None), value)


def is_shape(value: Any) -> bool:
    """Tell whether `value` is one shape rather than a nesting of shapes."""
    return isinstance(value, (list, tuple)) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def map_shapes(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply `function` to a shape, or to every shape in a nesting."""
    if value is None:
        return None
    if is_shape(value):
        return function(tuple(value))
    if isinstance(value, dict):
        return {k: map_shapes(function, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map_shapes(function, v) for v in value)
    raise TypeError(f"Expected a shape or a nesting of shapes, got {value!r}")


# --- errors -------------------------------------------------------------------


def scope_of(layer: Any, arguments: dict[str, Any]) -> Scope:
    """Return what errors say about a layer's call."""
    got = ", ".join(
        f"{name} of shape {shape_of(value)}"
        for name, value in arguments.items()
        if is_tensors(value)
    )
    return layer._who(), f"called on {got or 'no tensors'}"
