"""The history of a message: where the mailbox state and the journal last knew its files.

The mailbox state has the files that the visits found. The journal has what this program did since the last visit, so
that its acts are never mistaken for moves of the user.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.placement import KnownPlace
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.rule import MOVE_SECONDS, CopyKey, History, KnownCopy, has_returned, known_copy
from spamlstm.tracking.state import CopyStatus, FlagSet, JournalPosition, KnownFolder, TrackedFile
from spamlstm.tracking.state_database import NO_POSITION


@dataclass(frozen=True, slots=True)
class JournaledHistory:
    """The history of a message, and the number of the last act in it (0 if there are no new acts).

    `is_recent` says that the last act is at most MOVE_SECONDS old.
    """

    history: History
    act: int
    is_recent: bool


class HistoryReader:
    """A reader of histories. Only the thread that opened the journal may use an instance."""

    def __init__(self, *, mailbox_state: MailboxState, journal: Journal) -> None:
        self._state = mailbox_state
        self._journal = journal

    def position(self) -> JournalPosition:
        """Return the current position of the journal."""
        return JournalPosition(*self._journal.position())

    def history(
        self, maildir: str, content: str, *, now: Collection[CopyKey], time: float, since: JournalPosition | None = None
    ) -> JournaledHistory:
        """Return the history of a message. `now` are the keys of its current files, and `time` is the current time.

        `since` is the result of `reflected` for the Maildir, if known. The history has all later acts. It has an
        earlier act if the act is recent or the mailbox state still has the file under its name before the act, because
        the user may have moved the message while the folders were read.
        """
        copies = {
            key_of(folder, file): _known(folder, file)
            for folder, file in self._state.copies(maildir, content)
            if file.status is not CopyStatus.ARRIVED and not file.flags & FlagSet.DELETED
        }
        since = since or self.reflected(maildir)
        message = self._state.message(maildir, content)
        # If the journal was created again, the act numbers in the mailbox state are invalid.
        compared = message.act if message is not None and since != JournalPosition() else 0
        changes = self._journal.changes(maildir, content, judgement=since.judgement, act=compared)
        for judged in changes.judgements:
            key = "", name_hash(judged.base)
            # A message that was classified was delivered: it is not the first step of a move.
            known = copies.get(key) or KnownCopy(key, FolderRole.INBOX, min(judged.time, time), was_visited=False)
            copies[key] = replace(known, is_open=False)
        last, is_recent = 0, False
        for act in changes.acts:
            before, after = (act.source, name_hash(act.bases[0])), (act.folder, name_hash(act.bases[1]))
            is_recent = abs(time - act.time) < MOVE_SECONDS
            if act.id <= since.act and before not in copies and not is_recent:
                continue
            last = act.id
            if act.is_open and after not in now:
                continue
            origin = copies.pop(before, None)
            role = FolderRole.JUNK if act.folder else FolderRole.INBOX
            visited = origin is not None and origin.was_visited
            evidence = UNKNOWN_FILE if origin is None else origin.evidence
            evidence = evidence.filed(date=act.mtime, is_tagged=act.is_tagged)
            moved = KnownCopy(after, role, min(act.time, time), was_visited=visited, evidence=evidence)
            copies.setdefault(after, moved)
        history = History(tuple(copies.values()), self._state.departures(maildir, content))
        return JournaledHistory(history, last, is_recent)

    def is_restored(self, maildir: str, content: str, *, before: History, now: Collection[CopyKey]) -> bool:
        """Return whether a file of a message came back from a backup that was made before this program filed it.

        If this program tags a message, the file gets a new name. A file that its user moves back from there does not
        get the former name again. `now` are the keys of the current files.
        """
        acts = self._journal.changes(maildir, content).acts
        if not acts or not acts[-1].folder:
            return False
        former, filed = map(name_hash, acts[-1].bases)
        names = {base for _, base in now}
        was_there = any(copy.key[1] == filed for copy in before.copies)
        return was_there and filed not in names and (acts[-1].source, former) in now

    def places(
        self, maildir: str, content: str, *, base: int, evidence: FileEvidence, time: float
    ) -> tuple[list[KnownPlace], bool]:
        """Return the places of a message outside the inbox, and whether a file was moved from such a place.

        `base` is the hash of the base name of the file in the inbox, and `evidence` is the evidence of this file. The
        result is for `Placements.by_places`.
        """
        arrived = [(folder, file) for folder, file in self._state.copies(maildir, content) if not file.flags & _ABSENT]
        now = {key_of(folder, file) for folder, file in arrived}
        history = self.history(maildir, content, now=now, time=time).history
        known = [*history.copies, *(_known(*one) for one in arrived if one[1].status is CopyStatus.ARRIVED)]
        places = [
            KnownPlace(*copy.key, copy.since, copy.role is FolderRole.JUNK, evidence=copy.evidence)
            for copy in known
            if copy.key[0]
        ]
        was_moved = any(copy.key == ("", base) and copy.was_moved for copy in known) or any(
            one.role is not FolderRole.INBOX and abs(time - one.time) < MOVE_SECONDS and has_returned(one, evidence)
            for one in history.departures
        )
        return places, was_moved

    def reflected(self, maildir: str) -> JournalPosition:
        """Return the position in the journal at the last complete visit of a Maildir.

        The recorded files already show all that the journal has up to this position.
        """
        position, last = self._state.position(maildir), self.position()
        if last.judgement < position.judgement != NO_POSITION or position.act > last.act:
            position = JournalPosition()  # the journal was lost and has begun anew
        return position


_ABSENT = FlagSet.DELETED | FlagSet.GONE


def key_of(folder: KnownFolder, file: TrackedFile) -> CopyKey:
    """Return the key of a file for comparisons."""
    return folder.folder.name, file.base


def _known(folder: KnownFolder, file: TrackedFile) -> KnownCopy:
    return known_copy(key_of(folder, file), folder.role, status=file.status, since=file.since, evidence=file.evidence)
