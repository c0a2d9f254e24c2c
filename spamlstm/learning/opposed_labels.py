"""Labels that are the opposite of the verdict of the model in use. If there are many, the labels are probably wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from spamlstm.learning.snapshot import LabelledMail
from spamlstm.verdict import Verdict

MOST_AGAINST_PCT = 15
"""The largest percentage of labels that may contradict a verdict of the model in use, ham or spam, without labels."""


@dataclass(frozen=True, slots=True)
class OpposedLabel:
    """A label that is the opposite of the verdict of the model in use without labels.

    `id` is the content id of the message, `label` is ham or spam, and `score` is the score without labels.
    """

    id: str
    label: str
    score: float
    folder: str = ""
    """A folder in which the message is. "" if it is not known."""


def opposed_labels(
    labelled: Sequence[LabelledMail], verdicts: Sequence[Verdict], scores: Sequence[float]
) -> list[OpposedLabel]:
    """Return the labels that are the opposite of the verdict, the label with the most certain score first."""
    opposite = {True: Verdict.HAM, False: Verdict.SPAM}
    found = [
        OpposedLabel(one.content, one.label.value, round(score, 4))
        for one, verdict, score in zip(labelled, verdicts, scores, strict=True)
        if verdict is opposite[one.spam]
    ]
    return sorted(found, key=lambda one: -abs(one.score))


def objection_to_labels(opposed: Sequence[OpposedLabel], count: int) -> str:
    """Return the reason not to train if too many of `count` labels are opposed, or ''.

    Held-out labels do not show wrong labels if they are wrong in the same way.
    """
    if len(opposed) <= MOST_AGAINST_PCT / 100 * count:
        return ""
    return (
        f"{len(opposed):,} of {count:,} labels are the opposite of the verdict of the model in use without labels, so"
        " they are probably wrong"
    )
