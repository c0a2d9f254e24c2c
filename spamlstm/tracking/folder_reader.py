"""The reader of the folders of one Maildir, which records what changed since the last visit.

Terms:
- A visit lists the folders of one Maildir to find what its user did with the mail since the last visit.
- The journal records the acts (changes of messages) of this program. Other changes were made by the user.
- The mailbox state is the database with the folders, files and messages as seen by the last visit.
- A message is settled when its files, before and now, have been compared (see `tracking.settler`). All folders are
  listed before the first message is settled, because a move changes two folders.
- The base of a file is the hash of its base name, which stays unchanged when the flags of the file change.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from spamlstm.filtering.journal import Journal
from spamlstm.maildir.content_id import content_id, former_content_ids
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.message_file import StoredMessage
from spamlstm.maildir.names import named_at
from spamlstm.maildir.opened import OpenFolder
from spamlstm.tracking.history import key_of
from spamlstm.tracking.imports import MOST_MOVED, Imports
from spamlstm.tracking.listing import ListedFile, chunks, compare_listing, list_files, read_listed
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.rule import MOVE_SECONDS
from spamlstm.tracking.state import CopyStatus, FlagSet, KnownFolder, TrackedFile
from spamlstm.tracking.visit_work import FolderVisit, VisitWork, settled_times

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

    def __init__(self, *, mailbox_state: MailboxState, journal: Journal, clock: Callable[[], float]) -> None:
        self._state = mailbox_state
        self._journal = journal
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
                        self._state.renew((file.content,), content)
                        self._journal.renew(visit.mailbox.path, (file.content,), content)
                    elif file is not None:
                        evidence = UNKNOWN_FILE if stored is None else FileEvidence.of(listed.name, stored)
                        self._state.put_files([replace(file, content=content, evidence=evidence)])
            yield

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
            self._state.renew(former_content_ids(raw), content)
        if self._journal.has_former:
            self._journal.renew(maildir, former_content_ids(raw), content)
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
