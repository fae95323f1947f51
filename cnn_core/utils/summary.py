"""The table that `Model.summary()` prints."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..graph import Operation
from ..layers import Layer
from ..models import Functional

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print the layers of a model with their output shapes and parameters.

    Args:
        model: the model.
        line_length: width of the table; by default what the terminal allows.
        positions: where the columns end, as fractions of the width.
        print_fn: called once with the whole text, without colors; by default the text
            is printed.
        expand_nested: whether to show the layers inside models too.
        show_trainable: whether to add a column that says which layers are trained.
        layer_range: names of, or regular expressions for, the first and last layer.

    Raises:
        ValueError: if the width is too small, or `layer_range` names no layers.
    """
    graph = isinstance(model, Functional) and not _is_chain(model)
    header, rows = _table(model, graph, expand_nested, show_trainable, layer_range)
    widths = _column_widths(graph, show_trainable, line_length, positions)
    title = f'Model: "{model.name}"'
    totals = _totals(model)
    try:
        import rich  # noqa: F401
    except ImportError:
        (print_fn or print)(_plain_text(title, header, rows, totals, widths))
        return
    _print_rich(title, header, rows, totals, widths, print_fn)


# --- what the table says ------------------------------------------------------


def _is_chain(model: Functional) -> bool:
    """Tell whether each operation has one input and one reader, used once."""
    read: set[int] = set()
    for node in model._nodes:
        if len(node.input_tensors) != 1:
            return False
        tensor = id(node.input_tensors[0])
        if tensor in read:
            return False
        read.add(tensor)
    operations = [node.operation for node in model._nodes]
    return len(model.inputs) == 1 and len(set(operations)) == len(operations)


def _table(
    model: Any,
    graph: bool,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table."""
    header = ["Layer (type)", "Output Shape", "Param #"]
    header += ["Connected to"] if graph else []
    header += ["Trainable"] if show_trainable else []
    rows: list[list[str]] = []

    def add(operation: Operation, owner: Any, level: int) -> None:
        prefix = "   " * level + "└ " if level else ""
        row = [
            f"{prefix}{operation.name} ({_type_name(operation)})",
            _output_shape(operation),
            _parameters(operation),
        ]
        if graph:
            row.append(_connections(operation, owner))
        if show_trainable:
            row.append(_trained(operation))
        rows.append(row)
        if expand_nested:
            for inner in getattr(operation, "layers", ()):
                add(inner, operation, level + 1)

    listed = model.operations if isinstance(model, Functional) else model.layers
    first, last = _bounds(listed, layer_range)
    for operation in listed[first:last]:
        add(operation, model, 0)
    return header, rows


def _type_name(operation: Operation) -> str:
    """Return the name of the class, for an operation the one that it has in files."""
    name: str = getattr(operation, "serialized_name", type(operation).__name__)
    return name


def _output_shape(operation: Operation) -> str:
    if operation._inbound_nodes:
        outputs = operation._inbound_nodes[-1].outputs
        found = tree.map_structure(lambda t: _Shape(t.shape), outputs)
    else:
        shapes = getattr(operation, "_build_shapes", None)
        if not shapes or not isinstance(operation, Layer):
            return "?"
        try:
            output_shape = operation.compute_output_shape(*shapes.values())
        except Exception:  # the layer's own code, run only to describe it
            return "?"
        found = _as_shapes(output_shape)
    flat = tree.flatten(found)
    return str(flat[0] if len(flat) == 1 else found)


class _Shape:
    """A shape that prints as `(None, 8)` and is a leaf of nested structures."""

    def __init__(self, sizes: Any) -> None:
        self._text = f"({', '.join(str(size) for size in sizes)})"

    def __repr__(self) -> str:
        return self._text


def _as_shapes(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _as_shapes(value) for key, value in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return _Shape(shape)
    return type(shape)(_as_shapes(part) for part in shape)


def _parameters(operation: Operation) -> str:
    if not isinstance(operation, Layer):
        return "0"
    return f"{operation.count_params():,}" if operation.built else "0 (unbuilt)"


def _connections(operation: Operation, owner: Any) -> str:
    inside = {id(node) for node in getattr(owner, "_nodes", ())}
    found = []
    for node in operation._inbound_nodes:
        for tensor in node.input_tensors if id(node) in inside else ():
            history: Any = tensor._keras_history
            source, node_index, tensor_index = history
            found.append(f"{source.name}[{node_index}][{tensor_index}]")
    return ", ".join(found) or "-"


def _trained(operation: Operation) -> str:
    if not isinstance(operation, Layer) or not operation.weights:
        return "-"
    return "Y" if operation.trainable else "N"


def _totals(model: Any) -> list[tuple[str, str]]:
    """Return the lines under the table: what is counted, and how much of it."""
    parts = [
        ("Trainable params", model.trainable_weights),
        ("Non-trainable params", model.non_trainable_weights),
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        parts.append(("Optimizer params", optimizer.variables))
    everything = [v for _, variables in parts for v in variables]
    return [
        (label, f"{count_params(variables):,} ({readable_size(variables)})")
        for label, variables in [("Total params", everything), *parts]
    ]


def count_params(variables: Any) -> int:
    """Return the number of elements of some variables."""
    return sum(math.prod(v.shape) for v in variables)


def readable_size(variables: Any) -> str:
    """Return the memory that some variables take, e.g. '1.50 KB'."""
    size = float(sum(v.numpy().nbytes for v in {id(v): v for v in variables}.values()))
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} {_UNITS[-1]}"


def _bounds(
    operations: Sequence[Any], layer_range: Sequence[str] | None
) -> tuple[int, int]:
    if layer_range is None:
        return 0, len(operations)
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            f"summary: expected layer_range to be two names, got {layer_range!r}"
        )
    firsts, lasts = (
        [i for i, op in enumerate(operations) if re.match(pattern, op.name)]
        for pattern in layer_range
    )
    if not firsts or not lasts:
        raise ValueError(
            f"summary: layer_range {list(layer_range)} matches no layers; there are "
            f"{', '.join(op.name for op in operations)}"
        )
    if min(firsts) > max(lasts):  # given in reverse
        firsts, lasts = lasts, firsts
    return min(firsts), max(lasts) + 1


# --- how it looks -------------------------------------------------------------


def _column_widths(
    graph: bool,
    show_trainable: bool,
    line_length: int | None,
    positions: Sequence[float] | None,
) -> list[int]:
    widest = (108 if graph else 88) + (12 if show_trainable else 0)
    width = line_length or min(widest, shutil.get_terminal_size().columns - 4)
    ends = list(positions or ((0.3, 0.56, 0.74, 1.0) if graph else (0.45, 0.8, 1.0)))
    if show_trainable and not positions:
        ends = [end * 0.9 for end in ends] + [1.0]
    if len(ends) != 3 + graph + show_trainable:
        raise ValueError(
            f"summary: expected {3 + graph + show_trainable} positions, got "
            f"{list(ends)}"
        )
    edges = [0, *(int(end * width) for end in ends)]
    widths = [end - start for start, end in itertools.pairwise(edges)]
    if min(widths) < 4:
        raise ValueError(
            f"summary: a column would be {min(widths)} wide; raise line_length"
        )
    return widths


def _print_rich(
    title: str,
    header: list[str],
    rows: list[list[str]],
    totals: list[tuple[str, str]],
    widths: list[int],
    print_fn: Callable[[str], Any] | None,
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(width=sum(widths), show_lines=True)
    for name, width in zip(header, widths, strict=True):
        justify: Any = {"Param #": "right", "Trainable": "center"}.get(name, "left")
        table.add_column(name, justify=justify, width=width, overflow="fold")
    for row in rows:
        # Text, not markup: a name with brackets in it is shown as it is.
        table.add_row(*(_colored(Text(cell)) for cell in row))
    console = (
        Console(highlight=False, color_system=None, force_terminal=False)
        if print_fn
        else Console(highlight=False)
    )
    if print_fn:
        console.width = max(console.width, sum(widths))
        console.begin_capture()
    console.print(Text(title, style="bold"))
    console.print(table)
    for label, amount in totals:
        console.print(Text(f" {label}: ", style="bold") + _colored(Text(amount)))
    if print_fn:
        print_fn(console.end_capture())


def _colored(text: Any) -> Any:
    text.highlight_regex(r"\bNone\b", "color(45)")
    text.highlight_regex(r"(?<![\w.])\d[\d,]*(?![\w.])", "color(34)")
    text.highlight_regex(r"\((?P<cls>[A-Za-z_]\w*)\)$", "color(33)")
    return text


def _plain_text(
    title: str,
    header: list[str],
    rows: list[list[str]],
    totals: list[tuple[str, str]],
    widths: list[int],
) -> str:
    """Return the same table in plain characters, for installations without rich."""

    def line(cells: list[str]) -> str:
        padded = [
            cell.rjust(width - 1) if name == "Param #" else cell.ljust(width - 1)
            for cell, width, name in zip(cells, widths, header, strict=True)
        ]
        return " ".join(padded).rstrip()

    rule = "-" * sum(widths)
    lines = [title, rule, line(header), rule, *map(line, rows), rule]
    lines += [f"{label}: {amount}" for label, amount in totals]
    return "\n".join(lines) + "\n"


__all__ = ["count_params", "print_summary", "readable_size"]
