"""When what users say is heard, and that it counts: the part of the loop that learns."""

import time
from collections.abc import Callable, Iterator

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier
from spamlstm.service.learners import Learners
from spamlstm.service.moves import Moves

# Mail that comes in waits for no longer than this, or one step: one label, or a listing of a large folder.
SLICE_SECONDS = 0.005
# Of one core, for looking at all folders of all Maildirs: where that takes long it is done more rarely.
SHARE = 0.005
# But no more rarely than this: a first look at much mail takes long, and says nothing of the next one.
LONGEST_PAUSE = 180.0


class Feedback:
    """Looks at the Maildirs that are `present` in rounds, by slices. For the loop's thread."""

    def __init__(
        self,
        *,
        learners: Learners,
        moves: Moves,
        classifier: Classifier,
        config: Config,
        present: Callable[[], list[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.learners = learners
        self._moves = moves
        self._classifier = classifier
        self._config = config
        self._present = present
        self._clock = clock
        self._round: Iterator[None] | None = None
        self._began = 0.0
        self._cost = 0.0
        self._next = 0.0

    def attend(self, maildir: str) -> None:
        """From the next message on what was said up to now counts for this Maildir; nothing goes wrong in it."""
        self._classifier.personal = self.learners.layer(maildir)

    def work(self) -> bool:
        """Go on looking for some milliseconds; whether there is more to do now."""
        if self._round is None:
            if not self._config.learning.moves or self._clock() < self._next:
                return False
            self._round = self._moves.round(self._present())
            self._began, self._cost = self._clock(), 0.0
        began, used = self._clock(), time.thread_time()
        more = False
        for _ in self._round:
            if self._clock() - began > SLICE_SECONDS:
                more = True
                break
        self._cost += time.thread_time() - used
        if not more:
            self._round = None
            now = self._clock()
            pause = min(self._cost / SHARE, LONGEST_PAUSE)
            self._next = max(self._began + self._config.daemon.scan_seconds, now + pause)
            self.learners.tally()
            self.learners.status.rounds += 1
            self.learners.status.round_seconds = self._cost
        return more

    def due(self) -> float:
        """When there is something to do, by the clock; infinity if never."""
        if not self._config.learning.moves:
            return float("inf")
        return 0.0 if self._round is not None else self._next

    def reconfigure(self, *, config: Config, classifier: Classifier) -> None:
        """Go on with another configuration or model; the next round begins anew, and at once."""
        self._round = None
        self._next = 0.0
        self._config = config
        self._classifier = classifier
        self.learners.reconfigure(config.learning.layer)
        self.learners.rebase(classifier)
        self._moves.reconfigure(config=config, base=classifier)
