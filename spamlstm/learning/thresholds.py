"""Where the bars between the verdicts belong for one user's mail, found by cross-validation in time.

Each message is scored by a layer that learned only earlier ones; the layer gives that for nothing while it learns. What
a bar would have done with all of them then tells what it will do with the next.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.evaluation.metrics import rate_pct
from spamlstm.learning.label import Label
from spamlstm.model.bundle import Calibration
from spamlstm.verdict import Verdict

# Above the highest ham where there is too little of it to know better, in log-odds: as far as scores wander in a week.
MARGIN = 0.5
# Of a rehearsal: how many messages at the end, and for how many of them the bars stay as they are.
REHEARSED = 1000
BLOCK = 100

Rehearsal = dict[Label, dict[Verdict, int]]
"""How many messages of either label would have got which verdict."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a layer said of messages before it learned them, in their order; `score` is NaN where it said nothing."""

    spam: NDArray[np.bool_]  # (N,)
    score: NDArray[np.float64]  # (N,), log-odds

    def before(self, end: int) -> "Trial":
        """The first `end` of them."""
        return Trial(self.spam[:end], self.score[:end])


@dataclass(frozen=True, slots=True)
class Finding:
    """Bars, and what they rest on."""

    thresholds: Thresholds
    ham: int
    """How many ham messages were tried."""
    filed: int
    """How many of these would have been filed as spam."""
    bound: float
    """The share of ham filed that is not exceeded, as far as so many messages can tell (95 %); 1 without any."""


def find_thresholds(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Finding:
    """The lowest bar for spam by which no more than the share `ham_filed` of ham is filed; that for ham is the model's.

    With so much ham that the 95 % bound of Wilson's interval can be below `ham_filed` (3,838 messages for 0.1 %), it
    is the lowest bar that keeps it there, though never below even odds. With less the best that can be had is a bar
    above the highest ham, and not below the model's.
    """
    ham = np.sort(trial.score[~trial.spam & ~np.isnan(trial.score)])[::-1]
    allowed = _allowed(len(ham), max_false_positive_rate)
    if allowed is not None:
        spam_threshold = max(math.nextafter(_probability(ham[allowed]), 1.0), 0.5)
    else:
        spam_threshold = max(model.spam, _probability(ham[0] + MARGIN)) if len(ham) else model.spam
    spam_threshold = min(spam_threshold, 1.0)
    filed = sum(_probability(score) >= spam_threshold for score in ham[: 1 + (allowed or 0)])
    figure = rate_pct(filed, len(ham))
    return Finding(
        Thresholds(min(model.ham, spam_threshold), spam_threshold),
        len(ham),
        filed,
        figure.high / 100 if figure else 1.0,
    )


def _allowed(ham: int, max_false_positive_rate: float) -> int | None:
    """How many of so many may be above the bar, for the bound to be kept; None if not even none would do."""
    allowed = None
    for filed in range(ham):
        figure = rate_pct(filed, ham)
        if figure is None or figure.high / 100 > max_false_positive_rate:
            break
        allowed = filed
    return allowed


def rehearse(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Rehearsal:
    """What would have become of the last thousand messages, each judged by bars that rest on earlier ones only."""
    counts = {label: dict.fromkeys(Verdict, 0) for label in Label}
    for start, end in _blocks(len(trial.spam)):
        thresholds = find_thresholds(
            trial.before(start), max_false_positive_rate=max_false_positive_rate, model=model
        ).thresholds
        for spam, score in zip(trial.spam[start:end], trial.score[start:end], strict=True):
            counts[Label.SPAM if spam else Label.HAM][verdict_of(float(score), thresholds)] += 1
    return counts


def _blocks(number: int) -> Iterator[tuple[int, int]]:
    first = max(0, number - REHEARSED)
    for start in range(first, number, BLOCK):
        yield start, min(start + BLOCK, number)


def verdict_of(score: float, thresholds: Thresholds) -> Verdict:
    """By the score alone; without one it is unsure."""
    if math.isnan(score):
        return Verdict.UNSURE
    return thresholds.verdict(_probability(score))


def _probability(score: float) -> float:
    return Calibration.probability(float(score))
