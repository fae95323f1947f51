"""Random numbers: seeds, their global stream, and draws from distributions.

The generator is counter based (Philox 4x32-10): a number depends on the seed and on its
position in the stream only, never on threads, on the machine or on what was drawn
between. A seed is a pair of words (key, counter); each draw owns 2**32 blocks of the
stream of its key.

References:
    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
"""

from __future__ import annotations

import math
import operator
import random as python_random
from typing import Any

import numpy as np

from . import backend, naming, ops, shapes
from .graph import KerasTensor, Primitive, Tensor, Variable, apply
from .serialization import builtin

_WORD = 2**32
_default_seeds = python_random.Random()
_global_generator: SeedGenerator | None = None


@builtin("keras.random")
class SeedGenerator:
    """The state of a stream of random numbers: every draw with it takes the next part.

    Args:
        seed: integer that starts the stream; by default a fresh one, which
            `utils.set_random_seed` determines.
        name: name; by default "seed_generator", numbered.

    Attributes:
        state: non-trainable variable of shape (2,) and dtype uint32, (key, counter).

    Raises:
        ValueError: if `seed` is not an integer.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.name = name or naming.unique_name("seed_generator")
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        self.state = Variable(
            _start(seed, f"SeedGenerator '{self.name}'"),
            trainable=False,
            name="seed_generator_state",
        )

    def next(self, ordered: bool = True) -> Any:
        """Return the present state, shape (2,), and move on to the next draw.

        Args:
            ordered: accepted for compatibility; draws are always in order.
        """
        state = self.state.value
        self.state.assign(ops.add(state, _NEXT))
        return state

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal generator."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make a generator from `get_config()`'s result."""
        return cls(**config)


_NEXT = Tensor(np.array([0, 1], dtype="uint32"))


def _start(seed: Any, who: str) -> np.ndarray[Any, Any]:
    """Return the state at the start of the stream of an integer seed."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"{who}: expected seed to be an integer, got {seed!r}")
    return np.array([int(seed) % _WORD, 0], dtype="uint32")


def make_default_seed() -> int:
    """Return a fresh seed for an object that was given none."""
    return _default_seeds.randrange(1, 10**9)


def global_seed_generator() -> SeedGenerator:
    """Return the generator that draws without a seed share."""
    global _global_generator
    if _global_generator is None:
        _global_generator = SeedGenerator(name="global_seed_generator")
    return _global_generator


def set_global_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and this library's.

    Raises:
        ValueError: if `seed` is not an integer in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"set_random_seed: expected an integer, got {seed!r}")
    if not 0 <= seed < _WORD:
        raise ValueError(f"set_random_seed: expected 0 <= seed < 2**32, got {seed}")
    seed = int(seed)
    # Assigned, not replaced: whoever holds the generator's variable sees the new seed.
    global_seed_generator().state.assign(np.array([seed, 0], dtype="uint32"))
    python_random.seed(seed)
    np.random.seed(seed)
    _default_seeds.seed(seed)


def draw_seed(seed: Any) -> Any:
    """Return the state, shape (2,), of one draw.

    Args:
        seed: a `SeedGenerator`, an integer (the same draw every time), a state, or
            None for the global generator.

    Raises:
        ValueError: for anything else.
    """
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (Tensor, Variable)) and seed.shape == (2,):
        return ops.cast(seed, "uint32")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(
            "Expected seed to be an integer, a SeedGenerator or None, got "
            f"{seed!r} of type {type(seed).__name__}"
        )
    return Tensor(_start(seed, "seed"))


# --- primitives --------------------------------------------------------------


def _position(state: np.ndarray[Any, Any]) -> tuple[int, int]:
    return int(state[0]), int(state[1]) * _WORD


def _run_uniform(state: Any, shape: tuple[int, ...]) -> Any:
    return backend.random_uniform(*_position(state), shape)


def _run_normal(state: Any, shape: tuple[int, ...]) -> Any:
    return backend.random_normal(*_position(state), shape)


def _run_integers(
    state: Any, shape: tuple[int, ...], low: int, high: int, dtype: str
) -> Any:
    span = high - low
    size = math.prod(shape)
    if span == _WORD and low == 0 and dtype == "uint32":  # what orders are made of
        return backend.philox_uint32(*_position(state), size).reshape(shape)
    if span <= _WORD:
        # The upper word of a 32 by 32 bit product: bias at most span / 2**32.
        words = backend.philox_uint32(*_position(state), size).astype("uint64")
        offsets = (words * np.uint64(span)) >> np.uint64(32)
    else:
        words = backend.philox_uint32(*_position(state), 2 * size).astype("uint64")
        offsets = (words[::2] << np.uint64(32)) | words[1::2]
        if span < _WORD**2:
            offsets %= np.uint64(span)
    # Modular 64-bit arithmetic is exact for every dtype.
    return (offsets + np.uint64(low % 2**64)).astype(dtype).reshape(shape)


def _infer_float(state: Any, shape: shapes.Shape) -> Any:
    return shape, "float32"


def _infer_integers(
    state: Any, shape: shapes.Shape, low: int, high: int, dtype: str
) -> Any:
    return shape, dtype


_uniform = Primitive("random_uniform", _run_uniform, _infer_float)
_normal = Primitive("random_normal", _run_normal, _infer_float)
_integers = Primitive("random_integers", _run_integers, _infer_integers)


def _draw(primitive: Primitive, shape: Any, seed: Any, **attrs: Any) -> Any:
    shape = shapes.standardize_shape(shape, primitive.name)
    if None in shape:
        return KerasTensor(shape, attrs.get("dtype", "float32"))
    return apply(primitive, draw_seed(seed), shape=shape, **attrs)


def _float_dtype(dtype: Any, who: str) -> str:
    name = shapes.dtype_name(dtype)
    if not shapes.is_float(name):
        raise ValueError(f"{who}: expected a floating-point dtype, got {name!r}")
    return name


# --- distributions -----------------------------------------------------------


def uniform(
    shape: Any,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draw from the uniform distribution on [minval, maxval).

    Args:
        shape: shape of the result.
        minval: lower bound, included.
        maxval: upper bound, left out.
        dtype: floating-point dtype, `floatx()` by default.
        seed: an integer (the same values every time), a `SeedGenerator`, or None.

    Raises:
        ValueError: if `dtype` is not a floating-point type.
    """
    dtype = _float_dtype(dtype, "uniform")
    x = ops.cast(_draw(_uniform, shape, seed), dtype)
    if (minval, maxval) == (0.0, 1.0):
        return x
    x = x * (maxval - minval) + minval
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)):
        # Rounding must not reach the upper bound.
        kind = np.dtype(dtype).type
        x = ops.minimum(x, float(np.nextafter(kind(maxval), kind(minval))))
    return x


def normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draw from the normal distribution.

    Args:
        shape: shape of the result.
        mean: mean.
        stddev: standard deviation.
        dtype: floating-point dtype, `floatx()` by default.
        seed: an integer (the same values every time), a `SeedGenerator`, or None.
    """
    x = ops.cast(_draw(_normal, shape, seed), _float_dtype(dtype, "normal"))
    return _scaled(x, mean, stddev)


def _scaled(x: Any, mean: float, stddev: float) -> Any:
    if stddev is not None and stddev != 1.0:
        x = x * stddev
    return x + mean if mean is not None and mean != 0.0 else x


# Inverse error function, Giles's polynomial in w - 2.5 with w = -log(1 - y**2) < 5,
# highest power first ("Approximating the erfinv function", 2012, single precision).
_ERFINV = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)


def truncated_normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draw from the normal distribution cut off two `stddev` from `mean`.

    Args:
        shape: shape of the result.
        mean: mean.
        stddev: standard deviation before the cut (0.88 of it remains).
        dtype: floating-point dtype, `floatx()` by default.
        seed: an integer (the same values every time), a `SeedGenerator`, or None.
    """
    dtype = _float_dtype(dtype, "truncated_normal")
    bound = math.erf(math.sqrt(2.0))
    y = _draw(_uniform, shape, seed) * (2 * bound) - bound
    w = -ops.log1p(-ops.square(y)) - 2.5
    p = _ERFINV[0] * w + _ERFINV[1]
    for coefficient in _ERFINV[2:]:
        p = p * w + coefficient
    x = ops.clip(p * y * math.sqrt(2.0), -2.0, 2.0)
    return _scaled(ops.cast(x, dtype), mean, stddev)


def randint(
    shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
) -> Any:
    """Draw integers, all equally likely, from [minval, maxval).

    Args:
        shape: shape of the result.
        minval: smallest value.
        maxval: one more than the largest value.
        dtype: integer dtype.
        seed: an integer (the same values every time), a `SeedGenerator`, or None.

    Raises:
        ValueError: if `dtype` is not an integer type or no value is possible.
    """
    dtype = shapes.dtype_name(dtype or "int32")
    if shapes.is_float(dtype) or dtype == "bool":
        raise ValueError(f"randint: expected an integer dtype, got {dtype!r}")
    low, high = operator.index(minval), operator.index(maxval)
    limits = np.iinfo(dtype)
    if not low < high:
        raise ValueError(f"randint: expected minval < maxval, got {low} and {high}")
    if low < limits.min or high - 1 > limits.max:
        raise ValueError(
            f"randint: [{low}, {high}) does not fit {dtype}, which holds "
            f"{limits.min} to {limits.max}"
        )
    return _draw(_integers, shape, seed, low=low, high=high, dtype=dtype)


def categorical(
    logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None
) -> Any:
    """Draw class indices from unnormalized log probabilities.

    Args:
        logits: shape (batch, classes).
        num_samples: draws for each row.
        dtype: integer dtype of the result.
        seed: an integer (the same values every time), a `SeedGenerator`, or None.

    Returns:
        Shape (batch, num_samples).

    Raises:
        ValueError: if `logits` does not have two dimensions.
    """
    logits = ops.convert_to_tensor(logits)
    if len(logits.shape) != 2:
        raise ValueError(
            "categorical: expected logits of shape (batch, classes), got shape "
            f"{logits.shape}"
        )
    batch, classes = logits.shape
    u = _draw(_uniform, (batch, num_samples, classes), seed)
    gumbel = -ops.log(-ops.log(ops.maximum(u, 2.0**-25)))
    return ops.cast(ops.argmax(logits[:, None, :] + gumbel, axis=-1), dtype)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """Return `x` with its slices along `axis` in random order.

    Args:
        x: tensor.
        axis: axis along which the order changes; each slice stays whole.
        seed: an integer (the same order every time), a `SeedGenerator`, or None.
    """
    x = ops.convert_to_tensor(x)
    axis = shapes.normalize_axis(axis, len(x.shape), "shuffle")
    keys = _draw(_integers, (x.shape[axis],), seed, low=0, high=_WORD, dtype="uint32")
    return ops.take(x, ops.argsort(keys), axis=axis)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Set a random part of the elements to 0 and scale the others up.

    Args:
        inputs: tensor.
        rate: probability in [0, 1] of an element becoming 0; the rest is divided by
            `1 - rate`, so that the expected value stays.
        noise_shape: shape of the mask, broadcast to `inputs`; None in it stands for
            the size of `inputs` there.
        seed: an integer (the same mask every time), a `SeedGenerator`, or None.

    Raises:
        ValueError: if `rate` is outside [0, 1].
    """
    inputs = ops.convert_to_tensor(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: expected rate in [0, 1], got {rate}")
    if rate == 0:
        return inputs
    if rate == 1:
        return ops.zeros_like(inputs)
    shape = inputs.shape
    if noise_shape is not None:
        if len(noise_shape) != len(shape):
            raise ValueError(
                f"dropout: expected noise_shape with {len(shape)} entries for inputs "
                f"of shape {shape}, got {tuple(noise_shape)}"
            )
        shape = tuple(
            size if given is None else given
            for size, given in zip(shape, noise_shape, strict=True)
        )
    keep = 1.0 - rate
    return ops.where(_draw(_uniform, shape, seed) < keep, inputs / keep, 0.0)


def dropout_mask(shape: Any, rate: float, dtype: Any = None, seed: Any = None) -> Any:
    """Return a tensor of 0 and `1 / (1 - rate)` to multiply with, for reuse over time.

    Args:
        shape: shape of the mask.
        rate: probability in [0, 1) of a 0.
        dtype: floating-point dtype, `floatx()` by default.
        seed: an integer (the same mask every time), a `SeedGenerator`, or None.
    """
    return dropout(ops.ones(shape, dtype=shapes.dtype_name(dtype)), rate, seed=seed)
