"""Layers that act in training only: dropout and noise; and activity penalties."""

from __future__ import annotations

import math
from typing import Any

from .. import ops, random, regularizers
from ..random import SeedGenerator
from ..serialization import builtin
from .base import InputSpec, Layer
from .checks import data_format as checked_format
from .checks import number


class _Noise(Layer):
    """Base of the layers that draw random numbers in training.

    Args:
        strength: name of the argument that sets how much noise there is.
        value: its value; 0 switches the layer off.
        seed: integer that makes the draws repeatable.
        below: whether `value` must be smaller than 1.
    """

    def __init__(
        self, strength: str, value: float, seed: int | None, below: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        value = number(self, strength, value, high=1.0, below=below)
        setattr(self, strength, value)
        self._strength = strength
        self.seed = seed
        self._active = value > 0
        if self._active:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return `inputs`, changed at random if `training`."""
        return self._noisy(inputs) if training and self._active else inputs

    def _noisy(self, inputs: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            self._strength: getattr(self, self._strength),
            "seed": self.seed,
        }


def _noise_shape(layer: Layer, noise_shape: Any) -> tuple[int | None, ...] | None:
    if noise_shape is None:
        return None
    if not isinstance(noise_shape, (list, tuple)) or not all(
        size is None
        or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        for size in noise_shape
    ):
        raise ValueError(
            f"{layer._who()}: expected noise_shape to be a tuple of positive integers "
            f"and Nones, got {noise_shape!r}"
        )
    return tuple(noise_shape)


@builtin("keras.layers")
class Dropout(_Noise):
    """Sets a random part of the inputs to 0 in training and scales up the rest.

    The rest is divided by `1 - rate`, so that the expected output is the input.

    Args:
        rate: probability in [0, 1] that an element becomes 0.
        noise_shape: shape of the mask, broadcast to the inputs; None in it stands for
            the size of the inputs there.
        seed: integer that makes the masks repeatable.

    References:
        Srivastava et al., "Dropout", 2014.
    """

    rate: float

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("rate", rate, seed, below=False, **kwargs)
        self.noise_shape = _noise_shape(self, noise_shape)

    def _noisy(self, inputs: Any) -> Any:
        return random.dropout(
            inputs, self.rate, self._mask_shape(inputs), self.seed_generator
        )

    def _mask_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "noise_shape": self.noise_shape}


class _SpatialDropout(Dropout):
    """Base of the dropout layers that drop whole channels."""

    dimensions: int

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = checked_format(self, data_format)
        self.input_spec = InputSpec(ndim=self.dimensions + 2)

    def _mask_shape(self, inputs: Any) -> Any:
        ones = (1,) * self.dimensions
        if self.data_format == "channels_first":
            return (None, None, *ones)
        return (None, *ones, None)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        # Keras's constructors take no others.
        kept = {k: config[k] for k in ("rate", "seed", "name", "dtype")}
        if self.dimensions > 1:
            kept["data_format"] = self.data_format
        return kept


@builtin("keras.layers")
class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of inputs of shape (batch, steps, channels) in training.

    Args:
        rate: probability in [0, 1] that a channel of a sample becomes 0.
        seed: integer that makes the masks repeatable.

    References:
        Tompson et al., "Efficient Object Localization Using Convolutional Networks",
        2015.
    """

    dimensions = 1

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)


@builtin("keras.layers")
class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of inputs of shape (batch, height, width, channels).

    Args:
        rate: probability in [0, 1] that a channel of a sample becomes 0.
        data_format: "channels_last", or "channels_first" for inputs of shape
            (batch, channels, height, width).
        seed: integer that makes the masks repeatable.

    References:
        Tompson et al., "Efficient Object Localization Using Convolutional Networks",
        2015.
    """

    dimensions = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, data_format=data_format, **kwargs)


@builtin("keras.layers")
class SpatialDropout3D(SpatialDropout2D):
    """Drops whole channels of inputs of shape (batch, depth, height, width, channels).

    Args:
        rate: probability in [0, 1] that a channel of a sample becomes 0.
        data_format: "channels_last", or "channels_first" for inputs of shape
            (batch, channels, depth, height, width).
        seed: integer that makes the masks repeatable.
    """

    dimensions = 3


@builtin("keras.layers")
class GaussianDropout(_Noise):
    """Multiplies the inputs in training by normal noise of mean 1.

    Args:
        rate: in [0, 1); the noise has the standard deviation `sqrt(rate / (1 - rate))`.
        seed: integer that makes the noise repeatable.

    References:
        Srivastava et al., "Dropout", 2014.
    """

    rate: float

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__("rate", rate, seed, below=True, **kwargs)

    def _noisy(self, inputs: Any) -> Any:
        return inputs * random.normal(
            inputs.shape,
            mean=1.0,
            stddev=math.sqrt(self.rate / (1.0 - self.rate)),
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )


@builtin("keras.layers")
class GaussianNoise(_Noise):
    """Adds normal noise of mean 0 to the inputs in training.

    Args:
        stddev: standard deviation of the noise, in [0, 1].
        seed: integer that makes the noise repeatable.
    """

    stddev: float

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__("stddev", stddev, seed, below=False, **kwargs)

    def _noisy(self, inputs: Any) -> Any:
        return inputs + random.normal(
            inputs.shape,
            stddev=self.stddev,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )


_SELU_LIMIT = -1.7580993408473766  # of selu for large negative inputs


@builtin("keras.layers")
class AlphaDropout(_Noise):
    """Dropout that keeps the mean and variance of inputs made by `selu`.

    Args:
        rate: probability in [0, 1) that an element becomes selu's negative limit.
        noise_shape: shape of the mask, broadcast to the inputs; None in it stands for
            the size of the inputs there.
        seed: integer that makes the masks repeatable.

    References:
        Klambauer et al., "Self-Normalizing Neural Networks", 2017.
    """

    rate: float

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("rate", rate, seed, below=True, **kwargs)
        self.noise_shape = _noise_shape(self, noise_shape)

    def _noisy(self, inputs: Any) -> Any:
        shape = inputs.shape
        if self.noise_shape is not None:
            if len(self.noise_shape) != len(shape):
                raise ValueError(
                    f"{self._who()}: expected inputs with {len(self.noise_shape)} "
                    f"dimensions for noise_shape {self.noise_shape}, got shape {shape}"
                )
            shape = tuple(
                size if given is None else given
                for size, given in zip(shape, self.noise_shape, strict=True)
            )
        keep = random.uniform(shape, seed=self.seed_generator) >= self.rate
        variance = (1 - self.rate) * (1 + self.rate * _SELU_LIMIT**2)
        scale = variance**-0.5
        shift = -scale * _SELU_LIMIT * self.rate
        return ops.where(keep, inputs, _SELU_LIMIT) * scale + shift

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "noise_shape": self.noise_shape}


@builtin("keras.layers")
class ActivityRegularization(Layer):
    """Adds `l1 * sum(|inputs|) + l2 * sum(inputs**2)`, per sample, to the loss.

    Args:
        l1: factor of the first term.
        l2: factor of the second term.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return `inputs`."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        del config["activity_regularizer"]
        return {**config, "l1": self.l1, "l2": self.l2}
