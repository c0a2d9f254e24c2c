"""The bounds of the label store, and which rows are removed when they are exceeded.

Age is the number of months in which something was labelled later: a label is too old after 36 of them. A clock that is
wrong by years, in either direction, therefore counts as one more month, and costs no label. Users who label rarely keep
their labels longer.
"""

import itertools
from collections.abc import Sequence

# 20,000 labels are learned again in about six seconds, and the stored mail usually takes 90 MB.
MOST_LABELS = 20_000
MOST_BYTES = 256 << 20
MOST_MONTHS = 36
MONTH = 30.5 * 86_400
# A full store is cut to this share of its bounds, because everything is learned again after a cut.
_ROOM = 0.9

SizedRow = tuple[int, int, float, bool]
"""The id of a row, its bytes, its time in seconds since 1970, and whether it was adopted."""


def surplus(rows: Sequence[SizedRow]) -> list[int]:
    """Return the ids of the rows to remove, given all rows with the latest first.

    Rows that are too old go first, then adopted ones, then the user's own, the oldest of each kind first.
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
