"""Programs compute the bits that eager steps do, and leave the world as they do."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cnn_core import backend, losses, metrics, ops, optimizers
from cnn_core.graph import GradientTape, Tensor, Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, TraceError, compile_function, trace
from cnn_core.graph.program.chains import Chain, fuse_chains
from cnn_core.graph.program.passes import (
    PASSES,
    merge_equal,
    optimize,
    remove_dead,
    simplify,
)
from cnn_core.ops.matmul import dense

RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


class Net:
    """A network of two layers with an optimizer and metrics, without the layers."""

    def __init__(self, optimizer="adam", activation="relu") -> None:
        rng = np.random.default_rng(1)
        self.weights = [
            Variable(rng.normal(size=s).astype("float32") * 0.1)
            for s in ((20, 16), (16,), (16, 5), (5,))
        ]
        self.activation = activation
        self.optimizer = optimizers.get(optimizer)
        self.optimizer.build(self.weights)
        self.loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        self.mean = metrics.Mean()
        self.accuracy = metrics.SparseCategoricalAccuracy()
        self.variables = [
            *self.weights,
            *self.optimizer.variables,
            *self.mean.variables,
            *self.accuracy.variables,
        ]

    def step(self, x, y):
        w1, b1, w2, b2 = self.weights
        with GradientTape() as tape:
            logits = dense(dense(x, w1, b1, self.activation), w2, b2)
            loss = self.loss(y, logits)
        self.optimizer.apply(tape.gradient(loss, self.weights), self.weights)
        self.mean.update_state(loss)
        self.accuracy.update_state(y, logits)
        return {"loss": self.mean.result(), "accuracy": self.accuracy.result()}

    def values(self):
        return [np.array(v) for v in self.variables]


def assert_same_bits(a, b) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", None])
@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd",
        "adam",
        "adamw",
        "rmsprop",
        "adagrad",
        "adadelta",
        "adamax",
        "nadam",
        "lion",
        "ftrl",
    ],
)
def test_a_training_step_has_the_bits_of_eager_steps(optimizer, activation):
    eager, traced = Net(optimizer, activation), Net(optimizer, activation)
    x, y = normal(12, 20), RNG.integers(0, 5, 12).astype("int32")
    program = compile_function(
        traced.step, Spec((4, 20), "float32"), Spec((4,), "int32")
    )
    for i in range(3):
        rows = slice(4 * i, 4 * i + 4)
        expected = eager.step(
            ops.convert_to_tensor(x[rows]), ops.convert_to_tensor(y[rows])
        )
        logs = program(x[rows], y[rows])
        for name, value in expected.items():
            assert_same_bits(value, logs[name])
    for a, b in zip(eager.values(), traced.values(), strict=True):
        assert_same_bits(a, b)


def test_many_steps_in_one_call_take_rows_by_index_and_convert_them():
    eager, traced = Net(), Net()
    x = RNG.integers(0, 255, (40, 20)).astype("uint8")
    y = RNG.integers(0, 5, 40)
    order = RNG.permutation(40)
    program = Program(
        trace(traced.step, Spec((8, 20), "float32"), Spec((8,), "int64")),
        sources=["uint8", "int64"],
        indexed=True,
    )
    program.run([x, y], order, 0, 3)
    program.run([x, y], order, 3, 2)
    for i in range(5):
        rows = order[8 * i : 8 * i + 8]
        eager.step(
            ops.convert_to_tensor(x[rows].astype("float32")),
            ops.convert_to_tensor(y[rows]),
        )
    for a, b in zip(eager.values(), traced.values(), strict=True):
        assert_same_bits(a, b)


def test_outputs_of_all_steps_can_be_kept():
    w = Variable(normal(3, 2))
    program = Program(
        trace(lambda x: ops.matmul(x, w), Spec((4, 3), "float32")), stores=True
    )
    x, y = normal(12, 3), np.empty((12, 2), "float32")
    program.run([x], count=3, results=[y])
    assert_same_bits(y, ops.matmul(x, w))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(("m", "n"), [(6, 5), (72, 60)])  # small arrays, and large ones
def test_random_graphs_have_the_bits_of_eager(m, n, seed):
    """Chains, views, broadcasts, reductions and assignments in any mixture."""
    rng = np.random.default_rng(seed)
    shapes = [(m, n), (m, n), (n,), (m, 1), ()]
    unary = [ops.relu, ops.tanh, ops.exp, ops.negative, ops.square, ops.sigmoid]
    binary = [ops.add, ops.subtract, ops.multiply, ops.maximum]
    plan = rng.integers(0, 1 << 30, 40).tolist()

    def make():
        fresh = np.random.default_rng(seed)
        return [Variable(fresh.normal(size=s).astype("float32")) for s in shapes]

    def function(variables, x):
        pool = [x, *[v.value for v in variables]]
        for k in plan:
            a = pool[k % len(pool)]
            b = pool[(k >> 8) % len(pool)]
            kind = (k >> 16) % 9
            if kind < 3:
                pool.append(ops.clip(unary[k % len(unary)](a), -3.0, 3.0))
            elif kind < 6:
                pool.append(ops.clip(binary[k % 4](a, b), -3.0, 3.0))
            elif kind == 6 and a.shape:
                pool.append(ops.mean(a, axis=k % len(a.shape), keepdims=True))
            elif kind == 7:
                pool.append(ops.reshape(ops.reshape(a, (-1,)), a.shape))
            else:
                v = variables[k % len(variables)]
                fits = [p for p in pool[-6:] if p.shape == v.shape]
                if fits:
                    v.assign(fits[0] * 0.5 + v)
        return pool[-5:]

    x = rng.normal(size=(m, n)).astype("float32")
    for without in ((), [list(PASSES)[seed % len(PASSES)]]):
        eager, traced = make(), make()
        program = compile_function(
            lambda t, traced=traced: function(traced, t),
            Spec((m, n), "float32"),
            without=without,
        )
        for _ in range(2):
            expected = function(eager, ops.convert_to_tensor(x))
            results = program(x)
            for a, b in zip(expected, results, strict=True):
                assert_same_bits(a, b)
            for a, b in zip(eager, traced, strict=True):
                assert_same_bits(a, b)


# --- passes ---------------------------------------------------------------------------


def step_graph(net=None):
    net = net or Net()
    return net, trace(net.step, Spec((4, 20), "float32"), Spec((4,), "int32"))


def test_each_pass_shortens_a_step_and_no_pass_changes_it():
    _, graph = step_graph()
    shorter = remove_dead(graph)
    assert len(shorter.calls) <= len(graph.calls)
    merged = merge_equal(shorter)
    assert len(merged.calls) <= len(shorter.calls)
    fused = fuse_chains(remove_dead(simplify(merged)))
    chains = [c for c in fused.calls if isinstance(c, Chain)]
    assert len(fused.calls) < len(merged.calls) / 2
    assert any(len(c.members) >= 10 for c in chains)  # the optimizer's formula
    assert sum(len(getattr(c, "members", [c])) for c in fused.calls) == len(
        remove_dead(simplify(merged)).calls
    )


@pytest.mark.parametrize("without", [*[{name} for name in PASSES], set(PASSES)])
def test_without_a_pass_the_bits_are_the_same(without, monkeypatch):
    whole, part, environment = Net(), Net(), Net()
    x, y = normal(12, 20), RNG.integers(0, 5, 12).astype("int32")
    programs = [
        Program(step_graph(whole)[1]),
        Program(step_graph(part)[1], without=without),
    ]
    monkeypatch.setenv("CNN_CORE_WITHOUT_PASSES", ", ".join(without))
    programs.append(Program(step_graph(environment)[1]))
    for program in programs:
        program.run([x, y], count=3)
    for a, b, c in zip(
        whole.values(), part.values(), environment.values(), strict=True
    ):
        assert_same_bits(a, b)
        assert_same_bits(a, c)
    assert programs[1].explain() == programs[2].explain()
    assert len(programs[0].graph.calls) <= len(programs[1].graph.calls)
    chains = [c for c in programs[1].graph.calls if isinstance(c, Chain)]
    assert bool(chains) == ("fuse_chains" not in without)


def test_a_pass_that_does_not_exist_is_an_error(monkeypatch):
    with pytest.raises(ValueError, match=r"pass 'fuse_chain'.*'fuse_chains'"):
        optimize(step_graph()[1], {"fuse_chain"})
    monkeypatch.setenv("CNN_CORE_WITHOUT_PASSES", "simplfy")
    with pytest.raises(ValueError, match="'simplify'"):
        optimize(step_graph()[1])


def test_equal_work_is_done_once_and_products_with_one_are_dropped():
    def function(x):
        return ops.exp(x) * 1.0 + ops.exp(x)

    graph = trace(function, Spec((3,), "float32"))
    names = [c.name for c in remove_dead(simplify(merge_equal(graph))).calls]
    assert names == ["exp", "add"]


def test_memory_is_reused_and_variables_are_updated_in_place():
    v = Variable(normal(256))

    def function(x):
        for _ in range(30):
            x = ops.flip(ops.exp(ops.minimum(x, 0.0)))  # flip breaks the chains
        v.assign(v * 0.5 + x)
        return ops.sum(x)

    program = compile_function(function, Spec((256,), "float32"))
    assert program.plan.arena_bytes <= 4 * 256 * 4 + 256
    assert not program.plan.copies
    assert not program.lowering.fallbacks


# --- the outside ----------------------------------------------------------------------


def test_tensors_read_before_a_step_keep_their_values():
    v = Variable(normal(4))
    program = compile_function(lambda x: v.assign_add(x), Spec((4,), "float32"))
    before, view = v.value, v.numpy()
    expected = np.array(before)
    program(np.ones(4, "float32"))
    assert_same_bits(before, expected)
    assert_same_bits(view, expected)
    assert_same_bits(v, expected + 1)


def test_a_variable_assigned_outside_is_seen():
    v = Variable(np.zeros(2, "float32"))
    program = compile_function(lambda x: x + v, Spec((2,), "float32"))
    program(np.ones(2, "float32"))
    v.assign([5.0, 6.0])
    assert np.array_equal(program(np.ones(2, "float32")), [6, 7])


def test_old_values_can_move_between_variables():
    new, old = Variable(np.zeros(2, "float32")), Variable(np.ones(2, "float32"))

    def shift(x):
        old.assign(new.value)
        new.assign(x)
        return x

    program = compile_function(shift, Spec((2,), "float32"))
    program(np.full(2, 3, "float32"))
    program(np.full(2, 4, "float32"))
    assert np.array_equal(new, [4, 4])
    assert np.array_equal(old, [3, 3])

    def exchange(x):
        a, b = new.value, old.value
        new.assign(b)
        old.assign(a)
        return x

    compile_function(exchange, Spec((2,), "float32"))(np.zeros(2, "float32"))
    assert np.array_equal(new, [3, 3])
    assert np.array_equal(old, [4, 4])


def test_an_old_value_can_be_a_result():
    v = Variable(np.zeros(2, "float32"))

    def function(x):
        before = v.value
        v.assign(x)
        return before, ops.reshape(before, (2, 1))

    program = compile_function(function, Spec((2,), "float32"))
    program(np.ones(2, "float32"))
    before, column = program(np.full(2, 5, "float32"))
    assert np.array_equal(before, [1, 1])
    assert np.array_equal(column, [[1], [1]])
    assert np.array_equal(v, [5, 5])


def test_looking_at_values_is_an_error_that_names_the_line():
    def function(x):
        if ops.sum(x) > 0:  # this line
            return x
        return -x

    with pytest.raises(TraceError, match=r"test_program\.py.*line \d+, in function"):
        compile_function(function, Spec((2,), "float32"))
    for look in (float, np.asarray, lambda t: t.numpy(), lambda t: t.tolist()):
        with pytest.raises(TraceError):
            compile_function(
                lambda x, look=look: look(ops.sum(x)), Spec((2,), "float32")
            )


def test_operations_without_an_instruction_run_in_python():
    def function(x):
        return ops.concatenate([ops.tan(x), ops.sinh(x)]), ops.cast(x, "float64")

    program = compile_function(function, Spec((5,), "float32"))
    x = normal(5)
    for a, b in zip(program(x), function(ops.convert_to_tensor(x)), strict=True):
        assert_same_bits(a, b)
    assert set(program.lowering.fallbacks) == {"tan", "sinh"}


def test_an_error_in_an_operation_comes_out():
    def function(x, i):
        return ops.take(x, i)

    program = compile_function(function, Spec((3,), "float32"), Spec((2,), "int32"))
    with pytest.raises(IndexError):
        program(np.zeros(3, "float32"), np.array([0, 9], "int32"))
    assert np.array_equal(
        program(np.arange(3, dtype="float32"), np.array([2, 0], "int32")), [2, 0]
    )


def test_empty_and_single_arrays():
    program = compile_function(
        lambda x: (ops.relu(x) + 1, ops.sum(x)), Spec((0, 3), "float32")
    )
    y, total = program(np.empty((0, 3), "float32"))
    assert y.shape == (0, 3)
    assert float(total) == 0
    program = compile_function(lambda x: x * 2, Spec((), "float32"))
    assert float(program(np.float32(4))) == 8


def test_threads_share_a_program():
    w = Variable(normal(64, 64))
    program = compile_function(
        lambda x: ops.tanh(ops.matmul(x, w)), Spec((8, 64), "float32")
    )
    batches = [normal(8, 64) for _ in range(8)]
    expected = [np.asarray(program(x)) for x in batches]
    wrong = []

    def work(k):
        for _ in range(50):
            if np.asarray(program(batches[k])).tobytes() != expected[k].tobytes():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_random_numbers_of_a_step_are_those_of_eager():
    from cnn_core import random

    generators = [random.SeedGenerator(3), random.SeedGenerator(3)]

    def function(generator, x):
        return random.dropout(x, 0.4, seed=generator)

    x = np.ones((8, 8), "float32")
    program = compile_function(
        lambda t: function(generators[1], t), Spec((8, 8), "float32")
    )
    for _ in range(3):
        assert_same_bits(function(generators[0], ops.convert_to_tensor(x)), program(x))


def test_explain_lists_instructions_with_shapes():
    program = Program(step_graph()[1])
    text = program.explain()
    assert "instructions, arena" in text
    assert "dense(" in text
    assert "chain:" in text


def test_results_are_tensors_of_their_own():
    program = compile_function(lambda x: x + 1, Spec((2,), "float32"))
    first = program(np.zeros(2, "float32"))
    program(np.ones(2, "float32"))
    assert isinstance(first, Tensor)
    assert np.array_equal(first, [1, 1])
