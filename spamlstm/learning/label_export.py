"""Export of the labels to a file, and a check of such a file before `label_merge` imports it.

The file holds every table and column of the store, except those that are computed from others. Everything that was
learned follows from it. docs/label-export.md describes the format. A file may come from anybody: its size, its names
and each of its cells are checked before the store is changed.
"""

import base64
import binascii
import contextlib
import gzip
import hashlib
import json
import math
import re
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from spamlstm import database
from spamlstm.errors import DataError
from spamlstm.learning.label_rows import LAYOUT, source_path
from spamlstm.learning.label_store import LabelStore

FORMAT, VERSION = "spamlstm labels", 1
FIRST_LAYOUT = 5
"""The layout of the label store when this format was introduced."""

# Tables that are computed from the other tables.
_DERIVED = frozenset(("learned", "epoch"))
# The columns of these tables in FIRST_LAYOUT, because upgrades of the layout may refer to the tables.
_DERIVED_TABLES = "CREATE TABLE learned (last INTEGER PRIMARY KEY, shape, state, checksum); CREATE TABLE epoch (number)"
# For each declared type of a column, the types of its values.
_TYPES = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",), "BLOB": ("blob",)}
_NAME = re.compile(r"(?!sqlite)[a-z][a-z0-9_]{0,40}")
_MOST_NAMES = 50
# The largest row of a label has 64 KiB of mail and 128 KiB of tokens.
_MOST_LINE = 1 << 20
_MOST_ROWS = 500_000
# Twice the size of a store that has reached its limits.
_MOST_BYTES = 1 << 30

Tables = dict[str, tuple[str, ...]]


def exported_tables(connection: sqlite3.Connection) -> Tables:
    """Return the columns of each table that is exported."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")
    return {
        name: tuple(column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})"))
        for (name,) in sorted(names)
        if name not in _DERIVED
    }


def is_export(stream: BinaryIO) -> bool:
    """Return whether a file begins like an export of labels, of any version."""
    try:
        header = _value(next(_lines(stream), b""))
    except (_UnusableError, OSError):
        return False
    return isinstance(header, dict) and header.get("format") == FORMAT


def export_labels(labels: LabelStore, out: BinaryIO) -> int:
    """Write all labels to a file. Return the number of labels.

    The file is a snapshot of the store, whatever other processes do. Raises DataError if the store is damaged.
    """
    digest = hashlib.sha256()
    with labels.snapshot() as connection, gzip.GzipFile("", "wb", 1, out, mtime=0) as packed:
        _check(labels, connection)

        def write(value: object) -> None:
            line = json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            digest.update(line)
            packed.write(line)

        tables = exported_tables(connection)
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
        write({"format": FORMAT, "version": VERSION, "layout": LAYOUT.version, "tables": tables, "rows": counts})
        for name in tables:
            for row in table_rows(connection, name, tables[name]):
                write([name, *map(_written, row)])
        packed.write(json.dumps({"sha256": digest.hexdigest()}).encode() + b"\n")
    return int(counts["labels"])


@contextlib.contextmanager
def staged_labels(stream: BinaryIO, *, name: str) -> Iterator[sqlite3.Connection]:
    """Yield a temporary database with the checked contents of the file `name`, in the current layout.

    Raises DataError if the file is not an export, is damaged or was written by a newer version.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as staging:  # a private file, deleted at its end
        try:
            _stage(stream, staging, name)
        except _UnusableError as error:
            raise DataError(f"{name} {error}; nothing was imported") from error
        except (DataError, sqlite3.Error, OverflowError, UnicodeError) as error:
            if isinstance(error, sqlite3.Error) and not database.is_damage(error):
                raise  # for example a full disk
            why = error.__cause__ if isinstance(error, DataError) else error
            raise DataError(f"{name} is damaged ({why}); nothing was imported") from error
        yield staging


class _UnusableError(Exception):
    """An error for a file that cannot be imported. The message continues a sentence that begins with the file."""


# --- writing ----------------------------------------------------------------------------------------------------------


def table_rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of the given columns for each row of a table, in the order of the first column."""
    yield from connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1")  # noqa: S608  checked names


def _written(cell: Any) -> Any:
    return {"base64": base64.b64encode(cell).decode("ascii")} if isinstance(cell, bytes) else cell


def _check(labels: LabelStore, connection: sqlite3.Connection) -> None:
    """Decode every cell of a store. Raises DataError or CellError if a cell is damaged."""
    for _ in labels.with_mail():
        pass
    for _ in labels.examples(after=-database.MOST_ROWS, most_bytes=1):  # `with_mail` has read the rest
        pass
    for row in connection.execute("SELECT source FROM labels"):
        source_path(row)
    labels.written_names.all()


# --- reading ----------------------------------------------------------------------------------------------------------


def _stage(stream: BinaryIO, staging: sqlite3.Connection, name: str) -> None:
    for pragma in ("journal_mode = OFF", "synchronous = OFF"):
        staging.execute(f"PRAGMA {pragma}")
    layout = _read(stream, staging)
    _upgrade(staging, layout)
    with contextlib.closing(database.prepared(database.connect(":memory:"), "memory", LAYOUT)) as model:
        _check_types(staging, model)
    staged = LabelStore(staging, shown=name)
    with staged.snapshot():
        _check(staged, staging)


def _read(stream: BinaryIO, staging: sqlite3.Connection) -> int:
    """Copy the rows of a file into tables of the database `staging`. Return the layout of the file."""
    lines = _lines(stream)
    digest = hashlib.sha256()
    first = next(lines, b"")
    digest.update(first)
    tables, counts, layout = _header(_value(first))
    staging.execute("BEGIN")
    for name, columns in tables.items():
        staging.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    insert = {
        name: f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  checked names
        for name, columns in tables.items()
    }
    seen = dict.fromkeys(tables, 0)
    for line in lines:
        value = _value(line)
        if isinstance(value, dict):
            if value != {"sha256": digest.hexdigest()} or seen != counts or next(lines, None) is not None:
                raise _UnusableError("is damaged: its checksum is wrong")
            # The indexes refuse duplicates, and find the rows when they are copied.
            for column in ("id", "content"):
                staging.execute(f"CREATE UNIQUE INDEX by_{column} ON labels ({column})")
            staging.execute("COMMIT")
            return layout
        digest.update(line)
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            raise _UnusableError("is damaged: a line is not a row")
        name, *cells = value
        if len(cells) != len(tables.get(name, ())) or not cells:
            raise _UnusableError("is damaged: a row does not belong to a table")
        seen[name] += 1
        if sum(seen.values()) > _MOST_ROWS:
            raise _UnusableError(f"has more than {_MOST_ROWS:,} rows")
        staging.execute(insert[name], [_cell(one) for one in cells])
    raise _UnusableError("is damaged: its end is missing")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a compressed file, with bounds on each and on all."""
    left = _MOST_BYTES
    with gzip.GzipFile("", "rb", fileobj=stream) as unpacked:
        while True:
            try:
                line = unpacked.readline(_MOST_LINE)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise _UnusableError("is not a complete export of labels") from error
            if not line:
                return
            left -= len(line)
            if left < 0:
                raise _UnusableError(f"is larger than {_MOST_BYTES >> 20} MiB")
            if not line.endswith(b"\n"):
                raise _UnusableError("is damaged: a line is cut or too long")
            yield line


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # also a number of more than 4,300 digits
        raise _UnusableError("is not an export of labels") from error


def _header(header: Any) -> tuple[Tables, dict[str, int], int]:
    """Return the tables with their columns, the numbers of their rows, and the layout."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _UnusableError("is not an export of labels")
    version, layout, tables, counts = (header.get(key) for key in ("version", "layout", "tables", "rows"))
    if type(version) is not int or type(layout) is not int or version < 1 or layout < FIRST_LAYOUT:
        raise _UnusableError("is damaged: its version is not valid")
    if version > VERSION or layout > LAYOUT.version:
        raise _UnusableError("was written by a newer version of spamlstm")
    if not isinstance(tables, dict) or not isinstance(counts, dict) or set(tables) != set(counts):
        raise _UnusableError("is damaged: its tables are not valid")
    for name, columns in tables.items():
        is_list = isinstance(columns, list) and 0 < len(columns) < _MOST_NAMES > len(tables)
        if not is_list or not all(isinstance(one, str) and _NAME.fullmatch(one) for one in (name, *columns)):
            raise _UnusableError("is damaged: its tables are not valid")
    return {name: tuple(columns) for name, columns in tables.items()}, counts, layout


def _cell(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"base64"} and isinstance(value["base64"], str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except binascii.Error as error:
            raise _UnusableError("is damaged: a cell is not base64") from error
    if value is None or type(value) in (int, str) or (type(value) is float and math.isfinite(value)):
        return value
    raise _UnusableError("is damaged: a cell has an unknown type")


def _check_types(staging: sqlite3.Connection, connection: sqlite3.Connection) -> None:
    """Raise _UnusableError if the tables, columns or types of values in a file are not those of a label store."""
    tables, given = exported_tables(connection), exported_tables(staging)
    if {one: set(columns) for one, columns in tables.items()} != {one: set(columns) for one, columns in given.items()}:
        raise _UnusableError("is damaged: it does not have the tables of a label store")
    for table in tables:
        for _, column, kind, required, _, key in connection.execute(f"PRAGMA table_info({table})"):
            types = _TYPES[kind] if required or key else (*_TYPES[kind], "null")
            wrong = f"SELECT 1 FROM {table} WHERE typeof({column}) NOT IN ({', '.join('?' * len(types))}) LIMIT 1"  # noqa: S608
            if staging.execute(wrong, types).fetchone():
                raise _UnusableError(f"is damaged: {column} has a value of another type")


def _upgrade(staging: sqlite3.Connection, layout: int) -> None:
    """Upgrade the tables of a file with an earlier layout, by the statements that upgrade a store."""
    if layout < LAYOUT.version:
        for statement in _DERIVED_TABLES.split(";"):
            staging.execute(statement)
        staging.execute(f"PRAGMA user_version = {layout}")
        database.upgrade(staging, LAYOUT)
