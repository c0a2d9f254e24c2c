"""Errors shown to users: each is a sentence and an exit status of sysexits.h, without a traceback."""

import os


def reason_of(error: OSError) -> str:
    """Return the reason of a failed system call, as the end of a sentence and without the names of files."""
    reason = error.strerror or str(error)
    # A reason of our own may begin with the name of a folder.
    return reason[:1].lower() + reason[1:] if error.errno and reason == os.strerror(error.errno) else reason


class UserError(Exception):
    """Something the user can correct; the message says what is wrong and what to do."""

    exit_status = 64  # EX_USAGE: a wrong argument


class DataError(UserError):
    """An input exists but has the wrong content (EX_DATAERR)."""

    exit_status = 65


class NoInputError(UserError):
    """An input is missing or cannot be read (EX_NOINPUT)."""

    exit_status = 66


class UnavailableError(UserError):
    """A required program or service is not installed or does not answer (EX_UNAVAILABLE)."""

    exit_status = 69


class TemporaryError(UserError):
    """A failure that may pass: a lock is held, a disk is full (EX_TEMPFAIL)."""

    exit_status = 75


class ConfigError(UserError):
    """The configuration cannot be used (EX_CONFIG)."""

    exit_status = 78
