"""Notices that another model is in use than the one that is loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier


@dataclass
class ModelReload:
    """`stamp` returns equal values while the same model is in use; `open` loads it, or raises a UserError."""

    stamp: Callable[[], object]
    open: Callable[[Config], Classifier]
    _stamp: object = None

    def load(self, config: Config) -> Classifier:
        """Load the model in use."""
        # The stamp is taken first: a change while the model is opened is noticed the next time.
        self._stamp = self.stamp()
        return self.open(config)

    def newer(self, config: Config) -> Classifier | None:
        """Load the model in use if it has changed since the last call; a UserError if it cannot be used.

        Each model is tried once. None is loaded while there is none, as when one is being put in its place.
        """
        stamp = self.stamp()
        if stamp is None or stamp == self._stamp:
            return None
        return self.load(config)
