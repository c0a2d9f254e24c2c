"""The comparison of cells as a picture."""

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

    from .compare import Result

# A log axis has no zero: an error of no pair in ten thousand stands at its foot.
LEAST = 1e-2
MARKERS = "osD^v*"


def draw(results: Sequence[Result], distances: Sequence[int], path: Path) -> None:
    """Two panels: error by cell with its interval, and error against the distance of the telling words."""
    picture = Picture(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2)
    _by_cell(left, results)
    _by_distance(right, results, distances)
    picture.savefig(path, dpi=120, metadata={"Software": None})


def _by_cell(axes: Axes, results: Sequence[Result]) -> None:
    for place, result in enumerate(results):
        figure = result.one_minus_roca_pct
        if figure is not None:
            axes.plot([_shown(figure.low), _shown(figure.high)], [place, place], color=f"C{place}", linewidth=2)
            axes.plot(_shown(figure.value), place, marker=MARKERS[place % len(MARKERS)], color=f"C{place}")
    axes.set_yticks(range(len(results)), [result.name for result in results])
    axes.invert_yaxis()
    axes.set_xscale("log")
    _plain(axes.xaxis)
    axes.set_xlabel("(1-ROCA)% on mail of sources left out, 95 % interval")
    axes.grid(visible=True, axis="x", which="both", alpha=0.3)


def _by_distance(axes: Axes, results: Sequence[Result], distances: Sequence[int]) -> None:
    for place, result in enumerate(results):
        known = [(at, figure) for at, figure in zip(distances, result.by_distance, strict=True) if figure is not None]
        if known:
            values = [_shown(figure.value) for _, figure in known]
            marker = MARKERS[place % len(MARKERS)]
            axes.plot([at for at, _ in known], values, marker=marker, color=f"C{place}", label=result.name)
    if axes.lines:
        axes.set_yscale("log")
        _plain(axes.yaxis)
        axes.legend()
    axes.set_xlabel("innocent tokens behind the telling words")
    axes.set_ylabel("(1-ROCA)% of short messages, body alone")
    axes.grid(visible=True, which="both", alpha=0.3)


def _plain(axis: Axis) -> None:
    """Percentages as people write them, at 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))


def _shown(value: float) -> float:
    return max(value, LEAST)
