"""When what users say is heard, and that it counts: the part of the loop that learns.

The kernel tells of most moves at once, as it tells of deliveries (`moved`). But the truth is a round over all Maildirs.
"""

import time
from collections.abc import Callable, Iterator

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.tracker import Tracker

# Mail that comes in waits for no longer than this, or one step: one label, or a listing of a large folder.
SLICE_SECONDS = 0.005
# Of one core, for looking at all folders of all Maildirs: where that takes long it is done more rarely.
SHARE = 0.005
# But no more rarely than this. The first round, which reads much, says nothing of what the next one takes.
LONGEST_PAUSE = 180.0
# After something was moved its client may have more to do; and how much of one core goes to looks at that moment.
REST_SECONDS = 0.5
SHARE_AT_ONCE = 0.05


class LearningRounds:
    """Looks at the Maildirs that are `present` in rounds, by slices. For the loop's thread."""

    def __init__(
        self,
        *,
        label_stores: LabelStores,
        tracker: Tracker,
        config: Config,
        present: Callable[[], list[str]],
        moved: Callable[[], list[str]] = list,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label_stores = label_stores
        self._tracker = tracker
        self._config = config
        self._present = present
        self._moved = moved
        self._clock = clock
        self._round: Iterator[None] | None = None
        self._whole = False
        self._waiting: dict[str, None] = {}
        self._next_at_once = 0.0
        self._began = 0.0
        self._cost = 0.0
        self._next = 0.0

    def suspend(self, maildir: str, error: Exception) -> None:
        """Judge mail of this Maildir by the base alone for a while, as an unexpected error came up with its layer."""
        self.label_stores.suspend(maildir, error)

    def work(self) -> bool:
        """Go on looking for some milliseconds; whether there is more to do now."""
        if not self._config.learning.learn_from_moves:
            return False
        self._listen()
        if self._round is None and not self._begin():
            return False
        return self._go_on()

    def _listen(self) -> None:
        moved = self._moved()
        if moved and not self._waiting:
            self._next_at_once = max(self._next_at_once, self._clock() + REST_SECONDS)
        self._waiting.update(dict.fromkeys(moved))

    def _begin(self) -> bool:
        now = self._clock()
        self._whole = now >= self._next
        if not self._whole and (not self._waiting or now < self._next_at_once):
            return False
        self._round = self._tracker.round(self._present() if self._whole else list(self._waiting))
        self._waiting.clear()
        self._began, self._cost = now, 0.0
        return True

    def _go_on(self) -> bool:
        assert self._round is not None  # noqa: S101  it has begun
        began, used = self._clock(), time.thread_time()
        more = False
        for _ in self._round:
            if self._clock() - began > SLICE_SECONDS:
                more = True
                break
        self._cost += time.thread_time() - used
        if not more:
            self._end()
        return more

    def _end(self) -> None:
        self._round = None
        now = self._clock()
        self._next_at_once = now + min(self._cost / SHARE_AT_ONCE, LONGEST_PAUSE)
        if self._whole:
            pause = min(self._cost / SHARE, LONGEST_PAUSE) if self.label_stores.status.rounds else 0.0
            self._next = max(self._began + self._config.daemon.scan_seconds, now + pause)
            self.label_stores.status.rounds += 1
            self.label_stores.status.round_seconds = self._cost
        self.label_stores.tally()

    def due(self) -> float:
        """When there is something to do, by the clock; infinity if never."""
        if not self._config.learning.learn_from_moves:
            return float("inf")
        if self._round is not None:
            return 0.0
        return min(self._next, self._next_at_once) if self._waiting else self._next

    def reconfigure(self, *, config: Config, classifier: Classifier) -> None:
        """Go on with another configuration or model; the next round begins anew, and at once."""
        self._round = None
        self._next = 0.0
        self._waiting.clear()
        self._config = config
        self.label_stores.reconfigure(layer=config.learning.labels, base=classifier)
        self._tracker.reconfigure(config)
