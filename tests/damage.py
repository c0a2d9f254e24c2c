"""Damage to a SQLite database, one cell at a time: every column with values of every kind, whatever it was made for."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

# As SQL, so that a text that is not UTF-8 can be among them.
VALUES = (
    "NULL",
    "'x'",
    "''",
    "CAST(x'ff' AS TEXT)",
    "x''",
    "x'01'",
    "zeroblob(100000)",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "0.5",
    "1e300",
    "9e999",
    "-9e999",
)
# Where each takes long: no value, words, bytes, and numbers out of every bound.
FEW = ("NULL", "'x'", "CAST(x'ff' AS TEXT)", "x'01'", "-1", "9223372036854775807", "0.5", "9e999")


def columns(path: Path) -> list[tuple[str, str]]:
    """Each table with each of its columns."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return [
            (table, column)
            for (table,) in tables.fetchall()
            for (column,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))
        ]


def plant(path: Path, table: str, column: str, value: str) -> bool:
    """Put a value into a cell of each row, as far as keys allow; False where SQLite itself cannot hold it there."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        # A disk asks for no constraint.
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        database.commit()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        try:
            database.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}")  # noqa: S608  ours
        except sqlite3.IntegrityError:
            return False
        database.commit()
    return True


def cells(
    path: Path, table: str, column: str, *, copies: Path, values: tuple[str, ...] = VALUES
) -> Iterator[tuple[str, Path]]:
    """Copies of a database, each with another value in that column: the value, and the folder of the copy."""
    for number, value in enumerate(values):
        folder = copies / f"{table}-{column}-{number}"
        folder.mkdir(parents=True)
        copy = folder / path.name
        copy.write_bytes(path.read_bytes())
        if plant(copy, table, column, value):
            yield value, folder
        copy.unlink()
