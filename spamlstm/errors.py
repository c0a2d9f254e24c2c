"""Errors shown to users: each is a sentence and an exit status of sysexits.h, without a traceback."""


def reason_of(error: OSError) -> str:
    """Return the message of the operating system as the end of a sentence, without file names."""
    message = error.strerror or str(error)
    return message[:1].lower() + message[1:]


class UserError(Exception):
    """An error that the user can mend. The message says what is wrong and what to do."""

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
