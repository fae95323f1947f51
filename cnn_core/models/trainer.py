"""The training loop: `fit`, `evaluate`, `predict` and single batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import tree
from ..callbacks import CallbackList, History, pythonify_logs
from .arguments import (
    integer,
    one_batch,
    split_data,
    validation_schedule,
    verbosity,
)
from .compile_utils import CompileMetrics
from .compiled import Compiled, TrainingState, restore, snapshot
from .data import (
    as_arrays,
    check_count,
    class_weight_to_sample_weight,
    unpack_x_y_sample_weight,
)
from .programs import ArrayRunner, StepPrograms, run_batch
from .sources import Epochs, make_source

Logs = dict[str, Any]
# Runs a function, and undoes what it did to variables if it fails.
Whole = Callable[[Callable[[], Any]], Any]


class Trainer(Compiled):
    """Mixin of `Model`: the loops over data.

    Attributes:
        history: the `History` of the latest `fit`.
        stop_evaluating: set it to True in a callback to end `evaluate`.
        stop_predicting: set it to True in a callback to end `predict`.
    """

    history: Any = None
    stop_evaluating: bool = False
    stop_predicting: bool = False
    _programs: StepPrograms | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> History:
        """Train for a number of epochs.

        If it is interrupted, the weights are those after the last whole step.

        Args:
            x: inputs of shape (samples, ...): an array, or a list or dictionary of
                arrays for several inputs; or a `PyDataset`, a generator or an iterable
                of batches `(x, y)` or `(x, y, sample_weight)`.
            y: targets of shape (samples, ...), likewise; only with arrays.
            batch_size: samples in a batch, 32 by default; only with arrays.
            epochs: number of the last epoch.
            verbose: 0 for silence, 1 for a progress bar (in a log file one line for
                each epoch), 2 for one line for each epoch. "auto" is 1, or 2 after
                `utils.disable_interactive_logging()`.
            callbacks: list of callbacks.
            validation_split: share of the samples, from the end, to validate on.
            validation_data: `(x, y)` or `(x, y, sample_weight)` to validate on, or
                batches as for `x`.
            shuffle: whether each epoch takes the samples in another order; "batch"
                keeps the batches and mixes the samples within each.
            class_weight: weight of each class in the loss, by class index.
            sample_weight: weights of shape (samples,) or of the shape of the losses.
            initial_epoch: number of epochs already done.
            steps_per_epoch: batches in an epoch; all there are by default.
            validation_steps: batches to validate on; all there are by default.
            validation_batch_size: samples in a batch of validation.
            validation_freq: validate after every so many epochs, or after those listed
                (counted from 1).

        Returns:
            The history, whose `history` attribute has the logs of every epoch.

        Raises:
            ValueError: if data or arguments do not fit; nothing has changed then.
            TypeError: if something has the wrong type.
        """
        state = self._assert_compiled("fit")
        epochs, initial_epoch = (
            integer("epochs", epochs),
            integer("initial_epoch", initial_epoch),
        )
        verbose = verbosity(verbose, "fit")
        steps = check_count("steps_per_epoch", steps_per_epoch, "fit")
        validation_steps = check_count("validation_steps", validation_steps, "fit")
        validates = validation_schedule(validation_freq)
        if validation_data is None and validation_split:
            (x, y, sample_weight), validation_data = split_data(
                x, y, sample_weight, validation_split
            )
        source = make_source(
            x, y, sample_weight, batch_size, steps, shuffle, class_weight, "fit"
        )
        training = Epochs(source, steps)
        validation = None
        if validation_data is not None:
            validation = self._validation(
                validation_data, validation_batch_size or batch_size, validation_steps
            )
        self._prepare(source.peek(), "train_step")
        if validation is not None:
            self._prepare(validation.source.peek(), "test_step")
        callbacks = _callback_list(
            callbacks,
            self,
            verbose,
            epochs=epochs,
            steps=training.num_batches,
            history=True,
        )
        self.stop_training = False
        with callbacks.closing():
            callbacks.on_train_begin()
            logs: Logs = {}
            for epoch in range(initial_epoch, epochs):
                if training.exhausted:
                    training.warn()
                    break
                self.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                last = self._train_epoch(state, training, callbacks)
                if last is None:
                    break
                logs = self._epoch_logs(last, "train_step")
                if validation is not None and validates(epoch + 1):
                    results = self._evaluate(state, validation, callbacks)
                    logs.update({f"val_{k}": v for k, v in results.items()})
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            if self.optimizer is not None and epochs > 0 and self.optimizer.built:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            callbacks.on_train_end(logs)
        history: History = callbacks.history or self.history
        return history

    def _train_epoch(
        self, state: TrainingState, data: Epochs, callbacks: CallbackList
    ) -> Any:
        """Train on every batch of an epoch and return the logs of the last."""
        return self._run_epoch(
            state,
            "train_step",
            data,
            callbacks.on_train_batch_begin,
            callbacks.on_train_batch_end,
            callbacks.watches_batches("train"),
            lambda: self.stop_training,
        )

    def _run_epoch(
        self,
        state: TrainingState,
        step: str,
        data: Epochs,
        begin: Callable[[int], None],
        end: Callable[[int, Any], None],
        watched: bool,
        stopped: Callable[[], bool],
    ) -> Any:
        """Run a step on every batch of an epoch and return the logs of the last.

        Args:
            state: what belongs to `compile`.
            step: name of the method.
            data: the batches.
            begin: called before a step.
            end: called after a step, or after several if nobody watches every batch.
            watched: whether somebody does.
            stopped: tells whether to stop.
        """
        logs = None
        with self._looping(state) as variables:
            runner = self._array_runner(step, data)
            if runner is not None:
                before = begin if watched else None
                for number, logs in runner.run((), before):
                    end(number, logs)
                    if stopped():
                        break
                return logs
            for number, batch in data.epoch():
                begin(number)
                logs = self._run_step(step, batch, variables)
                end(number, logs)
                if stopped():
                    break
        return logs

    def _array_runner(
        self, step: str, data: Epochs, stores: bool = False
    ) -> ArrayRunner | None:
        """Return what runs the batches natively, or None."""
        if data.arrays is None or not self.built:
            return None
        runner = ArrayRunner(self._step_programs(), self, step, data.arrays, stores)
        return runner if runner.ready else None

    def _run_step(
        self, step: str, batch: Any, variables: Callable[[], list[Any]]
    ) -> Any:
        """Run a step on a batch of tensors, natively if it is of a known kind."""
        if self.built:
            program = self._step_programs().find(self, step, batch, now=False)
            if program is not None:
                return run_batch(program, batch)
        return _undoing(variables)(lambda: getattr(self, step)(batch))

    def _step_programs(self) -> StepPrograms:
        if self._programs is None:
            self._programs = StepPrograms(self)
        return self._programs

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics for data.

        Args:
            x: inputs, as for `fit`.
            y: targets; only with arrays.
            batch_size: samples in a batch, 32 by default; only with arrays.
            verbose: as for `fit`.
            sample_weight: weights; only with arrays.
            steps: batches to use; all there are by default.
            callbacks: list of callbacks.
            return_dict: whether to return a dictionary.

        Returns:
            The loss, a list of the loss and the metrics, or all of them by name.
        """
        state = self._assert_compiled("evaluate")
        verbose = verbosity(verbose, "evaluate")
        steps = check_count("steps", steps, "evaluate")
        source = make_source(x, y, sample_weight, batch_size, steps, who="evaluate")
        data = Epochs(source, steps)
        self._prepare(source.peek(), "test_step")
        callbacks = _callback_list(callbacks, self, verbose, steps=data.num_batches)
        with callbacks.closing(), self._looping(state):
            logs = self._evaluate(state, data, callbacks)
            return logs if return_dict else self._in_order(logs)

    def _evaluate(
        self, state: TrainingState, data: Epochs, callbacks: CallbackList
    ) -> Logs:
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        logs = self._run_epoch(
            state,
            "test_step",
            data,
            callbacks.on_test_batch_begin,
            callbacks.on_test_batch_end,
            callbacks.watches_batches("test"),
            lambda: self.stop_evaluating,
        )
        results = self._epoch_logs({} if logs is None else logs, "test_step")
        callbacks.on_test_end(results)
        return results

    def _validation(
        self, data: Any, batch_size: int | None, steps: int | None
    ) -> Epochs:
        if isinstance(data, (list, tuple)):
            x, y, sample_weight = unpack_x_y_sample_weight(data)
        else:
            x, y, sample_weight = data, None, None
        source = make_source(
            x, y, sample_weight, batch_size, steps, who="fit: validation_data"
        )
        return Epochs(source, steps)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the predictions for data.

        Args:
            x: inputs, as for `fit`.
            batch_size: samples in a batch, 32 by default; only with arrays.
            verbose: as for `fit`.
            steps: batches to use; all there are by default.
            callbacks: list of callbacks.

        Returns:
            NumPy arrays of shape (samples, ...), nested like the model's outputs.
        """
        verbose = verbosity(verbose, "predict")
        steps = check_count("steps", steps, "predict")
        self.stop_predicting = False
        if not verbose and callbacks is None and steps is None and self._programs:
            outputs = self._programs.predict_again(self, x, batch_size)
            if outputs is not None:
                return outputs
        data = Epochs(
            make_source(x, batch_size=batch_size, steps=steps, who="predict"), steps
        )
        callbacks = _callback_list(callbacks, self, verbose, steps=data.num_batches)
        with callbacks.closing():
            callbacks.on_predict_begin()
            outputs = self._predict(x, batch_size, data, callbacks)
            callbacks.on_predict_end()
        return outputs

    def _predict(
        self, x: Any, batch_size: int | None, data: Epochs, callbacks: CallbackList
    ) -> Any:
        if not callbacks.watches_batches("predict") and data.arrays is not None:
            outputs = self._step_programs().predict_again(self, x, batch_size)
            if outputs is not None:
                callbacks.on_predict_batch_end(0)
                return outputs
            runner = self._array_runner("predict_step", data, stores=True)
            if runner is not None:
                outputs, arrays = runner.outputs()
                for step, _ in runner.run(arrays):
                    callbacks.on_predict_batch_end(step)
                if runner.only is not None:
                    self._step_programs().keep(x, runner.only)
                return outputs
        collected: list[list[Any]] = []
        outputs = None
        for step, batch in data.epoch():
            callbacks.on_predict_batch_begin(step)
            outputs = self._run_step("predict_step", batch, self._all_variables)
            leaves = tree.flatten(outputs)
            collected = collected or [[] for _ in leaves]
            for part, leaf in zip(collected, leaves, strict=True):
                part.append(np.asarray(leaf))
            callbacks.on_predict_batch_end(step, {"outputs": outputs})
            if self.stop_predicting:
                break
        if outputs is None:
            raise ValueError("predict: the data gave no batch")
        return tree.pack_sequence_as(
            outputs, [np.concatenate(parts) for parts in collected]
        )

    # --- single batches ---

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train on one batch.

        Args:
            x: inputs, an array or a list or dictionary of arrays.
            y: targets, likewise.
            sample_weight: weights.
            class_weight: weight of each class in the loss, by class index.
            return_dict: whether to return a dictionary.

        Returns:
            The loss of this batch, a list of it and the metrics, or all by name.
        """
        state = self._assert_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "train_on_batch: give class_weight or sample_weight, not both"
                )
            y = as_arrays(y, "y", "train_on_batch")
            sample_weight = class_weight_to_sample_weight(
                y, class_weight, "train_on_batch"
            )
        batch = one_batch(x, y, sample_weight, "train_on_batch")
        return self._on_batch(state, "train_step", batch, return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics of one batch; see `train_on_batch`."""
        state = self._assert_compiled("test_on_batch")
        batch = one_batch(x, y, sample_weight, "test_on_batch")
        return self._on_batch(state, "test_step", batch, return_dict)

    def _on_batch(
        self, state: TrainingState, step: str, batch: Any, return_dict: bool
    ) -> Any:
        self._prepare(batch, step)
        with self._looping(state) as variables:
            self.reset_metrics()
            logs = self._run_step(step, batch, variables)
            logs = pythonify_logs(_checked_logs(logs, step))
            return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the predictions for one batch as NumPy arrays."""
        programs = self._step_programs()
        outputs = programs.predict_again(self, x)
        if outputs is not None:
            return outputs
        batch = one_batch(x, None, None, "predict_on_batch")
        program = None
        if self.built:
            program = programs.find(self, "predict_step", batch, now=False)
        if program is None:
            outputs = _undoing(self._all_variables)(lambda: self.predict_step(batch))
        else:
            programs.keep(x, program)
            outputs = run_batch(program, batch)
        return tree.map_structure(np.array, outputs)

    # --- helpers ---

    @contextmanager
    def _looping(self, state: TrainingState) -> Iterator[Callable[[], list[Any]]]:
        """Look the variables and metrics up once, not in every step.

        The function it gives returns every variable that a step may change.
        """
        if state.variables is not None:  # inside another loop: it has looked
            yield state.variables
            return
        known = len(state.all_metrics())
        if type(self).metrics is Compiled.metrics:
            state.own_metrics = self.metrics[known:]
        state.trainable = self.trainable_variables
        found: list[Any] = []

        def variables() -> list[Any]:
            # The first step may make variables of a model that was not built.
            nonlocal found
            if not found or not built:
                found = self._all_variables()
            return found

        built = self.built and (self.optimizer is None or self.optimizer.built)
        if not built:
            state.trainable = None
        state.variables = variables
        try:
            yield variables
        finally:
            state.own_metrics = state.trainable = state.variables = None

    def _epoch_logs(self, logs: Any, step: str) -> Logs:
        """Return the results of the metrics, or of a step that logs other things.

        Args:
            logs: what the last step returned.
            step: name of its method.
        """
        logs = _checked_logs(logs, "train_step and test_step")
        if logs and all(
            getattr(type(self), name) is getattr(Compiled, name)
            for name in (step, "compute_metrics", "get_metrics_result")
        ):
            return pythonify_logs(logs)  # they are the results of the metrics
        results = self.get_metrics_result()
        return pythonify_logs(
            results if not logs or set(logs) == set(results) else logs
        )

    def _in_order(self, logs: Logs) -> Any:
        """Return logs as a list in the order of `metrics_names`; one alone as it is."""
        names: list[str] = []
        for metric in self.metrics:
            if isinstance(metric, CompileMetrics):
                names.extend(m.name for m in metric.metrics)
            else:
                names.append(metric.name)
        results = [logs[name] for name in names if name in logs]
        results += [logs[name] for name in sorted(logs) if name not in names]
        return results[0] if len(results) == 1 else results


def _undoing(variables: Callable[[], list[Any]]) -> Whole:
    """Return what runs a function wholly or not at all: also Ctrl-C is undone.

    Args:
        variables: gives the variables that the function may change.
    """

    def whole(function: Callable[[], Any]) -> Any:
        before = snapshot(variables())
        try:
            return function()
        except BaseException:
            restore(before)
            raise

    return whole


def _callback_list(
    callbacks: Any,
    model: Any,
    verbose: int,
    steps: int | None,
    epochs: int = 1,
    history: bool = False,
) -> CallbackList:
    if isinstance(callbacks, CallbackList):
        return callbacks
    return CallbackList(
        callbacks,
        add_history=history,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
    )


def _checked_logs(logs: Any, step: str) -> Logs:
    if not isinstance(logs, dict):
        raise TypeError(
            f"{step} must return a dictionary of logs, got {type(logs).__name__}"
        )
    return logs
