"""Numbers about the work since the start, for whoever wants to show them."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spamlstm.filtering.outcome import Outcome, Status

# Seconds. From what one message takes to what a stall of a minute's scan makes of it.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0)


@dataclass(slots=True)
class Histogram:
    """How many values were at most each bound, as Prometheus counts: `counts` has one more place, for all above."""

    bounds: tuple[float, ...] = BOUNDS
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def quantile(self, share: float) -> float | None:
        """The bound below which at least that share of the values lies; None without values, inf above all bounds."""
        wanted, so_far = share * sum(self.counts), 0
        if not sum(self.counts):
            return None
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            if so_far >= wanted:
                return bound
        return float("inf")


@dataclass(slots=True)
class Counters:
    """Each only grows. One thread writes; a look from another is off by one message at most."""

    judged: Counter[str] = field(default_factory=Counter)
    """By verdict."""
    acted: Counter[str] = field(default_factory=Counter)
    """By action: tag, keyword, file."""
    known: int = 0
    gone: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By kind: `spamlstm.filtering.failures.Kind`."""
    settled: Counter[str] = field(default_factory=Counter)
    """What acts that were cut short came to: done, undone, gone."""
    latency: Histogram = field(default_factory=Histogram)
    """Seconds from a message's delivery to the end of all that was done about it."""
    judging: Histogram = field(default_factory=Histogram)
    """Seconds of judging, a message."""

    def count(self, outcome: Outcome, *, waited: float | None) -> None:
        """One message more; `waited` is the time in seconds since its delivery, if that is known."""
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
        if waited is not None:
            self.latency.observe(waited)

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        histograms = {"latency": self.latency, "judging": self.judging}
        return {
            "judged": dict(self.judged),
            "acted": dict(self.acted),
            "known": self.known,
            "gone": self.gone,
            "failed": dict(self.failed),
            "settled": dict(self.settled),
            **{
                name: {"bounds": list(one.bounds), "counts": list(one.counts), "sum": one.total}
                for name, one in histograms.items()
            },
        }
