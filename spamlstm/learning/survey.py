"""A survey of an existing mailbox for evidence: user actions that show whether a message is ham or spam.

| evidence | label | what the user did |
|---|---|---|
| answered | ham | replied to the message (flag R) |
| flagged | ham | put a star on it (flag F) |
| filed | ham | read it and put it into one of their folders |
| kept | ham | read it and left it in the inbox for a month |
| junk | spam | left it in the junk folder, or moved it there |

All other mail has no evidence: unread or new mail in the inbox, trash, sent mail and drafts, mail that a rule filed and
nobody read, junk that was answered or flagged, and mail that this filter filed. A message is not used if copies of it
have evidence of both kinds, or if its evidence contradicts a label that was adopted from another mailbox. The messages
that are used are called samples.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from spamlstm.errors import reason_of
from spamlstm.learning.label import Label
from spamlstm.learning.label_rows import MOST_BYTES, MOST_KEPT, MOST_LABELS
from spamlstm.learning.mailbox_mail import MailboxMail, MailboxMessage
from spamlstm.maildir.content_id import arrived, content_id, former_content_ids
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.headers import is_tagged
from spamlstm.maildir.names import GoneError

# Mail that its user has read and left in the inbox for this many seconds, about a month, is ham.
KEPT_SECONDS = 30 * 86_400.0
UNLABELLED = 1000
# The most samples, and the most bytes of their mail. The store compresses mail to half or less. The limits leave room
# in the store for the user's own labels, so that adopted labels are not removed again.
MOST = MOST_LABELS * 9 // 10
MOST_READ = 2 * MOST_BYTES
# There is room for this many samples, however many labels the user gave.
LEAST = 2
# The most samples of one kind for each sample of the other kind. With more, the personal layer classifies all mail as
# the more frequent kind (docs/decisions/0012-adopt.md). Lost ham is worse than missed spam, so the ratio for spam is
# lower.
HAM_FOR_SPAM = 10
SPAM_FOR_HAM = 3


class AdoptionEvidence(StrEnum):
    """The kind of evidence that a message is ham or spam."""

    ANSWERED = "answered"
    FLAGGED = "flagged"
    FILED = "filed"
    KEPT = "kept"
    JUNK = "junk"

    @property
    def label(self) -> Label:
        """Return the label that follows from the evidence."""
        return Label.SPAM if self is AdoptionEvidence.JUNK else Label.HAM


class UnusedReason(StrEnum):
    """The reason why a message of a mailbox is not used as a sample."""

    NO_EVIDENCE = "no evidence"
    FILED_BY_US = "filed by this filter"
    LABELLED = "labelled by you"
    ADOPTED_OTHERWISE = "adopted otherwise from another mailbox"
    DISPUTED = "in two places that disagree"
    COPY = "a copy of another"
    GONE = "gone meanwhile"
    NOT_NEEDED = "older than what is needed"
    LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message with evidence. `delivered` is in seconds since 1970, and `content` is its content id."""

    message: MailboxMessage
    evidence: AdoptionEvidence
    delivered: float
    content: str


@dataclass(slots=True)
class Survey:
    """The samples of a mailbox in order of delivery, and the numbers of messages that are not used, by reason.

    `messages` is the number of messages in all folders.
    """

    samples: tuple[Sample, ...] = ()
    messages: int = 0
    found: Counter[Label] = field(default_factory=Counter)
    """The number of messages read that have evidence, including messages that the limits exclude from `samples`."""
    unused: Counter[UnusedReason] = field(default_factory=Counter)
    given: Counter[Label] = field(default_factory=Counter)
    """The number of labels that the user gave, for all mail."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """The paths of files and folders that cannot be read, each with the reason."""
    unlabelled: list[MailboxMessage] = field(default_factory=list)
    """The newest inbox messages without evidence: they are unread or not old enough. There are at most UNLABELLED."""

    def counts(self) -> Counter[AdoptionEvidence]:
        """Return the number of samples by kind of evidence."""
        return Counter(one.evidence for one in self.samples)


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The messages that the filter moved to the junk folder (`filed`), and the labels that exist, by content id.

    `labelled` has the labels that the user gave, and `adopted` those that were adopted from other mailboxes.
    """

    filed: Collection[str] = ()
    labelled: Mapping[str, Label] = field(default_factory=dict)
    adopted: Mapping[str, Label] = field(default_factory=dict)


def adoption_evidence(role: FolderRole, flags: str, *, age: float) -> AdoptionEvidence | None:
    """Return the evidence of a message from its flags, its age in seconds and the role of its folder.

    Return None if there is no evidence.
    """
    if role is FolderRole.IGNORED or "T" in flags or "D" in flags:
        return None
    if role is FolderRole.JUNK:
        return None if "R" in flags or "F" in flags else AdoptionEvidence.JUNK
    if "R" in flags:
        return AdoptionEvidence.ANSWERED
    if "F" in flags:
        return AdoptionEvidence.FLAGGED
    if "S" not in flags:
        return None
    if role is FolderRole.FILED:
        return AdoptionEvidence.FILED
    return AdoptionEvidence.KEPT if age >= KEPT_SECONDS else None


def survey_mailbox(
    mail: MailboxMail,
    *,
    known: KnownLabels,
    now: float,
    most: int = MOST,
    progress: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Survey all folders of a mailbox, without changing it.

    Samples are read through `mail`, which must stay open as long as they are used. The survey takes the newest messages
    with evidence, as many of each kind as `balance` returns, with the labels that the user gave.

    Raises OSError if the inbox cannot be read.
    """
    given = Counter(known.labelled.values())
    room = max(most - given.total(), LEAST)
    collector = _SampleCollector(known, now)
    result = collector.survey
    result.given = given
    listing = mail.listing()
    result.unreadable += listing.unreadable
    result.messages, result.unused[UnusedReason.LARGE] = len(listing.messages) + listing.large, listing.large
    newest_first = sorted(listing.messages, key=lambda one: (one.stored, one.message.name), reverse=True)
    for number, one in enumerate(newest_first, start=1):
        progress(number)
        # The date of a file may be the date on which the mail was fetched. The age is therefore checked later by `add`,
        # which reads the date of delivery from the message.
        evidence = adoption_evidence(one.role, one.flags, age=math.inf)
        if evidence is None:
            collector.add_without_evidence(one.message, one.role)
        elif _is_enough(collector, evidence.label, room) or mail.is_exhausted():
            result.unused[UnusedReason.NOT_NEEDED] += 1
        else:
            collector.add(one.message, evidence, one.stored)
    result.samples = _balanced(list(collector.samples.values()), given, most)
    result.unused[UnusedReason.NOT_NEEDED] += len(collector.samples) - len(result.samples)
    return result


def _is_enough(collector: "_SampleCollector", label: Label, room: int) -> bool:
    return collector.survey.found[label] >= room or collector.size[label] >= MOST_READ // 2


class _SampleCollector:
    """A collector of samples. Its `survey` counts the messages with evidence and the messages that are not used."""

    def __init__(self, known: KnownLabels, now: float) -> None:
        self.survey = Survey()
        self.samples: dict[str, Sample] = {}
        self.size: Counter[Label] = Counter()
        """The total size of the samples in bytes, by label. Only the bytes that the label store keeps are counted."""
        self._known = known
        self._now = now
        self._disputed: set[str] = set()

    def add_without_evidence(self, message: MailboxMessage, role: FolderRole) -> None:
        """Count a message without evidence. Add inbox messages to `survey.unlabelled`, up to UNLABELLED messages."""
        self.survey.unused[UnusedReason.NO_EVIDENCE] += 1
        if role is FolderRole.INBOX and len(self.survey.unlabelled) < UNLABELLED:
            self.survey.unlabelled.append(message)

    def add(self, message: MailboxMessage, evidence: AdoptionEvidence, stored: float) -> None:
        """Read one message with evidence. Add it to the samples, or count it with the reason why it is not used.

        `stored` is the date of the file in seconds since 1970.
        """
        try:
            raw = message.read()
        except GoneError:
            self.survey.unused[UnusedReason.GONE] += 1
            return
        except OSError as error:
            self.survey.unreadable.append((message.path, reason_of(error)))
            return
        delivered, content = arrived(raw, stored=stored), content_id(raw)
        if evidence is AdoptionEvidence.KEPT and self._now - delivered < KEPT_SECONDS:
            self.add_without_evidence(message, FolderRole.INBOX)
            return
        reason = self._reason_against(content, evidence, raw)
        if reason is not None:
            self.survey.unused[reason] += 1
            return
        self.samples[content] = Sample(message, evidence, delivered, content)
        self.survey.found[evidence.label] += 1
        self.size[evidence.label] += min(len(raw), MOST_KEPT)

    def _reason_against(self, content: str, evidence: AdoptionEvidence, raw: bytes) -> UnusedReason | None:
        # The journal is kept for a limited time. The headers that this filter adds also show that it filed the message.
        ids = {content, *former_content_ids(raw)}
        if evidence is AdoptionEvidence.JUNK and (not ids.isdisjoint(self._known.filed) or is_tagged(raw)):
            return UnusedReason.FILED_BY_US
        if not ids.isdisjoint(self._known.labelled):
            return UnusedReason.LABELLED
        # Labels of two mailboxes may be in one store. The label of the first mailbox stays, so that the adoption of the
        # second one can be undone exactly.
        if any(self._known.adopted.get(one, evidence.label) is not evidence.label for one in ids):
            return UnusedReason.ADOPTED_OTHERWISE
        before = self.samples.get(content)
        if before is not None and before.evidence.label is evidence.label:
            return UnusedReason.COPY
        if before is not None:
            self._disputed.add(content)
            del self.samples[content]
            self.survey.found[before.evidence.label] -= 1
            self.survey.unused[UnusedReason.DISPUTED] += 1
        return UnusedReason.DISPUTED if content in self._disputed else None


def _balanced(samples: Sequence[Sample], given: Mapping[Label, int], most: int) -> tuple[Sample, ...]:
    """Return the newest samples of each kind within the limits, in order of delivery."""
    newest = sorted(samples, key=lambda one: (one.delivered, one.message.name), reverse=True)
    ham = [one for one in newest if one.evidence.label is Label.HAM]
    spam = [one for one in newest if one.evidence.label is Label.SPAM]
    n_ham, n_spam = balance(len(ham), len(spam), given=given, most=most)
    return tuple(sorted(ham[:n_ham] + spam[:n_spam], key=lambda one: (one.delivered, one.message.name)))


def balance(ham: int, spam: int, *, given: Mapping[Label, int], most: int) -> tuple[int, int]:
    """Return the numbers of ham and spam samples to use. `ham` and `spam` are the numbers of available samples.

    `given` has the numbers of labels that the user gave. Samples and these labels are at most `most`, with half of each
    kind if there are enough, and their ratios are at most HAM_FOR_SPAM and SPAM_FOR_HAM. If the user gave more labels
    of one kind than that, no sample of this kind is used. If the user gave nearly `most` labels or more, there is still
    room for LEAST samples.
    """
    given_ham, given_spam = given.get(Label.HAM, 0), given.get(Label.SPAM, 0)
    ham = max(min(ham, HAM_FOR_SPAM * (spam + given_spam) - given_ham), 0)
    spam = max(min(spam, SPAM_FOR_HAM * (ham + given_ham) - given_spam), 0)
    room = max(most - given_ham - given_spam, LEAST)
    for_ham = min(max(most // 2 - given_ham, 0), room)
    for_spam = room - for_ham
    return min(ham, max(for_ham, room - spam)), min(spam, max(for_spam, room - ham))
