"""The acts in the journal: an act before and after it is recorded, and the rows that acts are read from."""

import os
from dataclasses import dataclass
from typing import Any

from spamlstm.config import Action
from spamlstm.database import MOST_ROWS, CellError, blob, moment, text, whole, word
from spamlstm.filtering.journal_changes import is_within, read_path
from spamlstm.maildir.message_file import Identity
from spamlstm.maildir.names import DELIVERED, Name


@dataclass(frozen=True, slots=True)
class Intent:
    """An act before it is carried out, with the data to settle the act after a crash and to undo the act."""

    source: str
    """The path of the message."""
    expected: Identity
    """The identity of the file at `source`."""
    folder: str
    """The path of the folder in which the message will be. It may be the current folder of the message."""
    name: str
    """The file name of the message in `folder`. The base name is new, unless only a keyword is set."""
    actions: tuple[Action, ...]

    @property
    def bases(self) -> tuple[str, str]:
        """The base names of the message before and after the act."""
        return Name.parse(self.source.rpartition("/")[2]).base, Name.parse(self.name).base


@dataclass(frozen=True, slots=True)
class Act:
    """An intent that is recorded in the journal."""

    id: int
    maildir: str
    judgement: int
    undoes: int | None
    intent: Intent
    time: float
    content: str


@dataclass(frozen=True, slots=True)
class UnreadableAct:
    """A damaged act in the journal. It is never carried out, settled or undone."""

    id: int
    maildir: str
    why: str


@dataclass(frozen=True, slots=True)
class LastAct:
    """The last act on a message. It shows whether the filter moved the message to its current folder."""

    id: int
    folder: str
    """The path of the folder in which the act left the message."""
    flagged: bool
    """True if the act tagged the message as spam. A mail rule of the user may then move the message."""


def read_act(row: tuple[Any, ...]) -> Act | UnreadableAct:
    """Parse a row: id, maildir, judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, time, content.

    Returns an `UnreadableAct` if a cell has a value that this program never writes, or if a path is outside the
    Maildir.
    """
    number, path = row[:2]
    try:
        maildir = read_path(path, "path")
        return Act(number, maildir, *_checked(row[2:], maildir))
    except CellError as error:
        return UnreadableAct(number, os.fsdecode(path) if isinstance(path, bytes) else "", str(error))


def read_actions(cell: Any) -> tuple[Action, ...]:
    """Return the actions in a cell. Raises CellError if an action is unknown."""
    return tuple(word(one, "actions", Action) for one in text(cell, "actions").split())


def _checked(row: tuple[Any, ...], maildir: str) -> tuple[int, int | None, Intent, float, str]:
    judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, time, content = row
    intent = Intent(
        source=read_path(source, "source"),
        expected=Identity(_inode(inode), whole(mtime_ns, "mtime_ns", least=-MOST_ROWS), whole(size, "size")),
        folder=read_path(folder, "folder"),
        name=read_path(name, "name"),
        actions=read_actions(actions),
    )
    if "/" in intent.name or intent.name in (".", ".."):
        raise CellError("name", name)
    if not is_within(maildir, intent.folder):
        raise CellError("folder (it is not in the Maildir)", folder)
    mailbox, part, base = (*intent.source.rsplit("/", 2), "", "")[:3]
    if not is_within(maildir, mailbox) or part not in DELIVERED or base in (".", ".."):
        raise CellError("source (it is not in the Maildir)", source)
    return (
        whole(judgement, "judgement"),
        None if undoes is None else whole(undoes, "undoes"),
        intent,
        moment(time, "time"),
        blob(content, "content", most=16, length=16).hex(),
    )


def _inode(cell: Any) -> int:
    """Return the inode in a cell. The cell is text, because the 64 bits of an inode exceed SQLite's integers."""
    number = text(cell, "inode", most=20)
    if not (number.isascii() and number.isdecimal()):
        raise CellError("inode", cell)
    return int(number)
