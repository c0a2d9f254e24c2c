"""The status of a running daemon, for `spamlstm status` and for Prometheus."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spamlstm import __version__
from spamlstm.daemon.coverage import Coverage, inotify_limit
from spamlstm.filtering.outcome import Counters, Outcome, Status
from spamlstm.tracking.label_stores import LearningStatus


@dataclass(slots=True)
class DaemonStatus:
    """The status of a running daemon. The loop changes the status; any thread may call `snapshot`."""

    counters: Counters
    model: str = ""
    dry_run: bool = False
    coverage: Coverage = field(default_factory=Coverage)
    waiting: Callable[[], int] = lambda: 0
    overflows: Callable[[], int] = lambda: 0
    restarts: Callable[[], int] = lambda: 0
    scans: int = 0
    """Number of completed scans of all Maildirs."""
    scan_seconds: float = 0.0
    """Processor seconds of the last scan of all Maildirs, without the time to classify the found messages."""
    learning: Callable[[], dict[str, Any]] = dict
    reloads: int = 0
    errors: int = 0
    """Number of unexpected errors that did not stop the loop."""
    by_maildir: dict[str, Counter[str]] = field(default_factory=dict)
    """For each Maildir with mail since the start, the number of messages by verdict, moved and failed."""
    started: float = field(default_factory=time.time)

    def count(self, outcome: Outcome) -> None:
        """Count the outcome of one message for its Maildir."""
        tally = self.by_maildir.setdefault(outcome.candidate.maildir, Counter())
        if outcome.judgement is not None and outcome.status is not Status.FAILED:
            tally[outcome.judgement.verdict] += 1
        if outcome.folder:
            tally["moved"] += 1
        if outcome.status is Status.FAILED:
            tally["failed"] += 1

    def line(self) -> str:
        """Return a summary in one line, for `systemctl status`."""
        judged, moved = self.counters.judged.total(), self.counters.acted["file"]
        maildirs = self.coverage.watched + self.coverage.polled
        dry, plural = "dry run, " if self.dry_run else "", "" if maildirs == 1 else "s"
        return f"{dry}{maildirs} Maildir{plural}, {judged} classified, {moved} filed"

    def snapshot(self) -> dict[str, Any]:
        """Return all values as a JSON-serializable dict. Times are in seconds."""
        latency = self.counters.latency
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self.started,
            "uptime": time.time() - self.started,
            "model": self.model,
            "dry_run": self.dry_run,
            "maildirs": {
                "watched": self.coverage.watched,
                "polled": self.coverage.polled,
                "missing": self.coverage.missing,
                "refused": self.coverage.refused,
                "most_watches": inotify_limit("max_user_watches"),
            },
            "remarks": list(self.coverage.remarks),
            "waiting": self.waiting(),
            "scans": self.scans,
            "scan_seconds": self.scan_seconds,
            "overflows": self.overflows(),
            "restarts": self.restarts(),
            "reloads": self.reloads,
            "errors": self.errors,
            "mail": self.counters.snapshot(),
            "learning": {**LearningStatus().snapshot(), **self.learning()},
            "p50": _finite(latency.quantile(0.5)),
            "p99": _finite(latency.quantile(0.99)),
            "by_maildir": {maildir: dict(tally) for maildir, tally in list(self.by_maildir.items())},
        }


def _finite(value: float | None) -> float | None:
    """Return `value`, or None for infinity. JSON has no infinity, which means a value above all histogram bounds."""
    return None if value in (None, float("inf")) else value
