"""Adoption of an existing mailbox: label messages by evidence, and rehearse the verdicts on its mail.

Evidence is a user action that shows whether a message is ham or spam, see `survey`. A label created from evidence is
called adopted. Adoption only writes rows with the origin `adopted` to the label store. Adopting again therefore changes
nothing, an interrupted adoption continues where it stopped, and removing the adopted rows undoes it.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spamlstm.config import Thresholds
from spamlstm.errors import DataError, NoInputError, reason_of
from spamlstm.learning.label import Label, LabelRequest, Origin
from spamlstm.learning.mailbox_mail import MailboxMessage
from spamlstm.learning.survey import AdoptionEvidence, Sample, Survey, UnusedReason
from spamlstm.learning.trainer import BATCH, Trainer, label_request, rescore_labels
from spamlstm.maildir.names import GoneError
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.confidence import wilson
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict, logistic
from spamlstm.wording import counted

Progress = Callable[[int], None]

# A rehearsal covers the last REHEARSED adopted messages.
REHEARSED = 1000

Rehearsal = dict[Label, dict[Verdict, int]]
"""The number of messages of each label that would have got each verdict."""


@dataclass(slots=True)
class AdoptedCounts:
    """The result of adopting samples.

    `new` is the number of labels stored, and `known` is the number of labels that an earlier run adopted. `failed` has
    the path of each message that could not be used, with the reason.
    """

    new: int = 0
    known: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The figures on labelled mail from which the verdicts on similar mail follow."""

    spam_threshold: float
    """The lowest probability, before the scores are adjusted, at which mail like labelled mail is filed as spam."""
    ham: int
    """The number of ham messages from folders and mailboxes that were like earlier labelled mail."""
    filed: int
    """The number of these ham messages that this threshold would have filed as spam."""
    bound: float
    """The upper 95 % bound (Wilson) of the share of such ham filed as spam. It is 1 without ham."""
    rehearsal: Rehearsal
    thresholds: Thresholds
    """The thresholds of the policy."""


def check_evidence(survey: Survey, *, where: str) -> None:
    """Check that a mailbox has evidence of both ham and spam. `where` is its name in error messages.

    A personal layer that learned only ham classifies all mail as ham. A layer that learned only spam files ham as spam.
    Labels that the user gave count too.

    Raises NoInputError if there is no evidence, and DataError if all evidence is of one kind.
    """
    if survey.samples:
        return
    ham, spam = survey.found[Label.HAM], survey.found[Label.SPAM]
    if (ham or spam) and survey.given.total():
        kind, other = (Label.HAM, Label.SPAM) if ham else (Label.SPAM, Label.HAM)
        raise DataError(
            f"{where} has only {kind} to learn from ({counted(ham or spam, 'message')}), and you have already labelled"
            f" {survey.given[kind]:,} {kind} and {survey.given[other]:,} {other}; learning needs both kinds, so label"
            f" some {other}, then run this command again"
        )
    if ham:
        raise DataError(
            f"{where} has {counted(ham, 'ham message')} but no spam to learn from, because messages that this filter"
            " filed are not used; learning needs both kinds, so move spam to the junk folder for a while, then run this"
            " command again"
        )
    if spam:
        raise DataError(
            f"{where} has {counted(spam, 'spam message')} but no ham to learn from (mail that was answered, flagged,"
            " filed in a folder, or read and left in the inbox for a month); learning needs both kinds, so run this"
            " command again later"
        )
    if labelled := survey.unused[UnusedReason.LABELLED]:
        raise NoInputError(
            f"you have already labelled all mail in {where} that shows whether it is ham or spam"
            f" ({counted(labelled, 'message')}), so there is nothing to adopt"
        )
    if otherwise := survey.unused[UnusedReason.ADOPTED_OTHERWISE]:
        raise NoInputError(
            f"all mail in {where} that shows whether it is ham or spam ({counted(otherwise, 'message')}) was adopted"
            " from another mailbox with the opposite label; to learn from this mailbox instead, first run"
            " 'spamlstm adopt --undo' for the other one"
        )
    if survey.messages:
        raise NoInputError(
            f"nothing shows whether the mail in {where} ({counted(survey.messages, 'message')}) is ham or spam; label"
            " some with 'spamlstm label'"
        )
    raise NoInputError(f"there is no mail in {where}; name another mailbox")


def adopt_labels(
    trainer: Trainer, classifier: Classifier, samples: Sequence[Sample], *, source: str, progress: Progress
) -> AdoptedCounts:
    """Store the labels of `samples`, in order, and return the counts. `source` is the mailbox of the samples.

    Each batch is one transaction. After an interruption, the next call continues after the last stored batch.
    """
    labels = trainer.labels
    rescore_labels(labels, classifier)
    fresh = [one for one in samples if labels.origin(one.content) != (one.evidence.label, Origin.ADOPTED)]
    counts = AdoptedCounts(known=len(samples) - len(fresh))
    assessed = classifier.assess_many(_read(fresh, counts, renew=labels.renew))
    done = counts.known
    while batch := list(itertools.islice(assessed, BATCH)):
        pairs = [pair for one in batch if (pair := _pair(one, classifier, source, counts)) is not None]
        counts.new += sum(labels.add_pairs(pairs))
        done += len(batch)
        progress(done)
    trainer.prune()
    return counts


def adopt_correspondents(trainer: Trainer, names: Mapping[bytes, float], *, source: str) -> int:
    """Store the correspondents to whom the user wrote, see `MailboxMail.correspondents`, and return their number.

    `source` is the mailbox. They are learned by the next `catch_up`.
    """
    trainer.labels.written_names.add(names, source=source, origin=Origin.ADOPTED)
    return len(names)


def _read(
    samples: Sequence[Sample],
    counts: AdoptedCounts,
    *,
    renew: Callable[[bytes, str], None] = lambda _raw, _content: None,
) -> Iterator[tuple[Sample, bytes]]:
    """Yield each sample with its message. Skip messages that are gone, and record those that cannot be read.

    `renew` is called with each message and its content id.
    """
    for one in samples:
        try:
            raw = one.message.read()
        except GoneError:
            continue
        except OSError as error:
            counts.failed.append((one.message.path, reason_of(error)))
        else:
            renew(raw, one.content)
            yield one, raw
            del raw  # otherwise two messages are in memory while the next message is read


def _pair(
    assessed: Assessed[Sample], classifier: Classifier, source: str, counts: AdoptedCounts
) -> tuple[LabelRequest, Label] | None:
    """Return a pair for `LabelStore.add_pairs`: the request for one sample, and its label.

    Return None if the message is gone, cannot be read or is not mail. Failures are recorded in `counts`.
    """
    sample = assessed.key
    if assessed.failure or assessed.evidence.not_mail:
        counts.failed.append((sample.message.path, assessed.failure or "this is not mail but data of another kind"))
        return None
    # The message is read a second time, because a batch of large messages may not fit in memory.
    raw = next((raw for _, raw in _read([sample], counts)), None)
    if raw is None:
        return None
    model = classifier.bundle.label
    mail = label_request(
        raw, assessed.prior, model, Origin.ADOPTED, tokens=assessed.tokens, source=source, content=sample.content
    )
    return replace(mail, answered=sample.evidence is AdoptionEvidence.ANSWERED), sample.evidence.label


def learn_adopted(trainer: Trainer, classifier: Classifier, *, progress: Progress) -> Conclusion:
    """Learn all labels again, save the layer, and return what the labels show.

    The last REHEARSED adopted messages are classified just before they are learned, by what was learned until then.
    """
    counts = {label: dict.fromkeys(Verdict, 0) for label in Label}
    layer, skipped = trainer.layer, trainer.labels.adopted() - REHEARSED
    for number, (example, features) in enumerate(trainer.relearn(), start=1):
        progress(number)
        # Labels that the user gave are mostly corrections, so they are not a representative sample of all mail.
        if example.origin is not Origin.ADOPTED:
            continue
        skipped -= 1
        if skipped < 0:
            score = layer.score(features, example.prior, example.sender, limits=classifier.limits)
            thresholds = classifier.policy.thresholds
            verdict = Verdict.UNSURE if score is None else thresholds.verdict(logistic(score))
            counts[Label.SPAM if example.spam else Label.HAM][verdict] += 1
    trainer.catch_up()
    trainer.save_layer(always=True)
    threshold = layer.ham_scores.threshold(classifier.limits)
    ham, filed = len(layer.ham_scores), layer.ham_scores.above(threshold)
    bound = wilson(filed, ham)[1] if ham else 1.0
    return Conclusion(logistic(threshold), ham, filed, bound, counts, classifier.policy.thresholds)


def judge_unlabelled(survey: Survey, classifier: Classifier, layer: PersonalLayer) -> dict[Verdict, int]:
    """Classify the inbox messages without evidence (`survey.unlabelled`), and return their number by verdict.

    `layer` must not have learned these messages.
    """
    counts = dict.fromkeys(Verdict, 0)
    for judged in classifier.classify_many(_bytes_of(survey.unlabelled), layer_of=lambda _: layer):
        if judged.judgement is not None:
            counts[judged.judgement.verdict] += 1
    return counts


def _bytes_of(messages: Iterable[MailboxMessage]) -> Iterator[tuple[None, bytes]]:
    for one in messages:
        with contextlib.suppress(GoneError, OSError):
            yield None, one.read()


def forget_adopted(trainer: Trainer, *, source: str) -> int:
    """Undo the adoption of the mailbox `source`, and return the number of labels removed.

    Labels adopted from other mailboxes are kept.
    """
    number = trainer.labels.forget_adopted(source)
    trainer.catch_up()
    trainer.save_layer()
    return number
