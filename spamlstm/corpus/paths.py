"""From what a user names (files, folders, Maildirs, mboxes, standard input) to single messages, read when needed."""

# os lists a folder of 10,000 many times as fast as pathlib, and keeps names as they were given:
# ruff: noqa: PTH112, PTH116, PTH118

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from spamlstm.errors import reason_of
from spamlstm.files import open_any, open_regular

# Mail servers refuse mail far below this; what is longer is read to here and says so in its defects.
MOST_BYTES = 64 << 20
STDIN = "-"

# What most mail fits in: to ask for more takes longer, as room for it is made each time.
_BLOCK = 64 << 10
_TAIL = 512
_FOREIGN = "it is a symbolic link of another user, which is not followed"
_HEADER_LINE = re.compile(rb"[!-9;-~]{1,256}[ \t]*:")
# The date is asked for, as bodies hold paragraphs that begin with 'From '.
# In three steps, as one pattern tries each time with each year of a line that holds hundreds of both.
_FROM_LINE = re.compile(rb"(?:\A|(?<=\n))From ([^\n]{8,448})(?=\n)")
_TIME, _YEAR = re.compile(rb"(?=\d:\d\d)"), re.compile(rb"(?=\d{4})")
_BEFORE_TIME, _BEFORE_YEAR, _BEHIND_YEAR = 300, 100, 40


@dataclass(frozen=True, slots=True)
class FileMessage:
    """Where one message lies: a whole file, or `length` bytes of it from `start` (one of an mbox).

    `delivered` tells that it lies in a Maildir, in which no link is followed.
    """

    name: str
    path: str
    start: int = 0
    length: int | None = None
    delivered: bool = False

    def read(self) -> bytes:
        """The raw message, at most MOST_BYTES and one more (which tells that it was cut). Raises OSError."""
        most = MOST_BYTES + 1 if self.length is None else min(self.length, MOST_BYTES + 1)
        with open_regular(self.path, follow=not self.delivered) as stream:
            if self.start:
                stream.seek(self.start)
            return _read_most(stream, most)


@dataclass(frozen=True, slots=True)
class GivenMessage:
    """One message that is in memory already."""

    name: str
    raw: bytes

    def read(self) -> bytes:
        """The raw message."""
        return self.raw


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """Something named that gave no mail, and why, as the end of a sentence that begins with its name."""

    name: str
    why: str


Found = FileMessage | GivenMessage | UnreadablePath


def find_messages(paths: list[str], *, stdin: BinaryIO | None = None) -> Iterator[Found]:
    """Each message under `paths`, in the order named and sorted by name below; never raises, an Unreadable tells.

    A file is one message, or many if it is an mbox; `-` is one message from `stdin`. A Maildir gives what is in new
    and cur, but no links. Any other folder gives the files below it that look like mail. There links are followed, each
    folder once; but not those of another user to what is not his own.
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
    """A file that the user named himself: judged whatever it is."""
    try:
        with open_any(path) as stream:
            regular = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            mbox = regular and not path.endswith(".eml") and _begins_mbox(stream.read(_TAIL))
            if not regular:
                # A pipe can be opened once only.
                yield GivenMessage(path, _read_most(stream, MOST_BYTES + 1))
                return
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    yield from _mbox(path) if mbox else (FileMessage(path, path),)


def _mbox(path: str) -> Iterator[Found]:
    """The messages of an mbox, one place each; one alone keeps the name of the file. Holds one block in memory."""
    try:
        with open_regular(path) as stream:
            starts = _from_lines(stream)
            start, number = next(starts), 0
            for number, end in enumerate(starts, 1):
                yield FileMessage(f"{path}#{number}", path, start, end - start)
                start = end
        yield FileMessage(f"{path}#{number + 1}" if number else path, path, start)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))


def _from_lines(stream: BinaryIO) -> Iterator[int]:
    """The offsets of the separator lines of an mbox."""
    offset, kept, last = 0, b"", -1
    while block := stream.read(_BLOCK):
        window = kept + block
        for match in _FROM_LINE.finditer(window):
            at = offset + match.start()
            # The kept tail is looked at twice, and its first byte is the start of a line only by accident.
            if at > last and (match.start() or not offset) and _has_date(match[1]):
                yield at
                last = at
        kept = window[-_TAIL:]
        offset += len(window) - len(kept)


def _folder(path: str) -> Iterator[Found]:
    empty = True
    for found in _below(path, set()):
        empty = False
        yield found
    if empty:
        yield UnreadablePath(path, "there is no mail in this folder")


def _below(path: str, seen: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            listed = sorted((entry.name, _is_folder(entry), _is_foreign(entry)) for entry in entries)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    yield from (UnreadablePath(os.path.join(path, name), _FOREIGN) for name, _, is_foreign in listed if is_foreign)
    names = [(name, is_folder) for name, is_folder, is_foreign in listed if not is_foreign]
    folders = [name for name, is_folder in names if is_folder]
    maildir = "new" in folders and "cur" in folders
    if maildir:
        for part in ("new", "cur"):
            yield from _delivered(os.path.join(path, part))
    else:
        yield from _files(path, [name for name, is_folder in names if not is_folder])
    for name in folders:
        if not (maildir and name in ("new", "cur", "tmp")):
            yield from _below(os.path.join(path, name), seen)


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link of another user to what is not his: root would read for him what he may not read himself."""
    try:
        if not entry.is_symlink():
            return False
        owner = entry.stat(follow_symlinks=False).st_uid
        return owner not in (0, os.geteuid(), entry.stat().st_uid)
    except OSError:
        return False  # it leads nowhere, which is told when it is read


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link that leads to itself is taken for a file, which then says that it cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


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
    """Of a plain folder: what ends in .eml, and what begins like mail; an index or a picture beside them is passed."""
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
            start = stream.read(_TAIL)
    except OSError as error:
        yield UnreadablePath(path, reason_of(error))
        return
    if _begins_mbox(start):
        yield from _mbox(path)
    elif begins_like_mail(start):
        yield FileMessage(path, path)


def _begins_mbox(start: bytes) -> bool:
    match = _FROM_LINE.match(start)
    return match is not None and _has_date(match[1])


def _has_date(sender: bytes) -> bool:
    """Whether what follows `From ` ends in a date: a time, a year not far behind it, and little behind that."""
    years = [match.start() for match in _YEAR.finditer(sender, max(len(sender) - _BEHIND_YEAR - 4, 0))]
    for time in _TIME.finditer(sender, 0, _BEFORE_TIME + 4):
        first = bisect_left(years, time.start() + 4)
        if first < len(years) and years[first] <= time.start() + 4 + _BEFORE_YEAR:
            return True
    return False


def begins_like_mail(raw: bytes) -> bool:
    """Whether the first line that is not blank is a header field or an mbox separator."""
    start = raw[:1024].lstrip()
    return bool(_HEADER_LINE.match(start)) or start.startswith((b"From ", b">From "))
