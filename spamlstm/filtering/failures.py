"""Failures: the kinds under which they are counted, log lines, and the delay before the next attempt.

A log line has an event and fields, for programs and people: `judged verdict=spam score=4.21 folder=.Junk`. The log
record also carries the fields in its attribute `fields`. Fields are names of folders and files, ids, numbers and
reasons. They never contain a subject, an address or text of a message.
"""

import errno
import json
import logging
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from spamlstm.errors import DataError, TemporaryError, UserError, reason_of

logger = logging.getLogger("spamlstm.daemon")
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


def log_unexpected(error: BaseException | None, what_follows: str) -> None:
    """Log an error that no other code handles, and what follows: a bug with its traceback, a lack of memory without."""
    if isinstance(error, MemoryError):
        logger.error("%s: %s", NO_MEMORY, what_follows)
    else:
        logger.error("bug: %s", what_follows, exc_info=error)


def emit(level: int, event: str, /, **fields: Any) -> None:
    """Log one event. Fields that are None or empty are omitted, and floats are rounded to 3 decimals."""
    if logger.isEnabledFor(level):
        kept = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None and value != ""
        }
        logger.log(level, "%s", log_line(event, kept), extra={"event": event, "fields": kept})


def log_line(event: str, fields: dict[str, Any]) -> str:
    """Return the event and its fields as one line.

    Values with spaces, quotes, `=` or characters other than printable ASCII are quoted as in JSON.
    """
    return " ".join((event, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _shown(value: Any) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="}
    return text if plain and text else json.dumps(text)


# In seconds. Mail should be processed soon after a full disk has space again. A permanent failure should be retried
# rarely, because an attempt may wait five seconds for a locked database.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0
# The largest number of stored keys. Beyond it, the oldest key is removed, and may then be tried immediately.
MOST_KEYS = 20_000

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """The keys that failed, each with the time of its next attempt.

    The delay is 10 s after the first failure, then 20 s, 40 s, … up to 15 minutes. `clock` returns seconds. It must be
    monotonic, because a clock that is set back would delay the next attempt.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, tuple[float, float]] = {}  # time of the next attempt, delay

    def failed(self, key: K) -> float:
        """Schedule the next attempt of the key, and return the delay in seconds.

        The first delay is FIRST_DELAY. Each further failure doubles the delay, up to LONGEST_DELAY.
        """
        delay = min(2 * self._waiting.pop(key, (0.0, FIRST_DELAY / 2))[1], LONGEST_DELAY)
        if len(self._waiting) >= MOST_KEYS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = self._clock() + delay, delay
        return delay

    def has_failed(self, key: K) -> bool:
        """Return whether the key failed, and has not succeeded since."""
        return key in self._waiting

    def succeeded(self, key: K) -> None:
        """Remove the key from the failed keys."""
        self._waiting.pop(key, None)

    def is_due(self, key: K) -> bool:
        """Return whether the key may be tried now."""
        waiting = self._waiting.get(key)
        return waiting is None or waiting[0] <= self._clock()

    def clear(self) -> None:
        """Remove all failed keys."""
        self._waiting.clear()
