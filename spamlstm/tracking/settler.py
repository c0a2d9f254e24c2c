"""The settler of messages, which compares the files of each changed message, before and now, to infer labels.

A label is first recorded in the mailbox state as pending, and then added to the label store.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from spamlstm.filtering.journal import MOST_COPIES, Journal
from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import FileMark
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.history import HistoryReader, key_of
from spamlstm.tracking.listing import chunks
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.pending_labels import PendingLabels, Settlement
from spamlstm.tracking.rule import CopyKey, FoundCopy, Inference, KnownCopy, infer_label, status_of
from spamlstm.tracking.state import (
    CopyStatus,
    FlagSet,
    JournalPosition,
    KnownFolder,
    Pending,
    TrackedFile,
    TrackedMessage,
)
from spamlstm.tracking.visit_work import VisitWork
from spamlstm.verdict import Verdict

# The most messages that are compared in one step, which takes a few milliseconds.
MOST_COMPARED = 16


@dataclass(slots=True)
class _Files:
    """The recorded files of one message, by what a visit has found."""

    here: dict[CopyKey, tuple[TrackedFile, FoundCopy]] = field(default_factory=dict)
    """The files that the folders have, each also as the rule compares it."""
    deleted: list[TrackedFile] = field(default_factory=list)
    """Files that are flagged as deleted. They are settled without a comparison."""
    gone: list[TrackedFile] = field(default_factory=list)
    """Files that left their folders."""


class Settler:
    """A settler of messages. Only the thread that opened the journal may use an instance."""

    def __init__(
        self, *, mailbox_state: MailboxState, journal: Journal, labels: PendingLabels, clock: Callable[[], float]
    ) -> None:
        self._state = mailbox_state
        self._journal = journal
        self._histories = HistoryReader(mailbox_state=mailbox_state, journal=journal)
        self._labels = labels
        self._clock = clock

    def settle(self, mailbox: OpenMaildir, work: VisitWork) -> Iterator[None]:
        """Compare the files of each changed message, and record the results; yields between steps."""
        contents = work.contents | self._state.unsettled(mailbox.path)
        since = self._histories.reflected(mailbox.path)
        for chunk in chunks(sorted(contents), MOST_COMPARED):
            settlements = [self._settled(mailbox.path, content, work, since) for content in chunk]
            found = [one for one in settlements if one is not None]
            yield from self._labels.record_and_add(mailbox.path, found)

    def _settled(self, maildir: str, content: str, work: VisitWork, since: JournalPosition) -> Settlement | None:
        """Return the result of a comparison, or None if the message is not compared now.

        A message that this program or its user may have moved while the folders were read is compared at the next
        visit. A message with too many files is never compared.
        """
        time = self._clock()
        copies = self._state.copies(maildir, content)
        if len(copies) > MOST_COPIES:
            self._give_up(maildir, content, work)
            return None
        files = _files(copies, work)
        known = self._histories.history(maildir, content, now=files.here.keys(), time=time, since=since)
        if known.act > work.position.act or (known.is_recent and not files.here and not files.deleted):
            return None
        message = self._state.message(maildir, content)
        found = [copy for _, copy in files.here.values()]
        has_label = message is not None and message.label is not None
        tagged = not has_label and self._is_tagged(maildir, content, found)
        infer = partial(infer_label, known.history, found, time=time, visited=work.visited, tagged=tagged)
        inferred = infer()
        if inferred.label is Label.HAM and (
            work.is_discarded(content, before=known.history, now=found)
            or self._histories.is_restored(maildir, content, before=known.history, now=files.here.keys())
        ):
            inferred = infer(is_discarded=True)
        recorded = [_recorded(files.here[copy.key], copy) for copy in inferred.history.copies]
        after = _message(content, inferred, message, known.act)
        raw = work.raws.get(content, b"") if after is not None and after.pending else b""
        left = inferred.history.departures
        departures = left if left != known.history.departures else None
        return Settlement(content, (*recorded, *files.deleted), tuple(files.gone), departures, after, raw)

    def _give_up(self, maildir: str, content: str, work: VisitWork) -> None:
        """Record that the files of a message need not be compared, because there are too many."""
        with self._state.change():
            self._state.put_files(file for file in work.changed.values() if file.content == content)
            self._state.settle_all(maildir, content)

    def _is_tagged(self, maildir: str, content: str, found: Collection[FoundCopy]) -> bool:
        """Return whether a mail rule may have moved a message to the junk folder by the headers of this program.

        This program may have tagged the message in its Maildir, or for a mail server or a pipe that delivered it.
        Headers in a message that was last classified as anything but spam are forged.
        """
        if all(copy.role is not FolderRole.JUNK for copy in found):
            return False
        last = self._journal.last_act(maildir, content)
        if last is not None:
            return last.flagged
        is_tagged = any(FileMark.TAGGED_AS_SPAM in copy.evidence.marks for copy in found)
        return is_tagged and self._journal.last_verdict(maildir, content) in (None, Verdict.SPAM)


def _files(copies: Iterable[tuple[KnownFolder, TrackedFile]], work: VisitWork) -> _Files:
    """Return the files of one message. `copies` are their records, without the new flags that the visit has found."""
    files = _Files()
    for folder, before in copies:
        key = key_of(folder, before)
        file = work.changed.get(key, before)
        if before.flags & FlagSet.GONE:
            files.gone.append(before)
        elif file.flags & FlagSet.DELETED:
            files.deleted.append(replace(file, status=CopyStatus.SETTLED))
        else:
            came = before.status is CopyStatus.ARRIVED or bool(before.flags & FlagSet.DELETED)
            answered = key in work.answered or (came and bool(file.flags & FlagSet.ANSWERED))
            is_read = bool(file.flags & FlagSet.SEEN)
            copy = FoundCopy(key, folder.role, is_read, answered, file.evidence, work.named.get(key))
            files.here[key] = file, copy
    return files


def _recorded(now: tuple[TrackedFile, FoundCopy], copy: KnownCopy) -> TrackedFile:
    """Return the record of a file after a comparison."""
    file, found = now
    return replace(file, status=status_of(copy, found.role), since=copy.since)


def _message(content: str, inferred: Inference, before: TrackedMessage | None, act: int) -> TrackedMessage | None:
    """Return the new record of a message, or None if there is nothing to record.

    `act` is the number of the last act since the last comparison, or 0.
    """
    if inferred.label is None and not act:
        return None
    roles = [copy.role for copy in inferred.history.copies]
    role = FolderRole.JUNK if FolderRole.JUNK in roles else roles[0] if roles else FolderRole.INBOX
    label = before.label if before else None
    pending = before.pending if before else Pending.NOTHING
    return TrackedMessage(
        content, role, act or (before.act if before else 0), inferred.label or label, inferred.pending or pending
    )
