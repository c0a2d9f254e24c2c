"""The TREC protocol: each message of a stream is judged, and then perhaps its label is told and learned."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError
from spamlstm.evaluation import evaluate, metrics, plots
from spamlstm.evaluation.evaluate import Columns, Evaluation, Key, Outcomes, Progress
from spamlstm.evaluation.feedback import Feedback, Teacher
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer

POINTS = 40


@dataclass(frozen=True, slots=True)
class Point:
    """How well it went from the beginning to here."""

    messages: int
    labelled: int
    one_minus_roca_pct: float | None


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """A stream that was followed: the figures of what was judged, and how they came about."""

    feedback: Feedback
    labelled: int
    evaluation: Evaluation
    curve: tuple[Point, ...]

    def as_json(self) -> dict[str, object]:
        """The figures of `evaluate`, and the feedback, the number of labels told and the learning curve."""
        curve = [
            {"messages": point.messages, "told": point.labelled, "one_minus_roca_pct": point.one_minus_roca_pct}
            for point in self.curve
        ]
        return {"feedback": str(self.feedback), "told": self.labelled, **self.evaluation.as_json(), "curve": curve}


class Follower:
    """One filter and its personal layer, empty at first: judges each message of a stream, then learns its label."""

    def __init__(self, classifier: Classifier, feedback: Feedback, *, names: tuple[str, ...] = ()) -> None:
        self._classifier, self._feedback, self._names = classifier, feedback, names
        self._layer = PersonalLayer()
        self._teacher = Teacher[Assessed[Key]](feedback)
        self._columns = Columns()
        self._labelled: list[int] = []

    def take(self, assessed: Assessed[Key]) -> None:
        """The next message, as the base sees it."""
        key, columns = assessed.key, self._columns
        columns.add(key, self._classifier.judge(assessed, self._layer).judgement)
        verdict, score = evaluate.VERDICTS[columns.verdict[-1]], columns.score[-1]
        for labelled in self._teacher.after(assessed, spam=key.spam, verdict=verdict, score=score):
            if labelled.personal_features is not None:
                self._layer.learn(labelled.personal_features, prior=labelled.prior, spam=labelled.key.spam)
        self._labelled.append(self._teacher.labelled)

    def end(self) -> ProtocolResult:
        """How it went: the figures of all, or, where labels are told at the beginning only, of what came after."""
        outcomes, number = self._columns.close(), len(self._labelled)
        if not number:
            raise DataError(f"{', '.join(self._names) or 'no corpus'}: there is no mail in it")
        last = self._labelled.index(self._teacher.labelled) + 1 if self._feedback.ends else 0
        counted = np.arange(number) >= last
        if not counted.any():
            raise DataError(f"there are only {number} messages, and {self._feedback} tells the labels of them all")
        evaluation = _evaluation(outcomes.of(counted), self._classifier.bundle.label, self._names)
        return ProtocolResult(
            self._feedback, self._teacher.labelled, evaluation, tuple(_curve(outcomes, self._labelled))
        )


def run_protocol(
    corpora: list[Path], feedback: Feedback, *, model: Path | None = None, progress: Progress = lambda _: None
) -> ProtocolResult:
    """Follow the mail of `corpora` in its order, with an empty personal layer upon the model at `model`."""
    streams = [labelled_mail.read_labelled(path) for path in corpora]
    classifier = Classifier.open(model, personal_features=True)
    follower = Follower(classifier, feedback, names=tuple(str(path) for path in corpora))
    mail = (labelled for stream in streams for labelled in stream)
    for done, assessed in enumerate(classifier.assess_many(keyed(mail)), start=1):
        follower.take(assessed)
        progress(done)
    return follower.end()


def keyed(mail: Iterable[labelled_mail.Labelled]) -> Iterator[tuple[Key, bytes]]:
    """Labelled mail as a classifier takes it."""
    for one in mail:
        yield Key(one.id, evaluate.source_of(one), one.label == "spam"), one.raw


def _evaluation(outcomes: Outcomes, model: str, names: tuple[str, ...]) -> Evaluation:
    source = np.array(outcomes.source)
    sources = {one: evaluate.summarise(outcomes.of(source == one)) for one in dict.fromkeys(source.tolist())}
    return Evaluation(model, names, evaluate.summarise(outcomes), sources, outcomes)


def _curve(outcomes: Outcomes, labelled: list[int]) -> Iterator[Point]:
    """At numbers of messages that grow by equal factors."""
    ends = np.unique(np.geomspace(min(100, len(labelled)), len(labelled), POINTS).astype(int))
    for end in ends.tolist():
        area = metrics.roca(outcomes.spam[:end], outcomes.score[:end])
        yield Point(end, labelled[end - 1], None if area is None else round(100 * (1 - area), 6))


def picture(online: ProtocolResult) -> str:
    """The learning curve as one SVG file: (1-ROCA)% of all mail so far, against how much mail that was."""
    known = [point for point in online.curve if point.one_minus_roca_pct is not None]
    most = max((point.messages for point in known), default=100)
    across = plots.decades("messages", 100, most)
    plot = plots.Plot(across, plots.logarithmic("(1-ROCA) %, so far", 0.001, 100))
    points = [(point.messages, point.one_minus_roca_pct or 0.0) for point in known]
    dots = [
        plot.dot(
            place, 2.5, "fill:var(--c0)", f"{point.messages:,} messages, {point.labelled:,} told: {place[1]:.4g} %"
        )
        for place, point in zip(points, known, strict=True)
    ]
    line = plot.line(points, "stroke:var(--c0);stroke-width:2")
    return plots.alone(plot.svg(f"Learning curve, feedback {online.feedback}", line, *dots))
