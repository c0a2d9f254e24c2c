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
from spamlstm.learning.label import Label, Mail, Origin
from spamlstm.learning.mailbox import Survey, Witness
from spamlstm.learning.thresholds import Finding, Rehearsal, Trial, find_bars, rehearse
from spamlstm.learning.trainer import GROUP, Learner, keep_in_step, mail_of
from spamlstm.maildir import transfer
from spamlstm.maildir.names import GoneError
from spamlstm.maildir.opened import Entry
from spamlstm.maildir.transfer import TooLargeError
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.verdict import Verdict

Progress = Callable[[int], None]


@dataclass(slots=True)
class Taken:
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


def check(survey: Survey, *, where: str) -> None:
    """NoInputError for a mailbox without evidence, DataError for one with evidence of one kind only.

    Taught ham only, the layer takes all mail for ham; taught spam only, it files the ham.
    """
    if survey.witnesses:
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


def take(
    learner: Learner, classifier: Classifier, witnesses: Sequence[Witness], *, source: str, progress: Progress
) -> Taken:
    """Make the witnesses labels, in their order; `source` is their Maildir.

    A hundred at a time are on disk; cut short, the next call goes on behind them.
    """
    labels = learner.labels
    keep_in_step(labels, classifier)
    fresh = [one for one in witnesses if labels.origin(one.content) != (one.evidence.label, Origin.ADOPTED)]
    taken = Taken(known=len(witnesses) - len(fresh))
    assessed = classifier.assess_many(_read(fresh, taken))
    done = taken.known
    while group := list(itertools.islice(assessed, GROUP)):
        pairs = [pair for one in group if (pair := _pair(one, classifier, source, taken)) is not None]
        taken.new += sum(labels.note(pairs))
        done += len(group)
        progress(done)
    learner.prune()
    return taken


def _read(witnesses: Sequence[Witness], taken: Taken) -> Iterator[tuple[Witness, bytes]]:
    """Each message with its bytes. Those that are gone by now are left out, those that cannot be read are noted."""
    for one in witnesses:
        try:
            yield one, one.read()
        except GoneError:
            continue
        except OSError as error:
            taken.failed.append((one.entry.path, reason_of(error)))


def _pair(assessed: Assessed[Witness], classifier: Classifier, source: str, taken: Taken) -> tuple[Mail, Label] | None:
    """The row of one message; None if it is gone by now, and noted if it cannot be read or is no mail."""
    witness = assessed.key
    if assessed.failure or assessed.evidence.not_mail:
        taken.failed.append((witness.entry.path, assessed.failure or "this is not mail but data of another kind"))
        return None
    # Read once more, as a hundred messages may be too large to be kept until they are all noted.
    raw = next((raw for _, raw in _read([witness], taken)), None)
    if raw is None:
        return None
    model = classifier.bundle.label
    mail = mail_of(
        raw, assessed.prior, model, Origin.ADOPTED, tokens=assessed.tokens, source=source, content=witness.content
    )
    return mail, witness.evidence.label


def conclude(learner: Learner, classifier: Classifier, *, ham_filed: float, progress: Progress) -> Conclusion:
    """Learn all labels anew, in their order, find the bars on the way, and keep both."""
    spam, scores = [], []
    for number, (lesson, score) in enumerate(learner.relearn(), start=1):
        progress(number)
        # The user's own words are mostly corrections: they tell of the mail that was judged wrong.
        if lesson.origin is Origin.ADOPTED:
            spam.append(lesson.spam)
            scores.append(np.nan if score is None else score)
    trial = Trial(np.array(spam, np.bool_), np.array(scores, np.float64))
    model = classifier.bundle.thresholds
    finding = find_bars(trial, ham_filed=ham_filed, model=model)
    learner.labels.set_bars(classifier.bundle.label, finding.thresholds)
    learner.catch_up()
    learner.keep(always=True)
    rehearsal = rehearse(trial, ham_filed=ham_filed, model=model)
    return Conclusion(finding, rehearsal, model, classifier.policy.chosen)


def judge_unsaid(survey: Survey, taught: Classifier) -> dict[Verdict, int]:
    """What would become of the mail in the inbox of which its user has said nothing; nobody learned from it."""
    counts = dict.fromkeys(Verdict, 0)
    for judged in taught.judge_many(_bytes_of(survey.unsaid)):
        if judged.judgement is not None:
            counts[judged.judgement.verdict] += 1
    return counts


def _bytes_of(entries: Iterable[Entry]) -> Iterator[tuple[None, bytes]]:
    for entry in entries:
        with contextlib.suppress(GoneError, TooLargeError, OSError):
            yield None, transfer.read(entry, most=MOST_BYTES)[0]


def take_back(learner: Learner, classifier: Classifier, *, source: str, ham_filed: float, progress: Progress) -> int:
    """Be as if this Maildir had never been adopted; gives how many labels that were.

    What was adopted from others stays, and the bars then rest on that.
    """
    number = learner.labels.forget_adopted(source)
    if number and learner.labels.adopted():
        conclude(learner, classifier, ham_filed=ham_filed, progress=progress)
    else:
        learner.catch_up()
        learner.keep()
    return number
