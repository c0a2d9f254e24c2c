"""Find the messages under the paths that a user names: files, folders, Maildirs, mboxes, standard input."""

# os lists a folder of 10,000 many times as fast as pathlib, and keeps names as they were given:
# ruff: noqa: PTH112, PTH116, PTH118, PTH120

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

from spamlstm.corpus import mbox
from spamlstm.errors import reason_of
from spamlstm.files import open_any, open_regular
from spamlstm.maildir.names import DELIVERED, PARTS

# Mail servers refuse far smaller messages. A longer one is cut, which is one of its defects.
MOST_BYTES = 64 << 20
STDIN = "-"
NO_MAIL = "there is no mail in this folder"

# Most mail fits in one. A larger one takes longer, as its memory is allocated for each read.
_BLOCK = 64 << 10
_FOREIGN = "it is a symbolic link of another user, which is not followed"
_HEADER_LINE = re.compile(rb"[!-9;-~]{1,256}[ \t]*:")


@dataclass(frozen=True, slots=True)
class FileMessage:
    """A message in a file: the whole file, or `length` bytes from `start` of an mbox.

    `delivered` is true for a file in a Maildir, where links are not followed.
    """

    name: str
    path: str
    start: int = 0
    length: int | None = None
    delivered: bool = False

    def read(self) -> bytes:
        """Return the raw message, cut to MOST_BYTES + 1. Raises OSError."""
        most = MOST_BYTES + 1 if self.length is None else min(self.length, MOST_BYTES + 1)
        with open_regular(self.path, follow=not self.delivered) as stream:
            if not self.start:
                return _read_most(stream, most)
            stream.seek(self.start)
            raw = _read_most(stream, most)
            # A message that is cut keeps its length, by which others know it.
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
    """A path without mail; `why` ends a sentence that begins with its name."""

    name: str
    why: str


Found = FileMessage | GivenMessage | UnreadablePath


def find_messages(paths: list[str], *, stdin: BinaryIO | None = None) -> Iterator[Found]:
    """Yield each message under `paths`: paths in the order given, what lies below one sorted by name. Never raises.

    A file is one message, or several if it is an mbox; `-` is one message from `stdin`. Of a Maildir, the regular files
    in new and cur are messages. Of any other folder, the files are that end in .eml or look like mail. In it links are
    followed and each folder is read once; a link of another user is followed only to that user's own files.
    """
    for path in paths:
        if path == STDIN and stdin is not None:
            yield _from_stdin(stdin)
        elif os.path.isdir(path):
            yield from _folder(path)
        else:
            yield from _file(path)


def _from_stdin(stdin: BinaryIO) -> Found:
    try:
        return GivenMessage(STDIN, _read_most(stdin, MOST_BYTES + 1))
    except OSError as error:
        return UnreadablePath(STDIN, reason_of(error))


def _read_most(stream: BinaryIO, most: int) -> bytes:
    blocks, left = [], most
    while left and (block := stream.read(min(left, _BLOCK))):
        blocks.append(block)
        left -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _file(path: str) -> Iterator[Found]:
    """Yield the messages of a file that the user named: one at least, whatever it contains."""
    try:
        with open_any(path) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                # A pipe can be opened only once.
                yield GivenMessage(path, _read_most(stream, MOST_BYTES + 1))
                return
            head = stream.read(mbox.HEAD)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    yield from _of_file(path, head)


def _of_file(path: str, head: bytes) -> Iterator[Found]:
    """Yield the messages of the file at `path`, which begins with `head`. One alone in an mbox has the file's name."""
    # A single message may begin with a 'From ' line too.
    if path.endswith(".eml") or _is_delivered(path) or not mbox.is_mbox(head):
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


def _is_delivered(path: str) -> bool:
    """Whether the file is in new or cur of a Maildir."""
    folder, part = os.path.split(os.path.dirname(path))
    return part in DELIVERED and all(os.path.isdir(os.path.join(folder, one)) for one in DELIVERED)


def _folder(path: str) -> Iterator[Found]:
    empty = True
    for found in _below(path, set()):
        empty = False
        yield found
    if empty:
        yield UnreadablePath(path, NO_MAIL)


def _below(path: str, known: set[tuple[int, int]]) -> Iterator[Found]:
    """Yield the messages of a folder and of those in it, without the folders in `known`, to which all are added."""
    try:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in known:
            return
        known.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            listed = sorted((entry.name, _is_directory(entry), _is_foreign(entry)) for entry in entries)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    yield from (UnreadablePath(os.path.join(path, name), _FOREIGN) for name, _, is_foreign in listed if is_foreign)
    folders = [name for name, is_folder, is_foreign in listed if is_folder and not is_foreign]
    # A backup of a Maildir may lack tmp, which is empty.
    maildir = set(DELIVERED) <= set(folders)
    if maildir:
        for part in DELIVERED:
            yield from _delivered(os.path.join(path, part))
    else:
        yield from _files(path, [name for name, is_folder, is_foreign in listed if not is_folder and not is_foreign])
    for name in folders:
        if not (maildir and name in PARTS):
            yield from _below(os.path.join(path, name), known)


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link of a user to what another owns: as root we would read for them what they may not read."""
    try:
        if not entry.is_symlink():
            return False
        owner = entry.stat(follow_symlinks=False).st_uid
        return owner not in (0, os.geteuid(), entry.stat().st_uid)
    except OSError:
        return False  # a broken link; the error shows when it is read


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself; the error shows when it is read


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
    """Yield the messages in the files of a plain folder that end in .eml or look like mail; an index is skipped."""
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
            head = stream.read(mbox.HEAD)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    if begins_like_mail(head):
        yield from _of_file(path, head)


def begins_like_mail(raw: bytes) -> bool:
    """Whether the first line that is not blank is a header field or an mbox separator."""
    start = raw[:1024].lstrip()
    return bool(_HEADER_LINE.match(start)) or start.startswith((b"From ", b">From "))
