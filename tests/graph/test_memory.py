"""No reference cycles, no leaks, no recursion."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, Tensor, Variable, custom_gradient


@pytest.fixture
def no_collector():
    """The garbage collector off, and everything collected before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def training_step(kernel, bias, x, labels):
    with GradientTape() as tape:
        logits = ops.matmul(ops.relu(x), kernel) + bias
        loss = ops.mean(ops.sparse_categorical_crossentropy(labels, logits, True))
        loss = loss + ops.sum(ops.square(ops.softmax(logits, axis=0)))
    gradients = tape.gradient(loss, [kernel, bias])
    for v, g in zip((kernel, bias), gradients, strict=True):
        v.assign_sub(0.1 * g)
    return loss


def test_a_training_step_leaves_no_garbage(no_collector):
    rng = np.random.default_rng(0)
    kernel = Variable(rng.normal(size=(4, 3)).astype("float32"))
    bias = Variable(np.zeros(3, "float32"))
    x = ops.convert_to_tensor(rng.normal(size=(5, 4)).astype("float32"))
    labels = ops.convert_to_tensor(np.int32([0, 1, 2, 0, 1]))
    losses = [float(training_step(kernel, bias, x, labels)) for _ in range(5)]
    assert losses[-1] < losses[0]
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        ours = [o for o in gc.garbage if type(o).__module__.startswith("cnn_core")]
        assert not ours
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_second_order_leaves_no_garbage(no_collector):
    v = Variable([1.0, 2.0])

    @custom_gradient
    def cube(x):
        return x * x * x, lambda upstream: upstream * 3.0 * x * x

    with GradientTape() as outer:
        with GradientTape() as inner:
            y = ops.sum(cube(ops.gelu(v)))
        first = inner.gradient(y, v)
    second = outer.gradient(first, v)
    references = [weakref.ref(t) for t in (y, first, second, outer, inner)]
    del y, first, second, outer, inner
    assert [r() for r in references] == [None] * 5


def test_the_graph_goes_with_its_last_tensor(no_collector):
    v = Variable([1.0])
    with GradientTape() as tape:
        middle = v * 2.0
        y = middle * 3.0
    node = weakref.ref(middle._node)
    del middle
    assert node() is not None
    del y
    assert node() is None
    del tape


@pytest.mark.parametrize("length", [5_000, 50_000])
def test_long_chains(length):
    v = Variable(np.ones(1, "float64"))
    with GradientTape() as tape:
        y = v.value
        for _ in range(length):
            y = y + v
    gradient = tape.gradient(y, v)
    np.testing.assert_allclose(gradient, [length + 1.0])
    del y, tape


def test_long_chain_of_second_order():
    v = Variable(np.float64([1.0]))
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = v.value
            for _ in range(2_000):
                y = y * 1.0
            y = y * y
        first = inner.gradient(y, v)
    np.testing.assert_allclose(outer.gradient(first, v), [2.0])


def test_cotangents_are_freed_on_the_way_back():
    references, alive = [], []

    @custom_gradient
    def step(x):
        def grad(upstream):
            references.append(weakref.ref(upstream))
            alive.append(sum(r() is not None for r in references))
            return upstream * 1.0

        return x * 1.0, grad

    x = Tensor(np.ones(3))
    with GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(6):
            y = step(y)
    tape.gradient(y, x)
    assert len(alive) == 6
    assert max(alive) <= 2
