"""The figures of compared networks: (1-ROCA)%, paired differences, and the files that show them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spamlstm.evaluation.metrics import Figure, one_minus_roca_pct, sm_at_hm_pct
from spamlstm.model.confidence import Z95

from . import cell_plot

Floats = NDArray[np.float64]

TABLE, DATA, PICTURE = "comparison.md", "comparison.json", "comparison.png"


class Logits(NamedTuple):
    """The labels of some messages and the logits that one network gives them."""

    spam: NDArray[np.bool_]
    logits: Floats


class Compared(NamedTuple):
    """One network: its name, what its deep part costs, and the logits that it gives.

    `found` are the logits of the left-out mail, of its disguised copies, and of the padded messages for each distance.
    `ms` is milliseconds per message. The wide part alone has no deep part, and costs 0.
    """

    name: str
    parameters: int
    int8_bytes: int
    ms: float
    found: list[Logits]


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one network.

    `left_out`, `disguised` and `by_distance` are (1-ROCA)%. `worse_by` is how much higher each of these figures is than
    that of the last network, in the same order. A figure is None where one class has no message.
    """

    name: str
    parameters: int
    int8_bytes: int
    ms: float
    left_out: Figure | None
    sm_at_hm_1_pct: Figure | None
    disguised: Figure | None
    by_distance: list[Figure | None]
    worse_by: list[Figure | None]


def result(made: Compared, best: Sequence[Logits]) -> Result:
    """Return the figures of a network, compared with the logits `best` of the last network."""
    left_out, disguised, *by_distance = (one_minus_roca_pct(*logits) for logits in made.found)
    worse_by = [difference(*logits, others.logits) for logits, others in zip(made.found, best, strict=True)]
    return Result(
        name=made.name,
        parameters=made.parameters,
        int8_bytes=made.int8_bytes,
        ms=made.ms,
        left_out=left_out,
        sm_at_hm_1_pct=sm_at_hm_pct(*made.found[0], 1.0),
        disguised=disguised,
        by_distance=by_distance,
        worse_by=worse_by,
    )


def difference(spam: NDArray[np.bool_], logits: Floats, others: Floats) -> Figure | None:
    """Return (1-ROCA)% of `logits` minus that of `others` on the same messages, with DeLong's interval (1988).

    Both rank the same messages, so the interval is narrower than those of the two figures. None if a class is missing.
    """
    if min(np.count_nonzero(spam), np.count_nonzero(~spam)) < 2:
        return None
    shares = [
        of_one - of_other
        for of_one, of_other in zip(_wrong_pairs(spam, logits), _wrong_pairs(spam, others), strict=True)
    ]
    value = float(shares[0].mean())
    half = Z95 * float(np.sqrt(sum(share.var(ddof=1) / len(share) for share in shares)))
    return Figure(100 * value, 100 * (value - half), 100 * (value + half))


def _wrong_pairs(spam: NDArray[np.bool_], logits: Floats) -> tuple[Floats, Floats]:
    """Return the share of wrongly ranked pairs of each spam and of each ham. An equal pair counts half."""
    high, low = np.sort(logits[spam]), np.sort(logits[~spam])
    of_spam = 1 - (np.searchsorted(low, logits[spam]) + np.searchsorted(low, logits[spam], "right")) / (2 * len(low))
    of_ham = (np.searchsorted(high, logits[~spam]) + np.searchsorted(high, logits[~spam], "right")) / (2 * len(high))
    return of_spam, of_ham


def write(results: Sequence[Result], metadata: dict[str, Any], into: Path) -> None:
    """Write table, data and picture into a folder."""
    (into / TABLE).write_text(table(results, metadata), "utf-8")
    cells = [asdict(result) for result in results]
    (into / DATA).write_text(json.dumps({**metadata, "cells": cells}, indent=1) + "\n", "utf-8")
    cell_plot.draw(results, metadata["distances"], into / PICTURE)


def table(results: Sequence[Result], metadata: dict[str, Any]) -> str:
    """Return the comparison in Markdown."""
    judged, recipe = metadata["judged"], metadata["recipe"]
    rows = round(recipe["deep_rows"] * recipe["per_epoch"])
    best, distances = results[-1].name, [f"{distance} tokens" for distance in metadata["distances"]]
    shortest, longest = metadata["short"]
    lines = [
        "# Comparison of recurrent cells",
        "",
        "Made by `python -m training compare-cells`. All networks correct the same wide part, and have the same",
        f"vocabulary, embedding and pooling. They learn from {recipe['epochs']} × {rows:,} rows.",
        f"They judge {', '.join(judged['sources'])}, left out of {metadata['trained_on']:,} messages to train on:",
        f"{judged['ham']:,} ham and {judged['spam']:,} spam, and {metadata['disguised']:,} disguised copies of them.",
        "95 % intervals are in brackets. Parameters, size and time are those of the deep part in ONNX Runtime on one",
        "thread, for a message with all its windows. The tables of tokens are int8, the cells float32.",
        "",
        *_grid(
            ["cell", "(1-ROCA)%", "sm % at hm 1 %", "disguised: (1-ROCA)%", "parameters", "bytes", "ms per message"],
            [
                [one.name, *map(with_interval, (one.left_out, one.sm_at_hm_1_pct, one.disguised)), *_cost(one)]
                for one in results
            ],
        ),
        "",
        "## Error by distance of the deciding words from the end",
        "",
        f"(1-ROCA)% on {metadata['distance_messages']:,} short messages ({shortest} to {longest} tokens) without",
        "header, followed by this many tokens of other ham, which are the same for each network.",
        "",
        *_grid(["cell", *distances], [[one.name, *map(with_interval, one.by_distance)] for one in results]),
        "",
        f"## Differences from the {best}",
        "",
        f"(1-ROCA)% minus that of the {best} on the same messages, with the interval of the difference: above 0 the",
        f"{best} is better.",
        "",
        *_grid(
            ["cell", "left out", "disguised", *distances],
            [[one.name, *map(with_interval, one.worse_by)] for one in results[:-1]],
        ),
        "",
        f"![Plot of the first two tables]({PICTURE})",
        "",
    ]
    return "\n".join(lines)


def with_interval(figure: Figure | None) -> str:
    """Return a figure and its interval as text."""
    return "–" if figure is None else f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * (len(head) - 1)], *body)]


def _cost(one: Result) -> list[str]:
    return [f"{one.parameters:,}", f"{one.int8_bytes:,}", f"{one.ms:.2f}"] if one.parameters else ["–"] * 3
