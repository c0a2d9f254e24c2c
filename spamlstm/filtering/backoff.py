"""The delay before the next attempt, for each key that failed."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

# In seconds. Mail should be processed soon after a full disk has space again. A permanent failure should be retried
# rarely, because an attempt may wait five seconds for a locked database.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0
# The largest number of stored keys. Beyond it, the oldest key is removed, and may then be tried immediately.
MOST_KEYS = 20_000

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """The keys that failed, each with the time of its next attempt.

    The delay is 10 s after the first failure, then 20 s, 40 s, … up to 15 minutes. `clock` returns seconds. It must be
    monotonic, because a clock that is set back would delay the next attempt.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, tuple[float, float]] = {}  # time of the next attempt, delay

    def failed(self, key: K) -> float:
        """Schedule the next attempt of the key, and return the delay in seconds.

        The first delay is FIRST_DELAY. Each further failure doubles the delay, up to LONGEST_DELAY.
        """
        delay = min(2 * self._waiting.pop(key, (0.0, FIRST_DELAY / 2))[1], LONGEST_DELAY)
        if len(self._waiting) >= MOST_KEYS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = self._clock() + delay, delay
        return delay

    def has_failed(self, key: K) -> bool:
        """Return whether the key failed, and has not succeeded since."""
        return key in self._waiting

    def succeeded(self, key: K) -> None:
        """Remove the key from the failed keys."""
        self._waiting.pop(key, None)

    def is_due(self, key: K) -> bool:
        """Return whether the key may be tried now."""
        waiting = self._waiting.get(key)
        return waiting is None or waiting[0] <= self._clock()

    def clear(self) -> None:
        """Remove all failed keys."""
        self._waiting.clear()
