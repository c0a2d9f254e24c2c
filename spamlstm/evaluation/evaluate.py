"""Evaluation of a model on labelled mail: figures with 95 % intervals, for all mail and for each source.

A source is a part of a corpus: the first component of the source path of a message.
"""

import math
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError
from spamlstm.evaluation import metrics
from spamlstm.evaluation.metrics import Figure
from spamlstm.model.classifier import Classifier, Judged
from spamlstm.model.confidence import Z95
from spamlstm.verdict import Judgement, Verdict

# The figures in the order of display. The names are the keys of the JSON.
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
# The number of messages in one measurement of the speed. A lap has several batches, so that differences in speed
# between batches average out.
LAP = 256
Progress = Callable[[int], None]
Seconds: TypeAlias = "array[float]"
"""The time in seconds for each message of a source."""


@dataclass(frozen=True, slots=True)
class Key:
    """The id, source and label of a message during its classification."""

    id: str
    source: str
    spam: bool


class Judges(Protocol):
    """The part of the interface of `Classifier` that an evaluation uses."""

    def classify_many(self, mails: Iterable[tuple[Key, bytes]], /) -> Iterator[Judged[Key]]:
        """Classify messages in order, as `Classifier.classify_many` does."""
        ...


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The results for all messages, as columns of equal length.

    `verdict` is an index into `VERDICTS`. For a message without a score, such as a message without words, `score` is
    0.0 (even odds) and `probability` is NaN.
    """

    id: tuple[str, ...]
    source: tuple[str, ...]
    spam: NDArray[np.bool_]
    verdict: NDArray[np.int8]
    score: NDArray[np.float64]
    probability: NDArray[np.float64]

    def of(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """Return the results for the messages at which `chosen` is true."""
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
        """Return an array that is true for the messages with the given verdict."""
        return np.equal(self.verdict, VERDICTS.index(verdict))


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one source, or of all mail. A figure that is undefined is None."""

    n: int
    n_ham: int
    n_spam: int
    figures: dict[str, Figure | None]

    def as_json(self) -> dict[str, object]:
        """Return the numbers of messages, the values by the names in `FIGURES`, and the 95 % intervals.

        The key `intervals` has [low, high], or None if the interval is unknown, by the names in `FIGURES`.
        """
        values = {name: figure and _plain(figure.value) for name, figure in self.figures.items()}
        ends = {name: figure and figure.interval for name, figure in self.figures.items()}
        intervals = {name: interval and [*map(_plain, interval)] for name, interval in ends.items()}
        return {"n": self.n, "n_ham": self.n_ham, "n_spam": self.n_spam, **values, "intervals": intervals}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A complete evaluation: the per-message results (`outcomes`), and the figures computed from these results."""

    model: str
    corpora: tuple[str, ...]
    all: Summary
    sources: dict[str, Summary]
    outcomes: Outcomes

    def as_json(self) -> dict[str, object]:
        """Return the figures as a JSON-serializable dict: `{"all": {...}, "sources": {NAME: {...}}}`."""
        return {"all": self.all.as_json(), "sources": {name: one.as_json() for name, one in self.sources.items()}}


def evaluate_model(
    corpora: Sequence[Path], *, model: Path | None = None, progress: Progress = lambda _: None
) -> Evaluation:
    """Evaluate the model at `model` (default: the model in use) on all mail of `corpora`.

    See `labelled_mail.read_labelled` for the format of a corpus. `progress` is called with the number of messages done.
    Only a few numbers for each message are kept in memory, not the mail.

    Raises UserError if the model cannot be opened, or if mail cannot be read, which may be found at the last message.
    """
    # The corpora are opened first, so that a wrong path is reported before the model is loaded.
    streams = [labelled_mail.read_labelled(path) for path in corpora]
    mail = (labelled for stream in streams for labelled in stream)
    return judge(mail, Classifier.open(model), names=[str(path) for path in corpora], progress=progress)


def judge(
    mail: Iterable[labelled_mail.Labelled],
    classifier: Judges,
    *,
    names: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Evaluate a classifier on a stream of labelled mail. `names` are the names of the corpora.

    Raises DataError if there is no mail.
    """
    model, outcomes, seconds = _judge(mail, classifier, progress)
    if not outcomes.id:
        raise DataError(f"there is no mail in {', '.join(names) or 'the corpora'}")
    speeds = {source: _speed([part]) for source, part in seconds.items()}
    return evaluation_of(outcomes, model=model, names=names, speed=_speed(seconds.values()), speeds=speeds)


def evaluation_of(
    outcomes: Outcomes,
    *,
    model: str,
    names: Sequence[str],
    speed: Figure | None = None,
    speeds: Mapping[str, Figure | None] = MappingProxyType({}),
) -> Evaluation:
    """Return the evaluation that results from `outcomes`: the figures of all messages and of each source.

    `speed` is the measured speed for all messages, and `speeds` are the measured speeds by source.
    """
    source = np.array(outcomes.source)
    sources = {one: summarise(outcomes.of(source == one), speeds.get(one)) for one in dict.fromkeys(source.tolist())}
    return Evaluation(model, tuple(names), summarise(outcomes, speed), sources, outcomes)


def summarise(outcomes: Outcomes, speed: Figure | None = None) -> Summary:
    """Return all figures of the given messages.

    The rate hm is the share of ham classified as spam, and sm is the share of spam classified as ham. Unsure mail
    counts neither for hm nor for sm.
    """
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


# --- classification -------------------------------------------------------------------------------------------------


class Columns:
    """The results of an evaluation in progress. Each message takes a few dozen bytes."""

    def __init__(self) -> None:
        self.id: list[str] = []
        self.source: list[str] = []
        self.spam = array("b")
        self.verdict = array("b")
        self.score = array("d")
        self.probability = array("d")

    def add(self, key: Key, judgement: Judgement | None) -> None:
        """Add the result for one message. The verdict is unsure if the message could not be classified."""
        verdict, score, probability = Verdict.UNSURE, None, None
        if judgement is not None:
            verdict, score, probability = judgement.verdict, judgement.score, judgement.probability
        self.id.append(key.id)
        self.source.append(key.source)
        self.spam.append(key.spam)
        self.verdict.append(VERDICTS.index(verdict))
        self.score.append(0.0 if score is None else score)
        self.probability.append(math.nan if probability is None else probability)

    def close(self) -> Outcomes:
        """Return the collected results."""
        return Outcomes(
            tuple(self.id),
            tuple(self.source),
            np.array(self.spam, dtype=np.bool_),
            np.array(self.verdict, dtype=np.int8),
            np.array(self.score, dtype=np.float64),
            np.array(self.probability, dtype=np.float64),
        )


def _speed(sources: Iterable[Seconds]) -> Figure | None:
    """Return the messages per second, with the 95 % interval of a ratio of means over laps (groups of LAP messages).

    `sources` has the seconds for each message, by source. With a single lap the interval is from 0 to infinity.
    """
    laps = [(len(lap), float(lap.sum())) for source in sources for lap in _laps(np.array(source, dtype=np.float64))]
    counts, seconds = np.array(laps, dtype=np.float64).reshape(-1, 2).T
    total = float(seconds.sum())
    if total <= 0:
        return None
    rate = float(counts.sum()) / total
    if len(laps) == 1:
        return Figure(rate, 0.0, math.inf)
    residuals = counts - rate * seconds
    half = Z95 * math.sqrt(float(np.sum(residuals**2)) * len(laps) / (len(laps) - 1)) / total
    return Figure(rate, max(rate - half, 0.0), rate + half)


def _laps(seconds: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    return (seconds[start : start + LAP] for start in range(0, len(seconds), LAP))


def _judge(
    mail: Iterable[labelled_mail.Labelled], classifier: Judges, progress: Progress
) -> tuple[str, Outcomes, dict[str, Seconds]]:
    """Classify the mail. Return the identifier of the model, the results, and the seconds for each message by source.

    The seconds include the time for reading the corpus.
    """
    columns, model = Columns(), ""
    seconds: dict[str, Seconds] = {}
    before = time.perf_counter()
    for done, judged in enumerate(classifier.classify_many(keyed(mail)), start=1):
        columns.add(judged.key, judged.judgement)
        now = time.perf_counter()
        seconds.setdefault(judged.key.source, array("d")).append(now - before)
        before, model = now, judged.judgement.model if judged.judgement else model
        progress(done)
    return model, columns.close(), seconds


def keyed(mail: Iterable[labelled_mail.Labelled]) -> Iterator[tuple[Key, bytes]]:
    """Yield each message as a pair of its key and its bytes, the form that `Classifier.classify_many` takes."""
    for one in mail:
        yield Key(one.id, source_of(one), one.label == "spam"), one.raw


def source_of(message: labelled_mail.Labelled) -> str:
    """Return the first path component of the source of a message, interned to save memory."""
    return sys.intern(message.source.split("/", 1)[0])


def _plain(value: float) -> float | None:
    """Return a rounded number for JSON, or None if it is infinite."""
    return round(value, 6) if math.isfinite(value) else None
