"""When Maildirs are visited to learn from moves: in rounds over all of them, and soon after an event in a junk folder.

Events are hints, as for deliveries; a round finds every move.
"""

import time
from collections.abc import Callable, Iterator

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.tracker import Tracker

# New mail waits at most this long, or for one step: one label, or the listing of a large folder.
SLICE_SECONDS = 0.005
# The share of one core for rounds: where a round takes long, rounds are rarer.
SHARE = 0.005
# But no rarer than this. The first round reads much and says nothing about the next one, so it is not counted.
LONGEST_PAUSE = 180.0
# After an event the client may go on moving mail. And the share of one core for visits after events.
REST_SECONDS = 0.5
SHARE_AFTER_EVENTS = 0.05


class LearningRounds:
    """Visits the Maildirs that `present` returns, in slices. For the loop's thread."""

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
        """`moved` returns the Maildirs with events in their junk folders since the last call."""
        self.label_stores = label_stores
        self._tracker = tracker
        self._config = config
        self._present = present
        self._moved = moved
        self._clock = clock
        self._round: Iterator[None] | None = None
        self._is_full = False  # over all Maildirs, not only those with events
        self._waiting: dict[str, None] = {}  # a set in order: Maildirs with events
        self._next_after_event = 0.0
        self._began = 0.0
        self._cost = 0.0
        self._next_round = 0.0

    def suspend(self, maildir: str, error: Exception) -> None:
        """Judge this Maildir's mail by the model alone for a while, after an unexpected error with its layer."""
        self.label_stores.suspend(maildir, error)

    def work(self) -> bool:
        """Visit Maildirs for some milliseconds; return whether there is more to do now."""
        if not self._config.learning.learn_from_moves:
            return False
        self._take_events()
        if self._round is None and not self._start():
            return False
        return self._continue()

    def _take_events(self) -> None:
        moved = self._moved()
        if moved and not self._waiting:
            self._next_after_event = max(self._next_after_event, self._clock() + REST_SECONDS)
        self._waiting.update(dict.fromkeys(moved))

    def _start(self) -> bool:
        now = self._clock()
        self._is_full = now >= self._next_round
        if not self._is_full and (not self._waiting or now < self._next_after_event):
            return False
        self._round = self._tracker.round(self._present() if self._is_full else list(self._waiting))
        self._waiting.clear()
        self._began, self._cost = now, 0.0
        return True

    def _continue(self) -> bool:
        assert self._round is not None  # noqa: S101  it was started
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
        now, status = self._clock(), self.label_stores.status
        self._next_after_event = now + min(self._cost / SHARE_AFTER_EVENTS, LONGEST_PAUSE)
        if self._is_full:
            pause = min(self._cost / SHARE, LONGEST_PAUSE) if status.rounds else 0.0
            self._next_round = max(self._began + self._config.daemon.scan_seconds, now + pause)
            status.rounds += 1
            status.round_seconds = self._cost
        self.label_stores.tally()

    def due(self) -> float:
        """Return when `work` has something to do, by the clock; infinity if never."""
        if not self._config.learning.learn_from_moves:
            return float("inf")
        if self._round is not None:
            return 0.0
        return min(self._next_round, self._next_after_event) if self._waiting else self._next_round

    def reconfigure(self, *, config: Config, classifier: Classifier) -> None:
        """Use another configuration or model; the next round starts anew, and at once."""
        self._round = None
        self._next_round = 0.0
        self._waiting.clear()
        self._config = config
        self.label_stores.reconfigure(scope=config.learning.labels, base=classifier)
        self._tracker.reconfigure(config)
