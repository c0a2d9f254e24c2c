"""Failures: the kinds under which they are counted, what is logged, and when what failed is tried again.

A log line has an event and its fields, for programs and for people: `judged verdict=spam score=4.21 folder=.Junk`. The
record carries the fields as `fields` too. Fields are names of folders and files, ids, numbers and reasons; never a
subject, an address or text from a message.
"""

import errno
import json
import logging
import sqlite3
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from spamlstm.errors import DataError, TemporaryError, UserError, reason_of

logger = logging.getLogger("spamlstm.daemon")


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
    """Return a sentence for an error, without names of files, which others may have chosen."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return reason_of(error)
    return f"{type(error).__name__}: {error}"


def emit(level: int, event: str, /, **fields: Any) -> None:
    """Log one event. Fields that are None or empty are left out, floats are rounded."""
    if logger.isEnabledFor(level):
        kept = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None and value != ""
        }
        logger.log(level, "%s", log_line(event, kept), extra={"event": event, "fields": kept})


def log_line(event: str, fields: dict[str, Any]) -> str:
    """Return the event and its fields as one line; values with other than plain characters are quoted as in JSON."""
    return " ".join((event, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _shown(value: Any) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="}
    return text if plain and text else json.dumps(text)


# Seconds. A full disk should not delay mail for long once there is room. What stays broken should not be tried often: a
# try may wait five seconds for a locked database.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0
# The most keys to remember. A key that is forgotten is due at once.
MOST_KEYS = 20_000

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """The keys that failed, each with the time of its next try: 10 s later, then 20 s, 40 s, … up to 15 minutes.

    `clock` is monotonic, in seconds: a clock that is set back would delay the next try.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, tuple[float, float]] = {}  # time of the next try, delay

    def failed(self, key: K) -> float:
        """Double the delay before the next try of the key, and return it in seconds."""
        delay = min(2 * self._waiting.pop(key, (0.0, FIRST_DELAY / 2))[1], LONGEST_DELAY)
        if len(self._waiting) >= MOST_KEYS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = self._clock() + delay, delay
        return delay

    def succeeded(self, key: K) -> None:
        """Forget that the key failed."""
        self._waiting.pop(key, None)

    def is_due(self, key: K) -> bool:
        """Return whether the key may be tried now."""
        waiting = self._waiting.get(key)
        return waiting is None or waiting[0] <= self._clock()

    def clear(self) -> None:
        """Forget all failures."""
        self._waiting.clear()
