"""What the passes that reorder and join calls make of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import backend, losses, ops
from cnn_core.graph import GradientTape, Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, trace
from cnn_core.graph.program.chains import Chain, fuse_chains
from cnn_core.graph.program.joining import join_losses
from cnn_core.graph.program.passes import PASSES, remove_dead
from cnn_core.graph.program.schedule import update_early
from cnn_core.ops.matmul import dense

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def three_updates(size=8192):
    """Three products, then an update with momentum for each, as a trace has them."""
    weights = [Variable(normal(size)) for _ in range(3)]
    moments = [Variable(np.zeros(size, "float32")) for _ in range(3)]
    count = Variable(np.zeros((), "float32"))

    def step(x):
        gradients = [ops.flip(x) + 1.0]
        for w in weights:
            gradients.append(ops.flip(gradients[-1] * w))
        count.assign(count + 1.0)
        rate = 0.1 / count.value
        for w, m, g in zip(weights, moments, gradients[1:], strict=True):
            m.assign(m * 0.9 + g)
            w.assign(w - rate * m.value)
        return ops.sum(gradients[-1])

    return step, [*weights, *moments, count], Spec((size,), "float32")


def test_an_update_follows_the_gradient_it_needs():
    step, _, spec = three_updates()
    graph = update_early(remove_dead(trace(step, spec)))
    names = [c.name for c in graph.calls]
    turns = [i for i, name in enumerate(names) if name == "getitem"]
    assert len(turns) == 4
    # the rate depends on nothing but the count
    assert names[:2] == ["add", "divide"]
    for begin, end in zip(turns[1:], [*turns[2:], len(names)], strict=True):
        update = names[begin + 1 : end]
        assert update.count("subtract") == 1
        assert update.count("multiply") >= 2


def test_early_updates_need_less_memory_and_give_the_same_bits():
    x = normal(8192)
    results = []
    for without in ((), ("update_early",)):
        RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state
        step, variables, spec = three_updates()
        program = Program(trace(step, spec), without=without)
        for _ in range(3):
            total = program(x)
        results.append((program, [np.asarray(v) for v in (*variables, total)]))
    (early, values), (late, expected) = results
    for a, b in zip(values, expected, strict=True):
        assert a.tobytes() == b.tobytes()
    assert early.plan.arena_bytes < 0.7 * late.plan.arena_bytes
    assert not early.plan.copies


def test_an_update_waits_for_those_who_read_the_old_value():
    v = Variable(normal(8192))

    def step(x):
        old = v.value
        a, b = ops.exp(ops.flip(old)), ops.flip(ops.reshape(old, (64, 128)))
        v.assign(old + x)
        return a, b

    graph = update_early(remove_dead(trace(step, Spec((8192,), "float32"))))
    names = [c.name for c in graph.calls]
    assert names[-1] == "add"  # after the two who turn the old value around
    assert names.count("getitem") == 2


def test_large_arrays_share_a_chain_only_if_they_have_something_in_common():
    def function(a, b):
        x = a * 2.0 + 1.0
        y = b * 3.0 - 1.0
        return x, y

    for size, chains in ((4096, 1), (8192, 2)):
        spec = Spec((size,), "float32")
        graph = fuse_chains(remove_dead(trace(function, spec, spec)))
        assert [type(c) for c in graph.calls] == [Chain] * chains

    def joined(a, b):
        x = a * 2.0 + 1.0
        y = b * 3.0 - 1.0
        return x * y

    spec = Spec((8192,), "float32")
    (chain,) = fuse_chains(remove_dead(trace(joined, spec, spec))).calls
    assert len(chain.members) == 5


LOSSES = {
    "binary_crossentropy": (lambda y, x: ops.binary_crossentropy(y, x, True), (6, 4)),
    "mean_squared_error": (losses.mean_squared_error, (6, 4)),
    "categorical_crossentropy": (
        lambda y, x: ops.categorical_crossentropy(y, x, True),
        (6, 4),
    ),
    "sparse_categorical_crossentropy": (ops.sparse_categorical_crossentropy, (6,)),
}


def loss_step(name, total):
    """A function of (x, y) that returns a total of the losses and its gradient."""
    loss, shape = LOSSES[name]
    dtype = "int32" if name.startswith("sparse") else "float32"

    def step(x, y):
        with GradientTape() as tape:
            tape.watch(x)
            value = total(loss(y, ops.softmax(x)))
        return value, tape.gradient(value, x)

    return step, (Spec((6, 4), "float32"), Spec(shape, dtype))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_one_call(name):
    step, specs = loss_step(name, ops.mean)
    graph = join_losses(remove_dead(trace(step, *specs)))
    names = [c.name for c in graph.calls]
    assert f"{name}_with_grad" in names
    assert name not in names
    assert f"{name}_grad" not in names
    x = normal(6, 4)
    y = RNG.integers(0, 4, 6).astype("int32")
    if specs[1].dtype == "float32":
        y = np.eye(4, dtype="float32")[y]
    joined = Program(trace(step, *specs))
    apart = Program(trace(step, *specs), without=("join_losses",))
    assert not joined.lowering.fallbacks
    for a, b in zip(joined(x, y), apart(x, y), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_gradient_that_needs_the_loss_comes_after_it():
    step, specs = loss_step(
        "sparse_categorical_crossentropy", lambda x: ops.sum(ops.square(x))
    )
    graph = join_losses(remove_dead(trace(step, *specs)))
    names = [c.name for c in graph.calls]
    assert "sparse_categorical_crossentropy_grad" in names


def test_weights_of_samples_are_ready_before_a_joined_loss():
    def step(x, y, weights):
        with GradientTape() as tape:
            tape.watch(x)
            value = ops.sum(ops.sparse_categorical_crossentropy(y, x, True) * weights)
        return value, tape.gradient(value, x)

    specs = (Spec((6, 4), "float32"), Spec((6,), "int32"), Spec((6,), "float32"))
    x, y, weights = normal(6, 4), RNG.integers(0, 4, 6).astype("int32"), normal(6)
    program = Program(trace(step, *specs))
    plain = Program(trace(step, *specs), without=PASSES)
    assert any(c.name.endswith("with_grad") for c in program.graph.calls)
    for a, b in zip(program(x, y, weights), plain(x, y, weights), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


# --- products -------------------------------------------------------------------------

ACTIVATIONS = {
    "relu": ops.relu,
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.3),
    "elu": lambda x: ops.elu(x, 0.7),
    "selu": ops.selu,
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_tanh": ops.gelu,
    "silu": ops.silu,
    "sigmoid": ops.sigmoid,
    "hard_sigmoid": ops.hard_sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
}


def two_layers(activation, rows):
    """A function of x that returns the gradients of two dense layers."""
    rng = np.random.default_rng(2)
    w1, w2 = (Variable(rng.normal(size=s).astype("float32")) for s in ((5, 9), (9, 3)))
    b1, b2 = (Variable(rng.normal(size=n).astype("float32")) for n in (9, 3))

    def step(x):
        with GradientTape() as tape:
            hidden = activation(dense(x, w1, b1))
            total = ops.sum(ops.square(dense(hidden, w2, b2)))
        return tape.gradient(total, [w1, b1, w2, b2])

    return step, Spec((*rows, 5), "float32")


def same_without(step, spec, without):
    """Compare the bits of a program with those of one without some passes."""
    x = normal(*spec.shape)
    whole = Program(trace(step, spec))
    part = Program(trace(step, spec), without=without)
    for a, b in zip(whole(x), part(x), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return whole


@pytest.mark.parametrize("rows", [(7,), (2, 3)], ids=["matrix", "stack"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_products_end_with_the_gradient_of_an_activation(name, rows):
    step, spec = two_layers(ACTIVATIONS[name], rows)
    whole = same_without(step, spec, ("join_gradients", "join_bias_gradients"))
    names = [c.name for c in whole.graph.calls]
    assert names.count("matmul_grad") == 1
    assert names.count("matmul_bias_gradient") == 2
    assert not {"matmul", "bias_gradient", f"{name}_grad"} & set(names)
    assert not whole.lowering.fallbacks


def test_a_product_that_others_need_stays_as_it_is():
    w = Variable(normal(5, 9))

    def step(x):
        ct = ops.matmul(x, w)
        y = ops.relu(ct)
        with GradientTape() as tape:
            tape.watch(y)
            z = ops.relu(y)
        return ct, tape.gradient(z, y, output_gradients=ct)

    whole = same_without(step, Spec((4, 5), "float32"), PASSES)
    names = [c.name for c in whole.graph.calls]
    assert "matmul_grad" not in names


def test_a_gradient_saved_by_its_own_cotangent():
    w = Variable(normal(5, 9))

    def step(x):
        y = ops.matmul(x, w)
        with GradientTape() as tape:
            tape.watch(y)
            z = ops.softsign(y)  # saves its input
        return [tape.gradient(z, y, output_gradients=y)]

    whole = same_without(step, Spec((4, 5), "float32"), PASSES)
    assert "matmul_grad" not in [c.name for c in whole.graph.calls]
