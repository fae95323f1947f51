"""What the passes that reorder and join calls make of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import backend, ops
from cnn_core.graph import Variable

if backend.name() != "compiled":
    pytest.skip("programs need the compiled backend", allow_module_level=True)

from cnn_core.graph.program import Program, Spec, trace
from cnn_core.graph.program.chains import Chain, fuse_chains
from cnn_core.graph.program.passes import remove_dead
from cnn_core.graph.program.schedule import update_early

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
