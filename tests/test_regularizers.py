"""Regularizers and constraints: values, configurations, messages."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import constraints, ops, regularizers, serialization
from cnn_core.graph import GradientTape, Variable

WEIGHT = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 4.0]], "float32")
REGULARIZERS = [
    regularizers.L1(0.1),
    regularizers.L2(0.2),
    regularizers.L1L2(0.1, 0.2),
    regularizers.OrthogonalRegularizer(0.5, mode="columns"),
]
CONSTRAINTS = [
    constraints.MaxNorm(1.5, axis=1),
    constraints.NonNeg(),
    constraints.UnitNorm(axis=1),
    constraints.MinMaxNorm(0.5, 1.0, rate=0.5, axis=1),
]
BOTH = pytest.mark.parametrize(
    ("module", "obj"),
    [(regularizers, r) for r in REGULARIZERS] + [(constraints, c) for c in CONSTRAINTS],
    ids=lambda x: type(x).__name__,
)


@BOTH
def test_config_round_trip(module, obj):
    again = module.deserialize(module.serialize(obj))
    assert type(again) is type(obj)
    assert again.get_config() == obj.get_config()
    np.testing.assert_array_equal(again(WEIGHT), obj(WEIGHT))


@BOTH
def test_found_by_name(module, obj):
    cls = type(obj)
    assert type(module.get(cls.__name__)) is cls
    assert type(module.get(cls)) is cls
    assert module.get(obj) is obj
    assert module.get(None) is None


@BOTH
def test_works_on_variables(module, obj):
    variable = Variable(WEIGHT, name="kernel")
    np.testing.assert_array_equal(obj(variable), obj(WEIGHT))


@pytest.mark.parametrize(
    ("module", "name", "cls"),
    [
        (regularizers, "l1", regularizers.L1),
        (regularizers, "l2", regularizers.L2),
        (regularizers, "l1_l2", regularizers.L1L2),
        (regularizers, "orthogonal_regularizer", regularizers.OrthogonalRegularizer),
        (constraints, "max_norm", constraints.MaxNorm),
        (constraints, "non_neg", constraints.NonNeg),
        (constraints, "unit_norm", constraints.UnitNorm),
        (constraints, "min_max_norm", constraints.MinMaxNorm),
    ],
)
def test_aliases(module, name, cls):
    assert type(module.get(name)) is cls
    assert getattr(module, name) is cls


def test_penalties():
    total, squares = np.abs(WEIGHT).sum(), (WEIGHT**2).sum()
    assert float(regularizers.L1(0.1)(WEIGHT)) == pytest.approx(0.1 * total)
    assert float(regularizers.L2(0.2)(WEIGHT)) == pytest.approx(0.2 * squares)
    both = regularizers.L1L2(0.1, 0.2)(WEIGHT)
    assert float(both) == pytest.approx(0.1 * total + 0.2 * squares)
    assert float(regularizers.L1L2()(WEIGHT)) == 0.0


def test_orthogonal_penalty():
    regularizer = regularizers.OrthogonalRegularizer(0.5)
    assert float(regularizer(np.eye(3, dtype="float32"))) == pytest.approx(0.0)
    assert float(regularizer(np.ones((3, 2), "float32"))) == pytest.approx(
        0.5, rel=1e-5
    )
    with pytest.raises(ValueError, match=r"expected a matrix, got shape \(3,\)"):
        regularizer(np.ones(3, "float32"))


def test_gradient_of_a_penalty():
    variable = Variable(WEIGHT, name="kernel")
    with GradientTape() as tape:
        penalty = regularizers.L1L2(0.1, 0.2)(variable)
    expected = 0.1 * np.sign(WEIGHT) + 0.4 * WEIGHT
    np.testing.assert_allclose(tape.gradient(penalty, variable), expected, rtol=1e-6)


def test_norms_after_constraints():
    def norms(constraint):
        return np.linalg.norm(np.asarray(constraint(WEIGHT)), axis=1)

    before = np.linalg.norm(WEIGHT, axis=1)
    largest = norms(constraints.MaxNorm(2.5, axis=1))
    np.testing.assert_allclose(largest, np.minimum(before, 2.5), rtol=1e-6)
    np.testing.assert_allclose(norms(constraints.UnitNorm(axis=1)), 1.0, rtol=1e-6)
    halfway = norms(constraints.MinMaxNorm(0.0, 1.0, rate=0.5, axis=1))
    np.testing.assert_allclose(halfway, (before + 1.0) / 2, rtol=1e-6)
    whole = constraints.UnitNorm(axis=(0, 1))(WEIGHT)
    assert np.linalg.norm(np.asarray(whole)) == pytest.approx(1.0, rel=1e-6)


def test_zero_weights_stay_finite():
    zeros = np.zeros((3, 2), "float32")
    for constraint in CONSTRAINTS:
        np.testing.assert_array_equal(constraint(zeros), zeros)
    assert np.isfinite(float(REGULARIZERS[-1](zeros)))


def test_non_negative():
    np.testing.assert_array_equal(constraints.NonNeg()(WEIGHT), np.maximum(WEIGHT, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularizers.get("l3"), "Unknown regularizer 'l3'; known: L1, "),
        (lambda: regularizers.get("l1_12"), "did you mean 'l1_l2'"),
        (lambda: constraints.get("max_nrom"), "did you mean 'max_norm'"),
        (lambda: regularizers.L1(-1.0), "L1: l1: expected a number >= 0, got -1.0"),
        (lambda: regularizers.L2(float("nan")), "L2: l2: expected"),
        (lambda: regularizers.L1L2(l2="a"), "L1L2: l2: expected"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "mean 'rows'"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@serialization.register_keras_serializable("tests")
class LargestWeight(regularizers.Regularizer):
    """A regularizer as a user writes it."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, x):
        return self.factor * ops.max(ops.abs(x))

    def get_config(self):
        return {"factor": self.factor}


@serialization.register_keras_serializable("tests")
class Rounded(constraints.Constraint):
    """A constraint as a user writes it."""

    def __call__(self, w):
        return ops.round(w)


def test_own_classes():
    penalty = regularizers.deserialize(regularizers.serialize(LargestWeight(0.5)))
    assert float(penalty(WEIGHT)) == 2.0
    constraint = constraints.deserialize(constraints.serialize(Rounded()))
    np.testing.assert_array_equal(constraint(WEIGHT), np.round(WEIGHT))
    with pytest.raises(NotImplementedError, match="must define get_config"):
        regularizers.Regularizer().get_config()


def test_functions_as_they_are():
    def penalty(x):
        return ops.sum(x)

    assert regularizers.get(penalty) is penalty
    assert constraints.get(penalty) is penalty
