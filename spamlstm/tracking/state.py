"""The records of the mailbox state: folders, files, messages, departures, and the position of the journal.

The mailbox state is the database with what the last visit of each Maildir found.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import FolderRole


class FlagSet(IntFlag):
    """The flags of a file that matter for learning: three flags of its name, and whether the file is in `new`."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """The file is treated as removed. Mail programs set this flag after they copied the message to another folder."""
    GONE = 16
    """The file is gone, but the files of its message have not been compared yet."""
    NEW = 8
    """The file is in `new`. Because of this flag, `cur` of a large inbox need not be listed after each delivery."""


class CopyStatus(IntEnum):
    """The result of the last comparison of the files of a message for one file, see `tracking.rule`."""

    SETTLED = 0
    ARRIVED = 1
    """The file was found, but the files of its message have not been compared yet."""
    OPEN = 2
    """The file may be the first step of a move: `KnownCopy.is_open`."""
    UNFILED = 3
    """The file was moved from the inbox to a folder and is unread, so its message counts as in the inbox."""
    MOVED = 4
    """The file came from a folder of another role."""


class Pending(IntFlag):
    """Whether a label must be added to the label store: no, only if the message has no label there, or always."""

    NOTHING = 0
    IF_NONE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder as it was when last read. `id` is its row number in the database.

    A modification time of -1 means that the folder must be read again.
    """

    id: int
    folder: Folder
    role: FolderRole


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """One file in the folder with the row number `folder`. `content` is the content id, or None if not read yet."""

    folder: int
    base: int
    """The hash of the base name, see `filtering.inbox_index.name_hash`."""
    flags: FlagSet
    content: str | None
    status: CopyStatus = CopyStatus.SETTLED
    since: float = 0.0
    """When the file was first seen in its folder, in seconds since 1970, or 0 for files from before."""
    evidence: FileEvidence = UNKNOWN_FILE
    """The evidence of the file when it was read."""


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """One message of a Maildir with a label, or with an act of this program: its content id and last label."""

    content: str
    role: FolderRole
    """The role of the folder in which a file of the message was last found."""
    act: int = 0
    """The number in the journal of the last act (change of the message by this program) that was compared, or 0."""
    label: Label | None = None
    """The last inferred label, or None."""
    pending: Pending = Pending.NOTHING


@dataclass(frozen=True, slots=True)
class Departure:
    """A copy of a message that left its folder. No copy has come to another folder in its place yet."""

    role: FolderRole
    """The role of the folder that the copy left."""
    since: float
    """When the copy had come to that folder, in seconds since 1970."""
    time: float
    """When a visit first missed the copy."""
    was_visited: bool = True
    """Whether a visit had found the copy. Other copies are known from the journal of this program."""
    evidence: FileEvidence = UNKNOWN_FILE


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """The numbers of the last judgement and the last act in the journal at a visit."""

    judgement: int = 0
    act: int = 0
