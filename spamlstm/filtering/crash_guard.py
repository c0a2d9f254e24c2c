"""Which messages are judged alone, or not at all, because the process ended while it judged them.

The process notes what it is about to read (`runs`) and forgets it with the transaction that records the outcome
(`finish`, `forget`). What it finds noted when it starts was in progress at a crash, and is a suspect from then on:

| suspect | what happens to it |
|---|---|
| in progress beside others at a crash | it is judged alone, after all other mail |
| alone in progress at one crash | the same, after the suspects above |
| alone in progress at MOST_CRASHES | it is set aside: left where it is, until the file or the version changes |

So the message that kills is found, and one that only was in progress beside it is judged.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from spamlstm import __version__
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.in_progress import Item
from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.log import emit
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.model.classifier import CHUNK, CHUNK_BYTES

# A single crash may come from elsewhere: an administrator's kill -9, another program that took all memory.
MOST_CRASHES = 2
WHY = f"the program ended {MOST_CRASHES} times while it judged this message; it stays where it is"


def since_boot() -> float:
    """Seconds since the machine started; a smaller value than before tells of a restart."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class CrashGuard:
    """The suspects of one journal, and what this process has in progress. For the journal's thread."""

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], float],
        status: Callable[[Candidate], os.stat_result] = lambda candidate: os.lstat(candidate.path),
        since_boot: Callable[[], float] = since_boot,
    ) -> None:
        """`status` gives the status of the file of a candidate; an OSError if it cannot be looked at."""
        self._status = status
        self.model = ""
        """The label of the model that judges: another one, or another version of the program, tries again."""
        self._journal = journal
        self._clock = clock
        self._since_boot = since_boot
        self._running: dict[Candidate, Item] = {}
        # Set aside, and reported by this process.
        self._reported: dict[tuple[str, int], Item] = {}

    @property
    def _version(self) -> str:
        return f"{__version__} {self.model}"

    def recover(self) -> None:
        """Take what is in progress for what a process that ended left behind. At the start, before any `start`."""
        try:
            if not self._journal.in_progress.has_ended():
                return
            with self._journal.group(durable=True):
                count = self._journal.in_progress.recover(since=self._since_boot())
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
        else:
            emit(logging.WARNING, "ended-while-judging", messages=count, next="each of them is judged alone")

    def runs(
        self, candidates: Iterable[Candidate], early: list[Outcome], alone: "list[tuple[int, Candidate]] | None"
    ) -> Iterator[list[Candidate]]:
        """The candidates in runs that are about to be read: each run is noted as in progress, in one transaction.

        Suspects and mail of more than CHUNK_BYTES go to `alone`, if there is such a list, with their crashes or -1.
        The outcomes of those that are set aside go to `early`.
        """
        run: dict[Candidate, Item] = {}
        size = 0
        for candidate in candidates:
            item = self._look(candidate)
            crashes = self._crashes(item)
            if (crashes or 0) >= MOST_CRASHES:
                self._reported[candidate.maildir, item.name] = item
                early.append(Outcome(candidate, Status.FAILED, kind=FailureKind.UNREADABLE, failure=WHY))
            elif alone is not None and (crashes is not None or item.size > CHUNK_BYTES):
                alone.append((-1 if crashes is None else crashes, candidate))
            else:
                run[candidate] = item
                size += item.size
            if len(run) == CHUNK or size > CHUNK_BYTES:
                yield self._start(run)
                run, size = {}, 0
        if run:
            yield self._start(run)

    def _start(self, run: dict[Candidate, Item]) -> list[Candidate]:
        self._running.update(run)
        self._note(run.values())
        return list(run)

    def _look(self, candidate: Candidate) -> Item:
        """The file of a candidate as it is now; without size and times if it cannot be looked at."""
        name = name_hash(candidate.key)
        try:
            status = self._status(candidate)
        except OSError:
            return Item(candidate.maildir, name)
        return Item(candidate.maildir, name, status.st_ino, status.st_size, status.st_mtime_ns)

    def _crashes(self, item: Item) -> int | None:
        """How often the process ended with this file alone in progress; None if it is no suspect."""
        try:
            return self._journal.in_progress.crashes(item, version=self._version)
        except sqlite3.Error:
            return None  # whatever else is asked of the journal reports it

    def is_suspect(self, candidate: Candidate) -> bool:
        """Whether the candidate is judged alone, or not at all."""
        try:
            if not self._journal.in_progress.is_suspect(candidate.maildir, name_hash(candidate.key)):
                return False
        except sqlite3.Error:
            return False
        return self._crashes(self._look(candidate)) is not None

    def is_reported(self, candidate: Candidate) -> bool:
        """Whether the candidate is set aside and this process has said so. No file is opened."""
        key = candidate.maildir, name_hash(candidate.key) if self._reported else 0
        if key not in self._reported:
            return False
        item = self._look(candidate)
        if item == self._reported[key] and (self._crashes(item) or 0) >= MOST_CRASHES:
            return True
        del self._reported[key]
        return False

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Note that these are done; within the transaction that records them, and `forget` follows it.

        What is gone may only have been renamed, so that its crashes stay counted.
        """
        table = self._journal.in_progress
        running = [(one, self._running[one.candidate]) for one in outcomes if one.candidate in self._running]
        table.finish(item for one, item in running if one.status is not Status.GONE)
        table.stop(item for one, item in running if one.status is Status.GONE)

    def forget(self, outcomes: Sequence[Outcome]) -> None:
        """What `finish` noted is on record."""
        for outcome in outcomes:
            self._running.pop(outcome.candidate, None)

    def stop(self) -> None:
        """Nothing is in progress any more: what has no outcome yet is no suspect for that."""
        if self._running:
            items = list(self._running.values())
            self._running.clear()
            self._put_back(items)

    @contextlib.contextmanager
    def attempt(self, item: Item) -> Iterator[None]:
        """The work on one message that is no candidate. Done if the block ends, to be tried again if it raises."""
        self._note([item])
        try:
            yield
        except BaseException:
            self._put_back([item])
            raise
        with contextlib.suppress(sqlite3.Error), self._journal.group(durable=False):
            self._journal.in_progress.finish([item])

    def is_set_aside(self, item: Item) -> bool:
        """Whether work on this message, which is no candidate, ended the process too often."""
        return (self._crashes(item) or 0) >= MOST_CRASHES

    def _note(self, items: Iterable[Item]) -> None:
        """Where the journal cannot be written, work goes on unguarded."""
        with contextlib.suppress(sqlite3.Error), self._journal.group(durable=False):
            self._journal.in_progress.start(items, version=self._version, since=self._since_boot(), now=self._clock())

    def _put_back(self, items: Sequence[Item]) -> None:
        with contextlib.suppress(sqlite3.Error), self._journal.group(durable=False):
            self._journal.in_progress.stop(items)
