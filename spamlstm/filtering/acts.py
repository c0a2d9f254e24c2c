"""An act on one message, as the journal keeps it: written before it is carried out, and checked when it is read."""

import os
from dataclasses import dataclass
from typing import Any

from spamlstm.cells import MOST_ROWS, CellError, blob, moment, text, whole, word
from spamlstm.config import Action
from spamlstm.maildir.message_file import Identity
from spamlstm.maildir.names import Name

_MOST_PATH = 4096


@dataclass(frozen=True, slots=True)
class Intent:
    """An act before it is carried out: enough to settle it after a crash, and to take it back."""

    source: str
    """The path of the message."""
    expected: Identity
    """The identity of the file at that path."""
    folder: str
    """The folder that the message will be in: its own, or the junk folder."""
    name: str
    """The file name that it will have there. Its base is fresh, unless only a keyword is set."""
    actions: tuple[Action, ...]

    @property
    def bases(self) -> tuple[str, str]:
        """The base names of the message before and after the act."""
        return Name.parse(self.source.rpartition("/")[2]).base, Name.parse(self.name).base


@dataclass(frozen=True, slots=True)
class Act:
    """An intent that is in the journal."""

    id: int
    maildir: str
    judgement: int
    undoes: int | None
    intent: Intent
    time: float
    content: str


@dataclass(frozen=True, slots=True)
class UnreadableAct:
    """A damaged act in the journal. It is never carried out, settled or taken back."""

    id: int
    maildir: str
    why: str


@dataclass(frozen=True, slots=True)
class LastAct:
    """The last act on a message: it tells whether we put the message where it is."""

    id: int
    folder: str
    """The folder that the act left the message in."""
    flagged: bool
    """Whether the message carries our headers as spam, by which a rule of its user may move it."""


def read_act(row: tuple[Any, ...]) -> Act | UnreadableAct:
    """Read a row: id, maildir, judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, time, content.

    The act is unreadable unless each cell is one that this program writes, and all paths are within the Maildir.
    """
    number, path = row[:2]
    try:
        maildir = read_path(path, "path")
        return Act(number, maildir, *_checked(row[2:], maildir))
    except CellError as error:
        return UnreadableAct(number, os.fsdecode(path) if isinstance(path, bytes) else "", str(error))


def read_path(cell: Any, column: str) -> str:
    """Read a path. CellError if it is none."""
    path = os.fsdecode(blob(cell, column, most=_MOST_PATH))
    if not path or "\0" in path:
        raise CellError(column, cell)
    return path


def read_actions(cell: Any) -> tuple[Action, ...]:
    """Read the actions of an act. CellError if one is unknown."""
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
    if not _is_within(maildir, intent.folder):
        raise CellError("folder (it is not in the Maildir)", folder)
    mailbox, part, base = (*intent.source.rsplit("/", 2), "", "")[:3]
    if not _is_within(maildir, mailbox) or part not in ("new", "cur") or base in (".", ".."):
        raise CellError("source (it is not in the Maildir)", source)
    return (
        whole(judgement, "judgement"),
        None if undoes is None else whole(undoes, "undoes"),
        intent,
        moment(time, "time"),
        blob(content, "content", most=16, length=16).hex(),
    )


def _is_within(maildir: str, folder: str) -> bool:
    """Return whether a folder is the Maildir or below it, by its path."""
    below = folder.removeprefix(maildir)
    levels = below.split("/")[1:]
    return folder.startswith(maildir) and below[:1] in ("", "/") and not {"", ".", ".."} & set(levels)


def _inode(cell: Any) -> int:
    """Read an inode: 64 bits are more than SQLite's integers hold, so it is a text."""
    number = text(cell, "inode", most=20)
    if not (number.isascii() and number.isdecimal()):
        raise CellError("inode", cell)
    return int(number)
