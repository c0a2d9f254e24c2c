"""Transactions of the databases in the state folder, with errors at any point of them."""

import contextlib
import sqlite3

import pytest

from spamlstm.database import Explained, connect, transaction


class WithoutRollback(sqlite3.Connection):
    """A connection whose first ROLLBACK fails."""

    failure: BaseException | None = None

    def execute(self, statement, *values):
        if statement == "ROLLBACK" and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return super().execute(statement, *values)


@pytest.fixture
def opened(tmp_path):
    path = tmp_path / "one.sqlite"
    with contextlib.closing(connect(path)) as first:
        first.execute("PRAGMA journal_mode = WAL")
        first.execute("CREATE TABLE numbers (number)")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, factory=WithoutRollback)) as connection:
        yield connection


def failing(connection, undone):
    """Add a number in a transaction that ends with an error."""
    with transaction(connection, durable=True, rolled_back=lambda: undone.append(True)):
        connection.execute("INSERT INTO numbers VALUES (1)")
        raise ZeroDivisionError


def nested(connection):
    """Begin a transaction in a transaction."""
    with transaction(connection, durable=False):
        connection.execute("INSERT INTO numbers VALUES (1)")
        with transaction(connection, durable=False):
            connection.execute("INSERT INTO numbers VALUES (2)")


@pytest.mark.parametrize("failure", [MemoryError(), sqlite3.OperationalError("disk I/O error")])
def test_a_rollback_that_fails_is_repeated(opened, failure):
    """If the ROLLBACK after an error fails, the next transaction begins with it, and the file is not called damaged.

    The changes of the first transaction are undone, and its error is raised.
    """
    opened.failure = failure
    undone: list[bool] = []
    with pytest.raises(ZeroDivisionError):
        failing(opened, undone)
    assert undone == [True]
    assert opened.in_transaction
    for number in (2, 3):
        with Explained("one.sqlite", "; loss"), transaction(opened, durable=True):
            opened.execute("INSERT INTO numbers VALUES (?)", (number,))
    assert opened.execute("SELECT number FROM numbers").fetchall() == [(2,), (3,)]


def test_a_transaction_in_a_transaction_is_an_error(opened):
    """It would undo the changes of the outer transaction, whose end says so."""
    with pytest.raises(sqlite3.OperationalError):
        nested(opened)
