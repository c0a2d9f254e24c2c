"""The folders that exist in a Maildir, found by a walk through its directories.

The inbox is the Maildir itself. Its subdirectories new, cur and tmp are called parts.
"""

import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spamlstm.database import MOST_INTEGER
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.folders import display_levels, junk_rank
from spamlstm.maildir.names import DELIVERED, PARTS, AnyPart
from spamlstm.maildir.opened import OpenFolder, OpenMaildir

# More folders than people have. The owner of a Maildir controls its folders, and a loop of mounts is endless.
MOST_FOLDERS = 2000
MOST_LEVELS = 8
# The largest number of directory entries that are read in one directory (20 ms), and in all directories of a Maildir
# (50 ms).
MOST_ENTRIES = 20_000
MOST_ENTRIES_IN_ALL = 50_000


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder found by a walk through the Maildir."""

    name: str
    """The path of the folder on disk below the Maildir. "" is the inbox."""
    inode: int
    """The inode number of the folder's cur, which does not change when the folder is renamed."""
    new_ns: int
    """The modification time of new in nanoseconds, which is the time of the last added or removed name."""
    cur_ns: int
    """The modification time of cur in nanoseconds."""
    new_inode: int = field(default=0, compare=False)
    """The inode number of the folder's new, or 0 if it was not read."""


def folders(mailbox: OpenMaildir) -> Iterator[Folder]:
    """Yield the inbox, then all folders below it. The layout may be Maildir++ or fs. Links are not followed.

    Raises OSError if the inbox cannot be read, or if descriptors or memory are short (see `PassingOver`).
    """
    # Switching to the owner's identity and back takes as long as ten stat calls.
    with mailbox.owner.acting():
        inbox = folder_at(mailbox, "")
        if inbox is None:
            raise FileNotFoundError(2, "it is not a Maildir", mailbox.path)
        found = [folder for name in _walk(mailbox) if (folder := folder_at(mailbox, name)) is not None]
    yield inbox
    yield from found


def below(mailbox: OpenMaildir) -> Iterator[OpenFolder]:
    """Yield the inbox and all directories below it as folders, including directories that lack new, cur or tmp.

    Each folder is opened when it is first used.
    """
    yield mailbox.folder()
    with mailbox.owner.acting():
        names = list(_walk(mailbox))
    yield from map(mailbox.folder, names)


def is_folder(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether the directory `name` below the Maildir has new, cur and tmp. A link is treated as missing."""
    return _stat_parts(mailbox, name, PARTS) is not None


def _stat_parts(mailbox: OpenMaildir, name: str, parts: Sequence[AnyPart]) -> list[os.stat_result] | None:
    """Return the status of each part of the folder `name`, or None if a part is not a directory.

    No descriptor is opened, so symbolic links in the path of the folder are followed. Only the owner of the Maildir can
    create such links, and only the owner is affected.
    """
    above, found = f"{name}/" if name else "", []
    with PassingOver(), mailbox.owner.acting():
        for part in parts:
            status = os.stat(above + part, dir_fd=mailbox.handle, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                return None
            found.append(status)
        return found
    return None


def _walk(mailbox: OpenMaildir) -> Iterator[str]:
    return itertools.islice(_below(mailbox, "", 0, _Budget(MOST_ENTRIES_IN_ALL)), MOST_FOLDERS)


@dataclass(slots=True)
class _Budget:
    """The number of directory entries that one walk may still read.

    The limit is needed because a Maildir may have a thousand directories with 10,000 entries each.
    """

    left: int


def _below(mailbox: OpenMaildir, name: str, level: int, budget: _Budget) -> Iterator[str]:
    inner_names: list[str] = []
    with PassingOver():
        inner_names = subfolders(mailbox, name, budget)
    for inner in inner_names:
        path = f"{name}/{inner}" if name else inner
        yield path
        # Maildir++ keeps all folders side by side at the top level. The Legacy layout of mbsync has
        # `Lists/.sub/.subsub`.
        if (name or not inner.startswith(".")) and level < MOST_LEVELS:
            yield from _below(mailbox, path, level + 1, budget)


def subfolders(mailbox: OpenMaildir, name: str, budget: _Budget | None = None) -> list[str]:
    """Return the sorted names of the directories in the directory `name`, without new, cur and tmp.

    Reads at most MOST_ENTRIES entries, and at most the number left in `budget`. Raises OSError if the directory cannot
    be read.
    """
    most = min(MOST_ENTRIES, budget.left) if budget else MOST_ENTRIES
    if most <= 0:
        return []
    with mailbox.entered(name) as handle, mailbox.owner.acting(), os.scandir(handle) as listed:
        entries = list(itertools.islice(listed, most))
        if budget:
            budget.left -= len(entries)
        return sorted(one.name for one in entries if one.name not in PARTS and one.is_dir(follow_symlinks=False))


def folder_at(mailbox: OpenMaildir, name: str) -> Folder | None:
    """Return the folder `name` of a Maildir as it is now, or None if it lacks new or cur."""
    found = _stat_parts(mailbox, name, DELIVERED)
    if found is None:
        return None
    new, cur = found
    return Folder(name, cur.st_ino, new.st_mtime_ns & MOST_INTEGER, cur.st_mtime_ns & MOST_INTEGER, new.st_ino)


# Matches folders of both layouts. Does not match Dovecot's files or sieve scripts in a Maildir that is a home folder.
_FOLDER_NAME = re.compile(r"\.(?!dovecot|.*\.sieve$).+|[A-Z][^.]*")


def linked_folders(mailbox: OpenMaildir) -> list[str]:
    """Return the symbolic links directly below the Maildir with names like folder names. `folders` skips these links.

    Only the names are read, because the target of a link may be on a server that does not respond. At most MOST_ENTRIES
    names are read. Raises OSError if the names cannot be read.
    """
    with mailbox.entered("") as handle, mailbox.owner.acting(), os.scandir(handle) as listed:
        entries = itertools.islice(listed, MOST_ENTRIES)
        return sorted(entry.name for entry in entries if entry.is_symlink() and _is_like_a_folder(entry.name))


def _is_like_a_folder(name: str) -> bool:
    return _FOLDER_NAME.fullmatch(name) is not None or junk_rank(display_levels(name)[-1]) is not None
