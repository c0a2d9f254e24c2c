"""A SQLite database in the state folder: opened durable and private, with its tables, or a sentence why not."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spamlstm.cells import CellError
from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import DataError, TemporaryError, UserError

# The largest row is a learned state, 14 MB. A damaged length must not make SQLite take a gigabyte for one.
MOST_ROW_BYTES = 64 << 20
# SQLite's results that say nothing of the file: another process holds a lock, a disk is full, read-only or fails.
_PASSING = frozenset(
    (
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)

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
    with Explained(str(path), layout.loss):
        connection = connect(path)
    return prepared(connection, str(path), layout)


def connect(database: Path | str) -> sqlite3.Connection:
    """A connection that begins and ends its transactions by what it is told, and waits its turn for five seconds."""
    connection = sqlite3.connect(database, timeout=5.0, isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_ROW_BYTES)
    return connection


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
        with Explained(shown, layout.loss):
            _prepare(connection, shown, layout)
    except UserError:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite says that the file is damaged, so that the same fails again later."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return False  # a mistake of the caller
    # Python gives no code where it finds by itself that a text is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in _PASSING


@dataclass(frozen=True, slots=True)
class Explained:
    """Turns what SQLite and `cells` raise in the block into a sentence: DataError for damage, else TemporaryError.

    `shown` names the file; `loss` is that of its Layout. It can be used again, as each question of a store asks for it:
    a generator would take 5 us.
    """

    shown: str
    loss: str

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the sentence in place of the error."""
        if error is None:
            return
        # Python cannot read SQLite's own message where that quotes a damaged name of a table.
        unread = isinstance(error, CellError | UnicodeDecodeError)
        if unread or (isinstance(error, sqlite3.Error) and is_damage(error)):
            raise DataError(f"{self.shown} is damaged ({error}); move it away to begin anew{self.loss}") from error
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError):
            raise TemporaryError(f"{self.shown} cannot be used now: {error}") from error


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
