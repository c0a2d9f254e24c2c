"""Candidates, which are messages that may need classification, and the outcome of each candidate."""

import logging
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spamlstm.config import Action
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.names import Part, base_of
from spamlstm.verdict import Judgement

# Upper bounds of the histograms in seconds, from the time for one message to the delay of a scan once a minute.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message in an inbox that may need classification, as found in a listing. The file may be renamed by now."""

    maildir: str
    part: Part
    name: str
    inode: int = 0
    """The inode of the file in the listing, to distinguish an earlier file of the same name. 0 if unknown."""
    shares_base: bool = False
    """True if another file in the same listing has the same base name."""

    @property
    def path(self) -> str:
        """The path of the file."""
        return os.path.join(self.maildir, self.part, self.name)  # noqa: PTH118  names are kept unchanged

    @property
    def base(self) -> str:
        """The base name, which mail programs do not change when they rename the file."""
        return base_of(self.name)

    @property
    def key(self) -> str:
        """The key of the file in the inbox index. If other files share the base name, the inode is added."""
        return f"{self.base}/{self.inode}" if self.shares_base else self.base


class Status(StrEnum):
    """The kind of outcome of a candidate."""

    DONE = "done"
    """The message was classified, and the actions for its verdict are done."""

    LEFT = "left"
    """The message was classified, and no action for its verdict was needed or possible."""

    DRY = "dry"
    """The message was classified in a dry run. The actions for its verdict are only reported."""

    KNOWN = "known"
    """This program or its user put the message into the inbox, after it was classified. The message is left unchanged.
    """

    MOVING = "moving"
    """The user is moving the message now, because its file also has a name in another folder. A later scan decides."""

    WAITING = "waiting"
    """Another file of the message is in another folder, and the user may be moving it. A later scan decides."""

    OLD = "old"
    """The message is in cur, and its date is before its Maildir was watched. The message is left unchanged.

    Only its user can have put such a message into cur.
    """

    GONE = "gone"
    """A mail program renamed the message or a user removed it meanwhile. The next scan finds it if it still exists."""

    FAILED = "failed"
    """The message could not be read, classified or acted on, and is unchanged. A later scan tries again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one candidate. For FAILED, `failure` is a sentence and `kind` is a `FailureKind`."""

    candidate: Candidate
    status: Status
    judgement: Judgement | None = None
    actions: tuple[Action, ...] = ()
    """The actions that were done, or in a dry run the planned actions."""
    folder: str = ""
    """The path of the folder to which the message was moved."""
    content: str = ""
    """The content id of the message."""
    kind: str = ""
    failure: str = ""
    ms: float = 0.0
    """The time to classify the message, in milliseconds."""
    delivered: float | None = None
    """When the message came to the folder in which it was found, in seconds since 1970. None if not read."""


@dataclass(slots=True)
class Histogram:
    """A histogram. `counts` has the number of values in each bucket, and a last item for values above all bounds.

    A value belongs to the first bucket whose bound is at least the value.
    """

    bounds: tuple[float, ...] = BOUNDS
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Add one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def quantile(self, share: float) -> float | None:
        """Return the lowest bound that at least a `share` (0 to 1) of the values do not exceed.

        Returns None if there are no values, and inf if the result is above all bounds.
        """
        wanted, so_far = share * sum(self.counts), 0
        if not sum(self.counts):
            return None
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            if so_far >= wanted:
                return bound
        return float("inf")

    def snapshot(self) -> dict[str, Any]:
        """Return the histogram as a JSON-serializable dict."""
        return {"bounds": list(self.bounds), "counts": list(self.counts), "sum": self.total}


@dataclass(slots=True)
class Counters:
    """Totals since the start of the process.

    One thread writes the totals. Another thread may read them at any time. Its totals then differ from each other by at
    most one message.
    """

    judged: Counter[str] = field(default_factory=Counter)
    """Messages by verdict."""
    acted: Counter[str] = field(default_factory=Counter)
    """Messages by action: tag, keyword, file."""
    known: int = 0
    gone: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Failed messages by `spamlstm.filtering.failures.FailureKind`."""
    settled: Counter[str] = field(default_factory=Counter)
    """Interrupted acts that were settled, by result: done, undone, gone, unknown."""
    latency: Histogram = field(default_factory=Histogram)
    """Seconds from the delivery of a message to the end of all actions on it."""
    judging: Histogram = field(default_factory=Histogram)
    """Seconds of classification per message."""

    def count(self, outcome: Outcome, *, now: float) -> None:
        """Count one outcome, and the time since delivery for a classified message in new."""
        if outcome.status is Status.FAILED:
            self.failed[outcome.kind] += 1
        self.known += outcome.status in (Status.KNOWN, Status.MOVING, Status.OLD)
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
        """Return the counters as a JSON-serializable dict."""
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

    A full disk that affects 30,000 messages thus causes one warning.
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
    quiet = outcome.status not in (Status.DONE, Status.LEFT, Status.DRY)
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
        folder=os.path.basename(outcome.folder),  # noqa: PTH119  the name is kept unchanged
        kind=outcome.kind,
        error=outcome.failure,
        ms=outcome.ms or None,
    )
