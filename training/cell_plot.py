"""The plot of the comparison of cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, LogLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from .cell_figures import Result

LEAST = 1e-2
"""Smaller errors are drawn here: a logarithmic axis has no zero. 0.01 % is one wrong pair in ten thousand."""
MARKERS = "osD^v*"


def draw(results: Sequence[Result], distances: Sequence[int], path: Path) -> None:
    """Draw two panels: errors by cell with intervals, and error by distance of the deciding words from the end."""
    picture = Picture(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2)
    _by_cell(left, results)
    _by_distance(right, results, distances)
    picture.savefig(path, dpi=120, metadata={"Software": None})


def _by_cell(axes: Axes, results: Sequence[Result]) -> None:
    for row, result in enumerate(results):
        for figure, style, up in ((result.left_out, "-", -0.12), (result.disguised, ":", 0.12)):
            if figure is not None:
                ends = [_clip(figure.low), _clip(figure.high)]
                axes.plot(ends, [row + up] * 2, color=f"C{row}", linewidth=2, linestyle=style)
                axes.plot(_clip(figure.value), row + up, marker=MARKERS[row % len(MARKERS)], color=f"C{row}")
    axes.set_yticks(range(len(results)), [result.name for result in results])
    axes.invert_yaxis()
    axes.set_xscale("log")
    _format(axes.xaxis)
    axes.set_xlabel("(1-ROCA)% with 95 % interval: left out (line), disguised (dots)")
    axes.grid(visible=True, axis="x", which="both", alpha=0.3)


def _by_distance(axes: Axes, results: Sequence[Result], distances: Sequence[int]) -> None:
    for row, result in enumerate(results):
        known = [(at, figure) for at, figure in zip(distances, result.by_distance, strict=True) if figure is not None]
        if known:
            values = [_clip(figure.value) for _, figure in known]
            marker = MARKERS[row % len(MARKERS)]
            axes.plot([at for at, _ in known], values, marker=marker, color=f"C{row}", label=result.name)
    if axes.lines:
        axes.set_yscale("log")
        _format(axes.yaxis)
        axes.legend()
    axes.set_xlabel("tokens of other ham behind the deciding words")
    axes.set_ylabel("(1-ROCA)% on short messages without header")
    axes.grid(visible=True, which="both", alpha=0.3)


def _format(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade as plain decimals."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))


def _clip(value: float) -> float:
    return max(value, LEAST)
