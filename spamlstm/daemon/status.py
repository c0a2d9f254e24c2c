"""What a running daemon knows of itself, for `spamlstm status` and for Prometheus."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spamlstm import __version__
from spamlstm.daemon.watch import Coverage, limit
from spamlstm.filtering.outcome import Counters, Outcome, Status
from spamlstm.tracking.label_stores import LearningStatus


@dataclass(slots=True)
class DaemonStatus:
    """Written by the loop; `snapshot` may be called from any thread."""

    counters: Counters
    model: str = ""
    dry_run: bool = False
    coverage: Coverage = field(default_factory=Coverage)
    waiting: Callable[[], int] = lambda: 0
    overflows: Callable[[], int] = lambda: 0
    restarts: Callable[[], int] = lambda: 0
    scans: int = 0
    """Looks at all Maildirs."""
    scan_seconds: float = 0.0
    """Processor time of the last one, without that of judging what it found."""
    learning: Callable[[], dict[str, Any]] = dict
    reloads: int = 0
    errors: int = 0
    """Bugs that the loop lived through."""
    by_maildir: dict[str, Counter[str]] = field(default_factory=dict)
    """For each Maildir with mail since the start: messages by verdict, and those moved and failed."""
    started: float = field(default_factory=time.time)

    def note(self, outcome: Outcome) -> None:
        """Count what became of a message for its Maildir."""
        tally = self.by_maildir.setdefault(outcome.candidate.maildir, Counter())
        if outcome.judgement is not None and outcome.status is not Status.FAILED:
            tally[outcome.judgement.verdict] += 1
        if outcome.folder:
            tally["moved"] += 1
        if outcome.status is Status.FAILED:
            tally["failed"] += 1

    def line(self) -> str:
        """The short form, for `systemctl status`."""
        judged, moved = self.counters.judged.total(), self.counters.acted["file"]
        dry = "dry run, " if self.dry_run else ""
        return f"{dry}{self.coverage.watched + self.coverage.polled} Maildirs, {judged} judged, {moved} filed"

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON can hold it. Times are in seconds."""
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
                "most_watches": limit("max_user_watches"),
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
    """JSON knows no infinity: above all bounds nothing is known."""
    return None if value in (None, float("inf")) else value
