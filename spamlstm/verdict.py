"""The decision of the policy about one message, kept apart from the score of the model."""

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
