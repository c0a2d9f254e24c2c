"""The changes of one message that the journal records, in the form in which they are compared with files on disk."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from spamlstm.database import MOST_ROWS, CellError, blob, moment, whole
from spamlstm.maildir.names import Name

_MOST_PATH = 4096


@dataclass(frozen=True, slots=True)
class JournaledJudgement:
    """A judgement of a file in the inbox. `base` is its base name, and `time` is in seconds since 1970."""

    base: str
    time: float


@dataclass(frozen=True, slots=True)
class JournaledMove:
    """An act as a change from one file name to another. `folder` is the name of the target folder, "" for the inbox.

    `bases` are the base names before and after the act.
    """

    id: int
    source: str
    folder: str
    bases: tuple[str, str]
    time: float
    is_open: bool
    """Whether the result of the act is unknown."""
    mtime: int
    """The date of the file, which a move keeps, in seconds since 1970."""
    is_tagged: bool
    """Whether the act wrote headers of this program into the message."""


@dataclass(frozen=True, slots=True)
class JournalChanges:
    """The judgements and the acts on one message since some position of the journal, in order."""

    judgements: tuple[JournaledJudgement, ...] = ()
    acts: tuple[JournaledMove, ...] = ()

    @classmethod
    def read(cls, judged: Iterable[tuple[Any, ...]], moved: Iterable[tuple[Any, ...]], maildir: str) -> Self:
        """Build the changes in a Maildir from database rows. Damaged rows are omitted.

        `judged` has the columns base and time of judgements. `moved` has the columns id, source, folder, name and time
        of acts, whether their results are unknown, the column mtime_ns, and whether the acts tagged the message.
        """
        judgements = (_judgement(row) for row in judged)
        acts = (_move(row, maildir) for row in moved)
        return cls(tuple(one for one in judgements if one), tuple(one for one in acts if one))


def read_path(cell: Any, column: str) -> str:
    """Return the path in a cell. Raises CellError if the cell does not contain a path."""
    path = os.fsdecode(blob(cell, column, most=_MOST_PATH))
    if not path or "\0" in path:
        raise CellError(column, cell)
    return path


def is_within(maildir: str, folder: str) -> bool:
    """Return whether `folder` is the path of the Maildir or a path below it."""
    below = folder.removeprefix(maildir)
    levels = below.split("/")[1:]
    return folder.startswith(maildir) and below[:1] in ("", "/") and not {"", ".", ".."} & set(levels)


def _judgement(row: tuple[Any, ...]) -> JournaledJudgement | None:
    try:
        return JournaledJudgement(os.fsdecode(blob(row[0], "base", most=_MOST_PATH)), moment(row[1], "time"))
    except CellError:
        return None


def _move(row: tuple[Any, ...], maildir: str) -> JournaledMove | None:
    number, source, folder, name, time, is_open, mtime_ns, is_tagged = row
    try:
        source, folder, name = read_path(source, "source"), read_path(folder, "folder"), read_path(name, "name")
        before = source.rsplit("/", 2)
        if len(before) < 3 or not (is_within(maildir, before[0]) and is_within(maildir, folder)):
            return None
        folders = [path.removeprefix(maildir).removeprefix("/") for path in (before[0], folder)]
        mtime = whole(mtime_ns, "mtime_ns", least=-MOST_ROWS) // 10**9
        bases = Name.parse(before[2]).base, Name.parse(name).base
        return JournaledMove(
            number, folders[0], folders[1], bases, moment(time, "time"), bool(is_open), mtime, bool(is_tagged)
        )
    except CellError:
        return None
