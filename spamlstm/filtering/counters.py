"""The totals of a process: outcomes by kind, and histograms of delays."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spamlstm.filtering.outcome import Outcome, Status

# Upper bounds of the histograms in seconds, from the time for one message to the delay of a scan once a minute.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0)


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
