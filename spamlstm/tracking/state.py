"""What is known of folders, files and messages between two looks at a Maildir."""

from dataclasses import dataclass
from enum import IntFlag

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Folder, FolderRole


class FlagSet(IntFlag):
    """What a file's name tells of what its user did with the message."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """It is as good as gone: a client copied it elsewhere and has yet to remove it here."""
    NEW = 8
    """It lies in new. (So that a delivery to a large inbox needs no look at what lies in cur.)"""


class Pending(IntFlag):
    """Whether a label is yet to be said: not, or if there is none so far, or in any case."""

    NOTHING = 0
    IF_NONE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder as it was when last read. Times are -1 where they are not to be trusted."""

    id: int
    folder: Folder
    kind: FolderRole


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """One file in a folder; `content` is None where it was not read."""

    folder: int
    base: int
    marks: FlagSet
    content: str | None


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """What is known of one message in one Maildir: where its user has it, and what that came to."""

    content: str
    place: FolderRole
    act: int = 0
    """The number of the last act of ours on it that `place` takes into account."""
    moved: bool = False
    """Whether it ever lay anywhere else than in the inbox, as far as we saw."""
    said: Label | None = None
    """The label that followed last."""
    pending: Pending = Pending.NOTHING
