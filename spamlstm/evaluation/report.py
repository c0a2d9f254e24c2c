"""The results of an evaluation as a table, as JSON, and as an HTML page that does not load other files."""

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spamlstm.errors import OutputError
from spamlstm.evaluation import metrics, plots
from spamlstm.evaluation.evaluate import FIGURES, Evaluation, Outcomes, Summary
from spamlstm.evaluation.metrics import Figure
from spamlstm.files import write_file
from spamlstm.verdict import Verdict

TITLES = {
    "one_minus_roca_pct": "(1-ROCA) %",
    "hm_pct": "hm %",
    "sm_pct": "sm %",
    "lam_pct": "lam %",
    "unsure_pct": "unsure %",
    "sm_at_hm_0_1_pct": "sm % at hm 0.1 %",
    "sm_at_hm_1_pct": "sm % at hm 1 %",
    "calibration_error": "calibration error",
    "messages_per_second": "messages/s",
}
HEADLINES = ("one_minus_roca_pct", "hm_pct", "sm_pct", "unsure_pct", "sm_at_hm_0_1_pct", "messages_per_second")
MISTAKES_SHOWN = 25
CELL = 22  # width, in characters, of a value, its interval and the space between them

Rows = Sequence[tuple[str, Summary]]


# --- text -----------------------------------------------------------------------------------------------------------


def print_table(evaluation: Evaluation, console: Console) -> None:
    """Print the figures as a table on a terminal, and otherwise as lines of tab-separated columns.

    The table shows as many sources side by side as the terminal is wide enough for. The columns of the lines are
    source, figure, value, low and high, with '-' for a figure that is undefined and for an interval that is unknown.
    """
    rows = _rows(evaluation)
    if not console.is_terminal:
        for line in _lines(rows):
            console.file.write(line + "\n")  # console.out would replace tabs with spaces
        return
    beside = max(1, (console.width - CELL) // CELL)
    for start in range(0, len(rows), beside):
        console.print(_table(rows[start : start + beside]))


def _rows(evaluation: Evaluation) -> Rows:
    """Return the summary of all mail and of each source. With a single source, return only this source."""
    sources = list(evaluation.sources.items())
    return sources if len(sources) == 1 else [("all", evaluation.all), *sources]


def _lines(rows: Rows) -> list[str]:
    lines = []
    for name, summary in rows:
        lines += [f"{name}\t{key}\t{getattr(summary, key)}\t-\t-" for key in ("n", "n_ham", "n_spam")]
        for key in FIGURES:
            figure = summary.figures[key]
            value = f"{figure.value:.6g}" if figure else "-"
            interval = [f"{end:.6g}" for end in figure.interval] if figure and figure.interval else ["-"] * 2
            lines.append("\t".join([name, key, value, *interval]))
    return lines


def _table(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", style="dim")
    for name, _ in rows:
        table.add_column(Text(name), justify="right")
    for title, key in (("messages", "n"), ("ham", "n_ham"), ("spam", "n_spam")):
        table.add_row(title, *(f"{getattr(summary, key):,}" for _, summary in rows))
    for key in FIGURES:
        table.add_row(TITLES[key], *(_cell(key, summary.figures[key]) for _, summary in rows))
    return table


def _cell(key: str, figure: Figure | None) -> Text:
    if figure is None:
        return Text("-", style="dim")
    return Text.assemble(_number(key, figure.value), (_interval(key, figure), "dim"))


def _interval(key: str, figure: Figure) -> str:
    """Return a space and the interval, or nothing if there is no interval."""
    return f" {'–'.join(_number(key, end) for end in figure.interval)}" if figure.interval else ""


def _number(key: str, value: float) -> str:
    """Return a number with three significant digits. A speed is shown without decimals."""
    if key == "messages_per_second":
        return f"{value:,.0f}"
    if value >= 99.95:
        return "100"
    if value == 0:
        return "0"
    places = min(4, max(1, 2 - math.floor(math.log10(value))))
    return f"{value:.{places}f}"


# --- files ----------------------------------------------------------------------------------------------------------


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write the figures as JSON: `{"all": {...}, "sources": {NAME: {...}}}`.

    Raises UserError if the file cannot be written.
    """
    write_whole(path, json.dumps(evaluation.as_json(), indent=2, ensure_ascii=False) + "\n")


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write an HTML page with the table, plots and mistakes. The page loads no other files.

    Raises UserError if the page cannot be written.
    """
    write_whole(path, _page(evaluation))


def write_whole(path: Path, text: str) -> None:
    """Write a file completely or not at all. Raises OutputError if the file cannot be written."""
    try:
        write_file(path, text)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


# --- the page -------------------------------------------------------------------------------------------------------


def _page(evaluation: Evaluation) -> str:
    template = Template(files("spamlstm.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    outcomes, rows = evaluation.outcomes, _rows(evaluation)
    curves = _curves(evaluation)
    known = ~np.isnan(outcomes.probability)
    bins = metrics.calibration_bins(outcomes.spam[known], outcomes.probability[known])
    return template.substitute(
        model=escape(evaluation.model),
        corpora=escape(", ".join(Path(corpus).name for corpus in evaluation.corpora)),
        n=f"{evaluation.all.n:,}",
        n_ham=f"{evaluation.all.n_ham:,}",
        n_spam=f"{evaluation.all.n_spam:,}",
        cards="".join(_card(key, evaluation.all.figures[key]) for key in HEADLINES),
        table=_html_table(rows),
        roc=plots.roc(curves, _lowest_pct(evaluation.all)) if curves else "<p>A ROC curve needs both ham and spam.</p>",
        legend=_legend([(name, f"c{number % plots.COLOURS}") for number, (name, _, _) in enumerate(curves)]),
        calibration=plots.calibration(bins),
        histograms=_histograms(evaluation, rows),
        mistakes=_mistakes(outcomes),
    )


def _card(key: str, figure: Figure | None) -> str:
    value, interval = (_number(key, figure.value), _interval(key, figure)) if figure else ("–", "needs ham and spam")
    return f'<div class="card"><span>{escape(TITLES[key])}</span><b>{value}</b><span>{interval}</span></div>'


def _html_table(rows: Rows) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in ("source", "ham", "spam", *TITLES.values()))
    lines = [
        f'<tr class="{"all" if name == "all" and len(rows) > 1 else "one"}"><td>{escape(name)}</td>'
        f"<td>{summary.n_ham:,}</td><td>{summary.n_spam:,}</td>"
        + "".join(_html_cell(key, summary.figures[key]) for key in FIGURES)
        + "</tr>"
        for name, summary in rows
    ]
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _html_cell(key: str, figure: Figure | None) -> str:
    if figure is None:
        return '<td class="soft">–</td>'
    return f"<td>{_number(key, figure.value)}<small>{_interval(key, figure)}</small></td>"


def _curves(evaluation: Evaluation) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Return the ROC points of all mail, then the ROC points of the largest sources with both classes.

    The number of curves is at most the number of colours.
    """
    both = [(name, one) for name, one in _rows(evaluation) if one.n_ham and one.n_spam]
    largest = sorted(both[1:], key=lambda row: -row[1].n)[: plots.COLOURS - 1]
    parts = [(name, _part(evaluation, name)) for name, _ in both[:1] + largest]
    return [(name, *metrics.roc_points(part.spam, part.score)) for name, part in parts]


def _part(evaluation: Evaluation, name: str) -> Outcomes:
    """Return the results for a row of the table, which is all mail or one source."""
    outcomes = evaluation.outcomes
    return outcomes.of(np.array(outcomes.source) == name) if name in evaluation.sources else outcomes


def _lowest_pct(summary: Summary) -> float:
    """Return the lowest percentage on the ROC axes.

    It is the power of 10 below the share of one message in the smaller class, which is the resolution of the data.
    """
    decade = math.floor(math.log10(100 / max(min(summary.n_ham, summary.n_spam), 1)))
    return 10.0 ** min(max(decade, -4), 1)


def _legend(names: Sequence[tuple[str, str]]) -> str:
    items = (f'<li><i style="background:var(--{colour})"></i>{escape(name)}</li>' for name, colour in names)
    return f'<ul class="legend">{"".join(items)}</ul>'


def _histograms(evaluation: Evaluation, rows: Rows) -> str:
    """Return histograms of all mail and of each source, with the same score axis for comparison."""
    span = plots.score_span(evaluation.outcomes.score)
    figures = []
    for name, _ in rows:
        part = _part(evaluation, name)
        picture = plots.histogram(part.score[~part.spam], part.score[part.spam], span)
        figures.append(f"<figure><h3>{escape(name)}</h3>{picture}</figure>")
    legend = _legend([("ham", "ham"), ("spam", "spam")])
    return f'{legend}<div class="{"three" if len(rows) > 1 else "pair"}">{"".join(figures)}</div>'


def _mistakes(outcomes: Outcomes) -> str:
    lost = outcomes.of(outcomes.are(Verdict.SPAM) & ~outcomes.spam)
    missed = outcomes.of(outcomes.are(Verdict.HAM) & outcomes.spam)
    return _mistake_table(
        "Ham classified as spam", lost, worst_first=np.argsort(-lost.score, kind="stable")
    ) + _mistake_table("Spam classified as ham", missed, worst_first=np.argsort(missed.score, kind="stable"))


def _mistake_table(title: str, part: Outcomes, *, worst_first: NDArray[np.intp]) -> str:
    worst = worst_first[:MISTAKES_SHOWN].tolist()
    lines = "".join(
        f'<tr><td>{escape(part.id[i])}</td><td class="text">{escape(part.source[i])}</td>'
        f"<td>{part.score[i]:+.2f}</td><td>{_percent(part.probability[i])}</td></tr>"
        for i in worst
    )
    titles = '<th>file id</th><th class="text">source</th><th>score</th><th>probability of spam</th>'
    table = f'<table class="mistakes"><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>'
    shown = f"{len(part.id):,}" + (f", the worst {len(worst)} shown" if len(worst) < len(part.id) else "")
    body = table if worst else '<div class="none">None.</div>'
    return f"<div><h3>{escape(title)} <small>({shown})</small></h3><div class=scroll>{body}</div></div>"


def _percent(probability: float) -> str:
    return "none" if math.isnan(probability) else f"{100 * probability:.2f} %"
