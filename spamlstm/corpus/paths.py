"""A search for messages at paths given by the user: files, folders, Maildirs, mboxes, standard input."""

# For folders with 10,000 files, os is much faster than pathlib, and os does not normalize the given paths:
# ruff: noqa: PTH112, PTH116, PTH118, PTH120

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, BinaryIO

from spamlstm.corpus import mbox
from spamlstm.errors import reason_of
from spamlstm.files import open_any, open_regular
from spamlstm.maildir.names import DELIVERED, PARTS
from spamlstm.message.beginning import begins_like_mail
from spamlstm.message.compression import decompressed, is_compressed

# The largest size of a message; mail servers accept far less. A larger message is truncated and marked as defective.
MOST_BYTES = 64 << 20
STDIN = "-"
NO_MAIL = "there is no mail in this folder"

# Bytes of one read. Most messages fit into one block. A larger block is slower, as each read allocates its memory.
_BLOCK = 64 << 10
_FOREIGN = "it is a symbolic link of another user, which is not followed"


@dataclass(frozen=True, slots=True)
class FileMessage:
    """A message in a file: the whole file, or `length` bytes of an mbox from the offset `start`.

    `delivered` is true for a file in a Maildir. Such a file is not read if it is a symbolic link.
    """

    name: str
    path: str
    start: int = 0
    length: int | None = None
    delivered: bool = False

    def read(self) -> bytes:
        """Return the raw message, truncated to MOST_BYTES + 1 bytes. A compressed file is decompressed.

        Raises OSError if the file cannot be read.
        """
        most = MOST_BYTES + 1 if self.length is None else min(self.length, MOST_BYTES + 1)
        with open_regular(self.path, follow=not self.delivered) as stream:
            if not self.start:
                return decompressed(read_most(stream, most), most=MOST_BYTES)
            stream.seek(self.start)
            raw = read_most(stream, most)
            # A truncated message is not unquoted, because callers recognise it by its length of MOST_BYTES + 1.
            return raw if len(raw) > MOST_BYTES else mbox.unquoted(raw)


@dataclass(frozen=True, slots=True)
class GivenMessage:
    """A message in memory."""

    name: str
    raw: bytes

    def read(self) -> bytes:
        """Return the raw message."""
        return self.raw


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A path at which no mail can be read. `why` is the reason, to be shown after the name."""

    name: str
    why: str


Found = FileMessage | GivenMessage | UnreadablePath
Skips = Callable[[str, str], bool]
"""A function from a given path and the name of a Maildir folder below it to whether that folder is skipped."""


def _no_skips(_path: str, _folder: str) -> bool:
    return False


def find_messages(paths: list[str], *, stdin: BinaryIO | None = None, skips: Skips = _no_skips) -> Iterator[Found]:
    """Yield all messages at or below `paths`, in the given order of the paths. Each folder is sorted by name.

    A file is one message, or several messages if the file is an mbox. `-` is one message read from `stdin`. In a
    Maildir, the regular files in `new` and `cur` are messages. In any other folder, files that end in .eml or look like
    mail are messages. In such a folder, links are followed and each folder is read once. A link that another
    user (except root) owns is followed only if the same user owns its target. A folder of a Maildir that `skips` names
    is left out with all folders below it, unless it is one of `paths`. Errors are yielded as UnreadablePath and are not
    raised.
    """
    for path in paths:
        if path == STDIN and stdin is not None:
            yield _from_stdin(stdin)
        elif os.path.isdir(path):
            yield from _folder(path, skips)
        else:
            yield from _file(path)


def _from_stdin(stdin: BinaryIO) -> Found:
    try:
        return GivenMessage(STDIN, decompressed(read_most(stdin, MOST_BYTES + 1), most=MOST_BYTES))
    except OSError as error:
        return UnreadablePath(STDIN, reason_of(error))


def read_most(stream: IO[bytes], most: int) -> bytes:
    """Return the bytes of a stream up to its end, or the first `most` bytes. Raises OSError if they cannot be read."""
    blocks, left = [], most
    while left and (block := stream.read(min(left, _BLOCK))):
        blocks.append(block)
        left -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _file(path: str) -> Iterator[Found]:
    """Yield the messages of a file given by the user. A file that is not empty yields at least one message."""
    try:
        with open_any(path) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                # A pipe of the shell can be opened only once, so it is read immediately.
                yield GivenMessage(path, decompressed(read_most(stream, MOST_BYTES + 1), most=MOST_BYTES))
                return
            head = stream.read(mbox.HEAD)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    yield from _of_file(path, head)


def _of_file(path: str, head: bytes) -> Iterator[Found]:
    """Yield the messages of the file at `path`, which begins with `head`.

    Several messages of an mbox are named PATH#1, PATH#2, …; a single message is named PATH.
    """
    # A file with a single message may begin with a 'From ' line too, so the name or folder decides first.
    if path.endswith(".eml") or _is_delivered(path) or not mbox.is_mbox(head):
        if is_compressed(head) and not _is_delivered(path) and mbox.is_mbox(_plain_head(path)):
            yield UnreadablePath(path, "it is a compressed mbox; decompress it first")
            return
        yield FileMessage(path, path)
        return
    try:
        with open_regular(path) as stream:
            spans = mbox.spans(stream)
            first = list(islice(spans, 2))
            for number, (start, length) in enumerate(chain(first, spans), start=1):
                yield FileMessage(path if len(first) == 1 else f"{path}#{number}", path, start, length)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))


def _plain_head(path: str) -> bytes:
    """Return the first bytes of the message in a compressed file. Empty if the file cannot be read."""
    try:
        return FileMessage(path, path).read()[: mbox.HEAD]
    except OSError:
        return b""


def _is_delivered(path: str) -> bool:
    """Return whether the file is in `new` or `cur` of a Maildir."""
    folder, part = os.path.split(os.path.dirname(path))
    return part in DELIVERED and all(os.path.isdir(os.path.join(folder, one)) for one in DELIVERED)


def _folder(path: str, skips: Skips) -> Iterator[Found]:
    empty = True
    for found in _below(path, skips):
        empty = False
        yield found
    if empty:
        yield UnreadablePath(path, NO_MAIL)


def _below(top: str, skips: Skips) -> Iterator[Found]:
    """Yield the messages in the given folder `top` and in all its subfolders, each folder before its subfolders."""
    known: set[tuple[int, int]] = set()  # device and inode of each folder that was read
    pending = [top]  # a list, because folders may be nested more deeply than Python calls functions
    while pending:
        path = pending.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in known:
                continue
            known.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                listed = sorted((entry.name, _is_directory(entry), _is_foreign(entry)) for entry in entries)
        except OSError as error:
            yield UnreadablePath(path, reason_of(error))
            continue
        yield from (UnreadablePath(os.path.join(path, name), _FOREIGN) for name, _, is_foreign in listed if is_foreign)
        folders = [name for name, is_folder, is_foreign in listed if is_folder and not is_foreign]
        files = [name for name, is_folder, is_foreign in listed if not is_folder and not is_foreign]
        # `tmp` is not required, because backups of Maildirs may omit this empty folder.
        maildir = set(DELIVERED) <= set(folders)
        if maildir and path != top and skips(top, path[len(top) :].lstrip("/")):
            continue
        if maildir:
            for part in DELIVERED:
                yield from _delivered(os.path.join(path, part))
            folders = [name for name in folders if name not in PARTS]
        else:
            yield from _files(path, files)
        pending += [os.path.join(path, name) for name in reversed(folders)]


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link that another user (except root) owns, but whose target this user does not own.

    If root followed such a link, the owner of the link could make root read files that they may not read themselves.
    """
    try:
        if not entry.is_symlink():
            return False
        owner = entry.stat(follow_symlinks=False).st_uid
        return owner not in (0, os.geteuid(), entry.stat().st_uid)
    except OSError:
        return False  # a broken link; reading the entry reports the error


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself; reading the entry reports the error


def _delivered(path: str) -> Iterator[Found]:
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    for name in names:
        if not name.startswith("."):
            full = os.path.join(path, name)
            yield FileMessage(full, full, delivered=True)


def _files(path: str, names: list[str]) -> Iterator[Found]:
    """Yield the messages in an ordinary folder: files that end in .eml or look like mail, except hidden files."""
    for name in names:
        full = os.path.join(path, name)
        if name.startswith("."):
            continue
        if name.endswith(".eml"):
            yield FileMessage(full, full)
        else:
            yield from _if_mail(full)


def _if_mail(path: str) -> Iterator[Found]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return
        with open_regular(path) as stream:
            head = read_most(stream, mbox.HEAD)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    if begins_like_mail(_plain_head(path) if is_compressed(head) else head):
        yield from _of_file(path, head)
