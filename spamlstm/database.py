"""A SQLite database in the state folder: opened durable and private, with its tables, or a sentence why not."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import DataError, TemporaryError

# What SQLite can store. Dates of files and folders may be larger.
MOST_INTEGER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """What one kind of database is."""

    version: int
    schema: str
    """Statements, each ended by a semicolon."""
    pragmas: tuple[str, ...]
    """What holds for each connection, beside WAL."""
    loss: str
    """The end of the sentence that says to move a damaged one away: what is lost with it."""
    upgrades: Mapping[int, str] = field(default_factory=dict)
    """By an earlier version, the statements that make the next of it, each ended by a semicolon."""


def open_in(state: Path, name: str, layout: Layout) -> sqlite3.Connection:
    """Open the database of that name in a state folder; both are made, for their owner alone, if they are not there.

    TemporaryError if another process keeps it from being opened, DataError if it is none of ours, ConfigError if others
    could change the folder.
    """
    secured(state)
    path = state / name
    # SQLite gives its further files the mode of this one.
    os.close(open_private(path))
    return prepared(connect(path), str(path), layout)


def connect(database: Path | str) -> sqlite3.Connection:
    """A connection that begins and ends its transactions by what it is told, and waits its turn for five seconds."""
    return sqlite3.connect(database, timeout=5.0, isolation_level=None)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    """All that is done in the block or nothing; if `durable`, on disk when the block is left. In WAL mode.

    sqlite3.Error where that is impossible, such as with a full disk.
    """
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def prepared(connection: sqlite3.Connection, shown: str, layout: Layout) -> sqlite3.Connection:
    """The connection, checked and with its tables; closed by whatever error `open_in` speaks of."""
    try:
        _prepare(connection, shown, layout)
    except sqlite3.OperationalError as error:
        connection.close()
        raise TemporaryError(f"{shown} cannot be opened now: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"{shown} is damaged ({error}); move it away to begin anew{layout.loss}") from error
    except DataError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, shown: str, layout: Layout) -> None:
    for pragma in ("journal_mode = WAL", *layout.pragmas):
        connection.execute(f"PRAGMA {pragma}")
    version = _version(connection)
    if version not in (0, layout.version, *layout.upgrades):
        raise DataError(f"{shown} was written by another version of spamlstm; move it away to begin anew")
    if version != layout.version:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may just have done it.
        while (version := _version(connection)) != layout.version:
            _run(connection, layout.upgrades[version] if version else layout.schema)
            connection.execute(f"PRAGMA user_version = {version + 1 if version else layout.version}")
        connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
