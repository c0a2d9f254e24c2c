"""Checks for the cells (values) of a database row.

The checks are needed because SQLite stores any value in any column, and a damaged disk may change values. Each function
returns the cell in its Python type. Each function raises CellError, which names `column`, for a value that this program
never writes into that column.
"""

import math
from enum import Enum
from typing import Any, TypeVar

# The largest valid row number. Above this number, SQLite would soon run out of row numbers.
MOST_ROWS = 1 << 62
_LATEST = 253_402_300_800.0  # the year 10000 in seconds since 1970; Python does not support later dates

E = TypeVar("E", bound=Enum)


class CellError(ValueError):
    """An error for a cell with a value that this program never writes into the column."""

    def __init__(self, column: str, cell: object) -> None:
        shown = f"{len(cell)} bytes" if isinstance(cell, bytes) else ascii(cell)[:40]
        super().__init__(f"{column}: {shown}")


def whole(cell: Any, column: str, *, least: int = 0, most: int = MOST_ROWS) -> int:
    """Return the cell as an integer from `least` to `most`."""
    if type(cell) is not int or not least <= cell <= most:
        raise CellError(column, cell)
    return cell


def real(cell: Any, column: str) -> float:
    """Return the cell as a finite float."""
    if type(cell) not in (int, float) or not math.isfinite(cell):
        raise CellError(column, cell)
    return float(cell)


def moment(cell: Any, column: str) -> float:
    """Return the cell as a time in seconds since 1970, before the year 10000."""
    if not 0 <= real(cell, column) < _LATEST:
        raise CellError(column, cell)
    return float(cell)


def text(cell: Any, column: str, *, most: int = 1000) -> str:
    """Return the cell as a text of at most `most` characters."""
    if type(cell) is not str or len(cell) > most:
        raise CellError(column, cell)
    return cell


def blob(cell: Any, column: str, *, most: int, length: int | None = None) -> bytes:
    """Return the cell as at most `most` bytes, or as exactly `length` bytes if `length` is given."""
    if type(cell) is not bytes or len(cell) > most or len(cell) != (len(cell) if length is None else length):
        raise CellError(column, cell)
    return cell


def word(cell: Any, column: str, kind: type[E]) -> E:
    """Return the member of the enumeration `kind` whose value is the cell."""
    try:
        return kind(cell)
    except ValueError:
        raise CellError(column, cell) from None
