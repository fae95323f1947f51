"""What `compile` gives a model: loss, metrics, and what happens in one step."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from .. import metrics as metrics_module
from .. import ops, optimizers, shapes, tree
from ..graph import GradientTape, KerasTensor, Variable
from ..serialization import deserialize_keras_object, serialize_keras_object
from .compile_utils import CompileLoss, CompileMetrics
from .data import unpack_x_y_sample_weight


class TrainingState:
    """What belongs to one call of `compile`.

    Attributes:
        arguments: the arguments of `compile`, by name.
        loss: the losses, or None.
        metrics: the metrics, or None.
        loss_tracker: running mean of the total loss.
        checked: signatures of data that is known to fit.
        own_metrics: all metrics of the model while a loop runs, else None.
        trainable: the variables to train while a loop runs, else None.
        variables: gives all variables that a step may change, while a loop runs.
    """

    def __init__(self, arguments: dict[str, Any], output_names: Any) -> None:
        self.arguments = arguments
        self.loss: CompileLoss | None = None
        self.metrics: CompileMetrics | None = None
        if arguments["loss"] is not None:
            self.loss = CompileLoss(
                arguments["loss"], arguments["loss_weights"], output_names
            )
        elif arguments["loss_weights"] is not None:
            raise ValueError("compile: loss_weights were given, but no loss")
        plain, weighted = arguments["metrics"], arguments["weighted_metrics"]
        if plain is not None or weighted is not None:
            self.metrics = CompileMetrics(plain, weighted, output_names)
        self.loss_tracker = metrics_module.Mean(name="loss")
        self.checked: set[Any] = set()
        self.own_metrics: list[Any] | None = None
        self.trainable: list[Variable] | None = None
        self.variables: Callable[[], list[Variable]] | None = None

    def all_metrics(self) -> list[Any]:
        """Return the loss tracker, the metrics and the trackers of single losses."""
        found: list[Any] = [self.loss_tracker]
        if self.metrics is not None:
            found.append(self.metrics)
        if self.loss is not None:
            found.extend(self.loss.metrics)
        return found


class Compiled:
    """Mixin of `Model`: `compile`, losses, metrics and single steps.

    Attributes:
        compiled: whether `compile` was called.
        optimizer: the optimizer given to `compile`.
        loss: the loss given to `compile`.
        run_eagerly: whether steps run without a Program.
        stop_training: set it to True in a callback to end `fit`.
    """

    name: str
    built: bool
    trainable_variables: list[Variable]
    variables: list[Variable]
    losses: list[Any]

    compiled: bool = False
    optimizer: Any = None
    loss: Any = None
    run_eagerly: bool = False
    jit_compile: bool = True
    steps_per_execution: int = 1
    stop_training: bool = False
    _trainer: TrainingState | None = None
    _programs: Any = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how the model is trained.

        Args:
            optimizer: optimizer or its name.
            loss: a loss (name, function of targets and predictions, or Loss), or a list
                or dictionary (by output name) of losses for several outputs, where None
                leaves an output out. "crossentropy" chooses by the shapes.
            loss_weights: what each loss is multiplied by in the total.
            metrics: list of metrics (names, functions or Metrics); for several outputs
                a list with an entry, or list of entries, for each, or a dictionary.
                "accuracy" and "crossentropy" choose by the shapes.
            weighted_metrics: the same, of metrics that get sample and class weights.
            run_eagerly: whether to run every step in Python, for debugging.
            steps_per_execution: accepted for compatibility; it changes no result.
            jit_compile: accepted for compatibility; it changes no result.
            auto_scale_loss: accepted for compatibility; float16 losses are scaled by
                the optimizer's `loss_scale_factor`.

        Raises:
            ValueError: for an unknown name.
            TypeError: for an argument of the wrong type.
        """
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(
                "compile: expected steps_per_execution to be a positive integer, got "
                f"{steps_per_execution!r}"
            )
        optimizer = optimizers.get(optimizer) if optimizer is not None else None
        jit = not run_eagerly if jit_compile == "auto" else bool(jit_compile)
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit,
        }
        self._trainer = TrainingState(arguments, self._get_output_names)
        self.optimizer, self.loss = optimizer, loss
        self.run_eagerly = run_eagerly
        self.steps_per_execution = steps_per_execution
        self.jit_compile = jit
        self.stop_training = False
        self.compiled = True
        self._programs = None  # those of what was compiled before

    def _get_output_names(self) -> Any:
        return getattr(self, "output_names", None)

    def get_compile_config(self) -> dict[str, Any]:
        """Return the arguments of `compile` as plain data; empty if not compiled."""
        if self._trainer is None:
            return {}
        config: dict[str, Any] = serialize_keras_object(self._trainer.arguments)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with the result of `get_compile_config()`."""
        if type(self).compile is not Compiled.compile:
            warnings.warn(
                f"{type(self).__name__} '{self.name}' was not compiled when it was "
                "loaded, because it has its own compile(); call it, or define "
                "get_compile_config() and compile_from_config()",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _assert_compiled(self, method: str) -> TrainingState:
        if self._trainer is None or not self.compiled:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': call compile() before {method}()"
            )
        return self._trainer

    # --- metrics ---

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the compiled metrics, then those that layers hold."""
        state = self._trainer
        if state is not None and state.own_metrics is not None:
            return [*state.all_metrics(), *state.own_metrics]
        found: list[Any] = state.all_metrics() if state is not None else []
        return found + super().metrics  # type: ignore[misc, no-any-return]

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    @property
    def _loss_tracker(self) -> Any:
        return self._trainer.loss_tracker if self._trainer is not None else None

    @property
    def _compile_loss(self) -> CompileLoss | None:
        return self._trainer.loss if self._trainer is not None else None

    @property
    def _compile_metrics(self) -> CompileMetrics | None:
        return self._trainer.metrics if self._trainer is not None else None

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Add a batch to the metrics and return all results; may be overridden.

        Args:
            x: inputs.
            y: targets.
            y_pred: predictions.
            sample_weight: weights.

        Returns:
            Result of every metric by its name in logs.
        """
        metrics = self._compile_metrics
        if metrics is not None:
            metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results of all metrics, by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        return results

    # --- the loss ---

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the total loss of a batch; may be overridden.

        It is the weighted sum of the compiled losses, plus what layers and regularizers
        added in the latest call of the model.

        Args:
            x: inputs.
            y: targets.
            y_pred: predictions.
            sample_weight: weights.
            training: whether the loss is for training.

        Returns:
            A scalar tensor.

        Raises:
            ValueError: if there is nothing to minimize, or targets are missing.
        """
        total = None
        if self._compile_loss is not None:
            total = self._compile_loss(y, y_pred, sample_weight)
        for loss in self.losses:
            loss = ops.convert_to_tensor(loss)
            if not shapes.is_float(loss.dtype):
                loss = ops.cast(loss, shapes.dtype_name(None))
            if loss.shape:
                loss = ops.sum(loss)
            total = loss if total is None else total + loss
        if total is None:
            if training:
                raise ValueError(
                    f"{type(self).__name__} '{self.name}': there is no loss to "
                    "minimize; give compile() a loss, or use add_loss()"
                )
            return ops.zeros(())
        return total

    def _compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool
    ) -> Any:
        """Call `compute_loss`, which in a subclass may lack the training argument."""
        if _takes_training(type(self).compute_loss):
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def _track_loss(self, x: Any, loss: Any) -> None:
        assert self._trainer is not None
        first = next(t for t in tree.flatten(x) if t is not None)
        self._trainer.loss_tracker.update_state(loss, sample_weight=first.shape[0])

    # --- steps ---

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch; may be overridden.

        Args:
            data: the batch: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; see
                `utils.unpack_x_y_sample_weight`.

        Returns:
            What to log, by name; normally the results of the metrics.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        if self.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': compile() got no optimizer, so "
                "there is no training"
            )
        with GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._track_loss(x, loss)
        variables = self._variables_to_train()
        if variables:
            gradients = tape.gradient(scaled, variables)
            if self._compile_loss is not None and self._compile_loss.is_partial:
                # What serves only outputs without a loss has no gradient, as intended.
                kept = [i for i, g in enumerate(gradients) if g is not None]
                gradients = [gradients[i] for i in kept]
                variables = [variables[i] for i in kept]
            self.optimizer.apply(gradients, variables)
        else:
            warnings.warn(
                f"{type(self).__name__} '{self.name}' has no trainable weights",
                stacklevel=2,
            )
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch; may be overridden. See `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=False)
        self._track_loss(x, loss)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Return the predictions for one batch; may be overridden."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

    def _variables_to_train(self) -> list[Variable]:
        state = self._trainer
        if state is not None and state.trainable is not None:
            return state.trainable
        return self.trainable_variables

    # --- checks before the first step ---

    def _prepare(self, data: Any, step: str) -> None:
        """Build everything, and find out whether data fits, before state changes.

        Args:
            data: a batch.
            step: "train_step" or "test_step". Where a subclass overrides it, nobody
                knows what it does with the data, and nothing is checked.
        """
        state = self._assert_compiled(step)
        if getattr(type(self), step) is getattr(Compiled, step):
            leaves = tree.flatten(unpack_x_y_sample_weight(data))
            signature = tuple(
                None if leaf is None else (leaf.shape[1:], leaf.dtype)
                for leaf in leaves
            )
            if (step, signature) not in state.checked:
                self._check(unpack_x_y_sample_weight(data), step == "train_step")
                if len(state.checked) > 1000:
                    state.checked.clear()
                state.checked.add((step, signature))
        optimizer = self.optimizer
        if self.built and optimizer is not None and not optimizer.built:
            optimizer.build(self.trainable_variables)

    def _check(self, batch: tuple[Any, Any, Any], training: bool) -> None:
        """Run the model, the loss and the metrics without a lasting effect."""

        def forward(x: Any, y: Any, sample_weight: Any) -> Any:
            y_pred = self(x, training=False)  # type: ignore[operator]
            self._compute_loss(x, y, y_pred, sample_weight, training=training)
            if self._compile_metrics is not None:
                self._compile_metrics.update_state(y, y_pred, sample_weight)

        if _runs_on_symbols(forward, batch):
            return
        # The data does not fit, or a call looks at values, which symbols do not have:
        # values tell which, and with the better message.
        before = snapshot(self._all_variables())
        try:
            forward(*batch)
        finally:
            restore(before)

    def _all_variables(self) -> list[Variable]:
        """Return every variable that a step may change."""
        found = list(self.variables)
        for value in vars(self).values():  # own steps may use several optimizers
            if isinstance(value, optimizers.Optimizer):
                found.extend(value.variables)
        for metric in self.metrics:
            found.extend(metric.variables)
        return found


def _runs_on_symbols(function: Callable[..., Any], batch: tuple[Any, ...]) -> bool:
    """Tell whether a function runs on symbols of the shapes of tensors."""
    symbols = tree.map_structure(
        lambda t: None if t is None else KerasTensor(t.shape, t.dtype), batch
    )
    try:
        ops.compute_output_spec(function, *symbols)
    except Exception:  # any error: the caller finds out which
        return False
    return True


@functools.lru_cache(maxsize=256)
def _takes_training(function: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(function).parameters


# Arrays of variables are replaced, never written to, so that remembering them is cheap.


def snapshot(variables: list[Variable]) -> list[tuple[Variable, Any]]:
    """Remember the values of variables."""
    return [(variable, variable._array) for variable in variables]


def restore(values: list[tuple[Variable, Any]]) -> None:
    """Put the values of a `snapshot` back."""
    for variable, array in values:
        variable._array = array
