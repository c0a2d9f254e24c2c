"""When to try again what failed: 10 s later, then 20 s, 40 s, … up to 15 minutes."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

# Seconds. A full disk should not delay mail for long once there is room; what stays broken should not be tried often: a
# locked database alone may take five seconds of waiting.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0
# The most keys to remember. A key that is forgotten is due at once.
MOST_KEYS = 20_000

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """The keys that failed, each with the time of its next try.

    `clock` is monotonic, in seconds: a clock that is set back would delay the next try.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, tuple[float, float]] = {}  # time of the next try, delay

    def failed(self, key: K) -> float:
        """Put off the next try, by twice as long as the last time; return the delay in seconds."""
        delay = min(2 * self._waiting.pop(key, (0.0, FIRST_DELAY / 2))[1], LONGEST_DELAY)
        if len(self._waiting) >= MOST_KEYS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = self._clock() + delay, delay
        return delay

    def succeeded(self, key: K) -> None:
        """Forget that the key failed."""
        self._waiting.pop(key, None)

    def is_due(self, key: K) -> bool:
        """Whether the key may be tried now."""
        waiting = self._waiting.get(key)
        return waiting is None or waiting[0] <= self._clock()

    def clear(self) -> None:
        """Forget all failures."""
        self._waiting.clear()
