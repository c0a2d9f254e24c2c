"""From logits to probabilities that hold on mail of another source, and the bars between the verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Costs, Thresholds
from spamlstm.evaluation.metrics import threshold_at_hm
from spamlstm.model.bundle import Calibration

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Of any source with at least FEWEST ham messages, no more than this share may be judged spam when it was left out.
MOST_LOST_PCT = 1.0
FEWEST = 90
HIGHEST = 0.9999


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How a network judged sources that it never saw: aligned arrays."""

    source: NDArray[np.str_]
    spam: Bools
    logits: Floats


def join(parts: Sequence[LeftOut]) -> LeftOut:
    """Several left-out judgements as one."""
    return LeftOut(
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.spam for part in parts]),
        np.concatenate([part.logits for part in parts]),
    )


def calibrate(left: LeftOut) -> Calibration:
    """Platt scaling (Platt 1999) by Newton's method; sources count by the root of their size, the classes alike.

    With his targets (one message more of each class than there is), so that logits which part the classes without a
    mistake do not ask for an infinite scale, and steps halved until they help (Lin, Lin & Weng 2007). Of one class
    alone nothing can be learned: the logits stay as they are.
    """
    if left.spam.all() or not left.spam.any():
        return Calibration(scale=1.0, shift=0.0)
    weight = _weights(left)
    doubt = np.where(left.spam, 1 / (np.count_nonzero(left.spam) + 2), 1 / (np.count_nonzero(~left.spam) + 2))
    target = np.where(left.spam, 1 - doubt, doubt)
    scale, shift = 1.0, 0.0
    for _ in range(100):
        chance = _logistic(scale * left.logits + shift)
        slack = weight * (chance - target)
        gradient = np.array([slack @ left.logits, slack.sum()])
        curve = weight * chance * (1 - chance)
        cross = curve @ left.logits
        hessian = np.array([[curve @ left.logits**2, cross], [cross, curve.sum()]]) + 1e-9 * np.eye(2)
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
    chance: Floats = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
    return chance


def thresholds(left: LeftOut, calibration: Calibration, costs: Costs) -> Thresholds:
    """The bars that cost least on the left-out mail itself, the upper raised until no source loses too much of its ham.

    They are found by counting, not from the probabilities: the network's logits are crowded at both ends, where two
    numbers of Platt's cannot tell 98 % from 99.9 %. The upper bar is raised until the worst source loses at most
    MOST_LOST_PCT, but to HIGHEST at most: a bar that nothing reaches would be no filter.
    """
    weight = _weights(left)
    lower = _bar(-left.logits, ~left.spam, weight, mistake=costs.false_negative, unsure=costs.unsure)
    upper = _bar(left.logits, left.spam, weight, mistake=costs.false_positive, unsure=costs.unsure)
    ham, spam = (calibration.probability(calibration.score(logit)) for logit in (-lower, upper))
    for source in np.unique(left.source):
        mine = left.source == source
        if np.count_nonzero(mine & ~left.spam) < FEWEST:
            continue
        kept = threshold_at_hm(left.spam[mine], left.logits[mine], MOST_LOST_PCT)
        if kept is not None:
            # That is the logit of a ham that must be kept, and the bar itself is spam already.
            spam = max(spam, math.nextafter(calibration.probability(calibration.score(kept)), 1.0))
    return Thresholds(ham=min(ham, spam, HIGHEST), spam=min(spam, HIGHEST))


def _bar(logits: Floats, right: Bools, weight: Floats, *, mistake: float, unsure: float) -> float:
    """The logit from which on it costs least to decide: each message beyond saves `unsure`, a wrong one is a `mistake`.

    Where nothing is worth deciding, a bar beyond all.
    """
    order = np.argsort(-logits, kind="stable")
    change = np.where(right, -unsure, mistake - unsure)[order] * weight[order]
    total = np.cumsum(change)
    # Messages of one logit are decided alike, so only the last of them is a place to stop.
    ends = np.append(np.diff(logits[order]) != 0, True)
    best = int(np.argmin(np.where(ends, total, np.inf)))
    return float(logits[order][best]) if total[best] < 0 else math.nextafter(float(logits.max()), math.inf)


def _weights(left: LeftOut) -> Floats:
    weight = np.zeros(len(left.logits))
    for label in (False, True):
        sources = np.unique(left.source[left.spam == label])
        for source in sources:
            mine = (left.spam == label) & (left.source == source)
            # By the root of its size: a source of a hundred messages must not outvote one of ten thousand.
            weight[mine] = 1 / np.sqrt(np.count_nonzero(mine))
        if len(sources):
            weight[left.spam == label] /= weight[left.spam == label].sum()
    return weight
