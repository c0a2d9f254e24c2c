"""The files of one folder by the hashes of their base names, and what has changed since they were last listed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.maildir import message_file
from spamlstm.maildir.message_file import TooLargeError
from spamlstm.maildir.names import GoneError, Part
from spamlstm.maildir.opened import OpenFolder
from spamlstm.tracking.mailbox_state import name_hash
from spamlstm.tracking.state import FlagSet

_MARKS = tuple(map(FlagSet, range(16)))
_BOTH: tuple[Part, ...] = ("new", "cur")

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a listing."""

    base: int
    marks: FlagSet
    part: Part
    name: str


@dataclass(slots=True)
class Difference:
    """A folder's listing, held against the one before."""

    arrived: list[ListedFile] = field(default_factory=list)
    changed: list[tuple[ListedFile, FlagSet]] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)


def compared(folder: OpenFolder, before: dict[int, FlagSet], parts: Sequence[Part] = _BOTH) -> Difference:
    """What lies in these parts of the folder now, against what lay there; an OSError if they cannot be read.

    A listing may miss a name that changes meanwhile. Two hardly miss the same one.
    """
    difference = _compared(folder, before, parts)
    return _compared(folder, before, parts) if difference.gone else difference


def _compared(folder: OpenFolder, before: dict[int, FlagSet], parts: Sequence[Part]) -> Difference:
    found = Difference(gone=set(before))
    seen: set[int] = set()
    for one in list_files(folder, parts):
        found.gone.discard(one.base)
        marks = before.get(one.base)
        if marks is None:
            if one.base not in seen:
                seen.add(one.base)
                found.arrived.append(one)
        elif marks != one.marks:
            found.changed.append((one, marks))
    return found


def list_files(folder: OpenFolder, parts: Sequence[Part] = _BOTH) -> Iterator[ListedFile]:
    """The messages of a folder, without taking each name apart as `Name` does: there may be 50,000."""
    for entry in folder.messages(parts):
        stem, _, flags = entry.name.partition(":2,")
        marks = 8 if entry.part == "new" else 0
        if flags:
            letters = flags.partition(",")[0]
            marks += ("R" in letters) + 2 * ("S" in letters) + 4 * ("T" in letters)
        base = stem.partition(":")[0].partition(",")[0]
        yield ListedFile(name_hash(base), _MARKS[marks], "new" if entry.part == "new" else "cur", entry.name)


def read_listed(folder: OpenFolder, one: ListedFile) -> bytes | None:
    """Its bytes; None if it is gone, unreadable, or too large to be read as a message."""
    try:
        return message_file.read_message(folder.entry(one.part, one.name), most=MOST_BYTES)[0]
    except (GoneError, TooLargeError, OSError):
        return None


def chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
