"""The bounds of the label store: number, bytes and age of its labels, and the choice of rows to remove.

The age of a label is the number of later months in which the user labelled at least one message. A label is too old at
an age of 36 months. A clock that is wrong by years therefore adds one month to these ages and removes no labels. Users
who label rarely keep their labels longer.
"""

import itertools
from collections.abc import Sequence

# Learning 20,000 labels again takes about six seconds. Their stored mail usually takes 90 MB.
MOST_LABELS = 20_000
MOST_BYTES = 256 << 20
MOST_MONTHS = 36
MONTH = 30.5 * 86_400
# A store that exceeds a bound is reduced to this share of it. All labels are learned again after each reduction.
_ROOM = 0.9

SizedRow = tuple[int, int, float, bool]
"""The id of a row, its size in bytes, its time in seconds since 1970, and whether its label was adopted."""


def surplus(rows: Sequence[SizedRow]) -> list[int]:
    """Return the ids of the rows to remove. `rows` are all rows of the store, the latest first.

    Rows that are too old are removed first, then adopted labels, then labels that the user gave. Within each kind the
    oldest rows are removed first.
    """
    kept = sorted(_recent(rows), key=lambda row: row[3])
    if len(kept) > MOST_LABELS:
        kept = kept[: int(MOST_LABELS * _ROOM)]
    if sum(size for _, size, *_ in kept) > MOST_BYTES:
        room = MOST_BYTES * _ROOM
        sums = itertools.accumulate(size for _, size, *_ in kept)
        kept = [row for row, total in zip(kept, sums, strict=True) if total <= room]
    kept_ids = {number for number, *_ in kept}
    return [number for number, *_ in rows if number not in kept_ids]


def _recent(rows: Sequence[SizedRow]) -> Sequence[SizedRow]:
    """Return the rows that are not too old."""
    months: set[int] = set()
    for index, (_, _, time, _) in enumerate(rows):
        months.add(int(time // MONTH))
        if len(months) > MOST_MONTHS:
            return rows[:index]
    return rows
