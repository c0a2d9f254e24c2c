"""Calibration: from logits to probabilities that hold for mail of other sources, and the thresholds of the verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Costs, Thresholds
from spamlstm.model.policy import Calibration
from spamlstm.verdict import logistic

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Of a left-out source with at least FEWEST ham messages, at most this share of the ham, or one message, may be
# classified as spam.
MOST_LOST_PCT = 1.0
FEWEST = 90
TAIL = 0.05
"""The share of the ham with the highest logits, to which an exponential distribution is fitted (see `_Tail`)."""
WEAK = ("lists",)
"""Sources whose spam is labelled by a rule and includes some ham. This spam does not count for the ham threshold."""
HIGHEST = 0.9999
"""The highest threshold: one that no message reaches would switch the filter off."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Logits of messages from sources that the network was not trained on: aligned arrays.

    `group` numbers the groups of near-duplicates, and `mislabelled` marks labels that are known to be wrong.
    """

    source: NDArray[np.str_]
    spam: Bools
    logits: Floats
    group: NDArray[np.int64]
    mislabelled: Bools

    def __getitem__(self, chosen: NDArray[np.int64] | Bools) -> "LeftOut":
        return LeftOut(*(getattr(self, one.name)[chosen] for one in fields(self)))


def join(parts: Sequence[LeftOut]) -> LeftOut:
    """Concatenate several."""
    return LeftOut(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(LeftOut)))


def distinct(left: LeftOut) -> LeftOut:
    """Return the messages that a calibration counts: the first of each class in each group, none that is mislabelled.

    A newsletter that two archives share, or a campaign, would otherwise count as often as there are copies.
    """
    right = left[~left.mislabelled]
    _, first = np.unique(np.stack([right.group, right.spam]), axis=1, return_index=True)
    return right[np.sort(first)]


def calibrate(left: LeftOut) -> Calibration:
    """Fit scale and shift of the logits by Platt scaling (Platt 1999), with the weights of `_weights`.

    The targets are Platt's (as if each class had one message more), so that logits which separate the classes without
    an error do not lead to an infinite scale. Newton steps are halved until they help (Lin, Lin & Weng 2007). With one
    class only, the result is the identity.
    """
    if left.spam.all() or not left.spam.any():
        return Calibration(scale=1.0, shift=0.0)
    weight = _weights(left)
    margin = np.where(left.spam, 1 / (np.count_nonzero(left.spam) + 2), 1 / (np.count_nonzero(~left.spam) + 2))
    target = np.where(left.spam, 1 - margin, margin)
    scale, shift = 1.0, 0.0
    for _ in range(100):
        probability = probabilities(left.logits, Calibration(scale, shift))
        residual = weight * (probability - target)
        gradient = np.array([residual @ left.logits, residual.sum()])
        curvature = weight * probability * (1 - probability)
        cross = curvature @ left.logits
        hessian = np.array([[curvature @ left.logits**2, cross], [cross, curvature.sum()]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        before = _loss(left, weight, target, (scale, shift))
        while np.abs(step).max() > 1e-9 and _loss(left, weight, target, (scale - step[0], shift - step[1])) > before:
            step /= 2
        scale, shift = scale - step[0], shift - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(scale=max(float(scale), 1e-3), shift=float(shift))


def _loss(left: LeftOut, weight: Floats, target: Floats, line: tuple[float, float]) -> float:
    score = line[0] * left.logits + line[1]
    return float(weight @ (np.logaddexp(0, score) - target * score))


def probabilities(logits: Floats, calibration: Calibration) -> Floats:
    """Return the calibrated probability of spam for each logit."""
    probability: Floats = 1 / (1 + np.exp(-np.clip(calibration.scale * logits + calibration.shift, -50, 50)))
    return probability


def thresholds(left: LeftOut, calibration: Calibration, costs: Costs) -> Thresholds:
    """Return the thresholds with the lowest cost on the left-out mail.

    They are found by counting errors, not from the probabilities: logits crowd at both ends, where Platt scaling cannot
    tell 98 % from 99.9 %. Lost ham is too rare to count, so its share is that of a fitted tail. The spam threshold is
    then raised, to HIGHEST at most, until each source with enough ham loses at most MOST_LOST_PCT of it, or one
    message. For the ham threshold the spam of WEAK sources does not count.
    """
    weight = _weights(left)
    lower = _cheapest_below_spam(left, costs)
    upper = _cheapest_above_ham(left, weight, costs)
    ham, spam = (logistic(calibration.score(logit)) for logit in (-lower, upper))
    for source in np.unique(left.source):
        members = left.source == source
        if np.count_nonzero(members & ~left.spam) < FEWEST:
            continue
        logits = np.sort(left.logits[members & ~left.spam])[::-1]
        kept = float(logits[max(int(len(logits) * MOST_LOST_PCT / 100), 1)])
        # A message at the threshold is spam.
        spam = max(spam, math.nextafter(logistic(calibration.score(kept)), 1.0))
    return Thresholds(ham=min(ham, spam, HIGHEST), spam=min(spam, HIGHEST))


def _cheapest(logits: Floats, right: Bools, weight: Floats, *, mistake: float, unsure: float) -> float:
    """Return the logit from which deciding costs least: a right decision saves `unsure`, a wrong one costs `mistake`.

    If no decision pays, the result is above all logits.
    """
    order = np.argsort(-logits, kind="stable")
    change = np.where(right, -unsure, mistake - unsure)[order] * weight[order]
    total = np.cumsum(change)
    # Messages with equal logits are decided alike, so the threshold can only follow the last of them.
    ends = np.append(np.diff(logits[order]) != 0, True)
    best = int(np.argmin(np.where(ends, total, np.inf)))
    return float(logits[order][best]) if total[best] < 0 else math.nextafter(float(logits.max()), math.inf)


@dataclass(frozen=True, slots=True)
class _Tail:
    """An exponential distribution of the highest logits of ham (Pickands 1975, with shape 0).

    The share of the ham above a logit t >= `start` is `share` · exp(-(t - start) / `excess`). Counting would let one
    message of a small source move a threshold by 1.
    """

    start: float
    share: float
    excess: float

    @classmethod
    def of(cls, logits: Floats, weight: Floats) -> "_Tail":
        """Fit the highest TAIL of the weight. The mean excess over the start is the estimate of maximum likelihood."""
        order = np.argsort(-logits)
        tail = order[: np.searchsorted(np.cumsum(weight[order]), TAIL * weight.sum()) + 1]
        start, share = float(logits[tail[-1]]), float(weight[tail].sum())
        excess = float(weight[tail] @ (logits[tail] - start)) / share
        return cls(start, share / float(weight.sum()), max(excess, 1e-6))

    def above(self, logits: Floats) -> Floats:
        """Return the share of the ham above each of `logits`."""
        lost: Floats = self.share * np.exp(-(logits - self.start) / self.excess)
        return lost


def _cheapest_above_ham(left: LeftOut, weight: Floats, costs: Costs) -> float:
    """Return the logit from which deciding for spam costs least. If no decision pays, it is above all logits."""
    ham, spam = ~left.spam, left.spam
    if not ham.any() or not spam.any():
        return _cheapest(left.logits, left.spam, weight, mistake=costs.false_positive, unsure=costs.unsure)
    tail = _Tail.of(left.logits[ham], weight[ham])
    order = np.argsort(-left.logits[spam])
    candidates, caught = left.logits[spam][order], np.cumsum(weight[spam][order])
    candidates, caught = candidates[candidates > tail.start], caught[candidates > tail.start]
    cost = costs.false_positive * tail.above(candidates) - costs.unsure * caught
    if not len(cost) or cost.min() >= 0:
        return math.nextafter(float(left.logits.max()), math.inf)
    return float(candidates[np.argmin(cost)])


def _cheapest_below_spam(left: LeftOut, costs: Costs) -> float:
    """Return the negated logit up to which deciding for ham costs least, below all logits if none pays."""
    sure = ~(left.spam & np.isin(left.source, WEAK))
    if not (left.spam & sure).any():
        sure[:] = True
    known = left[sure]
    return _cheapest(-known.logits, ~known.spam, _weights(known), mistake=costs.false_negative, unsure=costs.unsure)


def _weights(left: LeftOut) -> Floats:
    """Return the weight of each message: each class sums to 1, a source weighs the square root of its size in it."""
    weight = np.zeros(len(left.logits))
    for label in (False, True):
        sources = np.unique(left.source[left.spam == label])
        for source in sources:
            members = (left.spam == label) & (left.source == source)
            weight[members] = 1 / np.sqrt(np.count_nonzero(members))
        if len(sources):
            weight[left.spam == label] /= weight[left.spam == label].sum()
    return weight
