"""The metrics of the TREC spam track, each with its 95 % interval.

All functions are pure. `labels` is a bool array that is True for spam. `scores` is an array on any scale, with higher
scores for spam. Metrics are None if undefined, for example if all messages are of one class. Percentages are from 0 to
100. The rate hm is the percentage of ham lost (classified as spam), and sm is the percentage of spam missed (classified
as ham).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spamlstm.model.confidence import Z95, wilson
from spamlstm.verdict import logistic

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

RESAMPLES = 400
CALIBRATION_BINS = 15


class Figure(NamedTuple):
    """A measured value and its 95 % interval, in the same unit."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval, or None if it is unbounded, as for the speed of a short run."""
        return (self.low, self.high) if math.isfinite(self.high) else None


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a calibration diagram: the mean probability, the share of spam and the number of messages."""

    predicted: float
    observed: float
    count: int


# --- rates ----------------------------------------------------------------------------------------------------------


def rate_pct(hits: int, total: int) -> Figure | None:
    """Return `hits` of `total` in percent, with Wilson's score interval (1927), which is also valid near 0 and 100."""
    if total == 0:
        return None
    low, high = wilson(hits, total)
    return Figure(100 * hits / total, 100 * low, 100 * high)


def lam_pct(*, ham_lost: int, n_ham: int, spam_missed: int, n_spam: int) -> Figure | None:
    """Return the logistic average misclassification in percent.

    This figure is the logistic of the mean of the logits of hm and sm. Each rate is (errors + 0.5) / (messages + 1), as
    in the TREC toolkit, so that no logit is infinite (Cormack & Lynam, "TREC 2005 Spam Track Overview", section on
    evaluation measures). The interval assumes that each smoothed logit is normal with variance
    1/(errors + 0.5) + 1/(right + 0.5).
    """
    if n_ham == 0 or n_spam == 0:
        return None
    wrong = np.array([ham_lost, spam_missed]) + 0.5
    right = np.array([n_ham - ham_lost, n_spam - spam_missed]) + 0.5
    mean = float(np.mean(np.log(wrong / right)))
    half = Z95 * math.sqrt(float(np.sum(1 / wrong + 1 / right))) / 2
    return Figure(100 * logistic(mean), 100 * logistic(mean - half), 100 * logistic(mean + half))


# --- ranking --------------------------------------------------------------------------------------------------------


def roca(labels: Bools, scores: Floats) -> float | None:
    """Return the area under the ROC curve: the probability that a random spam scores above a random ham.

    A pair with equal scores counts half.
    """
    labels, scores = _arrays(labels, scores)
    n_spam = int(labels.sum())
    n_ham = len(labels) - n_spam
    if not n_spam or not n_ham:
        return None
    mann_whitney_u = float(_midranks(scores)[labels].sum()) - n_spam * (n_spam + 1) / 2
    return mann_whitney_u / (n_spam * n_ham)


def one_minus_roca_pct(labels: Bools, scores: Floats) -> Figure | None:
    """Return (1-ROCA)% with DeLong's interval on the logit scale, which keeps the interval within 0 to 100.

    The variance is DeLong's, in its O(n log n) form with midranks (Sun & Xu 2014). If the variance is 0 (none or all of
    the pairs are ranked wrong, or all scores are equal) or a class has only one message, the interval is Newcombe's
    (2006, part 2, method 5).
    """
    labels, scores = _arrays(labels, scores)
    area = roca(labels, scores)
    if area is None:
        return None
    spam, ham = scores[labels], scores[~labels]
    error = 1 - area
    variance = _delong_variance(spam, ham) if min(len(spam), len(ham)) > 1 else 0.0
    if variance <= 0 or not 0 < error < 1:
        low, high = (_newcombe_bound(error, end, len(spam), len(ham)) for end in (0.0, 1.0))
    else:
        centre, half = math.log(error / area), Z95 * math.sqrt(variance) / (error * area)
        low, high = logistic(centre - half), logistic(centre + half)
    return Figure(100 * error, 100 * low, 100 * high)


def _delong_variance(spam: Floats, ham: Floats) -> float:
    """Return DeLong's variance of the area under the ROC curve.

    Each message has a share of correctly ranked pairs. The result is the sum, over both classes, of the variance of
    this share divided by the number of messages.
    """
    ranks = _midranks(np.concatenate([spam, ham]))
    above_ham = (ranks[: len(spam)] - _midranks(spam)) / len(ham)
    below_spam = 1 - (ranks[len(spam) :] - _midranks(ham)) / len(spam)
    return float(above_ham.var(ddof=1) / len(spam) + below_spam.var(ddof=1) / len(ham))


def _newcombe_bound(error: float, end: float, n_spam: int, n_ham: int) -> float:
    """Return the value from `error` to `end` (0 or 1) with a 95 % range that just includes `error`, by bisection."""
    inside, outside = error, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(middle - error) <= Z95 * math.sqrt(_hanley_variance(middle, n_spam, n_ham)):
            inside = middle
        else:
            outside = middle
    return inside


def _hanley_variance(area: float, n_spam: int, n_ham: int) -> float:
    """Return Hanley & McNeil's variance (1982), symmetric in area and 1 - area.

    The symmetry comes from using half of all messages as the number of messages in each class.
    """
    others = (n_spam + n_ham) / 2 - 1
    spread = 1 + others * (1 - area) / (2 - area) + others * area / (1 + area)
    return area * (1 - area) * spread / (n_spam * n_ham)


def _midranks(values: Floats) -> Floats:
    """Return the ranks, from 1. Equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse.reshape(-1)], dtype=np.float64)


def threshold_at_hm(labels: Bools, scores: Floats, hm_pct: float) -> float | None:
    """Return the lowest threshold that loses at most `hm_pct` % of the ham.

    Only a message that scores *above* the threshold is classified as spam. The threshold is the score of a ham, so a
    spam with the same score is missed. With a threshold just below this score, all ham with this score would be lost
    too. Return None without ham, and -inf if all ham may be lost.
    """
    labels, scores = _arrays(labels, scores)
    ham = np.sort(scores[~labels])
    return _threshold(ham, hm_pct) if len(ham) else None


def _threshold(sorted_ham: Floats, hm_pct: float) -> float:
    # The added term makes 0.1 % of 1,000 messages exactly one, because binary products may be slightly below 1.
    allowed = math.floor(hm_pct * len(sorted_ham) / 100 + 1e-9)
    return float(sorted_ham[-1 - allowed]) if allowed < len(sorted_ham) else -math.inf


def sm_at_hm(labels: Bools, scores: Floats, hm_pct: float) -> float | None:
    """Return the percentage of spam that is missed at `threshold_at_hm`.

    With fewer than 100 / hm_pct ham messages no ham is lost at that threshold.
    """
    labels, scores = _arrays(labels, scores)
    threshold = threshold_at_hm(labels, scores, hm_pct)
    if threshold is None or not labels.any():
        return None
    return 100 * float(np.mean(scores[labels] <= threshold))


def sm_at_hm_pct(labels: Bools, scores: Floats, hm_pct: float) -> Figure | None:
    """Return `sm_at_hm` with a percentile bootstrap interval over both classes.

    The threshold is an estimate too, so both classes are resampled. Each of the 400 resamples takes O(log n) time and
    draws only two numbers: the rank of the ham that sets the threshold (an order statistic, by a beta variate) and the
    share of spam missed (Jeffreys' posterior, so that 0 % and 100 % also have an interval).
    """
    value = sm_at_hm(labels, scores, hm_pct)
    if value is None:
        return None
    labels, scores = _arrays(labels, scores)
    ham, spam = np.sort(scores[~labels]), np.sort(scores[labels])
    allowed = math.floor(hm_pct * len(ham) / 100 + 1e-9)
    if allowed >= len(ham):
        return Figure(value, value, value)
    random = np.random.default_rng(0)
    # The k-th largest of n samples with replacement, where k is allowed + 1, is the ham at the quantile
    # Beta(n - allowed, allowed + 1).
    quantile = random.beta(len(ham) - allowed, allowed + 1, RESAMPLES)
    thresholds = ham[np.minimum((quantile * len(ham)).astype(np.int64), len(ham) - 1)]
    missed = np.searchsorted(spam, thresholds, side="right")
    resampled = 100 * random.beta(missed + 0.5, len(spam) - missed + 0.5)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Figure(value, min(float(low), value), max(float(high), value))


def roc_points(labels: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """Return the shares of ham lost and of spam missed at each distinct threshold, from the highest to the lowest."""
    labels, scores = _arrays(labels, scores)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf) != 0)
    spam = np.cumsum(labels[order])[ends]
    ham = ends + 1 - spam
    n_spam = max(int(labels.sum()), 1)
    n_ham = max(len(labels) - int(labels.sum()), 1)
    return np.concatenate([[0.0], ham / n_ham]), np.concatenate([[1.0], 1 - spam / n_spam])


# --- probabilities --------------------------------------------------------------------------------------------------


def calibration_bins(labels: Bools, probabilities: Floats) -> list[Bin]:
    """Sort the messages by probability and divide them into at most CALIBRATION_BINS bins of equal count.

    Each message counts with the mean outcome of all messages with the same probability. The order of messages with the
    same probability therefore has no effect, even if they are in two bins.
    """
    labels, probabilities = _arrays(labels, probabilities)
    observed = _mean_outcome(labels, probabilities)
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(CALIBRATION_BINS, len(order))) if len(order) else []
    return [Bin(float(probabilities[part].mean()), float(observed[part].mean()), len(part)) for part in parts]


def _mean_outcome(labels: Bools, probabilities: Floats) -> Floats:
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    return np.asarray((np.bincount(inverse, weights=labels) / counts)[inverse], dtype=np.float64)


def calibration_error(labels: Bools, probabilities: Floats) -> Figure | None:
    """Return the expected calibration error from 0 to 1: the mean of |predicted - observed| over bins of equal count.

    For the interval, the share of spam of each bin is sampled 400 times from Jeffreys' posterior (fixed seed), with
    bins and probabilities fixed. Sampling increases the error. The interval is therefore lowered by the mean increase.
    """
    parts = calibration_bins(labels, probabilities)
    if not parts:
        return None
    counts = np.array([part.count for part in parts])
    predicted = np.array([part.predicted for part in parts])
    observed = np.clip([part.observed for part in parts], 0.0, 1.0)
    weights = counts / counts.sum()
    value = float(np.sum(weights * np.abs(predicted - observed)))
    resampled = np.random.default_rng(0).beta(
        observed * counts + 0.5, (1 - observed) * counts + 0.5, (RESAMPLES, len(parts))
    )
    errors = np.abs(resampled - predicted) @ weights
    low, high = np.percentile(errors, [2.5, 97.5]) - (float(errors.mean()) - value)
    return Figure(value, min(max(float(low), 0.0), value), max(min(float(high), 1.0), value))


def _arrays(labels: Bools, scores: Floats) -> tuple[Bools, Floats]:
    """Return the labels and the scores as arrays.

    Raises ValueError if their lengths differ, or if a score is NaN, which would have an arbitrary rank.
    """
    labels, scores = np.asarray(labels, dtype=np.bool_), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must be vectors of one length")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    return labels, scores
