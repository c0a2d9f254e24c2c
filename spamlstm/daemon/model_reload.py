"""The selected model, loaded again when another model is selected."""

from collections.abc import Callable
from dataclasses import dataclass

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier


@dataclass
class ModelReload:
    """A loader of the selected model.

    `stamp` returns a value that changes when the selected model changes, or None if there is no model. `open` loads the
    selected model.
    """

    stamp: Callable[[], object]
    open: Callable[[Config], Classifier]
    _stamp: object = None

    def load(self, config: Config) -> Classifier:
        """Load the selected model, even if it is unchanged, and return its classifier."""
        # The stamp is read first, so that the next call notices a change during the loading.
        self._stamp = self.stamp()
        return self.open(config)

    def newer(self, config: Config) -> Classifier | None:
        """Load the selected model if it has changed since the last attempt to load it. Return its classifier.

        Returns None if the model is unchanged, or if it is missing, for example while it is being replaced. A model
        that cannot be used is not tried again. Raises UserError if the changed model cannot be used.
        """
        stamp = self.stamp()
        if stamp is None or stamp == self._stamp:
            return None
        return self.load(config)
