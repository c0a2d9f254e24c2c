"""Which messages are being judged now, so that a message that ends the process is found at the next start.

A row says that a file is in progress, or was when the process ended. It is written before the file is read and removed
with the transaction that records the outcome, so a row in progress at the start of a process tells of a crash: a signal
from the watchdog, the kernel's out-of-memory killer, a fault in a library. The row is not synced to disk, because what
a process wrote stays with the kernel when the process ends. Reasons: docs/decisions/0016-messages-that-kill.md.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from spamlstm.database import MOST_INTEGER
from spamlstm.filtering.inbox_index import REMEMBERED, InboxIndex, name_hash, signed

# `crashes` is NULL for a file that was in progress at no crash.
SCHEMA = """
CREATE TABLE IF NOT EXISTS in_progress (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version TEXT NOT NULL, running INTEGER NOT NULL,
    since REAL NOT NULL, crashes INTEGER, time REAL NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class Item(NamedTuple):
    """A file to be judged, or a message to be learned, by the hash of its base name or of its content id.

    Inode, size and mtime tell a file from another that has its name later; they are 0 for a message to be learned.
    """

    maildir: str
    name: int
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0


def labelling(maildir: str, content: str) -> Item:
    """Return the item for learning the message of a content id. The null byte keeps its hash apart from file names."""
    return Item(maildir, name_hash(f"\0{content}"))


class InProgress:
    """The table of one journal. All methods that change it are called within a transaction of the journal."""

    def __init__(self, connection: sqlite3.Connection, index: InboxIndex) -> None:
        self._connection = connection
        self._index = index
        # By Maildir and name: the file that was in progress at a crash, the version, and the crashes with it alone.
        # Few rows, looked up for every message. None if they are still to be read.
        self._suspects: dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]] | None = None

    def rolled_back(self) -> None:
        """Forget what may have been read in a transaction that was rolled back."""
        self._suspects = None

    def is_suspect(self, maildir: str, name: int) -> bool:
        """Return whether a file of this name was in progress at a crash; another file may have the name now."""
        suspects = self._read()
        return bool(suspects) and (self._index.number(maildir), name) in suspects

    def crashes(self, item: Item, *, version: str) -> int | None:
        """Return how often the process ended while this version had this file, and no other, in progress.

        None if the file was in progress at no crash.
        """
        suspects = self._read()
        suspect = suspects.get((self._index.number(item.maildir), item.name)) if suspects else None
        if suspect is None or suspect[0] != _file(item):
            return None
        _, with_version, crashes = suspect
        return crashes if with_version == version else 0

    def start(self, items: Iterable[Item], *, version: str, since: float, now: float) -> None:
        """Record what is about to be read. `since` is in seconds since the machine started (CLOCK_BOOTTIME).

        Items of a Maildir that the journal does not know are left out.
        """
        rows = [
            (number, item.name, *_file(item), version, 1, since, self.crashes(item, version=version), now)
            for item in items
            if (number := self._index.number(item.maildir)) is not None
        ]
        self._connection.executemany("INSERT OR REPLACE INTO in_progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def finish(self, items: Iterable[Item]) -> None:
        """Forget files whose outcome is known: none of them ended the process."""
        keys = self._keys(items)
        self._connection.executemany("DELETE FROM in_progress WHERE maildir = ? AND name = ?", keys)
        if self._suspects:
            for key in keys:
                self._suspects.pop(key, None)

    def stop(self, items: Iterable[Item]) -> None:
        """Record that files are no longer in progress although they have no outcome; their crashes stay counted."""
        keys = self._keys(items)
        self._connection.executemany("UPDATE in_progress SET running = 0 WHERE maildir = ? AND name = ?", keys)
        self._connection.executemany("DELETE FROM in_progress WHERE maildir = ? AND name = ? AND crashes IS NULL", keys)

    def recover(self, *, since: float) -> int:
        """Count a crash for each file in progress, at the start of a process; returns how many files there were.

        A file that was alone in progress is charged with the crash. One that was not alone becomes a suspect, and so
        does one if the machine has restarted since (its clock is at `since` now): the machine may have lost power.
        """
        (running,) = self._connection.execute("SELECT count(*) FROM in_progress WHERE running").fetchone()
        self._connection.execute(
            "UPDATE in_progress SET crashes = coalesce(crashes, 0) + (? AND since <= ?), running = 0 WHERE running",
            (running == 1, since),
        )
        self._suspects = None
        return int(running)

    def has_crashed(self) -> bool:
        """Return whether files are in progress; at the start of a process this says that the one before crashed."""
        return self._connection.execute("SELECT 1 FROM in_progress WHERE running LIMIT 1").fetchone() is not None

    def prune(self, *, now: float) -> None:
        """Forget suspects that are as old as the oldest judgements."""
        self._connection.execute("DELETE FROM in_progress WHERE NOT running AND time < ?", (now - REMEMBERED,))
        self._suspects = None

    def _keys(self, items: Iterable[Item]) -> list[tuple[int | None, int]]:
        return [(self._index.number(item.maildir), item.name) for item in items]

    def _read(self) -> dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]]:
        if self._suspects is None:
            rows = self._connection.execute(
                "SELECT maildir, name, inode, size, mtime_ns, version, crashes FROM in_progress"
                " WHERE crashes IS NOT NULL"
            )
            self._suspects = {
                (maildir, name): ((inode, size, mtime_ns), version, crashes)
                for maildir, name, inode, size, mtime_ns, version, crashes in rows
                if isinstance(crashes, int)  # a damaged row makes no file a suspect
            }
        return self._suspects


def _file(item: Item) -> tuple[int, int, int]:
    # An mtime may be beyond what 63 bits hold (the year 2262).
    return signed(item.inode), item.size, item.mtime_ns & MOST_INTEGER
