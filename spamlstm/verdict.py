"""Scores in log-odds, probabilities, and the verdict of the policy on one message."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three verdicts. A message that cannot be judged is unsure, never guessed."""

    HAM = "ham"
    UNSURE = "unsure"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its evidence.

    `score` is the calibrated log-odds of spam in nats (0 means even odds), and `probability` is its logistic. Both are
    None if the model was not used. `reason` is a name in `spamlstm.model.policy`. `defects` lists what is wrong with
    the message itself.
    """

    verdict: Verdict
    probability: float | None
    score: float | None
    reason: str
    model: str
    defects: tuple[str, ...] = ()


def logistic(log_odds: float) -> float:
    """Return the probability with these log-odds, without overflow at either end."""
    return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))


def logit(probability: float) -> float:
    """Return the log-odds of a probability: -inf at 0 and below, inf at 1 and above."""
    if 0.0 < probability < 1.0:
        return math.log(probability) - math.log1p(-probability)
    return math.inf if probability >= 1.0 else -math.inf
