"""The verdict on a message, and conversions between log-odds and probabilities."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three verdicts. A message that cannot be scored is unsure."""

    HAM = "ham"
    UNSURE = "unsure"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the values from which the policy derived it.

    `score` is the calibrated log-odds of spam in nats (0 means even odds). `probability` is the logistic function of
    `score`. Both `score` and `probability` are None if the model was not used. `reason` is a value of
    `spamlstm.model.policy.Reason`. `model` is the model identifier. `defects` lists the faults found in the message.
    """

    verdict: Verdict
    probability: float | None
    score: float | None
    reason: str
    model: str
    defects: tuple[str, ...] = ()


def logistic(log_odds: float) -> float:
    """Return the probability for `log_odds`. Large values do not overflow."""
    return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))


def logit(probability: float) -> float:
    """Return the log-odds of `probability`: -inf for values up to 0, inf for values from 1."""
    if 0.0 < probability < 1.0:
        return math.log(probability) - math.log1p(-probability)
    return math.inf if probability >= 1.0 else -math.inf
