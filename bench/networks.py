"""Dense networks and their training, the same in each library.

An epoch is a function that trains for `Task.steps` steps on random data: through `fit`
with this library and with Keras, in hand-written loops with torch and JAX.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import harness

Epoch = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """A network, its optimizer, and how many steps one measurement takes.

    Args:
        name: what tables show.
        sizes: number of inputs, then of units of each layer.
        batch: samples per step.
        optimizer: "adam" or "rmsprop".
        steps: steps of an epoch.
        branches: how many stacks of the hidden layers stand side by side on the inputs;
            the last layer sees all their ends.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    optimizer: str
    steps: int
    branches: int = 1

    def data(self) -> tuple[Any, Any]:
        """Return inputs and labels, the same arrays each time."""
        return _data(self.batch * self.steps, self.sizes[0], self.sizes[-1])


@functools.lru_cache(maxsize=4)
def _data(rows: int, features: int, classes: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features), dtype=np.float32)
    return x, rng.integers(0, classes, rows)


def task_from(fields: dict[str, Any]) -> Task:
    """Return the task whose fields came through JSON."""
    return Task(**fields | {"sizes": tuple(fields["sizes"])})


def keras_model(task: Task, keras: Any) -> Any:
    """Return an untrained model, made with this library or with real Keras."""
    inputs = ends = keras.Input((task.sizes[0],))
    stacks = []
    for _ in range(task.branches):
        ends = inputs
        for units in task.sizes[1:-1]:
            ends = keras.layers.Dense(units, activation="relu")(ends)
        stacks.append(ends)
    if len(stacks) > 1:
        ends = keras.layers.Concatenate()(stacks)
    model = keras.Model(inputs, keras.layers.Dense(task.sizes[-1])(ends))
    model.compile(
        task.optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def keras_epoch(task: Task, keras: Any) -> Epoch:
    """Return an epoch of `fit`, with this library or with real Keras."""
    x, y = task.data()
    model = keras_model(task, keras)
    return lambda: model.fit(x, y, batch_size=task.batch, verbose=0)


def ours(task: Task) -> Epoch:
    """Return an epoch of our `fit`."""
    import cnn_core

    return keras_epoch(task, cnn_core)


def real_keras(task: Task) -> Epoch:
    """Return an epoch of Keras's `fit`."""
    import keras

    return keras_epoch(task, keras)


def torch_model(task: Task) -> Any:
    """Return an untrained torch module."""
    import torch

    stacks = []
    for _ in range(task.branches):
        modules: list[Any] = []
        for fan_in, fan_out in zip(task.sizes[:-2], task.sizes[1:-1], strict=True):
            modules += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
        stacks.append(torch.nn.Sequential(*modules))
    head = torch.nn.Linear(task.branches * task.sizes[-2], task.sizes[-1])
    if task.branches == 1:
        return torch.nn.Sequential(*stacks[0], head)

    class Branched(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.stacks, self.head = torch.nn.ModuleList(stacks), head

        def forward(self, x: Any) -> Any:
            return self.head(torch.cat([stack(x) for stack in self.stacks], 1))

    return Branched()


def torch_eager(task: Task, compiled: bool = False) -> Epoch:
    """Return an epoch of a plain torch loop."""
    import torch

    x, y = (torch.from_numpy(a) for a in task.data())
    model = torch_model(task)
    kinds = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    optimizer = kinds[task.optimizer](model.parameters(), lr=1e-3)
    loss_of = torch.nn.functional.cross_entropy

    def step(xb: Any, yb: Any) -> None:
        optimizer.zero_grad()
        loss_of(model(xb), yb).backward()
        optimizer.step()

    run = torch.compile(step) if compiled else step

    def epoch() -> None:
        order = torch.randperm(len(x))
        for i in range(0, len(x), task.batch):
            rows = order[i : i + task.batch]
            run(x[rows], y[rows])

    return epoch


def torch_compiled(task: Task) -> Epoch:
    """Return an epoch of a torch loop whose step went through torch.compile."""
    return torch_eager(task, compiled=True)


def jax_jit(task: Task) -> Epoch:
    """Return an epoch of a jitted JAX step, the optimizer written by hand."""
    import jax
    import jax.numpy as jnp

    x, y = task.data()
    rng = np.random.default_rng(1)
    weights = [
        (
            jnp.asarray(rng.normal(size=(a, b), scale=a**-0.5), jnp.float32),
            jnp.zeros(b),
        )
        for a, b in zip(task.sizes[:-1], task.sizes[1:], strict=True)
    ]

    def loss_of(weights: Any, xb: Any, yb: Any) -> Any:
        for w, b in weights[:-1]:
            xb = jax.nn.relu(xb @ w + b)
        logits = jax.nn.log_softmax(xb @ weights[-1][0] + weights[-1][1])
        return -jnp.mean(jnp.take_along_axis(logits, yb[:, None], 1))

    def adam(w: Any, g: Any, m: Any, s: Any, t: Any) -> Any:
        m = m + 0.1 * (g - m)
        s = s + 0.001 * (g * g - s)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return w - rate * m / (jnp.sqrt(s) + 1e-7), m, s

    def rmsprop(w: Any, g: Any, m: Any, s: Any, t: Any) -> Any:
        s = 0.9 * s + 0.1 * g * g
        return w - 1e-3 * g / jnp.sqrt(s + 1e-7), m, s

    update = adam if task.optimizer == "adam" else rmsprop

    @jax.jit
    def step(state: Any, xb: Any, yb: Any) -> Any:
        weights, first, second, t = state
        gradients = jax.grad(loss_of)(weights, xb, yb)
        leaves = [jax.tree.leaves(part) for part in (weights, gradients, first, second)]
        new = [update(*parts, t) for parts in zip(*leaves, strict=True)]
        nest = jax.tree.structure(weights)
        return (*(nest.unflatten(part) for part in zip(*new, strict=True)), t + 1)

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [(weights, zeros, zeros, jnp.float32(1))]

    def epoch() -> None:
        order = np.random.permutation(len(x))
        for i in range(0, len(x), task.batch):
            rows = order[i : i + task.batch]
            state[0] = step(state[0], x[rows], y[rows])
        jax.block_until_ready(state[0])

    return epoch


@dataclass(frozen=True)
class Library:
    """A contestant: modules it needs, its environment, and how it trains."""

    needs: tuple[str, ...]
    environment: dict[str, str]
    epoch: Callable[[Task], Epoch] | None


LIBRARIES = {
    "cnn_core": Library(("cnn_core._native",), {}, ours),
    "torch": Library(("torch",), {}, torch_eager),
    "torch.compile": Library(("torch",), {}, torch_compiled),
    "jax.jit": Library(("jax",), {}, jax_jit),
    "keras-jax": Library(("keras", "jax"), {"KERAS_BACKEND": "jax"}, real_keras),
    "keras-torch": Library(("keras", "torch"), {"KERAS_BACKEND": "torch"}, real_keras),
    "onnxruntime-1": Library(("onnxruntime", "onnx"), {}, None),
    "onnxruntime-2": Library(("onnxruntime", "onnx"), {}, None),
}


def installed(names: Iterable[str]) -> list[str]:
    """Return those of the libraries that are there; print a line for each other one."""
    return harness.installed({name: LIBRARIES[name].needs for name in names})
