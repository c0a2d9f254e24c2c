"""The status of a running daemon, for `spamlstm status` and Prometheus, and the number of watched Maildirs."""

import errno
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from spamlstm import __version__
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.outcome import Outcome, Status
from spamlstm.maildir.paths import why_not_maildir
from spamlstm.tracking.learning_status import LearningStatus
from spamlstm.wording import counted, is_or_are

# Log and status name at most this number of refused or missing Maildirs. Further ones are only counted.
MOST_NAMED = 20
LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Numbers of Maildirs that are watched by inotify, polled, missing or refused (not usable).

    `remarks` are sentences for the administrator, one for each reason why Maildirs are polled, missing or refused.
    """

    watched: int = 0
    polled: int = 0
    missing: int = 0
    remarks: tuple[str, ...] = ()
    refused: int = 0

    def with_refused(self, refused: Mapping[str, Exception]) -> Self:
        """Return a copy of the coverage with the number of refused Maildirs, and with their first errors as remarks.

        `refused` contains the error for the path of each refused Maildir.
        """
        reasons = [str(error) for _, error in zip(range(MOST_NAMED), refused.values(), strict=False)]
        return replace(self, refused=len(refused), remarks=(*self.remarks, *reasons))

    def with_missing(self, folders: Collection[str], patterns: Iterable[str]) -> Self:
        """Return a copy of the coverage with the number of missing Maildirs, and with sentences about the first ones.

        `folders` are the paths that are not Maildirs. `patterns` are the paths with wildcards that match no folder.
        """
        reasons = list(map(why_not_maildir, itertools.islice(folders, MOST_NAMED)))
        if len(folders) > MOST_NAMED:
            further = len(folders) - MOST_NAMED
            reasons.append(f"{counted(further, 'further Maildir')} {is_or_are(further)} missing")
        reasons += [f"no folder matches {one}; correct the path, or create a Maildir" for one in patterns]
        return replace(self, missing=len(folders), remarks=(*self.remarks, *reasons))

    def counts(self) -> dict[str, int]:
        """Return the numbers by name. The number of refused Maildirs is left out if it is 0."""
        counts = {"watched": self.watched, "polled": self.polled, "missing": self.missing, "refused": self.refused}
        return {name: count for name, count in counts.items() if count or name != "refused"}


def watch_remarks(error: int, *, unwatched: int, remote: int, total: int) -> Iterator[str]:
    """Yield a sentence for each reason why Maildirs are polled instead of watched.

    `remote` Maildirs are on network file systems. The kernel refused watches for `unwatched` Maildirs, with the errno
    `error`. `total` is the number of existing Maildirs.
    """
    instead = "polled every few seconds instead"
    if remote:
        yield (
            f"{remote} of {counted(total, 'Maildir')} cannot be watched for deliveries by other hosts (NFS, …):"
            f" {instead}"
        )
    if unwatched <= 0:
        return
    some = f"{unwatched} of {counted(total, 'Maildir')} cannot be watched"
    if error == errno.ENOSPC:
        most = inotify_limit("max_user_watches")
        # Other programs of the user may use most of the present limit, so a higher one is always needed.
        needed = max(65_536, 2 * total, 2 * (most or 0))
        yield (
            f"{some} (the kernel allows this user {'no more' if most is None else f'only {most}'} inotify watches):"
            f" {instead}; raise the limit with"
            f" sysctl fs.inotify.max_user_watches={-(-needed // 8192) * 8192}"
        )
    elif error == errno.EMFILE:
        most = inotify_limit("max_user_instances")
        yield (
            f"{some} (the kernel allows this user no further inotify"
            f" instance{'' if most is None else f' beyond {most}'}): {instead}; raise the limit with"
            f" sysctl fs.inotify.max_user_instances={max(512, 2 * (most or 0))}"
        )
    else:
        yield f"{some} ({os.strerror(error) if error else 'removed meanwhile'}): {instead}"


def inotify_limit(name: str) -> int | None:
    """Return the inotify limit of the kernel with this name, or None if the limit cannot be read.

    `name` is `max_user_watches` or `max_user_instances`.
    """
    try:
        return int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return None


def _since_boot() -> float:
    """Return the seconds since the machine started. Unlike the time of day, this clock is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


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
    listeners: Callable[[], dict[str, Any]] = dict
    """The numbers of each listener, by the name of the listener."""
    accounts: Callable[[], dict[str, Any]] = dict
    """The numbers of each IMAP account, by the name of the account."""
    model_remark: Callable[[], str] = str
    """A sentence for the administrator if the shipped model is used in place of the selected one, or ''."""
    thresholds: Callable[[], dict[str, float | str] | None] = lambda: None
    """The thresholds in force, or None if they are unknown."""
    reloads: int = 0
    load_errors: dict[str, str] = field(default_factory=dict)
    """The reason of the last failed reload (`reload`), opening of listeners (`listeners`) or loading of a changed model
    (`model`), until it succeeds."""
    errors: int = 0
    """Number of unexpected errors that did not stop the loop."""
    by_maildir: dict[str, Counter[str]] = field(default_factory=dict)
    """For each Maildir with mail since the start, the numbers of messages by verdict, moved messages and failures."""
    started: float = field(default_factory=time.time)
    _started_since_boot: float = field(default_factory=_since_boot)

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
        dry = "dry run, " if self.dry_run else ""
        return f"{dry}{counted(maildirs, 'Maildir')}, {judged} classified, {moved} filed"

    def snapshot(self) -> dict[str, Any]:
        """Return all values as a JSON-serializable dict. Times are in seconds."""
        latency = self.counters.latency
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self.started,
            "uptime": _since_boot() - self._started_since_boot,
            "model": self.model,
            "thresholds": self.thresholds(),
            "load_errors": dict(self.load_errors),
            "dry_run": self.dry_run,
            "maildirs": {
                "watched": self.coverage.watched,
                "polled": self.coverage.polled,
                "missing": self.coverage.missing,
                "refused": self.coverage.refused,
                "most_watches": inotify_limit("max_user_watches"),
            },
            "remarks": [*self.coverage.remarks, *filter(None, (self.model_remark(),))],
            "waiting": self.waiting(),
            "scans": self.scans,
            "scan_seconds": self.scan_seconds,
            "overflows": self.overflows(),
            "restarts": self.restarts(),
            "reloads": self.reloads,
            "errors": self.errors,
            "listeners": self.listeners(),
            "accounts": self.accounts(),
            "mail": self.counters.snapshot(),
            "learning": {**LearningStatus().snapshot(), **self.learning()},
            "p50": _finite(latency.quantile(0.5)),
            "p99": _finite(latency.quantile(0.99)),
            "by_maildir": {maildir: dict(tally) for maildir, tally in list(self.by_maildir.items())},
        }


def _finite(value: float | None) -> float | None:
    """Return `value`, or None if it is infinite, because JSON cannot represent infinity.

    A quantile is infinite if it is above all bounds of the histogram.
    """
    return None if value in (None, float("inf")) else value
