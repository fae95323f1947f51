"""Calls of models as Programs: `model(x)` of one kind of input, run natively."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from types import FunctionType
from typing import Any

import numpy as np

from .. import backend, config, tree
from ..graph import KerasTensor, Tensor, Variable, is_symbolic_scope
from ..graph.program import Program, Spec, trace
from ..graph.program.kernels import TYPES
from ..graph.tensor import recording
from ..layers.calls import context, next_serial
from ..layers.state import edits
from ..ops._op import OpCall

CAPACITY = 16  # programs of a model kept at once; the one used longest ago goes first
# Bytes of intermediate results beyond which operations are long and calls take what
# they need from the heap.
_LARGEST_ARENA = 1 << 24

_PACKAGE = __name__.partition(".")[0]
_IMMUTABLE: tuple[type, ...] = (type(None), bool, int, float, str, bytes)
_IMMUTABLE += (np.generic, np.dtype, Tensor, KerasTensor)
_IMMUTABLE += (Variable,)  # a program reads it when it runs


class NativeCalls:
    """The programs of `model(x)`, of a model that is known through and through.

    That is a `Sequential` or `Functional` of layers of this package, whose attributes
    cannot change unnoticed. A kind of input (shapes, dtypes, nesting, `training`) is
    compiled when it comes the second time. What a program cannot do (gradients, masks,
    added losses, changes of variables) is left to Python, silently.

    Args:
        model: the model.
    """

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self._programs: OrderedDict[Any, Program | None] = OrderedDict()
        self._arenas: Any = None  # in which all of them work
        self._seen: OrderedDict[Any, int] = OrderedDict()
        self._compiled = 0
        self._checked: Any = None  # the state of the world when it was last looked at
        self._edit = -1  # latest change of a layer that the programs know
        self._layers: list[Any] | None = None  # all there are, if they are known

    def __deepcopy__(self, memo: Any) -> None:
        """Leave a copy of the model without programs: it makes its own."""

    def __reduce__(self) -> Any:
        return (type(None), ())

    def run(self, model: Any, x: Any, options: dict[str, Any]) -> Any:
        """Return `model(x, **options)`, or None to run it eagerly."""
        if self._model() is not model:  # a shallow copy of it
            model.__dict__["_calls"] = None
            return None
        training = None
        if options:
            training = options.get("training", self)
            if len(options) != 1 or not (training is None or training is False):
                return None
        kind = type(x)
        key: tuple[Any, ...]
        arrays: list[Any] | None
        if kind is np.ndarray:
            arrays = [x]
            key = (x.shape, x.dtype, training)
        elif kind is Tensor:
            if hasattr(x, "_keras_mask"):
                return None
            array = x._array
            arrays = [array]
            key = (array.shape, array.dtype, training)
        else:
            arrays = _leaves(x)
            if not arrays:
                return None
            form = tuple(sorted(x)) if kind is dict else kind
            key = (form, training, *[(a.shape, a.dtype) for a in arrays])
        if (
            recording.tapes
            or recording.trace is not None
            or context.depth
            or context.training is not None
            or is_symbolic_scope()
            or (
                self._checked != (edits.latest, config.changes()) and self._check(model)
            )
        ):
            return None
        program = self._programs.get(key) or self._find(model, key, x, options, arrays)
        if program is None:
            return None
        if not program.is_current:  # other kernels, threads or products
            self._programs.clear()
            return None
        try:
            outputs = program.run(arrays)
        except Exception:  # that of an operation in Python; eagerly it names the layer
            return None
        context.serial = model.__dict__["_call_serial"] = next_serial()
        return program.structured([Tensor(a) for a in outputs])

    # --- what may be compiled ---

    def _check(self, model: Any) -> bool:
        """Look for changes of layers; tell whether the model must run eagerly."""
        now = edits.latest, config.changes()
        changed = self._layers is None or any(
            layer.__dict__["_edit"] > self._edit for layer in self._layers
        )
        if changed or self._checked is None or self._checked[1] != now[1]:
            self._programs.clear()
            self._seen.clear()
            self._edit = now[0]
            self._layers = _known_layers(model)
        self._checked = now if self._layers is not None else None
        return self._layers is None

    def _find(
        self, model: Any, key: Any, x: Any, options: dict[str, Any], arrays: list[Any]
    ) -> Program | None:
        """Return the program of a kind of input, or None to run eagerly."""
        if key in self._programs:
            return None
        count = self._seen[key] = self._seen.pop(key, 0) + 1
        # Where more kinds come in turn than there is room for, programs would be made
        # and dropped again and again: the more there were, the longer a kind waits.
        if count < 2 + 8 * (self._compiled // CAPACITY):
            if len(self._seen) > 64 * CAPACITY:
                self._seen.popitem(last=False)
            return None
        self._compiled += 1
        program = _compile(model, x, options, arrays, self._arenas)
        self._programs[key] = program
        if program is not None:
            self._arenas = program.arenas
        if len(self._programs) > CAPACITY:
            self._programs.popitem(last=False)
        return program


def _leaves(x: Any) -> list[Any] | None:
    """Return the arrays of a list, tuple or dictionary, or None for anything else."""
    kind = type(x)
    if kind is dict:
        try:
            x = [x[name] for name in sorted(x)]
        except TypeError:  # names of several types
            return None
    elif kind is not list and kind is not tuple:
        return None
    arrays = []
    for leaf in x:
        if type(leaf) is Tensor and not hasattr(leaf, "_keras_mask"):
            arrays.append(leaf._array)
        elif type(leaf) is np.ndarray:
            arrays.append(leaf)
        else:
            return None
    return arrays


def _compile(
    model: Any, x: Any, options: dict[str, Any], arrays: list[Any], arenas: Any
) -> Program | None:
    """Return a program for inputs like these, or None if Python must run the model."""
    functional = model.__dict__.get("_functional", model)
    if type(x) is dict:
        struct = functional._inputs_struct
        names = struct if isinstance(struct, dict) else functional.input_names
        if set(x) != set(names):
            return None
    if any(not a.size or _native_name(a.dtype) not in TYPES for a in arrays):
        return None
    specs = tree.map_structure(lambda a: Spec(a.shape, _native_name(a.dtype)), x)
    try:
        graph = trace(lambda inputs: model(inputs, **options), specs)
        outputs = tree.flatten(graph.structure)
        if graph.writes or any(
            type(t) is not Tensor or hasattr(t, "_keras_mask") for t in outputs
        ):
            return None
        if any(layer._losses for layer in model._flatten_layers()):
            return None
        program = Program(graph, arenas=arenas)
    except Exception:  # whatever it is, it does not come when the model runs eagerly
        return None
    finally:
        model._clear_losses()  # those of the trace have no values
    return program if program.plan.arena_bytes <= _LARGEST_ARENA else None


def _native_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


# --- models that are known through and through --------------------------------


def _known_layers(model: Any) -> list[Any] | None:
    """Return a model and all layers in it, or None if one may change unnoticed."""
    if model.run_eagerly or not model.built:
        return None
    layers = model._flatten_layers()
    return layers if all(map(_is_known, layers)) else None


def _is_known(layer: Any) -> bool:
    kind = type(layer)
    if not _is_ours(kind.__module__):
        return False
    graph = layer
    if "_stack" in layer.__dict__:  # a Sequential
        graph = layer.__dict__.get("_functional")
        if graph is None:
            return False
    nodes = graph.__dict__.get("_nodes")
    if nodes is not None and not all(map(_is_known_node, nodes)):
        return False
    for name, value in layer.__dict__.items():
        if callable(getattr(kind, name, None)):  # a method is overridden
            return False
        # Models compute with what they keep to themselves.
        if nodes is None and name[0] != "_" and not _is_fixed(value):
            return False
    return True


def _is_known_node(node: Any) -> bool:
    """Tell whether a step of a functional model does the same for ever, unmasked."""
    if any(getattr(t, "_keras_mask", None) is not None for t in node.output_tensors):
        return False
    operation = node.operation
    given = [node.args, node.kwargs]
    if type(operation) is OpCall:
        if not _is_fixed(operation.function):
            return False
        given.append(operation.attributes)
    elif not _is_ours(type(operation).__module__):
        return False
    return all(map(_is_fixed, tree.flatten(given)))


def _is_fixed(value: Any) -> bool:
    """Tell whether a value does not change, or only through attributes of a layer."""
    if isinstance(value, _IMMUTABLE):
        return True
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    if isinstance(value, slice):
        return all(map(_is_fixed, (value.start, value.stop, value.step)))
    if isinstance(value, FunctionType):
        return _is_ours(value.__module__)
    return value is Ellipsis or _is_ours(type(value).__module__)


def _is_ours(module: Any) -> bool:
    return str(module).partition(".")[0] == _PACKAGE


def supports(model: Any) -> bool:
    """Tell whether calls of a model may be compiled at all."""
    return backend.name() == "compiled" and _is_ours(type(model).__module__)
