"""The state of a model to named arrays and back: all of it, or none."""

from __future__ import annotations

import warnings
from typing import Any

from ..graph import Variable
from ..layers import Layer
from ..optimizers import Optimizer
from .h5_weights import Array, DamagedFileError, Entry, Reader
from .walk import saveables


def collect(model: Any) -> list[Entry]:
    """Return path, name and arrays of everything in the model that has state.

    Raises:
        ValueError: for a layer that keeps files, which model files here do not hold.
    """
    entries: list[Entry] = []
    for path, obj in saveables(model):
        if hasattr(obj, "save_assets"):
            raise ValueError(
                f"{_who(obj)} defines save_assets(), but extra files are not saved "
                "here; put its data into get_config() or save_own_variables()"
            )
        if hasattr(obj, "save_own_variables"):
            arrays: dict[str, Any] = {}
            obj.save_own_variables(arrays)
            name = getattr(obj, "name", None)
            entries.append((path, name if isinstance(name, str) else None, arrays))
    return entries


def restore(model: Any, reader: Reader, skip_mismatch: bool = False) -> None:
    """Put the arrays of a file into the model's variables.

    Everything is read and compared with the model before the first assignment.

    Args:
        model: built model.
        reader: the file.
        skip_mismatch: leave objects alone that do not fit, with one warning.

    Raises:
        DamagedFileError: if the file is not sound.
        ValueError: if it does not fit the model; nothing has changed then.
    """
    _build_optimizer(model, reader)
    plan: list[tuple[Any, dict[str, Array]]] = []
    problems: list[str] = []
    wanted: set[str] = set()
    for path, obj in saveables(model):
        if not hasattr(obj, "load_own_variables"):
            continue
        wanted.add(path)
        declared = reader.shapes(path)
        if isinstance(obj, Optimizer) and not _optimizer_fits(obj, declared):
            continue
        problem = _mismatch(path, obj, declared or {})
        if problem:
            problems.append(problem)
        else:
            plan.append((obj, reader.arrays(path)))
    if problems and not skip_mismatch:
        raise ValueError(_listed("does not fit the model", problems))
    unused = [p for p in reader.paths() if p not in wanted and not _is_extra(p)]
    problems += _assign(model, plan, skip_mismatch)
    if problems:
        warnings.warn(_listed("parts were skipped", problems), stacklevel=4)
    if unused:
        warnings.warn(
            _listed("the file has weights that the model has no place for", unused),
            stacklevel=4,
        )


def _assign(
    model: Any, plan: list[tuple[Any, dict[str, Array]]], skip_mismatch: bool
) -> list[str]:
    """Run the objects' own loading; undo what is done if one fails."""
    problems: list[str] = []
    before = _snapshot(model)
    try:
        for obj, arrays in plan:
            try:
                obj.load_own_variables(arrays)
            except Exception as error:
                if not skip_mismatch:
                    raise ValueError(f"{_who(obj)} cannot load: {error}") from error
                _put_back(_variables(obj), before)
                problems.append(f"{_who(obj)}: {error}")
    except BaseException:
        for variable, value in before.values():
            variable.assign(value)
        raise
    return problems


def _snapshot(model: Any) -> dict[int, tuple[Variable, Any]]:
    """Return every variable with its value; tensors are shared, so it costs nothing."""
    return {id(v): (v, v.value) for _, obj in saveables(model) for v in _variables(obj)}


def _put_back(
    variables: list[Variable], before: dict[int, tuple[Variable, Any]]
) -> None:
    for variable in variables:
        if id(variable) in before:
            variable.assign(before[id(variable)][1])


def _variables(obj: Any) -> list[Variable]:
    if isinstance(obj, Layer):
        return obj._own_variables
    return list(getattr(obj, "variables", ()))


def _mismatch(path: str, obj: Any, declared: dict[str, tuple[int, ...]]) -> str | None:
    """Return what speaks against loading, None if nothing does.

    Only the standard hooks are judged here; own ones judge for themselves.
    """
    hook = type(obj).load_own_variables
    if hook not in (Layer.load_own_variables, Optimizer.load_own_variables):
        return None
    variables = _variables(obj)
    where = f"{_who(obj)} at '{path}'"
    if len(variables) != len(declared):
        return f"{where} has {len(variables)} variables, the file {len(declared)}"
    for i, variable in enumerate(variables):
        if str(i) not in declared:
            return f"{where}: the file has no '{i}'"
        if declared[str(i)] != variable.shape:
            return (
                f"{where}: '{variable.name}' has shape {variable.shape}, in the file "
                f"{declared[str(i)]}"
            )
    return None


def _build_optimizer(model: Any, reader: Reader) -> None:
    """Make the optimizer's state if the file has one; before training it has none."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, Optimizer) and not optimizer.built:
        stored = reader.shapes("optimizer") or {}
        if len(stored) > len(optimizer.variables):
            optimizer.build(model.trainable_variables)


def _optimizer_fits(
    optimizer: Optimizer, declared: dict[str, tuple[int, ...]] | None
) -> bool:
    """Tell whether the file has this optimizer's state; warn if it has another's.

    A file without it is one saved before training, or weights only.
    """
    if not declared:
        return False
    if len(declared) == len(optimizer.variables):
        return True
    if len(declared) > 2:  # more than a step count and a learning rate
        warnings.warn(
            f"{_who(optimizer)} starts anew: it has {len(optimizer.variables)} "
            f"variables, the file {len(declared)}",
            stacklevel=5,
        )
    return False


def _is_extra(path: str) -> bool:
    """Tell whether a path holds state that a model may well do without."""
    parts = path.split("/")
    return parts[0] in ("optimizer", "_loss_tracker") or "seed_generator" in parts


def _listed(what: str, items: list[str]) -> str:
    shown = "; ".join(items[:5])
    more = f"; and {len(items) - 5} more" if len(items) > 5 else ""
    return f"{what}: {shown}{more}"


def _who(obj: Any) -> str:
    return f"{type(obj).__name__} '{getattr(obj, 'name', '')}'"


__all__ = ["DamagedFileError", "collect", "restore"]
