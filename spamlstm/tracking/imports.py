"""The recognition of imports: programs that copy a whole folder of old mail into a junk folder.

A synchronization, or the migration of an account, brings messages that nobody moved, and the folder may be visited many
times meanwhile. An import brings more unknown messages than a user moves from places that are not visited.
"""

from collections.abc import Callable

from spamlstm.tracking.rule import MOVE_SECONDS

# If more unknown messages than this come to a junk folder within MOVE_SECONDS, they are treated as an import (a backup,
# a first sync) and not as messages that the user moved.
MOST_MOVED = 100


class Imports:
    """The numbers of unknown messages that come to the junk folders of Maildirs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}
        """For each Maildir, the number of messages that counted at the time of the last change, and this time."""

    def add(self, maildir: str, number: int) -> None:
        """Count messages that have come to a junk folder.

        `number` is negative for files that were never read and have left another folder, because their messages may be
        the unknown messages in the junk folder.
        """
        self._levels[maildir] = min(self._level(maildir) + number, 2.0 * MOST_MOVED), self._clock()

    def take_back(self, maildir: str) -> None:
        """Subtract a message that `add` has counted and that turned out to be known."""
        if self._level(maildir) > 0:
            self.add(maildir, -1)

    def is_running(self, maildir: str) -> bool:
        """Return whether messages come, or came up to some minutes ago, in such numbers that this is an import."""
        return self._level(maildir) > MOST_MOVED

    def _level(self, maildir: str) -> float:
        level, time = self._levels.get(maildir, (0.0, 0.0))
        passed = abs(self._clock() - time) / MOVE_SECONDS
        if level < 0:
            return level if passed < 1 else 0.0
        return max(level - passed * MOST_MOVED, 0.0)
