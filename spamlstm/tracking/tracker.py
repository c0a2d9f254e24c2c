"""The tracker visits Maildirs and infers labels from what users do with their mail.

A visit compares the folders of a Maildir with the mailbox state (the folders, files and messages at the last visit) and
with the journal (the acts of this program, which are changes of single messages). So the inferred labels do not depend
on the order of visits, on events or on crashes. docs/decisions/0014-moves.md explains which changes lead to a label.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spamlstm.config import Config
from spamlstm.config.maildirs import section_of
from spamlstm.database import replacement_message
from spamlstm.errors import TemporaryError
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.inbox import is_settled
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.placement import Arrival, Placement
from spamlstm.maildir.entry import is_of_one_folder
from spamlstm.maildir.folder_walk import Folder, folders
from spamlstm.maildir.folders import FolderRole, is_sent, role_of
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.discarded import DiscardedMail
from spamlstm.tracking.folder_reader import FolderReader
from spamlstm.tracking.folder_records import matching_records
from spamlstm.tracking.history import HistoryReader
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.mailbox_state import DamagedStateError, MailboxState
from spamlstm.tracking.pending_labels import PendingLabels
from spamlstm.tracking.rule import MOVE_SECONDS
from spamlstm.tracking.sent_folders import SentFolders
from spamlstm.tracking.settler import Settler
from spamlstm.tracking.state import JournalPosition
from spamlstm.tracking.tracked_placements import TrackedPlacements
from spamlstm.tracking.visit_work import FolderVisit, VisitWork, settled_times

# A program that delivers a message may change the status of its file up to this time after the folder. No message was
# moved in this time, because a settled time of a folder is two seconds old.
_SLACK_NS = 10**9
# The maximum number of ignored and missing folders of a Maildir that are remembered. A user may create and remove
# folders without end.
_MOST_LEFT = 1000


class Tracker:
    """A visitor of Maildirs. Its methods `round` and `visit` yield between steps of some milliseconds.

    Only the thread that opened the journal may use an instance.
    """

    def __init__(
        self,
        *,
        config: Config,
        mailbox_state: MailboxState,
        journal: Journal,
        label_stores: LabelStores,
        clock: Callable[[], float] = time.time,
        watch: Callable[[str, str, int], None] = lambda _maildir, _part, _inode: None,
        open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
    ) -> None:
        """Prepare visits of Maildirs, which are opened by `open_maildir`.

        `watch` is called for each found junk folder, with the path of the Maildir and with path and inode of `cur` and
        of `new` in the junk folder.
        """
        self._open = open_maildir
        self._config = config
        self._state = mailbox_state
        self._label_stores = label_stores
        self._clock = clock
        self._watch = watch
        self._labels = PendingLabels(
            mailbox_state=mailbox_state, journal=journal, label_stores=label_stores, clock=clock
        )
        self._sent = SentFolders(label_stores, clock=clock)
        self._histories = HistoryReader(mailbox_state=mailbox_state, journal=journal)
        self._placements = TrackedPlacements(mailbox_state=mailbox_state, journal=journal, clock=clock)
        self._reader = FolderReader(mailbox_state=mailbox_state, journal=journal, clock=clock)
        self._settler = Settler(mailbox_state=mailbox_state, journal=journal, labels=self._labels, clock=clock)
        # For each completely read Maildir, a hash of its folders. An unchanged hash means that no folder has changed.
        self._unchanged: dict[str, int] = {}
        self._damaged: set[str] = set()
        # For each Maildir, the inodes of the ignored folders and of those that are missing, with the time of the last
        # change that was seen in each.
        self._left: dict[str, dict[int, int]] = {}

    def reconfigure(self, config: Config) -> None:
        """Use another configuration. Must not be called between the steps of a round."""
        self._config = config
        self._unchanged.clear()

    def placed(self, mailbox: OpenMaildir, arrival: Arrival) -> Placement:
        """Return how a message came to the inbox, see `Placements.by_places`.

        If the mailbox state cannot be read now, only the journal is asked.
        """
        maildir = mailbox.path
        try:
            return self._placements.placed(mailbox, arrival)
        except DamagedStateError as error:
            # The next round resets the state. It is not reset here, because a visit may be in progress.
            if maildir not in self._damaged:
                self._damaged.add(maildir)
                self._report(maildir, error)
        except TemporaryError as error:
            self._report(maildir, error)
        return self._placements.by_journal(mailbox, arrival)

    def round(self, present: Iterable[str]) -> Iterator[None]:
        """Visit the Maildirs `present`; yields between steps. Failed visits are logged and tried again next round."""
        for maildir in present:
            try:
                self._reset_if_damaged(maildir)
                yield from self.visit(maildir)
            except Exception as error:  # noqa: BLE001  no error may stop the visits of the other Maildirs
                self._report(maildir, error)
                if isinstance(error, DamagedStateError):
                    self._damaged.add(maildir)
            yield

    def _reset_if_damaged(self, maildir: str) -> None:
        if maildir in self._damaged:
            self._state.reset(maildir)
            self._damaged.discard(maildir)
            self._unchanged.pop(maildir, None)
            self._labels.maildirs.discard(maildir)

    def visit(self, maildir: str) -> Iterator[None]:
        """Visit one Maildir; yields between steps.

        The first visit only records the existing messages and creates no labels.
        """
        with self._open(maildir) as mailbox:
            yield from self._visit(mailbox)

    def _visit(self, mailbox: OpenMaildir) -> Iterator[None]:
        maildir = mailbox.path
        position = self._histories.position()  # an act after this may change a folder after the folder is read
        found, ignored = self._find_folders(mailbox)
        yield from self._sent.visit(mailbox, [folder for folder in ignored if is_sent(folder.name)])
        self._watch_junk(mailbox, found)
        state = hash(tuple(found))
        if self._unchanged.get(maildir) == state:
            if maildir in self._labels.maildirs:
                yield from self._labels.add_all(mailbox)
            return
        self._unchanged.pop(maildir, None)
        first = not self._state.is_tracked(maildir)
        visits = self._match_folders(mailbox, found)
        yield
        discarded = DiscardedMail(mailbox, ignored, now=self._clock(), age=MOVE_SECONDS)
        visited = 0.0 if discarded.has_changed() else self._state.pruned(maildir)
        work = VisitWork(position=position, discarded=discarded, visited=visited)
        listed = yield from self._list_folders(maildir, visits, work, first=first)
        if listed is None:
            return
        yield from self._reader.read_arrived(work)
        yield from self._settler.settle(mailbox, work)
        self._record_visit(maildir, listed, work.position)
        yield from self._labels.add_all(mailbox)
        self._state.prune(maildir, now=self._clock())
        is_complete = len(listed) == len(found)
        if is_complete and all(settled_times(folder, now=self._clock()) == folder for folder, _ in found):
            self._unchanged[maildir] = state

    def _watch_junk(self, mailbox: OpenMaildir, found: Iterable[tuple[Folder, FolderRole]]) -> None:
        for folder, role in found:
            if role is FolderRole.JUNK:
                path = mailbox.folder(folder.name).path
                self._watch(mailbox.path, f"{path}/cur", folder.inode)
                self._watch(mailbox.path, f"{path}/new", folder.new_inode)

    def _list_folders(
        self, maildir: str, visits: Iterable[FolderVisit], work: VisitWork, *, first: bool
    ) -> Generator[None, None, list[FolderVisit] | None]:
        """List the folders, and record what changed. Return the visits of the folders that could be listed.

        If the inbox or a junk folder could not be listed, None is returned, and no message can be compared.
        """
        listed = []
        for visit in visits:
            try:
                yield from self._reader.list_changes(visit, work, first=first)
                yield from self._reader.read_again(visit)
                listed.append(visit)
            except OSError as error:
                if not is_of_one_folder(error):
                    raise
                self._report(maildir, error, folder=visit.folder.name)
                # The other folders are still read. But the acts of this program changed the inbox and junk folders, and
                # can only be compared with both. The next visit begins with the same acts.
                if visit.known.role is not FolderRole.FILED:
                    return None
        # The user may move mail meanwhile. Mail that left the junk folder before the other folders were listed was
        # found in those folders. Mail that left those folders is found in the junk folder now.
        for visit in listed if not first else ():
            if visit.known.role is FolderRole.JUNK:
                yield from self._reader.list_arrivals(visit, work)
        return listed

    def _record_visit(self, maildir: str, visits: Sequence[FolderVisit], position: JournalPosition) -> None:
        """Record that all changes of these folders were read, and all acts up to `position` were compared."""
        with self._state.change():
            for visit in visits:
                times = settled_times(visit.folder, now=self._clock())
                if times != visit.known.folder:
                    self._state.update_folder(visit.known, times, visit.known.role)
            self._state.set_position(maildir, position)
            if self._state.has_former:
                self._state.drop_former()

    def _find_folders(self, mailbox: OpenMaildir) -> tuple[list[tuple[Folder, FolderRole]], list[Folder]]:
        """Return the folders that are not ignored, with their roles (junk folders first), and the ignored folders."""
        section = section_of(self._config.maildirs, Path(mailbox.path))
        if section is None:
            return [], []
        ignore_folders = self._config.learning.ignore_folders
        found = [
            (folder, role_of(folder.name, junk=section.junk, ignore_folders=ignore_folders))
            for folder in folders(mailbox)
        ]
        read = [one for one in found if one[1] is not FolderRole.IGNORED]
        read.sort(key=lambda one: one[1] is not FolderRole.JUNK)
        ignored = [folder for folder, role in found if role is FolderRole.IGNORED]
        for folder in ignored:
            self._record_left(mailbox.path, folder)
        return read, ignored

    def _record_left(self, maildir: str, folder: Folder) -> None:
        """Record when an ignored or missing folder was last changed, if this is known."""
        changed_ns = max(folder.new_ns, folder.cur_ns)
        if changed_ns >= 0 and is_settled(changed_ns, now=self._clock()):
            left = self._left.setdefault(maildir, {})
            left.pop(folder.inode, None)
            left[folder.inode] = changed_ns + _SLACK_NS
            if len(left) > _MOST_LEFT:
                del left[next(iter(left))]

    def _match_folders(self, mailbox: OpenMaildir, found: Sequence[tuple[Folder, FolderRole]]) -> list[FolderVisit]:
        """Return a `FolderVisit` for each found folder, with the record of the folder in the mailbox state.

        A missing record is created, and records of removed folders are removed. A renamed folder keeps its record, also
        if another folder has taken its name. If the role of a folder changed, because it was renamed to Junk or the
        configuration changed, its messages get the new role. No labels are inferred, because the messages were not
        moved.
        """
        visits, maildir = [], mailbox.path
        with self._state.change():
            self._state.track(maildir, now=self._clock())
            before = self._state.folders(maildir)
            records = matching_records(
                [folder for folder, _ in found],
                before,
                shared=lambda folder, known: self._reader.shared_names(mailbox.folder(folder.name), known),
            )
            renamed = {known.id for name, known in records.items() if known.folder.name != name}
            kept = {known.id for known in records.values()}
            for former in before:
                if former.id not in kept:
                    self._record_left(maildir, former.folder)
                    self._state.drop_folder(former)
                elif former.id in renamed:
                    self._state.release_name(former)
            for folder, role in found:
                known = records.get(folder.name)
                is_new = known is None
                if known is None:
                    known = self._state.add_folder(maildir, folder, role)
                elif (known.folder.name, known.role) != (folder.name, role):
                    renewed = replace(known.folder, name=folder.name)
                    if known.role is not role:
                        renewed = replace(renewed, new_ns=-1, cur_ns=-1)  # the folder must be read again
                    self._state.update_folder(known, renewed, role)
                    known = replace(known, folder=renewed, role=role)
                left_ns = self._left.get(maildir, {}).get(folder.inode, -1)
                left_ns = left_ns if left_ns < self._clock() * 1e9 else -1  # the clock was wrong
                visits.append(FolderVisit(mailbox, known, folder, is_new, left_ns))
        return visits

    def _report(self, maildir: str, error: Exception, *, folder: str = "") -> None:
        self._label_stores.status.failed += 1
        kind, why = kind_of(error), sentence(error)
        if isinstance(error, DamagedStateError):
            why = replacement_message(error, what="the state of this Maildir is replaced by an empty one")
        if kind == FailureKind.BUG:
            why = type(error).__name__  # the text of the error may quote a message
            log_unexpected(error, "the visit of a Maildir failed and will be repeated")
        emit(logging.WARNING, "visit-failed", maildir=maildir, folder=folder, kind=kind, error=why)
