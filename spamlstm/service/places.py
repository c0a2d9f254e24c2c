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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any, Self

from spamlstm import database
from spamlstm.database import Layout
from spamlstm.errors import DataError
from spamlstm.learning.label import Label
from spamlstm.mail.folders import Folder, Kind
from spamlstm.service.log import emit
from spamlstm.service.seen import DAY, REMEMBERED

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


class Mark(IntFlag):
    """What a file's name tells of what its user did with the message."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """It is as good as gone: a client copied it elsewhere and has yet to remove it here."""
    NEW = 8
    """It lies in new. (So that a delivery to a large inbox needs no look at what lies in cur.)"""


class Owed(IntFlag):
    """Whether a label is yet to be said: not, or if there is none so far, or in any case."""

    NOTHING = 0
    IF_NONE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Known:
    """A folder as it was when last read. Times are -1 where they are not to be trusted."""

    id: int
    folder: Folder
    kind: Kind


@dataclass(frozen=True, slots=True)
class File:
    """One file in a folder; `content` is None where it was not read."""

    folder: int
    base: int
    marks: Mark
    content: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is known of one message in one Maildir: where its user has it, and what that came to."""

    content: str
    place: Kind
    act: int = 0
    """The number of the last act of ours on it that `place` takes into account."""
    moved: bool = False
    """Whether it ever lay anywhere else than in the inbox, as far as we saw."""
    said: Label | None = None
    """The label that followed last."""
    owed: Owed = Owed.NOTHING


class Places:
    """The places of one state folder; for one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}

    @classmethod
    def open(cls, state: Path) -> Self:
        """Open those of a state folder; raises and makes as `database.open_in` does, but a damaged one is made anew."""
        try:
            return cls(database.open_in(state, NAME, _LAYOUT))
        except DataError as error:
            emit(logging.WARNING, "places-lost", error=str(error))
            for suffix in ("", "-wal", "-shm"):
                (state / f"{NAME}{suffix}").unlink(missing_ok=True)
            return cls(database.open_in(state, NAME, _LAYOUT))

    def close(self) -> None:
        """Let go of them."""
        self._connection.close()

    @contextlib.contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """All of it or nothing: a `database.transaction`."""
        try:
            with database.transaction(self._connection, durable=durable):
                yield
        except BaseException:
            self._numbers.clear()
            raise

    # --- Maildirs and their folders ---------------------------------------------------------------------------------

    def begun(self, maildir: str) -> bool:
        """Whether this Maildir was ever looked at."""
        return self._number(maildir) is not None

    def begin(self, maildir: str, *, now: float) -> None:
        """From now on it is."""
        self._connection.execute(
            "INSERT OR IGNORE INTO maildirs (path, tidied) VALUES (?, ?)", (os.fsencode(maildir), now)
        )

    def folders(self, maildir: str) -> list[Known]:
        """Its folders when last read."""
        rows = self._connection.execute(
            "SELECT id, name, which, new_ns, cur_ns, kind FROM folders WHERE maildir = ?", (self._number(maildir),)
        )
        return [
            Known(number, Folder(os.fsdecode(name), _unsigned(which), new_ns, cur_ns), Kind(kind))
            for number, name, which, new_ns, cur_ns, kind in rows
        ]

    def add_folder(self, maildir: str, folder: Folder, kind: Kind) -> Known:
        """One more, of which nothing is read yet."""
        unread = Folder(folder.name, folder.which, -1, -1)
        done = self._connection.execute(
            "INSERT INTO folders (maildir, name, kind, which, new_ns, cur_ns) VALUES (?, ?, ?, ?, -1, -1)",
            (self._number(maildir), os.fsencode(folder.name), kind, _signed(folder.which)),
        )
        return Known(int(done.lastrowid or 0), unread, kind)

    def note_folder(self, known: Known, folder: Folder, kind: Kind) -> None:
        """How it was when last read, under whichever name. Of another kind than before, so are the messages in it."""
        self._connection.execute(
            "UPDATE folders SET name = ?, kind = ?, which = ?, new_ns = ?, cur_ns = ? WHERE id = ?",
            (os.fsencode(folder.name), kind, _signed(folder.which), folder.new_ns, folder.cur_ns, known.id),
        )
        if kind is not known.kind:
            self._connection.execute(
                "UPDATE messages SET place = ?, moved = 1 WHERE place = ? AND maildir ="
                " (SELECT maildir FROM folders WHERE id = ?) AND content IN"
                " (SELECT content FROM files WHERE folder = ? AND content IS NOT NULL)",
                (kind, known.kind, known.id, known.id),
            )

    def drop_folder(self, known: Known) -> None:
        """It is gone, or has become one that says nothing."""
        self._connection.execute("DELETE FROM files WHERE folder = ?", (known.id,))
        self._connection.execute("DELETE FROM folders WHERE id = ?", (known.id,))

    # --- files ------------------------------------------------------------------------------------------------------

    def marks(self, folder: int, *, new: bool = False) -> dict[int, Mark]:
        """The files of a folder by the hash of their base, or those of them that lie in new."""
        rows = self._connection.execute(
            "SELECT base, marks FROM files WHERE folder = ? AND marks >= ?", (folder, Mark.NEW if new else 0)
        )
        return {base: Mark(marks) for base, marks in rows}

    def unread(self, folder: int) -> set[int]:
        """Those of a folder whose content is not known."""
        rows = self._connection.execute("SELECT base FROM files WHERE folder = ? AND content IS NULL", (folder,))
        return {base for (base,) in rows}

    def content(self, folder: int, base: int) -> str | None:
        """The content of a file, if that is known."""
        row = self._connection.execute(
            "SELECT content FROM files WHERE folder = ? AND base = ?", (folder, base)
        ).fetchone()
        return row[0].hex() if row and row[0] else None

    def note_files(self, files: Iterable[File]) -> None:
        """What lies there, read or not."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO files (folder, base, marks, content) VALUES (?, ?, ?, ?)",
            ((one.folder, one.base, one.marks, bytes.fromhex(one.content) if one.content else None) for one in files),
        )

    def drop_file(self, folder: int, base: int) -> None:
        """It lies there no more."""
        self._connection.execute("DELETE FROM files WHERE folder = ? AND base = ?", (folder, base))

    def copies(self, maildir: str, content: str) -> list[tuple[Known, File]]:
        """The files of one message that are not marked as deleted."""
        rows = self._connection.execute(
            "SELECT folders.id, name, which, new_ns, cur_ns, kind, base, marks FROM files"
            " JOIN folders ON folders.id = folder WHERE content = ? AND maildir = ?",
            (bytes.fromhex(content), self._number(maildir)),
        )
        found = [
            (
                Known(number, Folder(os.fsdecode(name), _unsigned(which), new_ns, cur_ns), Kind(kind)),
                File(number, base, Mark(marks), content),
            )
            for number, name, which, new_ns, cur_ns, kind, base, marks in rows
        ]
        return [(known, file) for known, file in found if not file.marks & Mark.DELETED]

    # --- messages ---------------------------------------------------------------------------------------------------

    def knows(self, maildir: str, content: str) -> bool:
        """Whether a message lies or lay in another folder than the inbox: then it is there by its user's will."""
        message = self.message(maildir, content)
        if message is not None and message.moved:
            return True
        return any(known.kind is not Kind.INBOX for known, _ in self.copies(maildir, content))

    def message(self, maildir: str, content: str) -> Message | None:
        """What is known of a message there."""
        row = self._connection.execute(
            "SELECT place, act, moved, said, owed FROM messages WHERE maildir = ? AND content = ?",
            (self._number(maildir), bytes.fromhex(content)),
        ).fetchone()
        return _message(content, row) if row else None

    def note(self, maildir: str, message: Message, *, now: float) -> None:
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
                message.owed,
                now,
            ),
        )

    def owed(self, maildir: str) -> list[Message]:
        """The messages there of which a label is yet to be said."""
        rows = self._connection.execute(
            "SELECT content, place, act, moved, said, owed FROM messages WHERE maildir = ? AND owed",
            (self._number(maildir),),
        )
        return [_message(content.hex(), rest) for content, *rest in rows]

    def paid(self, maildir: str, content: str) -> None:
        """It was said, or cannot be any more."""
        self._connection.execute(
            "UPDATE messages SET owed = 0 WHERE maildir = ? AND content = ?",
            (self._number(maildir), bytes.fromhex(content)),
        )

    def tidy(self, maildir: str, *, now: float) -> None:
        """Once a day forget messages that lie nowhere, as long after they did as the journal forgets them."""
        number = self._number(maildir)
        row = self._connection.execute("SELECT tidied FROM maildirs WHERE id = ?", (number,)).fetchone()
        if row is None or now - row[0] < DAY:
            return
        with self.change():
            self._connection.execute("UPDATE maildirs SET tidied = ? WHERE id = ?", (now, number))
            self._connection.execute(
                "DELETE FROM messages WHERE maildir = ? AND time < ? AND NOT owed"
                " AND NOT EXISTS (SELECT 1 FROM files WHERE files.content = messages.content)",
                (number, now - REMEMBERED),
            )

    def _number(self, maildir: str) -> int | None:
        if maildir not in self._numbers:
            row = self._connection.execute("SELECT id FROM maildirs WHERE path = ?", (os.fsencode(maildir),)).fetchone()
            if row is None:
                return None
            self._numbers[maildir] = row[0]
        return self._numbers[maildir]


def base_hash(base: str) -> int:
    """64 bits for a base name: that two in one folder have the same has odds of 1 in 10^10 where there are 50,000."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def _message(content: str, row: Sequence[Any]) -> Message:
    place, act, moved, said, owed = row
    return Message(content, Kind(place), act, bool(moved), Label(said) if said else None, Owed(owed))


def _signed(inode: int) -> int:
    """SQLite's integers are signed, inodes of some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _unsigned(inode: int) -> int:
    return inode + (1 << 64) if inode < 0 else inode
