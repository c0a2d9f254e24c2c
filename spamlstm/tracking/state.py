"""The records of the mailbox state (folders, files and messages), and functions that read them from database rows.

The mailbox state is the database with what the last visit of each Maildir found. The functions that read rows raise
CellError if a cell has a value that this program never writes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

from spamlstm.database import CellError, blob, real, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.folders import Folder, FolderRole

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_CONTENT_BYTES = 16
_MOST_EVIDENCE = 100


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
    """What the last comparison of the files of a message found about a file, see `tracking.rule`."""

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
    """The hash of the base name, see `filtering.inbox.name_hash`."""
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
    """A copy of a message that left its folder, and no copy has come to another folder in return yet."""

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


FOLDER_COLUMNS = "folders.id, name, inode, new_ns, cur_ns, role"
"""The columns that a query must select for `folder_from`, in this order."""
FILE_COLUMNS = "base, flags, content, status, since, evidence"
"""The columns that a query must select after FOLDER_COLUMNS for `copy_from`, in this order."""
DEPARTURE_COLUMNS = "role, since, time, visited, evidence"
"""The columns that a query must select for `departure_from`, in this order."""
MESSAGE_COLUMNS = "content, role, act, label, pending"
"""The columns that a query must select for `message_from`, in this order."""

_FLAGS = {number: FlagSet(number) for number in range(16)}


def folder_from(row: tuple[Any, ...]) -> KnownFolder:
    """Build the folder from a database row with the columns FOLDER_COLUMNS."""
    number, name, inode, new_ns, cur_ns, role = row
    folder = Folder(
        os.fsdecode(blob(name, "name", most=4096)),
        _unsigned(_integer(inode, "inode")),
        _integer(new_ns, "new_ns"),
        _integer(cur_ns, "cur_ns"),
    )
    return KnownFolder(_integer(number, "id"), folder, word(role, "role", FolderRole))


def copy_from(row: tuple[Any, ...]) -> tuple[KnownFolder, TrackedFile]:
    """Build the folder and the file from a database row with the columns FOLDER_COLUMNS and FILE_COLUMNS."""
    *columns, base, flags, content, status, since, evidence = row
    folder = folder_from(tuple(columns))
    flags = FlagSet(whole(flags, "flags", most=31))
    found = None if content is None else _hex(content)
    status = CopyStatus(whole(status, "status", most=4))
    since = real(since, "since")
    return folder, TrackedFile(folder.id, _integer(base, "base"), flags, found, status, since, _evidence(evidence))


def departure_from(row: tuple[Any, ...]) -> Departure:
    """Build the departure from a database row with the columns DEPARTURE_COLUMNS."""
    role, since, time, visited, evidence = row
    return Departure(
        word(role, "role", FolderRole),
        real(since, "since"),
        real(time, "time"),
        bool(whole(visited, "visited", most=1)),
        _evidence(evidence),
    )


def position_from(row: tuple[Any, ...]) -> JournalPosition:
    """Build the position from a database row with the columns judgement and act."""
    return JournalPosition(whole(row[0], "judgement"), whole(row[1], "act"))


def flags_from(rows: Iterable[tuple[Any, ...]]) -> dict[int, FlagSet]:
    """Return a dict from base to flags, built from database rows with the columns base and flags.

    The function is optimized because a folder may have 100,000 files.
    """
    rows = list(rows)
    if set(map(type, (base for base, _ in rows))) - {int}:
        raise CellError("base", "not a number")
    try:
        return {base: _FLAGS[flags] for base, flags in rows}
    except (KeyError, TypeError):
        raise CellError("flags", "not a valid set of flags") from None


def content_from(row: tuple[Any, ...]) -> str | None:
    """Return the content id from a database row with the column content, or None if the file was not read."""
    return None if row[0] is None else _hex(row[0])


def message_from(row: tuple[Any, ...]) -> TrackedMessage:
    """Build the message from a database row with the columns MESSAGE_COLUMNS."""
    content, role, act, label, pending = row
    found = TrackedMessage(
        _hex(content),
        word(role, "role", FolderRole),
        whole(act, "act"),
        None if label is None else word(label, "label", Label),
        Pending(whole(pending, "pending", most=2)),
    )
    if found.pending and found.label is None:
        raise CellError("label", label)
    return found


def _evidence(cell: Any) -> FileEvidence:
    return FileEvidence.unpacked(None if cell is None else blob(cell, "evidence", most=_MOST_EVIDENCE))


def _integer(cell: Any, column: str) -> int:
    return whole(cell, column, least=_LEAST, most=_MOST)


def _unsigned(inode: int) -> int:
    """Return the inode number for a signed integer from the database. The inverse of `filtering.inbox.signed`."""
    return inode + (1 << 64) if inode < 0 else inode


def _hex(cell: Any) -> str:
    """Return the content id in a cell as hexadecimal digits. A content id of one byte stands for an unreadable file."""
    found = blob(cell, "content", most=_CONTENT_BYTES)
    if len(found) not in (1, _CONTENT_BYTES):
        raise CellError("content", cell)
    return found.hex()
