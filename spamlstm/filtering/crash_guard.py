"""The crash guard: which messages are judged alone, or not at all, because the process ended while it judged them.

The process records what it is about to read (`start`) and forgets it with the transaction that records the outcome
(`finish`, `forget`). What is recorded when a process starts was in progress at a crash, and is a suspect from then on:

| suspect | what happens to it |
|---|---|
| in progress beside others at a crash | it is judged alone, after all other mail |
| alone in progress at one crash | the same, after the suspects above |
| alone in progress at MOST_CRASHES | it is set aside: left where it is until the file or the version changes |

So a message that ends the process is found, and one that only was in progress beside it is judged.

A row in progress when a process starts tells of a crash: a signal from the watchdog, the kernel's out-of-memory killer,
a fault in a library. Rows are not synced to disk, because what a process wrote stays with the kernel when the process
ends. Reasons: docs/decisions/0016-messages-that-kill.md.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from spamlstm import __version__
from spamlstm.database import MOST_INTEGER
from spamlstm.filtering.failures import FailureKind, emit, kind_of, sentence
from spamlstm.filtering.inbox import REMEMBERED, InboxIndex, name_hash, signed
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.model.classifier import CHUNK, CHUNK_BYTES

if TYPE_CHECKING:
    from spamlstm.filtering.journal import Journal

# One crash may have another cause: an administrator's kill -9, another program that took all memory.
MOST_CRASHES = 2
WHY = f"the program ended {MOST_CRASHES} times while it judged this message; it stays where it is"


def since_boot() -> float:
    """Return the seconds since the machine started; a smaller value than before tells of a restart."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# `crashes` is NULL for a file that was in progress at no crash.
IN_PROGRESS_SCHEMA = """
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
    """The table of files in progress, and of suspects; a part of the journal.

    All methods that change it are called within a transaction of the journal.
    """

    def __init__(self, connection: sqlite3.Connection, index: InboxIndex) -> None:
        self._connection = connection
        self._index = index
        # By Maildir and name: the file that was in progress at a crash, the version, and the crashes with it alone.
        # Few rows, looked up for every message. None until they are read.
        self._suspects: dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]] | None = None

    def rolled_back(self) -> None:
        """Forget rows that were read in a transaction that was rolled back."""
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
        """Return whether files are in progress: at the start of a process, whether the one before it crashed."""
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


@dataclass(frozen=True, slots=True)
class GuardedCandidate:
    """A candidate with its file as it is now, and the number of crashes with it."""

    candidate: Candidate
    item: Item
    crashes: int | None
    """How often the process ended with this file alone in progress; None if it is no suspect."""

    @property
    def is_set_aside(self) -> bool:
        """Return whether the candidate is left where it is and not judged."""
        return (self.crashes or 0) >= MOST_CRASHES

    @property
    def is_alone(self) -> bool:
        """Return whether the candidate is judged alone, as a suspect or as large mail."""
        return not self.is_set_aside and (self.crashes is not None or self.item.size > CHUNK_BYTES)


class CrashGuard:
    """The suspects of one journal, and what this process has in progress. For the journal's thread."""

    def __init__(
        self,
        journal: "Journal",
        *,
        clock: Callable[[], float],
        status: Callable[[Candidate], os.stat_result] = lambda candidate: os.lstat(candidate.path),
        since_boot: Callable[[], float] = since_boot,
    ) -> None:
        """`status` returns the status of a candidate's file, or raises an OSError."""
        self._status = status
        self.model = ""
        """The label of the model that judges. After a change of the model or of the program, crashes count anew."""
        self._journal = journal
        self._clock = clock
        self._since_boot = since_boot
        self._running: dict[Candidate, Item] = {}
        # What this process has set aside and reported.
        self._reported: dict[tuple[str, int], Item] = {}

    @property
    def _version(self) -> str:
        return f"{__version__} {self.model}"

    def recover(self) -> None:
        """Make suspects of what a process that crashed left in progress. Called once, before any `start`."""
        try:
            if not self._journal.in_progress.has_crashed():
                return
            with self._journal.transaction(durable=True):
                count = self._journal.in_progress.recover(since=self._since_boot())
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
        else:
            emit(logging.WARNING, "ended-while-judging", messages=count, next="each of them is judged alone")

    def look(self, candidate: Candidate) -> GuardedCandidate:
        """Look at the file of a candidate; its size and times are 0 if it cannot be looked at."""
        name = name_hash(candidate.key)
        try:
            status = self._status(candidate)
        except OSError:
            item = Item(candidate.maildir, name)
        else:
            item = Item(candidate.maildir, name, status.st_ino, status.st_size, status.st_mtime_ns)
        return GuardedCandidate(candidate, item, self._crashes(item))

    def start(self, guarded: Iterable[GuardedCandidate]) -> Iterator[list[Candidate | Outcome]]:
        """Yield the candidates in runs that are about to be read, each recorded as in progress in one transaction.

        A candidate that is set aside comes as its outcome.
        """
        run: list[Candidate | Outcome] = []
        items: dict[Candidate, Item] = {}
        size = 0
        for one in guarded:
            if one.is_set_aside:
                self._reported[one.candidate.maildir, one.item.name] = one.item
                run.append(Outcome(one.candidate, Status.FAILED, kind=FailureKind.UNREADABLE, failure=WHY))
            else:
                run.append(one.candidate)
                items[one.candidate] = one.item
                size += one.item.size
            if len(run) == CHUNK or size > CHUNK_BYTES:
                self._start(items)
                yield run
                run, items, size = [], {}, 0
        self._start(items)
        yield run

    def _start(self, items: dict[Candidate, Item]) -> None:
        if items:
            self._running.update(items)
            self._record(items.values())

    def _crashes(self, item: Item) -> int | None:
        try:
            return self._journal.in_progress.crashes(item, version=self._version)
        except sqlite3.Error:
            return None  # the next use of the journal reports it

    def is_suspect(self, candidate: Candidate) -> bool:
        """Return whether the candidate is judged alone, or not at all."""
        try:
            if not self._journal.in_progress.is_suspect(candidate.maildir, name_hash(candidate.key)):
                return False
        except sqlite3.Error:
            return False
        return self.look(candidate).crashes is not None

    def is_reported(self, candidate: Candidate) -> bool:
        """Return whether the candidate is set aside and this process has reported that. No file is opened."""
        key = candidate.maildir, name_hash(candidate.key) if self._reported else 0
        if key not in self._reported:
            return False
        now = self.look(candidate)
        if now.item == self._reported[key] and now.is_set_aside:
            return True
        del self._reported[key]
        return False

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Record that these messages are done, within the transaction that records their outcomes; then call `forget`.

        A message that is gone may only have been renamed, so that its crashes stay counted.
        """
        table = self._journal.in_progress
        running = [(one, self._running[one.candidate]) for one in outcomes if one.candidate in self._running]
        table.finish(item for one, item in running if one.status is not Status.GONE)
        table.stop(item for one, item in running if one.status is Status.GONE)

    def forget(self, outcomes: Sequence[Outcome]) -> None:
        """Forget what `finish` has recorded."""
        for outcome in outcomes:
            self._running.pop(outcome.candidate, None)

    def stop(self) -> None:
        """Record that nothing is in progress any more: candidates without an outcome do not become suspects."""
        if self._running:
            items = list(self._running.values())
            self._running.clear()
            self._put_back(items)

    @contextlib.contextmanager
    def attempt(self, item: Item) -> Iterator[None]:
        """Guard the work on one message that is no candidate. It is done when the block ends, unless that raises."""
        self._record([item])
        try:
            yield
        except BaseException:
            self._put_back([item])
            raise
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.finish([item])

    def is_set_aside(self, item: Item) -> bool:
        """Return whether work on this message, which is no candidate, ended the process too often."""
        return (self._crashes(item) or 0) >= MOST_CRASHES

    def _record(self, items: Iterable[Item]) -> None:
        """Record items as in progress. If the journal cannot be written, work goes on unguarded."""
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.start(items, version=self._version, since=self._since_boot(), now=self._clock())

    def _put_back(self, items: Sequence[Item]) -> None:
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.stop(items)
