"""Full scans: the Maildirs of the configuration are found, watched and queued, whether or not there are hints.

A hint is a note by the watching thread that a Maildir may have new mail (`daemon.hints`). A full scan finds mail for
which there was no hint, and Maildirs that are new. Maildirs that cannot be watched are polled between full scans.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spamlstm.config import Config, ImapConfig, MaildirConfig
from spamlstm.config.maildirs import expand_maildirs, has_magic, unmatched
from spamlstm.daemon.hints import Hints
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.status import Coverage, DaemonStatus
from spamlstm.daemon.watch import Watcher
from spamlstm.filtering.event_log import emit

# The interval between two polls of Maildirs without a watch, and the largest share of one core for polling.
POLL_SECONDS = 5.0
POLL_SHARE = 0.001


@dataclass
class FullScans:
    """The schedule of full scans and polls, and the Maildirs that they find.

    Without `locks`, the Maildirs are not locked. `clock` is monotonic.
    """

    watcher: Watcher
    hints: Hints
    status: DaemonStatus
    locks: MaildirLocks | None
    notifier: Notifier
    clock: Callable[[], float]
    _next: float = 0.0
    _next_poll: float = 0.0
    _cost: float | None = None  # processor seconds of the full scan in progress; None between full scans
    _reported: Coverage | None = None

    @property
    def next_time(self) -> float:
        """The time of the next full scan or poll, by `clock`."""
        return min(self._next, self._next_poll) if self.watcher.polls else self._next

    def is_due(self) -> bool:
        """Return whether a full scan must start now: it is time, hints were lost, or watching has failed."""
        return self.clock() >= self._next or self.hints.is_full_scan_wanted() or self.watcher.has_died()

    def start(self, config: Config) -> None:
        """Find the Maildirs of the configuration, watch them, and queue every existing Maildir."""
        self._next = self.clock() + config.daemon.scan_seconds
        sections: tuple[MaildirConfig | ImapConfig, ...] = (*config.maildirs, *config.accounts)
        self.status.dry_run = bool(sections) and all(map(config.is_dry, sections))
        began = time.thread_time()
        self.hints.take_all()
        found = expand_maildirs(config.maildirs, beat=self.notifier.beat)
        maildirs = list(map(str, found))
        usable = self.locks.keep(maildirs) if self.locks is not None else maildirs
        coverage = self.watcher.cover(usable, beat=self.notifier.beat)
        present = self.watcher.present()
        without_folder = unmatched(config.maildirs, found)
        missing = [path for path in without_folder if not has_magic(path)] + sorted(set(usable) - set(present))
        coverage = coverage.with_missing(missing, filter(has_magic, without_folder))
        if self.locks is not None:
            coverage = coverage.with_refused(self.locks.refused)
        for maildir in present:
            self.hints.rescan(maildir)
        self._cost = time.thread_time() - began
        self._report(coverage, config)
        self.notifier.status(self.status.line())

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Add the processor time of the `with` block to the full scan in progress, if there is one."""
        began = time.thread_time()
        yield
        if self._cost is not None:
            self._cost += time.thread_time() - began

    def end(self) -> None:
        """Record in the status that all queued Maildirs were scanned, if a full scan is in progress."""
        if self._cost is not None:
            self.status.scans += 1
            self.status.scan_seconds = self._cost
            self._cost = None

    def poll(self) -> None:
        """Look for new mail in the Maildirs that cannot be watched, if it is time to do so."""
        began = self.clock()
        if not self.watcher.polls or began < self._next_poll:
            return
        self.watcher.poll(beat=self.notifier.beat)
        now = self.clock()
        self._next_poll = now + max(POLL_SECONDS, (now - began) / POLL_SHARE)

    def _report(self, coverage: Coverage, config: Config) -> None:
        """Log the numbers of Maildirs and the remarks if the coverage has changed."""
        before, self._reported = self._reported, coverage
        self.status.coverage = coverage
        if coverage == before:
            return
        for remark in coverage.remarks:
            if before is None or remark not in before.remarks:
                emit(logging.WARNING, "not-watched", why=remark)
        if coverage.watched + coverage.polled or not config.maildirs:
            emit(logging.INFO, "maildirs", **coverage.counts())
        else:
            why = "there is nothing to watch, for the reasons above"
            emit(logging.WARNING, "maildirs", **coverage.counts(), why=why)
