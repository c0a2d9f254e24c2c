"""Rows of the places, decoded and checked: CellError where a cell holds what is never written there."""

import os
from collections.abc import Iterable
from typing import Any

from spamlstm.cells import CellError, blob, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Folder, FolderRole
from spamlstm.tracking.state import FlagSet, KnownFolder, Pending, TrackedFile, TrackedMessage

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_MARKS = {number: FlagSet(number) for number in range(16)}
_CONTENT_BYTES = 16

KNOWN = "folders.id, name, which, new_ns, cur_ns, kind"
"""The columns of `known`."""
MESSAGE = "content, place, act, moved, said, owed"
"""The columns of `message`."""


def known(row: tuple[Any, ...]) -> KnownFolder:
    """One row of the columns KNOWN."""
    number, name, which, new_ns, cur_ns, kind = row
    folder = Folder(
        os.fsdecode(blob(name, "name", most=4096)),
        unsigned(whole(which, "which", least=_LEAST, most=_MOST)),
        whole(new_ns, "new_ns", least=_LEAST, most=_MOST),
        whole(cur_ns, "cur_ns", least=_LEAST, most=_MOST),
    )
    return KnownFolder(whole(number, "id", least=_LEAST, most=_MOST), folder, word(kind, "kind", FolderRole))


def copy(row: tuple[Any, ...], content: str) -> tuple[KnownFolder, TrackedFile]:
    """One row of the columns KNOWN, and the base and the marks of a file with that content."""
    *columns, base, marks = row
    folder = known(tuple(columns))
    return folder, TrackedFile(folder.id, *marked((base, marks)), content)


def marked(row: tuple[Any, ...]) -> tuple[int, FlagSet]:
    """One row of the columns base and marks."""
    return whole(row[0], "base", least=_LEAST, most=_MOST), FlagSet(whole(row[1], "marks", most=15))


def all_marked(rows: Iterable[tuple[Any, ...]]) -> dict[int, FlagSet]:
    """Many such rows: a folder may have a hundred thousand."""
    rows = list(rows)
    if set(map(type, (base for base, _ in rows))) - {int}:
        raise CellError("base", "not a number")
    try:
        return {base: _MARKS[marks] for base, marks in rows}
    except (KeyError, TypeError):
        raise CellError("marks", "not one of ours") from None


def content(row: tuple[Any, ...]) -> str | None:
    """One row of the column content of files; None where it was not read."""
    return None if row[0] is None else _hex(row[0])


def message(row: tuple[Any, ...]) -> TrackedMessage:
    """One row of the columns MESSAGE."""
    content, place, act, moved, said, pending = row
    found = TrackedMessage(
        _hex(content),
        word(place, "place", FolderRole),
        whole(act, "act"),
        bool(whole(moved, "moved", most=1)),
        None if said is None else word(said, "said", Label),
        Pending(whole(pending, "owed", most=2)),
    )
    if found.pending and found.said is None:
        raise CellError("said", said)
    return found


def unsigned(inode: int) -> int:
    """The inode again."""
    return inode + (1 << 64) if inode < 0 else inode


def _hex(cell: Any) -> str:
    """A content id; one byte stands for what cannot be read."""
    found = blob(cell, "content", most=_CONTENT_BYTES)
    if len(found) not in (1, _CONTENT_BYTES):
        raise CellError("content", cell)
    return found.hex()
