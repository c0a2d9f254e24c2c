"""One experiment: a network trained without some sources, and how it judges them. What decisions are made by."""

from collections.abc import Iterable, Sequence

import numpy as np

from spamlstm.model.metrics import one_minus_roca_pct, sm_at_hm
from training import workplace
from training.calibrate import LeftOut
from training.dataset import Dataset
from training.fit import Job, check_sources, judge, left_out, train
from training.sampling import split

HEADER = ("source", "ham", "spam", "(1-ROCA)%", "sm % at hm 0.5 %", "sm % at hm 1 %", "sm % at hm 3 %")


def leave_out(data: Dataset, job: Job, names: Sequence[str]) -> str:
    """Train without `names`, judge them, and give the figures of each and of all together as a Markdown table."""
    check_sources(data, names)
    held = left_out(data, names)
    identity = repr((job.recipe, job.limits, tuple(names), data.fingerprint()))
    beside = workplace.begin(job.out, holds=".", identity=identity)
    trained = train(data, split(data, left=held), job, beside / "network.pt")
    part = judge(data, trained, np.flatnonzero(held), job)
    rows = [HEADER, tuple("-" * 3 for _ in HEADER), *_rows(part)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
    result = beside / "table.md"
    result.write_text(table, "utf-8")
    workplace.finish(result, job.out, beside=beside)
    return table


def _rows(part: LeftOut) -> Iterable[tuple[str, ...]]:
    for name in np.unique(part.source):
        yield _row(str(name), part, part.source == name)
    yield _row("together", part, np.ones(len(part.spam), bool))


def _row(name: str, part: LeftOut, mine: np.ndarray) -> tuple[str, ...]:
    spam, logits = part.spam[mine], part.logits[mine]
    figure = one_minus_roca_pct(spam, logits)
    missed = (sm_at_hm(spam, logits, share) for share in (0.5, 1.0, 3.0))
    numbers = (None if figure is None else figure.value, *(value if figure else None for value in missed))
    counts = (f"{np.count_nonzero(~spam):,}", f"{np.count_nonzero(spam):,}")
    return (name, *counts, *("–" if number is None else f"{number:.2f}" for number in numbers))
