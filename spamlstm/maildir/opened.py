"""A Maildir opened by descriptors, so that no name that changes meanwhile leads out of it.

Whoever owns a Maildir may replace any of its folders by a symbolic link at any moment. So a Maildir is opened once per
visit, each folder below it by a descriptor that follows no link, and each file by its name in the descriptor of its
folder. As root, each of these calls is made as the owner of the Maildir: see docs/decisions/0017-maildirs-of-others.md.
"""

import contextlib
import errno
import itertools
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from spamlstm.files import CREATE, DIRECTORY, open_directory
from spamlstm.maildir.descriptors import RefusedError, is_link, open_plain
from spamlstm.maildir.names import DELIVERED, PARTS, AnyPart, GoneError, Name, Part
from spamlstm.maildir.owner import Owner

# Folders whose descriptors are open at the same time; adopting a mailbox goes through 2,000.
MOST_OPEN = 16
# Seconds that one visit waits in all for links in tmp. A server that moves many messages links each to tmp first, which
# takes milliseconds; a link that a server left there when it died must not keep the mail of others waiting.
PATIENCE = 0.5
# A tenth of a second, and more messages than most Maildirs have.
MOST_SEARCHED = 200_000

# Names in one part of a folder that are listed: 100 MB and two seconds of a scan, and more messages than people have in
# one folder. Links to one file cost whoever makes them nothing: with two million the daemon had no memory left.
MOST_LISTED = 200_000
# Names that are passed through in search of one message: a third of a second.
MOST_PASSED = 1_000_000


class OpenMaildir:
    """One Maildir for the time of one visit. Used in `with`; not for two threads at once."""

    def __init__(self, path: str, handle: int) -> None:
        """`path` is for messages and the journal; `handle` is a descriptor of the directory, closed with this."""
        self.path = path
        self.handle = handle
        status = os.fstat(handle)
        self.identity = status.st_dev, status.st_ino
        self.owner = Owner.of(status)
        self.patience = PATIENCE
        """Seconds that this visit may still wait for a mail server that has linked but not yet moved a message."""
        self.search = MOST_SEARCHED
        """Names that this visit may still look at in search of the further links of messages."""
        self._folders: dict[str, OpenFolder] = {}
        self._open: OrderedDict[str, OpenFolder] = OrderedDict()

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the Maildir at `path`; an OSError if that is no directory or, by a link, somebody else's.

        A symbolic link on the way is followed if it belongs to root, to the user who runs this, or to the owner of the
        directory that the path ends in: nobody else decides whose mail is judged under this name.
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
        """The folder of this name (`.Junk`, `Lists/Junk`), "" being the inbox. It is opened when it is used."""
        if name not in self._folders:
            self._folders[name] = OpenFolder(self, name)
        return self._folders[name]

    def folder_at(self, path: str) -> "OpenFolder":
        """The folder at a path that the journal holds. RefusedError if the path leads out of this Maildir."""
        if path == self.path:
            return self.folder()
        name = path.removeprefix(self.path + "/")
        if name == path or any(level in ("", ".", "..") for level in name.split("/")):
            raise RefusedError(path, "is not below its Maildir")
        return self.folder(name)

    def entry_at(self, path: str) -> "Entry":
        """The file at a path that the journal holds. RefusedError if the path leads out of this Maildir."""
        above, name = os.path.split(path)
        folder, part = os.path.split(above)
        if part not in PARTS or name in ("", ".", ".."):
            raise RefusedError(path, "is no message in a folder of its Maildir")
        return Entry(self.folder_at(folder), part, name)

    def enter(self, name: str) -> int:
        """A descriptor of the directory `name` below the Maildir. No link is followed; an OSError if it is not there.

        As root, RefusedError if a directory on the way is not the owner's.
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

    def step(self, above: int, level: str, path: str) -> int:
        """The same from a directory that is open, one level down; `path` is for the error."""
        try:
            handle = os.open(level, DIRECTORY, dir_fd=above)
        except NotADirectoryError as error:
            # So the kernel also says of a link, where no link is to be followed.
            if is_link(level, above):
                raise RefusedError(path, "is a symbolic link, and links in a Maildir are not followed") from error
            raise
        if not self.owner.owns(handle):
            os.close(handle)
            raise RefusedError(path, "does not belong to the owner of its Maildir")
        return handle

    def used(self, folder: "OpenFolder") -> None:
        """Note that the descriptors of a folder are in use; those that were not for longest are closed."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class OpenFolder:
    """One folder of an opened Maildir: what lies in it. Its descriptors are opened when first needed."""

    def __init__(self, mailbox: OpenMaildir, name: str) -> None:
        self.mailbox = mailbox
        self.name = name
        self.path = f"{mailbox.path}/{name}" if name else mailbox.path
        self._handles: dict[str, int] = {}

    def handle(self, part: AnyPart | Literal[""] = "") -> int:
        """The descriptor of new, cur or tmp, or of the folder itself. An OSError if it is not there."""
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
        """Whether new, cur and tmp are there. RefusedError if one is a link."""
        try:
            self.open_all()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def open_all(self) -> None:
        """Open new, cur and tmp. Several threads may use the folder from then on, for as long as none opens another."""
        for part in PARTS:
            self.handle(part)

    def entry(self, part: AnyPart, name: str) -> "Entry":
        """The file of this name, there or not."""
        return Entry(self, part, name)

    def messages(self, parts: Iterable[Part] = DELIVERED) -> "Iterator[Entry]":
        """What lies in new and cur, or in one of them. A folder that is not there is an OSError and never an empty one.

        new is listed first: a message that a reader takes to cur meanwhile is then seen twice, and never not at all.
        Only regular files count.
        """
        for part in parts:
            for entry in self.listed(part):
                yield Entry(self, part, entry.name)

    def listed(self, part: AnyPart) -> list[os.DirEntry[str]]:
        """The regular files in a part that are messages by their names. RefusedError if there are too many names."""
        return self._entries(part, "", most=MOST_LISTED)

    def find(self, base: str) -> "list[Entry]":
        """Where the message of this base name lies now, whatever its flags: mostly one place, or none."""
        # Of a hundred thousand names nearly all are told apart without taking them apart.
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
        """Bring the names in one part to disk."""
        os.fsync(self.handle(part))

    def close(self) -> None:
        """Close the descriptors; they are opened again when needed."""
        while self._handles:
            _close(self._handles.popitem()[1])


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in one part of an opened folder; by now its message may have another name, or be gone."""

    folder: OpenFolder
    part: AnyPart
    name: str

    @property
    def path(self) -> str:
        """The path, for messages and for the journal; nothing is opened by it."""
        return f"{self.folder.path}/{self.part}/{self.name}"

    def status(self) -> os.stat_result:
        """Its status, not that of what a link leads to. FileNotFoundError if the name is nobody's."""
        with self.folder.mailbox.owner.acting():
            return os.stat(self.name, dir_fd=self.folder.handle(self.part), follow_symlinks=False)

    def open(self) -> int:
        """A descriptor to read from. RefusedError for what is no regular file, FileNotFoundError if it is gone."""
        with self.folder.mailbox.owner.acting():
            return open_plain(self.name, self.folder.handle(self.part), shown=self.path)

    def create(self) -> int:
        """Make the file, for its owner alone; gives a descriptor to write to. FileExistsError if it is there."""
        with self.folder.mailbox.owner.acting():
            return os.open(self.name, CREATE, 0o600, dir_fd=self.folder.handle(self.part))

    def exists(self) -> bool:
        """Whether there is anything of this name."""
        try:
            self.status()
        except FileNotFoundError:
            return False
        return True

    def rename(self, target: "Entry") -> None:
        """Rename it within its Maildir. GoneError if it is gone, FileExistsError if the name is taken."""
        if target.exists():
            raise FileExistsError(errno.EEXIST, "the name is taken", target.path)
        there, here = target.folder.handle(target.part), self.folder.handle(self.part)
        with self.folder.mailbox.owner.acting():
            try:
                os.rename(self.name, target.name, src_dir_fd=here, dst_dir_fd=there)
            except FileNotFoundError as error:
                # The kernel says the same where the target folder was removed: that is no message that is gone.
                if os.fstat(there).st_nlink:
                    raise GoneError(self.path) from error
                raise

    def unlink(self) -> None:
        """Remove the name. FileNotFoundError if it is nobody's."""
        with self.folder.mailbox.owner.acting():
            os.unlink(self.name, dir_fd=self.folder.handle(self.part))


def _close(handle: int) -> None:
    """Close the descriptor of a directory. An error loses nothing: a directory has no unwritten data."""
    with contextlib.suppress(OSError):
        os.close(handle)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    """Where the folder does not tell the type of its entries this asks the file, which may be gone by now."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False
