"""What users do with their mail, read from where it lies, and turned into labels.

Nothing is watched here: what lies in the folders now is held against what lay there when they were last looked at and
what we did ourselves (the journal). So it makes no difference how often one looks, in which order, or after which
crash. What counts, and why: docs/decisions/0014-moves.md.
"""

import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from spamlstm.config import Config
from spamlstm.config.maildirs import section_of
from spamlstm.filtering.acts import LastAct
from spamlstm.filtering.crash_guard import CrashGuard
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.in_progress import labelling
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.log import emit, logger
from spamlstm.filtering.scan import is_settled
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.descriptors import RefusedError
from spamlstm.maildir.folders import Folder, FolderRole, folders, role_of
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError
from spamlstm.tracking.listing import ListedFile, chunks, compared, list_files, read_listed
from spamlstm.tracking.mailbox_state import DamagedStateError, MailboxState
from spamlstm.tracking.rule import Observation, infer_label
from spamlstm.tracking.state import FlagSet, KnownFolder, Pending, TrackedFile, TrackedMessage

# Messages that are read at a time, and names that are noted at a time: a few milliseconds each.
READS = 16
NAMES = 2000
# Of messages that are read together only those of at most this size are kept in memory until their labels are noted: 16
# MiB in all. Larger ones are read once more, one at a time.
KEPT_BYTES = 1 << 20
# No further message is read in one step after so many bytes, which take a tenth of a second: mail that comes in waits.
STEP_BYTES = 16 << 20
# More messages than this that nobody has seen before were brought (a backup, a first sync), not moved by hand.
BROUGHT = 100
# In place of the id of what cannot be read, so that it is not tried for ever: no message has it.
_NO_CONTENT = "00"

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A folder that is being read: as it was when last read, and as it is."""

    mailbox: OpenMaildir
    known: KnownFolder
    folder: Folder
    is_new: bool

    @property
    def maildir(self) -> str:
        return self.mailbox.path

    @property
    def opened(self) -> OpenFolder:
        return self.mailbox.folder(self.folder.name)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """One file, what is known of its message from now on (None: no news), and its bytes if there is a label."""

    file: TrackedFile
    message: TrackedMessage | None = None
    raw: bytes = b""


class Tracker:
    """Reads what users did, one Maildir after the other, in steps of some milliseconds. For the journal's thread."""

    def __init__(
        self,
        *,
        config: Config,
        mailbox_state: MailboxState,
        journal: Journal,
        label_stores: LabelStores,
        clock: Callable[[], float] = time.time,
        watch: Callable[[str, str, int], None] = lambda _maildir, _path, _which: None,
        open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
    ) -> None:
        """`watch` is told of each junk folder that is found: its Maildir, its cur and the inode of that.

        `open_maildir` opens the Maildir at a path for one visit.
        """
        self._open = open_maildir
        self._config = config
        self._mailbox_state = mailbox_state
        self._journal = journal
        self._label_stores = label_stores
        self._guard = CrashGuard(journal, clock=clock)
        self._clock = clock
        self._watch = watch
        # Of each Maildir in which all was read one number, by which to tell that nothing has changed since.
        self._rest: dict[str, int] = {}
        self._owing: set[str] = set()
        # Of what is noted of these something was found damaged.
        self._damaged: set[str] = set()
        # What was read in the step under way.
        self._step_bytes = 0

    def reconfigure(self, config: Config) -> None:
        """Go on with another configuration; not called between the steps of one round."""
        self._config = config
        self._rest.clear()

    def knows(self, maildir: str, content: str) -> bool:
        """As `Places.knows`; False if they cannot be asked now."""
        try:
            return self._mailbox_state.knows(maildir, content)
        except DamagedStateError as error:
            # Not while a look is under way: the next round begins anew.
            if maildir not in self._damaged:
                self._damaged.add(maildir)
                self._fail(maildir, error)
            return False
        except sqlite3.Error as error:
            self._fail(maildir, error)
            return False

    def round(self, present: Iterable[str]) -> Iterator[None]:
        """Look at these Maildirs; whoever asks for the next step decides when. What fails is told and tried again."""
        for maildir in present:
            try:
                self._mend(maildir)
                yield from self.look(maildir)
            except Exception as error:  # noqa: BLE001  whatever it is, the other Maildirs are not to blame
                self._fail(maildir, error)
                if isinstance(error, DamagedStateError):
                    self._damaged.add(maildir)
            yield

    def _mend(self, maildir: str) -> None:
        """Begin anew with a Maildir of which something noted was found damaged."""
        if maildir in self._damaged:
            self._mailbox_state.begin_anew(maildir)
            self._damaged.discard(maildir)
            self._rest.pop(maildir, None)
            self._owing.discard(maildir)

    def look(self, maildir: str) -> Iterator[None]:
        """Look at one Maildir, in steps. At the first look all that lies there is where it begins: nothing follows."""
        with self._open(maildir) as mailbox:
            yield from self._look(mailbox)

    def _look(self, mailbox: OpenMaildir) -> Iterator[None]:
        maildir = mailbox.path
        found = self._found(mailbox)
        for folder, which in found:
            if which is FolderRole.JUNK:
                self._watch(maildir, f"{mailbox.folder(folder.name).path}/cur", folder.inode)
        state = hash(tuple(found))
        if self._rest.get(maildir) == state:
            if maildir in self._owing:
                yield from self._settle(mailbox)
            return
        self._rest.pop(maildir, None)
        first = not self._mailbox_state.begun(maildir)
        shelves = self._begin(mailbox, found)
        yield
        gone: set[str] = set()
        for shelf in shelves:
            try:
                yield from self._read_shelf(shelf, first=first, gone=gone)
            except RefusedError as error:
                self._fail(maildir, error)  # the other folders are looked at
        for contents in chunks(sorted(gone), READS):
            departed = [self._weigh_departed(maildir, content) for content in contents]
            self._note(maildir, [one for one in departed if one is not None])
            yield
        yield from self._settle(mailbox)
        self._mailbox_state.tidy(maildir, now=self._clock())
        if all(self._is_settled(folder) for folder, _ in found):
            self._rest[maildir] = state

    def _found(self, mailbox: OpenMaildir) -> list[tuple[Folder, FolderRole]]:
        """The folders that say something; the junk folder last: of a message that lies in two it is what counts."""
        section = section_of(self._config.maildirs, Path(mailbox.path))
        if section is None:
            return []
        ignore_folders = self._config.learning.ignore_folders
        found = [
            (folder, role_of(folder.name, junk=section.junk, ignore_folders=ignore_folders))
            for folder in folders(mailbox)
        ]
        return sorted(
            ((folder, which) for folder, which in found if which is not FolderRole.IGNORED),
            key=lambda one: one[1] is FolderRole.JUNK,
        )

    def _fail(self, maildir: str, error: Exception) -> None:
        self._label_stores.status.failed += 1
        kind, why = kind_of(error), sentence(error)
        if kind == FailureKind.BUG:
            why = type(error).__name__  # what else it says may be words of a message
            logger.error("bug: the moves in a Maildir are looked at again later", exc_info=error)
        emit(logging.WARNING, "moves-failed", maildir=maildir, kind=kind, error=why)

    # --- folders ----------------------------------------------------------------------------------------------------

    def _begin(self, mailbox: OpenMaildir, found: Sequence[tuple[Folder, FolderRole]]) -> list[_Shelf]:
        """The folders as last read beside what they are now.

        A folder that was renamed is known by its cur. One that has become of another kind (a rename to Junk, another
        word in the configuration) takes its messages along: nobody has moved them.
        """
        shelves, maildir = [], mailbox.path
        with self._mailbox_state.change():
            self._mailbox_state.begin(maildir, now=self._clock())
            before = {known.folder.name: known for known in self._mailbox_state.folders(maildir)}
            here = {folder.name for folder, _ in found}
            lost = {known.folder.inode: known for name, known in before.items() if name not in here}
            for folder, which in found:
                known = before.get(folder.name) or lost.pop(folder.inode, None)
                is_new = known is None
                if known is None:
                    known = self._mailbox_state.add_folder(maildir, folder, which)
                elif (known.folder.name, known.kind) != (folder.name, which):
                    unread = replace(known.folder, name=folder.name)
                    if known.kind is not which:
                        unread = replace(unread, new_ns=-1, cur_ns=-1)
                    self._mailbox_state.note_folder(known, unread, which)
                    known = replace(known, folder=unread, kind=which)
                shelves.append(_Shelf(mailbox, known, folder, is_new))
            for known in lost.values():
                self._mailbox_state.drop_folder(known)
        return shelves

    def _read_shelf(self, shelf: _Shelf, *, first: bool, gone: set[str]) -> Iterator[None]:
        known, folder = shelf.known, shelf.folder
        if (known.folder.new_ns, known.folder.cur_ns) != (folder.new_ns, folder.cur_ns):
            # Where cur is as it was, what came or went lies in new, which is small.
            delivered = known.folder.cur_ns == folder.cur_ns
            difference = (
                compared(shelf.opened, self._mailbox_state.marks(known.id, new=True), ("new",)) if delivered else None
            )
            if difference is None or difference.gone:
                # What is gone from new may have gone to cur since.
                difference = compared(shelf.opened, self._mailbox_state.marks(known.id))
            yield
            many = len(difference.arrived) > BROUGHT
            if first or (shelf.is_new and many):
                yield from self._note_all(known, difference.arrived)
            else:
                yield from self._arrive(shelf, difference.arrived, brought=many)
            yield from self._change(shelf, difference.changed, gone)
            yield from self._leave(known, difference.gone, gone)
            settled = replace(folder, new_ns=self._settled(folder.new_ns), cur_ns=self._settled(folder.cur_ns))
            with self._mailbox_state.change():
                self._mailbox_state.note_folder(known, settled, known.kind)
        if known.kind is FolderRole.JUNK:
            yield from self._read_junk(shelf)

    def _is_settled(self, folder: Folder) -> bool:
        return -1 not in (self._settled(folder.new_ns), self._settled(folder.cur_ns))

    def _settled(self, changed_ns: int) -> int:
        """The time of a part if it is to be trusted, else one that none has."""
        return changed_ns if is_settled(changed_ns, now=self._clock()) else -1

    def _note_all(self, known: KnownFolder, arrived: Sequence[ListedFile]) -> Iterator[None]:
        for chunk in chunks(arrived, NAMES):
            with self._mailbox_state.change():
                self._mailbox_state.note_files(TrackedFile(known.id, one.base, one.marks, None) for one in chunk)
            yield

    def _read_junk(self, shelf: _Shelf) -> Iterator[None]:
        """What lay in the junk folder before we came is read too, so that it is known when it is taken out."""
        unread = self._mailbox_state.unread(shelf.known.id)
        if not unread:
            return
        for chunk in self._steps([one for one in list_files(shelf.opened) if one.base in unread]):
            with self._mailbox_state.change():
                for one in chunk:
                    raw = self._bytes(shelf.opened, one)
                    content = _NO_CONTENT if raw is None else content_id(raw)
                    self._mailbox_state.note_files([TrackedFile(shelf.known.id, one.base, one.marks, content)])
                    if content != _NO_CONTENT and self._mailbox_state.message(shelf.maildir, content) is None:
                        act = self._journal.last_act(shelf.maildir, content)
                        message = TrackedMessage(content, FolderRole.JUNK, act=act.id if act else 0, moved=True)
                        self._mailbox_state.note(shelf.maildir, message, now=self._clock())
            yield

    # --- files ------------------------------------------------------------------------------------------------------

    def _steps(self, items: Iterable[_Item]) -> Iterator[Iterator[_Item]]:
        """The items, so many at a time as one step may read; each part is used up before the next is asked for."""
        left = deque(items)
        while left:
            yield self._step(left)

    def _step(self, left: deque[_Item]) -> Iterator[_Item]:
        self._step_bytes = 0
        for _ in range(READS):
            if not left or self._step_bytes > STEP_BYTES:
                return
            yield left.popleft()

    def _bytes(self, folder: OpenFolder, one: ListedFile) -> bytes | None:
        raw = read_listed(folder, one)
        self._step_bytes += len(raw or b"")
        return raw

    def _arrive(self, shelf: _Shelf, arrived: Sequence[ListedFile], *, brought: bool) -> Iterator[None]:
        for chunk in self._steps(arrived):
            weighed: list[_Weighed] = []
            fresh: dict[str, TrackedMessage] = {}
            for one in chunk:
                raw = self._bytes(shelf.opened, one)
                if raw is None:
                    continue  # gone again, or unreadable: the next look tells
                content = content_id(raw)
                file = TrackedFile(shelf.known.id, one.base, one.marks, content)
                message = fresh.get(content) or self._mailbox_state.message(shelf.maildir, content)
                answered = bool(one.marks & FlagSet.ANSWERED)
                after = self._after(shelf.maildir, file, message, shelf.known.kind, answered=answered, brought=brought)
                if after is not None:
                    fresh[content] = after
                weighed.append(_weighed(file, after, raw))
                del raw  # or there are two in memory while the next one is read
            yield from self._note_and_say(shelf.maildir, weighed)

    def _change(self, shelf: _Shelf, changed: Sequence[tuple[ListedFile, FlagSet]], gone: set[str]) -> Iterator[None]:
        for chunk in self._steps(changed):
            weighed = [self._weigh_changed(shelf, one, before, gone) for one, before in chunk]
            yield from self._note_and_say(shelf.maildir, [one for one in weighed if one is not None])

    def _weigh_changed(self, shelf: _Shelf, one: ListedFile, before: FlagSet, gone: set[str]) -> _Weighed | None:
        """A file whose flags are others than before; None if it is gone meanwhile, as the next look tells."""
        content = self._mailbox_state.content(shelf.known.id, one.base)
        answered = bool(one.marks & FlagSet.ANSWERED and not before & FlagSet.ANSWERED)
        back = bool(before & FlagSet.DELETED and not one.marks & FlagSet.DELETED)
        raw = None
        if content is None and (answered or back):
            raw = self._bytes(shelf.opened, one)
            content = content_id(raw) if raw is not None else None
        file = TrackedFile(shelf.known.id, one.base, one.marks, content)
        if content is None:
            return _Weighed(file)
        if one.marks & FlagSet.DELETED:
            gone.add(content)
            return _Weighed(file)
        message = self._mailbox_state.message(shelf.maildir, content)
        kind = shelf.known.kind
        after = self._after(shelf.maildir, file, message, kind, lay=kind, answered=answered)
        if after is None or not after.pending:
            return _Weighed(file, after)
        raw = raw if raw is not None else self._bytes(shelf.opened, one)
        return None if raw is None else _weighed(file, after, raw)

    def _weigh_departed(self, maildir: str, content: str) -> _Weighed | None:
        """A message of which a file is gone: if another lies elsewhere, that is where it lies now."""
        message = self._mailbox_state.message(maildir, content)
        copies = self._mailbox_state.copies(maildir, content)
        if message is None or not copies or message.place in {known.kind for known, _ in copies}:
            return None
        known, file = copies[0]
        after = self._after(maildir, file, message, known.kind)
        return _Weighed(file, after) if after is not None else None

    def _leave(self, known: KnownFolder, bases: Iterable[int], gone: set[str]) -> Iterator[None]:
        for chunk in chunks(sorted(bases), NAMES):
            with self._mailbox_state.change():
                for base in chunk:
                    if (content := self._mailbox_state.content(known.id, base)) is not None:
                        gone.add(content)
                    self._mailbox_state.drop_file(known.id, base)
            yield

    # --- messages ---------------------------------------------------------------------------------------------------

    def _after(
        self,
        maildir: str,
        file: TrackedFile,
        message: TrackedMessage | None,
        now: FolderRole,
        *,
        lay: FolderRole | None = None,
        answered: bool = False,
        brought: bool = False,
    ) -> TrackedMessage | None:
        """What is known of a message that has a file in a folder of the kind `now`; None if that is no news.

        `lay` is where this file was when last seen: all there may be to know of mail never judged or moved.
        """
        content = file.content or _NO_CONTENT
        if file.marks & FlagSet.DELETED:
            return None
        act = self._journal.last_act(maildir, content)
        before = self._before(maildir, content, message, act) or lay
        ours = act is not None and act.flagged and (message is None or message.said is None)
        meant = infer_label(Observation(before, now, file.marks, answered=answered, ours=ours, brought=brought))
        if meant.label is None and message is None and FolderRole.JUNK not in (meant.place, before):
            return None  # the journal knows as much
        return TrackedMessage(
            content,
            meant.place,
            act=act.id if act else 0,
            moved=meant.place is not FolderRole.INBOX
            or before is FolderRole.JUNK
            or (message is not None and message.moved),
            said=meant.label or (message.said if message else None),
            pending=meant.pending or (message.pending if message else Pending.NOTHING),
        )

    def _before(
        self, maildir: str, content: str, message: TrackedMessage | None, act: LastAct | None
    ) -> FolderRole | None:
        """Where a message lay: where we last saw it, or put it since."""
        if act is not None and (message is None or act.id > message.act):
            return FolderRole.INBOX if act.folder == maildir else FolderRole.JUNK
        if message is not None:
            return message.place
        return FolderRole.INBOX if self._journal.knows(maildir, content) else None

    # --- labels -----------------------------------------------------------------------------------------------------

    def _note(self, maildir: str, weighed: Sequence[_Weighed]) -> None:
        """One transaction: what lies where, and what is owed for it; on disk, where there is a label in it."""
        news = [one.message for one in weighed if one.message is not None]
        owing = any(message.pending for message in news)
        with self._mailbox_state.change(durable=owing):
            self._mailbox_state.note_files(one.file for one in weighed)
            for message in news:
                self._mailbox_state.note(maildir, message, now=self._clock())
        if owing:
            self._owing.add(maildir)

    def _note_and_say(self, maildir: str, weighed: Sequence[_Weighed]) -> Iterator[None]:
        self._note(maildir, weighed)
        yield
        # Of two files of one message what followed last.
        for message, raw in {one.message.content: (one.message, one.raw) for one in weighed if one.message}.values():
            if message.pending and raw:
                self._say(maildir, message, raw)
                yield

    def _settle(self, mailbox: OpenMaildir) -> Iterator[None]:
        """Say what is still owed: after a crash, or as the label store could not be used."""
        maildir = mailbox.path
        self._owing.discard(maildir)
        for message in self._mailbox_state.pending(maildir):
            raw = self._find(mailbox, message.content)
            if raw is None:
                # Removed since, and with it all there was to learn from; or moved, and the next look finds it.
                if not self._mailbox_state.copies(maildir, message.content):
                    self._paid(maildir, message)
            elif not self._say(maildir, message, raw):
                return
            del raw  # as in _arrive
            yield

    def _say(self, maildir: str, message: TrackedMessage, raw: bytes) -> bool:
        """Say what is owed; False if that is impossible now."""
        label = message.said
        assert label is not None  # noqa: S101  it is owed
        self._guard.model = self._label_stores.model
        item = labelling(maildir, message.content)
        if self._guard.is_set_aside(item):
            why = "the program ended twice while it learned this message"
            emit(logging.WARNING, "not-learned", maildir=maildir, id=message.content, error=why)
            self._paid(maildir, message)
            return True
        try:
            wanted = message.pending is Pending.ALWAYS or self._label_stores.label(maildir, message.content) is None
            with self._guard.attempt(item):
                new = wanted and self._label_stores.add_label(maildir, raw, label)
        except StoreUnavailableError:
            self._owing.add(maildir)
            return False
        self._paid(maildir, message)
        level = logging.INFO if new else logging.DEBUG
        emit(level, "learned", maildir=maildir, id=message.content, label=label, place=message.place)
        return True

    def _paid(self, maildir: str, message: TrackedMessage) -> None:
        with self._mailbox_state.change():
            self._mailbox_state.paid(maildir, message.content)

    def _find(self, mailbox: OpenMaildir, content: str) -> bytes | None:
        """The bytes of a message, from whichever of its files."""
        for known, file in self._mailbox_state.copies(mailbox.path, content):
            folder = mailbox.folder(known.folder.name)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for one in list_files(folder):
                    raw = read_listed(folder, one) if one.base == file.base else None
                    if raw is not None and content_id(raw) == content:
                        return raw
        return None


def _weighed(file: TrackedFile, after: TrackedMessage | None, raw: bytes) -> _Weighed:
    """With the bytes, if there is a label and they are few; `_settle` reads the others when their labels are noted."""
    keeps = after is not None and after.pending and len(raw) <= KEPT_BYTES
    return _Weighed(file, after, raw if keeps else b"")
