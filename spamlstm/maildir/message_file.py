"""The file of one message: its identity, reading the file, and whether another program writes or moves the file."""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from spamlstm.database import MOST_INTEGER
from spamlstm.maildir.entry import Entry, RefusedError
from spamlstm.maildir.folder_walk import below
from spamlstm.maildir.names import DELIVERED, AnyPart, GoneError, base_of
from spamlstm.maildir.opened import OpenFolder
from spamlstm.message.compression import decompressed, missing_package
from spamlstm.message.headers import end_of_head

# Mail servers limit headers to a fraction of this (Postfix to 100 KB). Searching 64 MB of headers for forged headers
# takes seconds.
MOST_HEAD_BYTES = 16 << 20
_BLOCK = 1 << 20
# FS_IOC_GETVERSION of linux/fs.h
_GET_GENERATION = 0x80087601
# Seconds between two checks of a link in tmp of another folder, while a mail server is moving the message.
_TICK = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a file. A rename keeps the identity.

    Another file that is later given the same name, as procmail does, has another identity. `links` is the number of
    names of the file when its status was read, or None if the number was not recorded. `links` is not compared.
    """

    inode: int
    mtime_ns: int
    size: int
    links: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the identity of the file with the given status."""
        # A date beyond the year 2262 is too large for the journal.
        return cls(status.st_ino, status.st_mtime_ns & MOST_INTEGER, status.st_size, status.st_nlink)


class UnreadableMessageError(Exception):
    """Raised for a message that is not read. The text gives the reason as a sentence about the message."""


class TooLargeError(UnreadableMessageError):
    """Raised for a message that is too large to be read."""


class MissingPackageError(UnreadableMessageError):
    """Raised for a compressed message if the package that can read it is not installed."""


class StoredMessage(NamedTuple):
    """A message that has been read. `content` is the plain message, also if the file is compressed.

    `generation` tells the file from a later file with the same inode number. It is 0 if the file system has none.
    """

    content: bytes
    identity: Identity
    is_compressed: bool
    generation: int = 0


def file_identity(entry: Entry) -> Identity | None:
    """Return the identity of the file at `entry`, or None if the file is missing. Raises OSError for other errors."""
    try:
        return Identity.of(entry.status())
    except FileNotFoundError:
        return None


def read_message(entry: Entry, *, most: int) -> StoredMessage:
    """Return a message and its identity, read from the same descriptor. A compressed message is decompressed.

    At most `most` + 1 bytes are read, because a file may grow meanwhile. Raises GoneError if the message is gone,
    TooLargeError if the message has more than `most` bytes or its headers have more than MOST_HEAD_BYTES, and
    MissingPackageError if the message is compressed and the package for it is not installed. Damaged compressed data is
    returned unchanged.
    """
    try:
        handle = entry.open()
    except FileNotFoundError as error:
        raise GoneError(entry.path) from error
    try:
        known = Identity.of(os.fstat(handle))
        stored = _read(handle, known.size, most) if known.size <= most else b""
        generation = _generation(handle)
    finally:
        os.close(handle)
    content = decompressed(stored, most=most)
    if content is stored and (why := missing_package(stored)):
        raise MissingPackageError(f"it is {why}")
    if max(known.size, len(content)) > most:
        raise TooLargeError(f"it has more than {most >> 20} MiB")
    if len(content) > MOST_HEAD_BYTES and end_of_head(content) > MOST_HEAD_BYTES:
        raise TooLargeError(f"its headers have more than {MOST_HEAD_BYTES >> 20} MiB")
    return StoredMessage(content, known, content is not stored, generation)


def _generation(handle: int) -> int:
    """Return the generation of an open file. ext4, XFS and Btrfs have one; ext4 uses inode numbers again at once."""
    cell = bytearray(8)  # the kernel writes 4 bytes, but the number of the call says 8
    try:
        fcntl.ioctl(handle, _GET_GENERATION, cell)
    except OSError:
        return 0
    return int.from_bytes(cell[:4], sys.byteorder)


def _read(handle: int, size: int, most: int) -> bytes:
    """Return the content of a file of about `size` bytes, at most `most` + 1 bytes."""
    pieces: list[bytes] = []
    left, ask = most + 1, size + 1
    while left > 0 and (piece := os.read(handle, min(ask, left))):
        pieces.append(piece)
        left -= len(piece)
        ask = _BLOCK
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def is_being_written(entry: Entry) -> bool:
    """Return whether a process has this file open for writing. False if the kernel cannot tell or the file is gone.

    A proper delivery is complete before the file is linked or renamed into new. But some scripts run `cat >
    Maildir/new/x`, and replacing such an unfinished file would lose the rest of the message. The kernel grants a read
    lease, to the owner and to root, only on a file that no process has open for writing. Must not be called for files
    on remote file systems (see `file_systems`), because other hosts may write there unnoticed, and a refused lease has
    no meaning there.
    """
    try:
        handle = entry.open()
    except OSError:
        return False
    try:
        with entry.folder.mailbox.owner.acting():
            # If a writer opens the file between the two calls, the kernel sends a signal. SIGURG is ignored by default.
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def is_moving(entry: Entry, expected: Identity) -> bool:
    """Return whether a program moves or copied a message: the file has a further name (see `is_linked_elsewhere`).

    `expected` is the identity of the message when it was read.
    """
    if expected.links is None or expected.links < 2:
        return False
    # Postfix delivers by a link from tmp, so that the message has a second name for a moment.
    now = file_identity(entry)
    return now is not None and (now.links or 0) > 1 and is_linked_elsewhere(entry, expected)


def was_linked(status: os.stat_result, expected: Identity, *, less: int = 0) -> bool:
    """Return whether another program has added a name (hard link) to a file since the file was read.

    `less` is the number of names that this program has removed since then.
    """
    return expected.links is not None and status.st_nlink > expected.links - less


def is_linked_elsewhere(entry: Entry, expected: Identity) -> bool:
    """Return whether a message has a further name besides `entry` that a move may have made.

    Such a name is in another folder or subdirectory of the Maildir, or in the same folder with the same base name, as
    in a move from new to cur. A name in the same folder with another base name is a second delivery or a copy, and does
    not count.

    Servers and clients move a message by a link or a rename, which keeps the inode. Dovecot first links the message to
    tmp of the other folder. The server may still remove this link, so this function waits until the link is gone. The
    wait is limited to the remaining `patience` of this visit, because a server that crashed may have left the link
    forever. The tmp of the inbox is ignored, because servers deliver from it.
    """
    mailbox = entry.folder.mailbox
    # Switching to the owner's identity and back takes as long as ten file lookups. This block does not wait.
    with mailbox.owner.acting():
        folders = list(below(mailbox))
        # Messages move from tmp to new and cur. In this order of lookups, none is missed.
        linked = list(_names([folder for folder in folders if folder.name], ("tmp",), expected))
    for one in linked:
        while mailbox.patience > 0 and file_identity(one) == expected:
            mailbox.patience -= _TICK
            time.sleep(_TICK)
    with mailbox.owner.acting():
        return any(
            one.path != entry.path
            and (one.folder.name != entry.folder.name or base_of(one.name) == base_of(entry.name))
            for one in _names(folders, DELIVERED, expected)
        )


def _names(folders: Iterable[OpenFolder], parts: Sequence[AnyPart], expected: Identity) -> Iterator[Entry]:
    """Yield the names of a message in `parts` of `folders`, up to the number of names that this visit may read."""
    for folder in folders:
        for part in parts:
            if folder.mailbox.search <= 0:
                return
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, RefusedError):
                folder.mailbox.search -= 1
                listed = folder.listed(part)
                folder.mailbox.search -= len(listed)
                same = [folder.entry(part, one.name) for one in listed if one.inode() == expected.inode]
                yield from (one for one in same if file_identity(one) == expected)
