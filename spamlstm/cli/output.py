"""The forms in which judgements are printed: a table for people, lines for tools, JSON for programs."""

import contextlib
import json as jsons
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from spamlstm.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from rich.table import Table

    from spamlstm.model.explain import Cause

COLOURS = {Verdict.HAM: "green", Verdict.UNSURE: "yellow", Verdict.SPAM: "red"}

# Rows are shown this many at a time, so that a long run shows something and a short one is one table.
_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One judged message as it is shown."""

    path: str
    judgement: Judgement
    ms: float
    pulls: "list[Cause] | None" = None
    done: str | None = None
    """What was done about it, for the commands that do something."""


Show = Callable[[Row], None]


def printer(out: TextIO, *, json: bool) -> AbstractContextManager[Show]:
    """A function that prints one row, in the form that `out` calls for; leaving the context prints what is left."""
    # A file name is bytes: those that are no UTF-8 go out as they came.
    with contextlib.suppress(AttributeError):
        out.reconfigure(errors="surrogateescape")  # type: ignore[attr-defined]
    if json:
        return contextlib.nullcontext(lambda row: print(_json(row), file=out))
    if out.isatty():
        return _table(out)
    return contextlib.nullcontext(lambda row: print(_lines(row), file=out))


def plain(text: str) -> str:
    """`text` without what would move a terminal's cursor or break a line: mail and file names come from anyone."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else repr(c)[1:-1] for c in text)


def plain_lines(text: str) -> str:
    """The same for a text of several lines, whose line feeds stay."""
    return "\n".join(map(plain, text.split("\n")))


def complain(name: str, why: str) -> None:
    """Say on standard error what is wrong with one piece of mail."""
    sys.stderr.write(f"spamlstm: {plain(name)}: {why}\n")


def note(sentence: str) -> None:
    """Say on standard error what happened beside what was asked for."""
    sys.stderr.write(f"spamlstm: {plain(sentence)}\n")


def local_time(moment: float) -> str:
    """Seconds since 1970 as date and time where the user is."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _json(row: Row) -> str:
    judgement = row.judgement
    shown: dict[str, Any] = {
        "path": row.path,
        "verdict": judgement.verdict,
        "probability": _rounded(judgement.probability, 6),
        "score": _rounded(judgement.score, 4),
        "reason": judgement.reason,
        "model": judgement.model,
        "defects": list(judgement.defects),
        "ms": round(row.ms, 2),
    }
    if row.done is not None:
        shown["done"] = row.done
    if row.pulls is not None:
        shown["explain"] = [{"kind": pull.kind, "text": pull.text, "pull": pull.pull} for pull in row.pulls]
    return jsons.dumps(shown)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _lines(row: Row) -> str:
    """verdict, probability, score, reason, path and what was done, parted by tabs; pulls below, each after a tab."""
    judgement = row.judgement
    first = (
        judgement.verdict,
        _number(judgement.probability, ".4f"),
        _number(judgement.score, "+.2f"),
        judgement.reason,
        plain(row.path),
        *(() if row.done is None else (plain(row.done),)),
    )
    pulls = [f"\t{pull.pull:+.2f}\t{pull.kind}\t{plain(pull.text)}" for pull in row.pulls or ()]
    return "\n".join(["\t".join(first), *pulls])


@contextlib.contextmanager
def _table(out: TextIO) -> Iterator[Show]:
    from rich.console import Console

    console = Console(file=out, highlight=False)
    rows: list[Row] = []
    counts: Counter[Verdict] = Counter()

    def flush() -> None:
        if rows:
            console.print(_block(rows, header=counts.total() <= _BLOCK))
            rows.clear()

    def show(row: Row) -> None:
        rows.append(row)
        counts[row.judgement.verdict] += 1
        if len(rows) == _BLOCK or row.pulls is not None:
            flush()

    yield show
    flush()
    if counts.total() > 1:
        tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLOURS if counts[verdict])
        console.print(f" {counts.total()} messages: {tally}")


def _block(rows: list[Row], *, header: bool) -> "Table":
    """Some rows as a table of fixed widths, so that the blocks of a long run stand exactly under each other."""
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
        name = Text(plain(row.path).encode("utf-8", "replace").decode())
        done = () if row.done is None else (Text(plain(row.done)),)
        table.add_row(Text(judgement.verdict, COLOURS[judgement.verdict]), share, judgement.reason, name, *done)
        for pull in row.pulls or ():
            towards = COLOURS[Verdict.SPAM if pull.pull > 0 else Verdict.HAM]
            table.add_row("", Text(f"{pull.pull:+.2f}", towards), pull.kind, Text(plain(pull.text)))
    return table
