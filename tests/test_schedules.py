"""Learning rate schedules: values at marked steps, configurations, messages."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import ops, optimizers, serialization
from cnn_core.graph import Variable
from cnn_core.optimizers import schedules

CASES = [
    schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True),
    schedules.PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1]),
    schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.02, power=2.0, cycle=True),
    schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True),
    schedules.CosineDecay(0.1, 10, alpha=0.2, warmup_target=0.5, warmup_steps=4),
    schedules.CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=0.8, alpha=0.1),
]
EACH = pytest.mark.parametrize("schedule", CASES, ids=lambda s: type(s).__name__)


def values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_every_class_is_covered():
    classes = {
        getattr(schedules, name) for name in schedules.__all__ if name[0].isupper()
    }
    assert {type(s) for s in CASES} == classes - {schedules.LearningRateSchedule}


@EACH
def test_config_round_trip(schedule):
    again = schedules.deserialize(schedules.serialize(schedule))
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    steps = range(0, 40, 3)
    np.testing.assert_array_equal(values(again, steps), values(schedule, steps))


@EACH
def test_round_trip_inside_an_optimizer(schedule):
    optimizer = optimizers.SGD(schedule)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert float(again.learning_rate) == float(optimizer.learning_rate)
    assert again.get_config() == optimizer.get_config()


@EACH
@pytest.mark.parametrize("step", [3, np.int64(3), 3.0])
def test_kinds_of_steps(schedule, step):
    expected = float(schedule(Variable(3, dtype="int32")))
    result = schedule(step)
    assert result.shape == ()
    assert float(result) == pytest.approx(expected)


def test_exponential():
    smooth = schedules.ExponentialDecay(1.0, 10, 0.5)
    np.testing.assert_allclose(
        values(smooth, [0, 5, 10, 20]), [1, 0.5**0.5, 0.5, 0.25], rtol=1e-6
    )
    stairs = schedules.ExponentialDecay(1.0, 10, 0.5, staircase=True)
    np.testing.assert_allclose(
        values(stairs, [0, 9, 10, 19, 20]), [1, 1, 0.5, 0.5, 0.25]
    )


def test_piecewise_boundaries_belong_to_the_left():
    schedule = schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])
    np.testing.assert_array_equal(
        values(schedule, range(6)), [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    )


def test_polynomial():
    schedule = schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.2)
    np.testing.assert_allclose(values(schedule, [0, 5, 10, 99]), [1, 0.6, 0.2, 0.2])
    cycle = schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.0, cycle=True)
    np.testing.assert_allclose(
        values(cycle, [0, 10, 15, 20]), [1, 0, 0.25, 0], atol=1e-7
    )


def test_inverse_time():
    schedule = schedules.InverseTimeDecay(1.0, 10, 0.5)
    np.testing.assert_allclose(values(schedule, [0, 10, 20]), [1, 1 / 1.5, 0.5])


def test_cosine():
    schedule = schedules.CosineDecay(1.0, 10, alpha=0.1)
    np.testing.assert_allclose(
        values(schedule, [0, 5, 10, 50]), [1.0, 0.55, 0.1, 0.1], rtol=1e-6
    )


def test_cosine_with_warmup():
    schedule = schedules.CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
    np.testing.assert_allclose(
        values(schedule, [0, 1, 4, 9, 14]), [0, 0.25, 1, 0.5, 0], atol=1e-6
    )


def test_warmup_of_no_steps():
    schedule = schedules.CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=0)
    assert float(schedule(0)) == 1.0


def test_restarts():
    schedule = schedules.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5)
    np.testing.assert_allclose(
        values(schedule, [0, 5, 10, 20]), [1.0, 0.5, 0.5, 0.25], rtol=1e-5
    )
    equal = schedules.CosineDecayRestarts(1.0, 10, t_mul=1.0)
    np.testing.assert_allclose(values(equal, [0, 10, 25]), [1.0, 1.0, 0.5], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps > 0, got 0"),
        (lambda: schedules.CosineDecay(0.1, -1), "decay_steps > 0, got -1"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps > 0"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), "1 values and 1 bound"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_name():
    with pytest.raises(ValueError, match="did you mean 'CosineDecay'"):
        schedules.deserialize({"class_name": "CosinDecay", "config": {}})


@serialization.register_keras_serializable("tests")
class Warmup(schedules.LearningRateSchedule):
    """A schedule as a user writes it."""

    def __init__(self, peak):
        self.peak = peak

    def __call__(self, step):
        return self.peak * ops.minimum(ops.cast(step, "float32") / 10.0, 1.0)

    def get_config(self):
        return {"peak": self.peak}


def test_own_class():
    schedule = Warmup(0.5)
    optimizer = optimizers.SGD(schedule)
    x = Variable(np.ones(1, "float32"))
    optimizer.apply([np.ones(1, "float32")], [x])
    assert float(x.value[0]) == 1.0
    assert float(optimizer.learning_rate) == pytest.approx(0.05)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again._learning_rate.peak == 0.5


def test_own_class_without_methods():
    class Empty(schedules.LearningRateSchedule):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define __call__"):
        Empty()(0)
    with pytest.raises(NotImplementedError, match="Empty must define get_config"):
        Empty().get_config()
