"""Thresholds between the verdicts for the mail of one user, found by progressive validation.

Each message is scored by a personal layer that learned only earlier messages. The verdicts that a threshold would have
given with these scores therefore show its effect on new mail. The scores are a by-product of learning.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.evaluation.metrics import rate_pct
from spamlstm.learning.label import Label
from spamlstm.verdict import Verdict, logistic

# With little ham, the spam threshold is this far, in log-odds, above the highest score of ham. Scores change by about
# this much in a week.
MARGIN = 0.5
# A rehearsal covers the last REHEARSED messages and finds thresholds again after each block of BLOCK messages.
REHEARSED = 1000
BLOCK = 100

Rehearsal = dict[Label, dict[Verdict, int]]
"""The number of messages of each label that would have got each verdict."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The scores of messages just before they were learned, in order. `score` is NaN for a message without a score."""

    spam: NDArray[np.bool_]  # (N,)
    score: NDArray[np.float64]  # (N,), log-odds

    def before(self, end: int) -> "Trial":
        """Return the first `end` messages."""
        return Trial(self.spam[:end], self.score[:end])


@dataclass(frozen=True, slots=True)
class Finding:
    """The thresholds that were found, and figures of the ham that was used to find them."""

    thresholds: Thresholds
    ham: int
    """The number of ham messages with a score."""
    filed: int
    """The number of ham messages with a score that these thresholds would have filed as spam."""
    bound: float
    """The upper 95 % bound (Wilson) of the share of ham filed as spam. It is 1 without ham."""


def find_thresholds(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Finding:
    """Return the lowest spam threshold that files at most `max_false_positive_rate` of ham, and the ham threshold.

    With enough ham, the 95 % bound of Wilson's interval can be below the given rate (3,838 messages for 0.1 %). The
    spam threshold is then the lowest threshold that keeps the bound below the rate, but at least 0.5. With less ham the
    spam threshold is above the highest ham score, and at least the threshold of `model`. The ham threshold is the
    threshold of `model`, but at most the spam threshold.
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
    """Return the number of ham messages that may be filed as spam so that the 95 % bound stays within the rate.

    `ham` is the number of all ham messages. Return None if the bound exceeds the rate even if no messages are filed.
    """
    allowed = None
    for filed in range(ham):
        figure = rate_pct(filed, ham)
        if figure is None or figure.high / 100 > max_false_positive_rate:
            break
        allowed = filed
    return allowed


def rehearse(trial: Trial, *, max_false_positive_rate: float, model: Thresholds) -> Rehearsal:
    """Return the numbers of verdicts on the last REHEARSED messages, by label.

    Each block of messages is classified with thresholds that were found with earlier messages only.
    """
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
    """Return the verdict for a score in log-odds. The verdict for NaN is unsure."""
    return Verdict.UNSURE if math.isnan(score) else thresholds.verdict(logistic(float(score)))
