"""The plots of an evaluation report as inline SVG: ROC curves, a calibration diagram and a histogram of scores.

Colours are CSS variables of the page (`--ham`, `--spam`, `--c0` … `--c7`), so that plots adapt to its dark mode.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from spamlstm.evaluation.metrics import Bin, rate_pct
from spamlstm.verdict import logit
from spamlstm.wording import counted

WIDTH, HEIGHT = 520, 400
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 12, 52
COLOURS = 8
HISTOGRAM_BINS = 60
# An axis in log-odds has no end. It shows shares from this one to 1 minus this one.
LOWEST_SHARE = 0.0005
DASHED = "stroke:var(--faint);stroke-dasharray:5 4"

Point = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a plot. `position` maps data to 0..1, and values outside the range are drawn at the edge."""

    title: str
    ticks: tuple[Tick, ...]
    position: Callable[[float], float]


def logarithmic(title: str, low: float, high: float, *, label: str = "{:g} %") -> Axis:
    """Return a logarithmic axis with a tick for each power of 10 from `low` to `high`, which are powers of 10 too."""
    first, last = round(math.log10(low)), round(math.log10(high))
    ticks = tuple((10.0**power, label.format(10.0**power)) for power in range(first, last + 1))
    span = math.log10(high / low)
    return Axis(title, ticks, lambda value: _clip(math.log10(max(value, low) / low) / span))


def log_odds(title: str) -> Axis:
    """Return an axis of shares in log-odds, from LOWEST_SHARE to 1 - LOWEST_SHARE, with 0.5 in the middle."""
    shares = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    ticks = tuple((share, f"{100 * share:g} %") for share in shares)
    return Axis(
        title,
        ticks,
        lambda share: 0.5 - logit(min(max(share, LOWEST_SHARE), 1 - LOWEST_SHARE)) / (2 * logit(LOWEST_SHARE)),
    )


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with two axes. Its methods return pieces of SVG, and `title` is the tooltip of a piece."""

    x: Axis
    y: Axis

    def at(self, point: Point) -> Point:
        """Return the position of a data point in the picture."""
        across, up = self.x.position(point[0]), self.y.position(point[1])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[Point], style: str, title: str = "") -> str:
        """Return a line through the points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))
        return _shape("polyline", f'points="{path}" fill="none"', style, title)

    def box(self, corner: Point, opposite: Point, style: str, title: str = "") -> str:
        """Return a rectangle between two corners."""
        (x1, y1), (x2, y2) = self.at(corner), self.at(opposite)
        x, y, width, height = min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)
        return _shape("rect", f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"', style, title)

    def dot(self, point: Point, radius: float, style: str, title: str = "") -> str:
        """Return a dot whose radius is in units of the picture."""
        x, y = self.at(point)
        return _shape("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"', style, title)

    def svg(self, name: str, *pieces: str) -> str:
        """Return the complete picture: the grid, the pieces and the axis titles. `name` is for screen readers."""
        content = "".join((*self._grid(), *pieces, *self._titles()))
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">{content}</svg>'

    def _grid(self) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        pieces = []
        for value, text in self.x.ticks:
            x = LEFT + self.x.position(value) * (right - LEFT)
            pieces += [
                f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>',
                f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>',
            ]
        for value, text in self.y.ticks:
            y = bottom - self.y.position(value) * (bottom - TOP)
            pieces += [
                f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
                f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>',
            ]
        return pieces

    def _titles(self) -> tuple[str, str]:
        x, y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
        across = f'<text class="axis" x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x.title)}</text>'
        turned = f'transform="rotate(-90 13 {y})"'
        up = f'<text class="axis" x="13" y="{y}" text-anchor="middle" {turned}>{escape(self.y.title)}</text>'
        return across, up


def _shape(tag: str, attributes: str, style: str, title: str) -> str:
    return f'<{tag} {attributes} style="{style}"><title>{escape(title)}</title></{tag}>'


def standalone(svg: str) -> str:
    """Return a picture as a complete SVG file, in the light colours of the report."""
    style = (
        "svg{background:#fff;font:12px sans-serif;--c0:#2563eb}text{fill:#57606a}"
        ".axis{fill:#24292f;font-size:13px}.grid{stroke:#e4e7eb}"
    )
    named = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return named.replace(">", f"><style>{style}</style>", 1)


# --- ROC ------------------------------------------------------------------------------------------------------------


def roc(curves: Sequence[tuple[str, NDArray[np.float64], NDArray[np.float64]]], lowest_pct: float) -> str:
    """Plot the spam missed against the ham lost, as shares from `metrics.roc_points`, both on logarithmic axes.

    Curves nearer to the lower left are better. The first curve has the thickest line.
    """
    plot = Plot(logarithmic("ham lost", lowest_pct, 100), logarithmic("spam missed", lowest_pct, 100))
    pieces = [
        plot.line(
            _thinned(plot, 100 * lost, 100 * missed),
            f"stroke:var(--c{number % COLOURS});stroke-width:{2.6 if number == 0 else 1.5}",
            name,
        )
        for number, (name, lost, missed) in reversed(list(enumerate(curves)))
    ]
    return plot.svg("ROC curves", *pieces)


def _thinned(plot: Plot, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Point]:
    """Return the corners of the falling step function through the given points.

    Points in the same half pixel as the previous point are left out.
    """
    points: list[Point] = []
    last = (-1, -1)
    before = float(y[0])
    for across, up in zip(x.tolist(), y.tolist(), strict=True):
        pixel = tuple(round(2 * value) for value in plot.at((across, up)))
        if pixel != last:
            points += [(across, before), (across, up)]
            last = (pixel[0], pixel[1])
        before = up
    return points


# --- calibration ----------------------------------------------------------------------------------------------------


def calibration(bins: Sequence[Bin]) -> str:
    """Plot the observed share of spam against the predicted probability. Each bin is a dot with its 95 % interval.

    Both axes are in log-odds, because nearly all mail and all thresholds are near 0 % and 100 %.
    """
    plot = Plot(log_odds("predicted probability of spam"), log_odds("observed share of spam"))
    pieces = [plot.line([(0, 0), (1, 1)], DASHED)]
    pieces.append(plot.line([(one.predicted, one.observed) for one in bins], "stroke:var(--c0);stroke-width:1.5"))
    for one in bins:
        figure = rate_pct(round(one.observed * one.count), one.count)
        interval = [(one.predicted, figure.low / 100), (one.predicted, figure.high / 100)] if figure else []
        tooltip = f"predicted {one.predicted:.2%}, observed {one.observed:.2%} of {counted(one.count, 'message')}"
        pieces += [
            plot.line(interval, "stroke:var(--c0);stroke-width:1.5;opacity:.45"),
            plot.dot((one.predicted, one.observed), 4, "fill:var(--c0)", tooltip),
        ]
    return plot.svg("Calibration diagram", *pieces)


# --- histogram ------------------------------------------------------------------------------------------------------


def histogram(ham: NDArray[np.float64], spam: NDArray[np.float64], span: tuple[float, float]) -> str:
    """Plot the counts of ham by score, with the counts of spam half transparent over them.

    Scores outside `span` are shown at its ends. The count axis is logarithmic, to show the tails.
    """
    low, high = span
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    counts = [np.histogram(np.clip(scores, low, high), edges)[0] for scores in (ham, spam)]
    plot = Plot(_score_axis(low, high), _count_axis(max(int(part.max()) for part in counts)))
    pieces = [
        plot.box(
            (edges[i], 0),
            (edges[i + 1], int(part[i])),
            f"fill:var(--{colour});opacity:.62",
            f"{int(part[i]):,} {colour} at {edges[i]:.1f} to {edges[i + 1]:.1f}",
        )
        for colour, part in zip(("ham", "spam"), counts, strict=True)
        for i in np.flatnonzero(part)
    ]
    even = plot.line([(0, 0), (0, math.inf)], DASHED, "even odds")
    return plot.svg("Histogram of scores", *pieces, even)


def score_span(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of scores to show, without the outermost thousandth at each end, and at least -1 to 1."""
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.001, 0.999]) if len(finite) else (0.0, 0.0)
    return math.floor(min(float(low), -1)), math.ceil(max(float(high), 1))


def _score_axis(low: float, high: float) -> Axis:
    step = max(1, round((high - low) / 8))
    values = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    ticks = tuple((float(value), f"{value:+d}" if value else "0") for value in values)
    title = "score (log-odds of spam; 0 is even odds)"
    return Axis(title, ticks, lambda value: _clip((value - low) / (high - low)))


def _count_axis(highest: int) -> Axis:
    """Return a logarithmic axis of counts with a position for 0, so that a count of 1 has some height."""
    top = math.log10(2 * max(highest, 1)) + 0.3
    ticks = tuple((10.0**power, f"{10**power:,}") for power in range(math.floor(math.log10(max(highest, 1))) + 1))
    return Axis("messages", ticks, lambda count: _clip((math.log10(count) + 0.3) / top) if count > 0 else 0.0)
