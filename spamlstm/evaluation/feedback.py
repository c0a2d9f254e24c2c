"""Of which messages of a stream the true label is told, and when: the tasks of the TREC spam track."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Self, TypeVar

from spamlstm.errors import UserError
from spamlstm.verdict import Verdict

# An active learner asks where it is less sure than this, in log-odds: between 5 % and 95 %.
ASK_WITHIN = 3.0

T = TypeVar("T")


class FeedbackKind(StrEnum):
    """The tasks; those with a number are written with it, such as `first:10000`."""

    IMMEDIATE = "immediate"
    """Each label is told when its message has been judged."""

    FIRST = "first"
    """So are the first N, and then none."""

    EACH = "each"
    """So are the first N of ham and the first N of spam, and then none."""

    DELAYED = "delayed"
    """Each label is told when N more messages have been judged."""

    ACTIVE = "active"
    """The filter asks, of messages that it is unsure about, and gets N answers."""

    MISTAKES = "mistakes"
    """A user moves the ham out of the junk folder and the spam into it, and says nothing about the rest."""

    ERRORS = "errors"
    """Train on error: told is each label that the verdict was not, so that of all unsure mail too; the first N."""

    EACH_THEN_MISTAKES = "each-then-mistakes"
    """The first N of ham and the first N of spam are told, then mistakes: who knows no ham judges none."""


_WITHOUT_NUMBER = (FeedbackKind.IMMEDIATE, FeedbackKind.MISTAKES)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One task."""

    kind: FeedbackKind = FeedbackKind.IMMEDIATE
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From how it is written; a UserError names the forms that there are."""
        match = re.fullmatch(r"([a-z-]+)(?::([\d_]+))?", text)
        if (
            match
            and match[1] in tuple(FeedbackKind)
            and (FeedbackKind(match[1]) in _WITHOUT_NUMBER) is (match[2] is None)
        ):
            return cls(FeedbackKind(match[1]), int(match[2] or 0))
        forms = ", ".join(kind if kind in _WITHOUT_NUMBER else f"{kind}:N" for kind in FeedbackKind)
        raise UserError(f"'{text}' is no feedback; say one of {forms}")

    @property
    def ends(self) -> bool:
        """Whether from some message on nothing is told, so that the figures are of those."""
        return self.kind in (FeedbackKind.FIRST, FeedbackKind.EACH)

    def __str__(self) -> str:
        return str(self.kind) if self.kind in _WITHOUT_NUMBER else f"{self.kind}:{self.number}"


class Teacher(Generic[T]):
    """Follows one stream and says what is to be learned after each message."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._seen = 0
        self._waiting: deque[T] = deque()
        self._of = {True: 0, False: 0}
        self.labelled = 0

    def after(self, message: T, *, spam: bool, verdict: Verdict, score: float) -> Iterator[T]:
        """The messages whose labels are told now, after this one was judged so."""
        self._seen += 1
        number = self._feedback.number
        self._of[spam] += 1
        mistaken = (verdict is Verdict.SPAM) is not spam
        match self._feedback.kind:
            case FeedbackKind.DELAYED:
                self._waiting.append(message)
                labelled = [self._waiting.popleft()] if len(self._waiting) > number else []
            case FeedbackKind.FIRST:
                labelled = [message] if self._seen <= number else []
            case FeedbackKind.EACH:
                labelled = [message] if self._of[spam] <= number else []
            case FeedbackKind.ACTIVE:
                labelled = [message] if self.labelled < number and abs(score) < ASK_WITHIN else []
            case FeedbackKind.MISTAKES:
                labelled = [message] if mistaken else []
            case FeedbackKind.ERRORS:
                labelled = [message] if self.labelled < number and (mistaken or verdict is Verdict.UNSURE) else []
            case FeedbackKind.EACH_THEN_MISTAKES:
                labelled = [message] if mistaken or self._of[spam] <= number else []
            case FeedbackKind.IMMEDIATE:
                labelled = [message]
        self.labelled += len(labelled)
        yield from labelled
