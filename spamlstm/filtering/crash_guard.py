"""The crash guard: isolates messages that may have crashed the process while they were classified.

The process records each message as in progress before the message is read (`start`), and deletes the record in the
transaction that records the outcome (`finish`, `forget`). A message that is recorded when a process starts was in
progress at a crash. The message is then a suspect:

| suspect | treatment |
|---|---|
| in progress beside other messages at a crash | classified alone, after all other mail |
| alone in progress at one crash | classified alone, after the suspects above |
| alone in progress at MOST_CRASHES crashes | set aside, which means unchanged until the file or the version changes |

Thus a message that crashes the process is found, and a message that was only in progress beside it is classified.

A record that exists when a process starts shows a crash, such as a signal from the watchdog, the kernel's out-of-memory
killer, or a fault in a library. Records are not synced to disk, because the kernel keeps written data when a process
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

# A single crash may have another cause, such as a kill -9 by an administrator or a program that used up all memory.
MOST_CRASHES = 2
WHY = f"the program ended {MOST_CRASHES} times while it classified this message; the message is left unchanged"


def since_boot() -> float:
    """Return the seconds since the machine started. A smaller value than before shows a restart."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# `crashes` is NULL for a file that has not been in progress at a crash.
IN_PROGRESS_SCHEMA = """
CREATE TABLE IF NOT EXISTS in_progress (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version TEXT NOT NULL, running INTEGER NOT NULL,
    since REAL NOT NULL, crashes INTEGER, time REAL NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class Item(NamedTuple):
    """A file to be classified, or a message to be learned.

    `name` is the hash of the file's key in the inbox index, or of the message's content id. Inode, size and mtime
    distinguish a file from a later file with its name. They are 0 for a message to be learned.
    """

    maildir: str
    name: int
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0


def labelling(maildir: str, content: str) -> Item:
    """Return the item for learning the message with a content id.

    The null byte keeps the hash distinct from hashes of file names.
    """
    return Item(maildir, name_hash(f"\0{content}"))


class InProgress:
    """The journal's table of files in progress and of suspects.

    Methods that change the table are called within a transaction of the journal.
    """

    def __init__(self, connection: sqlite3.Connection, index: InboxIndex) -> None:
        self._connection = connection
        self._index = index
        # Maps Maildir and name to the file that was in progress at a crash, the version, and the number of crashes with
        # only this file in progress. The table has few rows and is looked up for every message. None until the rows are
        # read.
        self._suspects: dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]] | None = None

    def rolled_back(self) -> None:
        """Clear the cache, which may hold values of a transaction that was rolled back."""
        self._suspects = None

    def is_suspect(self, maildir: str, name: int) -> bool:
        """Return whether a file named `name` was in progress at a crash. Another file may have the name now."""
        suspects = self._read()
        return bool(suspects) and (self._index.number(maildir), name) in suspects

    def crashes(self, item: Item, *, version: str) -> int | None:
        """Return the number of crashes with only this file in progress, counted for the current `version`.

        Returns 0 if the crashes were counted for another version of the program or model. Returns None if the file was
        not in progress at any crash.
        """
        suspects = self._read()
        suspect = suspects.get((self._index.number(item.maildir), item.name)) if suspects else None
        if suspect is None or suspect[0] != _file(item):
            return None
        _, with_version, crashes = suspect
        return crashes if with_version == version else 0

    def start(self, items: Iterable[Item], *, version: str, since: float, now: float) -> None:
        """Record items that are about to be read as in progress.

        `now` is the current time in seconds since 1970, and `since` in seconds since the machine started
        (CLOCK_BOOTTIME). Items of Maildirs unknown to the journal are ignored.
        """
        rows = [
            (number, item.name, *_file(item), version, 1, since, self.crashes(item, version=version), now)
            for item in items
            if (number := self._index.number(item.maildir)) is not None
        ]
        self._connection.executemany("INSERT OR REPLACE INTO in_progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def finish(self, items: Iterable[Item]) -> None:
        """Delete the records of files whose outcome is known, because these files did not crash the process."""
        keys = self._keys(items)
        self._connection.executemany("DELETE FROM in_progress WHERE maildir = ? AND name = ?", keys)
        if self._suspects:
            for key in keys:
                self._suspects.pop(key, None)

    def stop(self, items: Iterable[Item]) -> None:
        """Record that files without an outcome are no longer in progress. The number of their crashes is kept."""
        keys = self._keys(items)
        self._connection.executemany("UPDATE in_progress SET running = 0 WHERE maildir = ? AND name = ?", keys)
        self._connection.executemany("DELETE FROM in_progress WHERE maildir = ? AND name = ? AND crashes IS NULL", keys)

    def recover(self, *, since: float) -> int:
        """Turn the files in progress into suspects when a process starts, and return their number.

        `since` is the current time in seconds since the machine started. If only one file was in progress, a crash is
        counted for the file. No crash is counted if several files were in progress. No crash is counted either if
        `since` is smaller than the recorded time, because the machine has then restarted and may have lost power.
        """
        (running,) = self._connection.execute("SELECT count(*) FROM in_progress WHERE running").fetchone()
        self._connection.execute(
            "UPDATE in_progress SET crashes = coalesce(crashes, 0) + (? AND since <= ?), running = 0 WHERE running",
            (running == 1, since),
        )
        self._suspects = None
        return int(running)

    def has_crashed(self) -> bool:
        """Return whether files are in progress. When a process starts, this means that the previous process crashed."""
        return self._connection.execute("SELECT 1 FROM in_progress WHERE running LIMIT 1").fetchone() is not None

    def prune(self, *, now: float) -> None:
        """Delete suspects that are older than REMEMBERED, the lifetime of judgements."""
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
                if isinstance(crashes, int)  # a damaged row is ignored
            }
        return self._suspects


def _file(item: Item) -> tuple[int, int, int]:
    # An mtime may exceed 63 bits (the year 2262).
    return signed(item.inode), item.size, item.mtime_ns & MOST_INTEGER


@dataclass(frozen=True, slots=True)
class GuardedCandidate:
    """A candidate with the current state of its file and its number of crashes."""

    candidate: Candidate
    item: Item
    crashes: int | None
    """The number of crashes with only this file in progress. None if the file is not a suspect."""

    @property
    def is_set_aside(self) -> bool:
        """Return whether the candidate is left in place and not classified."""
        return (self.crashes or 0) >= MOST_CRASHES

    @property
    def is_alone(self) -> bool:
        """Return whether the candidate is classified alone, because it is a suspect or large."""
        return not self.is_set_aside and (self.crashes is not None or self.item.size > CHUNK_BYTES)


class CrashGuard:
    """The suspects of one journal, and the files that this process is classifying.

    Used only in the thread of the journal.
    """

    def __init__(
        self,
        journal: "Journal",
        *,
        clock: Callable[[], float],
        status: Callable[[Candidate], os.stat_result] = lambda candidate: os.lstat(candidate.path),
        since_boot: Callable[[], float] = since_boot,
    ) -> None:
        """Create a guard. `status` returns the status of a candidate's file, or raises an OSError."""
        self._status = status
        self.model = ""
        """The identifier of the current model. A change of the model or of the program resets the counted crashes."""
        self._journal = journal
        self._clock = clock
        self._since_boot = since_boot
        self._running: dict[Candidate, Item] = {}
        # The messages that this process has set aside and reported.
        self._reported: dict[tuple[str, int], Item] = {}

    @property
    def _version(self) -> str:
        return f"{__version__} {self.model}"

    def recover(self) -> None:
        """Turn the files that a crashed process left in progress into suspects. Called once, before any `start`."""
        try:
            if not self._journal.in_progress.has_crashed():
                return
            with self._journal.transaction(durable=True):
                count = self._journal.in_progress.recover(since=self._since_boot())
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
        else:
            emit(
                logging.WARNING,
                "ended-while-judging",
                messages=count,
                next="each of these messages is classified alone",
            )

    def look(self, candidate: Candidate) -> GuardedCandidate:
        """Return the candidate with the current state of its file.

        Size and times are 0 if the status of the file cannot be read.
        """
        name = name_hash(candidate.key)
        try:
            status = self._status(candidate)
        except OSError:
            item = Item(candidate.maildir, name)
        else:
            item = Item(candidate.maildir, name, status.st_ino, status.st_size, status.st_mtime_ns)
        return GuardedCandidate(candidate, item, self._crashes(item))

    def start(self, guarded: Iterable[GuardedCandidate]) -> Iterator[list[Candidate | Outcome]]:
        """Yield runs of candidates that are about to be read. Each run is recorded as in progress in one transaction.

        A candidate that is set aside is replaced by its outcome.
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
            return None  # the next use of the journal reports the error

    def is_suspect(self, candidate: Candidate) -> bool:
        """Return whether the candidate was in progress at a crash, so that it is classified alone or not at all."""
        try:
            if not self._journal.in_progress.is_suspect(candidate.maildir, name_hash(candidate.key)):
                return False
        except sqlite3.Error:
            return False
        return self.look(candidate).crashes is not None

    def is_reported(self, candidate: Candidate) -> bool:
        """Return whether the candidate is set aside and this process has reported so. Does not open the file."""
        key = candidate.maildir, name_hash(candidate.key) if self._reported else 0
        if key not in self._reported:
            return False
        now = self.look(candidate)
        if now.item == self._reported[key] and now.is_set_aside:
            return True
        del self._reported[key]
        return False

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Record that the messages of `outcomes` are no longer in progress.

        Must be called in the transaction that records the outcomes. The caller must call `forget` after the
        transaction. The number of crashes of a message that is gone is kept, because the message may only have been
        renamed.
        """
        table = self._journal.in_progress
        running = [(one, self._running[one.candidate]) for one in outcomes if one.candidate in self._running]
        table.finish(item for one, item in running if one.status is not Status.GONE)
        table.stop(item for one, item in running if one.status is Status.GONE)

    def forget(self, outcomes: Sequence[Outcome]) -> None:
        """Remove the messages of `outcomes` from the files in progress in memory. Called after `finish`."""
        for outcome in outcomes:
            self._running.pop(outcome.candidate, None)

    def stop(self) -> None:
        """Record that no files are in progress. Messages without an outcome do not become suspects."""
        if self._running:
            items = list(self._running.values())
            self._running.clear()
            self._put_back(items)

    @contextlib.contextmanager
    def attempt(self, item: Item) -> Iterator[None]:
        """Guard work on one message that is not a candidate, within a `with` block.

        The message is finished when the block ends. If the block raises, the message can be tried again.
        """
        self._record([item])
        try:
            yield
        except BaseException:
            self._put_back([item])
            raise
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.finish([item])

    def is_set_aside(self, item: Item) -> bool:
        """Return whether work on this message, which is not a candidate, crashed the process MOST_CRASHES times."""
        return (self._crashes(item) or 0) >= MOST_CRASHES

    def _record(self, items: Iterable[Item]) -> None:
        """Record items as in progress. If the journal cannot be written, work continues without the guard."""
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.start(items, version=self._version, since=self._since_boot(), now=self._clock())

    def _put_back(self, items: Sequence[Item]) -> None:
        with contextlib.suppress(sqlite3.Error), self._journal.transaction(durable=False):
            self._journal.in_progress.stop(items)
