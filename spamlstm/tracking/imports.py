"""The recognition of imports: programs that copy a whole folder of old mail into a junk folder.

A synchronization, or the migration of an account, brings messages that nobody moved, and the folder may be visited many
times meanwhile. More unknown messages come then than a user moves from places that are not visited.
"""

from collections.abc import Callable

from spamlstm.tracking.rule import MOVE_SECONDS

# If more messages than this arrive in one folder between two visits, or MOVE_SECONDS, they are treated as a bulk copy
# (a backup, a first sync) and not as messages that the user moved.
MOST_MOVED = 100


class Imports:
    """The rates at which unknown messages come to folders, which are known by their row numbers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: dict[int, tuple[float, float]] = {}
        """For each folder, the number of messages that count at a time, and this time."""

    def add(self, folder: int, number: int = 1) -> None:
        """Count messages that have come to a folder."""
        self._levels[folder] = min(self._level(folder) + number, 2.0 * MOST_MOVED), self._clock()

    def is_running(self, folder: int) -> bool:
        """Return whether messages come, or came up to some minutes ago, in such numbers that this is an import."""
        return self._level(folder) > MOST_MOVED

    def _level(self, folder: int) -> float:
        level, time = self._levels.get(folder, (0.0, 0.0))
        return max(level - abs(self._clock() - time) * MOST_MOVED / MOVE_SECONDS, 0.0)
