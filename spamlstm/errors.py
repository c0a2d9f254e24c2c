"""Errors that users see as a sentence and an exit status without a traceback, and the table of exit statuses."""

import contextlib
import errno
import os
from collections.abc import Iterator
from enum import IntEnum
from typing import Self


class ExitStatus(IntEnum):
    """The exit statuses of all commands. 64 to 78 are numbers of sysexits.h. --help shows each `meaning`."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Return a member with its number and its meaning."""
        status = int.__new__(cls, value)
        status._value_, status.meaning = value, meaning
        return status

    OK = 0, "success; with --exit-code: ham"
    SPAM = 1, "with --exit-code: spam"
    UNSURE = 2, "with --exit-code: unsure"
    USAGE = 64, "the command line is invalid"
    DATA = 65, "an input has the wrong content, such as a damaged model"
    NO_INPUT = 66, "an input is missing or unreadable; other inputs were processed"
    UNAVAILABLE = 69, "no daemon answers, or a required package or privilege is missing"
    SOFTWARE = 70, "a bug in spamlstm; please report it"
    IO = 74, "reading or writing failed, for example because the disk is full"
    TEMPORARY = 75, "a lock, an address or memory is not free, or a message failed; try later"
    CONFIG = 78, "the configuration or the state folder cannot be used"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"
    BROKEN_PIPE = 141, "the program that reads the output has exited"


def reason_of(error: OSError) -> str:
    """Return the reason of a failed system call without file names, in lower case to end a sentence."""
    if error.errno == errno.EMFILE:  # the system's reason does not say whose files, or what to do
        return "the limit of open files is reached, see ulimit -n"
    reason = error.strerror or str(error)
    # A reason written by spamlstm instead of the system may begin with a folder name, which must keep its capitals.
    return reason[:1].lower() + reason[1:] if error.errno and reason == os.strerror(error.errno) else reason


class UserError(Exception):
    """An error that the user can correct, by default a usage error (EX_USAGE).

    The message states the problem and the remedy.
    """

    exit_status = ExitStatus.USAGE


class DataError(UserError):
    """An input exists but has the wrong content (EX_DATAERR)."""

    exit_status = ExitStatus.DATA


class NoInputError(UserError):
    """An input is missing or cannot be read (EX_NOINPUT)."""

    exit_status = ExitStatus.NO_INPUT


class UnavailableError(UserError):
    """A required program or service is not installed or does not answer (EX_UNAVAILABLE)."""

    exit_status = ExitStatus.UNAVAILABLE


class OutputError(UserError):
    """A file cannot be written (EX_IOERR)."""

    exit_status = ExitStatus.IO


class TemporaryError(UserError):
    """A failure that may be temporary, such as a held lock or a full disk (EX_TEMPFAIL)."""

    exit_status = ExitStatus.TEMPORARY


class ConfigError(UserError):
    """The configuration cannot be used (EX_CONFIG)."""

    exit_status = ExitStatus.CONFIG


@contextlib.contextmanager
def reading(path: object) -> Iterator[None]:
    """Raise NoInputError, with a message that names `path`, if the code in the context raises OSError."""
    try:
        yield
    except OSError as error:
        raise NoInputError(f"{path}: {reason_of(error)}") from error
