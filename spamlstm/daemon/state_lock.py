"""One program at a time over one state folder."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import TemporaryError
from spamlstm.filtering.log import emit

NAME = "lock"


@contextlib.contextmanager
def hold(state: Path) -> Iterator[None]:
    """Hold the state folder until the end of the block; a TemporaryError names the process that holds it already.

    It is made, for its owner alone, if it is not there. A ConfigError says what to do if others could change it.

    The kernel gives a lock back whenever its process ends, so none is ever stale. The file stays: to remove it would
    let a third program lock a new one while a second waits with the old one open.
    """
    if secured(state):
        emit(logging.INFO, "state-closed", state=state, why="others could read it")
    handle = open_private(state / NAME)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError(f"another spamlstm{_holder(handle)} is at work with {state}; stop it first") from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            # Calls with a descriptor name no file, and "input/output error" alone helps nobody.
            raise OSError(error.errno, error.strerror, str(state / NAME)) from error
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    number = os.pread(handle, 20, 0).strip()
    return f" (process {int(number)})" if number.isdigit() else ""
