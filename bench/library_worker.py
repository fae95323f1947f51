"""Times whole models with one library, as a process of its own.

It reads a request per line, `[name of a measurement, arguments ...]`, and answers with
a dictionary, or with null where the library has no such thing. `harness.Contestant`
talks to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import json
import os
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .harness import keep_to_cpus
from .networks import LIBRARIES, Epoch, Task, keras_model, task_from, torch_model
from .process import peak_bytes, reset_peak, resident_bytes
from .worker import seconds_of

Call = Callable[[], Any]
Answer = dict[str, Any] | None

_SAMPLE = 4e-3  # seconds that one measurement of a short call takes at least
_PAUSE = 3e-3  # seconds between calls that come one at a time
_APART = 20  # such calls in a measurement
_SETTLED = 20  # rounds after which the memory must not grow any more


def _onnx_bytes(sizes: tuple[int, ...]) -> bytes:
    """Return a dense network as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, weights, at = [], [], "x0"
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        w = rng.standard_normal((fan_in, fan_out), dtype=np.float32) * fan_in**-0.5
        weights += [
            numpy_helper.from_array(w.astype(np.float32), f"w{i}"),
            numpy_helper.from_array(np.zeros(fan_out, np.float32), f"b{i}"),
        ]
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [f"y{i}"]))
        at = f"y{i}"
        if i < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [at], [f"x{i + 1}"]))
            at = f"x{i + 1}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("x0", sizes[0]), (at, sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content: bytes = model.SerializeToString()
    return content


class Worker:
    """The measurements of one library."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.threads = threads
        self.library = LIBRARIES[name]
        self._epochs: dict[str, Epoch] = {}
        self._calls: dict[Any, tuple[Call, int]] = {}
        self.facts = self._start()

    def _start(self) -> dict[str, str]:
        keep_to_cpus(self.threads)
        self.keras: Any = None
        if self.name == "cnn_core":
            import cnn_core
            from cnn_core.backend.compiled import native

            cnn_core.config.set_num_threads(self.threads)
            self.keras = cnn_core
            return {"isa": native.isa()}
        if "torch" in self.library.needs:
            import torch

            torch.set_num_threads(self.threads)
        if "keras" in self.library.needs:
            import keras

            self.keras = keras
        module = __import__(self.library.needs[0])
        return {self.library.needs[0]: str(module.__version__)}

    # --- training ---

    def epoch(self, task: dict[str, Any]) -> Answer:
        """Return the seconds of an epoch, the second of two in a row.

        The first one brings data and code back into the caches, which other processes
        had in the meantime.
        """
        if self.library.epoch is None:
            return None
        key = repr(task)
        if key not in self._epochs:
            self._epochs = {key: self.library.epoch(task_from(task))}
            self._epochs[key]()
        self._epochs[key]()
        return {"seconds": seconds_of(self._epochs[key], 1)}

    def first(self, task: dict[str, Any]) -> Answer:
        """Return the seconds of the first epoch of a new model."""
        if self.library.epoch is None:
            return None
        return {"seconds": seconds_of(self.library.epoch(task_from(task)), 1)}

    def instructions(self, task: dict[str, Any]) -> Answer:
        """Return the number of instructions of a training step; only we have them."""
        if self.name != "cnn_core":
            return None
        made = task_from(task)
        x, y = made.data()
        text = keras_model(made, self.keras).explain(x[: made.batch], y[: made.batch])
        words = text.partition(" instructions")[0].split()
        return {"instructions": int(words[-1])}

    def memory(self, task: dict[str, Any]) -> Answer:
        """Return the growth of the peak memory in the steps of a task.

        It counts from the state with the data there, before the model is built. A tiny
        network with the same optimizer was trained before, so that what the library
        loads and allocates once is not counted.
        """
        assert self.library.epoch is not None
        made = task_from(task)
        tiny = dataclasses.replace(made, sizes=(8, 8, 4), batch=4)
        for _ in range(2):
            self.library.epoch(tiny)()
        made.data()
        gc.collect()
        reset_peak()
        before = resident_bytes()
        epoch = self.library.epoch(made)
        for _ in range(2):
            epoch()
        after = peak_bytes()
        return None if before is None or after is None else {"growth": after - before}

    def plan(self, task: dict[str, Any]) -> Answer:
        """Return the bytes of a training step by kind; only we know them before."""
        if self.name != "cnn_core":
            return None
        made = task_from(task)
        x, y = made.data()
        model = keras_model(made, self.keras)
        text = model.explain(x[: made.batch], y[: made.batch])
        parts = text.splitlines()[1].removeprefix("bytes: ").partition(" = ")[0]
        pairs = (part.split() for part in parts.split(" + "))
        return {kind: int(number.replace(",", "")) for number, kind in pairs}

    # --- one sample ---

    def call(self, sizes: list[int]) -> Answer:
        """Return the seconds of `model(x)` for one sample, NumPy to NumPy."""
        return self._short(("call", *sizes), lambda: self._caller(tuple(sizes)))

    def apart(self, sizes: list[int]) -> Answer:
        """Return the median seconds of `model(x)` with pauses, as requests come in."""
        if self.call(sizes) is None:
            return None
        call, _ = self._calls["call", *sizes]
        seconds = []
        for _ in range(_APART):
            time.sleep(_PAUSE)
            seconds.append(seconds_of(call, 1))
        return {"seconds": statistics.median(seconds)}

    def predict(self, sizes: list[int]) -> Answer:
        """Return the seconds of `predict(x)` for one sample."""
        return self._short(("predict", *sizes), lambda: self._predictor(tuple(sizes)))

    def _short(self, key: Any, make: Callable[[], Call | None]) -> Answer:
        if key not in self._calls:
            call = make()
            if call is None:
                return None
            for _ in range(5):
                call()
            self._calls[key] = call, max(1, int(_SAMPLE / seconds_of(call, 3)))
        call, repeats = self._calls[key]
        seconds_of(call, repeats // 4 + 1)
        return {"seconds": seconds_of(call, repeats)}

    def _caller(self, sizes: tuple[int, ...]) -> Call | None:
        x = np.random.default_rng(0).standard_normal((1, sizes[0]), dtype=np.float32)
        if self.keras is not None:
            model = keras_model(Task("", sizes, 1, "adam", 1), self.keras)
            return lambda: np.asarray(_detached(model(x)))
        if self.name == "torch":
            import torch

            module = torch_model(Task("", sizes, 1, "adam", 1)).eval()

            def call() -> Any:
                with torch.no_grad():
                    return module(torch.from_numpy(x)).numpy()

            return call
        if self.name.startswith("onnxruntime"):
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = int(self.name[-1])
            options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(
                _onnx_bytes(sizes), options, providers=["CPUExecutionProvider"]
            )
            return lambda: session.run(None, {"x0": x})[0]
        return None

    def _predictor(self, sizes: tuple[int, ...]) -> Call | None:
        if self.keras is None:
            return None
        x = np.random.default_rng(0).standard_normal((1, sizes[0]), dtype=np.float32)
        model = keras_model(Task("", sizes, 1, "adam", 1), self.keras)
        return lambda: model.predict(x, verbose=0)

    # --- many shapes, many models, many threads ---

    def lengths(self, method: str, count: int) -> Answer:
        """Run batches of 1 to `count` steps; return seconds of one, growth, warnings.

        Args:
            method: "predict" or "train_on_batch".
            count: how many lengths.
        """
        run = self._by_length(method)
        if run is None:
            return None
        rng = np.random.default_rng(0)
        x = rng.standard_normal((1, count + 1, 8), dtype=np.float32)
        run(x[:, -1:])
        before = resident_bytes()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.perf_counter()
            for length in range(1, count + 1):
                run(x[:, :length])
            seconds = (time.perf_counter() - start) / count
        return {
            "seconds": seconds,
            "growth": _growth(before),
            "warnings": len(caught),
        }

    def _by_length(self, method: str) -> Callable[[Any], Any] | None:
        if self.keras is not None:
            layers = self.keras.layers
            inputs = self.keras.Input((None, 8))
            hidden = layers.Dense(16, activation="relu")(inputs)
            model = self.keras.Model(inputs, layers.Dense(4)(hidden))
            model.compile("adam", "mse")
            if method == "predict":
                return lambda x: model.predict(x, verbose=0)
            return lambda x: model.train_on_batch(x, x[..., :4])
        if self.name == "torch":
            return self._torch_by_length(method)
        return None

    def _torch_by_length(self, method: str) -> Callable[[Any], Any]:
        import torch

        module = torch_model(Task("", (8, 16, 4), 1, "adam", 1))
        optimizer = torch.optim.Adam(module.parameters())

        def predict(x: Any) -> Any:
            with torch.no_grad():
                return module(torch.from_numpy(x)).numpy()

        def train(x: Any) -> None:
            optimizer.zero_grad()
            target = torch.from_numpy(x[..., :4])
            loss = torch.nn.functional.mse_loss(module(torch.from_numpy(x)), target)
            loss.backward()
            optimizer.step()
            loss.item()

        return predict if method == "predict" else train

    def rounds(self, count: int) -> Answer:
        """Build, train and use a model `count` times; return seconds and growth."""
        if self.library.epoch is None or self.name == "torch.compile":
            return None
        task = Task("", (8, 16, 4), 16, "adam", 4)
        before = resident_bytes()
        start = time.perf_counter()
        for i in range(count):
            if i == min(_SETTLED, count - 1):
                before = resident_bytes()
            self._round(task)
        seconds = (time.perf_counter() - start) / count
        return {"seconds": seconds, "growth": _growth(before)}

    def _round(self, task: Task) -> None:
        x, y = task.data()
        if self.keras is not None:
            model = keras_model(task, self.keras)
            model.fit(x, y, batch_size=task.batch, verbose=0)
            model.predict(x, verbose=0)
            return
        assert self.library.epoch is not None
        self.library.epoch(task)()
        call = self._caller(task.sizes)
        if call is not None:
            call()

    def threads_right(self) -> Answer:
        """Let two threads predict with one model; return whether both were right."""
        if self.keras is None:
            return None
        task = Task("", (32, 64, 10), 16, "adam", 8)
        model = keras_model(task, self.keras)
        x, _ = task.data()
        halves = np.split(x, 2)
        wanted = [model.predict(half, verbose=0) for half in halves]
        wrong: list[int] = []
        right: list[int] = []

        def work(k: int) -> None:
            for _ in range(50):
                got = model.predict(halves[k], verbose=0)
                (right if np.array_equal(got, wanted[k]) else wrong).append(k)

        workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return {"right": not wrong and len(right) == 100}


def _detached(y: Any) -> Any:
    return y.detach() if hasattr(y, "detach") else y


def _growth(before: int | None) -> int | None:
    now = resident_bytes()
    return None if before is None or now is None else now - before


@contextlib.contextmanager
def _only_answers_on_stdout() -> Iterator[Any]:
    """Give the pipe to the parent; what libraries print goes to the errors."""
    with os.fdopen(os.dup(1), "w") as pipe:
        os.dup2(2, 1)
        yield pipe


def main() -> None:
    """Answer until the input ends."""
    with _only_answers_on_stdout() as pipe:
        worker = Worker(sys.argv[1], int(sys.argv[2]))
        print(json.dumps(worker.facts), file=pipe, flush=True)
        for line in sys.stdin:
            measurement, *arguments = json.loads(line)
            answer = getattr(worker, measurement)(*arguments)
            print(json.dumps(answer), file=pipe, flush=True)


if __name__ == "__main__":
    main()
