"""Calibration: from logits to probabilities that hold for mail of other sources, and the thresholds of the verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Costs, Thresholds
from spamlstm.evaluation.metrics import threshold_at_hm
from spamlstm.model.policy import Calibration
from spamlstm.verdict import logistic

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Of a left-out source with at least FEWEST ham messages, at most this share of the ham may be judged spam.
MOST_LOST_PCT = 1.0
FEWEST = 90
TAIL = 0.05
"""The share of the ham with the highest logits, to which an exponential distribution is fitted."""
HIGHEST = 0.9999
"""The highest threshold: one that no message reaches would switch the filter off."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Logits of messages from sources that the network was not trained on: aligned arrays."""

    source: NDArray[np.str_]
    spam: Bools
    logits: Floats


def join(parts: Sequence[LeftOut]) -> LeftOut:
    """Concatenate several."""
    return LeftOut(
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.spam for part in parts]),
        np.concatenate([part.logits for part in parts]),
    )


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
        probability = _logistic(scale * left.logits + shift)
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


def _logistic(score: Floats) -> Floats:
    probability: Floats = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
    return probability


def thresholds(left: LeftOut, calibration: Calibration, costs: Costs) -> Thresholds:
    """Return the thresholds with the lowest cost on the left-out mail.

    They are found by counting errors, not from the probabilities: logits crowd at both ends, where Platt scaling cannot
    tell 98 % from 99.9 %. Lost ham is too rare to count, so its share is computed from the tail of the ham (see
    `_cheapest_above_ham`). The spam threshold is then raised, to HIGHEST at most, until each source with enough ham
    loses at most MOST_LOST_PCT of it.
    """
    weight = _weights(left)
    lower = _cheapest(-left.logits, ~left.spam, weight, mistake=costs.false_negative, unsure=costs.unsure)
    upper = _cheapest_above_ham(left, weight, costs)
    ham, spam = (logistic(calibration.score(logit)) for logit in (-lower, upper))
    for source in np.unique(left.source):
        members = left.source == source
        if np.count_nonzero(members & ~left.spam) < FEWEST:
            continue
        kept = threshold_at_hm(left.spam[members], left.logits[members], MOST_LOST_PCT)
        if kept is not None:
            # `kept` is the logit of a ham message that must not be lost; a message at the threshold is spam.
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


def _cheapest_above_ham(left: LeftOut, weight: Floats, costs: Costs) -> float:
    """Return the logit from which deciding for spam costs least, if the highest logits of ham are exponential.

    The share of ham above a logit t is TAIL · exp(-(t - u) / b) (Pickands 1975, with shape 0). u is the logit that a
    share TAIL of the ham exceeds, and b is the mean excess over u of that ham. Counting instead would let one message
    of a small source move the threshold by 1. If no decision pays, the result is above all logits.
    """
    nothing = math.nextafter(float(left.logits.max()), math.inf)
    ham, spam = (np.flatnonzero(members)[np.argsort(-left.logits[members])] for members in (~left.spam, left.spam))
    if not len(ham) or not len(spam):
        return _cheapest(left.logits, left.spam, weight, mistake=costs.false_positive, unsure=costs.unsure)
    tail = ham[: np.searchsorted(np.cumsum(weight[ham]), TAIL) + 1]
    start = float(left.logits[tail[-1]])
    share = float(weight[tail].sum())
    excess = float(weight[tail] @ (left.logits[tail] - start)) / share
    candidates = left.logits[spam][left.logits[spam] > start]
    caught = np.cumsum(weight[spam])[: len(candidates)]
    lost = share * np.exp(-(candidates - start) / max(excess, 1e-6))
    cost = costs.false_positive * lost - costs.unsure * caught
    return float(candidates[np.argmin(cost)]) if len(cost) and cost.min() < 0 else nothing


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
