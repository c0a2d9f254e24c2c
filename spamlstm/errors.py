"""The errors that a user can meet: each a sentence and an exit status from sysexits.h, never a traceback."""


def reason_of(error: OSError) -> str:
    """What the system says of it, as the end of a sentence and without the names of files."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:]


class UserError(Exception):
    """Something the user can mend; the message says what is wrong and what to do."""

    exit_status = 64  # EX_USAGE: a wrong argument


class DataError(UserError):
    """An input is there but is not what it should be (EX_DATAERR)."""

    exit_status = 65


class NoInputError(UserError):
    """An input is missing or cannot be read (EX_NOINPUT)."""

    exit_status = 66


class UnavailableError(UserError):
    """Something the work needs is not installed or does not answer (EX_UNAVAILABLE)."""

    exit_status = 69


class TemporaryError(UserError):
    """It may work later: a lock is held, a disk is full (EX_TEMPFAIL)."""

    exit_status = 75


class ConfigError(UserError):
    """The configuration cannot be used (EX_CONFIG)."""

    exit_status = 78
