"""From 'there may be new mail' to 'it is judged, and what that asks for is done'.

The protocol, for whoever watches folders. All of it is called from one thread, the one that opened the journal; nobody
else acts under the same state folder (`spamlstm.daemon.state_lock`).

    journal = Journal.open(state)
    pipeline = Pipeline(config=config, classifier=classifier, journal=journal, counters=Counters())
    pipeline.recover()                                  # once, before anything else
    for maildir in expand(config.maildirs):             # at start, every scan_seconds, and after any doubt
        pipeline.process(pipeline.scan(maildir))
    pipeline.process(pipeline.scan(maildir, parts=("new",)))      # when something was delivered there
    journal.close()

- `scan` is the truth and may be called at any time, for any reason: what was judged does not come back, a folder in
  which nothing changed costs two calls of stat. The first scan of a Maildir notes since when it is watched.
- `process` takes any number of candidates and returns when each has an outcome, or soon after `stop()` is true, asked
  between groups of GROUP messages; those that it did not come to have no outcome and come with the next scan.
- Neither raises for what is wrong with a message, a folder or a disk: that is an outcome, a counter and a line in the
  log. A failed message stays where it is, and scans bring it again, at growing intervals.
- A message that ends the process, or that a watchdog ends it for, is judged alone after the next start, and set aside
  after the second time (`spamlstm.filtering.crash_guard`). `urgent` tells which candidates need not wait for that.
- Raw mail of at most BATCH_BYTES and one message is in memory at once, beside what reader processes hold.
- A message with the content of one that was judged before in the same Maildir is KNOWN and left alone, as that is what
  a user's move or copy looks like; so is one that others put into a folder and its user took out of it (`moved`).
  Tests that deliver one message twice have to give it two Received lines, as mail servers do.
"""

import contextlib
import itertools
import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from spamlstm.config import CatchUp, Config
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.filtering.batch import Batch, Delivery
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.crash_guard import CrashGuard
from spamlstm.filtering.failures import FailureKind, Retries, kind_of, sentence
from spamlstm.filtering.inbox_index import DAY
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.log import emit, log_failures, log_outcome
from spamlstm.filtering.mounts import remote_devices
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.filtering.recovery import Recovery
from spamlstm.filtering.scan import Scanner
from spamlstm.filtering.visits import OpenMaildirs
from spamlstm.maildir import transfer
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.names import GoneError, Part
from spamlstm.maildir.opened import Entry, OpenMaildir
from spamlstm.maildir.transfer import TooLargeError
from spamlstm.model.classifier import Judged

if TYPE_CHECKING:
    from spamlstm.model.bundle import Bundle
    from spamlstm.model.personal_layer import PersonalLayer

# Messages that share a transaction and an fsync. More gain little; this many are done in a tenth of a second.
GROUP = 64
# Raw mail that waits for its transaction; tagged copies of it may take as much again.
BATCH_BYTES = 16 << 20
_BOTH: tuple[Part, ...] = ("new", "cur")


class Judge(Protocol):
    """What is asked of a `Classifier`."""

    @property
    def bundle(self) -> "Bundle":
        """The model, by its label."""
        ...

    def judge_many(
        self,
        mails: Iterable[tuple[Delivery, bytes]],
        *,
        layer_of: "Callable[[Delivery], PersonalLayer | None]",
        readers: int | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Judged[Delivery]]:
        """Judge raw messages lazily, in their order; `beat` is called at least with each message."""
        ...


class Pipeline:
    """Judges what lies in inboxes and does what the configuration asks for."""

    def __init__(
        self,
        *,
        config: Config,
        classifier: Judge,
        journal: Journal,
        counters: Counters,
        readers: int | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        layer_of: "Callable[[str], PersonalLayer | None]" = lambda _maildir: None,
        moved: Callable[[str, str], bool] = lambda _maildir, _content: False,
        open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` is what is noted of acts, `monotonic` what waiting goes by.

        `layer_of` gives the personal layer that judges the mail of a Maildir; None without labels.
        `moved` tells whether a message (Maildir, content id) is where it is by its user's will, as far as he moved
        it between folders; what was judged is known without. `open_maildir` opens the Maildir at a path for one visit.
        `beat` is called while work goes on, for a watchdog.
        """
        self.config = config
        self.classifier = classifier
        self.journal = journal
        self.counters = counters
        self._readers = readers
        self._clock = clock
        self._monotonic = monotonic
        self._layer_of = layer_of
        self._moved = moved
        # A visit begins with a scan and ends with the pass that follows.
        self._maildirs = OpenMaildirs(open_maildir)
        self._scanner = Scanner(journal, clock=clock, opened=self._maildirs.opened)
        self._beat = beat
        self._guard = CrashGuard(journal, clock=clock, status=lambda candidate: self._entry(candidate).status())
        self._guard.model = classifier.bundle.label
        self._recovery = Recovery(journal, counters=counters, clock=clock, opened=open_maildir, beat=beat)
        self._retries = Retries(monotonic)
        # Where messages went from new to cur before they could be acted on: the next scan looks there too.
        self._doubtful: set[str] = set()
        self._pruned = -math.inf
        self._remote: frozenset[int] = frozenset()

    def reconfigure(self, *, config: Config, classifier: Judge) -> None:
        """Go on with another configuration or model; not called while `process` runs."""
        self.config = config
        self.classifier = classifier
        self._guard.model = classifier.bundle.label

    def recover(self) -> None:
        """Bring every act that was cut short to its end: the message is as it was, or all is done.

        Find out which messages were being judged if the process before this one crashed.
        """
        self._recovery.settle(all_open=True)
        self._guard.recover()

    def scan(
        self,
        maildir: str | os.PathLike[str],
        *,
        parts: Sequence[Part] = _BOTH,
        catch_up: CatchUp | None = None,
    ) -> list[Candidate]:
        """What lies in the inbox of `maildir` and is to be judged. Empty where the Maildir cannot be looked at.

        `catch_up` says what to begin with if it was never watched, else the configuration does.
        """
        path = os.fspath(maildir)
        self._maildirs.close()
        wanted = _BOTH if path in self._doubtful else parts
        try:
            found = self._scanner.scan(path, parts=wanted, catch_up=catch_up or self.config.daemon.catch_up)
        except (OSError, sqlite3.Error) as error:
            self.counters.failed[kind_of(error)] += 1
            emit(logging.WARNING, "scan-failed", maildir=path, kind=kind_of(error), error=sentence(error))
            found = []
        else:
            self._doubtful.discard(path)
        due = [one for one in found if self._retries.due(one) and not self._guard.is_reported(one)]
        if not due:
            self._maildirs.close()
        return due

    def urgent(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that were not in progress at a crash; mail of all Maildirs is judged before the others are."""
        return [one for one in candidates if not self._guard.is_suspect(one)]

    def process(self, candidates: Sequence[Candidate], *, stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
        """Judge the candidates and act; the outcomes stand in the order in which they came about."""
        return list(self.follow(candidates, stop=stop))

    def follow(self, candidates: Sequence[Candidate], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        """As `process`, for who wants to see each outcome when it has come about: work goes on as one asks for more."""
        self._recovery.settle()
        self._remote = remote_devices()
        alone: list[tuple[int, Candidate]] = []
        taken: set[tuple[str, str]] = set()
        try:
            yield from self._follow(candidates, stop, taken, alone)
            # Large mail first, then the suspects, those with the fewest crashes before the others.
            for _, candidate in sorted(alone, key=lambda one: one[0]):
                if stop():
                    break
                yield from self._follow([candidate], stop, taken, None)
        finally:
            # However it ends, what has no outcome yet did not end the process.
            self._guard.stop()
            self._maildirs.close()
        self._prune()

    def _follow(
        self,
        candidates: Sequence[Candidate],
        stop: Callable[[], bool],
        taken: set[tuple[str, str]],
        alone: list[tuple[int, Candidate]] | None,
    ) -> Iterator[Outcome]:
        """Judge what is judged beside other mail; the rest goes to `alone`, if there is such a list."""
        early: list[Outcome] = []
        group = Batch(self.config, self.journal, self._recovery, self._clock, self._knows, self._guard)
        mails = self._read(self._guard.runs(candidates, early, alone), early, stop, taken)
        # Left before its end, this generator ends its threads and processes when it goes out of scope.
        judged = self.classifier.judge_many(
            mails, layer_of=lambda mail: self._layer_of(mail.candidate.maildir), readers=self._readers, beat=self._beat
        )
        more = True
        while more:
            batch, more = _batch(judged)
            done = group.deal(batch, early)
            self._report(done, {one.key.candidate: one.key.delivered for one in batch})
            early.clear()
            del batch  # or its mail would stay in memory until the next batch is there
            yield from done
            more = more and not stop()

    def _read(
        self,
        runs: Iterable[list[Candidate]],
        early: list[Outcome],
        stop: Callable[[], bool],
        taken: set[tuple[str, str]],
    ) -> Iterator[tuple[Delivery, bytes]]:
        """What is to be judged; what has an outcome before that goes to `early`."""
        for candidate in itertools.chain.from_iterable(runs):
            if stop():
                return
            try:
                found = self._mail(candidate)
            except GoneError:
                found = Outcome(candidate, Status.GONE)
            except Exception as error:  # noqa: BLE001  contract 9: whatever it is, the next message goes on
                found = Outcome(candidate, Status.FAILED, kind=kind_of(error), failure=sentence(error))
            if isinstance(found, Delivery):
                key = candidate.maildir, found.content
                if key not in taken:
                    taken.add(key)
                    yield found, found.raw
                    del found
                    continue
                found = Outcome(candidate, Status.KNOWN, content=found.content)
            early.append(found)

    def _mail(self, candidate: Candidate) -> Delivery | Outcome:
        if self._recovery.is_open(candidate.maildir, candidate.base):
            failure = "an earlier act on it could not be settled yet"
            return Outcome(candidate, Status.FAILED, kind=FailureKind.UNSETTLED, failure=failure)
        entry = self._entry(candidate)
        try:
            status = entry.status()
        except FileNotFoundError as error:
            raise GoneError(candidate.path) from error
        if candidate.part == "cur" and status.st_mtime < self.journal.index.since(candidate.maildir, now=self._clock()):
            return Outcome(candidate, Status.OLD)
        if status.st_dev not in self._remote and transfer.is_being_written(entry):
            return Outcome(candidate, Status.FAILED, kind=FailureKind.UNFINISHED, failure="it is still being written")
        try:
            raw, identity = transfer.read_message(entry, most=MOST_BYTES)
        except TooLargeError as error:
            return Outcome(candidate, Status.FAILED, kind=FailureKind.TOO_LARGE, failure=str(error))
        content = content_id(raw)
        if self._knows(candidate.maildir, content):
            return Outcome(candidate, Status.KNOWN, content=content)
        if transfer.is_moving(entry, identity):
            # Its user has taken it in hand. If it is still here with the next scan and nowhere else, it is judged then.
            return Outcome(candidate, Status.KNOWN, content=content)
        # A file's time of change is that of its link or rename into new; its time of modification, what it claims.
        return Delivery(candidate, entry, raw, identity, content, delivered=status.st_ctime)

    def _entry(self, candidate: Candidate) -> Entry:
        return self._maildirs.opened(candidate.maildir).folder().entry(candidate.part, candidate.name)

    def _knows(self, maildir: str, content: str) -> bool:
        return self.journal.knows(maildir, content) or self._moved(maildir, content)

    def _report(self, outcomes: Sequence[Outcome], delivered: Mapping[Candidate, float]) -> None:
        now = self._clock()
        for outcome in outcomes:
            candidate = outcome.candidate
            if outcome.status is Status.FAILED and outcome.kind != FailureKind.UNFINISHED:
                self._retries.failed(candidate)
            else:
                self._retries.succeeded(candidate)
            if outcome.status is Status.GONE:
                self._doubtful.add(candidate.maildir)
            waited = now - delivered[candidate] if candidate in delivered and candidate.part == "new" else None
            self.counters.count(outcome, waited=waited)
            log_outcome(outcome)
        log_failures(outcomes)

    def _prune(self) -> None:
        """Once a day; a journal that cannot be written has been reported by then."""
        now = self._monotonic()
        if now - self._pruned < DAY:
            return
        self._pruned = now
        with contextlib.suppress(sqlite3.Error), self.journal.group(durable=False):
            self.journal.prune()
            self.journal.in_progress.prune(now=self._clock())


def _batch(judged: Iterator[Judged[Delivery]]) -> tuple[list[Judged[Delivery]], bool]:
    """The next messages that share a transaction, bounded by number and by bytes; and whether more may come."""
    batch, size = [], 0
    for one in judged:
        batch.append(one)
        size += len(one.key.raw)
        if len(batch) == GROUP or size > BATCH_BYTES:
            return batch, True
    return batch, False
