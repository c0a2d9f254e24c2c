"""The selected model, loaded again when another model is selected."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier

# The shortest time between two looks for another model. A look takes some system calls, between which the threads of
# the daemon wait for each other. After each message, the daemon would need a twentieth more processor time.
LOOK_SECONDS = 1.0


@dataclass
class ModelReload:
    """A loader of the selected model.

    `stamp` returns a value that changes when the selected model changes, or None if there is no model. `open` loads the
    selected model. `clock` is monotonic.
    """

    stamp: Callable[[], object]
    open: Callable[[Config], Classifier]
    clock: Callable[[], float] = time.monotonic
    due: float = math.inf
    """The time (of `clock`) at which `newer` must be called again; infinity if its latest call looked for a change."""
    _stamp: object = None
    _next_look: float = -math.inf

    def load(self, config: Config) -> Classifier:
        """Load the selected model, even if it is unchanged, and return its classifier."""
        # The stamp is read first, so that the next call notices a change during the loading.
        self._stamp = self.stamp()
        return self.open(config)

    def newer(self, config: Config) -> Classifier | None:
        """Load the selected model if it has changed since the last attempt to load it. Return its classifier.

        Returns None if the model is unchanged, or if it is missing, for example while it is being replaced. Also
        returns None, and sets `due`, if the latest look was less than LOOK_SECONDS ago. A model that cannot be used is
        not tried again until its files change. Raises UserError if the changed model cannot be used.
        """
        now = self.clock()
        if now < self._next_look:
            self.due = self._next_look
            return None
        self.due, self._next_look = math.inf, now + LOOK_SECONDS
        stamp = self.stamp()
        if stamp is None or stamp == self._stamp:
            return None
        return self.load(config)
