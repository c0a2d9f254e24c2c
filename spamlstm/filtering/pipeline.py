"""The pipeline: scans inboxes for new mail, classifies the mail, and carries out the actions for each verdict.

This is the protocol for a program that watches folders. Only one thread calls the pipeline, namely the thread that
opened the journal. No other process uses the same state folder, because `spamlstm.daemon` holds a lock on it.

    journal = Journal.open(state)
    pipeline = Pipeline(config=config, classifier=classifier, journal=journal, counters=Counters())
    pipeline.recover()                                  # once, before anything else
    for maildir in expand_maildirs(config.maildirs):    # at start, every scan_seconds, and after lost events
        pipeline.process(pipeline.scan(maildir))
    pipeline.process(pipeline.scan(maildir, parts=("new",)))      # after a delivery to this Maildir
    journal.close()

- `scan` may be called at any time. It does not return messages that were classified. For an unchanged inbox it makes
  only two stat calls. The first scan of a Maildir records the time since which the Maildir is watched.
- `process` takes any number of candidates. It returns when each candidate has an outcome, or soon after `stop()` is
  true. `stop()` is called before each message and after each batch. The next scan returns candidates without an
  outcome.
- Neither method raises for errors of a message, a folder or a disk. Such errors become outcomes, counters and log
  lines. A message that failed stays in place, and scans return it again at growing intervals.
- A message that crashes the process, or for which a watchdog ends the process, is classified alone after the next
  start. After the second crash the message is set aside, which means left unchanged (`spamlstm.filtering.crash_guard`).
  `urgent` returns the candidates that do not have to wait for the other mail.
- At most BATCH_BYTES of raw mail and one message are in memory, in addition to the memory of reader processes.
- A message that was classified before is KNOWN and left unchanged if its user moved it back to the inbox, or if its
  user took it out of a folder into which another program had put it. A second delivery is classified as any other
  message (`spamlstm.filtering.placement`).

A visit of a Maildir begins with its scan and ends after the messages are processed. `spamlstm.filtering.batch` has the
steps for one message. Input that is not a Maildir does not need a pipeline. It calls `Classifier.classify`,
`acts.wanted_actions` and `maildir.headers.tag`.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spamlstm.config import CatchUp, Config
from spamlstm.config.maildirs import section_of
from spamlstm.errors import DataError, TemporaryError
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.batch import Judge, Pass
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.crash_guard import CrashGuard, GuardedCandidate
from spamlstm.filtering.delivery import DeliveryReader
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.inbox import Scanner
from spamlstm.filtering.inbox_index import DAY
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.open_maildirs import OpenMaildirs
from spamlstm.filtering.outcome import Candidate, Outcome, Status, log_outcomes
from spamlstm.filtering.placement import Arrival, Placement, Placements
from spamlstm.maildir.file_systems import remote_devices
from spamlstm.maildir.names import DELIVERED, Part
from spamlstm.maildir.opened import OpenMaildir

if TYPE_CHECKING:
    from spamlstm.model.personal_layer import PersonalLayer


class Pipeline:
    """The pipeline that classifies the messages in inboxes and carries out the configured actions."""

    def __init__(
        self,
        *,
        config: Config,
        classifier: Judge,
        journal: Journal,
        counters: Counters,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        layer_of: "Callable[[str], PersonalLayer | None]" = lambda _maildir: None,
        placed: Callable[[OpenMaildir, Arrival], Placement] | None = None,
        open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Create a pipeline. `clock` gives the times that are recorded, and `monotonic` measures delays.

        `layer_of` returns the personal layer that scores the mail of a Maildir, or None if there are no labels.
        `placed` returns how a message came to the inbox (see `DeliveryReader`). By default, only the journal is asked.
        `open_maildir` opens the Maildir at a path for one visit. `beat` is called during work, for a watchdog.
        """
        self.config = config
        self.classifier = classifier
        self.journal = journal
        self.counters = counters
        self._clock = clock
        self._monotonic = monotonic
        # A visit begins with a scan and ends with the following pass.
        self._maildirs = OpenMaildirs(open_maildir)
        self._scanner = Scanner(journal, clock=clock, opened=self._maildirs.opened)
        self._guard = CrashGuard(journal, clock=clock, status=self._status)
        self._guard.model = classifier.bundle.label
        self._recovery = Recovery(
            journal, counters=counters, clock=clock, opened=open_maildir, beat=beat, is_dry=self._is_dry
        )
        self._pass = partial(
            Pass,
            recovery=self._recovery,
            guard=self._guard,
            layer_of=layer_of,
            beat=beat,
        )
        self._reader = partial(
            DeliveryReader,
            self._recovery,
            opened=self._maildirs.opened,
            placed=placed or Placements(journal, clock).by_journal,
        )
        self._retries: Backoff[tuple[str, str]] = Backoff(monotonic)
        # Maildirs in which messages went from new to cur before they could be acted on. The next scan of these Maildirs
        # includes cur.
        self._doubtful: set[str] = set()
        self._pruned = -math.inf

    def reconfigure(self, *, config: Config, classifier: Judge) -> None:
        """Switch to another configuration or model. Must not be called while `process` runs."""
        self.config = config
        self.classifier = classifier
        self._guard.model = classifier.bundle.label

    def recover(self) -> None:
        """Settle every interrupted act, and turn the messages that a crashed process left in progress into suspects.

        A settled act is either done completely or has left its message unchanged. In a dry run, acts are only reported.
        """
        self._recovery.settle(all_open=True)
        self._guard.recover()

    def scan(
        self,
        maildir: str | os.PathLike[str],
        *,
        parts: Sequence[Part] = DELIVERED,
        catch_up: CatchUp | None = None,
        with_dry_run: bool = False,
    ) -> list[Candidate]:
        """Return the messages in the inbox of `maildir` to classify. Returns [] if the Maildir cannot be read.

        `catch_up` selects the existing mail to classify at the first scan of a Maildir. Its default is in the
        configuration. If `with_dry_run`, messages whose actions a dry run only reported are returned again.
        """
        path = os.fspath(maildir)
        self._maildirs.close()
        wanted = DELIVERED if path in self._doubtful else parts
        try:
            catch_up = catch_up or self.config.daemon.catch_up
            found = self._scanner.scan(path, parts=wanted, catch_up=catch_up, with_dry_run=with_dry_run)
        except (OSError, DataError, TemporaryError) as error:
            self.counters.failed[kind_of(error)] += 1
            emit(logging.WARNING, "scan-failed", maildir=path, kind=kind_of(error), error=sentence(error))
            found = []
        else:
            self._doubtful.discard(path)
        due = [
            one for one in found if self._retries.is_due((one.maildir, one.base)) and not self._guard.is_reported(one)
        ]
        if not due:
            self._maildirs.close()
        return due

    def urgent(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates that were not in progress at a crash.

        The other candidates should be processed after the mail of all Maildirs.
        """
        return [one for one in candidates if not self._guard.is_suspect(one)]

    def process(self, candidates: Sequence[Candidate], *, stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
        """Classify the candidates, carry out the actions, and return the outcomes in order of occurrence."""
        return list(self.follow(candidates, stop=stop))

    def follow(
        self, candidates: Sequence[Candidate], *, stop: Callable[[], bool] = lambda: False
    ) -> Generator[Outcome, None, None]:
        """Process the candidates and yield each outcome when it occurs. Work is done only while the caller iterates."""
        self._recovery.settle()
        reader = self._reader(remote=remote_devices())
        work = self._pass(config=self.config, classifier=self.classifier, reader=reader, stop=stop)
        alone: list[GuardedCandidate] = []
        try:
            yield from self._reported(work.run(_beside_others(map(self._guard.look, candidates), alone)))
            # Large mail first, then the suspects, sorted by the number of crashes.
            for one in sorted(alone, key=lambda guarded: -1 if guarded.crashes is None else guarded.crashes):
                if stop():
                    break
                yield from self._reported(work.run([self._guard.look(one.candidate)]))
        finally:
            # Candidates without an outcome did not crash the process, no matter how this block ends.
            self._guard.stop()
            self._maildirs.close()
        self._prune()

    def _is_dry(self, maildir: str) -> bool:
        """Return whether the mail of a Maildir must not be changed, also if the configuration no longer names it."""
        section = section_of(self.config.maildirs, Path(maildir))
        return self.config.daemon.dry_run if section is None else self.config.is_dry(section)

    def _status(self, candidate: Candidate) -> os.stat_result:
        return self._maildirs.opened(candidate.maildir).folder().entry(candidate.part, candidate.name).status()

    def _reported(self, batches: Iterable[list[Outcome]]) -> Iterator[Outcome]:
        """Count and log the outcomes of each batch, and yield the outcomes."""
        for outcomes in batches:
            now = self._clock()
            for outcome in outcomes:
                candidate = outcome.candidate
                has_failed = outcome.status is Status.FAILED and outcome.kind != FailureKind.UNFINISHED
                again_later = has_failed or outcome.status is Status.WAITING
                (self._retries.failed if again_later else self._retries.succeeded)((candidate.maildir, candidate.base))
                if outcome.status is Status.GONE:
                    self._doubtful.add(candidate.maildir)
                self.counters.count(outcome, now=now)
            log_outcomes(outcomes)
            yield from outcomes

    def _prune(self) -> None:
        """Prune the journal once a day.

        An error is ignored, because a journal that cannot be written was reported before.
        """
        now = self._monotonic()
        if now - self._pruned < DAY:
            return
        self._pruned = now
        with contextlib.suppress(DataError, TemporaryError), self.journal.transaction(durable=False):
            self.journal.prune()
            self.journal.in_progress.prune(now=self._clock())


def _beside_others(guarded: Iterable[GuardedCandidate], alone: list[GuardedCandidate]) -> Iterator[GuardedCandidate]:
    """Yield the candidates that are classified beside others, and append the other candidates to `alone`."""
    for one in guarded:
        if one.is_alone:
            alone.append(one)
        else:
            yield one
