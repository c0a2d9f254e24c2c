"""Which messages in an inbox are not judged yet: the index of those that need no further look, and the scan for others.

The index keeps names as 64-bit hashes, 24 bytes a row, as an inbox of 100,000 messages has 100,000 rows. The odds that
a new name has the hash of another name in its inbox are then 1 in 10^14.
"""

# Every scan of perhaps 10,000 Maildirs asks for this; os is faster than pathlib:
# ruff: noqa: PTH116

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spamlstm.config import CatchUp
from spamlstm.files import Closable
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.names import DELIVERED, Name, Part
from spamlstm.maildir.opened import OpenMaildir

if TYPE_CHECKING:
    from spamlstm.filtering.journal import Journal

# A folder's mtime has steps (4 ms on ext4, 2 s on some others), and a second change within one step does not show. So
# it is only trusted if it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


DAY = 86_400.0
# Seconds. As long as the content of a message is remembered, a file that was given the name of another is judged.
REMEMBERED = 90 * DAY
# Up to this many names are looked up one by one; for more, the whole index of the inbox is read.
_FEW = 500

INBOX_SCHEMA = """
CREATE TABLE IF NOT EXISTS maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, watched_since REAL NOT NULL,
    pruned REAL NOT NULL);
CREATE TABLE IF NOT EXISTS inbox_index (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    time INTEGER NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class InboxIndex:
    """The names of the files in each inbox that need no further look; a part of the journal.

    They were judged, or were there before the Maildir was watched.

    All methods that change it are called within a transaction of the journal.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Asked for with every scan of perhaps 10,000 Maildirs.
        self._numbers: dict[str, int] = {}
        self._pruned: dict[str, float] = {}

    def rolled_back(self) -> None:
        """Forget rows that were read in a transaction that was rolled back."""
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
        """Return the time from which on a Maildir is watched, in seconds since 1970.

        A damaged time, or one in the future from a wrong clock, is replaced by `now`: all mail that comes to cur would
        be left alone until then.
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
        """Return which of these base names are not in the index. Each comes with the inode of its file, or 0.

        A name that is there with another inode is that of another message: procmail reuses names.
        """
        hashes = {name_hash(base): base for base in names}
        known = self._known(self._watched(maildir), list(hashes))
        oldest = now - REMEMBERED
        return {base for key, base in hashes.items() if key not in known or _differs(names[base], known[key], oldest)}

    def needs_pruning(self, maildir: str, *, now: float) -> bool:
        """Return whether the last `prune` was a day or more ago, or was recorded under a clock that was ahead."""
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


@dataclass(frozen=True, slots=True)
class _Look:
    """One part of an inbox as last read: its mtime (None if it cannot be trusted), and the messages not judged yet."""

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class OpenMaildirs(Closable):
    """The Maildirs that are open for one visit; each is opened at its first use. For one thread."""

    def __init__(self, open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open) -> None:
        self._open = open_maildir
        self._maildirs: dict[str, OpenMaildir] = {}

    def opened(self, maildir: str) -> OpenMaildir:
        """Return the Maildir at a path. An OSError if it cannot be opened."""
        if maildir not in self._maildirs:
            self._maildirs[maildir] = self._open(maildir)
        return self._maildirs[maildir]

    def close(self) -> None:
        """End the visit: close all of them. `opened` opens them again."""
        while self._maildirs:
            self._maildirs.popitem()[1].close()


class Scanner:
    """Scans inboxes. It keeps little memory for each Maildir, and none for messages that were judged.

    `opened` returns the Maildir at a path, opened for this visit.
    """

    def __init__(self, journal: "Journal", *, clock: Callable[[], float], opened: Callable[[str], OpenMaildir]) -> None:
        self._journal = journal
        self._clock = clock
        self._opened = opened
        # By the path of the part.
        self._looks: dict[str, _Look] = {}

    def scan(self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp) -> list[Candidate]:
        """Return the messages to judge in these parts of the inbox; OSError if one of the parts cannot be read.

        new is read before cur, so that a message that a reader takes to cur meanwhile is found, and once. A name that
        changes within cur while that is read may be missed; the change shows in the folder's mtime, so the next scan
        reads it. The first scan of a Maildir begins its watch; `catch_up` says which of its mail is judged.
        """
        if self._journal.index.number(maildir) is None:
            self._begin(maildir, catch_up)
        ordered = tuple(part for part in DELIVERED if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._prune(maildir, ordered)
        # What a reader took from new to cur meanwhile is found twice. Two files may have one base name.
        return list({(candidate.key, candidate.inode): candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        # Only a hint that something changed: the folder is read by way of the opened Maildir.
        changed = os.stat(path, follow_symlinks=False).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._missing(maildir, look.pending)
        else:
            settled = is_settled(changed, now=self._clock())
            pending = self._missing(maildir, list_candidates(self._opened(maildir), part))
            look = _Look(changed if settled else None, ())
        self._looks[path] = _Look(look.mtime_ns, tuple(pending))
        return pending

    def _missing(self, maildir: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        by_key = {candidate.key: candidate for candidate in candidates}
        inodes = {key: candidate.inode for key, candidate in by_key.items()}
        missing = self._journal.index.missing(maildir, inodes, now=self._clock())
        return [candidate for key, candidate in by_key.items() if key in missing]

    def _begin(self, maildir: str, catch_up: CatchUp) -> None:
        bases: set[str] = set()
        # Twice, as a listing may miss a name that changes meanwhile, and it must not look like new mail later.
        mailbox = self._opened(maildir)
        for _ in range(2):
            for part in DELIVERED:
                bases |= {one.key for one in list_candidates(mailbox, part) if _is_old(one, catch_up)}
        now = self._clock()
        # If the configuration asks for mail that is there already, its date does not matter.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.transaction(durable=True):
            self._journal.index.begin(maildir, bases, since=since, now=now)

    def _prune(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.index.needs_pruning(maildir, now=self._clock()):
            # Twice, for the same reason as in `_begin`.
            mailbox = self._opened(maildir)
            here = {candidate.key for part in (*parts, *parts) for candidate in list_candidates(mailbox, part)}
            with self._journal.transaction(durable=False):
                self._journal.index.prune(maildir, here, now=self._clock())


def is_settled(changed_ns: int, *, now: float) -> bool:
    """Return whether a folder's mtime can be trusted: a further change of the folder gives another mtime.

    It can if it is in the past, or a day or more in the future: then the clock was wrong when the folder was changed,
    or is wrong now, and a further change gives another time. No server's clock is a day ahead of this one.
    """
    past = now * 1e9 - changed_ns
    return past > _SETTLED_NS or past < -DAY * 1e9


def list_candidates(mailbox: OpenMaildir, part: Part) -> list[Candidate]:
    """Return the messages in one part of an inbox, sorted by name, which mostly is the order of delivery."""
    found = [Candidate(mailbox.path, part, entry.name, entry.inode()) for entry in mailbox.folder().listed(part)]
    bases = Counter(candidate.base for candidate in found)
    if len(bases) < len(found):
        # Different files whose names differ in their comma fields only.
        found = [replace(one, shares_base=True) if bases[one.base] > 1 else one for one in found]
    return sorted(found, key=lambda candidate: candidate.name)


def _is_old(candidate: Candidate, catch_up: CatchUp) -> bool:
    """Return whether a message that is there at the first scan is not judged."""
    if catch_up is CatchUp.NEW:
        return True
    return catch_up is CatchUp.UNSEEN and candidate.part == "cur" and "S" in Name.parse(candidate.name).flags
