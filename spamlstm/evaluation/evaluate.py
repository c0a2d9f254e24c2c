"""Judge labelled mail with a model and say how well it did: per source and in all, each figure with its interval."""

import math
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError
from spamlstm.evaluation import metrics
from spamlstm.evaluation.metrics import Figure
from spamlstm.model.classifier import Classifier, Judged
from spamlstm.verdict import Judgement, Verdict

# The figures in the order in which they are shown; the names are the keys of the JSON.
FIGURES = (
    "one_minus_roca_pct",
    "hm_pct",
    "sm_pct",
    "lam_pct",
    "unsure_pct",
    "sm_at_hm_0_1_pct",
    "sm_at_hm_1_pct",
    "calibration_error",
    "messages_per_second",
)
VERDICTS = (Verdict.HAM, Verdict.UNSURE, Verdict.SPAM)
LAP = 256  # messages over which a speed is taken: several batches, so that one batch's turn at the clock evens out
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Key:
    """What is remembered of a message while it is judged."""

    id: str
    source: str
    spam: bool


class Judges(Protocol):
    """What an evaluation needs of a classifier: a judgement for each message, in order."""

    def judge_many(self, mails: Iterable[tuple[Key, bytes]], /) -> Iterator[Judged[Key]]:
        """As `Classifier.judge_many`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each message, as columns of equal length; the mail itself is gone.

    `score` is the model's, and 0.0 (even odds) where it gave none, as for mail without words.
    `probability` is NaN there. `verdict` counts in `VERDICTS`.
    """

    id: tuple[str, ...]
    source: tuple[str, ...]
    spam: NDArray[np.bool_]
    verdict: NDArray[np.int8]
    score: NDArray[np.float64]
    probability: NDArray[np.float64]

    def of(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """The same columns for the chosen messages."""
        at = np.flatnonzero(chosen)
        return Outcomes(
            tuple(self.id[i] for i in at),
            tuple(self.source[i] for i in at),
            self.spam[at],
            self.verdict[at],
            self.score[at],
            self.probability[at],
        )

    def are(self, verdict: Verdict) -> NDArray[np.bool_]:
        """Which messages were judged so."""
        return np.equal(self.verdict, VERDICTS.index(verdict))


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one source, or of all. A figure that does not exist is None."""

    n: int
    n_ham: int
    n_spam: int
    figures: dict[str, Figure | None]

    def as_json(self) -> dict[str, object]:
        """Values under the names in `FIGURES`, and `intervals` with [low, high] under the same names."""
        values = {name: figure and _plain(figure.value) for name, figure in self.figures.items()}
        intervals = {
            name: figure and [_plain(figure.low), _plain(figure.high)] for name, figure in self.figures.items()
        }
        return {"n": self.n, "n_ham": self.n_ham, "n_spam": self.n_spam, **values, "intervals": intervals}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation: the figures, and the outcomes they were taken from."""

    model: str
    corpora: tuple[str, ...]
    all: Summary
    sources: dict[str, Summary]
    outcomes: Outcomes

    def as_json(self) -> dict[str, object]:
        """The figures alone: `{"all": {...}, "sources": {NAME: {...}}}`."""
        return {"all": self.all.as_json(), "sources": {name: one.as_json() for name, one in self.sources.items()}}


def evaluate_model(
    corpora: Sequence[Path], *, model: Path | None = None, progress: Progress = lambda _: None
) -> Evaluation:
    """Judge all mail of `corpora` (see `read_labelled`) with the model at `model`, else the default one.

    `progress` is called with the number of messages done. Memory holds a few numbers a message, and no mail.
    Raises the UserErrors of reading and of opening a model; an error in the last message is an error of the whole.
    """
    streams = [
        labelled_mail.read_labelled(path) for path in corpora
    ]  # first: a mistyped path shows before the model is loaded
    mail = (labelled for stream in streams for labelled in stream)
    return judge(mail, Classifier.open(model), names=[str(path) for path in corpora], progress=progress)


def judge(
    mail: Iterable[labelled_mail.Labelled],
    classifier: Judges,
    *,
    names: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Evaluation:
    """The evaluation of any stream of labelled mail; `names` say where it is from."""
    name, outcomes, speeds = _judge(mail, classifier, progress)
    if not outcomes.id:
        raise DataError(f"{', '.join(names) or 'no corpus'}: there is no mail in it")
    source = np.array(outcomes.source)
    sources = {
        one: summarise(outcomes.of(source == one), speeds[one].figure()) for one in dict.fromkeys(source.tolist())
    }
    return Evaluation(name, tuple(names), summarise(outcomes, _joint(speeds.values())), sources, outcomes)


def summarise(outcomes: Outcomes, speed: Figure | None = None) -> Summary:
    """All figures of these messages. hm is ham judged spam and sm spam judged ham; unsure is neither."""
    spam, score = outcomes.spam, outcomes.score
    n_spam = int(spam.sum())
    n_ham = len(spam) - n_spam
    lost = int((outcomes.are(Verdict.SPAM) & ~spam).sum())
    missed = int((outcomes.are(Verdict.HAM) & spam).sum())
    known = ~np.isnan(outcomes.probability)
    figures: dict[str, Figure | None] = {
        "one_minus_roca_pct": metrics.one_minus_roca_pct(spam, score),
        "hm_pct": metrics.rate_pct(lost, n_ham),
        "sm_pct": metrics.rate_pct(missed, n_spam),
        "lam_pct": metrics.lam_pct(ham_lost=lost, n_ham=n_ham, spam_missed=missed, n_spam=n_spam),
        "unsure_pct": metrics.rate_pct(int(outcomes.are(Verdict.UNSURE).sum()), len(spam)),
        "sm_at_hm_0_1_pct": metrics.sm_at_hm_pct(spam, score, 0.1),
        "sm_at_hm_1_pct": metrics.sm_at_hm_pct(spam, score, 1.0),
        "calibration_error": metrics.calibration_error(spam[known], outcomes.probability[known]),
        "messages_per_second": speed,
    }
    return Summary(len(spam), n_ham, n_spam, figures)


# --- judging --------------------------------------------------------------------------------------------------------


class Columns:
    """Outcomes while they grow, a few dozen bytes a message."""

    def __init__(self) -> None:
        self.id: list[str] = []
        self.source: list[str] = []
        self.spam = array("b")
        self.verdict = array("b")
        self.score = array("d")
        self.probability = array("d")

    def add(self, key: Key, judgement: Judgement | None) -> None:
        """One more message."""
        verdict, score, probability = Verdict.UNSURE, None, None  # so is mail that could not be judged at all
        if judgement is not None:
            verdict, score, probability = judgement.verdict, judgement.score, judgement.probability
        self.id.append(key.id)
        self.source.append(key.source)
        self.spam.append(key.spam)
        self.verdict.append(VERDICTS.index(verdict))
        self.score.append(0.0 if score is None else score)
        self.probability.append(math.nan if probability is None else probability)

    def close(self) -> Outcomes:
        """What has grown."""
        return Outcomes(
            tuple(self.id),
            tuple(self.source),
            np.array(self.spam, dtype=np.bool_),
            np.array(self.verdict, dtype=np.int8),
            np.array(self.score, dtype=np.float64),
            np.array(self.probability, dtype=np.float64),
        )


class _Speed:
    """Messages and seconds of one source, lap by lap."""

    def __init__(self) -> None:
        self.laps: list[tuple[int, float]] = []
        self._count, self._seconds = 0, 0.0

    def add(self, seconds: float) -> None:
        self._count, self._seconds = self._count + 1, self._seconds + seconds
        if self._count == LAP:
            self.laps.append((self._count, self._seconds))
            self._count, self._seconds = 0, 0.0

    def all_laps(self) -> list[tuple[int, float]]:
        return [*self.laps, (self._count, self._seconds)] if self._count else self.laps

    def figure(self) -> Figure | None:
        return _rate(self.all_laps())


def _joint(speeds: Iterable[_Speed]) -> Figure | None:
    return _rate([lap for speed in speeds for lap in speed.all_laps()])


def _rate(laps: list[tuple[int, float]]) -> Figure | None:
    """Messages a second; the interval is that of a ratio of two means over the laps, and open with one lap."""
    counts, seconds = (np.array(column, dtype=np.float64) for column in zip(*laps, strict=True)) if laps else ((), ())
    total = float(np.sum(seconds))
    if total <= 0:
        return None
    rate = float(np.sum(counts)) / total
    if len(laps) == 1:
        return Figure(rate, 0.0, math.inf)
    residuals = np.asarray(counts) - rate * np.asarray(seconds)
    half = metrics.Z95 * math.sqrt(float(np.sum(residuals**2)) * len(laps) / (len(laps) - 1)) / total
    return Figure(rate, max(rate - half, 0.0), rate + half)


def _judge(
    mail: Iterable[labelled_mail.Labelled],
    classifier: Judges,
    progress: Progress,
) -> tuple[str, Outcomes, dict[str, _Speed]]:
    """(name of the model, outcomes, speed of each source). The time includes reading the corpus, not loading."""
    columns, model = Columns(), ""
    speeds: dict[str, _Speed] = {}
    before = time.perf_counter()
    keyed = ((Key(one.id, source_of(one), one.label == "spam"), one.raw) for one in mail)
    for done, judged in enumerate(classifier.judge_many(keyed), start=1):
        columns.add(judged.key, judged.judgement)
        now = time.perf_counter()
        speeds.setdefault(judged.key.source, _Speed()).add(now - before)
        before, model = now, judged.judgement.model if judged.judgement else model
        progress(done)
    return model, columns.close(), speeds


def source_of(message: labelled_mail.Labelled) -> str:
    """The first path component of the index's source column, one string object for each name."""
    return sys.intern(message.source.split("/", 1)[0])


def _plain(value: float) -> float | None:
    """A number that JSON has; an open end is null."""
    return round(value, 6) if math.isfinite(value) else None
