"""The roofline drawn: operations per second over operations per byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .harness import Case
from .intensity import Machine, Place, spread

_COLORS = {
    "matmul": "tab:red",
    "activations": "tab:blue",
    "elementwise": "tab:green",
    "reductions": "tab:orange",
    "losses": "tab:purple",
    "random": "tab:gray",
}
_FONT = 6.5  # points
_LINE = 1.25 * _FONT  # from one label to the next
_GAP = 9.0  # points from the dots to their labels

Point = tuple[str, Case, Place]


def panels(places: Sequence[Point]) -> dict[str, list[Point]]:
    """Return what each panel shows.

    Of the products of one size it is the slowest, of other kernels the largest call.
    """
    shown: dict[str, dict[str, Point]] = {
        "matrix products, the slowest form of each size": {},
        "other kernels, arrays in L1 or L2": {},
        "other kernels, arrays in L3 or DRAM": {},
    }
    products, inside, outside = shown.values()
    for point in places:
        _, case, place = point
        if place.work.flops is None:
            continue
        if case.flops:
            slowest = products.setdefault(case.shape, point)
            if place.seconds > slowest[2].seconds:
                products[case.shape] = point
            continue
        group = inside if place.level in ("L1", "L2") else outside
        words = [w for w in case.shape.split() if w in ("logits", "probs")]
        name = " ".join([case.kernel, *words])
        before = group.get(name)
        if before is None or before[2].work.traffic < place.work.traffic:
            group[name] = point
    return {title: list(group.values()) for title, group in shown.items() if group}


def label(case: Case) -> str:
    """Return what stands beside a point."""
    if case.flops:
        return case.title
    words = [w for w in case.shape.split() if w in ("logits", "probs")]
    return " ".join([case.kernel, *words])


def _width(column: Sequence[Any]) -> float:
    """Return the points that the labels of a column take beside its dots."""
    return 2 * _GAP + 0.55 * _FONT * max(len(label(case)) for _, _, case in column)


def draw(path: str, machine: Machine, places: Sequence[Point], title: str) -> None:
    """Write the picture to a file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = panels(places)
    figure, axes = pyplot.subplots(
        len(groups), 1, figsize=(13, 7 * len(groups)), squeeze=False
    )
    for axis, (name, points) in zip(axes.flat, groups.items(), strict=True):
        _draw_panel(axis, machine, points)
        axis.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.99))
    for axis, points in zip(axes.flat, groups.values(), strict=True):
        _write_labels(axis, points)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_panel(axis: Any, machine: Machine, points: Sequence[Point]) -> None:
    x = np.array([p.work.intensity for _, _, p in points], float)
    y = np.array([p.flop_rate for _, _, p in points], float) / 1e9
    low, high = x.min() / 1.6, x.max() * 3
    roof = machine.flops / 1e9
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(low, high)
    axis.set_ylim(min(y.min() / 2, roof / 30), roof * 2)
    axis.axhline(roof, color="black", linewidth=1)
    axis.text(
        high / 1.05, roof * 1.04, f"FMA {roof:.0f} GFLOP/s", ha="right", fontsize=8
    )
    for level, kinds in machine.bandwidth.items():
        rate = kinds["triad"] / 1e9
        ridge = roof / rate
        if ridge < low:
            continue
        ends = np.array([low, min(ridge, high)])
        axis.plot(ends, ends * rate, color="black", linewidth=0.8, linestyle="--")
        if ridge < high:
            axis.text(
                ridge,
                roof * 1.06,
                f"{level}\n{rate:.0f} GB/s",
                fontsize=7,
                ha="center",
                va="bottom",
            )
    for family, color in _COLORS.items():
        chosen = [i for i, (f, _, _) in enumerate(points) if f == family]
        if chosen:
            axis.scatter(
                x[chosen], y[chosen], s=14, color=color, label=family, zorder=3
            )
    axis.set_xlabel("operations per byte that has to be read or written", fontsize=8)
    axis.set_ylabel("GFLOP/s", fontsize=8)
    axis.grid(True, which="both", linewidth=0.3, alpha=0.5)
    axis.legend(fontsize=8, loc="lower right")


def _write_labels(axis: Any, points: Sequence[Point]) -> None:
    """Write names in columns right of dots that stand close, with lines to them."""
    scale = 72 / axis.figure.dpi
    to_display, back = axis.transData, axis.transData.inverted()
    placed = []
    for _, case, place in points:
        rate = place.flop_rate
        assert rate is not None
        placed.append((*to_display.transform((place.work.intensity, rate / 1e9)), case))
    placed.sort(key=lambda p: p[0])
    columns: list[list[Any]] = []
    for point in placed:
        if columns and (point[0] - columns[-1][0][0]) * scale < _width(columns[-1]):
            columns[-1].append(point)
        else:
            columns.append([point])
    for column in columns:
        column.sort(key=lambda p: p[1])
        right = max(p[0] for p in column) + _GAP / scale
        heights = spread([p[1] for p in column], _LINE / scale)
        for (x, y, case), height in zip(column, heights, strict=True):
            axis.annotate(
                label(case),
                back.transform((x, y)),
                xytext=back.transform((right, height)),
                fontsize=_FONT,
                va="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.3, "shrinkA": 0},
            )
