"""The open database of a journal, which `Journal`, `InboxIndex` and `InProgress` use."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spamlstm import database
from spamlstm.database import Explained


class JournalDatabase:
    """The connection to the database of a journal.

    All methods raise DataError if the database is damaged, and TemporaryError if it cannot be read or written now.
    """

    def __init__(self, connection: sqlite3.Connection, explained: Explained) -> None:
        self.connection = connection
        self.explained = explained
        """A context manager that raises the errors above in place of those of SQLite."""

    @contextlib.contextmanager
    def transaction(self, *, durable: bool, rolled_back: Callable[[], None]) -> Iterator[None]:
        """Run the `with` block in a `database.transaction`."""
        with self.explained, database.transaction(self.connection, durable=durable, rolled_back=rolled_back):
            yield

    def rows(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a statement returns. The statement begins when the first row is requested."""
        with self.explained:
            yield from self.connection.execute(statement, values)

    def first(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row that a statement returns. Return None if there are no rows."""
        with self.explained:
            row: tuple[Any, ...] | None = self.connection.execute(statement, values).fetchone()
            return row

    def run(self, statement: str, *values: object) -> int:
        """Run a statement. Return the number of the row that was added last, or 0."""
        with self.explained:
            return self.connection.execute(statement, values).lastrowid or 0

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement once with each row of values."""
        with self.explained:
            self.connection.executemany(statement, rows)
