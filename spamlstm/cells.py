"""Checks for the cells of a database row: SQLite stores any value in any column, and a damaged disk may change it.

Each function returns the cell in its Python type, or raises CellError, which names the column, for a value that this
program never writes there.
"""

import math
from enum import Enum
from typing import Any, TypeVar

# The largest valid row number. Above it SQLite soon has no number for the next row.
MOST_ROWS = 1 << 62
_LATEST = 253_402_300_800.0  # the year 10000 in seconds since 1970; Python shows no later date

E = TypeVar("E", bound=Enum)


class CellError(ValueError):
    """A cell has a value that this program does not write there."""

    def __init__(self, column: str, cell: object) -> None:
        shown = f"{len(cell)} bytes" if isinstance(cell, bytes) else ascii(cell)[:40]
        super().__init__(f"{column}: {shown}")


def whole(cell: Any, column: str, *, least: int = 0, most: int = MOST_ROWS) -> int:
    """Return a whole number from `least` to `most`."""
    if type(cell) is not int or not least <= cell <= most:
        raise CellError(column, cell)
    return cell


def real(cell: Any, column: str) -> float:
    """Return a finite number."""
    if type(cell) not in (int, float) or not math.isfinite(cell):
        raise CellError(column, cell)
    return float(cell)


def moment(cell: Any, column: str) -> float:
    """Return a time in seconds since 1970, before the year 10000."""
    if not 0 <= real(cell, column) < _LATEST:
        raise CellError(column, cell)
    return float(cell)


def text(cell: Any, column: str, *, most: int = 1000) -> str:
    """Return a text of at most `most` characters."""
    if type(cell) is not str or len(cell) > most:
        raise CellError(column, cell)
    return cell


def blob(cell: Any, column: str, *, most: int, length: int | None = None) -> bytes:
    """Return at most `most` bytes, or exactly `length`."""
    if type(cell) is not bytes or len(cell) > most or len(cell) != (len(cell) if length is None else length):
        raise CellError(column, cell)
    return cell


def word(cell: Any, column: str, kind: type[E]) -> E:
    """Return the member of the enumeration `kind` with this value."""
    try:
        return kind(cell)
    except ValueError:
        raise CellError(column, cell) from None
