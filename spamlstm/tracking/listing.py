"""Listings of one folder, and the differences between two listings.

A file is identified by the hash of its base name (the file name without the flags), called `base`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.filtering.inbox_index import name_hash
from spamlstm.maildir import message_file
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.message_file import StoredMessage, UnreadableMessageError
from spamlstm.maildir.names import DELIVERED, GoneError, Part, base_of, letters_of
from spamlstm.maildir.opened import OpenFolder
from spamlstm.tracking.state import FlagSet

_FLAGS = tuple(map(FlagSet, range(16)))

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a listing. `base` is the hash of its base name.

    With 50,000 files, the probability that two base names have equal hashes is 1 in 10^10.
    """

    base: int
    flags: FlagSet
    part: Part
    name: str


@dataclass(slots=True)
class Difference:
    """The differences between the current listing of a folder and the last listing."""

    arrived: list[ListedFile] = field(default_factory=list)
    changed: list[tuple[ListedFile, FlagSet]] = field(default_factory=list)
    """Files with changed flags, each with its flags in the last listing."""
    gone: set[int] = field(default_factory=set)


def compare_listing(folder: OpenFolder, before: dict[int, FlagSet], parts: Sequence[Part] = DELIVERED) -> Difference:
    """Return the differences between `before` and the current files in these parts of the folder.

    `before` contains the flags of each file in the last listing, by base. A listing may miss a file that is renamed
    while the directory is read, so a file is reported as gone only if two listings miss the file. Raises OSError if a
    part cannot be read.
    """
    difference = _compare(folder, before, parts)
    return _compare(folder, before, parts) if difference.gone else difference


def _compare(folder: OpenFolder, before: dict[int, FlagSet], parts: Sequence[Part]) -> Difference:
    difference = Difference(gone=set(before))
    arrived: set[int] = set()
    for file in list_files(folder, parts):
        difference.gone.discard(file.base)
        flags = before.get(file.base)
        if flags is None:
            if file.base not in arrived:
                arrived.add(file.base)
                difference.arrived.append(file)
        elif flags != file.flags:
            difference.changed.append((file, flags))
    return difference


def list_files(folder: OpenFolder, parts: Sequence[Part] = DELIVERED) -> Iterator[ListedFile]:
    """Yield the message files of a folder. File names are not parsed by `Name`, which is too slow for 50,000 names."""
    for entry in folder.messages(parts):
        letters = letters_of(entry.name)
        flags = (8 if entry.part == "new" else 0) + ("R" in letters) + 2 * ("S" in letters) + 4 * ("T" in letters)
        base = base_of(entry.name)
        yield ListedFile(name_hash(base), _FLAGS[flags], "new" if entry.part == "new" else "cur", entry.name)


def read_listed(folder: OpenFolder, file: ListedFile) -> StoredMessage | None:
    """Return the message in a file, or None if the file is missing, unreadable or larger than MOST_BYTES.

    Raises OSError if descriptors or memory are short (see `PassingOver`). The visit ends, and the next one repeats it.
    """
    with PassingOver(), contextlib.suppress(GoneError, UnreadableMessageError):
        return message_file.read_message(folder.entry(file.part, file.name), most=MOST_BYTES)
    return None


def chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Yield the items in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
