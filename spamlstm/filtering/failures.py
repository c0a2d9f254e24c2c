"""What can go wrong with a message: the kinds under which failures are counted, and when a message is tried again."""

import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from spamlstm.errors import DataError, TemporaryError, UserError
from spamlstm.filtering.outcome import Candidate

# Seconds. After a full disk has room again, mail should not wait long; an unreadable message should be read rarely.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0
# Failed messages that are remembered one by one; what is forgotten is tried with the next scan.
_MOST = 20_000


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
        return error.strerror[0].lower() + error.strerror[1:]
    return f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class Retries:
    """Which messages failed, and when each may be tried again: 10 s, 20 s, … up to 15 minutes later.

    `clock` is monotonic: a clock that is put back would keep them waiting.
    """

    clock: Callable[[], float]
    _waiting: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def failed(self, candidate: Candidate) -> None:
        """Put off the next try, for twice as long as the last time."""
        key = candidate.maildir, candidate.base
        delay = min(2 * self._waiting.pop(key, (0.0, FIRST_DELAY / 2))[1], LONGEST_DELAY)
        if len(self._waiting) >= _MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = self.clock() + delay, delay

    def succeeded(self, candidate: Candidate) -> None:
        """Forget that it failed."""
        if self._waiting:
            self._waiting.pop((candidate.maildir, candidate.base), None)

    def due(self, candidate: Candidate) -> bool:
        """Return whether it may be tried now."""
        waiting = self._waiting.get((candidate.maildir, candidate.base)) if self._waiting else None
        return waiting is None or waiting[0] <= self.clock()
