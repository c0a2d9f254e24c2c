"""The findings of one visit of a Maildir, before the files of each changed message are compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from spamlstm.filtering.inbox import is_settled
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.folder_walk import Folder, folder_at
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.tracking.discarded import DiscardedMail
from spamlstm.tracking.listing import ListedFile
from spamlstm.tracking.rule import CopyKey, FoundCopy, History
from spamlstm.tracking.state import JournalPosition, KnownFolder, TrackedFile

# Messages of at most this size stay in memory until their labels are added, and at most this many bytes in one visit.
# Other messages are read a second time, one after the other.
KEPT_BYTES, MOST_KEPT_BYTES = 1 << 20, 16 << 20


@dataclass(frozen=True, slots=True)
class FolderVisit:
    """One folder during a visit: `known` is the folder when last read, `folder` is the folder now."""

    mailbox: OpenMaildir
    known: KnownFolder
    folder: Folder
    is_new: bool
    left_ns: int = -1
    """For a folder that was ignored or missing for a while, the time of its last change until then, in nanoseconds
    since 1970, otherwise -1. Files with a ctime up to this time were in the folder already. A move changes the ctime of
    a file; renaming the folder does not."""

    @property
    def opened(self) -> OpenFolder:
        """Return the opened folder."""
        return self.mailbox.folder(self.folder.name)

    def latest(self) -> Folder:
        """Return the folder as it is at this moment of the visit."""
        return folder_at(self.mailbox, self.folder.name) or self.folder

    def came_with(self, listed: ListedFile) -> bool:
        """Return whether a file was in the folder before the folder came back or got another role."""
        if self.left_ns < 0:
            return False
        with PassingOver():
            return self.opened.entry(listed.part, listed.name).status().st_ctime_ns <= self.left_ns
        return False


@dataclass(slots=True)
class VisitWork:
    """The findings of one visit of a Maildir so far."""

    position: JournalPosition
    """The position of the journal before the folders were looked at."""
    arrived: list[tuple[FolderVisit, Sequence[ListedFile]]] = field(default_factory=list)
    """For each folder, the new files that are to be read."""
    changed: dict[CopyKey, TrackedFile] = field(default_factory=dict)
    """Files with new flags that matter for their messages."""
    answered: set[CopyKey] = field(default_factory=set)
    """Files that were answered since the last visit."""
    contents: set[str] = field(default_factory=set)
    """The content ids of the messages of the files in `changed`."""
    discarded: DiscardedMail | None = None
    """The files that lately came to ignored folders. They are not read here."""
    visited: float = 0.0
    """The time of an earlier visit, in seconds since 1970, or 0 if a message may have come from an ignored folder."""
    gone: set[int] = field(default_factory=set)
    """The bases of the files that left their folders."""
    named: dict[CopyKey, float | None] = field(default_factory=dict)
    """When new files got their names, see `FoundCopy.named`."""
    raws: dict[str, bytes] = field(default_factory=dict)
    """Messages that may get a label."""
    kept_bytes: int = 0

    def bases(self, visit: FolderVisit) -> set[int]:
        """Return the bases of the new files of a folder."""
        return {file.base for one, arrived in self.arrived if one is visit for file in arrived}

    def is_discarded(self, content: str, *, before: History, now: Iterable[FoundCopy]) -> bool:
        """Return whether a copy of a message that left its folder went to an ignored folder."""
        here = {copy.key for copy in now}
        gone = [copy.evidence for copy in before.copies if copy.key not in here]
        return self.discarded is not None and any(self.discarded.has(one, content) for one in gone)

    def keep(self, content: str, raw: bytes) -> None:
        """Keep a message in memory if there is room."""
        if len(raw) <= KEPT_BYTES and content not in self.raws and self.kept_bytes + len(raw) <= MOST_KEPT_BYTES:
            self.raws[content] = raw
            self.kept_bytes += len(raw)


def settled_times(folder: Folder, *, now: float) -> Folder:
    """Return the folder with -1 in place of each modification time that is not settled.

    A time is not settled if it is so recent that a further change could give the folder an equal time.
    """
    new_ns, cur_ns = (ns if is_settled(ns, now=now) else -1 for ns in (folder.new_ns, folder.cur_ns))
    return replace(folder, new_ns=new_ns, cur_ns=cur_ns)
