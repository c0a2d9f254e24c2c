"""The TREC protocol: each message of a stream is classified, then its label is learned if the feedback provides it.

Feedback decides which labels the filter gets, and when. The kinds of feedback are the tasks of the TREC spam track.
"""

import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError, UserError
from spamlstm.evaluation import evaluate, metrics, plots
from spamlstm.evaluation.evaluate import Columns, Evaluation, Key, Outcomes, Progress, keyed
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict
from spamlstm.wording import counted

POINTS = 40  # the number of points of a learning curve
# An active learner asks for the labels of messages with scores, in log-odds, between -ASK_WITHIN and ASK_WITHIN. The
# probabilities of these messages are from 5 % to 95 %.
ASK_WITHIN = 3.0

T = TypeVar("T")


class FeedbackKind(StrEnum):
    """The kinds of feedback (tasks). Kinds with a number N are written with the number, such as `first:10000`."""

    IMMEDIATE = "immediate"
    """Each label, after its message is classified."""

    FIRST = "first"
    """The first N labels."""

    EACH = "each"
    """The first N labels of ham and the first N labels of spam."""

    DELAYED = "delayed"
    """Each label, after N more messages are classified."""

    ACTIVE = "active"
    """The first N labels of messages with uncertain scores (between -ASK_WITHIN and ASK_WITHIN)."""

    MISTAKES = "mistakes"
    """The labels of ham classified as spam and of spam not classified as spam.

    A user would move such ham out of the junk folder and such spam into it.
    """

    ERRORS = "errors"
    """The first N labels that differ from the verdict, including all unsure mail (train on error)."""

    EACH_THEN_MISTAKES = "each-then-mistakes"
    """The first N labels of ham and the first N labels of spam, then the labels of mistakes."""


_WITHOUT_NUMBER = (FeedbackKind.IMMEDIATE, FeedbackKind.MISTAKES)


@dataclass(frozen=True, slots=True)
class Feedback:
    """The feedback of one run: its kind and its number N, if it has one."""

    kind: FeedbackKind = FeedbackKind.IMMEDIATE
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the feedback that `text` describes, in the form that `str` produces, such as `first:10000`.

        Raises UserError if `text` is not feedback in this form. The error lists all forms.
        """
        match = re.fullmatch(r"([a-z-]+)(?::([\d_]+))?", text)
        if (
            match
            and match[1] in tuple(FeedbackKind)
            and (FeedbackKind(match[1]) in _WITHOUT_NUMBER) is (match[2] is None)
        ):
            return cls(FeedbackKind(match[1]), int(match[2] or 0))
        forms = ", ".join(kind if kind in _WITHOUT_NUMBER else f"{kind}:N" for kind in FeedbackKind)
        raise UserError(f"'{text}' is not a kind of feedback; use one of {forms}")

    @property
    def ends(self) -> bool:
        """Return whether only the beginning of the stream is labelled. Only the rest is then evaluated."""
        return self.kind in (FeedbackKind.FIRST, FeedbackKind.EACH)

    def __str__(self) -> str:
        return str(self.kind) if self.kind in _WITHOUT_NUMBER else f"{self.kind}:{self.number}"


class Teacher(Generic[T]):
    """A simulated user, who decides after each message of one stream which labels the filter learns.

    `labelled` is the number of labels so far.
    """

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._judged = 0
        self._waiting: deque[T] = deque()
        self._judged_of = {True: 0, False: 0}
        self.labelled = 0

    def after(self, message: T, *, spam: bool, verdict: Verdict, score: float) -> Iterator[T]:
        """Yield the messages whose labels are learned after `message` got this verdict and score."""
        self._judged += 1
        number = self._feedback.number
        self._judged_of[spam] += 1
        mistaken = (verdict is Verdict.SPAM) is not spam
        match self._feedback.kind:
            case FeedbackKind.DELAYED:
                self._waiting.append(message)
                labelled = [self._waiting.popleft()] if len(self._waiting) > number else []
            case FeedbackKind.FIRST:
                labelled = [message] if self._judged <= number else []
            case FeedbackKind.EACH:
                labelled = [message] if self._judged_of[spam] <= number else []
            case FeedbackKind.ACTIVE:
                labelled = [message] if self.labelled < number and abs(score) < ASK_WITHIN else []
            case FeedbackKind.MISTAKES:
                labelled = [message] if mistaken else []
            case FeedbackKind.ERRORS:
                labelled = [message] if self.labelled < number and (mistaken or verdict is Verdict.UNSURE) else []
            case FeedbackKind.EACH_THEN_MISTAKES:
                labelled = [message] if mistaken or self._judged_of[spam] <= number else []
            case FeedbackKind.IMMEDIATE:
                labelled = [message]
        self.labelled += len(labelled)
        yield from labelled


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the learning curve, with the figures from the beginning of the stream to this point."""

    messages: int
    labelled: int
    one_minus_roca_pct: float | None


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """The result for one stream: the figures, the number of labels learned, and the learning curve."""

    feedback: Feedback
    labelled: int
    evaluation: Evaluation
    curve: tuple[CurvePoint, ...]

    def as_json(self) -> dict[str, object]:
        """Return the figures of the evaluation, the feedback, the number of labels learned and the learning curve."""
        return {
            "feedback": str(self.feedback),
            "labelled": self.labelled,
            **self.evaluation.as_json(),
            "curve": [asdict(point) for point in self.curve],
        }


class Follower:
    """A filter that classifies each message of a stream and then learns labels.

    Its personal layer, which learns the labels and corrects the scores of the model, is empty at first.
    """

    def __init__(self, classifier: Classifier, feedback: Feedback, *, names: tuple[str, ...] = ()) -> None:
        self._classifier, self._feedback, self._names = classifier, feedback, names
        self._layer = PersonalLayer()
        self._teacher = Teacher[Assessed[Key]](feedback)
        self._columns = Columns()
        self._labelled: list[int] = []

    def take(self, assessed: Assessed[Key]) -> None:
        """Classify the next message, and learn the labels that the feedback then provides."""
        key, columns = assessed.key, self._columns
        columns.add(key, self._classifier.judge(assessed, self._layer).judgement)
        verdict, score = evaluate.VERDICTS[columns.verdict[-1]], columns.score[-1]
        for labelled in self._teacher.after(assessed, spam=key.spam, verdict=verdict, score=score):
            if labelled.personal_features is not None:
                self._layer.learn(
                    labelled.personal_features,
                    prior=labelled.prior,
                    spam=labelled.key.spam,
                    sender=labelled.sender,
                )
        self._labelled.append(self._teacher.labelled)

    def end(self) -> ProtocolResult:
        """Return the result for all messages. If `feedback.ends`, evaluate only the messages after the last label.

        Raises DataError if there are no messages to evaluate.
        """
        outcomes, number = self._columns.close(), len(self._labelled)
        if not number:
            raise DataError(f"there is no mail in {', '.join(self._names) or 'the corpora'}")
        last = self._labelled.index(self._teacher.labelled) + 1 if self._feedback.ends else 0
        judged = np.arange(number) >= last
        if not judged.any():
            raise DataError(
                f"{self._feedback} labels all mail ({counted(number, 'message')}), so there is none to evaluate"
            )
        label = self._classifier.bundle.label
        evaluation = evaluate.evaluation_of(outcomes.of(judged), model=label, names=self._names)
        return ProtocolResult(
            self._feedback, self._teacher.labelled, evaluation, tuple(_curve(outcomes, self._labelled))
        )


def run_protocol(
    corpora: list[Path], feedback: Feedback, *, model: Path | None = None, progress: Progress = lambda _: None
) -> ProtocolResult:
    """Run the protocol on the mail of `corpora`, in order. The personal layer is empty at first.

    `model` is the path of the model, by default the model in use.
    """
    streams = [labelled_mail.read_labelled(path) for path in corpora]
    classifier = Classifier.open(model, personal_features=True)
    follower = Follower(classifier, feedback, names=tuple(str(path) for path in corpora))
    mail = (labelled for stream in streams for labelled in stream)
    for done, assessed in enumerate(classifier.assess_many(keyed(mail)), start=1):
        follower.take(assessed)
        progress(done)
    return follower.end()


def _curve(outcomes: Outcomes, labelled: list[int]) -> Iterator[CurvePoint]:
    """Yield points of the learning curve at numbers of messages that grow by equal factors."""
    ends = np.unique(np.geomspace(min(100, len(labelled)), len(labelled), POINTS).astype(int))
    for end in ends.tolist():
        area = metrics.roca(outcomes.spam[:end], outcomes.score[:end])
        yield CurvePoint(end, labelled[end - 1], None if area is None else round(100 * (1 - area), 6))


def picture(result: ProtocolResult) -> str:
    """Return the learning curve as an SVG file: (1-ROCA)% of all mail so far against the number of messages."""
    known = [point for point in result.curve if point.one_minus_roca_pct is not None]
    most = max([1000, *(point.messages for point in known)])
    messages = plots.logarithmic("messages", 100, 10 ** math.ceil(math.log10(most)), label="{:,.0f}")
    plot = plots.Plot(messages, plots.logarithmic("(1-ROCA) %, so far", 0.001, 100))
    points = [(point.messages, point.one_minus_roca_pct or 0.0) for point in known]
    dots = [
        plot.dot(
            at,
            2.5,
            "fill:var(--c0)",
            f"{counted(point.messages, 'message')}, {counted(point.labelled, 'label')}: {at[1]:.4g} %",
        )
        for at, point in zip(points, known, strict=True)
    ]
    line = plot.line(points, "stroke:var(--c0);stroke-width:2")
    return plots.standalone(plot.svg(f"Learning curve, feedback {result.feedback}", line, *dots))
