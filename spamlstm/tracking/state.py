"""The records of the mailbox state (folders, files and messages), and functions that read them from database rows.

The mailbox state is the database with what the last visit of each Maildir found. The functions that read rows raise
CellError if a cell has a value that this program never writes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from spamlstm.database import CellError, blob, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Folder, FolderRole

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_CONTENT_BYTES = 16


class FlagSet(IntFlag):
    """The flags of a file that matter for learning: three flags of its name, and whether the file is in `new`."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """The file is treated as removed. Mail programs set this flag after they copied the message to another folder."""
    NEW = 8
    """The file is in `new`. Because of this flag, `cur` of a large inbox need not be listed after each delivery."""


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


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """One message of a Maildir: its content id, the role of its folder, and the label inferred last."""

    content: str
    role: FolderRole
    act: int = 0
    """The number in the journal of the last act (change of the message by this program) that `role` reflects, or 0."""
    moved: bool = False
    """Whether the message was ever found in a folder other than the inbox."""
    label: Label | None = None
    """The last inferred label, or None."""
    pending: Pending = Pending.NOTHING


FOLDER_COLUMNS = "folders.id, name, inode, new_ns, cur_ns, role"
"""The columns that a query must select for `folder_from`, in this order."""
MESSAGE_COLUMNS = "content, role, act, moved, label, pending"
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
    """Build the folder and the file from a database row with the columns FOLDER_COLUMNS, base, flags and content."""
    *columns, base, flags, content = row
    folder = folder_from(tuple(columns))
    flags = FlagSet(whole(flags, "flags", most=15))
    return folder, TrackedFile(folder.id, _integer(base, "base"), flags, _hex(content))


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
    content, role, act, moved, label, pending = row
    found = TrackedMessage(
        _hex(content),
        word(role, "role", FolderRole),
        whole(act, "act"),
        bool(whole(moved, "moved", most=1)),
        None if label is None else word(label, "label", Label),
        Pending(whole(pending, "pending", most=2)),
    )
    if found.pending and found.label is None:
        raise CellError("label", label)
    return found


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
