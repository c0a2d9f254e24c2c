"""The reader of the folders of one Maildir: records what changed since the last visit, and compares the files of each
changed message, to infer labels.

Terms:
- A visit lists the folders of one Maildir to find what its user did with the mail since the last visit.
- The journal records the acts (changes of messages) of this program. Other changes were made by the user.
- The mailbox state is the database with the folders, files and messages as seen by the last visit.
- A message is settled when its files, before and now, have been compared by the rule in `tracking.rule`. All folders
  are listed before the first message is settled, because a move changes two folders.
- A pending label is inferred and recorded in the mailbox state, but not yet added to the label store.
- The base of a file is the hash of its base name, which stays unchanged when the flags of the file change.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from spamlstm.filtering.journal import MOST_COPIES, Journal
from spamlstm.learning.label import Label
from spamlstm.maildir.content_id import content_id, former_content_id
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence, FileMark
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.message_file import StoredMessage
from spamlstm.maildir.names import named_at
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.tracking.history import HistoryReader, key_of
from spamlstm.tracking.imports import MOST_MOVED, Imports
from spamlstm.tracking.listing import ListedFile, chunks, compare_listing, list_files, read_listed
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.pending_labels import PendingLabels, Settlement
from spamlstm.tracking.rule import MOVE_SECONDS, FoundCopy, Inference, KnownCopy, infer_label
from spamlstm.tracking.state import (
    CopyStatus,
    FlagSet,
    JournalPosition,
    KnownFolder,
    Pending,
    TrackedFile,
    TrackedMessage,
)
from spamlstm.tracking.visit_work import FolderVisit, VisitWork, settled_times
from spamlstm.verdict import Verdict

# The most messages read, and names recorded, in one step. Most steps take a few milliseconds.
READS, NAMES = 16, 2000
# A step ends after it has read this number of bytes, which takes 0.1 s, because new mail waits during a step.
STEP_BYTES = 16 << 20
# The content id that is recorded for an unreadable file, so that the file is not read at each visit.
NO_CONTENT = "00"
_Item = TypeVar("_Item")


class FolderReader:
    """A reader of folders. Its methods are generators that yield after each step of some milliseconds.

    Only the thread that opened the journal may use an instance.
    """

    def __init__(
        self, *, mailbox_state: MailboxState, journal: Journal, labels: PendingLabels, clock: Callable[[], float]
    ) -> None:
        self._state = mailbox_state
        self._journal = journal
        self._histories = HistoryReader(mailbox_state=mailbox_state, journal=journal)
        self._labels = labels
        self._clock = clock
        self._imports = Imports(clock)
        self._step_bytes = 0  # bytes read in the current step

    def shared_names(self, folder: OpenFolder, known: KnownFolder) -> int:
        """Return how many recorded files of `known` are in a folder, or 0 if the folder cannot be read."""
        with PassingOver():
            return len(self._state.flags(known.id).keys() & {file.base for file in list_files(folder)})
        return 0

    def list_changes(self, visit: FolderVisit, work: VisitWork, *, first: bool) -> Iterator[None]:
        """List a folder and record which files are gone; yields between steps. New and changed files go to `work`.

        `first` is true at the first visit of the Maildir. The existing files are then only recorded.
        """
        # A message that left another folder may have arrived in this folder after the visit began.
        known, folder = visit.known, visit.latest() if work.gone else visit.folder
        if (known.folder.new_ns, known.folder.cur_ns) == (folder.new_ns, folder.cur_ns):
            return
        difference = None
        if known.folder.cur_ns == folder.cur_ns:  # only `new` has changed, and `new` has few files
            difference = compare_listing(visit.opened, self._state.flags(known.id, new=True), ("new",))
        if difference is None or difference.gone:
            # A file that is missing in `new` may have been moved to `cur` in the meantime.
            difference = compare_listing(visit.opened, self._state.flags(known.id))
        yield
        work.gone |= difference.gone
        yield from self._record_gone(visit, difference.gone)
        yield from self._record_changed(visit, difference.changed, work)
        yield from self._add_arrived(visit, difference.arrived, work, first=first)

    def list_arrivals(self, visit: FolderVisit, work: VisitWork) -> Iterator[None]:
        """List the files that came to a folder since `list_changes`; yields between steps."""
        if visit.latest() != settled_times(visit.folder, now=self._clock()):
            listed = self._state.flags(visit.known.id).keys() | work.bases(visit)
            arrived = {file.base: file for file in list_files(visit.opened) if file.base not in listed}
            yield
            yield from self._add_arrived(visit, list(arrived.values()), work)

    def _add_arrived(
        self, visit: FolderVisit, arrived: Sequence[ListedFile], work: VisitWork, *, first: bool = False
    ) -> Iterator[None]:
        if visit.known.role is FolderRole.JUNK and not first:
            self._imports.add(visit.mailbox.path, len(arrived))
        if first or (visit.is_new and len(arrived) > MOST_MOVED):
            yield from self._record_unread(visit.known, arrived)
        else:
            work.arrived.append((visit, arrived))

    def read_arrived(self, work: VisitWork) -> Iterator[None]:
        """Read the new files in `work` and record them; yields between steps."""
        for visit, arrived in work.arrived:
            for chunk in self._steps(arrived):
                with self._state.change():
                    for listed in chunk:
                        self._read_one(visit, listed, work)
                yield

    def read_again(self, visit: FolderVisit) -> Iterator[None]:
        """Read files whose content ids are unknown or former; yields between steps.

        These are the files that were in the junk folder before the first visit, because a message can be recognised
        after it left the junk folder only if its content id was recorded, and the files that an earlier version of this
        program recorded.
        """
        unread = self._state.unread(visit.known.id) if visit.known.role is FolderRole.JUNK else set()
        former = self._state.former(visit.known.id) if self._state.has_former else set()
        bases = unread | former
        if not bases:
            return
        for chunk in self._steps([file for file in list_files(visit.opened) if file.base in bases]):
            with self._state.change():
                for listed in chunk:
                    stored = self._stored(visit.opened, listed)
                    content = NO_CONTENT if stored is None else content_id(stored.content)
                    file = self._state.file(visit.known, listed.base)
                    if file is not None and stored is not None and file.content is not None:
                        self._state.renew(file.content, content)
                        self._journal.renew(visit.mailbox.path, file.content, content)
                    elif file is not None:
                        evidence = UNKNOWN_FILE if stored is None else FileEvidence.of(listed.name, stored)
                        self._state.put_files([replace(file, content=content, evidence=evidence)])
            yield

    def settle(self, mailbox: OpenMaildir, work: VisitWork) -> Iterator[None]:
        """Compare the files of each changed message, and record the results; yields between steps."""
        contents = work.contents | self._state.unsettled(mailbox.path)
        since = self._histories.reflected(mailbox.path)
        for chunk in chunks(sorted(contents), READS):
            settlements = [self._settled(mailbox.path, content, work, since) for content in chunk]
            found = [one for one in settlements if one is not None]
            yield from self._labels.record_and_add(mailbox.path, found)

    def _record_gone(self, visit: FolderVisit, bases: Iterable[int]) -> Iterator[None]:
        for chunk in chunks(sorted(bases), NAMES):
            with self._state.change():
                for base in chunk:
                    file = self._state.file(visit.known, base)
                    if file is None or file.content in (None, NO_CONTENT) or file.flags & FlagSet.DELETED:
                        self._state.drop_file(visit.known.id, base)
                        if file is not None and file.content is None and visit.known.role is not FolderRole.JUNK:
                            self._imports.add(visit.mailbox.path, -1)
                    else:
                        self._state.put_files([replace(file, flags=file.flags | FlagSet.GONE)])
            yield

    def _record_changed(
        self, visit: FolderVisit, changed: Sequence[tuple[ListedFile, FlagSet]], work: VisitWork
    ) -> Iterator[None]:
        for chunk in self._steps(changed):
            with self._state.change():
                for listed, before in chunk:
                    self._record_flags(visit, listed, before, work)
            yield

    def _record_flags(self, visit: FolderVisit, listed: ListedFile, before: FlagSet, work: VisitWork) -> None:
        """Record new flags of a file. If they matter for its message, the file goes to `work` instead."""
        file = self._state.file(visit.known, listed.base)
        if file is None:
            return
        answered = bool(listed.flags & ~before & FlagSet.ANSWERED)
        deleted = bool((listed.flags ^ before) & FlagSet.DELETED)
        if file.content is None and (answered or (deleted and before & FlagSet.DELETED)):
            stored = self._stored(visit.opened, listed)
            if stored is None:
                return  # the next visit tries again
            file = replace(file, content=content_id(stored.content), evidence=FileEvidence.of(listed.name, stored))
            self._state.put_files([file])
        after = replace(file, flags=listed.flags)
        if file.content in (None, NO_CONTENT) or not (answered or deleted or file.status is CopyStatus.UNFILED):
            self._state.put_files([after])
            return
        assert file.content is not None  # noqa: S101  checked above
        key = key_of(visit.known, file)
        work.changed[key] = after
        work.contents.add(file.content)
        if answered:
            work.answered.add(key)

    def _record_unread(self, known: KnownFolder, arrived: Sequence[ListedFile]) -> Iterator[None]:
        for chunk in chunks(arrived, NAMES):
            with self._state.change():
                self._state.put_files(TrackedFile(known.id, one.base, one.flags, None) for one in chunk)
            yield

    def _read_one(self, visit: FolderVisit, listed: ListedFile, work: VisitWork) -> None:
        maildir, known = visit.mailbox.path, visit.known
        back = self._state.file(known, listed.base)
        if back is not None and back.content is not None:
            # The last listing missed the file.
            self._state.put_files([replace(back, flags=listed.flags)])
            return
        stored = self._stored(visit.opened, listed)
        if stored is None:
            return  # the file was removed or is unreadable; the next visit tries again
        raw, content = stored.content, content_id(stored.content)
        if self._state.has_former:
            self._state.renew(former_content_id(raw), content)
        if self._journal.has_former:
            self._journal.renew(maildir, former_content_id(raw), content)
        is_known = bool(self._state.copies(maildir, content) or self._state.departures(maildir, content))
        # New mail may be moved before a visit finds it. A message that was classified long ago may come from a backup.
        is_junk = known.role is FolderRole.JUNK
        is_known = is_known or (
            is_junk and self._journal.has_judged(maildir, content, since=self._clock() - MOVE_SECONDS)
        )
        # Unknown messages that arrive in bulk, and all that arrive with their folder, get no label.
        is_bulk = not is_known and self._imports.is_running(maildir)
        is_import = is_junk and (is_bulk or visit.came_with(listed))
        if is_junk and is_known:
            self._imports.take_back(maildir)
        status = CopyStatus.SETTLED if is_import else CopyStatus.ARRIVED
        evidence = FileEvidence.of(listed.name, stored)
        file = TrackedFile(known.id, listed.base, listed.flags, content, status, self._clock(), evidence)
        self._state.put_files([file])
        if not is_import and (is_known or is_junk):
            work.keep(content, raw)
            if listed.base not in work.gone and not self._state.is_elsewhere(known, listed.base):
                work.named[key_of(known, file)] = named_at(listed.name)

    def _settled(self, maildir: str, content: str, work: VisitWork, since: JournalPosition) -> Settlement | None:
        """Return the result of a comparison, or None if the message is not compared now.

        A message that this program or its user may have moved while the folders were read is compared at the next
        visit. A message with too many files is never compared.
        """
        time, now = self._clock(), {}
        gone: list[TrackedFile] = []
        deleted: list[TrackedFile] = []
        copies = self._state.copies(maildir, content)
        if len(copies) > MOST_COPIES:
            with self._state.change():
                self._state.put_files(file for file in work.changed.values() if file.content == content)
                self._state.settle_all(maildir, content)
            return None
        for folder, before in copies:
            key = key_of(folder, before)
            file = work.changed.get(key, before)
            if before.flags & FlagSet.GONE:
                gone.append(before)
            elif file.flags & FlagSet.DELETED:
                deleted.append(replace(file, status=CopyStatus.SETTLED))
            else:
                came = before.status is CopyStatus.ARRIVED or bool(before.flags & FlagSet.DELETED)
                answered = key in work.answered or (came and bool(file.flags & FlagSet.ANSWERED))
                is_read = bool(file.flags & FlagSet.SEEN)
                now[key] = file, FoundCopy(key, folder.role, is_read, answered, file.evidence, work.named.get(key))
        known = self._histories.history(maildir, content, now=now.keys(), time=time, since=since)
        if known.act > work.position.act or (known.is_recent and not now and not deleted):
            return None
        message = self._state.message(maildir, content)
        is_junk = any(copy.role is FolderRole.JUNK for _, copy in now.values())
        found = [found for _, found in now.values()]
        has_label = message is not None and message.label is not None
        tagged = is_junk and not has_label and self._is_tagged(maildir, content, found)
        infer = partial(infer_label, time=time, visited=work.visited, tagged=tagged)
        inferred = infer(known.history, found)
        if inferred.label is Label.HAM and (
            work.is_discarded(content, before=known.history, now=found)
            or self._histories.is_restored(maildir, content, before=known.history, now=now.keys())
        ):
            inferred = infer(known.history, found, is_discarded=True)
        files = [_recorded(now[copy.key], copy) for copy in inferred.history.copies]
        after = _message(content, inferred, message, known.act)
        raw = work.raws.get(content, b"") if after is not None and after.pending else b""
        left = inferred.history.departures
        departures = left if left != known.history.departures else None
        return Settlement(content, (*files, *deleted), tuple(gone), departures, after, raw)

    def _is_tagged(self, maildir: str, content: str, found: Iterable[FoundCopy]) -> bool:
        """Return whether a mail rule may have moved a message by the headers of this program.

        This program may have tagged the message in its Maildir, or for a mail server or a pipe that delivered it.
        Headers in a message that was last classified as anything but spam are forged.
        """
        last = self._journal.last_act(maildir, content)
        if last is not None:
            return last.flagged
        is_tagged = any(FileMark.TAGGED_AS_SPAM in copy.evidence.marks for copy in found)
        return is_tagged and self._journal.last_verdict(maildir, content) in (None, Verdict.SPAM)

    def _steps(self, items: Iterable[_Item]) -> Iterator[Iterator[_Item]]:
        """Yield one portion of the items for each step. The caller must exhaust a portion before it takes the next."""
        left = deque(items)
        while left:
            yield self._step(left)

    def _step(self, left: deque[_Item]) -> Iterator[_Item]:
        self._step_bytes = 0
        for _ in range(READS):
            if not left or self._step_bytes > STEP_BYTES:
                return
            yield left.popleft()

    def _stored(self, folder: OpenFolder, file: ListedFile) -> StoredMessage | None:
        stored = read_listed(folder, file)
        self._step_bytes += len(stored.content) if stored else 0
        return stored


def _recorded(now: tuple[TrackedFile, FoundCopy], copy: KnownCopy) -> TrackedFile:
    """Return the record of a file after a comparison."""
    file, found = now
    status = CopyStatus.MOVED if copy.was_moved else CopyStatus.SETTLED
    if found.role is not copy.role:
        status = CopyStatus.UNFILED
    elif copy.is_open:
        status = CopyStatus.OPEN
    return replace(file, status=status, since=copy.since)


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
