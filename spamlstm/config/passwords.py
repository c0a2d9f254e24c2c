"""Passwords in files of their own, so that the configuration can be shown to anybody."""

import os
from pathlib import Path

from spamlstm.config.maildirs import absolute
from spamlstm.config.ownership import check_private
from spamlstm.errors import ConfigError, reason_of
from spamlstm.files import open_regular

MOST_PASSWORD = 1024


def read_password(path: str) -> bytes:
    """Return the password in a file, without white space around it.

    Raises ConfigError with instructions if the file cannot be read, if it has no password, or if other users can read
    or change it.
    """
    try:
        with open_regular(absolute(path)) as stream:
            check_private(Path(path), os.fstat(stream.fileno()))
            password = stream.read(MOST_PASSWORD + 1)
    except OSError as error:
        raise ConfigError(
            f"the file {path} with the password cannot be read: {reason_of(error)}; name a file that only this user can"
            " read"
        ) from error
    password = password.strip()
    if not password or len(password) > MOST_PASSWORD or any(byte < 0x20 or byte == 0x7F for byte in password):
        raise ConfigError(f"the file {path} must contain one line with a password of at most {MOST_PASSWORD} bytes")
    return password
