"""The rows of the mailbox state: the columns of each record, and functions that build records from rows.

The functions raise CellError if a cell has a value that this program never writes.
"""

import os
from collections.abc import Iterable
from typing import Any

from spamlstm.database import CellError, blob, real, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import FileEvidence
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import (
    CopyStatus,
    Departure,
    FlagSet,
    JournalPosition,
    KnownFolder,
    Pending,
    TrackedFile,
    TrackedMessage,
)

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_CONTENT_BYTES = 16
_MOST_EVIDENCE = 100

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


def file_row(file: TrackedFile) -> tuple[Any, ...]:
    """Return the database row of a file, with the columns folder and FILE_COLUMNS. The inverse of `copy_from`."""
    content = bytes.fromhex(file.content) if file.content else None
    return file.folder, file.base, file.flags, content, file.status, file.since, file.evidence.packed()


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

    The function is optimised because a folder may have 100,000 files.
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
    """Return the inode number for a signed integer from the database. The inverse of `filtering.inbox_index.signed`."""
    return inode + (1 << 64) if inode < 0 else inode


def _hex(cell: Any) -> str:
    """Return the content id in a cell as hexadecimal digits. A content id of one byte stands for an unreadable file."""
    found = blob(cell, "content", most=_CONTENT_BYTES)
    if len(found) not in (1, _CONTENT_BYTES):
        raise CellError("content", cell)
    return found.hex()
