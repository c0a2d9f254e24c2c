"""Learning from a mailbox that is there already: its messages become labels, and the bars follow from them.

All that is kept is rows of the label store, of the origin `adopted`, and the bars. So to adopt again is to say the same
again, which changes nothing; what was cut short goes on where it was; and to take it back is to remove those rows.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from spamlstm.config import Thresholds
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import DataError, NoInputError, reason_of
from spamlstm.learning.label import Label, LabelRequest, Origin
from spamlstm.learning.survey import Sample, Survey
from spamlstm.learning.thresholds import Finding, Rehearsal, Trial, find_thresholds, rehearse
from spamlstm.learning.trainer import GROUP, Trainer, label_request, rescore_labels
from spamlstm.maildir import message_file
from spamlstm.maildir.message_file import TooLargeError
from spamlstm.maildir.names import GoneError
from spamlstm.maildir.opened import Entry
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

Progress = Callable[[int], None]


@dataclass(slots=True)
class AdoptedCounts:
    """What became of the messages that were evidence: how many are new labels, and what could not be read, and why."""

    new: int = 0
    known: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from the adopted labels: the bars, and how the last thousand messages would have fared."""

    finding: Finding
    rehearsal: Rehearsal
    model: Thresholds
    """The model's own bars."""
    chosen: bool
    """Whether the configuration speaks of bars, so that those found are not used."""


def check_evidence(survey: Survey, *, where: str) -> None:
    """NoInputError for a mailbox without evidence, DataError for one with evidence of one kind only.

    Taught ham only, the layer takes all mail for ham; taught spam only, it files the ham.
    """
    if survey.samples:
        return
    ham, spam = survey.found[Label.HAM], survey.found[Label.SPAM]
    if ham:
        raise DataError(
            f"{where} has {ham:,} messages that are ham but no junk that this filter did not file itself, and from one"
            " kind alone nothing can be learned; move spam to the junk folder for a while, then say this again"
        )
    if spam:
        raise DataError(
            f"{where} has {spam:,} messages in the junk folder but none that was answered, flagged, filed in a folder"
            " or kept read for a month, and from one kind alone nothing can be learned; say this again when it has"
        )
    if survey.messages:
        raise NoInputError(f"none of the {survey.messages:,} messages in {where} says what its user thinks of it")
    raise NoInputError(f"there is no mail in {where}")


def adopt_labels(
    trainer: Trainer, classifier: Classifier, samples: Sequence[Sample], *, source: str, progress: Progress
) -> AdoptedCounts:
    """Make the witnesses labels, in their order; `source` is their Maildir.

    A hundred at a time are on disk; cut short, the next call goes on behind them.
    """
    labels = trainer.labels
    rescore_labels(labels, classifier)
    fresh = [one for one in samples if labels.origin(one.content) != (one.evidence.label, Origin.ADOPTED)]
    taken = AdoptedCounts(known=len(samples) - len(fresh))
    assessed = classifier.assess_many(_read(fresh, taken))
    done = taken.known
    while group := list(itertools.islice(assessed, GROUP)):
        pairs = [pair for one in group if (pair := _pair(one, classifier, source, taken)) is not None]
        taken.new += sum(labels.add_pairs(pairs))
        done += len(group)
        progress(done)
    trainer.prune()
    return taken


def _read(samples: Sequence[Sample], taken: AdoptedCounts) -> Iterator[tuple[Sample, bytes]]:
    """Each message with its bytes. Those that are gone by now are left out, those that cannot be read are noted."""
    for one in samples:
        try:
            yield one, one.read()
        except GoneError:
            continue
        except OSError as error:
            taken.failed.append((one.entry.path, reason_of(error)))


def _pair(
    assessed: Assessed[Sample], classifier: Classifier, source: str, taken: AdoptedCounts
) -> tuple[LabelRequest, Label] | None:
    """The row of one message; None if it is gone by now, and noted if it cannot be read or is no mail."""
    sample = assessed.key
    if assessed.failure or assessed.evidence.not_mail:
        taken.failed.append((sample.entry.path, assessed.failure or "this is not mail but data of another kind"))
        return None
    # Read once more, as a hundred messages may be too large to be kept until they are all noted.
    raw = next((raw for _, raw in _read([sample], taken)), None)
    if raw is None:
        return None
    model = classifier.bundle.label
    mail = label_request(
        raw, assessed.prior, model, Origin.ADOPTED, tokens=assessed.tokens, source=source, content=sample.content
    )
    return mail, sample.evidence.label


def find_adopted_thresholds(
    trainer: Trainer, classifier: Classifier, *, max_false_positive_rate: float, progress: Progress
) -> Conclusion:
    """Learn all labels anew, in their order, find the bars on the way, and keep both."""
    spam, scores = [], []
    for number, (example, score) in enumerate(trainer.relearn(), start=1):
        progress(number)
        # The user's own words are mostly corrections: they tell of the mail that was judged wrong.
        if example.origin is Origin.ADOPTED:
            spam.append(example.spam)
            scores.append(np.nan if score is None else score)
    trial = Trial(np.array(spam, np.bool_), np.array(scores, np.float64))
    model = classifier.bundle.thresholds
    finding = find_thresholds(trial, max_false_positive_rate=max_false_positive_rate, model=model)
    trainer.labels.set_thresholds(classifier.bundle.label, finding.thresholds)
    trainer.catch_up()
    trainer.keep(always=True)
    rehearsal = rehearse(trial, max_false_positive_rate=max_false_positive_rate, model=model)
    return Conclusion(finding, rehearsal, model, classifier.policy.chosen)


def judge_unlabelled(survey: Survey, classifier: Classifier, layer: PersonalLayer) -> dict[Verdict, int]:
    """What would become of the mail in the inbox of which its user has said nothing; nobody learned from it."""
    counts = dict.fromkeys(Verdict, 0)
    for judged in classifier.judge_many(_bytes_of(survey.unlabelled), layer_of=lambda _: layer):
        if judged.judgement is not None:
            counts[judged.judgement.verdict] += 1
    return counts


def _bytes_of(entries: Iterable[Entry]) -> Iterator[tuple[None, bytes]]:
    for entry in entries:
        with contextlib.suppress(GoneError, TooLargeError, OSError):
            yield None, message_file.read_message(entry, most=MOST_BYTES)[0]


def forget_adopted(
    trainer: Trainer, classifier: Classifier, *, source: str, max_false_positive_rate: float, progress: Progress
) -> int:
    """Be as if this Maildir had never been adopted; gives how many labels that were.

    What was adopted from others stays, and the bars then rest on that.
    """
    number = trainer.labels.forget_adopted(source)
    if number and trainer.labels.adopted():
        find_adopted_thresholds(trainer, classifier, max_false_positive_rate=max_false_positive_rate, progress=progress)
    else:
        trainer.catch_up()
        trainer.keep()
    return number
