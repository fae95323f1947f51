"""The base class of layers: lazy building, calls on tensors and symbols, losses."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .. import dtype_policies, naming, regularizers, shapes, tree
from ..graph import (
    KerasTensor,
    Tensor,
    TensorLike,
    any_symbolic,
    as_tensor,
    inferring,
    is_symbolic_scope,
    recording,
)
from ..graph.errors import name_scope
from ..ops import divide
from ..serialization import deserialize_keras_object, serialize_keras_object
from .building import (
    as_tuples,
    build_parameters,
    constructor_parameters,
    shape_hint,
    shapes_by_name,
    tracked_build,
)
from .calls import (
    CallSpec,
    context,
    has_mask,
    map_shapes,
    mask_of,
    next_serial,
    scope_of,
    shape_of,
)
from .input_spec import InputSpec, check_inputs
from .state import Stateful

__all__ = ["InputSpec", "Layer", "default"]

F = TypeVar("F", bound=Callable[..., Any])

_DIRECT = (Tensor, np.ndarray)  # arguments that need no look inside


def default(method: F) -> F:
    """Mark a method that says nothing which `call` does not say, too."""
    method._is_default = True  # type: ignore[attr-defined]
    return method


def _is_default(method: Any) -> bool:
    return getattr(method, "_is_default", False)


class Layer(Stateful):
    """A computation with weights: the building block of models.

    Subclass it, make weights in `build()` with `add_weight()`, and compute in `call()`
    with tensor operations; gradients follow by themselves::

        class SimpleDense(Layer):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = units

            def build(self, input_shape):
                self.kernel = self.add_weight(shape=(input_shape[-1], self.units))

            def call(self, inputs):
                return ops.matmul(inputs, self.kernel)

    Layers, variables and metrics that are attributes (also in lists, tuples and
    dictionaries) belong to the layer.

    Args:
        activity_regularizer: regularizer of the outputs, or its name; its penalty is
            divided by the batch size.
        trainable: whether the weights take part in training.
        dtype: dtype of weights and computation; `floatx()` by default.
        autocast: whether floating-point inputs are cast to that dtype.
        name: name; made from the class name by default.
        input_shape: shape of one sample, for the first layer of a `Sequential`.
        batch_size: batch size that goes with `input_shape`.

    Raises:
        ValueError: for an unknown argument or a bad value.
    """

    _auto_arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _spec: CallSpec | None = None  # of the class; made at the first call
    _casts_inputs = True  # functional models cast to the dtypes of their inputs instead
    _compute_type: Any
    _call_serial = 0  # of the latest outermost call that reached this layer
    _loss_serial = 0  # of the call that `_losses` come from

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember the arguments, from which `get_config` is made by default."""
        instance = super().__new__(cls)
        instance.__dict__["_auto_arguments"] = (args, kwargs)
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._spec = None
        build = cls.__dict__.get("build")
        if build is not None and not _is_default(build):
            cls.build = tracked_build(build)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        who = type(self).__name__
        self._batch_input_shape = shape_hint(who, kwargs)
        if kwargs:
            known = {
                p for cls in type(self).__mro__ for p in constructor_parameters(cls)
            }
            raise shapes.unknown_name(f"argument of {who}", next(iter(kwargs)), known)
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(
                f"{who}: name must be a non-empty string without '/', got {name!r}"
            )
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(
                f"{who}: trainable must be True or False, got {trainable!r}"
            )
        self.name = name or naming.unique_name(naming.snake_case(who))
        self.built = False
        self.autocast = bool(autocast)
        self._casts = self.autocast and self._casts_inputs
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self._computes_mask = not _is_default(type(self).compute_mask)
        self.supports_masking = self._computes_mask
        self.dtype_policy = dtype_policies.get(dtype)
        self._trainable = bool(trainable)
        self._inbound_nodes = []
        self._losses: list[Any] = []
        self._build_shapes: dict[str, Any] | None = None
        self._path = self.name

    # --- dtypes ---

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The dtypes of weights and computation."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)
        self._compute_type = np.dtype(self._dtype_policy.compute_dtype)

    @property
    def dtype(self) -> str:
        """Dtype of the weights."""
        return self._dtype_policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of the weights."""
        return self._dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation."""
        return self._dtype_policy.compute_dtype

    @property
    def path(self) -> str:
        """Names of the layers around this one, and its own, joined by slashes."""
        return self._path

    @property
    def input(self) -> Any:
        """The symbolic input of the first call, or a list of inputs.

        Raises:
            AttributeError: if the layer was not called on symbolic tensors.
        """
        tensors = self._first_node("input").input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The symbolic output of the first call, or outputs in their nesting."""
        return self._first_node("output").outputs

    def _first_node(self, what: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{self._who()} has no {what}: it was not called on symbolic tensors"
            )
        return self._inbound_nodes[0]

    # --- building ---

    @default
    def build(self, *args: Any, **kwargs: Any) -> None:
        """Make the weights, given the shape of the input (with the batch axis)."""
        self._check_initialized()
        shapes_given = {**({"input_shape": args[0]} if args else {}), **kwargs}
        self._build_shapes = shapes_given or None
        self.built = True

    def _maybe_build(self, arguments: dict[str, Any], first: Any) -> None:
        if _is_default(type(self).build):
            # The weights are made by the layers in this one, when `call` reaches them.
            self._path = "/".join([*context.path, self.name])
            self._build_shapes = shapes_by_name(arguments)
            self.built = True
            return
        names = build_parameters(type(self))
        shape = shape_of(first)
        if len(names) > 1 and all(n.endswith("_shape") for n in names):
            by_name = shapes_by_name(arguments)
            missing = [n for n in names if n not in by_name]
            if missing:
                raise ValueError(
                    f"{self._who()}: build() has the argument {missing[0]!r}, but "
                    f"call() got no tensor {missing[0].removesuffix('_shape')!r}"
                )
            self.build(**{name: by_name[name] for name in names})
        else:
            self.build(shape)
        self.built = True
        check_inputs(self.input_spec, first, self._who())

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes the layer was built for."""
        known = self._build_shapes
        if not known:
            return None
        if len(known) == 1:
            return {"input_shape": next(iter(known.values()))}
        return {"shapes_dict": known}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer for the shapes of `get_build_config()`."""
        if self.built or not config:
            return
        if "shapes_dict" in config:
            self.build(**{k: as_tuples(v) for k, v in config["shapes_dict"].items()})
        elif config.get("input_shape") is not None:
            self.build(as_tuples(config["input_shape"]))
        self.built = True

    # --- calling ---

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses write this with tensor operations."""
        raise NotImplementedError(
            f"{type(self).__name__}: implement call() in the subclass"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert the inputs, build if needed, and call `call`."""
        if "built" not in self.__dict__:
            self._check_initialized()
        spec = self._spec or _learn_spec(type(self))
        given = args, kwargs
        training = None
        symbolic = False
        if not kwargs and len(args) == 1 and type(args[0]) in _DIRECT:
            args = (self._converted(args[0]),)
        else:
            if "training" in kwargs and (
                kwargs["training"] is None
                or not (spec.takes_training or spec.takes_anything)
            ):
                kwargs = dict(kwargs)
                training = kwargs.pop("training")
            args, kwargs, symbolic = self._convert(args, kwargs)
        arguments = spec.bind(self, args, kwargs)
        first = spec.first(arguments)
        if self.input_spec is not None:
            check_inputs(self.input_spec, first, self)
        if not self.built:
            self._maybe_build(arguments, first)
        training = arguments.get("training", training)
        if training is None:
            training = context.training
            if training is None:
                training = spec.default_training
            if training is not None and spec.takes_training:
                args, kwargs = spec.with_training(training, args, kwargs)
        if not symbolic or is_symbolic_scope():
            return self._run(spec, args, kwargs, arguments, first, training, symbolic)
        with inferring():
            outputs = self._run(spec, args, kwargs, arguments, first, training, True)
        masks = [getattr(t, "_keras_mask", None) for t in tree.flatten(outputs)]
        outputs = self.record(*given, outputs)
        for tensor, mask in zip(tree.flatten(outputs), masks, strict=True):
            if mask is not None:
                tensor._keras_mask = mask
        return outputs

    def _run(
        self,
        spec: CallSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arguments: dict[str, Any],
        first: Any,
        training: bool | None,
        symbolic: bool,
    ) -> Any:
        mask = arguments.get("mask")
        if mask is None:
            mask = mask_of(first)
        if spec.masks and (mask is not None or len(arguments) > 1):
            kwargs = spec.with_masks(arguments, kwargs)
        before = context.training
        if context.depth == 0:
            context.serial = next_serial()
        if not symbolic:
            self.__dict__["_call_serial"] = context.serial
        context.depth += 1
        context.training = training
        context.path.append(self.name)
        trace = recording.trace
        if trace is not None:
            outer, trace.scope = trace.scope, scope_of(self, arguments)
        try:
            if symbolic:
                outputs = self.compute_output_spec(*args, **kwargs)
            else:
                outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None and not symbolic:
                self._add_activity_loss(outputs)
            if self.supports_masking:
                if mask is not None or self._computes_mask:
                    self._set_masks(first, outputs, mask)
            elif mask is not None and has_mask(mask):
                warnings.warn(
                    f"{self._who()} does not support masking; the mask of its input is "
                    "lost from here on",
                    stacklevel=3,
                )
        except Exception as error:
            name_scope(error, scope_of(self, arguments))
            raise
        finally:
            if trace is not None:
                trace.scope = outer
            context.depth -= 1
            context.training = before
            context.path.pop()
        return outputs

    def _convert(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], bool]:
        """Turn arrays into tensors of the right dtype; tell if one is symbolic."""
        convert = self._converted
        new_args = tuple(tree.map_structure(convert, x) for x in args)
        if new_args and not isinstance(new_args[0], TensorLike):
            for x in tree.flatten(new_args[0]):
                if isinstance(x, (int, float, complex, str, bytes)):
                    raise ValueError(
                        f"{self._who()}: expected tensors or arrays as inputs, got "
                        f"{args[0]!r}; convert it with ops.convert_to_tensor, or pass "
                        "what is not an input by keyword"
                    )
        new_kwargs = {k: tree.map_structure(convert, v) for k, v in kwargs.items()}
        return new_args, new_kwargs, any_symbolic((new_args, new_kwargs))

    def _converted(self, x: Any) -> Any:
        """Return a leaf of the arguments as a tensor of the right dtype, if it is one.

        Floats are cast to the compute dtype; masks stay.
        """
        if isinstance(x, KerasTensor):
            dtype = self.compute_dtype
            if x.dtype == dtype or not (self._casts and shapes.is_float(x.dtype)):
                return x
            cast: Any = KerasTensor(x.shape, dtype)  # no node of a model
        else:
            if type(x) is not Tensor:
                if type(x) is np.ndarray and x.dtype == self._compute_type:
                    return Tensor(x.copy())
                if not hasattr(x, "__array__"):
                    return x
                try:
                    x = as_tensor(x)
                except (TypeError, ValueError) as error:
                    raise type(error)(f"{self._who()}: {error}") from None
            kind = x._array.dtype
            if kind == self._compute_type or not (self._casts and kind.kind == "f"):
                return x
            cast = as_tensor(x, self.compute_dtype)
        mask = getattr(x, "_keras_mask", None)
        if mask is not None:
            cast._keras_mask = mask
        return cast

    @default
    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the outputs; by default that of the inputs."""
        return previous_mask

    def _set_masks(self, inputs: Any, outputs: Any, previous_mask: Any) -> None:
        flat = tree.flatten(outputs)
        if all(getattr(t, "_keras_mask", None) is not None for t in flat):
            return
        masks = self.compute_mask(inputs, previous_mask)
        if masks is None:
            return
        for tensor, mask in zip(flat, tree.flatten(masks), strict=False):
            if mask is not None and getattr(tensor, "_keras_mask", None) is None:
                tensor._keras_mask = mask

    @default
    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the symbolic outputs for symbolic inputs.

        A subclass that defines `compute_output_shape` is asked for shapes; otherwise
        `call` runs on the symbolic inputs.
        """
        rule = type(self).compute_output_shape
        unbuilt = any(not layer.built for layer in self._layers)
        with inferring():
            if _is_default(rule) or unbuilt:
                return self.call(*args, **kwargs)
            names = [n for n in inspect.signature(rule).parameters if n != "self"]
            arguments = (self._spec or _learn_spec(type(self))).bind(self, args, kwargs)
            by_name = shapes_by_name(arguments)
            if not (len(names) > 1 and set(names) & set(by_name)):
                by_name = {names[0]: next(iter(by_name.values()))}
            found = self.compute_output_shape(
                **{n: by_name[n] for n in names if n in by_name}
            )
        return map_shapes(lambda s: KerasTensor(s, self.compute_dtype), found)

    @default
    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shape of the outputs for the shapes of the inputs.

        Args:
            args: shapes of the inputs of `call`, each with the batch axis.
            kwargs: shapes by name, e.g. `query_shape` for the argument `query`.

        Returns:
            Shape, or shapes in the nesting of the outputs. Finding it out by a symbolic
            call builds the layer.
        """

        def symbols(shape: Any) -> Any:
            return map_shapes(lambda s: KerasTensor(s, self.compute_dtype), shape)

        if "input_shape" in kwargs:
            args = (kwargs.pop("input_shape"), *args)
        inputs = {k.removesuffix("_shape"): symbols(v) for k, v in kwargs.items()}
        with inferring():
            outputs = self(*map(symbols, args), **inputs)
        return tree.map_structure(lambda t: t.shape, outputs)

    # --- losses ---

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss that training minimizes, valid for this call.

        Raises:
            ValueError: for something that is not a tensor.
        """
        for one in tree.flatten(loss):
            if not isinstance(one, TensorLike):
                raise ValueError(
                    f"{self._who()}: add_loss expected a tensor computed from the "
                    f"inputs or weights, got {one!r}"
                )
            if is_symbolic_scope() or isinstance(one, KerasTensor):
                continue
            if self._loss_serial != context.serial:
                self._losses.clear()
                self._loss_serial = context.serial
            self._losses.append(one)

    def _add_activity_loss(self, outputs: Any) -> None:
        for output in tree.flatten(outputs):
            loss = self.activity_regularizer(output)
            if output.ndim:
                loss = divide(loss, max(output.shape[0], 1))
            self.add_loss(loss)

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` and regularizers add to the loss, for the latest call."""
        added = [
            loss
            for layer in self._flatten_layers()
            if layer._loss_serial >= self._call_serial
            for loss in layer._losses
        ]
        return added + [
            v.regularizer(v)
            for v in self.trainable_weights
            if v.regularizer is not None
        ]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    # --- configuration ---

    @default
    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` makes an equal layer.

        Subclasses with own constructor arguments add theirs; one that does not
        override the method gets its constructor's arguments by themselves.
        """
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(
                self.activity_regularizer
            )
        if _is_default(type(self).get_config):
            config.update(self._constructor_arguments())
        return config

    def _constructor_arguments(self) -> dict[str, Any]:
        args, kwargs = self._auto_arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs).arguments
        result = dict(list(bound.items())[1:])
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                result.update(result.pop(parameter.name, {}))
            elif parameter.kind is parameter.VAR_POSITIONAL and result.get(
                parameter.name
            ):
                raise ValueError(
                    f"{self._who()}: implement get_config(); the constructor's "
                    f"*{parameter.name} cannot be saved by name"
                )
        for base in ("name", "trainable", "dtype", "activity_regularizer"):
            result.pop(base, None)
        return result

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from `get_config()`."""
        if not _is_default(cls.get_config):
            return cls(**config)
        config = {k: deserialize_keras_object(v) for k, v in config.items()}
        takes = inspect.signature(cls.__init__).parameters
        if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            return cls(**config)
        # A constructor without **kwargs cannot take name, trainable, dtype.
        rest = {k: config.pop(k) for k in list(config) if k not in takes}
        layer = cls(**config)
        layer.name = layer._path = rest.get("name", layer.name)
        layer.trainable = rest.get("trainable", True)
        layer.dtype_policy = rest.get("dtype", layer.dtype_policy)
        return layer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _learn_spec(cls: type[Layer]) -> CallSpec:
    spec = cls._spec = CallSpec(cls.call)
    return spec
