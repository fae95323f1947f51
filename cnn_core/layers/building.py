"""What a layer needs around its `build`: shapes by name, and what was given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .. import shapes
from .calls import context, is_tensors, map_shapes, open_path, shape_of


def tracked_build(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap `build` so that it marks the layer built and keeps the shapes."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        self._check_initialized()
        bound = signature.bind(self, *args, **kwargs).arguments
        given = dict(list(bound.items())[1:])
        nested = self.__dict__.get("_building", False)  # called by a subclass's build
        variables = list(self._adjustable), list(self._fixed)
        attributes = dict(self.__dict__)
        path = context.path if nested else [*context.path, self.name]
        self._path = "/".join(path)
        self.__dict__["_building"] = True
        try:
            with open_path(path):
                build(self, *args, **kwargs)
        except BaseException:
            self.__dict__.clear()  # as if it had not begun
            self.__dict__.update(attributes)
            self._adjustable[:], self._fixed[:] = variables
            raise
        finally:
            self.__dict__["_building"] = nested
        self.built = True
        if not nested:
            self._build_shapes = {k: as_tuples(v) for k, v in given.items()}

    wrapper._parameters = [  # type: ignore[attr-defined]
        n for n in signature.parameters if n != "self"
    ]
    return wrapper


def build_parameters(cls: Any) -> list[str]:
    """Return the names of the arguments of a class's `build`."""
    names: list[str] = cls.build._parameters
    return names


def constructor_parameters(cls: Any) -> list[str]:
    """Return the names of the arguments that a class adds to its constructor."""
    if "__init__" not in cls.__dict__:
        return []
    return [
        p.name
        for p in inspect.signature(cls.__init__).parameters.values()
        if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


def shape_hint(who: str, kwargs: dict[str, Any]) -> shapes.Shape | None:
    """Take the arguments out of `kwargs` that tell the shape of the input."""
    if "batch_input_shape" in kwargs:
        full = kwargs.pop("batch_input_shape")
        return shapes.standardize_shape(full, f"{who}: batch_input_shape")
    if "input_shape" in kwargs:
        sample = kwargs.pop("input_shape")
    elif "input_dim" in kwargs:
        sample = (kwargs.pop("input_dim"),)
    else:
        return None
    batch = kwargs.pop("batch_size", None)
    return (batch, *shapes.standardize_shape(sample, f"{who}: input_shape"))


def shapes_by_name(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the shapes of the arguments that are tensors: `x` gives `x_shape`."""
    return {
        f"{name}_shape": shape_of(value)
        for name, value in arguments.items()
        if name != "mask" and not name.endswith("_mask") and is_tensors(value)
    }


def as_tuples(shape: Any) -> Any:
    """Return shapes that may be lists, as JSON has them, as tuples."""
    try:
        return map_shapes(lambda s: s, shape)
    except TypeError:
        return shape
