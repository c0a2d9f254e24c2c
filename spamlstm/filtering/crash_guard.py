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
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from spamlstm import __version__
from spamlstm.errors import DataError, TemporaryError
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.in_progress import Item
from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.model.mail_chunks import CHUNK, CHUNK_BYTES

# A single crash may have another cause, such as a kill -9 by an administrator or a program that used up all memory.
MOST_CRASHES = 2
WHY = f"the program ended {MOST_CRASHES} times while it classified this message; the message is left unchanged"


def since_boot() -> float:
    """Return the seconds since the machine started. A smaller value than before shows a restart."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


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
        journal: Journal,
        *,
        clock: Callable[[], float],
        status: Callable[[Candidate], os.stat_result] = lambda candidate: os.lstat(candidate.path),
        since_boot: Callable[[], float] = since_boot,
    ) -> None:
        """Create a guard. `status` returns the status of a candidate's file, or raises an OSError."""
        self._status = status
        self.model = ""
        """The identifier of the model in use. A change of the model or of the program resets the counted crashes."""
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
        except (DataError, TemporaryError) as error:
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
        except (DataError, TemporaryError):
            return None  # the next use of the journal reports the error

    def is_suspect(self, candidate: Candidate) -> bool:
        """Return whether the candidate was in progress at a crash, so that it is classified alone or not at all."""
        try:
            if not self._journal.in_progress.is_suspect(candidate.maildir, name_hash(candidate.key)):
                return False
        except (DataError, TemporaryError):
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
        with contextlib.suppress(DataError, TemporaryError), self._journal.transaction(durable=False):
            self._journal.in_progress.finish([item])

    def is_set_aside(self, item: Item) -> bool:
        """Return whether work on an item, such as learning a message, crashed the process MOST_CRASHES times."""
        return (self._crashes(item) or 0) >= MOST_CRASHES

    def _record(self, items: Iterable[Item]) -> None:
        """Record items as in progress. If the journal cannot be written, work continues without the guard."""
        with contextlib.suppress(DataError, TemporaryError), self._journal.transaction(durable=False):
            self._journal.in_progress.start(items, version=self._version, since=self._since_boot(), now=self._clock())

    def _put_back(self, items: Sequence[Item]) -> None:
        with contextlib.suppress(DataError, TemporaryError), self._journal.transaction(durable=False):
            self._journal.in_progress.stop(items)
