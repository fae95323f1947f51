"""What every public operation is wrapped in: symbolic calls become model nodes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .. import naming
from ..graph import (
    GradientTape,
    Operation,
    Primitive,
    Tensor,
    any_symbolic,
    apply,
    inferring,
    is_symbolic_scope,
)
from ..serialization import register_builtin

F = TypeVar("F", bound=Callable[..., Any])

REGISTRY: dict[str, Callable[..., Any]] = {}  # public operations by name


# Parameters that hold tensors; the others are attributes of the operation. Files keep
# the two apart.
_TENSOR_PARAMETERS = frozenset(
    "x x1 x2 xs a b condition key indices target output operands values updates "
    "inputs data segment_ids targets predictions fill_value weights variable".split()
)


# Where files say that an operation's class is, if not in keras.src.ops.numpy.
_MODULES = {
    name: f"keras.src.ops.{module}"
    for module, names in {
        "core": "cast unstack slice slice_update saturate_cast cond switch while_loop "
        "fori_loop scan map vectorized_map associative_scan stop_gradient scatter "
        "scatter_update",
        "nn": "moments one_hot multi_hot relu selu silu sigmoid hard_sigmoid softplus "
        "softsign leaky_relu elu gelu softmax log_softmax relu6 log_sigmoid hard_silu "
        "hard_tanh celu glu soft_shrink hard_shrink tanh_shrink threshold squareplus "
        "sparse_plus sparse_sigmoid sparsemax normalize binary_crossentropy "
        "categorical_crossentropy sparse_categorical_crossentropy psnr "
        "dot_product_attention",
        "math": "logsumexp rsqrt erf erfc erfinv top_k in_top_k logdet segment_sum "
        "segment_max segment_min segment_prod cdist",
        "linalg": "inv solve solve_triangular lstsq cholesky cholesky_inverse det qr "
        "eigh pinv matrix_rank norm svd",
    }.items()
    for name in names.split()
}
_CLASS_NAMES = {
    "allclose": "AllClose",
    "cdist": "CDist",
    "isin": "IsIn",
    "psnr": "PSNR",
    "searchsorted": "SearchSorted",
    "svd": "SVD",
}


class OpCall(Operation):
    """The node that an operation leaves in a functional model.

    Args:
        function: the operation.
        attributes: arguments that are not tensors, e.g. `axis`.
        name: name; that of the function with a number by default.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        attributes: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.function = function
        self.attributes = attributes or {}
        self.name = name or naming.unique_name(function.__name__.strip("_"))
        self._inbound_nodes = []

    @property
    def serialized_module(self) -> str:
        """Module of the operation's class in files."""
        return _module_name(self.function.__name__)

    @property
    def serialized_name(self) -> str:
        """Name of the operation's class in files: `expand_dims` is `ExpandDims`."""
        return _class_name(self.function.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic_scope() or not any_symbolic([args, kwargs]):
            return self.function(*args, **kwargs, **self.attributes)
        with inferring():
            outputs = self.function(*args, **kwargs, **self.attributes)
        return self.record(args, kwargs, outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the attributes."""
        return {"name": self.name, **self.attributes}

    def __getstate__(self) -> dict[str, Any]:
        # The bare function cannot be pickled: its name means the wrapped one.
        return {**self.__dict__, "function": self.function.__name__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        wrapper: Any = REGISTRY[state["function"]]
        self.__dict__.update(state, function=wrapper.__wrapped__)


class _OpLoader:
    """What files mean by an operation's class: it makes an `OpCall`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = _class_name(function.__name__)

    def from_config(self, config: dict[str, Any]) -> OpCall:
        takes = inspect.signature(self.function).parameters
        ignored = {"name", "dtype"} - set(takes)  # Keras writes a dtype for every op
        attributes = {k: v for k, v in config.items() if k not in ignored}
        unknown = set(attributes) - set(takes)
        if unknown:
            raise ValueError(
                f"{self.function.__name__}: unknown attribute(s) {sorted(unknown)}"
            )
        return OpCall(self.function, attributes, config.get("name"))


def _module_name(name: str) -> str:
    return _MODULES.get(name.strip("_"), "keras.src.ops.numpy")


def _class_name(name: str) -> str:
    if name in _CLASS_NAMES:
        return _CLASS_NAMES[name]
    return "".join(part.capitalize() for part in name.strip("_").split("_"))


def op(function: F) -> F:
    """Make a function of tensors usable on symbolic tensors, as a node of a model."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if (any_symbolic(args) or any_symbolic(kwargs.values())) and (
            not is_symbolic_scope()
        ):
            tensors, named, attributes = _split(function, args, kwargs)
            return OpCall(function, attributes)(*tensors, **named)
        return function(*args, **kwargs)

    REGISTRY[function.__name__] = wrapper
    register_builtin(
        _module_name(function.__name__),
        _class_name(function.__name__),
        _OpLoader(function),
    )
    return wrapper  # type: ignore[return-value]


def alias(function: F, *names: str) -> F:
    """Make files that have an operation under other names readable; return it."""
    bare = function.__wrapped__  # type: ignore[attr-defined]
    for name in names:
        register_builtin(_module_name(name), _class_name(name), _OpLoader(bare))
    return function


def named(function: Any, name: str, doc: str, **parameters: str) -> Callable[..., Any]:
    """Give a generated function its name and docstring and make it an operation."""
    lines = "".join(f"        {key}: {text}\n" for key, text in parameters.items())
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}\n\n    Args:\n{lines}    "
    wrapper: Callable[..., Any] = op(function)
    return wrapper


def _split(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Part a call's arguments into tensors, in order and by name, and attributes."""
    signature = inspect.signature(function)
    if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return list(args), kwargs, {}
    tensors: list[Any] = []
    named: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    positions = list(signature.parameters)
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        if name not in _TENSOR_PARAMETERS and not any_symbolic([value]):
            attributes[name] = value
        elif positions[len(tensors)] == name:
            tensors.append(value)
        else:  # something that is no tensor stands before it
            named[name] = value
    return tensors, named, attributes


_identity = Primitive(
    "identity", lambda x: x, lambda x: (x.shape, x.dtype), lambda ct, *_, needs: [ct]
)


def vjp_of(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Return the VJP of a primitive whose value `formula` also computes, with ops.

    It serves gradients of gradients of fused kernels, where speed is secondary.
    """

    def vjp(ct: Any, out: Any, *inputs: Tensor, needs: Any, **attrs: Any) -> Any:
        # Twins tell the arguments apart even where one tensor is given twice.
        twins = [apply(_identity, x) for x in inputs]
        wanted = [x for x, need in zip(twins, needs, strict=True) if need]
        with GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(wanted)
            value = formula(*twins, **attrs)
        parts = iter(tape.gradient(value, wanted, ct))
        return [next(parts) if need else None for need in needs]

    return vjp
