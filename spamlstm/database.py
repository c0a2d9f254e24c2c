"""SQLite databases in the state folder: private files, tables and upgrades, transactions, readable error messages."""

import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from spamlstm.config.ownership import check_regular, open_private, secured
from spamlstm.errors import ConfigError, DataError, OutputError, TemporaryError, UserError

# The largest row is a saved personal layer of 14 MB. The limit keeps SQLite from allocating a
# gigabyte because of a damaged length.
MOST_ROW_BYTES = 64 << 20
# SQLite result codes of errors other than a damaged file: a lock of another process, a full or read-only disk, …
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

# SQLite result codes of a temporary file that cannot be written. SQLite tries TMPDIR, /var/tmp, /usr/tmp and /tmp.
_NO_PLACE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR_GETTEMPPATH: "no folder for temporary files can be written",
}
# SQLite result codes of files beside a database that cannot be created or used because of the mode of the folder. On a
# read-only file system it is SQLITE_CANTOPEN.
_NO_FILES = (sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_READONLY_CANTINIT)
_ADVICE = "move it away to begin anew"

# The largest integer in SQLite. Modification times of files and folders may be larger.
MOST_INTEGER = (1 << 63) - 1


class NewerVersionError(DataError):
    """An error for a database of a newer version of this program. It is not damaged and must be kept for the update."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables and settings of one kind of database."""

    version: int
    schema: str
    """SQL statements, each with a semicolon at the end."""
    pragmas: tuple[str, ...]
    """PRAGMA settings for each connection, in addition to WAL mode."""
    loss: str
    """The end of the message that tells the user to move a damaged file away. It says which data is then lost."""
    upgrades: Mapping[int, str] = field(default_factory=dict)
    """For each earlier version, the SQL statements that upgrade the database to the next version."""
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Functions that the statements of `upgrades` use, each of two arguments."""


def open_in(state: Path, name: str, layout: Layout) -> sqlite3.Connection:
    """Open the database `name` in the state folder `state` and return the connection.

    A missing folder or database is created with access for this user only. Raises TemporaryError if another process
    keeps the database locked. Raises DataError if the database is damaged or has an unknown version, which is a
    NewerVersionError if the version is newer. Raises ConfigError if other users can change the folder.
    """
    secured(state)
    path = state / name
    # SQLite gives its additional files (WAL, …) the mode of the database file.
    os.close(open_private(path))
    with Explained(str(path), layout.loss):
        connection = connect(path)
    return prepared(connection, str(path), layout)


def temporary_copy(path: Path, layout: Layout) -> sqlite3.Connection:
    """Return a temporary copy of a database, for a dry run: the file is neither created nor upgraded.

    The copy has the tables of `layout`, and is empty if there is no file. Raises TemporaryError or DataError like
    `open_in`, ConfigError if `path` is a link, not a regular file or unreadable, and OutputError if the copy cannot be
    written.
    """
    check_regular(path)
    # A file without a name, of which only 2 MB are in memory: a journal may have 300 MB.
    copy = connect("")
    if path.exists():
        with Explained(str(path), layout.loss), contextlib.closing(_read_only(path)) as original:
            _copy(original, copy, str(path))
    return prepared(copy, str(path), layout)


def _read_only(path: Path) -> sqlite3.Connection:
    """Return a connection to a database that only reads it, also if its folder cannot be written.

    SQLite reads a database in WAL mode with the help of two files beside it, and creates them if they are missing. If
    they cannot be created and no program uses the database, the database file has all data and is read alone.
    """
    from urllib.parse import quote_from_bytes

    uri = f"file:{quote_from_bytes(os.fsencode(path.absolute()))}?mode=ro"
    try:
        return _checked(sqlite3.connect(uri, uri=True))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN and error.sqlite_errorcode not in _NO_FILES:
            raise
        if not os.access(path, os.R_OK, effective_ids=True):
            raise ConfigError(f"{path} cannot be read by this user; name another state folder with --state") from error
        changes = Path(f"{path}-wal")
        if changes.exists() and changes.stat().st_size:
            raise TemporaryError(
                f"{path} cannot be read, because {changes} has changes that are not yet in it, and the folder cannot be"
                f" written; copy {path.parent} and name the copy with --state"
            ) from error
        return sqlite3.connect(f"{uri}&immutable=1", uri=True)


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection after its database was read. It is closed after an error."""
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _copy(original: sqlite3.Connection, copy: sqlite3.Connection, shown: str) -> None:
    """Copy a database. Raises OutputError, which says what to do, if there is no place for the copy."""
    try:
        original.backup(copy)
    except sqlite3.OperationalError as error:
        why = _NO_PLACE.get(error.sqlite_errorcode)
        if why is None:
            raise
        raise OutputError(
            f"a temporary copy of {shown} cannot be written ({why}); name another folder with the variable TMPDIR"
        ) from error


def connect(database: Path | str) -> sqlite3.Connection:
    """Return a connection to an SQLite database.

    The connection waits at most five seconds for locks. It does not start transactions automatically.
    """
    connection = sqlite3.connect(database, timeout=5.0, isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_ROW_BYTES)
    return connection


@contextlib.contextmanager
def transaction(
    connection: sqlite3.Connection, *, durable: bool, rolled_back: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Run the `with` block in a transaction. Commit all changes, or undo all changes after any error.

    If `durable`, the committed changes are durable (fsynced) at the end. The database must be in WAL mode.
    `rolled_back` is called after an error in the block. Raises sqlite3.Error if the changes cannot be committed, for
    example on a full disk.
    """
    # A former ROLLBACK may have failed. BEGIN would then fail with the error code of a damaged file.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error, MemoryError):
            connection.execute("ROLLBACK")
        rolled_back()
        raise


def prepared(connection: sqlite3.Connection, shown: str, layout: Layout) -> sqlite3.Connection:
    """Check the database, create or upgrade its tables, and return the connection.

    `shown` names the database in error messages. The connection is closed on an error. Raises TemporaryError if another
    process keeps the database locked. Raises DataError or NewerVersionError like `open_in`.
    """
    try:
        with Explained(shown, layout.loss):
            _prepare(connection, shown, layout)
    except UserError:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an SQLite error means that the file is damaged, so that a later try would fail again."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return False  # an error in the calling code
    # Python does not set an error code for a text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in _TEMPORARY


def explained(error: sqlite3.DatabaseError) -> str:
    """Return the message of an error. SQLite does not say that the reason of an I/O error may be a full disk."""
    is_io = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
    return f"{error}; is the disk full?" if is_io else str(error)


def replacement_message(error: DataError, *, what: str = "it is replaced by an empty one") -> str:
    """Return the message of an error for damaged data that this program replaces.

    `what` says so in place of the advice to move the file away.
    """
    return str(error).replace(_ADVICE, what, 1)


@dataclass(frozen=True, slots=True)
class Explained:
    """A context manager that replaces SQLite errors and CellErrors in its block by errors with a readable message.

    `kind` is raised for a damaged file, TemporaryError for any other database error. `shown` is the name of the file in
    messages. `loss` is the field `loss` of its Layout. Stores reuse one instance for all queries, because a
    generator-based context manager would take 5 µs for each query.
    """

    shown: str
    loss: str
    kind: type[DataError] = DataError

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise `kind` if `error` means damage. Raise TemporaryError for other errors of the database."""
        if error is None:
            return
        # UnicodeDecodeError: Python cannot decode an SQLite message that quotes a damaged table name.
        unread = isinstance(error, CellError | UnicodeDecodeError)
        if unread or (isinstance(error, sqlite3.Error) and is_damage(error)):
            raise self.kind(f"{self.shown} is damaged ({error}); {_ADVICE}{self.loss}") from error
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError):
            raise TemporaryError(f"{self.shown} cannot be used now: {explained(error)}") from error


def _prepare(connection: sqlite3.Connection, shown: str, layout: Layout) -> None:
    for pragma in ("journal_mode = WAL", *layout.pragmas):
        connection.execute(f"PRAGMA {pragma}")
    version = _version(connection)
    if version not in (0, layout.version, *layout.upgrades):
        which, update = ("a newer", "update spamlstm, or ") if version > layout.version else ("another", "")
        kind = NewerVersionError if version > layout.version else DataError
        raise kind(f"{shown} was written by {which} version of spamlstm; {update}{_ADVICE}{layout.loss}")
    if version != layout.version:
        upgrade(connection, layout)


def upgrade(connection: sqlite3.Connection, layout: Layout) -> None:
    """Create or upgrade the tables of a database in one transaction. Raises sqlite3.Error if this is not possible."""
    for name, function in layout.functions.items():
        connection.create_function(name, 2, function, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have created or upgraded the tables in the meantime.
    while (version := _version(connection)) != layout.version:
        _run(connection, layout.upgrades[version] if version else layout.schema)
        connection.execute(f"PRAGMA user_version = {version + 1 if version else layout.version}")
    connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


# --- the cells of a row -----------------------------------------------------------------------------------------------

# SQLite stores values of any type in any column, and a damaged disk may change values. Each of the following functions
# checks a cell and returns its value. They raise CellError, which names the column, if this program never writes such a
# value into the column.

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
