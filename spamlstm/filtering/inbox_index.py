"""The inbox index: the names of the files in each inbox that need no further look."""

# Names are kept as 64-bit hashes, 24 bytes a row, as an inbox of 100,000 messages has 100,000 rows. The odds that a new
# name has the hash of another name in its inbox are then 1 in 10^14.

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

DAY = 86_400.0
# Seconds. As long as the content of a message is remembered, a file that was given the name of another is judged.
REMEMBERED = 90 * DAY
# Up to this many names are looked up one by one; for more, the whole index of the inbox is read.
_FEW = 500

SCHEMA = """
CREATE TABLE IF NOT EXISTS maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, watched_since REAL NOT NULL,
    pruned REAL NOT NULL);
CREATE TABLE IF NOT EXISTS inbox_index (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    time INTEGER NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class InboxIndex:
    """The names that were judged, or were there before the Maildir was watched. It is part of a journal.

    All methods that change it are called within a transaction of the journal.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Asked for with every scan of perhaps 10,000 Maildirs.
        self._numbers: dict[str, int] = {}
        self._pruned: dict[str, float] = {}

    def rolled_back(self) -> None:
        """Forget what may have been read in a transaction that was rolled back."""
        self._numbers.clear()
        self._pruned.clear()

    def number(self, maildir: str) -> int | None:
        """Return the number of a Maildir that is watched, else None."""
        if maildir not in self._numbers:
            found = self._connection.execute("SELECT id FROM maildirs WHERE path = ?", (os.fsencode(maildir),))
            row = found.fetchone()
            if row is None:
                return None
            self._numbers[maildir] = row[0]
        return self._numbers[maildir]

    def since(self, maildir: str, *, now: float) -> float:
        """Return since when a Maildir is watched, in seconds since 1970.

        If that is damaged or in the future, because the clock was wrong then, it is `now` from now on. Otherwise all
        mail that comes to cur would be left alone until that time.
        """
        number = self._watched(maildir)
        since = self._cell(number, "watched_since")
        if isinstance(since, float) and since <= now + DAY:
            return since
        self._connection.execute("UPDATE maildirs SET watched_since = ? WHERE id = ?", (now, number))
        return now

    def begin(self, maildir: str, bases: Iterable[str], *, since: float, now: float) -> None:
        """Watch a Maildir from now on; the messages with these base names are not to be judged.

        A message in cur that was delivered before `since` was put there by its user, and is not judged either.
        """
        self._connection.execute(
            "INSERT INTO maildirs (path, watched_since, pruned) VALUES (?, ?, ?)", (os.fsencode(maildir), since, now)
        )
        # Without inodes: a restored backup has other inodes, and must not make an archive look like new mail.
        self.add(maildir, ((base, 0) for base in bases), now=now)

    def add(self, maildir: str, names: Iterable[tuple[str, int]], *, now: float) -> None:
        """Add base names, each with the inode of its file or 0."""
        number = self._watched(maildir)
        rows = ((number, name_hash(base), signed(inode), int(now)) for base, inode in names)
        self._connection.executemany("INSERT OR REPLACE INTO inbox_index VALUES (?, ?, ?, ?)", rows)

    def missing(self, maildir: str, names: Mapping[str, int], *, now: float) -> set[str]:
        """Return those of these base names, each with the inode of its file or 0, that are not in the index.

        A name that is there with another inode is that of another message: procmail reuses names.
        """
        hashes = {name_hash(base): base for base in names}
        known = self._known(self._watched(maildir), list(hashes))
        oldest = now - REMEMBERED
        return {base for key, base in hashes.items() if key not in known or _differs(names[base], known[key], oldest)}

    def needs_pruning(self, maildir: str, *, now: float) -> bool:
        """Return whether `prune` was last called a day ago, or under a clock that was ahead."""
        if maildir not in self._pruned:
            pruned = self._cell(self._watched(maildir), "pruned")
            self._pruned[maildir] = pruned if isinstance(pruned, float) else 0.0
        return abs(now - self._pruned[maildir]) >= DAY

    def prune(self, maildir: str, bases: set[str], *, now: float) -> None:
        """Forget names of more than a day ago that are not among `bases`, the names of all files in the inbox now."""
        number = self._watched(maildir)
        here = set(map(name_hash, bases))
        found = self._connection.execute(
            "SELECT name FROM inbox_index WHERE maildir = ? AND time < ?", (number, now - DAY)
        )
        gone = [(number, name) for (name,) in found if name not in here]
        self._connection.executemany("DELETE FROM inbox_index WHERE maildir = ? AND name = ?", gone)
        self._connection.execute("UPDATE maildirs SET pruned = ? WHERE id = ?", (now, number))
        self._pruned[maildir] = now

    def _watched(self, maildir: str) -> int:
        number = self.number(maildir)
        if number is None:
            raise KeyError(maildir)
        return number

    def _cell(self, number: int, column: str) -> Any:
        """Return a cell of a watched Maildir. A DatabaseError if SQLite's index lists a row that the table lacks."""
        row = self._connection.execute(f"SELECT {column} FROM maildirs WHERE id = ?", (number,)).fetchone()  # noqa: S608  ours
        if row is None:
            raise sqlite3.DatabaseError("the table of Maildirs and its index differ")
        return row[0]

    def _known(self, number: int, hashes: list[int]) -> dict[int, tuple[Any, Any]]:
        if len(hashes) > _FEW:
            rows = self._connection.execute("SELECT name, inode, time FROM inbox_index WHERE maildir = ?", (number,))
        else:
            marks = ",".join("?" * len(hashes))
            rows = self._connection.execute(
                f"SELECT name, inode, time FROM inbox_index WHERE maildir = ? AND name IN ({marks})",  # noqa: S608  marks only
                (number, *hashes),
            )
        return {name: (inode, time) for name, inode, time in rows}


def _differs(inode: int, known: tuple[Any, Any], oldest: float) -> bool:
    before, time = known
    if not (isinstance(before, int) and isinstance(time, int)):
        return False  # a damaged row: the name is in the index, and that is enough
    return bool(inode and before) and signed(inode) != before and time > oldest


def name_hash(base: str) -> int:
    """Return a 64-bit hash of a base name, as SQLite's signed integers hold it."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def signed(inode: int) -> int:
    """Return an inode as SQLite's signed integers hold it: some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
