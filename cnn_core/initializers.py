"""Initial values of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops, random, shapes
from .graph import TensorLike
from .naming import snake_case
from .serialization import (
    builtin,
    deserialize_instance,
    deserialize_keras_object,
    resolve,
    serialize_keras_object,
)

# Standard deviation of a standard normal distribution cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


@builtin("keras.initializers")
class Initializer:
    """Base class: a function of a shape and a dtype that returns initial values.

    Subclasses define `__call__(shape, dtype=None)` and, to be saved, `get_config()`.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        raise NotImplementedError(
            f"{type(self).__name__} must define __call__(shape, dtype=None)"
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an initializer from `get_config()`'s result."""
        return cls(**config)

    def clone(self) -> Any:
        """Return an initializer of the same configuration."""
        return type(self).from_config(self.get_config())


@builtin("keras.initializers")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        return ops.zeros(shape, dtype=shapes.dtype_name(dtype))


@builtin("keras.initializers")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        return ops.ones(shape, dtype=shapes.dtype_name(dtype))


@builtin("keras.initializers")
class Constant(Initializer):
    """A constant.

    Args:
        value: a number, or an array that broadcasts to the shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        dtype = shapes.dtype_name(dtype)
        return ops.broadcast_to(
            ops.cast(ops.convert_to_tensor(self.value), dtype),
            shapes.standardize_shape(shape, "Constant"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        """Make an initializer from `get_config()`'s result."""
        return cls(deserialize_keras_object(config["value"]))


@builtin("keras.initializers", "IdentityInitializer")
class Identity(Initializer):
    """The identity matrix times `gain`; for shapes with two dimensions.

    Args:
        gain: factor.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        if len(shape) != 2:
            raise ValueError(
                f"Identity: expected a shape with 2 dimensions, got {tuple(shape)}"
            )
        rows, columns = shape
        return self.gain * ops.eye(rows, columns, dtype=shapes.dtype_name(dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        # Keras leaves the gain out, and so loses it on loading.
        return {"gain": self.gain} if self.gain != 1.0 else {}


class RandomInitializer(Initializer):
    """Base class of the random ones.

    Args:
        seed: an integer, a `SeedGenerator`, or None for a fresh integer. With an
            integer, every call gives the same values; with a generator, others.
    """

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if seed is not None and (
            isinstance(seed, bool)
            or not isinstance(seed, (int, np.integer, random.SeedGenerator))
        ):
            raise ValueError(
                f"{type(self).__name__}: expected seed to be an integer or a "
                f"SeedGenerator, got {seed!r}"
            )
        self._init_seed = seed
        self.seed = random.make_default_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {"seed": serialize_keras_object(self._init_seed)}


@builtin("keras.initializers")
class RandomNormal(RandomInitializer):
    """Normal distribution.

    Args:
        mean: mean.
        stddev: standard deviation.
        seed: an integer, a `SeedGenerator`, or None.
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None
    ) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@builtin("keras.initializers")
class TruncatedNormal(RandomInitializer):
    """Normal distribution cut off two `stddev` from `mean`.

    Args:
        mean: mean.
        stddev: standard deviation before the cut.
        seed: an integer, a `SeedGenerator`, or None.
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None
    ) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@builtin("keras.initializers")
class RandomUniform(RandomInitializer):
    """Uniform distribution on [minval, maxval).

    Args:
        minval: lower bound.
        maxval: upper bound.
        seed: an integer, a `SeedGenerator`, or None.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None
    ) -> None:
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")


@builtin("keras.initializers")
class VarianceScaling(RandomInitializer):
    """Random values whose variance is `scale / n`, `n` a number of connections.

    Args:
        scale: positive factor.
        mode: what `n` is: "fan_in" (inputs of a unit), "fan_out" (outputs) or
            "fan_avg" (their mean).
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or
            "uniform".
        seed: an integer, a `SeedGenerator`, or None.
        input_axes: axes whose sizes multiply to the number of inputs; by default the
            last but one and those of the window.
        output_axes: the same for outputs; by default the last one and the window's.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        name = type(self).__name__
        if not scale > 0:
            raise ValueError(f"{name}: expected scale > 0, got {scale}")
        if mode not in _MODES:
            raise shapes.unknown_name(f"mode of {name}", mode, _MODES)
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in _DISTRIBUTIONS:
            raise shapes.unknown_name(
                f"distribution of {name}", distribution, _DISTRIBUTIONS
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2.0,
        }
        variance = self.scale / max(1.0, fans[self.mode])
        stddev = math.sqrt(variance)
        if self.distribution == "truncated_normal":
            stddev /= _TRUNCATED_STDDEV
            return random.truncated_normal(shape, 0.0, stddev, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, stddev, dtype, self.seed)
        limit = math.sqrt(3.0 * variance)
        return random.uniform(shape, -limit, limit, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Preset(VarianceScaling):
    """Variance scaling with scale, mode and distribution fixed by the class."""

    _preset: tuple[float, str, str]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            *self._preset,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **RandomInitializer.get_config(self),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


@builtin("keras.initializers")
class GlorotUniform(_Preset):
    """Uniform on [-limit, limit], `limit = sqrt(6 / (fan_in + fan_out))`.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", 2010.
    """

    _preset = (1.0, "fan_avg", "uniform")


@builtin("keras.initializers")
class GlorotNormal(_Preset):
    """Truncated normal of variance `2 / (fan_in + fan_out)`.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", 2010.
    """

    _preset = (1.0, "fan_avg", "truncated_normal")


@builtin("keras.initializers")
class LecunUniform(_Preset):
    """Uniform on [-limit, limit], `limit = sqrt(3 / fan_in)`."""

    _preset = (1.0, "fan_in", "uniform")


@builtin("keras.initializers")
class LecunNormal(_Preset):
    """Truncated normal of variance `1 / fan_in`."""

    _preset = (1.0, "fan_in", "truncated_normal")


@builtin("keras.initializers")
class HeUniform(_Preset):
    """Uniform on [-limit, limit], `limit = sqrt(6 / fan_in)`.

    References:
        He et al., "Delving Deep into Rectifiers", 2015.
    """

    _preset = (2.0, "fan_in", "uniform")


@builtin("keras.initializers")
class HeNormal(_Preset):
    """Truncated normal of variance `2 / fan_in`.

    References:
        He et al., "Delving Deep into Rectifiers", 2015.
    """

    _preset = (2.0, "fan_in", "truncated_normal")


@builtin("keras.initializers", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A random orthogonal matrix times `gain`.

    A shape with more than two dimensions is seen as a matrix whose columns belong to
    the last one. Of a matrix that is not square, the shorter side is orthonormal.

    Args:
        gain: factor.
        seed: an integer, a `SeedGenerator`, or None.

    References:
        Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks", 2014.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the given shape and dtype."""
        if len(shape) < 2:
            raise ValueError(
                "Orthogonal: expected a shape with at least 2 dimensions, got "
                f"{tuple(shape)}"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(np.asarray(random.normal(tall, seed=self.seed)))
        # The sign makes the factorization unique, hence the distribution uniform.
        q = q * np.sign(np.diagonal(r))
        matrix = q.T if rows < columns else q
        return ops.cast(
            ops.convert_to_tensor(self.gain * matrix.reshape(shape)),
            shapes.dtype_name(dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {**super().get_config(), "gain": self.gain}


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Return how many inputs and how many outputs a unit of a weight has.

    Args:
        shape: shape of the weight; leading axes are those of a window.
        input_axes: axes that count inputs, given together with `output_axes`.
        output_axes: axes that count outputs.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return int(shape[0]), int(shape[0])
    window = math.prod(shape[:-2])
    return int(shape[-2] * window), int(shape[-1] * window)


_CLASSES: tuple[type[Initializer], ...] = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_BY_NAME: dict[str, Any] = {
    name: cls for cls in _CLASSES for name in (cls.__name__, snake_case(cls.__name__))
}
_BY_NAME.update(
    normal=RandomNormal,
    uniform=RandomUniform,
    one=Ones,
    zero=Zeros,
    IdentityInitializer=Identity,
    OrthogonalInitializer=Orthogonal,
)

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros


def get(identifier: Any) -> Any:
    """Return an initializer.

    Args:
        identifier: a name ("he_normal"), a configuration, an initializer or its class,
            a function of a shape and a dtype, an array of initial values, or None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for something that cannot be called.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (TensorLike, np.ndarray, np.generic)):
        return _FromArray(identifier)
    return resolve("initializer", identifier, _BY_NAME)


@builtin("keras.initializers")
class _FromArray(Initializer):
    """Given values; the shape that is asked for must be theirs."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        shape = shapes.standardize_shape(shape, "initializer")
        if shape != tuple(self.values.shape):
            raise ValueError(
                "initializer: the given array has shape "
                f"{tuple(self.values.shape)}, the weight needs {shape}"
            )
        return ops.cast(ops.convert_to_tensor(self.values), shapes.dtype_name(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"values": serialize_keras_object(np.asarray(self.values))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _FromArray:
        return cls(deserialize_keras_object(config["values"]))


def serialize(initializer: Any) -> Any:
    """Return a configuration that `deserialize` understands."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the initializer that `serialize` described."""
    return deserialize_instance("initializer", config, _BY_NAME, custom_objects)
