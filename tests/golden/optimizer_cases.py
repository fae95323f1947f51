"""Optimizer and learning-rate schedule cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from case_types import Array, OptimizerCase, ScheduleCase, generator, normal

STEPS = 10


def initial_values() -> list[Array]:
    """The kernel (3, 2) and the bias (2,) that every optimizer starts from."""
    rng = generator("optimizer variables")
    return [normal(rng, 3, 2), normal(rng, 2)]


def gradients() -> list[list[Array]]:
    """Ten steps of gradients; steps 3 and 7 are large, so that clipping matters."""
    rng = generator("optimizer gradients")
    scales = [8.0 if step in (3, 7) else 1.0 for step in range(STEPS)]
    steps = [[normal(rng, 3, 2), normal(rng, 2)] for _ in range(STEPS)]
    return [
        [(g * s).astype("float32") for g in step]
        for step, s in zip(steps, scales, strict=True)
    ]


def _plain(name: str, **options: Any) -> OptimizerCase:
    return OptimizerCase(lambda keras: getattr(keras.optimizers, name)(**options))


def _excluding(name: str, **options: Any) -> OptimizerCase:
    def build(keras: Any) -> Any:
        optimizer = getattr(keras.optimizers, name)(**options)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    return OptimizerCase(build)


def _scheduled(name: str, **options: Any) -> OptimizerCase:
    return OptimizerCase(
        lambda keras: getattr(keras.optimizers, name)(
            keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True),
            **options,
        )
    )


_NAMES = (
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "Nadam",
    "Lion",
    "Ftrl",
)
OPTIMIZER_NAMES = tuple(name.lower() for name in _NAMES)

OPTIMIZER_CASES: dict[str, OptimizerCase] = {
    **{f"{name.lower()}_default": _plain(name) for name in _NAMES},
    "sgd": _plain("SGD", learning_rate=0.1),
    "sgd_momentum": _plain("SGD", learning_rate=0.1, momentum=0.9),
    "sgd_nesterov": _plain("SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    "sgd_weight_decay": _plain("SGD", learning_rate=0.1, weight_decay=0.05),
    "sgd_exclude_weight_decay": _excluding("SGD", learning_rate=0.1, weight_decay=0.05),
    "sgd_clipnorm": _plain("SGD", learning_rate=0.1, clipnorm=0.5),
    "sgd_clipvalue": _plain("SGD", learning_rate=0.1, clipvalue=0.4),
    "sgd_global_clipnorm": _plain("SGD", learning_rate=0.1, global_clipnorm=0.7),
    "sgd_loss_scale": _plain("SGD", learning_rate=0.1, loss_scale_factor=4.0),
    "sgd_schedule": _scheduled("SGD", momentum=0.5),
    "sgd_accumulation": _plain("SGD", learning_rate=0.1, gradient_accumulation_steps=3),
    "sgd_ema": _plain("SGD", learning_rate=0.1, use_ema=True, ema_momentum=0.8),
    "sgd_ema_overwrite": _plain(
        "SGD",
        learning_rate=0.1,
        use_ema=True,
        ema_momentum=0.8,
        ema_overwrite_frequency=4,
    ),
    "sgd_ema_finalize": OptimizerCase(
        lambda keras: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.7),
        finalize=True,
    ),
    "rmsprop": _plain("RMSprop", learning_rate=0.05, rho=0.8),
    "rmsprop_momentum": _plain("RMSprop", learning_rate=0.05, momentum=0.6),
    "rmsprop_centered": _plain("RMSprop", learning_rate=0.05, centered=True),
    "rmsprop_everything": _plain(
        "RMSprop",
        learning_rate=0.05,
        rho=0.7,
        momentum=0.5,
        epsilon=1e-3,
        centered=True,
    ),
    "adam": _plain("Adam", learning_rate=0.1),
    "adam_betas": _plain(
        "Adam", learning_rate=0.1, beta_1=0.7, beta_2=0.9, epsilon=1e-3
    ),
    "adam_amsgrad": _plain("Adam", learning_rate=0.1, beta_2=0.8, amsgrad=True),
    "adam_weight_decay": _plain("Adam", learning_rate=0.1, weight_decay=0.1),
    "adam_clipnorm": _plain("Adam", learning_rate=0.1, clipnorm=0.5),
    "adam_global_clipnorm": _plain("Adam", learning_rate=0.1, global_clipnorm=0.7),
    "adam_schedule": _scheduled("Adam"),
    "adam_accumulation": _plain(
        "Adam",
        learning_rate=0.1,
        gradient_accumulation_steps=2,
        weight_decay=0.1,
        clipnorm=1.0,
    ),
    "adam_accumulation_schedule": _scheduled("Adam", gradient_accumulation_steps=2),
    "adam_ema": _plain("Adam", learning_rate=0.1, use_ema=True, ema_momentum=0.9),
    "adamw": _plain("AdamW", learning_rate=0.1, weight_decay=0.2),
    "adamw_amsgrad": _plain("AdamW", learning_rate=0.1, beta_2=0.8, amsgrad=True),
    "adamw_exclude": _excluding("AdamW", learning_rate=0.1, weight_decay=0.2),
    "adagrad": _plain("Adagrad", learning_rate=0.1),
    "adagrad_accumulator": _plain(
        "Adagrad", learning_rate=0.1, initial_accumulator_value=0.5, epsilon=1e-2
    ),
    "adadelta": _plain("Adadelta", learning_rate=1.0, rho=0.9),
    "adadelta_epsilon": _plain("Adadelta", learning_rate=1.0, epsilon=1e-3),
    "adamax": _plain("Adamax", learning_rate=0.1, beta_1=0.8, beta_2=0.9),
    "nadam": _plain("Nadam", learning_rate=0.1),
    "nadam_betas": _plain("Nadam", learning_rate=0.1, beta_1=0.8, beta_2=0.95),
    "lion": _plain("Lion", learning_rate=0.1),
    "lion_weight_decay": _plain("Lion", learning_rate=0.1, weight_decay=0.3),
    "ftrl": _plain("Ftrl", learning_rate=0.1),
    "ftrl_regularized": _plain(
        "Ftrl",
        learning_rate=0.1,
        l1_regularization_strength=0.05,
        l2_regularization_strength=0.02,
        l2_shrinkage_regularization_strength=0.01,
        beta=0.1,
    ),
    "ftrl_power": _plain("Ftrl", learning_rate=0.1, learning_rate_power=-0.3),
}


def _schedule(name: str, *arguments: Any, **options: Any) -> ScheduleCase:
    return ScheduleCase(
        lambda keras: getattr(keras.optimizers.schedules, name)(*arguments, **options)
    )


SCHEDULE_STEPS = np.array(
    [*range(26), 29, 30, 31, 39, 40, 41, 50, 75, 99, 100, 101, 150, 1000], "int32"
)

SCHEDULE_CASES: dict[str, ScheduleCase] = {
    "exponential_decay": _schedule("ExponentialDecay", 0.1, 10, 0.9),
    "exponential_decay_staircase": _schedule(
        "ExponentialDecay", 0.1, 10, 0.9, staircase=True
    ),
    "piecewise_constant_decay": _schedule(
        "PiecewiseConstantDecay", [5, 20, 40], [1.0, 0.5, 0.25, 0.1]
    ),
    "piecewise_constant_decay_single": _schedule(
        "PiecewiseConstantDecay", [10], [1.0, 0.1]
    ),
    "polynomial_decay": _schedule("PolynomialDecay", 0.1, 30),
    "polynomial_decay_power": _schedule(
        "PolynomialDecay", 0.1, 30, end_learning_rate=0.02, power=2.0
    ),
    "polynomial_decay_cycle": _schedule(
        "PolynomialDecay", 0.1, 15, end_learning_rate=0.01, power=0.5, cycle=True
    ),
    "inverse_time_decay": _schedule("InverseTimeDecay", 0.1, 10, 0.5),
    "inverse_time_decay_staircase": _schedule(
        "InverseTimeDecay", 0.1, 10, 0.5, staircase=True
    ),
    "cosine_decay": _schedule("CosineDecay", 0.1, 40),
    "cosine_decay_alpha": _schedule("CosineDecay", 0.1, 40, alpha=0.2),
    "cosine_decay_warmup": _schedule(
        "CosineDecay", 0.01, 30, alpha=0.1, warmup_target=0.1, warmup_steps=10
    ),
    "cosine_decay_restarts": _schedule("CosineDecayRestarts", 0.1, 12),
    "cosine_decay_restarts_equal": _schedule(
        "CosineDecayRestarts", 0.1, 12, t_mul=1.0, m_mul=0.9, alpha=0.1
    ),
    "cosine_decay_restarts_shrinking": _schedule(
        "CosineDecayRestarts", 0.1, 12, t_mul=1.25, m_mul=0.8, alpha=0.05
    ),
}
