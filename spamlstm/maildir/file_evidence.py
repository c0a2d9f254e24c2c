"""The evidence of a file, which distinguishes a moved or copied file of a message from a further delivery of it.

- A rename and a hard link keep the inode and the modification time of a file. Mail programs move a message in one of
  these ways if they can, and Dovecot also copies a message by a hard link.
- A mail program that copies a message to a new file keeps the modification time, because it is the date of delivery.
- The Received headers are the trace of a delivery. The receiving server or the fetching program adds one on top, and a
  move never does.
- Programs that synchronize a Maildir with an IMAP server (mbsync, OfflineIMAP) write a new file with the current time,
  and its number on the server into its name.
- A message that this program tagged is not delivered again with these headers.
"""

import struct
from dataclasses import dataclass, replace
from enum import IntFlag
from hashlib import blake2b
from typing import Self

from spamlstm.maildir.content_id import RECEIVED
from spamlstm.maildir.headers import is_tagged, is_tagged_as_spam
from spamlstm.maildir.message_file import StoredMessage
from spamlstm.maildir.names import base_of
from spamlstm.message.headers import end_of_head

# Received headers are looked for in this many bytes, and this many of them are used. Servers refuse a message with more
# than 100 of them, because it is in a loop.
_MOST_BYTES, _MOST_FIELDS = 64 << 10, 16
_WHITE = b" \t\r\n"
_HASH_BYTES = 4
_PACKED = struct.Struct("<BQIq")
_SECOND = 10**9
_MOST_MARKS = 31


class FileMark(IntFlag):
    """Properties of a file that matter as evidence."""

    NONE = 0
    TAGGED = 1
    """The message has the headers of this program."""
    SYNCHRONIZED = 2
    """The file was written by a program that synchronizes the Maildir with an IMAP server."""
    TRACED = 4
    """The trace is known."""
    TAGGED_AS_SPAM = 8
    """The headers of this program say that the message is spam. Programs that deliver mail file it by these headers."""
    COMPRESSED = 16
    """The file is compressed."""


# Marks that may differ between two copies of one delivery.
_VARIABLE = FileMark.SYNCHRONIZED | FileMark.TAGGED_AS_SPAM | FileMark.COMPRESSED


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """The evidence of one file. Without arguments, nothing is known about the file."""

    inode: int = 0
    """The inode number of the file, or 0 if not known."""
    generation: int = 0
    """See `StoredMessage`."""
    mtime_ns: int | None = None
    """The modification time of the file in nanoseconds since 1970, or None if not known."""
    trace: bytes = b""
    """The hashes of the Received headers, the topmost first."""
    marks: FileMark = FileMark.NONE

    @classmethod
    def of(cls, name: str, stored: StoredMessage) -> Self:
        """Return the evidence of a file with this name that has been read."""
        marks = FileMark.TRACED
        if is_tagged(stored.content):
            marks |= FileMark.TAGGED
            if is_tagged_as_spam(stored.content):
                marks |= FileMark.TAGGED_AS_SPAM
        if ",U=" in name[len(base_of(name)) :]:
            marks |= FileMark.SYNCHRONIZED
        if stored.is_compressed:
            marks |= FileMark.COMPRESSED
        identity = stored.identity
        return cls(identity.inode, stored.generation, identity.mtime_ns, trace_of(stored.content), marks)

    def is_same_file(self, earlier: "FileEvidence") -> bool:
        """Return whether this is the file of `earlier`, renamed or with a further name."""
        mine, other = ((one.inode, one.generation, one.mtime_ns) for one in (self, earlier))
        return mine == other and self.inode > 0

    def is_other_file(self, earlier: "FileEvidence") -> bool:
        """Return whether this is certainly not the file of `earlier`, so that it was neither renamed nor linked.

        A program may have compressed the file of `earlier` in its place, which gives it another inode.
        """
        if FileMark.COMPRESSED in self.marks and FileMark.COMPRESSED not in earlier.marks:
            return False
        mine, other = ((one.inode, one.generation) for one in (self, earlier))
        return mine != other and 0 not in (mine[0], other[0])

    def is_synchronized_copy(self, earlier: "FileEvidence") -> bool:
        """Return whether a program that synchronizes the Maildir wrote this file for the same delivery as `earlier`."""
        same = (self.trace, self.marks | _VARIABLE) == (earlier.trace, earlier.marks | _VARIABLE)
        return same and FileMark.SYNCHRONIZED in self.marks and FileMark.TRACED in earlier.marks

    def is_other_delivery(self, earlier: "FileEvidence") -> bool:
        """Return whether this file certainly has another delivery of the message of `earlier`, and is not a copy of it.

        The file has another date, and a new Received header on top, or all Received headers but none of this program.
        Some programs lose headers when they move a message, but not only the headers of this program.
        """
        if self.mtime_ns is None or earlier.mtime_ns is None or abs(self.mtime_ns - earlier.mtime_ns) < _SECOND:
            return False
        if not self.trace:
            return False
        lost_tag = FileMark.TAGGED in earlier.marks and FileMark.TAGGED not in self.marks
        if FileMark.TRACED not in earlier.marks:
            return lost_tag
        return (lost_tag and self.trace == earlier.trace) or not earlier.has(self.trace[:_HASH_BYTES])

    def has(self, digest: bytes) -> bool:
        """Return whether a Received header of the message has this hash."""
        starts = range(0, len(self.trace), _HASH_BYTES)
        return any(self.trace[start : start + _HASH_BYTES] == digest for start in starts)

    def filed(self, *, date: int, is_tagged: bool) -> Self:
        """Return the evidence after this program moved the file, or wrote the file anew with headers and its `date`."""
        marks = self.marks | FileMark.TAGGED if is_tagged else self.marks & ~(FileMark.TAGGED | FileMark.TAGGED_AS_SPAM)
        return replace(self, inode=0, generation=0, mtime_ns=date * _SECOND, marks=marks)

    def packed(self) -> bytes | None:
        """Return the evidence as bytes for a database cell, or None if nothing is known."""
        if self == FileEvidence():
            return None
        mtime_ns = -1 if self.mtime_ns is None else self.mtime_ns
        return _PACKED.pack(self.marks, self.inode, self.generation, mtime_ns) + self.trace

    @classmethod
    def unpacked(cls, cell: bytes | None) -> Self:
        """Return the evidence in a database cell. A cell that `packed` does not write gives no evidence."""
        if cell is None or len(cell) < _PACKED.size:
            return cls()
        marks, inode, generation, mtime_ns = _PACKED.unpack(cell[: _PACKED.size])
        date = None if mtime_ns < 0 else mtime_ns
        return cls(inode, generation, date, bytes(cell[_PACKED.size :]), FileMark(marks & _MOST_MARKS))


UNKNOWN_FILE = FileEvidence()
"""The evidence of a file that was not read."""


def trace_of(raw: bytes) -> bytes:
    """Return the hashes of the Received headers of a message, the topmost first.

    White space is ignored, because mail programs fold headers in other ways.
    """
    hashes = []
    for match in RECEIVED.finditer(raw, 0, min(len(raw), _MOST_BYTES, end_of_head(raw))):
        value = match[1].translate(None, _WHITE)
        hashes.append(blake2b(value, digest_size=_HASH_BYTES, person=b"received").digest())
        if len(hashes) == _MOST_FIELDS:
            break
    return b"".join(hashes)
