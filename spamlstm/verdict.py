"""What the policy decides about one message, kept apart from what the model said of it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three answers. Unsure is an answer: mail that cannot be judged is never guessed at."""

    HAM = "ham"
    UNSURE = "unsure"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its evidence.

    `score` is the calibrated log-odds of spam in nats (0 is even odds) and `probability` its logistic; both are
    None when the model was not asked. `reason` is one of the names in `spamlstm.model.policy`. `defects` lists what
    was wrong with the message itself.
    """

    verdict: Verdict
    probability: float | None
    score: float | None
    reason: str
    model: str
    defects: tuple[str, ...] = ()
