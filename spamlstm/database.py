"""SQLite databases in the state folder: private files, tables and upgrades, transactions, errors as sentences."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spamlstm.cells import CellError
from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import DataError, TemporaryError, UserError

# The largest row is a learned state, 14 MB. A damaged length must not make SQLite allocate a gigabyte.
MOST_ROW_BYTES = 64 << 20
# Result codes that do not mean a damaged file: another process holds a lock, the disk is full, read-only or fails.
_TEMPORARY = frozenset(
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

# The largest integer of SQLite. Dates of files and folders may be larger.
MOST_INTEGER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables and settings of one kind of database."""

    version: int
    schema: str
    """SQL statements, each with a semicolon at the end."""
    pragmas: tuple[str, ...]
    """Settings of each connection, beside WAL."""
    loss: str
    """What is lost with the file: the end of the sentence that says to move a damaged one away."""
    upgrades: Mapping[int, str] = field(default_factory=dict)
    """For each earlier version, the statements that upgrade it to the next one."""


def open_in(state: Path, name: str, layout: Layout) -> sqlite3.Connection:
    """Open the database `name` in a state folder. Both are created, for this user alone, if they are missing.

    TemporaryError if another process keeps it locked, DataError if it is damaged or of another version, ConfigError if
    others could change the folder.
    """
    secured(state)
    path = state / name
    # SQLite gives its other files the mode of this one.
    os.close(open_private(path))
    with Explained(str(path), layout.loss):
        connection = connect(path)
    return prepared(connection, str(path), layout)


def connect(database: Path | str) -> sqlite3.Connection:
    """Return a connection without automatic transactions, which waits five seconds for locks."""
    connection = sqlite3.connect(database, timeout=5.0, isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_ROW_BYTES)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    """Commit all changes of the block, or none on an error. If `durable`, they are on disk at the end. In WAL mode.

    sqlite3.Error if they cannot be committed, for example on a full disk.
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
    """Check the database, create its tables and return the connection. It is closed on the errors of `open_in`."""
    try:
        with Explained(shown, layout.loss):
            _prepare(connection, shown, layout)
    except UserError:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite means that the file is damaged, so that the same call fails again later."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return False  # a mistake of the caller
    # Python sets no code for a text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in _TEMPORARY


@dataclass(frozen=True, slots=True)
class Explained:
    """Turns errors of SQLite and `cells` in its block into sentences: DataError for damage, else TemporaryError.

    `shown` names the file; `loss` is that of its Layout. Stores use one instance again for each query: a generator
    would take 5 us.
    """

    shown: str
    loss: str

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the sentence instead of the error."""
        if error is None:
            return
        # Python cannot decode a message of SQLite that quotes a damaged table name.
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
        # Another process may have done it meanwhile.
        while (version := _version(connection)) != layout.version:
            _run(connection, layout.upgrades[version] if version else layout.schema)
            connection.execute(f"PRAGMA user_version = {version + 1 if version else layout.version}")
        connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
