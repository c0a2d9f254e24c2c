"""The pictures of a report as inline SVG: ROC curves, a calibration diagram, a histogram of scores.

Colours are CSS variables of the page (`--ham`, `--spam`, `--c0` … `--c7`), so that a dark page has dark pictures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from spamlstm.evaluation import metrics
from spamlstm.evaluation.metrics import Bin

WIDTH, HEIGHT = 520, 400
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 12, 52
COLOURS = 8

Point = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """From data to 0..1 along an axis, and where its ticks stand."""

    title: str
    ticks: tuple[Tick, ...]
    place: Callable[[float], float]


def linear(title: str, low: float, high: float, ticks: Sequence[Tick]) -> Axis:
    """An axis on which equal differences are equally long; what lies outside is drawn at the edge."""
    return Axis(title, tuple(ticks), lambda value: _inside((value - low) / (high - low)))


def logarithmic(title: str, low: float, high: float) -> Axis:
    """An axis of decades in percent; zero and all else below `low` is drawn at the edge."""
    first, last = round(math.log10(low)), round(math.log10(high))
    ticks = tuple((10.0**power, f"{10.0**power:g} %") for power in range(first, last + 1))
    span = math.log10(high / low)
    return Axis(title, ticks, lambda value: _inside(math.log10(max(value, low) / low) / span))


def decades(title: str, low: float, high: float) -> Axis:
    """An axis of whole decades of counts, from that of `low` to that of `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(max(high, 10 * low)))
    ticks = tuple((10.0**power, f"{10**power:,}") for power in range(first, last + 1))
    return Axis(title, ticks, lambda value: _inside((math.log10(max(value, low)) - first) / (last - first)))


def log_odds(title: str, edge: float = 0.0005) -> Axis:
    """An axis of shares from `edge` to 1 - `edge`, even odds in the middle; what lies outside is drawn at the edge."""
    shares = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)

    def place(share: float) -> float:
        inside = min(max(share, edge), 1 - edge)
        return 0.5 - math.log((1 - inside) / inside) / (2 * math.log((1 - edge) / edge))

    return Axis(title, tuple((share, f"{100 * share:g} %") for share in shares), place)


def _inside(share: float) -> float:
    return min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """Two axes; its methods give pieces of SVG in their coordinates."""

    x: Axis
    y: Axis

    def at(self, point: Point) -> Point:
        """Where a point of the data lies in the picture."""
        across, up = self.x.place(point[0]), self.y.place(point[1])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[Point], style: str, title: str = "") -> str:
        """A line through points; `title` is what a pointer over it shows."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))
        return f'<polyline points="{path}" fill="none" style="{style}"><title>{escape(title)}</title></polyline>'

    def box(self, corner: Point, opposite: Point, style: str, title: str = "") -> str:
        """A rectangle between two corners."""
        (x1, y1), (x2, y2) = self.at(corner), self.at(opposite)
        x, y, width, height = min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)
        shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        return f'<rect {shape} style="{style}"><title>{escape(title)}</title></rect>'

    def dot(self, point: Point, radius: float, style: str, title: str = "") -> str:
        """A dot, its radius in units of the picture."""
        x, y = self.at(point)
        shape = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
        return f'<circle {shape} style="{style}"><title>{escape(title)}</title></circle>'

    def svg(self, name: str, *pieces: str) -> str:
        """The finished picture: grid, pieces, axis titles. `name` is read aloud to those who do not see it."""
        size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
        inside = "".join((*self._grid(), *pieces, *self._titles()))
        return f'<svg {size} role="img" aria-label="{escape(name)}">{inside}</svg>'

    def _grid(self) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        pieces = []
        for value, text in self.x.ticks:
            x = LEFT + self.x.place(value) * (right - LEFT)
            pieces += [
                f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>',
                f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>',
            ]
        for value, text in self.y.ticks:
            y = bottom - self.y.place(value) * (bottom - TOP)
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


def alone(svg: str) -> str:
    """A picture as a file of its own, in the light colours of the report."""
    style = (
        "svg{background:#fff;font:12px sans-serif;--c0:#2563eb}text{fill:#57606a}"
        ".axis{fill:#24292f;font-size:13px}.grid{stroke:#e4e7eb}"
    )
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{style}</style>", 1
    )


# --- ROC ------------------------------------------------------------------------------------------------------------


def roc(curves: Sequence[tuple[str, NDArray[np.float64], NDArray[np.float64]]], lowest_pct: float) -> str:
    """Spam missed against ham lost (shares, from `metrics.roc_points`), both logarithmic: the corner is what counts.

    The first curve is drawn boldest. Nearer to the lower left is better.
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
    """The corners of a falling staircase, without those that fall on the same pixel as the one before."""
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
    """Share of spam observed against the probability given, a dot for each bin with its 95 % whisker (Wilson).

    Both axes are in log-odds, for nearly all mail lies, and all thresholds lie, near 0 % and 100 %.
    """
    plot = Plot(log_odds("probability of spam given"), log_odds("share of spam observed"))
    pieces = [plot.line([(0, 0), (1, 1)], "stroke:var(--faint);stroke-dasharray:5 4")]
    pieces.append(plot.line([(cell.predicted, cell.observed) for cell in bins], "stroke:var(--c0);stroke-width:1.5"))
    for cell in bins:
        said = f"given {cell.predicted:.2%}, observed {cell.observed:.2%} of {cell.count:,}"
        pieces += [
            plot.line(_whisker(cell), "stroke:var(--c0);stroke-width:1.5;opacity:.45"),
            plot.dot((cell.predicted, cell.observed), 4, "fill:var(--c0)", said),
        ]
    return plot.svg("Calibration diagram", *pieces)


def _whisker(cell: Bin) -> list[Point]:
    figure = metrics.rate_pct(round(cell.observed * cell.count), cell.count)
    return [(cell.predicted, figure.low / 100), (cell.predicted, figure.high / 100)] if figure else []


# --- histogram ------------------------------------------------------------------------------------------------------


def histogram(ham: NDArray[np.float64], spam: NDArray[np.float64], span: tuple[float, float], bins: int = 60) -> str:
    """Counts of ham and, over it and see-through, spam by score; what lies outside `span` is counted at its ends.

    The count axis is logarithmic, to show the tails.
    """
    low, high = span
    edges = np.linspace(low, high, bins + 1)
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
    even = plot.line([(0, 0), (0, math.inf)], "stroke:var(--faint);stroke-dasharray:5 4", "even odds")
    return plot.svg("Histogram of scores", *pieces, even)


def score_span(scores: NDArray[np.float64]) -> tuple[float, float]:
    """What to show: all but the outermost thousandth at each side, and always even odds with a nat beside it."""
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.001, 0.999]) if len(finite) else (0.0, 0.0)
    return math.floor(min(float(low), -1)), math.ceil(max(float(high), 1))


def _score_axis(low: float, high: float) -> Axis:
    step = max(1, round((high - low) / 8))
    ticks = [(float(value), f"{value:+d}" if value else "0") for value in _multiples(step, low, high)]
    return linear("score (log-odds of spam; 0 is even odds)", low, high, ticks)


def _multiples(step: int, low: float, high: float) -> list[int]:
    return list(range(math.ceil(low / step) * step, math.floor(high) + 1, step))


def _count_axis(highest: int) -> Axis:
    """Logarithmic in count, but with a place for zero: a lone message stands a little above the ground."""
    top = math.log10(2 * max(highest, 1)) + 0.3
    ticks = [(10.0**power, f"{10**power:,}") for power in range(math.floor(math.log10(max(highest, 1))) + 1)]

    def place(count: float) -> float:
        return 0.0 if count <= 0 else _inside((math.log10(count) + 0.3) / top)

    return Axis("messages", tuple(ticks), place)
