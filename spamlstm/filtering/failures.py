"""Failures: the kinds under which they are counted, and sentences about them."""

import errno
from enum import StrEnum

from spamlstm.errors import DataError, TemporaryError, UserError, reason_of

NO_MEMORY = "there is not enough memory"


class FailureKind(StrEnum):
    """The names under which failures are counted."""

    DISK_FULL = "disk-full"
    PERMISSION = "permission"
    READ_ONLY = "read-only"
    VANISHED = "vanished"
    IO = "io"
    JOURNAL = "journal"
    FOLDER = "folder"
    """The junk folder cannot be used, for example because it is on another file system or leads out of the Maildir."""
    TOO_LARGE = "too-large"
    COMPRESSED = "compressed"
    """The message is compressed, and the package that can read it is not installed."""
    UNREADABLE = "unreadable"
    """The message could not be classified."""
    UNSETTLED = "unsettled"
    """An act on the message was interrupted, and its result cannot be determined yet."""
    UNFINISHED = "unfinished"
    """The message is still being written, directly in new. The next scan follows when the writing ends."""
    MEMORY = "memory"
    """There was not enough memory."""
    BUG = "bug"


_KINDS = {
    errno.ENOSPC: FailureKind.DISK_FULL,
    errno.EDQUOT: FailureKind.DISK_FULL,
    errno.EFBIG: FailureKind.DISK_FULL,
    errno.EACCES: FailureKind.PERMISSION,
    errno.EPERM: FailureKind.PERMISSION,
    errno.EROFS: FailureKind.READ_ONLY,
    errno.ELOOP: FailureKind.FOLDER,
    errno.ENOENT: FailureKind.VANISHED,
    errno.ENOTDIR: FailureKind.VANISHED,
    errno.ESTALE: FailureKind.VANISHED,
}


def kind_of(error: Exception) -> FailureKind:
    """Return the kind under which an error is counted. An error of none of the other kinds is a BUG."""
    if isinstance(error, DataError | TemporaryError):
        return FailureKind.JOURNAL
    if isinstance(error, MemoryError):
        return FailureKind.MEMORY
    return _KINDS.get(error.errno or 0, FailureKind.IO) if isinstance(error, OSError) else FailureKind.BUG


def sentence(error: Exception) -> str:
    """Return an error as a sentence for reports.

    The file names of an OSError are omitted, because any user may have chosen these names.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return reason_of(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY
    return f"{type(error).__name__}: {error}"
