"""The leave-out experiment: train without some sources, then classify their mail."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spamlstm.errors import UserError
from spamlstm.evaluation.metrics import one_minus_roca_pct, sm_at_hm

from . import run_folder
from .calibrate import LeftOut
from .dataset import Dataset
from .fit import Job, check_sources, judge, left_out, train
from .sampling import split

HEADER = ("judged by", "source", "ham", "spam", "(1-ROCA)%", "sm % at hm 0.5 %", "sm % at hm 1 %", "sm % at hm 3 %")


def check_out(out: Path) -> None:
    """Raise UserError if `out` cannot be replaced by a table. Only an earlier table may be replaced."""
    if out.exists() and not _is_table(out):
        raise UserError(f"{out} already exists and is not a table of this command; name another --out")
    run_folder.check_replaceable(out, holds=".")


def leave_out(data: Dataset, job: Job, names: Sequence[str]) -> str:
    """Train without the sources `names`, classify their mail, and return a Markdown table of the errors.

    The mail is classified by the network and by its wide part alone.

    The table is also written to `job.out`.
    """
    check_out(job.out)
    check_sources(data, names)
    held = left_out(data, names)
    identity = repr((job.recipe, job.limits, tuple(names), data.fingerprint()))
    folder = run_folder.open_run_folder(job.out, holds=".", identity=identity)
    trained = train(data, split(data, left=held), job, folder / "network.pt")
    rows = [HEADER, tuple("-" * 3 for _ in HEADER)]
    for name, part in trained.network.judges().items():
        rows += _rows(name, judge(data, part, trained.vocabulary, np.flatnonzero(held), job))
    table = "\n".join(map(_line, rows)) + "\n"
    result = folder / "table.md"
    result.write_text(table, "utf-8")
    run_folder.publish(result, job.out, folder=folder)
    return table


def _is_table(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.readline().strip() == _line(HEADER).encode()


def _line(row: Iterable[str]) -> str:
    return f"| {' | '.join(row)} |"


def _rows(network: str, part: LeftOut) -> Iterable[tuple[str, ...]]:
    for source in np.unique(part.source):
        yield network, *_row(str(source), part, part.source == source)
    yield network, *_row("together", part, np.ones(len(part.spam), bool))


def _row(name: str, part: LeftOut, members: np.ndarray) -> tuple[str, ...]:
    spam, logits = part.spam[members], part.logits[members]
    figure = one_minus_roca_pct(spam, logits)
    missed = (sm_at_hm(spam, logits, share) for share in (0.5, 1.0, 3.0))
    numbers = (None if figure is None else figure.value, *(value if figure else None for value in missed))
    counts = (f"{np.count_nonzero(~spam):,}", f"{np.count_nonzero(spam):,}")
    return (name, *counts, *("–" if number is None else f"{number:.2f}" for number in numbers))
