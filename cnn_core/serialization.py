"""Objects to plain JSON-ready configurations and back, in the format of Keras 3.

Loading looks names up in registries only: it imports no module and runs no code that a
file names.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .shapes import unknown_name

C = TypeVar("C", bound=Callable[..., Any])

_BUILTIN: dict[str, dict[str, Any]] = {}  # class name -> module -> class
_BUILTIN_MODULE: dict[Any, str] = {}  # class -> "keras.layers" ...
_custom_objects: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}


def builtin(module: str, *aliases: str) -> Callable[[C], C]:
    """Register a class of this library under the module path Keras writes in files."""

    def register(cls: C) -> C:
        _BUILTIN_MODULE[cls] = module
        for name in (cls.__name__, *aliases):
            register_builtin(module, name, cls)
        return cls

    return register


def register_builtin(module: str, name: str, obj: Any) -> None:
    """Make `obj` what files mean by a class name in a module of Keras."""
    _BUILTIN.setdefault(name, {})[module] = obj


def _find_builtin(module: str | None, name: str) -> Any | None:
    """Return the class of a name; the module decides between equal names."""
    found = _BUILTIN.get(name, {})
    if module in found or len(found) < 2:
        return found.get(module or "") or next(iter(found.values()), None)
    # Files may name a private module, e.g. keras.src.losses.losses.
    parts = set((module or "").split("."))
    for public, obj in found.items():
        if public.rpartition(".")[2] in parts:
            return obj
    return None


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[C], C]:
    """Register an own class or function, so that models holding it can be loaded.

    Args:
        package: prefix that keeps equal names of different projects apart.
        name: name to register; the object's own name where None.

    Raises:
        ValueError: for a class without `get_config`.
    """

    def register(obj: C) -> C:
        registered = f"{package}>{name or obj.__name__}"
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"register_keras_serializable: class {obj.__name__} needs a "
                "get_config() method"
            )
        _custom_objects[registered] = obj
        _custom_names[obj] = registered
        return obj

    return register


def get_custom_objects() -> dict[str, Any]:
    """Return the live registry of own objects, by name."""
    return _custom_objects


def get_registered_name(obj: Any) -> str:
    """Return the name `obj` was registered under, or its own name."""
    return _custom_names.get(obj) or str(obj.__name__)


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None
) -> Any | None:
    """Return the own object registered as `name`, or None."""
    return {**_custom_objects, **(custom_objects or {})}.get(name)


@contextmanager
def custom_object_scope(custom_objects: dict[str, Any]) -> Iterator[None]:
    """Make `custom_objects` (name -> object) loadable inside a `with` block."""
    before = dict(_custom_objects)
    _custom_objects.update(custom_objects)
    try:
        yield
    finally:
        _custom_objects.clear()
        _custom_objects.update(before)


CustomObjectScope = custom_object_scope


def serialize_keras_object(obj: Any) -> Any:
    """Return a JSON-ready description of `obj`.

    Raises:
        TypeError: if `obj` is neither plain data nor an object with `get_config`.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if isinstance(obj, (list, tuple)):  # JSON has no tuples, so neither do the files
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, slice):
        return {
            "class_name": "__slice__",
            "config": {"start": obj.start, "stop": obj.stop, "step": obj.step},
        }
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, types.FunctionType):
        return _serialize_function(obj)
    if hasattr(obj, "get_config"):
        return _serialize_instance(obj)
    if hasattr(obj, "__array__"):
        return serialize_keras_object(np.asarray(obj))
    raise TypeError(
        f"serialize_keras_object: {type(obj).__name__} has no get_config() method and "
        f"is not plain data, got {obj!r}"
    )


def _serialize_function(function: Any) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        raise TypeError(
            "serialize_keras_object: a lambda cannot be saved; use a named function "
            "registered with register_keras_serializable"
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(function),
        "registered_name": "function",
    }


def _serialize_instance(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    module = _BUILTIN_MODULE.get(cls)
    name = getattr(obj, "serialized_name", cls.__name__)
    module = getattr(obj, "serialized_module", module)
    result = {
        "module": module,
        "class_name": name,
        "config": {
            key: serialize_keras_object(value)
            for key, value in obj.get_config().items()
        },
        "registered_name": None if module else get_registered_name(cls),
    }
    for key, method in (
        ("build_config", "get_build_config"),
        ("compile_config", "get_compile_config"),
    ):
        extra = getattr(obj, method)() if hasattr(obj, method) else None
        if extra is not None:
            result[key] = serialize_keras_object(extra)
    return result


def deserialize_keras_object(
    config: Any,
    custom_objects: dict[str, Any] | None = None,
    safe_mode: bool = True,
) -> Any:
    """Rebuild the object that `serialize_keras_object` described.

    Args:
        config: the description; plain data is returned as it is.
        custom_objects: own classes and functions by name.
        safe_mode: accepted for compatibility; loading never runs code from a file.

    Raises:
        ValueError: if a class is not known here or its configuration does not fit.
    """
    if isinstance(config, list):
        return [deserialize_keras_object(c, custom_objects, safe_mode) for c in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {
            key: deserialize_keras_object(value, custom_objects, safe_mode)
            for key, value in config.items()
        }
    class_name, inner = config["class_name"], config["config"]
    if class_name in ("__numpy__", "__tensor__"):
        return np.array(inner["value"], dtype=inner["dtype"])
    if class_name == "__slice__":
        return slice(inner["start"], inner["stop"], inner["step"])
    if class_name == "__ellipsis__":
        return Ellipsis
    if class_name == "__lambda__":
        raise ValueError(
            "deserialize_keras_object: the file holds a Python lambda, which would run "
            "code from the file; rebuild the model in Python and load its weights"
        )
    registered, module = config.get("registered_name"), config.get("module")
    if class_name == "function":
        return _lookup(module, registered or inner, inner, custom_objects)
    cls = _lookup(module, registered, class_name, custom_objects)
    return _rebuild(cls, config, custom_objects)


def _lookup(
    module: str | None,
    registered: str | None,
    name: str,
    custom_objects: dict[str, Any] | None,
) -> Any:
    own = {**_custom_objects, **(custom_objects or {})}
    for candidate in (registered, name):
        if candidate in own:
            return own[candidate]
    builtin_class = _find_builtin(module, name)
    if builtin_class is not None:
        return builtin_class
    for full_name, obj in own.items():  # "package>Name" given as "Name"
        if full_name.rpartition(">")[2] == name:
            return obj
    error = unknown_name("class or function", name, {*own, *_BUILTIN})
    raise ValueError(
        f"{error}. An own one must be passed in custom_objects or registered with "
        "register_keras_serializable"
    )


def _rebuild(cls: Any, config: dict[str, Any], custom_objects: Any) -> Any:
    inner = config["config"]
    if not hasattr(cls, "from_config"):
        raise ValueError(
            f"deserialize_keras_object: class {cls.__name__} has no from_config()"
        )
    with custom_object_scope(custom_objects or {}):
        try:
            instance = cls.from_config(inner)
        except TypeError as error:
            raise ValueError(
                f"{cls.__name__}: the configuration {inner} does not fit the "
                f"constructor ({error}); implement get_config() and from_config()"
            ) from error
        build_config = config.get("build_config")
        if build_config and hasattr(instance, "build_from_config"):
            instance.build_from_config(deserialize_keras_object(build_config))
        compile_config = config.get("compile_config")
        if compile_config and hasattr(instance, "compile_from_config"):
            instance.compile_from_config(compile_config)
    return instance


# --- objects by identifier ---------------------------------------------------


def resolve(kind: str, identifier: Any, known: dict[str, Any]) -> Any:
    """Return the object that a user names: what `losses.get` and its kin do.

    Args:
        kind: what is looked for, in words, for messages.
        identifier: a name, a configuration, a class (an instance is made), or the
            object itself.
        known: the built-in classes and functions by name.

    Raises:
        ValueError: for a name that is not known.
        TypeError: for an object that cannot be called.
    """
    if isinstance(identifier, (str, dict)):
        obj = deserialize_instance(kind, identifier, known)
    else:
        obj = identifier() if isinstance(identifier, type) else identifier
    if not callable(obj):
        raise TypeError(
            f"Expected a {kind} as a name, a configuration or an object that can be "
            f"called, got {identifier!r}"
        )
    return obj


def deserialize_object(
    kind: str,
    config: Any,
    known: dict[str, Any],
    custom_objects: dict[str, Any] | None = None,
) -> Any:
    """Rebuild an object of one kind; `known` holds the built-in ones by name.

    Raises:
        ValueError: for a name that is not known.
    """
    own = {**_custom_objects, **(custom_objects or {})}
    if isinstance(config, str):
        for names in (known, own):
            if config in names:
                return names[config]
        for full_name, obj in own.items():
            if full_name.rpartition(">")[2] == config:
                return obj
        raise unknown_name(kind, config, known)
    if not isinstance(config, dict) or "class_name" not in config:
        raise TypeError(
            f"Expected the configuration of a {kind}, a dictionary with 'class_name' "
            f"and 'config', got {config!r}"
        )
    config = {"config": {}, **config}
    name = config["class_name"]
    if name == "function":
        found = None if config["config"] in own else known.get(config["config"])
        if isinstance(found, types.FunctionType):
            return found
    if name in known and name not in own and not config.get("registered_name"):
        return _rebuild(known[name], config, custom_objects)
    return deserialize_keras_object(config, custom_objects)


def deserialize_instance(
    kind: str,
    config: Any,
    known: dict[str, Any],
    custom_objects: dict[str, Any] | None = None,
) -> Any:
    """Rebuild an object of one kind; the name of a class stands for an instance.

    Raises:
        ValueError: for a name that is not known.
    """
    result = deserialize_object(kind, config, known, custom_objects)
    return result() if isinstance(result, type) else result
