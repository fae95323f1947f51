"""Training steps of whole models, side by side with other libraries.

`python -m bench.models` trains dense networks on random data through `fit`, and the
same with torch (eager, and compiled with --compile), JAX (a jitted step) and Keras (on
the backend that KERAS_BACKEND names), where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .harness import format_header, header

Epoch = Callable[[], Any]


@dataclass
class Task:
    """A network, its optimizer, and how many steps one measurement takes."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    optimizer: str  # "adam" or "rmsprop"
    steps: int

    def data(self) -> tuple[Any, Any]:
        """Return inputs and labels."""
        rng = np.random.default_rng(0)
        rows = self.batch * self.steps
        x = rng.standard_normal((rows, self.sizes[0]), dtype=np.float32)
        return x, rng.integers(0, self.sizes[-1], rows)


TASKS = (
    Task("MLP 64-32-10", (64, 32, 10), 32, "adam", 400),
    Task("MLP 784-512-10", (784, 512, 10), 128, "rmsprop", 60),
    Task("MLP 1024-2048-2048-10", (1024, 2048, 2048, 10), 256, "adam", 4),
)


def ours(task: Task, keras: Any = None) -> Epoch:
    """Return an epoch of `fit`, with this library or with real Keras."""
    if keras is None:
        import cnn_core as keras
    x, y = task.data()
    model = keras.Sequential([keras.Input((task.sizes[0],))])
    for units in task.sizes[1:-1]:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(task.sizes[-1]))
    model.compile(
        task.optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return lambda: model.fit(x, y, batch_size=task.batch, verbose=0)


def real_keras(task: Task) -> Epoch:
    """Return an epoch of Keras's `fit`."""
    import keras

    return ours(task, keras)


def torch_eager(task: Task, compiled: bool = False) -> Epoch:
    """Return an epoch of a plain torch loop."""
    import torch

    x, y = (torch.from_numpy(a) for a in task.data())
    modules: list[Any] = []
    for fan_in, fan_out in zip(task.sizes[:-1], task.sizes[1:], strict=True):
        modules += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model: Any = torch.nn.Sequential(*modules[:-1])
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


def contestants(task: Task, compiled: bool) -> dict[str, Epoch]:
    """Return an epoch for each library that is installed."""
    epochs = {"cnn_core": ours(task)}
    if importlib.util.find_spec("torch"):
        epochs["torch"] = torch_eager(task)
        if compiled:
            epochs["torch.compile"] = torch_compiled(task)
    if importlib.util.find_spec("jax"):
        epochs["jax.jit"] = jax_jit(task)
    if importlib.util.find_spec("keras"):
        import keras

        epochs[f"keras-{keras.backend.backend()}"] = real_keras(task)
    return epochs


def measure(epochs: dict[str, Epoch], rounds: int) -> dict[str, float]:
    """Return the median seconds of an epoch of each contestant, run in turn."""
    for epoch in epochs.values():
        epoch()
        epoch()
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            time.sleep(0.02)  # waiting threads of the one before stop spinning
            start = time.perf_counter()
            epoch()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def write_picture(path: str, results: list[dict[str, Any]]) -> None:
    """Write a bar chart of samples per second, relative to ours."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(4 * len(results), 3.2))
    for axis, result in zip(np.atleast_1d(axes), results, strict=True):
        rates = result["samples_per_second"]
        axis.barh(list(rates)[::-1], list(rates.values())[::-1])
        axis.set_title(f"{result['task']}, batch {result['batch']}", fontsize=9)
        axis.set_xlabel("samples per second")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> int:
    """Run the tasks that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.models", description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="tasks named so")
    parser.add_argument("--threads", type=int, default=None, help="threads")
    parser.add_argument("--rounds", type=int, default=15, help="measurements (15)")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--png", metavar="FILE", help="write a chart to FILE")
    options = parser.parse_args(argv)
    threads = options.threads or len(os.sched_getaffinity(0))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # JAX obeys this
    import cnn_core
    from cnn_core.backend.compiled import native

    cnn_core.config.set_num_threads(threads)
    torch = None
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
    facts = header(threads) | {"isa": native.isa()}
    if torch is not None:
        facts["torch"] = torch.__version__
    print(format_header(facts))
    results = []
    for task in TASKS:
        if options.only not in task.name:
            continue
        seconds = measure(contestants(task, options.compile), options.rounds)
        rates = {n: task.batch * task.steps / s for n, s in seconds.items()}
        results.append(
            {"task": task.name, "batch": task.batch, "samples_per_second": rates}
        )
        print(f"\n{task.name}, batch {task.batch}, {task.optimizer}")
        for name, rate in rates.items():
            ratio = rates["cnn_core"] / rate
            print(
                f"  {name:14} {rate / task.batch:10.0f} steps/s "
                f"{rate:12.0f} samples/s   ours / theirs {ratio:5.2f}"
            )
    if options.json:
        Path(options.json).write_text(
            json.dumps({**facts, "results": results}, indent=1)
        )
    if options.png:
        write_picture(options.png, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
