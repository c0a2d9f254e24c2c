"""The index of messages in each inbox that need no further processing, and the scan for the other messages.

The index stores names as 64-bit hashes with 24 bytes per row, because an inbox of 100,000 messages has 100,000 rows.
The probability that a new name has the hash of another name in its inbox is then 1 in 10^14.
"""

# Every scan of perhaps 10,000 Maildirs uses these calls, and os is faster than pathlib:
# ruff: noqa: PTH116

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spamlstm.config import CatchUp
from spamlstm.files import Closable
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.names import DELIVERED, Name, Part, base_of
from spamlstm.maildir.opened import OpenMaildir

if TYPE_CHECKING:
    from spamlstm.filtering.journal import Journal

# The mtime of a folder has a limited resolution (4 ms on ext4, 2 s on some others), and a second change within one step
# is invisible. So the mtime is trusted only if it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


DAY = 86_400.0
# In seconds. For this time after a file was indexed, a file with the same name but another inode is classified. Later,
# the name is sufficient for a file to count as indexed.
REMEMBERED = 90 * DAY
# Up to this number of names are looked up one by one. For more names, the whole index of the inbox is read.
_FEW = 500

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

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
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
            found = self._connection.execute("SELECT id FROM maildirs WHERE path = ?", (os.fsencode(maildir),))
            row = found.fetchone()
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
        self._connection.execute("UPDATE maildirs SET watched_since = ? WHERE id = ?", (now, number))
        return now

    def begin(self, maildir: str, bases: Iterable[str], *, since: float, now: float) -> None:
        """Start to watch a Maildir. Messages with the base names `bases` are not classified.

        A message in cur that was delivered before `since` was put there by its user, and is not classified either.
        """
        self._connection.execute(
            "INSERT INTO maildirs (path, watched_since, pruned) VALUES (?, ?, ?)", (os.fsencode(maildir), since, now)
        )
        # Inodes are not stored, because a restored backup has other inodes and its old mail must not be taken for new
        # mail.
        self.add(maildir, ((base, 0) for base in bases), now=now)

    def add(self, maildir: str, names: Iterable[tuple[str, int]], *, now: float) -> None:
        """Add base names to the index, each with the inode of its file, or 0."""
        number = self._watched(maildir)
        rows = ((number, name_hash(base), signed(inode), int(now)) for base, inode in names)
        self._connection.executemany("INSERT OR REPLACE INTO inbox_index VALUES (?, ?, ?, ?)", rows)

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
        """Return a cell of a watched Maildir.

        Raises DatabaseError if SQLite's index lists a row that is missing from the table.
        """
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
        return False  # in a damaged row, only the name is compared
    return bool(inode and before) and signed(inode) != before and time > oldest


def name_hash(base: str) -> int:
    """Return a 64-bit hash of a base name, as a signed integer for SQLite."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(base), digest_size=8).digest(), "big", signed=True)


def signed(inode: int) -> int:
    """Return an inode as a signed integer for SQLite, because some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


@dataclass(frozen=True, slots=True)
class _Look:
    """The result of the last listing of new or cur of an inbox.

    `mtime_ns` is the mtime of the directory, None if it cannot be trusted. `pending` holds the unclassified messages.
    """

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class OpenMaildirs(Closable):
    """The Maildirs that are open for one visit. Each Maildir is opened at its first use. Used only in one thread."""

    def __init__(self, open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open) -> None:
        self._open = open_maildir
        self._maildirs: dict[str, OpenMaildir] = {}

    def opened(self, maildir: str) -> OpenMaildir:
        """Return the Maildir at a path, opened if necessary. Raises OSError if the Maildir cannot be opened."""
        if maildir not in self._maildirs:
            self._maildirs[maildir] = self._open(maildir)
        return self._maildirs[maildir]

    def close(self) -> None:
        """End the visit and close all Maildirs. `opened` opens them again."""
        while self._maildirs:
            self._maildirs.popitem()[1].close()


class Scanner:
    """The scanner of inboxes. Uses little memory for each Maildir, and none for classified messages.

    `opened` returns the Maildir at a path, opened for the current visit.
    """

    def __init__(self, journal: "Journal", *, clock: Callable[[], float], opened: Callable[[str], OpenMaildir]) -> None:
        self._journal = journal
        self._clock = clock
        self._opened = opened
        # Keyed by the path of new or cur.
        self._looks: dict[str, _Look] = {}

    def scan(self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp) -> list[Candidate]:
        """Return the messages to classify in `parts` of the inbox.

        new is read before cur, so that a message that a mail program moves to cur meanwhile is found, and is returned
        only once. A name that changes within cur while cur is read may be missed. The change updates the mtime of cur,
        so the next scan reads cur again. The first scan of a Maildir starts the watch. `catch_up` then selects the
        existing mail that is classified. Raises OSError if new or cur cannot be read.
        """
        if self._journal.index.number(maildir) is None:
            self._begin(maildir, catch_up)
        ordered = tuple(part for part in DELIVERED if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._prune(maildir, ordered)
        # A message that a mail program moved from new to cur meanwhile is found twice. Two files may have one base
        # name.
        return list({(candidate.key, candidate.inode): candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        # This status only shows whether something changed. The folder is read through the opened Maildir.
        changed = os.stat(path, follow_symlinks=False).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._missing(maildir, look.pending)
        else:
            settled = is_settled(changed, now=self._clock())
            # Candidates are created only for the missing files, because an inbox may have 200,000 files.
            files = _files(self._opened(maildir), part)
            inodes = {key: inode for key, (_, inode) in files.items()}
            missing = self._journal.index.missing(maildir, inodes, now=self._clock())
            pending = _candidates(maildir, part, {key: files[key] for key in missing})
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
        # List twice. A listing may miss a name that changes meanwhile, and a missed message would be taken for new mail
        # later.
        mailbox = self._opened(maildir)
        for _ in range(2):
            for part in DELIVERED:
                bases |= {key for key, (name, _) in _files(mailbox, part).items() if _is_old(name, catch_up)}
        now = self._clock()
        # If the configuration includes existing mail, the date of the mail is ignored.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.transaction(durable=True):
            self._journal.index.begin(maildir, bases, since=since, now=now)

    def _prune(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.index.needs_pruning(maildir, now=self._clock()):
            # Listed twice for the same reason as in `_begin`.
            mailbox = self._opened(maildir)
            here = {key for part in (*parts, *parts) for key in _files(mailbox, part)}
            with self._journal.transaction(durable=False):
                self._journal.index.prune(maildir, here, now=self._clock())


def is_settled(changed_ns: int, *, now: float) -> bool:
    """Return whether the mtime `changed_ns` of a folder can be trusted: any later change sets another mtime.

    An mtime more than two seconds ago can be trusted. An mtime more than a day in the future can be trusted too. The
    clock was then wrong at the change, or is wrong now, and a further change sets another mtime. The clock of a file
    server is assumed to be less than a day ahead of this clock.
    """
    past = now * 1e9 - changed_ns
    return past > _SETTLED_NS or past < -DAY * 1e9


def list_candidates(mailbox: OpenMaildir, part: Part) -> list[Candidate]:
    """Return the messages in new or cur of an inbox, sorted by name. This is mostly the order of delivery."""
    return _candidates(mailbox.path, part, _files(mailbox, part))


def _candidates(maildir: str, part: Part, files: Mapping[str, tuple[str, int]]) -> list[Candidate]:
    """Return the candidates for some of `_files`, sorted by name."""
    ordered = sorted(files.items(), key=lambda file: file[1][0])
    # No file name contains a slash, so a slash in the key precedes an inode.
    return [Candidate(maildir, part, name, inode, shares_base="/" in key) for key, (name, inode) in ordered]


def _files(mailbox: OpenMaildir, part: Part) -> dict[str, tuple[str, int]]:
    """Return the name and the inode of each message in new or cur of an inbox, by `Candidate.key`."""
    listed = [(base_of(entry.name), entry.name, entry.inode()) for entry in mailbox.folder().listed(part)]
    files = {base: (name, inode) for base, name, inode in listed}
    if len(files) == len(listed):
        return files
    # Different files may have names that differ only in their fields or flags.
    bases = Counter(base for base, _, _ in listed)
    return {f"{base}/{inode}" if bases[base] > 1 else base: (name, inode) for base, name, inode in listed}


def _is_old(name: str, catch_up: CatchUp) -> bool:
    """Return whether a message that exists at the first scan is not to be classified."""
    # OfflineIMAP writes flags in new, too.
    return catch_up is CatchUp.NEW or (catch_up is CatchUp.UNSEEN and "S" in Name.parse(name).flags)
