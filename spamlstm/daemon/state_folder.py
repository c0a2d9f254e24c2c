"""The state folder of a running program: locked for it alone, and checked for having been removed or replaced."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import TemporaryError
from spamlstm.filtering import journal
from spamlstm.filtering.log import emit
from spamlstm.tracking import mailbox_state

LOCK = "lock"
FILES = (LOCK, journal.NAME, mailbox_state.NAME)


@contextlib.contextmanager
def hold(state: Path) -> Iterator[None]:
    """Lock the state folder for the block; a TemporaryError names the process that has locked it already.

    The folder is created, for its owner alone, if it is missing. A ConfigError says what to do if others can change it.

    The kernel drops the lock when its process ends, so no lock is ever stale. The file is never removed: otherwise a
    third program could lock a new file while a second one waits with the old one open.
    """
    if secured(state):
        emit(logging.INFO, "state-made-private", state=state, why="other users could read it")
    handle = open_private(state / LOCK)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError(f"another spamlstm{_holder(handle)} uses {state}; stop it first") from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            # Errors of calls with a descriptor name no file.
            raise OSError(error.errno, error.strerror, str(state / LOCK)) from error
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    number = os.pread(handle, 20, 0).strip()
    return f" (process {int(number)})" if number.isdigit() else ""


class StateFolder:
    """The identities of the state folder and its files at the start.

    A removed file lives on for the process that has it open, but nothing written to it is found again: no undo, no
    label, and a second daemon could start. So the daemon checks them from time to time.
    """

    def __init__(self, state: Path) -> None:
        """Take the identities in a state folder that is locked and whose databases are open."""
        self._identities = {path: _identity(path) for path in (state, *(state / name for name in FILES))}

    def check(self) -> None:
        """Raise a TemporaryError if the folder or a file in it was removed or replaced since the start.

        The caller should end and be started again, so that everything is opened in order.
        """
        for path, identity in self._identities.items():
            if _identity(path) != identity:
                raise TemporaryError(
                    f"{path} was removed or replaced while spamlstm was running; spamlstm stops, because what it writes"
                    " there would be lost: start it again"
                )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
