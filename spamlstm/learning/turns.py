"""The order in which labels that were said in bulk are learned."""

from collections.abc import Sequence

from spamlstm.learning.label import Label, Origin

Row = tuple[int, Label, Origin]
"""Number, label and origin."""


def interleave(rows: Sequence[Row]) -> list[Row]:
    """The same rows: what was said in bulk at the place of its first, evenly mixed."""
    bulk = [row for row in rows if row[2] == Origin.BULK]
    if not bulk:
        return list(rows)
    kinds = [[row for row in bulk if row[1] == label] for label in Label]
    spread = [((place + 0.5) / len(kind), row[1], row) for kind in kinds for place, row in enumerate(kind)]
    before = [row for row in rows if row[0] < bulk[0][0]]
    after = [row for row in rows if row[0] > bulk[0][0] and row[2] != Origin.BULK]
    return [*before, *(row for *_, row in sorted(spread)), *after]
