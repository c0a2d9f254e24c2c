"""How much the label store may hold, and which rows go first when it holds more.

Age is counted, not subtracted: a label is too old when something was labelled in 36 later months, by the times that
were noted. A clock that is years wrong, forward or backward, is one more month, whatever was labelled under it; so it
costs no label, and the labels said under it are as old as their neighbours. Whoever labels rarely keeps labels longer.
"""

import itertools
from collections.abc import Sequence

# 20,000 labels are learned anew in about six seconds, and what is kept of their mail is 90 MB as a rule.
MOST_LABELS = 20_000
MOST_BYTES = 256 << 20
MOST_MONTHS = 36
MONTH = 30.5 * 86_400
# Past its bounds the store is cut to this share of them, as everything is learned anew after a cut.
_ROOM = 0.9

Row = tuple[int, int, float, bool]
"""Number, bytes, time in seconds since 1970, and whether it was adopted."""


def surplus(rows: Sequence[Row]) -> list[int]:
    """The numbers of the rows that the bounds leave no room for; `rows` are all, the last that was said first.

    What is too old goes, then what was adopted, then what was said, the first of each first.
    """
    kept = sorted(_recent(rows), key=lambda row: row[3])
    if len(kept) > MOST_LABELS:
        kept = kept[: int(MOST_LABELS * _ROOM)]
    if sum(size for _, size, *_ in kept) > MOST_BYTES:
        room = MOST_BYTES * _ROOM
        sums = itertools.accumulate(size for _, size, *_ in kept)
        kept = [row for row, total in zip(kept, sums, strict=True) if total <= room]
    stay = {number for number, *_ in kept}
    return [number for number, *_ in rows if number not in stay]


def _recent(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that are not too old."""
    months: set[int] = set()
    for place, (_, _, time, _) in enumerate(rows):
        months.add(int(time // MONTH))
        if len(months) > MOST_MONTHS:
            return rows[:place]
    return rows
