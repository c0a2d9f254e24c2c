"""Whether the state folder is still the one that the daemon works with."""

import os
from pathlib import Path

from spamlstm.daemon import state_lock
from spamlstm.errors import TemporaryError
from spamlstm.filtering import journal
from spamlstm.tracking import mailbox_state

FILES = (state_lock.NAME, journal.NAME, mailbox_state.NAME)

Which = tuple[int, int] | None


class StateFolder:
    """The folder and its files as they were at the start.

    A file that is removed goes on to exist for whoever has it open, and nothing that is written to it is ever found
    again: no undo, no label, and a second daemon could start. So the daemon looks for them now and then.
    """

    def __init__(self, state: Path) -> None:
        """Of a state folder that is locked, and whose databases are open."""
        self._were = {path: _which(path) for path in (state, *(state / name for name in FILES))}

    def check(self) -> None:
        """TemporaryError, with one sentence, if the folder or a file in it was removed or replaced since the start.

        Whoever catches it should end and be started again: then all is opened anew and in its order, as at any start.
        """
        for path, before in self._were.items():
            if _which(path) != before:
                raise TemporaryError(
                    f"{path} was removed or replaced while spamlstm was at work with it; it stops, since what it notes"
                    " would be lost, and begins with what is there when it is started again"
                )


def _which(path: Path) -> Which:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
