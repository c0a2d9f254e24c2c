"""Candidates, messages that may be judged, and the outcome of each: as a value, in counters and in the log."""

import logging
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spamlstm.config import Action
from spamlstm.filtering.failures import emit
from spamlstm.maildir.names import Part
from spamlstm.verdict import Judgement

# Upper bounds of the histograms, in seconds: from one message to the delay that a scan once a minute makes.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message in an inbox that may not be judged yet, as a listing showed it; by now it may have another name."""

    maildir: str
    part: Part
    name: str
    inode: int = 0
    """The file's inode in the listing, to tell it from an earlier file of the same name; 0 if unknown."""
    shares_base: bool = False
    """True if another file in the same listing has the same base name."""

    @property
    def path(self) -> str:
        """The path of the file."""
        return os.path.join(self.maildir, self.part, self.name)  # noqa: PTH118  names are kept as they were given

    @property
    def base(self) -> str:
        """The part of the name that stays when readers rename it."""
        # The same as `Name.parse(...).base` in a tenth of its time: this is asked several times for each message.
        return self.name.partition(":")[0].partition(",")[0]

    @property
    def key(self) -> str:
        """The name of the file in the inbox index: its base name, and its inode where the base is not enough."""
        return f"{self.base}/{self.inode}" if self.shares_base else self.base


class Status(StrEnum):
    """The outcome of a candidate in one word."""

    DONE = "done"
    """It was judged, and the actions for its verdict are done."""
    LEFT = "left"
    """It was judged, and its verdict asks for no action."""
    DRY = "dry"
    """It was judged in a dry run; the actions for its verdict are only reported."""
    KNOWN = "known"
    """The same message was judged before: its user moved, copied or restored it. It is left alone."""
    OLD = "old"
    """It is in cur and older than the watch of its Maildir, so its user put it there. It is left alone."""
    GONE = "gone"
    """A reader renamed it or a user removed it meanwhile. The next scan finds it if it is still there."""
    FAILED = "failed"
    """It could not be read, judged or acted on, and is as it was. A later scan tries again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one candidate. For FAILED, `failure` is a sentence and `kind` a `FailureKind`."""

    candidate: Candidate
    status: Status
    judgement: Judgement | None = None
    actions: tuple[Action, ...] = ()
    """The actions that were done, or would be in a dry run."""
    folder: str = ""
    """The path of the folder that the message was moved to."""
    content: str = ""
    """The content id of the message."""
    kind: str = ""
    failure: str = ""
    ms: float = 0.0
    """The time that judging it took."""
    delivered: float | None = None
    """The time at which it came to the folder it was found in, in seconds since 1970; None if it was not read."""


@dataclass(slots=True)
class Histogram:
    """Counts of values by upper bound; the last item of `counts` is for values above all bounds."""

    bounds: tuple[float, ...] = BOUNDS
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def quantile(self, share: float) -> float | None:
        """Return the lowest bound that at least `share` of the values reach; None without values, inf above all."""
        wanted, so_far = share * sum(self.counts), 0
        if not sum(self.counts):
            return None
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            if so_far >= wanted:
                return bound
        return float("inf")

    def snapshot(self) -> dict[str, Any]:
        """Return the histogram in types that JSON has."""
        return {"bounds": list(self.bounds), "counts": list(self.counts), "sum": self.total}


@dataclass(slots=True)
class Counters:
    """Totals since the start. One thread writes; another thread may read values that are one message behind."""

    judged: Counter[str] = field(default_factory=Counter)
    """By verdict."""
    acted: Counter[str] = field(default_factory=Counter)
    """By action: tag, keyword, file."""
    known: int = 0
    gone: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By `spamlstm.filtering.failures.FailureKind`."""
    settled: Counter[str] = field(default_factory=Counter)
    """By the result of acts that were cut short: done, undone, gone."""
    latency: Histogram = field(default_factory=Histogram)
    """Seconds from the delivery of a message to the end of all actions on it."""
    judging: Histogram = field(default_factory=Histogram)
    """Seconds of judging per message."""

    def count(self, outcome: Outcome, *, now: float) -> None:
        """Count one outcome, and the time since its delivery if the message was new."""
        if outcome.status is Status.FAILED:
            self.failed[outcome.kind] += 1
        self.known += outcome.status in (Status.KNOWN, Status.OLD)
        self.gone += outcome.status is Status.GONE
        if outcome.status not in (Status.DONE, Status.LEFT, Status.DRY) or outcome.judgement is None:
            return
        self.judged[outcome.judgement.verdict] += 1
        self.judging.observe(outcome.ms / 1000)
        if outcome.status is Status.DONE:
            self.acted.update(outcome.actions)
        if outcome.candidate.part == "new" and outcome.delivered is not None:
            self.latency.observe(now - outcome.delivered)

    def snapshot(self) -> dict[str, Any]:
        """Return all values in types that JSON has."""
        return {
            "judged": dict(self.judged),
            "acted": dict(self.acted),
            "known": self.known,
            "gone": self.gone,
            "failed": dict(self.failed),
            "settled": dict(self.settled),
            "latency": self.latency.snapshot(),
            "judging": self.judging.snapshot(),
        }


def log_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Log one line for each message, and one warning for each kind of failure.

    A full disk fails 30,000 messages, and gives one warning.
    """
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        _log_outcome(outcome)
        if outcome.status is Status.FAILED:
            kinds.setdefault(outcome.kind, []).append(outcome)
    for kind, failed in kinds.items():
        first = failed[0]
        where = {"maildir": first.candidate.maildir, "base": first.candidate.base}
        emit(logging.WARNING, "failed", kind=kind, count=len(failed), **where, error=first.failure)


def _log_outcome(outcome: Outcome) -> None:
    candidate, judgement = outcome.candidate, outcome.judgement
    quiet = outcome.status in (Status.KNOWN, Status.OLD, Status.GONE, Status.FAILED)
    emit(
        logging.DEBUG if quiet else logging.INFO,
        outcome.status,
        maildir=candidate.maildir,
        base=candidate.base,
        id=outcome.content,
        verdict=judgement.verdict if judgement else None,
        p=judgement.probability if judgement else None,
        score=judgement.score if judgement else None,
        reason=judgement.reason if judgement else None,
        model=judgement.model if judgement else None,
        actions=",".join(outcome.actions),
        folder=os.path.basename(outcome.folder),  # noqa: PTH119  a name, as it was given
        kind=outcome.kind,
        error=outcome.failure,
        ms=outcome.ms or None,
    )
