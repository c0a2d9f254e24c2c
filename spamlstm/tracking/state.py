"""Folders, files and messages as the mailbox state records them, and the database rows that they are read from.

The functions that read rows raise CellError for a cell with a value that this program never writes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from spamlstm.cells import CellError, blob, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Folder, FolderRole

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_CONTENT_BYTES = 16


class FlagSet(IntFlag):
    """The flags in a file's name that matter for learning, and whether the file is in `new`."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """Counts as removed: a client copied the message to another folder and has not expunged it here yet."""
    NEW = 8
    """The file is in `new`. Recorded so that a delivery to a large inbox does not make us list `cur`."""


class Pending(IntFlag):
    """Whether a label has to be added to the label store: no, only if the message has none there, or always."""

    NOTHING = 0
    IF_NONE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder as last read. Its times are -1 where they cannot be trusted."""

    id: int
    folder: Folder
    role: FolderRole


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """One file in a folder; `content` is None if the file was not read."""

    folder: int
    base: int
    """Hash of the base name, see `filtering.inbox_index.name_hash`."""
    flags: FlagSet
    content: str | None


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """One message of a Maildir: the folder it counts as being in, and the label that followed."""

    content: str
    role: FolderRole
    act: int = 0
    """Journal number of our last act on the message that `role` takes into account."""
    moved: bool = False
    """Whether the message was ever found outside the inbox."""
    label: Label | None = None
    """The label inferred last."""
    pending: Pending = Pending.NOTHING


FOLDER_COLUMNS = "folders.id, name, inode, new_ns, cur_ns, role"
"""The columns that `folder_from` reads."""
MESSAGE_COLUMNS = "content, role, act, moved, label, pending"
"""The columns that `message_from` reads."""

_FLAGS = {number: FlagSet(number) for number in range(16)}


def folder_from(row: tuple[Any, ...]) -> KnownFolder:
    """Return the folder in a row of FOLDER_COLUMNS."""
    number, name, inode, new_ns, cur_ns, role = row
    folder = Folder(
        os.fsdecode(blob(name, "name", most=4096)),
        _unsigned(_integer(inode, "inode")),
        _integer(new_ns, "new_ns"),
        _integer(cur_ns, "cur_ns"),
    )
    return KnownFolder(_integer(number, "id"), folder, word(role, "role", FolderRole))


def copy_from(row: tuple[Any, ...]) -> tuple[KnownFolder, TrackedFile]:
    """Return folder and file from a row of FOLDER_COLUMNS, base, flags and content."""
    *columns, base, flags, content = row
    folder = folder_from(tuple(columns))
    flags = FlagSet(whole(flags, "flags", most=15))
    return folder, TrackedFile(folder.id, _integer(base, "base"), flags, _hex(content))


def flags_from(rows: Iterable[tuple[Any, ...]]) -> dict[int, FlagSet]:
    """Return the flags by base from rows of base and flags: a folder may have a hundred thousand."""
    rows = list(rows)
    if set(map(type, (base for base, _ in rows))) - {int}:
        raise CellError("base", "not a number")
    try:
        return {base: _FLAGS[flags] for base, flags in rows}
    except (KeyError, TypeError):
        raise CellError("flags", "not a valid set of flags") from None


def content_from(row: tuple[Any, ...]) -> str | None:
    """Return the content id in a row of the column content of files; None if the file was not read."""
    return None if row[0] is None else _hex(row[0])


def message_from(row: tuple[Any, ...]) -> TrackedMessage:
    """Return the message in a row of MESSAGE_COLUMNS."""
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
    """Return the inode that `filtering.inbox_index.signed` was given."""
    return inode + (1 << 64) if inode < 0 else inode


def _hex(cell: Any) -> str:
    """Return a content id; one byte stands for a file that cannot be read."""
    found = blob(cell, "content", most=_CONTENT_BYTES)
    if len(found) not in (1, _CONTENT_BYTES):
        raise CellError("content", cell)
    return found.hex()
