"""The database of one label store: its transactions, the decoding of its rows, and its epochs.

`LabelStore`, `SavedLayers` and `WrittenNames` use one database. A saved layer is a personal layer that was learned from
the rows with labels, in their order.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from spamlstm import database
from spamlstm.database import MOST_ROWS, whole
from spamlstm.learning.label_rows import LAYOUT

T = TypeVar("T")


class LabelDatabase:
    """An open database with the tables of `label_rows.LAYOUT`. `shown` is its name in error messages.

    All methods raise DataError if the database is damaged, and TemporaryError if it cannot be read or written now.
    """

    def __init__(self, connection: sqlite3.Connection, shown: str) -> None:
        self.connection = connection
        self.shown = shown
        self.explained = database.Explained(shown, LAYOUT.loss)
        """A context manager that raises the errors above in place of those of SQLite."""

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Yield the database in a durable transaction."""
        with self.explained, database.transaction(self.connection, durable=True):
            yield self.connection

    def decoded(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> Iterator[T]:
        """Yield the decoded rows that a statement returns."""
        with self.explained:
            for row in self.connection.execute(statement, values):
                yield decode(row)

    def first(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> T | None:
        """Return the decoded first row that a statement returns. Return None if there are no rows."""
        with self.explained:
            row = self.connection.execute(statement, values).fetchone()
            return None if row is None else decode(row)

    @property
    def epoch(self) -> int:
        """Return a number that changes whenever rows that may have been learned are removed or changed."""
        return self.first(number_from, "SELECT coalesce((SELECT number FROM epoch), '')") or 0

    def invalidate(self, *, first: int) -> None:
        """Delete the saved layers that learned the row with the id `first` or later rows, and start a new epoch.

        Must be called in a transaction in which rows that may have been learned are removed or changed.
        """
        self.connection.execute("DELETE FROM learned WHERE last >= ?", (first,))
        self.connection.execute("UPDATE epoch SET number = number + 1")


def number_from(row: tuple[Any, ...]) -> int:
    """Decode a row with one column, which is a whole number."""
    return whole(row[0], "number", least=-MOST_ROWS)
