"""The logistic function and its inverse, which convert between log-odds (in nats) and probabilities."""

import math


def logistic(log_odds: float) -> float:
    """Return the probability for the given log-odds. Very large or small log-odds do not overflow."""
    return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))


def logit(probability: float) -> float:
    """Return the log-odds of a probability. The result is -inf for 0 and below, and inf for 1 and above."""
    if 0.0 < probability < 1.0:
        return math.log(probability) - math.log1p(-probability)
    return math.inf if probability >= 1.0 else -math.inf
