"""Which file names of which inbox need no look any more."""

# A row is 24 bytes or so: names are kept as hashes of 64 bits, as an inbox of 100,000 has 100,000 rows. That a new
# name meets an old hash of its own inbox then has odds of 1 in 10^14.

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

DAY = 86_400.0
# As long as a message's content is remembered, a file that was given the name of another is noticed and judged.
REMEMBERED = 90 * DAY
# Up to so many names are asked for one by one; for more, all that is known of the inbox is read.
_FEW = 500

SCHEMA = """
CREATE TABLE IF NOT EXISTS maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, since REAL NOT NULL,
    tidied REAL NOT NULL);
CREATE TABLE IF NOT EXISTS seen (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    time INTEGER NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class InboxIndex:
    """The names that were judged, or lay there before the Maildir was watched; part of a journal, in its groups."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Asked for with every scan of each of perhaps 10,000 Maildirs.
        self._numbers: dict[str, int] = {}
        self._tidied: dict[str, float] = {}

    def rolled_back(self) -> None:
        """Forget what may have been read of a group that came to nothing."""
        self._numbers.clear()
        self._tidied.clear()

    def number(self, maildir: str) -> int | None:
        """The number of a Maildir that is watched, else None."""
        if maildir not in self._numbers:
            found = self._connection.execute("SELECT id FROM maildirs WHERE path = ?", (os.fsencode(maildir),))
            row = found.fetchone()
            if row is None:
                return None
            self._numbers[maildir] = row[0]
        return self._numbers[maildir]

    def since(self, maildir: str, *, now: float) -> float:
        """What `begin` was told, in seconds since 1970.

        If that is damaged or lies ahead, as it was noted under a wrong clock, it is `now` from now on: else all that
        comes to lie in cur would be left alone until then.
        """
        number = self._known(maildir)
        since = self._noted_of(number, "since")
        if isinstance(since, float) and since <= now + DAY:
            return since
        self._connection.execute("UPDATE maildirs SET since = ? WHERE id = ?", (now, number))
        return now

    def begin(self, maildir: str, bases: Iterable[str], *, since: float, now: float) -> None:
        """Watch a Maildir from now on; the messages of these base names are none of our business.

        What turns up in cur with a delivery date before `since` was put there by its user, and isn't either.
        """
        self._connection.execute(
            "INSERT INTO maildirs (path, since, tidied) VALUES (?, ?, ?)", (os.fsencode(maildir), since, now)
        )
        # Without their inodes: that a restored backup has others must not make an archive look like new mail.
        self.add(maildir, ((base, 0) for base in bases), now=now)

    def add(self, maildir: str, names: Iterable[tuple[str, int]], *, now: float) -> None:
        """Note base names, each with the inode of its file or 0."""
        number = self._known(maildir)
        rows = ((number, name_hash(base), signed(inode), int(now)) for base, inode in names)
        self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", rows)

    def unseen(self, maildir: str, names: Mapping[str, int], *, now: float) -> set[str]:
        """Which of these base names, each with the inode of its file or 0, are not noted.

        A name that was noted with another inode is that of another message: procmail uses names again.
        """
        hashes = {name_hash(base): base for base in names}
        noted = self._noted(self._known(maildir), list(hashes))
        oldest = now - REMEMBERED
        return {base for key, base in hashes.items() if key not in noted or _differs(names[base], noted[key], oldest)}

    def is_untidy(self, maildir: str, *, now: float) -> bool:
        """Whether it is a day since `tidy`, or that was noted under a clock that was ahead."""
        if maildir not in self._tidied:
            tidied = self._noted_of(self._known(maildir), "tidied")
            self._tidied[maildir] = tidied if isinstance(tidied, float) else 0.0
        return abs(now - self._tidied[maildir]) >= DAY

    def tidy(self, maildir: str, bases: set[str], *, now: float) -> None:
        """Forget names of more than a day ago that are not among `bases`, those of all that lies in the inbox now."""
        number = self._known(maildir)
        here = set(map(name_hash, bases))
        found = self._connection.execute("SELECT name FROM seen WHERE maildir = ? AND time < ?", (number, now - DAY))
        gone = [(number, name) for (name,) in found if name not in here]
        self._connection.executemany("DELETE FROM seen WHERE maildir = ? AND name = ?", gone)
        self._connection.execute("UPDATE maildirs SET tidied = ? WHERE id = ?", (now, number))
        self._tidied[maildir] = now

    def _known(self, maildir: str) -> int:
        number = self.number(maildir)
        if number is None:
            raise KeyError(maildir)
        return number

    def _noted_of(self, number: int, column: str) -> Any:
        """What is noted of a watched Maildir; a DatabaseError if an index knows a Maildir that the table does not."""
        row = self._connection.execute(f"SELECT {column} FROM maildirs WHERE id = ?", (number,)).fetchone()  # noqa: S608  ours
        if row is None:
            raise sqlite3.DatabaseError("the table of Maildirs and its index differ")
        return row[0]

    def _noted(self, number: int, hashes: list[int]) -> dict[int, tuple[Any, Any]]:
        if len(hashes) > _FEW:
            rows = self._connection.execute("SELECT name, inode, time FROM seen WHERE maildir = ?", (number,))
        else:
            marks = ",".join("?" * len(hashes))
            rows = self._connection.execute(
                f"SELECT name, inode, time FROM seen WHERE maildir = ? AND name IN ({marks})",  # noqa: S608  marks only
                (number, *hashes),
            )
        return {name: (inode, time) for name, inode, time in rows}


def _differs(inode: int, noted: tuple[Any, Any], oldest: float) -> bool:
    before, time = noted
    if not (isinstance(before, int) and isinstance(time, int)):
        return False  # it is damaged: the name is noted, and that is all that counts
    return bool(inode and before) and signed(inode) != before and time > oldest


def name_hash(base: str) -> int:
    """64 bits for a base name, as SQLite's signed integers hold them."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def signed(inode: int) -> int:
    """SQLite's integers are signed, inodes of some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
