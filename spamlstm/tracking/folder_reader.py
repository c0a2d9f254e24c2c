"""The reader of one folder: compares the folder with the last listing and infers labels from the differences.

Terms:
- A visit lists the folders of one Maildir to find what its user did with the mail since the last visit.
- The journal records the acts (changes of messages) of this program. Other changes were made by the user.
- The mailbox state is the database with the folders, files and messages as seen by the last visit.
- A pending label is inferred and recorded in the mailbox state, but not yet added to the label store.
- The base of a file is the hash of its base name, which stays unchanged when the flags of the file change.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from spamlstm.filtering.inbox import is_settled
from spamlstm.filtering.journal import Journal
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import Folder, FolderRole
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.tracking.listing import ListedFile, chunks, compare_listing, list_files, read_listed
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.pending_labels import PendingLabels
from spamlstm.tracking.rule import NO_CONTENT, FileUpdate, file_update, updated_message
from spamlstm.tracking.state import FlagSet, KnownFolder, TrackedFile, TrackedMessage

# The largest number of messages read in one step, and of names recorded in one step. Most steps take a few
# milliseconds.
READS = 16
NAMES = 2000
# A step ends after it has read this number of bytes, which takes 0.1 s, because new mail waits during a step.
STEP_BYTES = 16 << 20
# If more messages than this arrive in one folder between two visits, they are treated as a bulk copy (a backup, a first
# sync) and not as messages that the user moved.
MOST_MOVED = 100

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class FolderVisit:
    """One folder during a visit: `known` is the folder when last read, `folder` is the folder now."""

    mailbox: OpenMaildir
    known: KnownFolder
    folder: Folder
    is_new: bool

    @property
    def opened(self) -> OpenFolder:
        """Return the opened folder."""
        return self.mailbox.folder(self.folder.name)


def settled_times(folder: Folder, *, now: float) -> Folder:
    """Return the folder with -1 in place of each modification time that is not settled.

    A time is not settled if it is so recent that a further change could give the folder an equal time.
    """
    new_ns, cur_ns = (ns if is_settled(ns, now=now) else -1 for ns in (folder.new_ns, folder.cur_ns))
    return replace(folder, new_ns=new_ns, cur_ns=cur_ns)


class FolderReader:
    """A reader of folders. Its methods are generators that yield after each step of some milliseconds.

    Only the thread that opened the journal may use an instance.
    """

    def __init__(
        self, *, mailbox_state: MailboxState, journal: Journal, labels: PendingLabels, clock: Callable[[], float]
    ) -> None:
        self._state = mailbox_state
        self._journal = journal
        self._labels = labels
        self._clock = clock
        self._step_bytes = 0  # bytes read in the current step

    def read(self, visit: FolderVisit, *, first: bool, gone: set[str]) -> Iterator[None]:
        """Read a folder, record its changes and infer labels; yields between steps.

        `first` is true at the first visit of the Maildir. The existing files are then only recorded. The content ids of
        removed files are added to `gone`.
        """
        known, folder = visit.known, visit.folder
        if (known.folder.new_ns, known.folder.cur_ns) != (folder.new_ns, folder.cur_ns):
            difference = None
            if known.folder.cur_ns == folder.cur_ns:  # only `new` has changed, and `new` has few files
                difference = compare_listing(visit.opened, self._state.flags(known.id, new=True), ("new",))
            if difference is None or difference.gone:
                # A file that is missing in `new` may have been moved to `cur` in the meantime.
                difference = compare_listing(visit.opened, self._state.flags(known.id))
            yield
            bulk = len(difference.arrived) > MOST_MOVED
            if first or (visit.is_new and bulk):
                yield from self._record_unread(known, difference.arrived)
            else:
                yield from self._read_arrived(visit, difference.arrived, bulk=bulk)
            yield from self._read_changed(visit, difference.changed, gone)
            yield from self._drop(known, difference.gone, gone)
            with self._state.change():
                self._state.update_folder(known, settled_times(folder, now=self._clock()), known.role)
        if known.role is FolderRole.JUNK:
            yield from self._read_junk(visit)

    def read_remaining(self, maildir: str, gone: Iterable[str]) -> Iterator[None]:
        """Infer labels for messages of which a file was removed; yields between steps.

        If a message still has a file in another folder, the role of this folder is the new role of the message. `gone`
        contains the content ids of the messages.
        """
        for contents in chunks(sorted(gone), READS):
            updates = [self._remaining(maildir, content) for content in contents]
            self._labels.record(maildir, [update for update in updates if update is not None])
            yield

    def _record_unread(self, known: KnownFolder, arrived: Sequence[ListedFile]) -> Iterator[None]:
        for chunk in chunks(arrived, NAMES):
            with self._state.change():
                self._state.put_files(TrackedFile(known.id, one.base, one.flags, None) for one in chunk)
            yield

    def _read_junk(self, visit: FolderVisit) -> Iterator[None]:
        """Read the messages that were in the junk folder before the first visit; yields between steps.

        A message can be recognized after it left the junk folder only if its content id was recorded.
        """
        unread = self._state.unread(visit.known.id)
        if not unread:
            return
        for chunk in self._steps([file for file in list_files(visit.opened) if file.base in unread]):
            with self._state.change():
                for file in chunk:
                    raw = self._bytes(visit.opened, file)
                    content = NO_CONTENT if raw is None else content_id(raw)
                    self._state.put_files([TrackedFile(visit.known.id, file.base, file.flags, content)])
                    if content != NO_CONTENT and self._state.message(visit.mailbox.path, content) is None:
                        act = self._journal.last_act(visit.mailbox.path, content)
                        message = TrackedMessage(content, FolderRole.JUNK, act=act.id if act else 0, moved=True)
                        self._state.put_message(visit.mailbox.path, message, now=self._clock())
            yield

    def _read_arrived(self, visit: FolderVisit, arrived: Sequence[ListedFile], *, bulk: bool) -> Iterator[None]:
        for chunk in self._steps(arrived):
            updates: list[FileUpdate] = []
            updated: dict[str, TrackedMessage] = {}
            for listed in chunk:
                raw = self._bytes(visit.opened, listed)
                if raw is None:
                    continue  # the file was removed or is unreadable; the next visit tries again
                content = content_id(raw)
                file = TrackedFile(visit.known.id, listed.base, listed.flags, content)
                message = updated.get(content) or self._state.message(visit.mailbox.path, content)
                answered = bool(listed.flags & FlagSet.ANSWERED)
                after = updated_message(
                    self._journal, visit.mailbox.path, file, message, visit.known.role, answered=answered, bulk=bulk
                )
                if after is not None:
                    updated[content] = after
                updates.append(file_update(file, after, raw))
                del raw  # otherwise two messages are in memory while the next message is read
            yield from self._labels.record_and_add(visit.mailbox.path, updates)

    def _read_changed(
        self, visit: FolderVisit, changed: Sequence[tuple[ListedFile, FlagSet]], gone: set[str]
    ) -> Iterator[None]:
        for chunk in self._steps(changed):
            updates = [self._changed(visit, listed, before, gone) for listed, before in chunk]
            yield from self._labels.record_and_add(visit.mailbox.path, [one for one in updates if one is not None])

    def _changed(self, visit: FolderVisit, listed: ListedFile, before: FlagSet, gone: set[str]) -> FileUpdate | None:
        """Return the update for a file with changed flags, or None if the file cannot be read any more."""
        content = self._state.content(visit.known.id, listed.base)
        answered = bool(listed.flags & FlagSet.ANSWERED and not before & FlagSet.ANSWERED)
        undeleted = bool(before & FlagSet.DELETED and not listed.flags & FlagSet.DELETED)
        raw = None
        if content is None and (answered or undeleted):
            raw = self._bytes(visit.opened, listed)
            content = content_id(raw) if raw is not None else None
        file = TrackedFile(visit.known.id, listed.base, listed.flags, content)
        if content is None:
            return FileUpdate(file)
        if listed.flags & FlagSet.DELETED:
            gone.add(content)
            return FileUpdate(file)
        message, role = self._state.message(visit.mailbox.path, content), visit.known.role
        after = updated_message(self._journal, visit.mailbox.path, file, message, role, earlier=role, answered=answered)
        if after is None or not after.pending:
            return FileUpdate(file, after)
        raw = raw if raw is not None else self._bytes(visit.opened, listed)
        return None if raw is None else file_update(file, after, raw)

    def _remaining(self, maildir: str, content: str) -> FileUpdate | None:
        message = self._state.message(maildir, content)
        copies = self._state.copies(maildir, content)
        if message is None or not copies or message.role in {known.role for known, _ in copies}:
            return None
        known, file = copies[0]
        after = updated_message(self._journal, maildir, file, message, known.role)
        return FileUpdate(file, after) if after is not None else None

    def _drop(self, known: KnownFolder, bases: Iterable[int], gone: set[str]) -> Iterator[None]:
        for chunk in chunks(sorted(bases), NAMES):
            with self._state.change():
                for base in chunk:
                    if (content := self._state.content(known.id, base)) is not None:
                        gone.add(content)
                    self._state.drop_file(known.id, base)
            yield

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

    def _bytes(self, folder: OpenFolder, file: ListedFile) -> bytes | None:
        raw = read_listed(folder, file)
        self._step_bytes += len(raw or b"")
        return raw
