"""Where the messages of the Maildirs lay when last looked at, so that a difference tells what their users did.

One SQLite database in the state folder. What is in it can be had again by looking: without it, what lies there now is
the state to start from. A label that follows from a difference is noted with it, in one transaction that is on disk
before it is said: so that a crash between the two loses nothing, and says nothing twice.
"""

import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from spamlstm import database
from spamlstm.cells import CellError
from spamlstm.database import Layout, is_damage
from spamlstm.errors import DataError
from spamlstm.filtering.inbox_index import DAY, REMEMBERED, signed
from spamlstm.filtering.log import emit
from spamlstm.maildir.folders import Folder, FolderRole
from spamlstm.tracking import state_rows
from spamlstm.tracking.state import FlagSet, KnownFolder, TrackedFile, TrackedMessage
from spamlstm.tracking.state_rows import KNOWN, MESSAGE

NAME = "places.sqlite"

_LAYOUT = Layout(
    version=1,
    schema="""
CREATE TABLE maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, tidied REAL NOT NULL);
CREATE TABLE folders (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, name BLOB NOT NULL, kind TEXT NOT NULL,
    which INTEGER NOT NULL, new_ns INTEGER NOT NULL, cur_ns INTEGER NOT NULL, UNIQUE (maildir, name));
CREATE TABLE files (folder INTEGER NOT NULL, base INTEGER NOT NULL, marks INTEGER NOT NULL, content BLOB,
    PRIMARY KEY (folder, base)) WITHOUT ROWID;
CREATE INDEX files_content ON files (content) WHERE content IS NOT NULL;
CREATE TABLE messages (maildir INTEGER NOT NULL, content BLOB NOT NULL, place TEXT NOT NULL, act INTEGER NOT NULL,
    moved INTEGER NOT NULL, said TEXT, owed INTEGER NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (maildir, content)) WITHOUT ROWID;
CREATE INDEX messages_owed ON messages (maildir) WHERE owed;
""",
    pragmas=(),
    loss=": what lies in the folders now is then where learning from moves begins",
)


class DamagedStateError(DataError):
    """What is noted of a Maildir cannot be read: `begin_anew` makes it anew."""


class MailboxState:
    """The places of one state folder; for one thread."""

    def __init__(self, connection: sqlite3.Connection, state: Path) -> None:
        self._state = state
        self._connection = connection
        self._numbers: dict[str, int] = {}

    @classmethod
    def open(cls, state: Path) -> Self:
        """Open those of a state folder; raises and makes as `database.open_in` does, but a damaged one is made anew."""
        return cls(_opened(state), state)

    def close(self) -> None:
        """Let go of them."""
        self._connection.close()

    @contextlib.contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """All of it or nothing: a `database.transaction`. DamagedPlacesError if the file is damaged."""
        try:
            with self._explained(), database.transaction(self._connection, durable=durable):
                yield
        except BaseException:
            self._numbers.clear()
            raise

    def begin_anew(self, maildir: str) -> None:
        """Forget what is noted of one Maildir, as it is damaged; of all of them, if the file itself is."""
        emit(logging.WARNING, "places-lost", maildir=maildir, error=f"damaged{_LAYOUT.loss}")
        try:
            with self.change(durable=True):
                number = (self._number(maildir),)
                folders = "DELETE FROM files WHERE folder IN (SELECT id FROM folders WHERE maildir = ?)"
                self._connection.execute(folders, number)
                for table in ("folders", "messages"):
                    self._connection.execute(f"DELETE FROM {table} WHERE maildir = ?", number)  # noqa: S608  ours
                self._connection.execute("DELETE FROM maildirs WHERE id = ?", number)
        except DamagedStateError:
            self._connection.close()
            _remove(self._state)
            self._connection = _opened(self._state)
        self._numbers.clear()

    # --- Maildirs and their folders ---------------------------------------------------------------------------------

    def begun(self, maildir: str) -> bool:
        """Whether this Maildir was ever looked at."""
        return self._number(maildir) is not None

    def begin(self, maildir: str, *, now: float) -> None:
        """From now on it is."""
        self._connection.execute(
            "INSERT OR IGNORE INTO maildirs (path, tidied) VALUES (?, ?)", (os.fsencode(maildir), now)
        )

    def folders(self, maildir: str) -> list[KnownFolder]:
        """Its folders when last read."""
        with self._explained():
            statement = f"SELECT {KNOWN} FROM folders WHERE maildir = ?"  # noqa: S608  ours
            return list(map(state_rows.known, self._connection.execute(statement, (self._number(maildir),))))

    def add_folder(self, maildir: str, folder: Folder, kind: FolderRole) -> KnownFolder:
        """One more, of which nothing is read yet."""
        unread = Folder(folder.name, folder.inode, -1, -1)
        done = self._connection.execute(
            "INSERT INTO folders (maildir, name, kind, which, new_ns, cur_ns) VALUES (?, ?, ?, ?, -1, -1)",
            (self._number(maildir), os.fsencode(folder.name), kind, signed(folder.inode)),
        )
        return KnownFolder(int(done.lastrowid or 0), unread, kind)

    def note_folder(self, known: KnownFolder, folder: Folder, kind: FolderRole) -> None:
        """How it was when last read, under whichever name. Of another kind than before, so are the messages in it."""
        self._connection.execute(
            "UPDATE folders SET name = ?, kind = ?, which = ?, new_ns = ?, cur_ns = ? WHERE id = ?",
            (os.fsencode(folder.name), kind, signed(folder.inode), folder.new_ns, folder.cur_ns, known.id),
        )
        if kind is not known.kind:
            self._connection.execute(
                "UPDATE messages SET place = ?, moved = 1 WHERE place = ? AND maildir ="
                " (SELECT maildir FROM folders WHERE id = ?) AND content IN"
                " (SELECT content FROM files WHERE folder = ? AND content IS NOT NULL)",
                (kind, known.kind, known.id, known.id),
            )

    def drop_folder(self, known: KnownFolder) -> None:
        """It is gone, or has become one that says nothing."""
        self._connection.execute("DELETE FROM files WHERE folder = ?", (known.id,))
        self._connection.execute("DELETE FROM folders WHERE id = ?", (known.id,))

    # --- files ------------------------------------------------------------------------------------------------------

    def marks(self, folder: int, *, new: bool = False) -> dict[int, FlagSet]:
        """The files of a folder by the hash of their base, or those of them that lie in new."""
        least = FlagSet.NEW if new else -(1 << 63)
        with self._explained():
            return state_rows.all_marked(
                self._connection.execute(
                    "SELECT base, marks FROM files WHERE folder = ? AND marks >= ?", (folder, least)
                )
            )

    def unread(self, folder: int) -> set[int]:
        """Those of a folder whose content is not known."""
        with self._explained():
            rows = self._connection.execute("SELECT base FROM files WHERE folder = ? AND content IS NULL", (folder,))
            return {base for (base,) in rows}

    def content(self, folder: int, base: int) -> str | None:
        """The content of a file, if that is known."""
        with self._explained():
            row = self._connection.execute(
                "SELECT content FROM files WHERE folder = ? AND base = ?", (folder, base)
            ).fetchone()
            return state_rows.content(row) if row else None

    def note_files(self, files: Iterable[TrackedFile]) -> None:
        """What lies there, read or not."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO files (folder, base, marks, content) VALUES (?, ?, ?, ?)",
            ((one.folder, one.base, one.marks, bytes.fromhex(one.content) if one.content else None) for one in files),
        )

    def drop_file(self, folder: int, base: int) -> None:
        """It lies there no more."""
        self._connection.execute("DELETE FROM files WHERE folder = ? AND base = ?", (folder, base))

    def copies(self, maildir: str, content: str) -> list[tuple[KnownFolder, TrackedFile]]:
        """The files of one message that are not marked as deleted."""
        with self._explained():
            rows = self._connection.execute(
                f"SELECT {KNOWN}, base, marks FROM files"  # noqa: S608  ours
                " JOIN folders ON folders.id = folder WHERE content = ? AND maildir = ?",
                (bytes.fromhex(content), self._number(maildir)),
            )
            found = [state_rows.copy(row, content) for row in rows]
        return [(folder, file) for folder, file in found if not file.marks & FlagSet.DELETED]

    # --- messages ---------------------------------------------------------------------------------------------------

    def knows(self, maildir: str, content: str) -> bool:
        """Whether a message lies or lay in another folder than the inbox: then it is there by its user's will."""
        message = self.message(maildir, content)
        if message is not None and message.moved:
            return True
        return any(folder.kind is not FolderRole.INBOX for folder, _ in self.copies(maildir, content))

    def message(self, maildir: str, content: str) -> TrackedMessage | None:
        """What is known of a message there."""
        with self._explained():
            row = self._connection.execute(
                f"SELECT {MESSAGE} FROM messages WHERE maildir = ? AND content = ?",  # noqa: S608  ours
                (self._number(maildir), bytes.fromhex(content)),
            ).fetchone()
            return state_rows.message(row) if row else None

    def note(self, maildir: str, message: TrackedMessage, *, now: float) -> None:
        """What is known of it from now on."""
        self._connection.execute(
            "INSERT OR REPLACE INTO messages (maildir, content, place, act, moved, said, owed, time)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._number(maildir),
                bytes.fromhex(message.content),
                message.place,
                message.act,
                message.moved,
                message.said,
                message.pending,
                now,
            ),
        )

    def pending(self, maildir: str) -> list[TrackedMessage]:
        """The messages there of which a label is yet to be said."""
        with self._explained():
            statement = f"SELECT {MESSAGE} FROM messages WHERE maildir = ? AND owed"  # noqa: S608  ours
            return list(map(state_rows.message, self._connection.execute(statement, (self._number(maildir),))))

    def paid(self, maildir: str, content: str) -> None:
        """It was said, or cannot be any more."""
        self._connection.execute(
            "UPDATE messages SET owed = 0 WHERE maildir = ? AND content = ?",
            (self._number(maildir), bytes.fromhex(content)),
        )

    def tidy(self, maildir: str, *, now: float) -> None:
        """Once a day forget messages that lie nowhere, 90 days after they were last noted.

        Under a clock that is ahead they go early, which loses nothing: the journal knows what was judged, and the label
        store what was said.
        """
        number = self._number(maildir)
        with self.change():
            row = self._connection.execute("SELECT tidied FROM maildirs WHERE id = ?", (number,)).fetchone()
            # A day that lies ahead was noted under a wrong clock.
            if row is None or (isinstance(row[0], float) and abs(now - row[0]) < DAY):
                return
            self._connection.execute("UPDATE maildirs SET tidied = ? WHERE id = ?", (now, number))
            self._connection.execute(
                "DELETE FROM messages WHERE maildir = ? AND time < ? AND NOT owed"
                " AND NOT EXISTS (SELECT 1 FROM files WHERE files.content = messages.content)",
                (number, now - REMEMBERED),
            )

    def _number(self, maildir: str) -> int | None:
        if maildir not in self._numbers:
            with self._explained():
                row = self._connection.execute(
                    "SELECT id FROM maildirs WHERE path = ?", (os.fsencode(maildir),)
                ).fetchone()
            if row is None:
                return None
            self._numbers[maildir] = row[0]
        return self._numbers[maildir]

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What says that the file or a row is damaged is a DamagedPlacesError."""
        try:
            yield
        except (CellError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            damage = f"{self._state / NAME} is damaged ({error}); move it away to begin anew{_LAYOUT.loss}"
            raise DamagedStateError(damage) from error


def name_hash(base: str) -> int:
    """64 bits for a base name: that two in one folder have the same has odds of 1 in 10^10 where there are 50,000."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def _opened(state: Path) -> sqlite3.Connection:
    try:
        connection = database.open_in(state, NAME, _LAYOUT)
    except DataError as error:
        emit(logging.WARNING, "places-lost", error=str(error))
        _remove(state)
        connection = database.open_in(state, NAME, _LAYOUT)
    # A text that is not UTF-8 is one damaged cell, not a question that fails.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _remove(state: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (state / f"{NAME}{suffix}").unlink(missing_ok=True)
