"""The schedule of visits of Maildirs to learn from moves: rounds over all Maildirs, and visits after events.

A visit lists the folders of one Maildir and infers labels from moved messages. An event is a change in a junk folder
that the kernel reports; the Maildir is then visited soon. Events may be missed, but a full round finds every move.
"""

import time
from collections.abc import Callable, Iterator

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.tracker import Tracker

# The length of one slice of work. New mail waits for one slice, or for one longer step such as a label or a listing.
SLICE_SECONDS = 0.005
# The largest share of one core for full rounds. If a round takes long, the pause after it is longer.
SHARE = 0.005
# The longest pause in seconds. There is no pause after the first round since the start, because only the first round
# reads much mail.
LONGEST_PAUSE = 180.0
# Seconds from an event to the visit, because the user may move more mail, and the largest share of one core for visits
# after events.
REST_SECONDS = 0.5
SHARE_AFTER_EVENTS = 0.05


class LearningRounds:
    """A scheduler of visits, which run in slices of some milliseconds.

    Only the thread of the daemon's loop may use an instance.
    """

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
        """Prepare the first round.

        `present` returns the Maildirs to visit in a full round. `moved` returns the Maildirs with events since its last
        call.
        """
        self.label_stores = label_stores
        self._tracker = tracker
        self._config = config
        self._present = present
        self._moved = moved
        self._clock = clock
        self._round: Iterator[None] | None = None
        self._is_full = False  # whether the current round is over all Maildirs and not only over Maildirs with events
        self._waiting: dict[str, None] = {}  # Maildirs with events; a dict used as an ordered set
        self._next_after_event = 0.0
        self._began = 0.0
        self._cost = 0.0
        self._next_round = 0.0

    def work(self) -> bool:
        """Visit Maildirs for some milliseconds. Return whether there is more to do now."""
        if not self._config.learning.learn_from_moves:
            self._count()
            return False
        self._take_events()
        if self._round is None and not self._start():
            return False
        return self._continue()

    def _count(self) -> None:
        """Count the labels, which commands add although learning from moves is switched off."""
        now = self._clock()
        if now >= self._next_round:
            self._next_round = now + self._config.daemon.scan_seconds
            self.label_stores.tally()

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
        assert self._round is not None  # noqa: S101  a round was started before
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
        """Return the time (of `clock`) at which `work` has something to do; infinity if learning is switched off."""
        if not self._config.learning.learn_from_moves:
            return float("inf")
        if self._round is not None:
            return 0.0
        return min(self._next_round, self._next_after_event) if self._waiting else self._next_round

    def reconfigure(self, *, config: Config, classifier: Classifier) -> None:
        """Use another configuration or model. The current round is dropped, and a full round is due immediately."""
        self._round = None
        self._next_round = 0.0
        self._waiting.clear()
        self._config = config
        self.label_stores.reconfigure(scope=config.learning.labels, base=classifier)
        self._tracker.reconfigure(config)
