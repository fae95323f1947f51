"""Optimizers: formulas, options, state, messages, own optimizers, configurations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cnn_core import constraints, ops, optimizers, serialization
from cnn_core.graph import GradientTape, Tensor, Variable

CLASSES = [
    cls
    for name in optimizers.__all__
    if isinstance(cls := getattr(optimizers, name), type)
    and cls is not optimizers.Optimizer
]
EACH = pytest.mark.parametrize("cls", CLASSES)


def variable(*values, name="kernel"):
    return Variable(np.array(values, "float32"), name=name)


def step(optimizer, gradients, variables):
    pairs = zip(gradients, variables, strict=True)
    return optimizer.apply_gradients(
        [(None if g is None else np.asarray(g, "float32"), v) for g, v in pairs]
    )


# --- what every optimizer does -----------------------------------------------


@EACH
def test_config_round_trip(cls):
    optimizer = cls(learning_rate=0.25, clipnorm=1.0, use_ema=True, name="own")
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is cls
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["learning_rate"] == 0.25


@EACH
def test_config_keeps_the_formula(cls):
    """Numbers other than the defaults survive: the steps are the same."""
    options = {
        key: value * 0.5
        for key, value in cls().get_config().items()
        if isinstance(value, float) and value and key != "ema_momentum"
    }
    optimizer = cls(**options)
    again = cls.from_config(optimizer.get_config())
    a, b = variable(1.0, -2.0), variable(1.0, -2.0)
    for _ in range(3):
        step(optimizer, [[0.5, -0.25]], [a])
        step(again, [[0.5, -0.25]], [b])
    np.testing.assert_array_equal(a, b)


@EACH
def test_found_by_name(cls):
    for name in (cls.__name__, cls.__name__.lower(), cls.__name__.upper()):
        assert type(optimizers.get(name)) is cls
    assert type(optimizers.get({"class_name": cls.__name__, "config": {}})) is cls
    instance = cls()
    assert optimizers.get(instance) is instance


def test_get_unknown_names_the_nearest():
    with pytest.raises(ValueError, match=r"(?i)did you mean 'rmsprop'"):
        optimizers.get("rmspro")
    with pytest.raises(TypeError, match="got 5"):
        optimizers.get(5)
    assert optimizers.get(None) is None


@EACH
def test_minimizes_a_parabola(cls):
    x = variable(3.0, -2.0)
    rate = {"Adadelta": 20.0, "Ftrl": 1.0, "Adagrad": 0.5}.get(cls.__name__, 0.05)
    optimizer = cls(learning_rate=rate)

    def loss():
        return ops.sum(ops.square(x - 1.0))

    first = float(loss())
    for _ in range(200):
        with GradientTape() as tape:
            value = loss()
        optimizer.apply([tape.gradient(value, x)], [x])
    assert float(loss()) < 0.02 * first


@EACH
def test_dtype_of_the_variable_stays(cls):
    x = Variable(np.ones(3), dtype="float64", name="x")
    optimizer = cls()
    optimizer.apply([Tensor(np.ones(3))], [x])
    assert x.dtype == "float64"
    state = [v for v in optimizer.variables if v.shape == (3,)]
    assert all(v.dtype == "float64" for v in state)


@EACH
def test_empty_variable(cls):
    x = Variable(np.zeros((0, 2), "float32"), name="x")
    cls().apply([np.zeros((0, 2), "float32")], [x])
    assert x.shape == (0, 2)


@EACH
def test_nan_gradient_makes_the_variable_nan(cls):
    x = variable(1.0, 2.0)
    step(cls(), [[np.nan, 1.0]], [x])
    assert np.isnan(np.asarray(x)[0])
    assert np.isfinite(np.asarray(x)[1])


@EACH
def test_save_and_load_continue_the_run(cls):
    def run(optimizer, x, steps):
        for g in steps:
            step(optimizer, [g], [x])

    steps = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    straight, x = cls(), variable(1.0, 2.0)
    run(straight, x, steps)
    first, y = cls(), variable(1.0, 2.0)
    run(first, y, steps[:3])
    store: dict[str, np.ndarray] = {}
    first.save_own_variables(store)
    assert list(store) == [str(i) for i in range(len(first.variables))]
    second = cls()
    second.build([y])
    second.load_own_variables(store)
    run(second, y, steps[3:])
    np.testing.assert_array_equal(x, y)


@EACH
def test_build_twice_makes_state_once(cls):
    x = variable(1.0)
    optimizer = cls()
    optimizer.build([x])
    count = len(optimizer.variables)
    optimizer.build([x])
    assert len(optimizer.variables) == count


def test_load_of_another_number_of_arrays_warns():
    optimizer = optimizers.Adam()
    with pytest.warns(UserWarning, match=r"2 variables and the file has 1"):
        optimizer.load_own_variables({"0": np.array(7)})
    assert int(optimizer.iterations) == 0


def test_state_names_and_order():
    kernel, bias = variable(1.0), variable(2.0, name="bias")
    kernel.path, bias.path = "dense/kernel", "dense/bias"
    optimizer = optimizers.Adam(name="adam")
    optimizer.build([kernel, bias])
    assert [v.path for v in optimizer.variables] == [
        "adam/iteration",
        "adam/learning_rate",
        "adam/dense_kernel_momentum",
        "adam/dense_kernel_velocity",
        "adam/dense_bias_momentum",
        "adam/dense_bias_velocity",
    ]
    assert optimizer.iterations.dtype.startswith("int")


def test_set_weights():
    optimizer = optimizers.SGD(0.5, momentum=0.9)
    with pytest.raises(ValueError, match="call build"):
        optimizer.set_weights([])
    x = variable(1.0)
    optimizer.build([x])
    optimizer.set_weights([3, 0.25, [2.0]])
    assert int(optimizer.iterations) == 3
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(ValueError, match="expected 3 arrays, got 1"):
        optimizer.set_weights([1])
    with pytest.raises(ValueError, match=r"shape \(1,\), got an array of shape \(2,\)"):
        optimizer.set_weights([3, 0.25, [2.0, 1.0]])


# --- learning rate -----------------------------------------------------------


def test_learning_rate_can_be_set():
    x = variable(1.0)
    optimizer = optimizers.SGD(1.0)
    step(optimizer, [[0.5]], [x])
    optimizer.learning_rate = 0.5
    step(optimizer, [[0.5]], [x])
    assert float(np.asarray(x)[0]) == 0.25
    optimizer.learning_rate.assign(0.125)
    assert float(optimizer.learning_rate) == 0.125


def test_learning_rate_from_a_function():
    x = variable(1.0)
    optimizer = optimizers.SGD(lambda: 0.5)
    step(optimizer, [[1.0]], [x])
    assert float(np.asarray(x)[0]) == 0.5


def test_schedule_sees_the_step():
    x = variable(0.0)
    schedule = optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.25])
    optimizer = optimizers.SGD(schedule)
    seen = []
    for _ in range(3):
        step(optimizer, [[-1.0]], [x])
        seen.append(float(np.asarray(x)[0]))
    assert seen == [1.0, 2.0, 2.25]
    assert [v.name for v in optimizer.variables] == ["iteration"]
    with pytest.raises(TypeError, match="follows a schedule"):
        optimizer.learning_rate = 0.1


def test_schedule_in_place_of_a_number():
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert [v.name for v in optimizer.variables] == ["iteration"]
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [1, "fast", None, [0.1]])
def test_bad_learning_rate(bad):
    with pytest.raises(ValueError, match=r"SGD 'sgd.*': expected learning_rate"):
        optimizers.SGD(bad)


# --- options -----------------------------------------------------------------


def test_unknown_argument_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'learning_rate'"):
        optimizers.Adam(learning_rte=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "at most one of clipnorm"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps >= 2"),
        ({"use_ema": True, "ema_momentum": 1.5}, r"ema_momentum in \[0, 1\]"),
        ({"use_ema": True, "ema_overwrite_frequency": 0.5}, "ema_overwrite_frequency"),
        ({"momentum": 2.0}, r"momentum in \[0, 1\]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        optimizers.SGD(**options)


def test_own_bad_arguments():
    with pytest.raises(ValueError, match="weight_decay"):
        optimizers.AdamW(weight_decay=None)
    with pytest.raises(ValueError, match="beta_1"):
        optimizers.Lion(beta_1=0.0)
    with pytest.raises(ValueError, match="l1_regularization_strength >= 0"):
        optimizers.Ftrl(l1_regularization_strength=-1.0)
    with pytest.raises(ValueError, match="learning_rate_power <= 0"):
        optimizers.Ftrl(learning_rate_power=0.5)


def test_clipping():
    def moved(gradient, **options):
        x = variable(*[0.0] * len(gradient))
        step(optimizers.SGD(1.0, **options), [gradient], [x])
        return -np.asarray(x)

    np.testing.assert_allclose(moved([3.0, 4.0], clipnorm=1.0), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(moved([0.3, 0.4], clipnorm=1.0), [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(moved([3.0, -0.5], clipvalue=1.0), [1.0, -0.5])
    np.testing.assert_array_equal(moved([0.0, 0.0], clipnorm=1.0), [0.0, 0.0])
    np.testing.assert_array_equal(moved([0.0, 0.0], global_clipnorm=1.0), [0.0, 0.0])


def test_global_clipping_is_over_all_gradients():
    a, b = variable(0.0), variable(0.0, name="b")
    step(optimizers.SGD(1.0, global_clipnorm=1.0), [[3.0], [4.0]], [a, b])
    np.testing.assert_allclose([float(a.value[0]), float(b.value[0])], [-0.6, -0.8])


def test_infinite_global_norm_makes_everything_nan():
    a, b = variable(0.0), variable(0.0, name="b")
    step(optimizers.SGD(1.0, global_clipnorm=1.0), [[np.inf], [4.0]], [a, b])
    assert np.isnan([float(a.value[0]), float(b.value[0])]).all()


def test_weight_decay_and_its_exceptions():
    kernel, bias, scale = (variable(1.0, name=n) for n in ("kernel", "bias", "scale"))
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[scale], var_names=["bias"])
    step(optimizer, [[0.0]] * 3, [kernel, bias, scale])
    assert [float(v.value[0]) for v in (kernel, bias, scale)] == [0.75, 1.0, 1.0]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_loss_scale():
    x = variable(0.0)
    optimizer = optimizers.SGD(1.0, loss_scale_factor=8.0)
    assert optimizer.scale_loss(2.0) == 16.0
    step(optimizer, [[16.0]], [x])
    assert float(x.value[0]) == -2.0
    assert optimizers.SGD().scale_loss(2.0) == 2.0


def test_moving_average():
    x = variable(0.0)
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(3):
        step(optimizer, [[-1.0]], [x])
    assert float(x.value[0]) == 3.0
    optimizer.finalize_variable_values([x])
    assert float(x.value[0]) == 0.25 * 1 + 0.25 * 2 + 0.5 * 3
    with pytest.raises(ValueError, match="1 averages, got 0 variables"):
        optimizer.finalize_variable_values([])


def test_average_overwrites_every_few_steps():
    x = variable(0.0)
    optimizer = optimizers.SGD(
        1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    )
    seen = []
    for _ in range(3):
        step(optimizer, [[-1.0]], [x])
        seen.append(float(x.value[0]))
    assert seen == [1.0, 1.5, 2.5]


@EACH
def test_accumulation_is_one_step_with_the_mean(cls):
    steps = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")
    plain, accumulated = cls(), cls(gradient_accumulation_steps=3)
    x, y = variable(1.0, 2.0), variable(1.0, 2.0)
    for i, gradient in enumerate(steps):
        before = np.array(y)
        step(accumulated, [gradient], [y])
        if i % 3 != 2:
            np.testing.assert_array_equal(y, before)
    for part in (steps[:3], steps[3:]):
        step(plain, [part.mean(0)], [x])
    np.testing.assert_allclose(y, x, rtol=1e-5)
    assert int(accumulated.iterations) == 2


def test_accumulation_without_some_gradients():
    a, b = variable(1.0), variable(1.0, name="b")
    optimizer = optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.build([a, b])
    for _ in range(2):
        step(optimizer, [[0.5]], [b])
    assert [float(a.value[0]), float(b.value[0])] == [1.0, 0.5]


def test_constraint_after_the_update():
    x = variable(0.25, 1.0)
    x.constraint = constraints.NonNeg()
    step(optimizers.SGD(1.0), [[1.0, 0.5]], [x])
    np.testing.assert_array_equal(x, [0.0, 0.5])


# --- gradients and variables -------------------------------------------------


def test_missing_gradients_warn_once():
    a, b = variable(1.0), variable(1.0, name="b")
    optimizer = optimizers.SGD(0.5, name="sgd")
    with pytest.warns(UserWarning, match=r"SGD 'sgd': .*\['b'\]"):
        step(optimizer, [[1.0], None], [a, b])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(optimizer, [[1.0], None], [a, b])
    assert [float(a.value[0]), float(b.value[0])] == [0.0, 1.0]


def test_no_gradient_at_all():
    with pytest.raises(ValueError, match="at least one variable, all are None"):
        step(optimizers.SGD(), [None], [variable(1.0)])


def test_no_pairs_do_nothing():
    optimizer = optimizers.SGD()
    optimizer.apply_gradients([])
    assert int(optimizer.iterations) == 0


def test_other_variable_than_built_for():
    optimizer = optimizers.Adam(name="adam")
    x, other = variable(1.0), variable(1.0, name="other")
    step(optimizer, [[1.0]], [x])
    with pytest.raises(ValueError, match=r"Adam 'adam': variable 'other'.*built for"):
        step(optimizer, [[1.0]], [other])
    assert float(other.value[0]) == 1.0
    assert int(optimizer.iterations) == 1


def test_shape_of_the_gradient():
    x = variable(1.0, 2.0)
    optimizer = optimizers.SGD(name="sgd")
    with pytest.raises(ValueError, match=r"shape \(2,\) for variable 'kernel', got"):
        step(optimizer, [[1.0]], [x])
    assert not optimizer.built


def test_number_of_gradients():
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match=r"call build\(variables\)"):
        optimizer.apply([np.ones(1, "float32")])
    optimizer.build([variable(1.0)])
    with pytest.raises(ValueError, match="each of 1 variables, got 2"):
        optimizer.apply([np.ones(1, "float32")] * 2)


def test_apply_without_variables_uses_those_of_build():
    x = variable(1.0)
    optimizer = optimizers.SGD(1.0)
    optimizer.build([x])
    optimizer.apply([np.ones(1, "float32")])
    assert float(x.value[0]) == 0.0


# --- own optimizers ----------------------------------------------------------


@serialization.register_keras_serializable("tests")
class OwnMomentum(optimizers.Optimizer):
    """An optimizer as a user writes it."""

    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = []
        for v in variables:
            self.momentums.append(
                self.add_variable_from_reference(reference_variable=v, name="momentum")
            )

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, m * self.momentum - gradient * learning_rate)
        self.assign_add(variable, m)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


def test_own_class():
    a, b = variable(1.0, -1.0), variable(1.0, -1.0)
    own, builtin = OwnMomentum(0.1, 0.5), optimizers.SGD(0.1, 0.5)
    for _ in range(4):
        step(own, [[0.5, 2.0]], [a])
        step(builtin, [[0.5, 2.0]], [b])
    np.testing.assert_allclose(a, b, rtol=1e-6)
    again = optimizers.deserialize(optimizers.serialize(own))
    assert type(again) is OwnMomentum
    assert again.momentum == 0.5


def test_rate_by_variable_in_a_subclass():
    class Layerwise(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            factor = 0.1 if variable.name == "slow" else 1.0
            super().update_step(gradient, variable, learning_rate * factor)

    fast, slow = variable(0.0, name="fast"), variable(0.0, name="slow")
    step(Layerwise(1.0), [[1.0], [1.0]], [fast, slow])
    assert float(slow.value[0]) == pytest.approx(0.1 * float(fast.value[0]), rel=1e-6)


def test_update_step_by_hand():
    x = variable(1.0)
    optimizer = optimizers.Adam(0.5)
    optimizer.build([x])
    optimizer.update_step(Tensor(np.ones(1, "float32")), x, 0.5)
    assert float(x.value[0]) == pytest.approx(0.5, rel=1e-4)


def test_own_class_without_update_step():
    class Empty(optimizers.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define update_step"):
        step(Empty(0.1), [[1.0]], [variable(1.0)])


def test_variables_set_as_attributes_are_state():
    class Counting(optimizers.SGD):
        def build(self, variables):
            super().build(variables)
            self.calls = Variable(0, trainable=False, name="calls")

    optimizer = Counting()
    optimizer.build([variable(1.0)])
    assert optimizer.variables[-1].name == "calls"


def test_forgotten_super_is_named():
    class Bad(optimizers.Optimizer):
        def __init__(self):
            self.extra = self.add_variable((), name="extra")

    with pytest.raises(RuntimeError, match=r"Bad: call super\(\).__init__\(\)"):
        Bad()


def test_add_optimizer_variables():
    optimizer = optimizers.SGD()
    variables = [variable(1.0, 2.0), variable(1.0, name="b")]
    first, second = optimizer.add_optimizer_variables(
        variables, ["a", "b"], initializer=["ones", "zeros"]
    )
    assert [v.shape for v in first] == [(2,), (1,)]
    assert np.asarray(first[0]).all()
    assert not np.asarray(second[0]).any()
    with pytest.raises(ValueError, match="each of 2 names, got 1"):
        optimizer.add_optimizer_variables(variables, ["a", "b"], initializer=["ones"])
