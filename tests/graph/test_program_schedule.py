"""The order of a program's calls, and the memory that follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import backend, losses, ops, optimizers
from cnn_core.graph import GradientTape, Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, trace
from cnn_core.graph.program.chains import Chain, fuse_chains
from cnn_core.graph.program.plan import Plan
from cnn_core.graph.program.schedule import update_early
from cnn_core.ops.matmul import dense

UNITS, DEPTH, BATCH = 96, 5, 4
KERNEL_BYTES = UNITS * UNITS * 4


class Deep:
    """Dense layers of one width, whose gradients are large beside the activations."""

    def __init__(self, optimizer):
        rng = np.random.default_rng(0)
        self.kernels = [
            Variable(rng.normal(size=(UNITS, UNITS)).astype("float32") * 0.1)
            for _ in range(DEPTH)
        ]
        self.optimizer = optimizers.get(optimizer)
        self.optimizer.build(self.kernels)
        self.loss = losses.MeanSquaredError()

    def step(self, x, y):
        with GradientTape() as tape:
            h = x
            for kernel in self.kernels:
                h = dense(h, kernel, None, "tanh")
            loss = self.loss(y, h)
        self.optimizer.apply(tape.gradient(loss, self.kernels), self.kernels)
        return loss

    def graph(self):
        spec = Spec((BATCH, UNITS), "float32")
        return trace(self.step, spec, spec)

    def values(self):
        return [np.array(v) for v in (*self.kernels, *self.optimizer.variables)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
def test_one_gradient_is_alive_at_a_time(optimizer):
    program = Program(Deep(optimizer).graph())
    assert program.plan.copies == []
    assert KERNEL_BYTES <= program.plan.arena_bytes < 2 * KERNEL_BYTES


def test_without_the_pass_all_gradients_are():
    graph = Deep("adam").graph()
    assert Plan(fuse_chains(graph)).arena_bytes > DEPTH * KERNEL_BYTES
    early = Plan(fuse_chains(update_early(graph)))
    assert early.arena_bytes < 2 * KERNEL_BYTES


def test_a_global_norm_needs_all_gradients_first():
    clipped = optimizers.Adam(global_clipnorm=1.0)
    program = Program(Deep(clipped).graph())
    assert program.plan.arena_bytes > DEPTH * KERNEL_BYTES


def test_the_order_respects_what_calls_need():
    graph = Deep("adam").graph()
    later = update_early(graph)
    assert {id(c) for c in later.calls} == {id(c) for c in graph.calls}
    assert [id(c) for c in later.calls] != [id(c) for c in graph.calls]
    made = {id(v) for c in graph.calls for v in c.outputs}
    seen = set()
    for call in later.calls:
        assert {id(x) for x in call.inputs if id(x) in made} <= seen
        seen |= {id(v) for v in call.outputs}


def test_updates_wait_for_the_readers_of_old_values():
    """The kernel of a layer is needed for the gradient of the layer's input."""
    model = Deep("sgd")
    later = fuse_chains(update_early(model.graph()))
    for kernel in model.kernels:
        old, new = later.reads[kernel], later.writes[kernel]
        (update,) = (i for i, c in enumerate(later.calls) if new in c.outputs)
        readers = [
            i for i, c in enumerate(later.calls) if any(x is old for x in c.inputs)
        ]
        assert len(readers) >= 2
        assert max(readers) == update


def test_an_update_does_not_overtake_a_reader_that_it_does_not_need():
    v = Variable(np.ones((64, 64), "float32"))

    def step(x):
        gradient = ops.matmul(x, x)
        y = ops.matmul(x, v)
        v.assign(v - gradient)
        return ops.sum(y)

    x = np.ones((64, 64), "float32")
    program = Program(trace(step, Spec((64, 64), "float32")))
    assert program.plan.copies == []
    assert program.run([x])[0] == 64**3
    assert np.array_equal(v, np.full((64, 64), -63))


def test_a_reader_behind_the_update_gets_the_old_value():
    v = Variable(np.arange(5000, dtype="float32"))
    w = Variable(np.zeros(5000, "float32"))

    def step(x):
        old = v * 1.0 + x
        v.assign(v + 2.0 * x)
        w.assign(ops.sort(old) + v)
        return old

    x = np.ones(5000, "float32")
    program = Program(trace(step, Spec((5000,), "float32")))
    for i in range(2):
        (old,) = program.run([x])
        before = np.arange(5000) + 2 * i
        assert np.array_equal(old, before + 1)
        assert np.array_equal(w, (before + 1) + (before + 2))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_steps_have_the_bits_of_eager_steps(optimizer):
    eager, native = Deep(optimizer), Deep(optimizer)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3 * BATCH, UNITS)).astype("float32")
    program = Program(native.graph())
    program.run([x, y], None, 0, 3)
    for i in range(3):
        rows = slice(BATCH * i, BATCH * (i + 1))
        eager.step(ops.convert_to_tensor(x[rows]), ops.convert_to_tensor(y[rows]))
    for a, b in zip(eager.values(), native.values(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_updates_of_large_variables_are_chains_of_their_own():
    model = Deep("adam")
    graph = fuse_chains(model.graph())
    chains = [c for c in graph.calls if isinstance(c, Chain)]
    for kernel in model.kernels:
        new = graph.writes[kernel]
        (chain,) = (c for c in chains if new in c.outputs)
        assert sum(v.size == UNITS * UNITS for v in chain.outputs) == 3  # state, too


def test_small_arrays_of_one_shape_share_a_chain():
    variables = [Variable(np.zeros(8, "float32")) for _ in range(3)]

    def step(x):
        for v in variables:
            v.assign(v * 0.5 + x)
        return x

    graph = fuse_chains(trace(step, Spec((8,), "float32")))
    assert [len(c.members) for c in graph.calls] == [6]


def test_inputs_give_their_memory_away():
    def function(x):
        return ops.sum(ops.sort(ops.sort(ops.sort(x))))

    program = Program(trace(function, Spec((4096,), "float32")))
    x_bytes = 4096 * 4  # what a sort needs: its input, indices, and its output
    assert program.plan.arena_bytes == 3 * x_bytes
    x = np.random.default_rng(0).permutation(8192).astype("float32")
    (total,) = program.run([x], None, 0, 2)
    assert total == x[4096:].sum()


# --- the report ---------------------------------------------------------------------


def test_memory_is_reported_by_kind():
    model = Deep("adam")
    program = Program(model.graph())
    found = program.plan.memory(
        {"weights": model.kernels, "optimizer": model.optimizer.variables}
    )
    assert found["weights"] == DEPTH * KERNEL_BYTES
    state = 2 * DEPTH * KERNEL_BYTES + 4  # and the learning rate
    assert found["optimizer"] in (state + 4, state + 8)  # and the step count
    assert found["temporaries"] == program.plan.arena_bytes
    assert 0 < found["constants"] < 1000
    assert program.plan.memory()["variables"] == found["weights"] + found["optimizer"]
