"""Maildirs and their folders, opened by descriptors without following links.

The owner of a Maildir may replace any of its folders by a symbolic link at any moment. So a Maildir is opened only once
per visit. A visit is the time in which one Maildir is processed. Each folder below the Maildir is opened by a
descriptor without following links, and each file by its name in the open folder. If this process is root, each of these
calls is made as the owner of the Maildir. See docs/decisions/0017-maildirs-of-others.md.
"""

import contextlib
import itertools
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal, Self

from spamlstm.files import DIRECTORY, Closable, open_directory, sync_names
from spamlstm.maildir.entry import Entry, RefusedError
from spamlstm.maildir.names import DELIVERED, PARTS, AnyPart, Name, Part
from spamlstm.maildir.owner import Owner

# The largest number of folders with open descriptors. Adopting a mailbox visits 2,000 folders.
MOST_OPEN = 16
# The total number of seconds that one visit waits for links in tmp. A server that moves many messages first links each
# message to tmp for milliseconds. A link that a crashed server left there must not delay the mail of others.
PATIENCE = 0.5
# The largest number of names that one visit reads in search of further links of messages, which takes a tenth of a
# second. Most Maildirs have fewer messages.
MOST_SEARCHED = 200_000

# The largest number of names that are listed in one part of a folder, which takes 100 MB and two seconds. People have
# fewer messages in a folder. Hard links to one file are free for their creator, and two million links used up all
# memory of the daemon.
MOST_LISTED = 200_000
# The largest number of names that are read in search of one message, which takes a third of a second.
MOST_PASSED = 1_000_000


class OpenMaildir(Closable):
    """A Maildir that is open for one visit. Used as a context manager, in one thread at a time."""

    def __init__(self, path: str, handle: int) -> None:
        """Take ownership of `handle`, a descriptor of the directory.

        `path` is used only for messages and the journal.
        """
        self.path = path
        self.handle = handle
        status = os.fstat(handle)
        self.identity = status.st_dev, status.st_ino
        self.owner = Owner.of(status)
        self.patience = PATIENCE
        """The remaining seconds that this visit may wait for servers to move messages that they have linked to tmp."""
        self.search = MOST_SEARCHED
        """The remaining number of names that this visit may read in search of further links of messages."""
        self._folders: dict[str, OpenFolder] = {}
        self._open: OrderedDict[str, OpenFolder] = OrderedDict()

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the Maildir at `path`.

        A symbolic link in the path is followed only if it belongs to root, to the user of this process, or to the owner
        of the directory that it leads to. Thus no other user decides which mail is classified under this path. Raises
        OSError if `path` is not a directory, and RefusedError if a link belongs to another user.
        """
        place, link_owners = open_directory(path)
        try:
            owner = os.fstat(place).st_uid
            if link_owners - {0, os.geteuid(), owner}:
                raise RefusedError(path, "leads along a symbolic link of another user, which is not followed")
            with Owner.of(os.fstat(place)).acting():
                handle = os.open(".", DIRECTORY, dir_fd=place)
        finally:
            os.close(place)
        return cls(path, handle)

    def folder(self, name: str = "") -> "OpenFolder":
        """Return the folder `name` (`.Junk`, `Lists/Junk`; "" is the inbox). The folder is opened at its first use."""
        if name not in self._folders:
            self._folders[name] = OpenFolder(self, name)
        return self._folders[name]

    def folder_at(self, path: str) -> "OpenFolder":
        """Return the folder at a path from the journal. Raises RefusedError if the path leads out of this Maildir."""
        if path == self.path:
            return self.folder()
        name = path.removeprefix(self.path + "/")
        if name == path or any(level in ("", ".", "..") for level in name.split("/")):
            raise RefusedError(path, "is not below its Maildir")
        return self.folder(name)

    def entry_at(self, path: str) -> Entry:
        """Return the entry of the file at a path from the journal.

        Raises RefusedError if the path is not the path of a message in this Maildir.
        """
        above, name = os.path.split(path)
        folder, part = os.path.split(above)
        if part not in PARTS or name in ("", ".", ".."):
            raise RefusedError(path, "is not a message in a folder of its Maildir")
        return Entry(self.folder_at(folder), part, name)

    def enter(self, name: str) -> int:
        """Return a descriptor of the directory `name` below the Maildir.

        Raises OSError if the directory is missing. Raises RefusedError if a directory in the path is a link or, if this
        process is root, does not belong to the owner of the Maildir.
        """
        if not name:
            return os.dup(self.handle)
        above, path = self.handle, self.path
        with self.owner.acting():
            for level in name.split("/"):
                path = f"{path}/{level}"
                try:
                    below = self.step(above, level, path)
                finally:
                    if above != self.handle:
                        os.close(above)
                above = below
        return above

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[int]:
        """Yield the descriptor that `enter` returns, and close it at the end of the block."""
        handle = self.enter(name)
        try:
            yield handle
        finally:
            os.close(handle)

    def step(self, above: int, level: str, path: str) -> int:
        """Return a descriptor of the directory `level` in the open directory `above`. `path` is used for errors.

        Raises the same errors as `enter`.
        """
        try:
            handle = os.open(level, DIRECTORY, dir_fd=above)
        except NotADirectoryError as error:
            # The kernel reports the same error for a link with O_DIRECTORY | O_NOFOLLOW.
            if _is_link(level, above):
                raise RefusedError(path, "is a symbolic link, and links in a Maildir are not followed") from error
            raise
        if not self.owner.owns(handle):
            os.close(handle)
            raise RefusedError(path, "does not belong to the owner of its Maildir")
        return handle

    def used(self, folder: "OpenFolder") -> None:
        """Mark a folder as recently used, and close the least recently used folders above MOST_OPEN."""
        self._open[folder.name] = folder
        self._open.move_to_end(folder.name)
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()

    def close(self) -> None:
        """Close all descriptors."""
        for folder in self._open.values():
            folder.close()
        self._open.clear()
        if self.handle >= 0:
            _close(self.handle)
        self.handle = -1


class OpenFolder:
    """A folder of an open Maildir. Its descriptors are opened at their first use."""

    def __init__(self, mailbox: OpenMaildir, name: str) -> None:
        self.mailbox = mailbox
        self.name = name
        self.path = f"{mailbox.path}/{name}" if name else mailbox.path
        self._handles: dict[str, int] = {}

    def handle(self, part: AnyPart | Literal[""] = "") -> int:
        """Return the descriptor of new, cur or tmp, or of the folder itself. Raises OSError if it is missing."""
        found = self._handles.get(part)
        if found is None:
            found = self._handles[part] = self._opened(part)
            self.mailbox.used(self)
        return found

    def _opened(self, part: str) -> int:
        mailbox = self.mailbox
        if not part:
            return mailbox.enter(self.name)
        with mailbox.owner.acting():
            above = self.handle() if self.name else mailbox.handle
            return mailbox.step(above, part, f"{self.path}/{part}")

    def exists(self) -> bool:
        """Return whether the folder has new, cur and tmp. Raises RefusedError if one of them is a link."""
        try:
            self.open_all()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def open_all(self) -> None:
        """Open new, cur and tmp. Several threads may then use this folder, as long as no other folder is opened.

        Opening another folder may close this folder (see MOST_OPEN).
        """
        for part in PARTS:
            self.handle(part)

    def entry(self, part: AnyPart, name: str) -> Entry:
        """Return the entry for the file `name` in `part`. The file may be missing."""
        return Entry(self, part, name)

    def messages(self, parts: Iterable[Part] = DELIVERED) -> Iterator[Entry]:
        """Yield the messages in new and cur, or in one of them. Only regular files are messages.

        new is listed first. A message that a mail program moves to cur meanwhile is then found twice, and is never
        missed. Raises OSError if a part is missing.
        """
        for part in parts:
            for entry in self.listed(part):
                yield Entry(self, part, entry.name)

    def listed(self, part: AnyPart) -> list[os.DirEntry[str]]:
        """Return the regular files in a part, except names with a leading dot.

        Raises RefusedError if the part has more than MOST_LISTED names.
        """
        return self._entries(part, "", most=MOST_LISTED)

    def find(self, base: str) -> list[Entry]:
        """Return the files in new and cur with the base name `base` and any flags, usually one file or none."""
        # Only names that begin with the base are parsed, because a folder may have a hundred thousand names.
        near = [
            Entry(self, part, entry.name) for part in DELIVERED for entry in self._entries(part, base, most=MOST_PASSED)
        ]
        return [entry for entry in near if Name.parse(entry.name).base == base]

    def _entries(self, part: AnyPart, beginning: str, *, most: int) -> list[os.DirEntry[str]]:
        handle = self.handle(part)
        with self.mailbox.owner.acting(), os.scandir(handle) as entries:
            found = [
                entry
                for entry in itertools.islice(entries, most)
                if entry.name.startswith(beginning) and not entry.name.startswith(".") and _is_plain(entry)
            ]
            if next(entries, None) is not None:
                raise RefusedError(f"{self.path}/{part}", f"has more than {most:,} names, too many to read")
        return found

    def sync(self, part: AnyPart | Literal[""]) -> None:
        """Make the names in a part durable (fsynced)."""
        sync_names(self.handle(part))

    def close(self) -> None:
        """Close the descriptors. They are opened again at the next use."""
        while self._handles:
            _close(self._handles.popitem()[1])


def _close(handle: int) -> None:
    """Close the descriptor of a directory."""
    try:
        os.close(handle)
    except OSError:
        return  # a directory has no unwritten data


def _is_plain(entry: os.DirEntry[str]) -> bool:
    """Return whether `entry` is a regular file. False if the file is gone.

    On file systems whose listings have no file types, the type is read later, when the file may be gone.
    """
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_link(name: str, above: int) -> bool:
    """Return whether `name` in the directory `above` is a symbolic link. False if its status cannot be read."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False
