"""What a mailbox that is there already says of its mail: positive evidence only.

| evidence | label | what its user did |
|---|---|---|
| answered | ham | replied to it (flag R) |
| flagged | ham | put a star on it (flag F) |
| filed | ham | read it and put it into a folder of his own |
| kept | ham | read it and left it in the inbox for a month |
| junk | spam | left it in the junk folder, or moved it there |

All else says nothing: what is unread or new in the inbox, thrown away, sent or begun, what a rule filed and nobody
read, junk that was answered or flagged, and what the filter itself filed. A message of which two places say different
things says nothing either.
"""

import contextlib
import errno
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from spamlstm.config.values import AUTO
from spamlstm.corpus.paths import MOST_BYTES as MOST_MAIL_BYTES
from spamlstm.errors import reason_of
from spamlstm.learning.bounds import MOST_BYTES, MOST_LABELS
from spamlstm.learning.label import Label
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.maildir import message_file
from spamlstm.maildir.arrival import arrived
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import FolderRole, folders, role_of
from spamlstm.maildir.headers import is_tagged
from spamlstm.maildir.message_file import TooLargeError
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import Entry, OpenFolder, OpenMaildir

MONTH = 30 * 86_400.0
UNLABELLED = 1000
# What the store has room for, with the user's own words, so that nothing that is adopted has to go again: in number,
# and in bytes, as what is kept of mail is half as large compressed, or smaller.
MOST = MOST_LABELS * 9 // 10
MOST_READ = 2 * MOST_BYTES
# Of one kind so many for each of the other, the newest: beyond that the layer takes all mail for what it saw more of
# (docs/decisions/0012-adopt.md). Ham judged spam is worse than spam judged ham, and so there is less room for spam.
HAM_FOR_SPAM = 10
SPAM_FOR_HAM = 3


class AdoptionEvidence(StrEnum):
    """Why a message is taken for what it is."""

    ANSWERED = "answered"
    FLAGGED = "flagged"
    FILED = "filed"
    KEPT = "kept"
    JUNK = "junk"

    @property
    def label(self) -> Label:
        """What it is evidence of."""
        return Label.SPAM if self is AdoptionEvidence.JUNK else Label.HAM


class Without(StrEnum):
    """Why a message is not learned from."""

    EVIDENCE = "no evidence"
    OURS = "filed by this filter"
    SAID = "labelled by you"
    DISPUTED = "in two places that disagree"
    DOUBLE = "a copy of another"
    GONE = "gone meanwhile"
    BEYOND = "older than what is needed"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message that is evidence; `delivered` in seconds since 1970."""

    entry: Entry
    evidence: AdoptionEvidence
    delivered: float
    content: str

    def read(self) -> bytes:
        """The raw message, wherever its reader renamed it to in its folder. OSError or GoneError if it is gone."""
        return _read(self.entry)[0]


@dataclass(slots=True)
class Survey:
    """What a mailbox has to say: who is heard, in the order of delivery, and how many are not, and why."""

    samples: tuple[Sample, ...] = ()
    messages: int = 0
    found: Counter[Label] = field(default_factory=Counter)
    """Of how many there is evidence, heard or not."""
    without: Counter[Without] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Paths, each with the reason."""
    unlabelled: list[Entry] = field(default_factory=list)
    """The newest of what lies in the inbox and says nothing: unread, or not old enough."""

    def counts(self) -> Counter[AdoptionEvidence]:
        """How many are heard, by their evidence."""
        return Counter(one.evidence for one in self.samples)


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """What is known of the mailbox from elsewhere: content ids."""

    filed: Collection[str] = ()
    """What the filter itself put into the junk folder."""
    said: Collection[str] = ()
    """What the user himself said something of."""


def adoption_evidence(place: FolderRole, flags: str, *, age: float) -> AdoptionEvidence | None:
    """What a folder, the flags there and the age in seconds say of a message."""
    if place is FolderRole.IGNORED or "T" in flags or "D" in flags:
        return None
    if place is FolderRole.JUNK:
        return None if "R" in flags or "F" in flags else AdoptionEvidence.JUNK
    if "R" in flags:
        return AdoptionEvidence.ANSWERED
    if "F" in flags:
        return AdoptionEvidence.FLAGGED
    if "S" not in flags:
        return None
    if place is FolderRole.FILED:
        return AdoptionEvidence.FILED
    return AdoptionEvidence.KEPT if age >= MONTH else None


@dataclass(frozen=True, slots=True)
class FolderNames:
    """What the configuration calls the junk folder, and which further folders say nothing."""

    junk: str = AUTO
    ignore_folders: tuple[str, ...] = ()


def survey_mailbox(
    mailbox: OpenMaildir,
    *,
    names: FolderNames,
    known: KnownLabels,
    now: float,
    most: int = MOST,
    progress: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Look through all folders of a Maildir; an OSError if its inbox cannot be looked at.

    The messages found are read by way of `home`, which stays open for as long as they are used.
    Heard are the newest `most`, as many of either kind where there are, and never much more of one. Nothing is changed.
    """
    most = max(most - len(known.said), 2)
    hearing = _Hearing(known, now)
    result = hearing.survey
    for number, (entry, place, stored) in enumerate(_newest_first(mailbox, names, result), start=1):
        progress(number)
        # A program that fetched it may have given it the date of that day, so that its age is asked of the mail itself.
        evidence = adoption_evidence(place, Name.parse(entry.name).flags, age=math.inf)
        if evidence is None:
            hearing.pass_over(entry, place)
        elif result.found[evidence.label] >= most or hearing.size[evidence.label] >= MOST_READ // 2:
            result.without[Without.BEYOND] += 1
        else:
            hearing.hear(entry, evidence, stored)
    result.samples = _balanced(list(hearing.heard.values()), most)
    result.without[Without.BEYOND] += len(hearing.heard) - len(result.samples)
    return result


class _Hearing:
    """Reads what may be evidence, and tells what is."""

    def __init__(self, known: KnownLabels, now: float) -> None:
        self.survey = Survey()
        self.heard: dict[str, Sample] = {}
        self.size: Counter[Label] = Counter()
        """Bytes of what is heard, as far as they would be kept."""
        self._known = known
        self._now = now
        self._disputed: set[str] = set()

    def pass_over(self, entry: Entry, place: FolderRole) -> None:
        """One message that says nothing."""
        self.survey.without[Without.EVIDENCE] += 1
        if place is FolderRole.INBOX and len(self.survey.unlabelled) < UNLABELLED:
            self.survey.unlabelled.append(entry)

    def hear(self, entry: Entry, evidence: AdoptionEvidence, stored: float) -> None:
        """One message that is evidence by where it lies, if it is old enough."""
        try:
            raw, here = _read(entry)
        except GoneError:
            self.survey.without[Without.GONE] += 1
            return
        except OSError as error:
            self.survey.unreadable.append((entry.path, reason_of(error)))
            return
        delivered, content = arrived(raw, stored=stored), content_id(raw)
        if evidence is AdoptionEvidence.KEPT and self._now - delivered < MONTH:
            self.pass_over(here, FolderRole.INBOX)
            return
        reason = self._unheard(content, evidence, raw)
        if reason is not None:
            self.survey.without[reason] += 1
            return
        self.heard[content] = Sample(here, evidence, delivered, content)
        self.survey.found[evidence.label] += 1
        self.size[evidence.label] += min(len(raw), MOST_KEPT)

    def _unheard(self, content: str, evidence: AdoptionEvidence, raw: bytes) -> Without | None:
        # What carries our headers and is not in the journal was filed by us all the same: the journal does not last.
        if evidence is AdoptionEvidence.JUNK and (content in self._known.filed or is_tagged(raw)):
            return Without.OURS
        if content in self._known.said:
            return Without.SAID
        before = self.heard.get(content)
        if before is not None and before.evidence.label is evidence.label:
            return Without.DOUBLE
        if before is not None:
            self._disputed.add(content)
            del self.heard[content]
            self.survey.found[before.evidence.label] -= 1
            self.survey.without[Without.DISPUTED] += 1
        return Without.DISPUTED if content in self._disputed else None


def _balanced(samples: Sequence[Sample], most: int) -> tuple[Sample, ...]:
    """The newest of either kind, as many as may be heard, in the order of delivery."""
    newest = sorted(samples, key=lambda one: (one.delivered, one.entry.name), reverse=True)
    ham = [one for one in newest if one.evidence.label is Label.HAM]
    spam = [one for one in newest if one.evidence.label is Label.SPAM]
    n_ham, n_spam = balance(len(ham), len(spam), most=most)
    return tuple(sorted(ham[:n_ham] + spam[:n_spam], key=lambda one: (one.delivered, one.entry.name)))


def balance(ham: int, spam: int, *, most: int) -> tuple[int, int]:
    """How many ham and spam are heard, where there are so many and `most` may be: half of each, or what there is."""
    ham, spam = min(ham, HAM_FOR_SPAM * spam), min(spam, SPAM_FOR_HAM * ham)
    half = most // 2
    return min(ham, max(half, most - spam)), min(spam, max(half, most - ham))


def _newest_first(
    mailbox: OpenMaildir, names: FolderNames, result: Survey
) -> Iterator[tuple[Entry, FolderRole, float]]:
    listed: list[tuple[Entry, FolderRole, float]] = []
    for folder in folders(mailbox):
        place = role_of(folder.name, junk=names.junk, ignore_folders=names.ignore_folders)
        opened = mailbox.folder(folder.name)
        try:
            listed += [(entry, place, stored) for entry, stored in _dated(opened)]
        except OSError as error:
            result.unreadable.append((opened.path, reason_of(error)))
    result.messages = len(listed)
    yield from sorted(listed, key=lambda found: (found[2], found[0].name), reverse=True)


def _dated(folder: OpenFolder) -> Iterator[tuple[Entry, float]]:
    """The messages of a folder with the dates of their files; those that are too large to be judged are left out."""
    for entry in folder.messages():
        with contextlib.suppress(FileNotFoundError):  # its reader renamed it just now
            status = entry.status()
            if status.st_size <= MOST_MAIL_BYTES:
                yield entry, status.st_mtime


def _read(entry: Entry) -> tuple[bytes, Entry]:
    try:
        try:
            return message_file.read_message(entry, most=MOST_MAIL_BYTES)[0], entry
        except GoneError:
            for now in entry.folder.find(Name.parse(entry.name).base):
                return message_file.read_message(now, most=MOST_MAIL_BYTES)[0], now
            raise
    except TooLargeError as error:
        raise OSError(errno.EFBIG, str(error), entry.path) from error
