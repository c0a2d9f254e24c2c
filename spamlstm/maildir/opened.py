"""Maildirs, their folders and files, opened by descriptors without following links.

The owner of a Maildir may replace any of its folders by a symbolic link at any moment. So a Maildir is opened once per
visit, each folder below it by a descriptor without following links, and each file by its name in the open folder. As
root, each of these calls is made as the owner of the Maildir: see docs/decisions/0017-maildirs-of-others.md.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

from spamlstm.files import CREATE, DIRECTORY, Closable, open_directory, regular_descriptor
from spamlstm.maildir.names import DELIVERED, PARTS, AnyPart, GoneError, Name, Part
from spamlstm.maildir.owner import Owner

# Folders with open descriptors; adopting a mailbox visits 2,000.
MOST_OPEN = 16
# Seconds that one visit waits in all for links in tmp. A server that moves many messages links each to tmp first, for
# milliseconds. A link that a crashed server left there must not delay the mail of others.
PATIENCE = 0.5
# Names that one visit reads in search of further links: a tenth of a second. Most Maildirs have fewer messages.
MOST_SEARCHED = 200_000

# Names that are listed in one part of a folder: 100 MB and two seconds of a scan. People have fewer messages in a
# folder. Links to one file cost their maker nothing: two million of them took all memory of the daemon.
MOST_LISTED = 200_000
# Names that are read in search of one message: a third of a second.
MOST_PASSED = 1_000_000


class RefusedError(OSError):
    """A name in a Maildir is a symbolic link or no regular file, belongs to another user, or has too many entries.

    `strerror` says which name and why.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.ELOOP, f"{path.rpartition('/')[2]} {why}", path)


def open_plain(name: str, above: int, *, shown: str) -> int:
    """Return a descriptor of the regular file `name` in the directory `above`. RefusedError for anything else."""
    try:
        return regular_descriptor(name, follow=False, dir_fd=above)
    except OSError as error:
        # ELOOP is a link.
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise RefusedError(shown, "is no regular file") from error
        raise


def is_link(name: str, above: int) -> bool:
    """Return whether `name` in the directory `above` is a symbolic link; False if it cannot be looked at."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False


class OpenMaildir(Closable):
    """A Maildir, open for one visit. Use it in `with`, in one thread at a time."""

    def __init__(self, path: str, handle: int) -> None:
        """Take over `handle`, a descriptor of the directory; `path` is for messages and the journal."""
        self.path = path
        self.handle = handle
        status = os.fstat(handle)
        self.identity = status.st_dev, status.st_ino
        self.owner = Owner.of(status)
        self.patience = PATIENCE
        """Seconds that this visit may still wait for servers that have linked a message to tmp but not moved it yet."""
        self.search = MOST_SEARCHED
        """Names that this visit may still read in search of further links of messages."""
        self._folders: dict[str, OpenFolder] = {}
        self._open: OrderedDict[str, OpenFolder] = OrderedDict()

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the Maildir at `path`. OSError if it is no directory.

        A symbolic link on the way is followed if it belongs to root, to the user of this process, or to the owner of
        the directory that it leads to; else RefusedError. Nobody else decides which mail is judged under this name.
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
        """Return the folder of this name (`.Junk`, `Lists/Junk`; "" is the inbox). It is opened when it is used."""
        if name not in self._folders:
            self._folders[name] = OpenFolder(self, name)
        return self._folders[name]

    def folder_at(self, path: str) -> "OpenFolder":
        """Return the folder at a path from the journal. RefusedError if the path leads out of this Maildir."""
        if path == self.path:
            return self.folder()
        name = path.removeprefix(self.path + "/")
        if name == path or any(level in ("", ".", "..") for level in name.split("/")):
            raise RefusedError(path, "is not below its Maildir")
        return self.folder(name)

    def entry_at(self, path: str) -> "Entry":
        """Return the file at a path from the journal. RefusedError if it is no message's path in this Maildir."""
        above, name = os.path.split(path)
        folder, part = os.path.split(above)
        if part not in PARTS or name in ("", ".", ".."):
            raise RefusedError(path, "is no message in a folder of its Maildir")
        return Entry(self.folder_at(folder), part, name)

    def enter(self, name: str) -> int:
        """Return a descriptor of the directory `name` below the Maildir. OSError if it is missing.

        RefusedError if a directory on the way is a link or, for root, does not belong to the owner of the Maildir.
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
        """Yield the descriptor that `enter` returns, and close it at the end."""
        handle = self.enter(name)
        try:
            yield handle
        finally:
            os.close(handle)

    def step(self, above: int, level: str, path: str) -> int:
        """Return a descriptor of the directory `level` in an open one, as `enter` does; `path` is for the error."""
        try:
            handle = os.open(level, DIRECTORY, dir_fd=above)
        except NotADirectoryError as error:
            # The kernel's error for a link with O_DIRECTORY | O_NOFOLLOW is the same.
            if is_link(level, above):
                raise RefusedError(path, "is a symbolic link, and links in a Maildir are not followed") from error
            raise
        if not self.owner.owns(handle):
            os.close(handle)
            raise RefusedError(path, "does not belong to the owner of its Maildir")
        return handle

    def used(self, folder: "OpenFolder") -> None:
        """Mark the descriptors of a folder as used, and close the least recently used ones above MOST_OPEN."""
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
    """A folder of an open Maildir. Its descriptors are opened when first needed."""

    def __init__(self, mailbox: OpenMaildir, name: str) -> None:
        self.mailbox = mailbox
        self.name = name
        self.path = f"{mailbox.path}/{name}" if name else mailbox.path
        self._handles: dict[str, int] = {}

    def handle(self, part: AnyPart | Literal[""] = "") -> int:
        """Return the descriptor of new, cur or tmp, or of the folder itself. OSError if it is missing."""
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
        """Return whether the folder has new, cur and tmp. RefusedError if one is a link."""
        try:
            self.open_all()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def open_all(self) -> None:
        """Open new, cur and tmp. From then on several threads may use this folder, until one opens another folder."""
        for part in PARTS:
            self.handle(part)

    def entry(self, part: AnyPart, name: str) -> "Entry":
        """Return the entry for this name; the file need not exist."""
        return Entry(self, part, name)

    def messages(self, parts: Iterable[Part] = DELIVERED) -> "Iterator[Entry]":
        """Yield the messages in new and cur, or in one of them: the regular files. OSError if the part is missing.

        new is listed first: a message that a mail program moves to cur meanwhile is then found twice, and never missed.
        """
        for part in parts:
            for entry in self.listed(part):
                yield Entry(self, part, entry.name)

    def listed(self, part: AnyPart) -> list[os.DirEntry[str]]:
        """Return the regular files in a part whose names begin with no dot. RefusedError if there are too many."""
        return self._entries(part, "", most=MOST_LISTED)

    def find(self, base: str) -> "list[Entry]":
        """Return the files in new and cur with this base name, with any flags: mostly one, or none."""
        # Only names that begin with it are parsed: a folder may have a hundred thousand.
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
                raise RefusedError(f"{self.path}/{part}", f"has more than {most:,} names, too many to look at")
        return found

    def sync(self, part: AnyPart | Literal[""]) -> None:
        """Bring the names in a part to disk."""
        os.fsync(self.handle(part))

    def close(self) -> None:
        """Close the descriptors. They are opened again when needed."""
        while self._handles:
            _close(self._handles.popitem()[1])


@dataclass(frozen=True, slots=True)
class Entry:
    """A file name in a part of an open folder. The message may have another name by now, or be gone."""

    folder: OpenFolder
    part: AnyPart
    name: str

    @property
    def path(self) -> str:
        """The path, for messages and the journal; never used to open the file."""
        return f"{self.folder.path}/{self.part}/{self.name}"

    def status(self) -> os.stat_result:
        """Return the file's status; a link is not followed. FileNotFoundError if there is no such name."""
        with self.folder.mailbox.owner.acting():
            return os.stat(self.name, dir_fd=self.folder.handle(self.part), follow_symlinks=False)

    def open(self) -> int:
        """Return a descriptor for reading. RefusedError if it is no regular file, FileNotFoundError if it is gone."""
        with self.folder.mailbox.owner.acting():
            return open_plain(self.name, self.folder.handle(self.part), shown=self.path)

    def create(self) -> int:
        """Create the file with mode 0600 and return a descriptor for writing. FileExistsError if it exists."""
        with self.folder.mailbox.owner.acting():
            return os.open(self.name, CREATE, 0o600, dir_fd=self.folder.handle(self.part))

    def exists(self) -> bool:
        """Return whether there is a file, a link or anything else of this name."""
        try:
            self.status()
        except FileNotFoundError:
            return False
        return True

    def rename(self, target: "Entry") -> None:
        """Rename the file within its Maildir. GoneError if it is gone, FileExistsError if the new name is taken."""
        if target.exists():
            raise FileExistsError(errno.EEXIST, "the name is taken", target.path)
        there, here = target.folder.handle(target.part), self.folder.handle(self.part)
        with self.folder.mailbox.owner.acting():
            try:
                os.rename(self.name, target.name, src_dir_fd=here, dst_dir_fd=there)
            except FileNotFoundError as error:
                # The kernel's error is the same if the target folder was removed; then the message is not gone.
                if os.fstat(there).st_nlink:
                    raise GoneError(self.path) from error
                raise

    def unlink(self) -> None:
        """Remove the name. FileNotFoundError if there is no such name."""
        with self.folder.mailbox.owner.acting():
            os.unlink(self.name, dir_fd=self.folder.handle(self.part))


def _close(handle: int) -> None:
    """Close the descriptor of a directory."""
    try:
        os.close(handle)
    except OSError:
        return  # a directory has no unwritten data


def _is_plain(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a regular file; False if it is gone, which shows where listings have no types."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False
