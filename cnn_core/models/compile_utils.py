"""The losses and metrics given to `compile`, matched with a model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import losses, metrics, naming, ops, shapes, tree
from ..graph.errors import scope
from ..metrics import Metric

Path = tuple[Any, ...]
_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")
_METRIC_ARGUMENTS = ("metrics", "weighted_metrics")


def _is_leaf(spec: Any) -> bool:
    """Tell whether `spec` is one loss or metric; configurations are dictionaries."""
    return not tree.is_nested(spec) or (isinstance(spec, dict) and "class_name" in spec)


def _leaves(spec: Any) -> Iterable[Any]:
    if _is_leaf(spec):
        yield spec
    else:
        for item in spec.values() if isinstance(spec, dict) else spec:
            yield from _leaves(item)


def check_losses(spec: Any) -> None:
    """Raise where a loss given to `compile` does not exist."""
    for leaf in _leaves(spec):
        if not (isinstance(leaf, str) and leaf.lower() in _CROSSENTROPY):
            losses.get(leaf)


def check_metrics(spec: Any, argument: str) -> None:
    """Raise where a metric given to `compile` does not exist."""
    if spec is not None and (_is_leaf(spec) or isinstance(spec, str)):
        raise TypeError(
            f"compile: expected {argument} to be a list, tuple or dictionary, got "
            f"{spec!r}; put it in a list"
        )
    for leaf in _leaves(spec) if spec is not None else ():
        if isinstance(leaf, str) and leaf.lower() in _ACCURACY + _CROSSENTROPY:
            continue
        if leaf is not None:
            metrics.get(leaf)


class Outputs:
    """The outputs of a model: the paths to them in its predictions, and their names.

    Args:
        y_pred: predictions: a tensor, or nested lists, tuples and dictionaries.
        output_names: names of the outputs of a functional model, or None.

    Attributes:
        paths: keys and positions that lead to each output.
        names: name of each output, None where it has none.
    """

    def __init__(self, y_pred: Any, output_names: Any = None) -> None:
        self.is_dict = isinstance(y_pred, dict)
        names = list(output_names) if output_names else None
        keys = list(y_pred) if self.is_dict else []
        flat = tree.is_nested(y_pred) and not any(
            tree.is_nested(y_pred[k]) for k in keys or range(len(y_pred))
        )
        if self.is_dict and flat:
            keys = names if names and set(names) == set(keys) else sorted(keys)
            self.paths: list[Path] = [(key,) for key in keys]
            self.names: list[Any] = list(keys)
        else:
            self.paths = _paths(y_pred)
            count = len(self.paths)
            self.names = names if names and len(names) == count else [None] * count
        self.flat = flat or not tree.is_nested(y_pred)

    def predictions(self, y_pred: Any) -> list[Any]:
        """Return the outputs in `y_pred` in order."""
        return [_get(y_pred, path) for path in self.paths]

    def align(self, value: Any, what: str, wanted: Any = None) -> list[Any]:
        """Return what belongs to each output, None for an output without.

        Args:
            value: one thing, or a list, tuple or dictionary for the outputs.
            what: "y" or "sample_weight"; a single weight is for all outputs.
            wanted: positions of the outputs that need one, if not all do.

        Raises:
            ValueError: if `value` does not fit the outputs.
        """
        count = len(self.paths)
        if value is None:
            return [None] * count
        if isinstance(value, dict) and count > 1 and self.flat:
            return self._by_name(value, what)
        leaves = tree.flatten(value)
        if not self.flat and len(leaves) != count and isinstance(value, dict):
            return [_get(value, path) for path in self.paths]
        if len(leaves) == count:
            return leaves
        if what == "sample_weight" and not tree.is_nested(value):
            return [value] * count
        if wanted is not None and len(leaves) == len(wanted):
            result: list[Any] = [None] * count
            for position, leaf in zip(wanted, leaves, strict=True):
                result[position] = leaf
            return result
        raise ValueError(
            f"the model has {count} output(s){self._listed()}, but {what} "
            f"holds {len(leaves)} array(s); give one for each output, in a list or a "
            "dictionary by output name"
        )

    def _by_name(self, value: dict[Any, Any], what: str) -> list[Any]:
        self._check_names(value, what)
        return [value.get(name) for name in self.names]

    def _check_names(self, value: dict[Any, Any], what: str) -> None:
        if None in self.names:
            raise ValueError(
                f"{what} is a dictionary, but the model's outputs have no names; use a "
                "list, one entry for each output"
            )
        for key in value:
            if key not in self.names:
                raise shapes.unknown_name(
                    f"output in {what}", key, [str(n) for n in self.names]
                )

    def distribute(self, spec: Any, what: str) -> dict[int, Any]:
        """Return the entry of a `compile` argument for each output, by position.

        Args:
            spec: one entry, or a list, tuple or dictionary of them.
            what: name of the argument, for messages.

        Raises:
            ValueError: if `spec` does not fit the outputs.
        """
        count = len(self.paths)
        if isinstance(spec, dict) and not _is_leaf(spec) and self.flat:
            if count > 1 or self.names[0] is not None:
                self._check_names(spec, what)
                return {self.names.index(key): entry for key, entry in spec.items()}
            spec = list(spec.values())
        if not _is_leaf(spec) and self.flat and len(spec) == count:
            return dict(enumerate(spec))
        if not _is_leaf(spec) and not self.flat:
            try:
                return {i: _get(spec, path) for i, path in enumerate(self.paths)}
            except (LookupError, TypeError):
                raise ValueError(
                    f"compile: {what} must be nested like the model's outputs"
                ) from None
        raise ValueError(
            f"compile: expected {what} to have one entry for each of the {count} "
            f"outputs{self._listed()}, got {spec!r}"
        )

    def _listed(self) -> str:
        names = [str(n) for n in self.names if n is not None]
        return f" ({', '.join(names)})" if names else ""


def _paths(structure: Any) -> list[Path]:
    if isinstance(structure, dict):
        keys: Iterable[Any] = sorted(structure)
    elif isinstance(structure, (list, tuple)):
        keys = range(len(structure))
    else:
        return [()]
    return [(key, *path) for key in keys for path in _paths(structure[key])]


def _get(structure: Any, path: Path) -> Any:
    for key in path:
        structure = structure[key]
    return structure


# --- by name ------------------------------------------------------------------


def _kind_of_labels(y_true: Any, y_pred: Any) -> str:
    """Return what the labels are, judged by shapes: binary, sparse or categorical."""
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if pred[-1] == 1:
        return "binary"
    sparse = len(true) < len(pred) or (true[-1] == 1 and pred[-1] > 1)
    return "sparse" if sparse else "categorical"


def _object_name(obj: Any) -> str:
    name = getattr(obj, "name", None) or getattr(obj, "__name__", None)
    return str(name or naming.snake_case(type(obj).__name__))


def make_loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """Return the Loss for an identifier; "crossentropy" depends on the shapes."""
    loss = identifier
    if isinstance(identifier, str) and identifier.lower() in _CROSSENTROPY:
        prefix = {"sparse": "sparse_categorical"}
        kind = _kind_of_labels(y_true, y_pred)
        loss = f"{prefix.get(kind, kind)}_crossentropy"
    loss = losses.get(loss)
    if isinstance(loss, losses.Loss):
        return loss
    name = identifier if isinstance(identifier, str) else _object_name(loss)
    return losses.LossFunctionWrapper(loss, name=name)


_BY_KIND: dict[str, tuple[Any, Any]] = {
    "binary": (metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
    "sparse": (
        metrics.SparseCategoricalAccuracy,
        metrics.SparseCategoricalCrossentropy,
    ),
    "categorical": (metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
}


def make_metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """Return the Metric for an identifier; "accuracy" depends on the shapes."""
    lower = identifier.lower() if isinstance(identifier, str) else None
    if lower in _ACCURACY or lower in _CROSSENTROPY:
        choices = _BY_KIND[_kind_of_labels(y_true, y_pred)]
        found = choices[0 if lower in _ACCURACY else 1](name=identifier)
    else:
        found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else _object_name(found)
    metric: Metric = (
        found if isinstance(found, Metric) else metrics.MeanMetricWrapper(found)
    )
    metric.name = name
    return metric


# --- the loss -----------------------------------------------------------------


class CompileLoss:
    """The total of the losses of all outputs.

    With several losses, the value of each is tracked as "<output>_loss" (outputs
    without names are "output_1", "output_2" ...).

    Args:
        loss: a loss, or a list or dictionary of losses for the outputs.
        loss_weights: what each loss is multiplied by in the total.
        output_names: returns the names of the model's outputs, or None.
    """

    def __init__(
        self, loss: Any, loss_weights: Any, output_names: Callable[[], Any]
    ) -> None:
        check_losses(loss)
        if loss_weights is not None and not isinstance(
            loss_weights, (int, float, list, tuple, dict)
        ):
            raise TypeError(
                "compile: expected loss_weights to be a number, list, tuple or "
                f"dictionary, got {loss_weights!r}"
            )
        self._loss = loss
        self._weights = loss_weights
        self._output_names = output_names
        self._outputs: Outputs | None = None
        self._terms: list[tuple[int, Any, Any]] = []  # output, loss, weight
        self._wanted: list[int] = []
        self.metrics: list[Metric] = []

    @property
    def built(self) -> bool:
        """Whether the losses have been matched with outputs."""
        return self._outputs is not None

    @property
    def is_partial(self) -> bool:
        """Whether there are outputs without a loss."""
        return self._outputs is not None and len(self._wanted) < len(
            self._outputs.paths
        )

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Match losses with outputs.

        Raises:
            ValueError: if they do not fit.
        """
        outputs = Outputs(y_pred, self._output_names())
        entries = self._entries(outputs)
        weights = self._entry_weights(outputs, entries)
        self._wanted = sorted(i for i, found in entries.items() if found)
        targets = outputs.align(y_true, "y", self._wanted)
        predictions = outputs.predictions(y_pred)
        self._terms = []
        names = []
        for i, found in entries.items():
            for identifier, weight in zip(found, weights[i], strict=True):
                if identifier is None:
                    continue
                if targets[i] is None:
                    name = "" if outputs.names[i] is None else f" '{outputs.names[i]}'"
                    raise ValueError(
                        f"loss {_object_name(identifier)!r} needs targets, but y has "
                        f"none for the output{name}"
                    )
                loss = make_loss(identifier, targets[i], predictions[i])
                self._terms.append((i, loss, weight))
                unnamed = loss.name if len(predictions) == 1 else f"output_{i + 1}"
                names.append(outputs.names[i] or unnamed)
        self.metrics = []
        if len(self._terms) > 1:
            self.metrics = [metrics.Mean(name=f"{n}_loss") for n in _distinct(names)]
        self._outputs = outputs

    def _entries(self, outputs: Outputs) -> dict[int, list[Any]]:
        """Return the losses of each output, in the order they were given in."""
        count = len(outputs.paths)
        if _is_leaf(self._loss):
            return {i: [self._loss] for i in range(count)}
        if count == 1 and isinstance(self._loss, (list, tuple)):
            return {0: [leaf for leaf in _leaves(self._loss) if leaf is not None]}
        entries = outputs.distribute(self._loss, "loss")
        if not outputs.is_dict:
            entries = dict(sorted(entries.items()))
        if isinstance(self._loss, dict) and not outputs.is_dict:
            for i, name in enumerate(outputs.names):
                if i not in entries:
                    raise ValueError(
                        f"compile: loss has no entry for the output '{name}'; give it "
                        "a loss, or None to leave it out"
                    )
        return {
            i: [leaf for leaf in _leaves(entry) if leaf is not None]
            for i, entry in entries.items()
        }

    def _entry_weights(
        self, outputs: Outputs, entries: dict[int, list[Any]]
    ) -> dict[int, list[Any]]:
        """Return the weight of each loss."""
        given = self._weights
        if given is None:
            return {i: [None] * len(found) for i, found in entries.items()}
        if len(outputs.paths) == 1:
            flat = list(_leaves(given))
            if len(flat) != len(entries[0]):
                raise ValueError(
                    f"compile: expected one of loss_weights for each of the "
                    f"{len(entries[0])} loss(es), got {given!r}"
                )
            return {0: flat}
        by_output = outputs.distribute(given, "loss_weights")
        return {
            i: [by_output.get(i)] * len(found)
            if not tree.is_nested(by_output.get(i))
            else list(by_output[i])
            for i, found in entries.items()
        }

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the weighted sum of the losses, a scalar, or None if there is none.

        Args:
            y_true: targets, for each output that has a loss.
            y_pred: predictions.
            sample_weight: weights for all outputs, or for each.

        Raises:
            ValueError: if the targets do not fit, or a loss is not a scalar.
        """
        if y_true is None:
            raise ValueError(
                f"loss {self._loss!r} needs targets, but y is missing; give y, or "
                "batches (x, y)"
            )
        if self._outputs is None:
            self.build(y_true, y_pred)
        outputs = self._outputs
        assert outputs is not None
        predictions = outputs.predictions(y_pred)
        targets = outputs.align(y_true, "y", self._wanted)
        weights = outputs.align(sample_weight, "sample_weight", self._wanted)
        total = None
        for position, (i, loss, weight) in enumerate(self._terms):
            value = loss(targets[i], predictions[i], weights[i])
            if len(value.shape) > 0:
                raise ValueError(
                    f"loss '{loss.name}' returned values of shape {value.shape} where "
                    "training needs a scalar; use another reduction than 'none'"
                )
            value = ops.cast(value, shapes.dtype_name(None))
            if self.metrics:
                self.metrics[position].update_state(
                    value, sample_weight=predictions[i].shape[0]
                )
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        return total


def _distinct(names: list[str]) -> list[str]:
    """Number names that occur again."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}_{count}" if count else name)
    return result


# --- the metrics --------------------------------------------------------------


class CompileMetrics(Metric):
    """All metrics given to `compile`, as one metric whose result is a dictionary.

    Args:
        metrics: list or dictionary of metrics.
        weighted_metrics: the same, of metrics that get the sample weights.
        output_names: returns the names of the model's outputs, or None.
    """

    def __init__(
        self, metrics: Any, weighted_metrics: Any, output_names: Callable[[], Any]
    ) -> None:
        super().__init__(name="compile_metrics")
        self._specs = (metrics, weighted_metrics)
        for spec, argument in zip(self._specs, _METRIC_ARGUMENTS, strict=True):
            check_metrics(spec, argument)
        self._output_names = output_names
        self._outputs: Outputs | None = None
        # Per output: the plain and the weighted metrics.
        self._plain: list[list[Metric]] = []
        self._weighted: list[list[Metric]] = []
        self._named: dict[str, Metric] = {}
        self._wanted: list[int] = []  # positions of the outputs with metrics

    @property
    def built(self) -> bool:
        """Whether the metrics have been matched with outputs."""
        return self._outputs is not None

    @property
    def metrics(self) -> list[Metric]:
        """All metrics, the unweighted ones first."""
        return [m for group in self._plain + self._weighted for m in group]

    @property
    def variables(self) -> list[Any]:
        """The state of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def named_metrics(self) -> dict[str, Metric]:
        """The metrics by the name they have in logs."""
        return self._named

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Match metrics with outputs.

        Raises:
            ValueError: if they do not fit.
        """
        outputs = Outputs(y_pred, self._output_names())
        entries = [
            self._entries(outputs, spec, what)
            for spec, what in zip(self._specs, _METRIC_ARGUMENTS, strict=True)
        ]
        wanted = sorted({i for by_output in entries for i, e in by_output.items() if e})
        targets = outputs.align(y_true, "y", wanted)
        predictions = outputs.predictions(y_pred)
        for i in wanted:
            if targets[i] is None:
                raise ValueError(
                    f"compile: there are metrics for the output '{outputs.names[i]}', "
                    "but y has no targets for it"
                )
        groups = [
            [
                [make_metric(leaf, target, pred) for leaf in by_output.get(i, ())]
                for i, (target, pred) in enumerate(
                    zip(targets, predictions, strict=True)
                )
            ]
            for by_output in entries
        ]
        self._wanted = wanted
        self._plain, self._weighted = groups
        self._named = self._by_log_name(outputs)
        self._outputs = outputs

    def _entries(self, outputs: Outputs, spec: Any, what: str) -> dict[int, list[Any]]:
        if not spec:
            return {}
        if len(outputs.paths) == 1:
            return {0: [leaf for leaf in _leaves(spec) if leaf is not None]}
        return {
            i: [leaf for leaf in _leaves(entry) if leaf is not None]
            for i, entry in outputs.distribute(spec, what).items()
        }

    def _by_log_name(self, outputs: Outputs) -> dict[str, Metric]:
        several = len(outputs.paths) > 1
        named: dict[str, Metric] = {}
        counts: dict[str, int] = {}

        def add(name: str, metric: Metric) -> None:
            count = counts.get(name, 0)
            counts[name] = count + 1
            named[f"{name}_{count}" if count else name] = metric

        for weighted, groups in ((False, self._plain), (True, self._weighted)):
            for output_name, group in zip(outputs.names, groups, strict=True):
                prefix = f"{output_name}_" if several and output_name else ""
                for metric in group:
                    name = prefix + metric.name
                    if weighted and name in counts:
                        name = f"{prefix}weighted_{metric.name}"
                    add(name, metric)
        return named

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch to all metrics.

        Args:
            y_true: targets, for each output that has metrics.
            y_pred: predictions.
            sample_weight: weights for all outputs, or for each.
        """
        if y_true is None:
            raise ValueError("metrics need targets, but y is missing; give y")
        if self._outputs is None:
            self.build(y_true, y_pred)
        outputs = self._outputs
        assert outputs is not None
        if not self._wanted:
            return
        targets = outputs.align(y_true, "y", self._wanted)
        predictions = outputs.predictions(y_pred)
        weights = outputs.align(sample_weight, "sample_weight", self._wanted)
        for i in self._wanted:
            for metric in self._plain[i]:
                with scope(metric, y_true=targets[i], y_pred=predictions[i]):
                    metric.update_state(targets[i], predictions[i])
            for metric in self._weighted[i]:
                with scope(metric, y_true=targets[i], y_pred=predictions[i]):
                    metric.update_state(targets[i], predictions[i], weights[i])

    def reset_state(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Return the results by the names they have in logs."""
        return {name: metric.result() for name, metric in self._named.items()}
