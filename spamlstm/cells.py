"""The cells of a database row, checked: SQLite keeps any value in any column, and a disk may give back another one.

Each function returns the cell in its Python type. It raises CellError, which names the column, for a value that this
program never writes there.
"""

import math
from enum import Enum
from typing import Any, TypeVar

# The largest row number that is taken for one of ours. Above it SQLite soon has no number left for the next row.
MOST_ROWS = 1 << 62
_LATEST = 253_402_300_800.0  # the year 10000, in seconds since 1970: no calendar shows what comes after

E = TypeVar("E", bound=Enum)


class CellError(ValueError):
    """A cell holds what this program does not write there."""

    def __init__(self, column: str, cell: object) -> None:
        shown = f"{len(cell)} bytes" if isinstance(cell, bytes) else ascii(cell)[:40]
        super().__init__(f"{column}: {shown}")


def whole(cell: Any, column: str, *, least: int = 0, most: int = MOST_ROWS) -> int:
    """A whole number within bounds."""
    if type(cell) is not int or not least <= cell <= most:
        raise CellError(column, cell)
    return cell


def real(cell: Any, column: str) -> float:
    """A finite number."""
    if type(cell) not in (int, float) or not math.isfinite(cell):
        raise CellError(column, cell)
    return float(cell)


def moment(cell: Any, column: str) -> float:
    """A time in seconds since 1970 that a calendar can show."""
    if not 0 <= real(cell, column) < _LATEST:
        raise CellError(column, cell)
    return float(cell)


def text(cell: Any, column: str, *, most: int = 1000) -> str:
    """A text of at most so many characters."""
    if type(cell) is not str or len(cell) > most:
        raise CellError(column, cell)
    return cell


def blob(cell: Any, column: str, *, most: int, length: int | None = None) -> bytes:
    """Bytes: at most so many, or exactly so many."""
    if type(cell) is not bytes or len(cell) > most or len(cell) != (len(cell) if length is None else length):
        raise CellError(column, cell)
    return cell


def word(cell: Any, column: str, kind: type[E]) -> E:
    """A member of an enumeration, by its value."""
    try:
        return kind(cell)
    except ValueError:
        raise CellError(column, cell) from None
