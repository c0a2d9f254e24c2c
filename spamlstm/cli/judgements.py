"""Print judgements as tables on a terminal, as tab-separated lines elsewhere, or as JSON.

A judgement is a verdict (ham, unsure or spam) with its score and reason. A cause is a word or fact of the message with
its contribution to the score, or the rule that decided in place of the score.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spamlstm.cli.terminal import console, encodable, is_terminal, plain, print_json
from spamlstm.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from rich.table import Table

    from spamlstm.model.explain import Cause
    from spamlstm.model.policy import Policy

COLOURS = {Verdict.HAM: "green", Verdict.UNSURE: "yellow", Verdict.SPAM: "red"}

# The number of rows in a table. A run with more rows prints several tables.
_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One classified message. `ms` is the time to classify it in milliseconds."""

    path: str
    judgement: Judgement
    ms: float
    causes: "list[Cause] | None" = None
    policy: "Policy | None" = None
    """The policy for the user of the message."""
    done: str | None = None
    """A description of the actions on the message. None for commands that only classify."""


Show = Callable[[Row], None]


def judgement_printer(*, json: bool) -> AbstractContextManager[Show]:
    """Return a context manager that yields a function to print one row. Pending rows are printed at its exit."""
    if is_terminal(sys.stdout) and not json:
        return _tables()
    if json:
        return contextlib.nullcontext(lambda row: print_json(_object(row)))
    return contextlib.nullcontext(_print_lines)


def _object(row: Row) -> dict[str, Any]:
    judgement = row.judgement
    shown: dict[str, Any] = {
        "path": row.path,
        "verdict": judgement.verdict,
        "probability": None if judgement.probability is None else round(judgement.probability, 6),
        "score": None if judgement.score is None else round(judgement.score, 4),
        "reason": judgement.reason,
        "thresholds": row.policy and row.policy.thresholds_json(),
        "model": judgement.model,
        "defects": list(judgement.defects),
        "ms": round(row.ms, 2),
    }
    if row.done is not None:
        shown["done"] = row.done
    if row.causes is not None:
        shown["explain"] = [
            {"kind": cause.kind, "text": cause.text, "contribution": cause.contribution}
            | ({} if cause.code is None else {"code": cause.code})
            for cause in row.causes
        ]
    return shown


def _print_lines(row: Row) -> None:
    """Print verdict, probability, score, reason, path and actions, separated by tabs.

    Each cause follows on a line of its own that begins with a tab.
    """
    judgement = row.judgement
    first = (
        judgement.verdict,
        "-" if judgement.probability is None else f"{judgement.probability:.4f}",
        "-" if judgement.score is None else f"{judgement.score:+.2f}",
        judgement.reason,
        plain(row.path),
        *(() if row.done is None else (plain(row.done),)),
    )
    causes = [f"\t{_contribution(cause)}\t{cause.kind}\t{plain(cause.text)}" for cause in row.causes or ()]
    sys.stdout.write("\n".join(["\t".join(first), *causes, ""]))


def _contribution(cause: "Cause") -> str:
    return "-" if cause.contribution is None else f"{cause.contribution:+.2f}"


@contextlib.contextmanager
def _tables() -> Iterator[Show]:
    out = console()
    rows: list[Row] = []
    counts: Counter[Verdict] = Counter()

    def flush() -> None:
        if rows:
            out.print(_table(rows, header=counts.total() <= _BLOCK))
            rows.clear()

    def show(row: Row) -> None:
        rows.append(row)
        counts[row.judgement.verdict] += 1
        if len(rows) == _BLOCK or row.causes is not None:
            flush()

    yield show
    flush()
    if counts.total() > 1:
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLOURS if counts[verdict])
        out.print(f" {counts.total()} messages: {summary}")


def _table(rows: list[Row], *, header: bool) -> "Table":
    """Return a table with fixed column widths, so that all tables of a long run are aligned."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if header else None, show_header=header, expand=True, padding=(0, 1), pad_edge=True
    )
    table.add_column("verdict", width=7)
    table.add_column("spam", width=6, justify="right")
    table.add_column("reason", width=12)
    table.add_column("path", ratio=1, overflow="fold")
    if any(row.done is not None for row in rows):
        table.add_column("done", width=18, overflow="fold")
    for row in rows:
        judgement = row.judgement
        share = "-" if judgement.probability is None else f"{100 * judgement.probability:.1f}%"
        done = () if row.done is None else (Text(plain(row.done)),)
        path = Text(encodable(plain(row.path)))
        table.add_row(Text(judgement.verdict, COLOURS[judgement.verdict]), share, judgement.reason, path, *done)
        for cause in row.causes or ():
            towards = judgement.verdict
            if cause.contribution is not None:
                towards = Verdict.SPAM if cause.contribution > 0 else Verdict.HAM
            contribution = Text(_contribution(cause), COLOURS[towards])
            table.add_row("", contribution, cause.kind, Text(encodable(plain(cause.text))))
    return table
