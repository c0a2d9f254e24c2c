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
from spamlstm.database import CellError, Layout, is_damage
from spamlstm.errors import DataError
from spamlstm.filtering.failures import emit
from spamlstm.filtering.inbox import DAY, REMEMBERED, signed
from spamlstm.maildir.folders import Folder, FolderRole
from spamlstm.tracking import state
from spamlstm.tracking.state import FOLDER_COLUMNS, MESSAGE_COLUMNS, FlagSet, KnownFolder, TrackedFile, TrackedMessage

NAME = "mailbox_state.sqlite"
FORMER_NAME = "places.sqlite"
"""The name of the database file up to layout version 1."""

_LAYOUT = Layout(
    version=2,
    schema="""
CREATE TABLE maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, pruned REAL NOT NULL);
CREATE TABLE folders (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, name BLOB NOT NULL, role TEXT NOT NULL,
    inode INTEGER NOT NULL, new_ns INTEGER NOT NULL, cur_ns INTEGER NOT NULL, UNIQUE (maildir, name));
CREATE TABLE files (folder INTEGER NOT NULL, base INTEGER NOT NULL, flags INTEGER NOT NULL, content BLOB,
    PRIMARY KEY (folder, base)) WITHOUT ROWID;
CREATE INDEX files_content ON files (content) WHERE content IS NOT NULL;
CREATE TABLE messages (maildir INTEGER NOT NULL, content BLOB NOT NULL, role TEXT NOT NULL, act INTEGER NOT NULL,
    moved INTEGER NOT NULL, label TEXT, pending INTEGER NOT NULL, updated REAL NOT NULL,
    PRIMARY KEY (maildir, content)) WITHOUT ROWID;
CREATE INDEX messages_pending ON messages (maildir) WHERE pending;
""",
    pragmas=(),
    loss="; learning from moves then starts from the current contents of the folders",
    upgrades={
        1: """
DROP INDEX messages_owed;
ALTER TABLE maildirs RENAME COLUMN tidied TO pruned;
ALTER TABLE folders RENAME COLUMN kind TO role;
ALTER TABLE folders RENAME COLUMN which TO inode;
ALTER TABLE files RENAME COLUMN marks TO flags;
ALTER TABLE messages RENAME COLUMN place TO role;
ALTER TABLE messages RENAME COLUMN said TO label;
ALTER TABLE messages RENAME COLUMN owed TO pending;
ALTER TABLE messages RENAME COLUMN time TO updated;
CREATE INDEX messages_pending ON messages (maildir) WHERE pending;
"""
    },
)


_Record = TypeVar("_Record")


class DamagedStateError(DataError):
    """An error for a damaged state of a Maildir, which can be discarded by `MailboxState.reset`."""


class MailboxState:
    """The mailbox state in one state folder. Only one thread may use an instance.

    Methods that change records are called in the `with` block of `change`. Only `reset` and `prune` begin their own
    transaction.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._folder = folder
        self._connection = connection
        self._ids: dict[str, int] = {}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database in `folder`. A missing database is created, and a damaged database is replaced.

        Raises TemporaryError or ConfigError like `database.open_in`.
        """
        return cls(_opened(folder), folder)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Open the database in `folder`, or return None if there is no database. Raises errors like `open`."""
        return cls.open(folder) if any((folder / name).is_file() for name in (NAME, FORMER_NAME)) else None

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextlib.contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """Run the `with` block in a `database.transaction`. Raises DamagedStateError if the file is damaged."""
        changes = database.transaction(self._connection, durable=durable, rolled_back=self._ids.clear)
        with self._damage_named(), changes:
            yield

    def reset(self, maildir: str) -> None:
        """Discard the damaged state of one Maildir. If the database file is damaged, discard all states."""
        emit(logging.WARNING, "mailbox-state-lost", maildir=maildir, error=f"damaged{_LAYOUT.loss}")
        try:
            with self.change(durable=True):
                number = (self._id(maildir),)
                self._connection.execute(
                    "DELETE FROM files WHERE folder IN (SELECT id FROM folders WHERE maildir = ?)", number
                )
                self._connection.execute("DELETE FROM folders WHERE maildir = ?", number)
                self._connection.execute("DELETE FROM messages WHERE maildir = ?", number)
                self._connection.execute("DELETE FROM maildirs WHERE id = ?", number)
        except DamagedStateError:
            self._connection.close()
            _remove(self._folder)
            self._connection = _opened(self._folder)
        self._ids.clear()

    # --- Maildirs and their folders ---------------------------------------------------------------------------------

    def is_tracked(self, maildir: str) -> bool:
        """Return whether this Maildir was visited before."""
        return self._id(maildir) is not None

    def track(self, maildir: str, *, now: float) -> None:
        """Record that this Maildir was visited."""
        self._connection.execute(
            "INSERT OR IGNORE INTO maildirs (path, pruned) VALUES (?, ?)", (os.fsencode(maildir), now)
        )

    def folders(self, maildir: str) -> list[KnownFolder]:
        """Return the recorded folders of a Maildir, as they were when last read."""
        statement = f"SELECT {FOLDER_COLUMNS} FROM folders WHERE maildir = ?"  # noqa: S608  the columns are a constant
        return self._read(state.folder_from, statement, self._id(maildir))

    def add_folder(self, maildir: str, folder: Folder, role: FolderRole) -> KnownFolder:
        """Record a new folder whose files have not been read yet."""
        unread = Folder(folder.name, folder.inode, -1, -1)
        done = self._connection.execute(
            "INSERT INTO folders (maildir, name, role, inode, new_ns, cur_ns) VALUES (?, ?, ?, ?, -1, -1)",
            (self._id(maildir), os.fsencode(folder.name), role, signed(folder.inode)),
        )
        return KnownFolder(int(done.lastrowid or 0), unread, role)

    def update_folder(self, known: KnownFolder, folder: Folder, role: FolderRole) -> None:
        """Record name, role, inode and times of a folder. If the role has changed, its messages get the new role."""
        self._connection.execute(
            "UPDATE folders SET name = ?, role = ?, inode = ?, new_ns = ?, cur_ns = ? WHERE id = ?",
            (os.fsencode(folder.name), role, signed(folder.inode), folder.new_ns, folder.cur_ns, known.id),
        )
        if role is not known.role:
            self._connection.execute(
                "UPDATE messages SET role = ?, moved = 1 WHERE role = ? AND maildir ="
                " (SELECT maildir FROM folders WHERE id = ?) AND content IN"
                " (SELECT content FROM files WHERE folder = ? AND content IS NOT NULL)",
                (role, known.role, known.id, known.id),
            )

    def drop_folder(self, known: KnownFolder) -> None:
        """Remove the records of a deleted or ignored folder, and the records of its files."""
        self._connection.execute("DELETE FROM files WHERE folder = ?", (known.id,))
        self._connection.execute("DELETE FROM folders WHERE id = ?", (known.id,))

    # --- files ------------------------------------------------------------------------------------------------------

    def flags(self, folder: int, *, new: bool = False) -> dict[int, FlagSet]:
        """Return the flags of the recorded files in a folder by base. If `new`, return only files with the flag NEW."""
        least = FlagSet.NEW if new else -(1 << 63)
        statement = "SELECT base, flags FROM files WHERE folder = ? AND flags >= ?"
        with self._damage_named():
            return state.flags_from(self._connection.execute(statement, (folder, least)))

    def unread(self, folder: int) -> set[int]:
        """Return the base name hashes of the files in a folder that the tracker has not read yet."""
        statement = "SELECT base FROM files WHERE folder = ? AND content IS NULL"
        return {base for (base,) in self._read(tuple, statement, folder)}

    def content(self, folder: int, base: int) -> str | None:
        """Return the content id of a file, or None if the file is unknown or has not been read."""
        statement = "SELECT content FROM files WHERE folder = ? AND base = ?"
        return next(iter(self._read(state.content_from, statement, folder, base)), None)

    def put_files(self, files: Iterable[TrackedFile]) -> None:
        """Record files. Existing records of the files are replaced."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO files (folder, base, flags, content) VALUES (?, ?, ?, ?)",
            ((one.folder, one.base, one.flags, bytes.fromhex(one.content) if one.content else None) for one in files),
        )

    def drop_file(self, folder: int, base: int) -> None:
        """Remove the record of a file."""
        self._connection.execute("DELETE FROM files WHERE folder = ? AND base = ?", (folder, base))

    def copies(self, maildir: str, content: str) -> list[tuple[KnownFolder, TrackedFile]]:
        """Return the files of one message with their folders, except files flagged as deleted."""
        statement = (
            f"SELECT {FOLDER_COLUMNS}, base, flags, content FROM files"  # noqa: S608  the columns are a constant
            " JOIN folders ON folders.id = folder WHERE content = ? AND maildir = ?"
        )
        found = self._read(state.copy_from, statement, bytes.fromhex(content), self._id(maildir))
        return [(folder, file) for folder, file in found if not file.flags & FlagSet.DELETED]

    # --- messages ---------------------------------------------------------------------------------------------------

    def was_moved(self, maildir: str, content: str) -> bool:
        """Return whether a message is or was in a folder other than the inbox.

        The filter leaves such a message unchanged, because its user may have decided where the message is.
        """
        message = self.message(maildir, content)
        if message is not None and message.moved:
            return True
        return any(folder.role is not FolderRole.INBOX for folder, _ in self.copies(maildir, content))

    def message(self, maildir: str, content: str) -> TrackedMessage | None:
        """Return the record of a message, or None."""
        statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE maildir = ? AND content = ?"  # noqa: S608  the columns are a constant
        return next(iter(self._read(state.message_from, statement, self._id(maildir), bytes.fromhex(content))), None)

    def put_message(self, maildir: str, message: TrackedMessage, *, now: float) -> None:
        """Record a message. An existing record of the message is replaced."""
        statement = (
            "INSERT OR REPLACE INTO messages (maildir, content, role, act, moved, label, pending, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        values = message.role, message.act, message.moved, message.label, message.pending
        self._connection.execute(statement, (self._id(maildir), bytes.fromhex(message.content), *values, now))

    def pending(self, maildir: str) -> list[TrackedMessage]:
        """Return the messages with a pending label, which has not been added to the label store yet."""
        statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE maildir = ? AND pending"  # noqa: S608  the columns are a constant
        return self._read(state.message_from, statement, self._id(maildir))

    def clear_pending(self, maildir: str, content: str) -> None:
        """Record that the label of a message is not pending any more."""
        self._connection.execute(
            "UPDATE messages SET pending = 0 WHERE maildir = ? AND content = ?",
            (self._id(maildir), bytes.fromhex(content)),
        )

    def prune(self, maildir: str, *, now: float) -> None:
        """Remove the records of messages that have no file and were recorded more than 90 days ago.

        Does nothing if the last pruning of this Maildir was less than a day ago. If the clock is ahead, the records are
        removed too early. This does no harm, because the classified messages are recorded in the journal and the labels
        are in the label store.
        """
        number = self._id(maildir)
        with self.change():
            row = self._connection.execute("SELECT pruned FROM maildirs WHERE id = ?", (number,)).fetchone()
            # A time in the future was recorded while the clock was wrong.
            if row is None or (isinstance(row[0], float) and abs(now - row[0]) < DAY):
                return
            self._connection.execute("UPDATE maildirs SET pruned = ? WHERE id = ?", (now, number))
            self._connection.execute(
                "DELETE FROM messages WHERE maildir = ? AND updated < ? AND NOT pending"
                " AND NOT EXISTS (SELECT 1 FROM files WHERE files.content = messages.content)",
                (number, now - REMEMBERED),
            )

    def _id(self, maildir: str) -> int | None:
        if maildir not in self._ids:
            rows = self._read(tuple, "SELECT id FROM maildirs WHERE path = ?", os.fsencode(maildir))
            if not rows:
                return None
            self._ids[maildir] = rows[0][0]
        return self._ids[maildir]

    def _read(self, from_row: Callable[[tuple[Any, ...]], _Record], statement: str, *values: Any) -> list[_Record]:
        with self._damage_named():
            return list(map(from_row, self._connection.execute(statement, values)))

    @contextlib.contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Replace an error that means a damaged file or cell by a DamagedStateError."""
        try:
            yield
        except (CellError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            damage = f"{self._folder / NAME} is damaged ({error}); move it away to begin anew{_LAYOUT.loss}"
            raise DamagedStateError(damage) from error


def _opened(folder: Path) -> sqlite3.Connection:
    try:
        _rename_former(folder)
        connection = database.open_in(folder, NAME, _LAYOUT)
    except DataError as error:
        emit(logging.WARNING, "mailbox-state-lost", error=str(error))
        _remove(folder)
        connection = database.open_in(folder, NAME, _LAYOUT)
    # Text that is not UTF-8 must damage only one cell and must not make the query fail.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _rename_former(folder: Path) -> None:
    """Rename a database with the former name to the current name.

    SQLite finds the write-ahead log by the name of the database, so the log is merged into the database first.
    """
    former = folder / FORMER_NAME
    if (folder / NAME).exists() or not former.is_file():
        return
    with database.Explained(str(former), _LAYOUT.loss), contextlib.closing(database.connect(former)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    former.rename(folder / NAME)


def _remove(folder: Path) -> None:
    for name in (NAME, FORMER_NAME):
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
