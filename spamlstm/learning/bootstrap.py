"""Adoption of an existing mailbox: its messages become labels, and thresholds are found with them.

All that is stored is rows of the label store with the origin `adopted`, and the thresholds. To adopt again therefore
changes nothing, an interrupted adoption continues where it stopped, and to undo an adoption is to remove its rows.
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
from spamlstm.learning.trainer import BATCH, Trainer, label_request, rescore_labels
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
    """The outcome of adopting samples: new labels, labels known before, and unreadable paths with the reason."""

    new: int = 0
    known: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The thresholds that follow from the adopted labels, and the verdicts that the latest messages would have got."""

    finding: Finding
    rehearsal: Rehearsal
    model: Thresholds
    """The model's thresholds."""
    chosen: bool
    """Whether the configuration sets thresholds or costs, so that those found are not used."""


def check_evidence(survey: Survey, *, where: str) -> None:
    """Raise NoInputError for a mailbox without evidence, DataError for one with evidence of one kind only.

    A layer that learned only ham judges all mail ham; one that learned only spam files ham as spam.
    """
    if survey.samples:
        return
    ham, spam = survey.found[Label.HAM], survey.found[Label.SPAM]
    if ham:
        raise DataError(
            f"{where} has {ham:,} ham messages but no junk that this filter did not file itself, and nothing can be"
            " learned from one kind alone; move spam to the junk folder for a while, then run this command again"
        )
    if spam:
        raise DataError(
            f"{where} has {spam:,} messages in the junk folder but none that was answered, flagged, filed in a folder"
            " or kept read for a month, and nothing can be learned from one kind alone; run this command again later"
        )
    if survey.messages:
        raise NoInputError(
            f"none of the {survey.messages:,} messages in {where} shows what its user thinks of it; label some with"
            " 'spamlstm label'"
        )
    raise NoInputError(f"there is no mail in {where}; name another Maildir")


def adopt_labels(
    trainer: Trainer, classifier: Classifier, samples: Sequence[Sample], *, source: str, progress: Progress
) -> AdoptedCounts:
    """Store labels for the samples of the Maildir `source`, in order.

    Each batch is one transaction; after an interruption the next call continues behind the last one.
    """
    labels = trainer.labels
    rescore_labels(labels, classifier)
    fresh = [one for one in samples if labels.origin(one.content) != (one.evidence.label, Origin.ADOPTED)]
    counts = AdoptedCounts(known=len(samples) - len(fresh))
    assessed = classifier.assess_many(_read(fresh, counts))
    done = counts.known
    while batch := list(itertools.islice(assessed, BATCH)):
        pairs = [pair for one in batch if (pair := _pair(one, classifier, source, counts)) is not None]
        counts.new += sum(labels.add_pairs(pairs))
        done += len(batch)
        progress(done)
    trainer.prune()
    return counts


def _read(samples: Sequence[Sample], counts: AdoptedCounts) -> Iterator[tuple[Sample, bytes]]:
    """Yield samples with their bytes; leave out those that are gone, and record those that cannot be read."""
    for one in samples:
        try:
            yield one, one.read()
        except GoneError:
            continue
        except OSError as error:
            counts.failed.append((one.entry.path, reason_of(error)))


def _pair(
    assessed: Assessed[Sample], classifier: Classifier, source: str, counts: AdoptedCounts
) -> tuple[LabelRequest, Label] | None:
    """Return the label of one sample for the store; None if it is gone, cannot be read or is no mail."""
    sample = assessed.key
    if assessed.failure or assessed.evidence.not_mail:
        counts.failed.append((sample.entry.path, assessed.failure or "this is not mail but data of another kind"))
        return None
    # Read again, because a batch of large messages may not fit in memory.
    raw = next((raw for _, raw in _read([sample], counts)), None)
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
    """Learn all labels again, find thresholds by the scores that adopted mail had before it was learned, store both."""
    spam, scores = [], []
    for number, (example, score) in enumerate(trainer.relearn(), start=1):
        progress(number)
        # The user's own labels are mostly corrections, and so no sample of all mail.
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
    """Count the verdicts on mail in the inbox that has no evidence and was not learned."""
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
    """Undo the adoption of one Maildir, as if it had never been; return the number of labels removed.

    Labels adopted from other Maildirs stay, and thresholds are found again with them.
    """
    number = trainer.labels.forget_adopted(source)
    if number and trainer.labels.adopted():
        find_adopted_thresholds(trainer, classifier, max_false_positive_rate=max_false_positive_rate, progress=progress)
    else:
        trainer.catch_up()
        trainer.keep()
    return number
