"""Thresholds between the verdicts for one user's mail, found by progressive validation.

Each message is scored by a layer that learned only earlier messages, which costs nothing while the layer learns. The
verdicts that a threshold would have given to all of them then show what it will do with new mail.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.evaluation.metrics import rate_pct
from spamlstm.learning.label import Label
from spamlstm.logistic import logistic
from spamlstm.verdict import Verdict

# With too little ham the threshold is this far above the highest, in log-odds: about as far as scores move in a week.
MARGIN = 0.5
# A rehearsal covers this many messages at the end, and finds thresholds again after each block.
REHEARSED = 1000
BLOCK = 100

Rehearsal = dict[Label, dict[Verdict, int]]
"""The number of messages of each label that would have got each verdict."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The scores of messages before they were learned, in order; `score` is NaN for a message without one."""

    spam: NDArray[np.bool_]  # (N,)
    score: NDArray[np.float64]  # (N,), log-odds

    def before(self, end: int) -> "Trial":
        """Return the first `end` messages."""
        return Trial(self.spam[:end], self.score[:end])


@dataclass(frozen=True, slots=True)
class Finding:
    """Thresholds, and the ham that they were found with."""

    thresholds: Thresholds
    ham: int
    """The number of ham messages with a score."""
    filed: int
    """The number of these that would have been filed as spam."""
    bound: float
    """The upper 95 % bound of the share of ham filed as spam (Wilson); 1 without ham."""


def find_thresholds(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Finding:
    """Return the lowest spam threshold that files at most `max_false_positive_rate` of ham, and the model's for ham.

    If there is so much ham that the 95 % bound of Wilson's interval can be below that rate (3,838 messages for 0.1 %),
    this is the lowest threshold that keeps the bound below it, but at least 0.5. With less ham it is above the highest
    ham score, and not below the model's threshold.
    """
    ham = np.sort(trial.score[~trial.spam & ~np.isnan(trial.score)])[::-1]
    allowed = _allowed(len(ham), max_false_positive_rate)
    if allowed is not None:
        spam_threshold = max(math.nextafter(logistic(ham[allowed]), 1.0), 0.5)
    else:
        spam_threshold = max(model.spam, logistic(ham[0] + MARGIN)) if len(ham) else model.spam
    spam_threshold = min(spam_threshold, 1.0)
    filed = sum(logistic(score) >= spam_threshold for score in ham[: 1 + (allowed or 0)])
    figure = rate_pct(filed, len(ham))
    return Finding(
        Thresholds(min(model.ham, spam_threshold), spam_threshold),
        len(ham),
        filed,
        figure.high / 100 if figure else 1.0,
    )


def _allowed(ham: int, max_false_positive_rate: float) -> int | None:
    """Return how many of `ham` messages may be filed for the bound to hold; None if it fails even with none filed."""
    allowed = None
    for filed in range(ham):
        figure = rate_pct(filed, ham)
        if figure is None or figure.high / 100 > max_false_positive_rate:
            break
        allowed = filed
    return allowed


def rehearse(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Rehearsal:
    """Count the verdicts on the last messages, each judged by thresholds found with earlier messages only."""
    counts = {label: dict.fromkeys(Verdict, 0) for label in Label}
    for start, end in _blocks(len(trial.spam)):
        thresholds = find_thresholds(
            trial.before(start), max_false_positive_rate=max_false_positive_rate, model=model
        ).thresholds
        for spam, score in zip(trial.spam[start:end], trial.score[start:end], strict=True):
            counts[Label.SPAM if spam else Label.HAM][verdict_of(float(score), thresholds)] += 1
    return counts


def _blocks(number: int) -> Iterator[tuple[int, int]]:
    for start in range(max(0, number - REHEARSED), number, BLOCK):
        yield start, min(start + BLOCK, number)


def verdict_of(score: float, thresholds: Thresholds) -> Verdict:
    """Return the verdict by a score alone; unsure for NaN."""
    return Verdict.UNSURE if math.isnan(score) else thresholds.verdict(logistic(float(score)))
