"""The records of one IMAP account: folders, messages, begun moves, acts, and labels that are not yet stored.

The records of an account are one SQLite database. A message is identified by its folder and its UID. If the database is
lost, the current mail is recorded anew and not classified.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from spamlstm import database
from spamlstm.daemon.imap.account_state import (
    ACT_ROW,
    COPY_ROW,
    FOLDER_ROW,
    MOVE_ROW,
    AccountAct,
    AccountCopy,
    AccountFolder,
    BegunMove,
    UnstoredLabel,
    account_act_from,
    account_content_from,
    account_copy_from,
    account_departure_from,
    account_folder_from,
    act_row_of,
    begun_move_from,
    bytes_of_name,
    copy_row_of,
    known_flags_from,
    move_row_of,
    unstored_label_from,
)
from spamlstm.daemon.imap.account_tables import ACCOUNT_TABLES
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.database import Explained, text
from spamlstm.filtering.inbox_index import DAY, REMEMBERED
from spamlstm.filtering.journal import MOST_COPIES
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.owner import IDENTITY
from spamlstm.tracking.state import Departure

FOLDER = "imap"
"""The folder in the state folder."""
NO_CONTENT = "00"
"""The content id of a message that is too large or need not be read."""

_Record = TypeVar("_Record")

_FOLDERS = f"SELECT {FOLDER_ROW} FROM folders"  # noqa: S608  constants
_COPIES = f"SELECT {COPY_ROW} FROM copies WHERE folder = ?"  # noqa: S608
_IS_DRY = "(content, date) IN (SELECT content, date FROM judged WHERE is_dry)"
_NAME = "INSERT INTO account SELECT ? WHERE NOT EXISTS (SELECT 1 FROM account)"
_COPIES_OF = f"SELECT {COPY_ROW}, {FOLDER_ROW} FROM copies JOIN folders ON folders.id = folder WHERE content = ?"  # noqa: S608


class AccountRecords:
    """The records of one account. Only the thread that opened them may use them.

    Methods that change records are called in the `with` block of `change`. All methods raise DataError if the database
    is damaged, and TemporaryError if it cannot be used now.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._explained = Explained(str(path), ACCOUNT_TABLES.loss)

    @classmethod
    def open(cls, state: Path, account: str) -> Self:
        """Open the records of the account with the key `account`. They are created if they do not exist.

        Raises DataError, TemporaryError or ConfigError like `database.open_in`.
        """
        path = cls.path_of(state, account)
        # While the process acts as the owner of a Maildir, it could not open its own files.
        with IDENTITY:
            connection = database.open_in(path.parent, path.name, ACCOUNT_TABLES)
            with contextlib.suppress(sqlite3.Error):  # opens the files of the write-ahead log
                connection.execute("SELECT 1 FROM folders LIMIT 1").fetchall()
                with database.transaction(connection, durable=False):
                    connection.execute(_NAME, (account,))
        return cls(connection, path)

    @classmethod
    def find(cls, state: Path, account: str, *, dry_run: bool) -> Self | None:
        """Open the records of an account like `open`, or for a dry run like `at`. Return None if they do not exist."""
        path = cls.path_of(state, account)
        if not path.exists():
            return None
        return cls.at(path, dry_run=True) if dry_run else cls.open(state, account)

    @classmethod
    def at(cls, path: Path, *, dry_run: bool) -> Self:
        """Open existing records by their path, or for a dry run a copy of them. Raises the errors of `open`."""
        with IDENTITY:
            copy = database.temporary_copy(path, ACCOUNT_TABLES) if dry_run else None
            return cls(copy or database.open_in(path.parent, path.name, ACCOUNT_TABLES), path)

    @classmethod
    def others(cls, state: Path, accounts: Iterable[str]) -> list[Path]:
        """Return the paths of the records of all accounts but those with these keys."""
        return sorted(set((state / FOLDER).glob("*.sqlite")) - {cls.path_of(state, one) for one in accounts})

    @property
    def key(self) -> str:
        """The key of the account, or the path of the records if a former version of this program wrote them."""
        found = self._read(lambda row: text(row[0], "key"), "SELECT key FROM account")
        return next(iter(found), str(self._path))

    @staticmethod
    def path_of(state: Path, account: str) -> Path:
        """Return the path of the database of an account."""
        name = hashlib.blake2b(account.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return state / FOLDER / f"{name}.sqlite"

    @staticmethod
    def discard(state: Path, account: str) -> None:
        """Remove a damaged database. The database must be closed."""
        path = AccountRecords.path_of(state, account)
        with IDENTITY:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the database."""
        with IDENTITY:
            self._connection.close()

    @contextlib.contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """Run the `with` block in a `database.transaction`."""
        with self._explained, database.transaction(self._connection, durable=durable):
            yield

    # --- folders ----------------------------------------------------------------------------------------------------

    def folders(self) -> list[AccountFolder]:
        """Return the recorded folders."""
        return self._read(account_folder_from, _FOLDERS)

    def folder(self, number: int) -> AccountFolder | None:
        """Return the folder with a row number, or None."""
        return next(iter(self._read(account_folder_from, _FOLDERS + " WHERE id = ?", number)), None)

    def add_folder(self, name: str, role: FolderRole, *, created: float = 0.0) -> None:
        """Record a folder that was not visited yet. Its `validity` is 0.

        `created` is when it appeared, in seconds since 1970, or 0 if it was there when the account was first visited.
        """
        self._run("INSERT INTO folders VALUES (NULL, ?, ?, 0, 0, 0, 0, 0, ?)", bytes_of_name(name), role, created)

    def put_folder(self, one: AccountFolder) -> None:
        """Replace the record of a folder."""
        values = bytes_of_name(one.name), one.role, one.validity, one.next_uid, one.messages, one.unseen, one.modseq
        self._run(
            "UPDATE folders SET name = ?, role = ?, validity = ?, next_uid = ?, messages = ?, unseen = ?, modseq = ?,"
            " visited = ? WHERE id = ?",
            *values,
            one.visited,
            one.id,
        )

    def drop_folder(self, number: int) -> None:
        """Remove a folder and its messages. If there are acts on messages that were or are in it, its name is kept.

        If it exists again, it counts as a folder that was not visited yet.
        """
        self._run("DELETE FROM copies WHERE folder = ?", number)
        self._run(
            "DELETE FROM folders WHERE id = ? AND NOT EXISTS"
            " (SELECT 1 FROM acts WHERE folder = folders.id OR target = folders.id)",
            number,
        )
        self._run(
            "UPDATE folders SET validity = 0, next_uid = 0, messages = 0, unseen = 0, modseq = 0, visited = 0"
            " WHERE id = ?",
            number,
        )

    # --- messages ---------------------------------------------------------------------------------------------------

    def known(self, folder: int) -> dict[int, RemoteFlag]:
        """Return the flags of the recorded messages of a folder by UID, without those that are gone."""
        found = self._read(known_flags_from, "SELECT uid, flags FROM copies WHERE folder = ?", folder)
        return {uid: flags for uid, flags in found if not flags & RemoteFlag.GONE}

    def in_folder(self, folder: int) -> list[AccountCopy]:
        """Return the recorded messages of a folder."""
        return self._read(account_copy_from, _COPIES, folder)

    def copy(self, folder: int, uid: int) -> AccountCopy | None:
        """Return a message, or None."""
        return next(iter(self._read(account_copy_from, _COPIES + " AND uid = ?", folder, uid)), None)

    def put(self, copies: Iterable[AccountCopy]) -> None:
        """Record messages. Existing records of the messages are replaced."""
        with self._explained:
            self._connection.executemany(
                "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(copy_row_of, copies)
            )

    def drop(self, folder: int, uids: Iterable[int]) -> None:
        """Remove the records of messages."""
        with self._explained:
            self._connection.executemany(
                "DELETE FROM copies WHERE folder = ? AND uid = ?", ((folder, uid) for uid in uids)
            )

    def forgive(self, folder: int, uids: Iterable[int]) -> None:
        """Record that the classification of messages ended without a crash."""
        with self._explained:
            self._connection.executemany(
                "UPDATE copies SET attempts = 0 WHERE folder = ? AND uid = ?", ((folder, uid) for uid in uids)
            )

    def unread(self, folder: int) -> list[AccountCopy]:
        """Return the messages of a folder whose content is not known yet, and which are not gone."""
        found = self._read(account_copy_from, _COPIES + " AND content IS NULL ORDER BY uid", folder)
        return [one for one in found if not one.flags & RemoteFlag.GONE]

    def copies(self, content: str) -> list[tuple[AccountFolder, AccountCopy]]:
        """Return the copies of a message with their folders, at most MOST_COPIES + 1."""
        return self._read(
            lambda row: (account_folder_from(row[9:]), account_copy_from(row[:9])),
            _COPIES_OF + " LIMIT ?",
            bytes.fromhex(content),
            MOST_COPIES + 1,
        )

    def has_size(self, size: int) -> bool:
        """Return whether a message of this size was read."""
        return bool(self._read(tuple, "SELECT 1 FROM copies WHERE size = ? AND length(content) > 1 LIMIT 1", size))

    def unsettled(self) -> set[str]:
        """Return the content ids of the messages whose copies have changed since they were last compared."""
        statement = "SELECT content FROM copies WHERE (status = 1 OR flags >= 8) AND content IS NOT NULL"
        return set(self._read(account_content_from, statement)) - {NO_CONTENT}

    def departures(self, content: str) -> tuple[Departure, ...]:
        """Return the copies of a message that left their folders for a reason that is not yet known."""
        statement = "SELECT role, since, time FROM departures WHERE content = ?"
        return tuple(self._read(account_departure_from, statement, bytes.fromhex(content)))

    def put_departures(self, content: str, departures: Iterable[Departure]) -> None:
        """Replace the departures of a message."""
        self._run("DELETE FROM departures WHERE content = ?", bytes.fromhex(content))
        for one in departures:
            values = one.role, one.since, one.time
            self._run("INSERT INTO departures VALUES (?, ?, ?, ?)", bytes.fromhex(content), *values)

    def was_judged(self, content: str, date: int) -> bool:
        """Return whether a message that the server received at `date` was classified."""
        statement = "SELECT 1 FROM judged WHERE content = ? AND date = ?"
        return bool(self._read(tuple, statement, bytes.fromhex(content), date))

    def add_judged(self, content: str, date: int, *, is_junk: bool, is_dry: bool = False, now: float) -> None:
        """Record that a message was classified. `is_junk` says that it was moved to junk or got the keyword for it.

        `is_dry` says that a dry run only reported the actions for its verdict.
        """
        values = bytes.fromhex(content), date, now, is_junk, is_dry
        self._run("INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?, ?)", *values)

    def drop_judged(self, content: str, date: int) -> None:
        """Record that a message was not classified."""
        self._run("DELETE FROM judged WHERE content = ? AND date = ?", bytes.fromhex(content), date)

    def reported(self, folder: int) -> list[AccountCopy]:
        """Return the messages of a folder for which a dry run only reported the actions."""
        return self._read(account_copy_from, f"{_COPIES} AND {_IS_DRY}", folder)

    def filed(self) -> set[str]:
        """Return the content ids of the messages that this program filed or marked with the keyword, or began to."""
        statement = "SELECT content FROM judged WHERE is_junk UNION SELECT content FROM moves WHERE undoes = 0"
        return set(self._read(account_content_from, statement))

    def prune(self, *, now: float) -> None:
        """Remove old acts, and old records of messages that are in no folder any more."""
        self._run("DELETE FROM departures WHERE abs(? - time) > ?", now, DAY)
        self._run("DELETE FROM acts WHERE time < ?", now - REMEMBERED)
        self._run(
            "DELETE FROM judged WHERE time < ?"
            " AND content NOT IN (SELECT content FROM copies WHERE content IS NOT NULL)",
            now - REMEMBERED,
        )

    # --- labels -----------------------------------------------------------------------------------------------------

    def labels(self) -> list[UnstoredLabel]:
        """Return the labels that are not yet in the label store."""
        return self._read(unstored_label_from, "SELECT content, label, pending, attempts FROM labels")

    def put_label(self, one: UnstoredLabel) -> None:
        """Record a label that is to be stored."""
        values = one.label, one.pending, one.attempts
        self._run("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", bytes.fromhex(one.content), *values)

    def drop_label(self, content: str) -> None:
        """Remove a label, because it is now in the label store."""
        self._run("DELETE FROM labels WHERE content = ?", bytes.fromhex(content))

    # --- moves ------------------------------------------------------------------------------------------------------

    def moves(self) -> list[BegunMove]:
        """Return the moves whose result is not recorded."""
        return self._read(begun_move_from, f"SELECT {MOVE_ROW} FROM moves ORDER BY id")  # noqa: S608  constants

    def begin_moves(self, moves: Iterable[BegunMove]) -> list[BegunMove]:
        """Record moves, and return them with their row numbers. Must be called in a durable transaction."""
        marks = ", ".join("?" * 13)
        statement = f"INSERT INTO moves ({MOVE_ROW}) VALUES ({marks})"  # noqa: S608  constants
        with self._explained:
            return [
                replace(one, id=self._connection.execute(statement, move_row_of(one)).lastrowid or 0) for one in moves
            ]

    def end_moves(self, numbers: Collection[int]) -> None:
        """Remove moves whose result is recorded."""
        for number in numbers:
            self._run("DELETE FROM moves WHERE id = ?", number)

    # --- acts -------------------------------------------------------------------------------------------------------

    def acts(self, *, since: float = 0.0) -> list[AccountAct]:
        """Return the acts since a time that were not undone, the latest first."""
        statement = f"SELECT {ACT_ROW} FROM acts WHERE time >= ? ORDER BY time DESC, id DESC"  # noqa: S608  constants
        return self._read(account_act_from, statement, since)

    def add_act(self, one: AccountAct) -> None:
        """Record an act."""
        marks = ", ".join("?" * 11)
        self._run(f"INSERT INTO acts ({ACT_ROW}) VALUES ({marks})", *act_row_of(one))  # noqa: S608  constants

    def drop_act(self, number: int) -> None:
        """Record that an act was undone."""
        self._run("DELETE FROM acts WHERE id = ?", number)

    def _read(self, from_row: Callable[[tuple[Any, ...]], _Record], statement: str, *values: Any) -> list[_Record]:
        with self._explained:
            return list(map(from_row, self._connection.execute(statement, values)))

    def _run(self, statement: str, *values: Any) -> None:
        with self._explained:
            self._connection.execute(statement, values)
