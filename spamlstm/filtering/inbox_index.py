"""The index of the messages in each inbox that need no further processing, in the database of the journal.

The index stores names as 64-bit hashes with 24 bytes per row, because an inbox of 100,000 messages has 100,000 rows.
The probability that a new name has the hash of another name in its inbox is then 1 in 10^14.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from spamlstm.filtering.journal_database import JournalDatabase

DAY = 86_400.0
# In seconds. For this time after a file was indexed, a file with the same name but another inode is classified. Later,
# the name is sufficient for a file to count as indexed.
REMEMBERED = 90 * DAY
# Up to this number of names are looked up one by one. For more names, the whole index of the inbox is read.
_FEW = 500

_REMOVE = "DELETE FROM inbox_index WHERE maildir = ? AND name = ?"

INBOX_SCHEMA = """
CREATE TABLE IF NOT EXISTS maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, watched_since REAL NOT NULL,
    pruned REAL NOT NULL);
CREATE TABLE IF NOT EXISTS inbox_index (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    time INTEGER NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class InboxIndex:
    """The journal's index of files in each inbox that do not need to be processed again.

    These files were classified, or existed before their Maildir was watched.

    Methods that change the index are called within a transaction of the journal.
    """

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database
        # Caches, because every scan of perhaps 10,000 Maildirs uses these values.
        self._numbers: dict[str, int] = {}
        self._pruned: dict[str, float] = {}

    def rolled_back(self) -> None:
        """Clear the caches, which may hold values of a transaction that was rolled back."""
        self._numbers.clear()
        self._pruned.clear()

    def number(self, maildir: str) -> int | None:
        """Return the row number of a watched Maildir in the journal, or None if the Maildir is not watched."""
        if maildir not in self._numbers:
            row = self._database.first("SELECT id FROM maildirs WHERE path = ?", os.fsencode(maildir))
            if row is None:
                return None
            self._numbers[maildir] = row[0]
        return self._numbers[maildir]

    def since(self, maildir: str, *, now: float) -> float:
        """Return the time since which a Maildir is watched, in seconds since 1970.

        A damaged time, or a future time from a wrong clock, is replaced by `now`. Otherwise all mail that comes to cur
        would be ignored until the future time.
        """
        number = self._watched(maildir)
        since = self._cell(number, "watched_since")
        if isinstance(since, float) and since <= now + DAY:
            return since
        self._database.run("UPDATE maildirs SET watched_since = ? WHERE id = ?", now, number)
        return now

    def begin(self, maildir: str, bases: Iterable[str], *, since: float, now: float) -> None:
        """Start to watch a Maildir. Messages with the base names `bases` are not classified.

        A message in cur that was delivered before `since` was put there by its user, and is not classified either.
        """
        statement = "INSERT INTO maildirs (path, watched_since, pruned) VALUES (?, ?, ?)"
        self._database.run(statement, os.fsencode(maildir), since, now)
        # Inodes are not stored, because a restored backup has other inodes and its old mail must not be mistaken for
        # new mail.
        self.add(maildir, ((base, 0) for base in bases), now=now)

    def add(self, maildir: str, names: Iterable[tuple[str, int]], *, now: float) -> None:
        """Add base names to the index, each with the inode of its file, or 0."""
        number = self._watched(maildir)
        rows = ((number, name_hash(base), signed(inode), int(now)) for base, inode in names)
        self._database.run_many("INSERT OR REPLACE INTO inbox_index VALUES (?, ?, ?, ?)", rows)

    def remove(self, maildir: str, names: Iterable[str]) -> None:
        """Remove base names from the index, so that their files are classified."""
        number = self._watched(maildir)
        self._database.run_many(_REMOVE, ((number, name_hash(base)) for base in names))

    def missing(self, maildir: str, names: Mapping[str, int], *, now: float) -> set[str]:
        """Return the base names of `names` that are not in the index. `names` maps each base name to an inode, or 0.

        A name that was indexed with another inode, within the time REMEMBERED, is returned too. The name then belongs
        to another message, because procmail reuses names.
        """
        hashes = {name_hash(base): base for base in names}
        known = self._known(self._watched(maildir), list(hashes))
        oldest = now - REMEMBERED
        return {base for key, base in hashes.items() if key not in known or _differs(names[base], known[key], oldest)}

    def needs_pruning(self, maildir: str, *, now: float) -> bool:
        """Return whether the last call of `prune` is a day or more ago.

        Also returns True if the time of this call is a day or more in the future, because the clock was then wrong.
        """
        if maildir not in self._pruned:
            pruned = self._cell(self._watched(maildir), "pruned")
            self._pruned[maildir] = pruned if isinstance(pruned, float) else 0.0
        return abs(now - self._pruned[maildir]) >= DAY

    def prune(self, maildir: str, bases: set[str], *, now: float) -> None:
        """Delete names that were indexed more than a day ago and are not in `bases`.

        `bases` are the base names of all files that are now in the inbox.
        """
        number = self._watched(maildir)
        here = set(map(name_hash, bases))
        found = self._database.rows("SELECT name FROM inbox_index WHERE maildir = ? AND time < ?", number, now - DAY)
        gone = [(number, name) for (name,) in found if name not in here]
        self._database.run_many(_REMOVE, gone)
        self._database.run("UPDATE maildirs SET pruned = ? WHERE id = ?", now, number)
        self._pruned[maildir] = now

    def _watched(self, maildir: str) -> int:
        number = self.number(maildir)
        if number is None:
            raise KeyError(maildir)
        return number

    def _cell(self, number: int, column: str) -> Any:
        """Return a cell of a watched Maildir.

        Raises DataError if SQLite's index lists a row that is missing from the table.
        """
        row = self._database.first(f"SELECT {column} FROM maildirs WHERE id = ?", number)  # noqa: S608  ours
        if row is None:
            with self._database.explained:
                raise sqlite3.DatabaseError("the table of Maildirs and its index differ")
        return row[0]

    def _known(self, number: int, hashes: list[int]) -> dict[int, tuple[Any, Any]]:
        if len(hashes) > _FEW:
            rows = self._database.rows("SELECT name, inode, time FROM inbox_index WHERE maildir = ?", number)
        else:
            marks = ",".join("?" * len(hashes))
            rows = self._database.rows(
                f"SELECT name, inode, time FROM inbox_index WHERE maildir = ? AND name IN ({marks})",  # noqa: S608  marks only
                number,
                *hashes,
            )
        return {name: (inode, time) for name, inode, time in rows}


def _differs(inode: int, known: tuple[Any, Any], oldest: float) -> bool:
    before, time = known
    if not (isinstance(before, int) and isinstance(time, int)):
        return False  # in a damaged row, only the name is compared
    return bool(inode and before) and signed(inode) != before and time > oldest


def name_hash(base: str) -> int:
    """Return a 64-bit hash of a base name, as a signed integer for SQLite."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def signed(inode: int) -> int:
    """Return an inode as a signed integer for SQLite, because some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
