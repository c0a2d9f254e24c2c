"""The mailbox state: the folder of each message at the last visit of its Maildir, in one SQLite database.

A visit lists the folders of a Maildir. Differences between the mailbox state and the folders show what the user did
since the last visit. If the database is lost, it is built again from the current folders, and only the moves since the
last visit are lost.

A label that is inferred from a difference is recorded as pending in the same transaction as the difference. Then the
label is added to the label store. So a crash between the two steps neither loses the label nor adds the label twice.

A file is identified by its folder and its `base`, the hash of its base name (the file name without the flags). The key
of a message is its Maildir and its content id.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from spamlstm import database
from spamlstm.database import Explained
from spamlstm.errors import DataError
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.inbox_index import DAY, REMEMBERED, signed
from spamlstm.filtering.journal import MOST_COPIES
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking import state_database, state_rows
from spamlstm.tracking.state import Departure, FlagSet, JournalPosition, KnownFolder, TrackedFile, TrackedMessage
from spamlstm.tracking.state_rows import DEPARTURE_COLUMNS, FILE_COLUMNS, FOLDER_COLUMNS, MESSAGE_COLUMNS

_Record = TypeVar("_Record")


class DamagedStateError(DataError):
    """An error for a damaged state of a Maildir, which can be discarded by `MailboxState.reset`."""


class MailboxState:
    """The mailbox state in one state folder. Only one thread may use an instance.

    Methods that change records are called in the `with` block of `change`. Only `reset` and `prune` begin their own
    transaction. All methods raise DamagedStateError if the database is damaged, and TemporaryError if it cannot be read
    or written now.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._folder = folder
        self._connection = connection
        self._explained = Explained(str(folder / state_database.NAME), state_database.LOSS, DamagedStateError)
        self._ids: dict[str, int] = {}
        self._has_former: bool | None = None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database in `folder`. A missing database is created, and a damaged database is replaced.

        Raises TemporaryError, ConfigError or NewerVersionError like `database.open_in`.
        """
        return cls(state_database.opened_database(folder), folder)

    @classmethod
    def find(cls, folder: Path, *, dry_run: bool = False) -> Self | None:
        """Open the database like `open`, or for a dry run a copy. Return None if there is no database."""
        if (path := state_database.database_path(folder)) is None:
            return None
        return cls(state_database.copied_database(path), folder) if dry_run else cls.open(folder)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextlib.contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """Run the `with` block in a `database.transaction`."""
        changes = database.transaction(self._connection, durable=durable, rolled_back=self._ids.clear)
        with self._explained, changes:
            yield

    def reset(self, maildir: str) -> None:
        """Discard the damaged state of one Maildir. If the database file is damaged, discard all states."""
        emit(logging.WARNING, "mailbox-state-lost", maildir=maildir, error=f"damaged{state_database.LOSS}")
        try:
            with self.change(durable=True):
                number = (self._id(maildir),)
                self._connection.execute(
                    "DELETE FROM files WHERE folder IN (SELECT id FROM folders WHERE maildir = ?)", number
                )
                self._connection.execute("DELETE FROM folders WHERE maildir = ?", number)
                self._connection.execute("DELETE FROM messages WHERE maildir = ?", number)
                self._connection.execute("DELETE FROM departures WHERE maildir = ?", number)
                self._connection.execute("DELETE FROM maildirs WHERE id = ?", number)
        except DamagedStateError:
            self._connection.close()
            state_database.remove_database(self._folder)
            self._connection = state_database.opened_database(self._folder)
        self._ids.clear()
        self._has_former = None

    # --- Maildirs and their folders ---------------------------------------------------------------------------------

    def is_tracked(self, maildir: str) -> bool:
        """Return whether this Maildir was visited before."""
        return self._id(maildir) is not None

    def track(self, maildir: str, *, now: float) -> None:
        """Record that this Maildir was visited."""
        self._connection.execute(
            "INSERT OR IGNORE INTO maildirs (path, pruned) VALUES (?, ?)", (os.fsencode(maildir), now)
        )

    def position(self, maildir: str) -> JournalPosition:
        """Return the position of the journal at the last complete visit of this Maildir."""
        statement = "SELECT judgement, act FROM maildirs WHERE id = ?"
        return next(iter(self._read(state_rows.position_from, statement, self._id(maildir))), JournalPosition())

    def set_position(self, maildir: str, position: JournalPosition) -> None:
        """Record that a visit of this Maildir is complete, with the position of the journal when the visit began."""
        values = position.judgement, position.act, self._id(maildir)
        self._connection.execute("UPDATE maildirs SET judgement = ?, act = ? WHERE id = ?", values)

    def folders(self, maildir: str) -> list[KnownFolder]:
        """Return the recorded folders of a Maildir, as they were when last read."""
        statement = f"SELECT {FOLDER_COLUMNS} FROM folders WHERE maildir = ?"  # noqa: S608  the columns are a constant
        return self._read(state_rows.folder_from, statement, self._id(maildir))

    def add_folder(self, maildir: str, folder: Folder, role: FolderRole) -> KnownFolder:
        """Record a new folder whose files have not been read yet."""
        unread = Folder(folder.name, folder.inode, -1, -1)
        done = self._connection.execute(
            "INSERT INTO folders (maildir, name, role, inode, new_ns, cur_ns) VALUES (?, ?, ?, ?, -1, -1)",
            (self._id(maildir), os.fsencode(folder.name), role, signed(folder.inode)),
        )
        return KnownFolder(int(done.lastrowid or 0), unread, role)

    def update_folder(self, known: KnownFolder, folder: Folder, role: FolderRole) -> None:
        """Record name, role, inode and times of a folder."""
        self._connection.execute(
            "UPDATE folders SET name = ?, role = ?, inode = ?, new_ns = ?, cur_ns = ? WHERE id = ?",
            (os.fsencode(folder.name), role, signed(folder.inode), folder.new_ns, folder.cur_ns, known.id),
        )

    def release_name(self, known: KnownFolder) -> None:
        """Give a folder a name that no folder on disk can have, until `update_folder` gives it its present name."""
        self._connection.execute("UPDATE folders SET name = ? WHERE id = ?", (b"/%d" % known.id, known.id))

    def drop_folder(self, known: KnownFolder) -> None:
        """Remove the records of a deleted or ignored folder, and the records of its files."""
        self._connection.execute("DELETE FROM files WHERE folder = ?", (known.id,))
        self._connection.execute("DELETE FROM folders WHERE id = ?", (known.id,))

    # --- files ------------------------------------------------------------------------------------------------------

    def flags(self, folder: int, *, new: bool = False) -> dict[int, FlagSet]:
        """Return the flags of the recorded files in a folder by base, except files that are gone.

        If `new`, return only files with the flag NEW.
        """
        least = FlagSet.NEW if new else -(1 << 63)
        statement = "SELECT base, flags FROM files WHERE folder = ? AND flags >= ? AND NOT (flags >= 16 AND flags < 32)"
        with self._explained:
            return state_rows.flags_from(self._connection.execute(statement, (folder, least)))

    def file(self, known: KnownFolder, base: int) -> TrackedFile | None:
        """Return the record of a file, or None."""
        statement = f"SELECT {FOLDER_COLUMNS}, {FILE_COLUMNS} FROM folders JOIN files ON folder = id"  # noqa: S608  constants
        found = self._read(state_rows.copy_from, f"{statement} WHERE folder = ? AND base = ?", known.id, base)
        return found[0][1] if found else None

    def is_elsewhere(self, known: KnownFolder, base: int) -> bool:
        """Return whether another folder of the same Maildir has a record of a file with this base name hash."""
        siblings = "SELECT id FROM folders WHERE maildir = (SELECT maildir FROM folders WHERE id = ?1) AND id != ?1"
        statement = f"SELECT 1 FROM files WHERE base = ?2 AND folder IN ({siblings})"  # noqa: S608  a constant
        return bool(self._read(tuple, statement, known.id, base))

    def unread(self, folder: int) -> set[int]:
        """Return the base name hashes of the files in a folder that the tracker has not read yet."""
        statement = "SELECT base FROM files WHERE folder = ? AND content IS NULL"
        return {base for (base,) in self._read(tuple, statement, folder)}

    def put_files(self, files: Iterable[TrackedFile]) -> None:
        """Record files. Existing records of the files are replaced."""
        self._connection.executemany(
            f"INSERT OR REPLACE INTO files (folder, {FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  constants
            map(state_rows.file_row, files),
        )

    def drop_file(self, folder: int, base: int) -> None:
        """Remove the record of a file."""
        self._connection.execute("DELETE FROM files WHERE folder = ? AND base = ?", (folder, base))

    def knows(self, maildir: str, content: str) -> bool:
        """Return whether a message has recorded files or departures."""
        statement = (
            "SELECT 1 FROM folders CROSS JOIN files ON folder = folders.id WHERE maildir = ?1 AND content = ?2"
            " UNION ALL SELECT 1 FROM departures WHERE maildir = ?1 AND content = ?2 LIMIT 1"
        )
        return bool(self._read(tuple, statement, self._id(maildir), bytes.fromhex(content)))

    def copies(self, maildir: str, content: str) -> list[tuple[KnownFolder, TrackedFile]]:
        """Return the files of one message with their folders, also those that are deleted or gone.

        At most MOST_COPIES + 1 files are returned.
        """
        # With CROSS JOIN, the folders of the Maildir are looked up first. Thousands of users may have the message.
        statement = (
            f"SELECT {FOLDER_COLUMNS}, {FILE_COLUMNS} FROM folders"  # noqa: S608  the columns are constants
            " CROSS JOIN files ON folder = folders.id WHERE maildir = ? AND content = ? LIMIT ?"
        )
        return self._read(state_rows.copy_from, statement, self._id(maildir), bytes.fromhex(content), MOST_COPIES + 1)

    def settle_all(self, maildir: str, content: str) -> None:
        """Record that the files of a message need not be compared, because there are too many."""
        where = "content = ? AND folder IN (SELECT id FROM folders WHERE maildir = ?)"
        key = bytes.fromhex(content), self._id(maildir)
        self._connection.execute(f"DELETE FROM files WHERE flags >= 16 AND {where}", key)  # noqa: S608  a constant
        self._connection.execute(f"UPDATE files SET status = 0 WHERE status = 1 AND {where}", key)  # noqa: S608  a constant

    def unsettled(self, maildir: str) -> set[str]:
        """Return the content ids of the messages whose files have changed since they were last compared."""
        statement = (
            "SELECT content FROM files WHERE (status = 1 OR flags >= 16) AND content IS NOT NULL"
            " AND folder IN (SELECT id FROM folders WHERE maildir = ?)"
        )
        found = self._read(state_rows.content_from, statement, self._id(maildir))
        return {content for content in found if content is not None}

    def departures(self, maildir: str, content: str) -> tuple[Departure, ...]:
        """Return the departures of one message: copies that left their folders for a reason that is not yet known."""
        statement = f"SELECT {DEPARTURE_COLUMNS} FROM departures WHERE maildir = ? AND content = ?"  # noqa: S608  constants
        return tuple(self._read(state_rows.departure_from, statement, self._id(maildir), bytes.fromhex(content)))

    def put_departures(self, maildir: str, content: str, departures: Iterable[Departure]) -> None:
        """Replace the recorded departures of a message."""
        key = self._id(maildir), bytes.fromhex(content)
        self._connection.execute("DELETE FROM departures WHERE maildir = ? AND content = ?", key)
        self._connection.executemany(
            f"INSERT INTO departures (maildir, content, {DEPARTURE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            ((*key, one.role, one.since, one.time, one.was_visited, one.evidence.packed()) for one in departures),
        )

    # --- former content ids -----------------------------------------------------------------------------------------

    @property
    def has_former(self) -> bool:
        """Return whether there are records with content ids of an earlier version of this program."""
        if self._has_former is None:
            self._has_former = bool(self._read(tuple, "SELECT 1 FROM former_contents LIMIT 1"))
        return self._has_former

    def former(self, folder: int) -> set[int]:
        """Return the base name hashes of the files in a folder that have former content ids."""
        statement = "SELECT base FROM files JOIN former_contents USING (content) WHERE folder = ?"
        return {base for (base,) in self._read(tuple, statement, folder)}

    def renew(self, former: Iterable[str], content: str) -> None:
        """Replace the former content ids of a message in all records."""
        for one in former:
            old, new = bytes.fromhex(one), bytes.fromhex(content)
            if (
                self._connection.execute("DELETE FROM former_contents WHERE content = ?", (old,)).rowcount
                and old != new
            ):
                for table in ("files", "messages", "departures"):
                    statement = f"UPDATE OR REPLACE {table} SET content = ? WHERE content = ?"  # noqa: S608  constant tables
                    self._connection.execute(statement, (new, old))

    def drop_former(self) -> None:
        """Remove the former content ids that no record contains any more."""
        self._connection.execute(
            "DELETE FROM former_contents WHERE content NOT IN (SELECT content FROM files WHERE content IS NOT NULL)"
            " AND content NOT IN (SELECT content FROM departures) AND content NOT IN"
            " (SELECT content FROM messages WHERE pending)"
        )
        self._has_former = None

    # --- messages ---------------------------------------------------------------------------------------------------

    def message(self, maildir: str, content: str) -> TrackedMessage | None:
        """Return the record of a message, or None."""
        statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE maildir = ? AND content = ?"  # noqa: S608  the columns are a constant
        return next(
            iter(self._read(state_rows.message_from, statement, self._id(maildir), bytes.fromhex(content))), None
        )

    def put_message(self, maildir: str, message: TrackedMessage, *, now: float) -> None:
        """Record a message. An existing record of the message is replaced."""
        statement = (
            f"INSERT OR REPLACE INTO messages (maildir, {MESSAGE_COLUMNS}, updated) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        )
        values = message.role, message.act, message.label, message.pending
        self._connection.execute(statement, (self._id(maildir), bytes.fromhex(message.content), *values, now))

    def pending(self, maildir: str) -> list[TrackedMessage]:
        """Return the messages with a pending label, which has not been added to the label store yet."""
        statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE maildir = ? AND pending"  # noqa: S608  the columns are a constant
        return self._read(state_rows.message_from, statement, self._id(maildir))

    def clear_pending(self, maildir: str, content: str) -> None:
        """Record that the label of a message is not pending any more."""
        self._connection.execute(
            "UPDATE messages SET pending = 0 WHERE maildir = ? AND content = ?",
            (self._id(maildir), bytes.fromhex(content)),
        )

    def pruned(self, maildir: str) -> float:
        """Return the time of the first visit of a Maildir, or of a visit at most a day before the last visit."""
        statement = "SELECT pruned FROM maildirs WHERE typeof(pruned) = 'real' AND id = ?"
        return next((time for (time,) in self._read(tuple, statement, self._id(maildir))), 0.0)

    def prune(self, maildir: str, *, now: float) -> None:
        """Remove the records of messages that have no file and were recorded more than 90 days ago.

        Does nothing if the last pruning of this Maildir was less than a day ago. If the clock is ahead, the records are
        removed too early. This does no harm, because the classified messages are recorded in the journal and the labels
        are in the label store.
        """
        number = self._id(maildir)
        with self.change():
            # A time in the future was recorded while the clock was wrong.
            if number is None or abs(now - self.pruned(maildir)) < DAY:
                return
            self._connection.execute("UPDATE maildirs SET pruned = ? WHERE id = ?", (now, number))
            self._connection.execute(
                "DELETE FROM messages WHERE maildir = ? AND updated < ? AND NOT pending"
                " AND NOT EXISTS (SELECT 1 FROM files WHERE files.content = messages.content)",
                (number, now - REMEMBERED),
            )
            self._connection.execute(
                "DELETE FROM departures WHERE maildir = ? AND abs(? - time) > ?", (number, now, DAY)
            )

    def _id(self, maildir: str) -> int | None:
        if maildir not in self._ids:
            rows = self._read(tuple, "SELECT id FROM maildirs WHERE path = ?", os.fsencode(maildir))
            if not rows:
                return None
            self._ids[maildir] = rows[0][0]
        return self._ids[maildir]

    def _read(self, from_row: Callable[[tuple[Any, ...]], _Record], statement: str, *values: Any) -> list[_Record]:
        with self._explained:
            return list(map(from_row, self._connection.execute(statement, values)))
