"""The crash guard: which messages are judged alone, or not at all, because the process ended while it judged them.

The process records what it is about to read (`start`) and forgets it with the transaction that records the outcome
(`finish`, `forget`). What is recorded when a process starts was in progress at a crash, and is a suspect from then on:

| suspect | what happens to it |
|---|---|
| in progress beside others at a crash | it is judged alone, after all other mail |
| alone in progress at one crash | the same, after the suspects above |
| alone in progress at MOST_CRASHES | it is set aside: left where it is until the file or the version changes |

So a message that ends the process is found, and one that only was in progress beside it is judged.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from spamlstm import __version__
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.in_progress import Item
from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.log import emit
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.model.classifier import CHUNK, CHUNK_BYTES

# One crash may have another cause: an administrator's kill -9, another program that took all memory.
MOST_CRASHES = 2
WHY = f"the program ended {MOST_CRASHES} times while it judged this message; it stays where it is"


def since_boot() -> float:
    """Return the seconds since the machine started; a smaller value than before tells of a restart."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class GuardedCandidate:
    """A candidate with its file as it is now, and what is known of crashes with it."""

    candidate: Candidate
    item: Item
    crashes: int | None
    """How often the process ended with this file alone in progress; None if it is no suspect."""

    @property
    def is_set_aside(self) -> bool:
        """Whether it is not judged."""
        return (self.crashes or 0) >= MOST_CRASHES

    @property
    def is_alone(self) -> bool:
        """Whether it is judged alone: suspects, and large mail."""
        return not self.is_set_aside and (self.crashes is not None or self.item.size > CHUNK_BYTES)


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
        """`status` returns the status of a candidate's file, or raises an OSError."""
        self._status = status
        self.model = ""
        """The label of the model that judges. Another model, or another version of the program, tries again."""
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
        """Make suspects of what a process that crashed left in progress. At the start, before any `start`."""
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
            return None  # whatever else is asked of the journal reports it

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
        """Record that these are not in progress any more, in the transaction that records them; then call `forget`.

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
        """Record that nothing is in progress any more: what has no outcome yet does not become a suspect."""
        if self._running:
            items = list(self._running.values())
            self._running.clear()
            self._put_back(items)

    @contextlib.contextmanager
    def attempt(self, item: Item) -> Iterator[None]:
        """Guard the work on one message that is no candidate: done when the block ends, tried again if it raises."""
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
