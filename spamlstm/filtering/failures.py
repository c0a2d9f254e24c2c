"""What can go wrong with a message: the kinds under which failures are counted, and what is reported about them."""

import errno
import sqlite3
from enum import StrEnum

from spamlstm.errors import DataError, TemporaryError, UserError, reason_of


class FailureKind(StrEnum):
    """The names under which failures are counted."""

    DISK_FULL = "disk-full"
    PERMISSION = "permission"
    READ_ONLY = "read-only"
    VANISHED = "vanished"
    IO = "io"
    JOURNAL = "journal"
    FOLDER = "folder"
    """The junk folder cannot be used: its name leads out of the Maildir, or it is on another file system."""
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"
    """The message could not be judged."""
    UNSETTLED = "unsettled"
    """An act on it was cut short, and it cannot be found out how far it came."""
    UNFINISHED = "unfinished"
    """It is still being written, in new itself. The end of the writing brings the next scan."""
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
    """Return the kind of an error that a system call or a database raised."""
    if isinstance(error, sqlite3.Error | DataError | TemporaryError):
        return FailureKind.JOURNAL
    return _KINDS.get(error.errno or 0, FailureKind.IO) if isinstance(error, OSError) else FailureKind.BUG


def sentence(error: Exception) -> str:
    """Return what to report about an error, without the names of files, which anyone may have chosen."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return reason_of(error)
    return f"{type(error).__name__}: {error}"
