"""The lock on the state folder of a running program, and checks whether the folder was removed or replaced."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import TemporaryError, reason_of
from spamlstm.filtering import journal
from spamlstm.filtering.event_log import emit
from spamlstm.tracking import state_database

LOCK = "lock"
FILES = (LOCK, journal.NAME, state_database.NAME)


@contextlib.contextmanager
def hold(state: Path) -> Iterator[None]:
    """Hold the lock on the state folder during the `with` block.

    A missing folder is created with access for its owner only. The kernel releases the lock when the process ends, so
    locks are never stale. The lock file is never removed. Otherwise one program could lock the removed file, which it
    still has open, while another program locks a new file.

    Raises TemporaryError if another process holds the lock, which it names, or if the file system has no locks.
    Raises ConfigError, which says what to do, if the folder cannot be created or other users can change it.
    """
    if secured(state):
        emit(logging.INFO, "state-made-private", state=state, why="other users could read it")
    handle = open_private(state / LOCK)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError(f"another spamlstm{_holder(handle)} uses {state}; stop it first") from error
        except OSError as error:
            raise TemporaryError(
                f"{state / LOCK} cannot be locked ({reason_of(error)}); if this persists, name a folder on a local disk"
                " with --state"
            ) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            # Errors of calls with a descriptor do not name the file, so the path is added.
            raise OSError(error.errno, error.strerror, str(state / LOCK)) from error
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    number = os.pread(handle, 20, 0).strip()
    return f" (process {int(number)})" if number.isdigit() else ""


class StateFolder:
    """The identities (device and inode) of the state folder and its files at the start.

    A process can still write to a removed file that it has open, but the written data is lost. Undo and labels would
    not work, and a second daemon could start. So the daemon periodically checks the identities.
    """

    def __init__(self, state: Path) -> None:
        """Record the identities of the state folder and its files.

        The caller must hold the lock of the folder and must have opened its databases.
        """
        self._identities = {path: _identity(path) for path in (state, *(state / name for name in FILES))}

    def check(self) -> None:
        """Raise TemporaryError if the folder or a file in it was removed or replaced since the start.

        The process should then end and be started again, so that all files are opened anew.
        """
        for path, identity in self._identities.items():
            if _identity(path) != identity:
                raise TemporaryError(
                    f"{path} was removed or replaced while spamlstm was running; spamlstm stops, because data written"
                    " there would be lost; start spamlstm again"
                )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
