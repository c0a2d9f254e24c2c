"""Detection and loading of a changed model: the selected model differs from the loaded model."""

from collections.abc import Callable
from dataclasses import dataclass

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier


@dataclass
class ModelReload:
    """A loader of the selected model, which loads the model again after a change.

    `stamp` returns equal values while the same model is selected, and None if there is no model. `open` loads the
    selected model or raises UserError.
    """

    stamp: Callable[[], object]
    open: Callable[[Config], Classifier]
    _stamp: object = None

    def load(self, config: Config) -> Classifier:
        """Load the selected model."""
        # The stamp is read first, so that the next call notices a change during the loading.
        self._stamp = self.stamp()
        return self.open(config)

    def newer(self, config: Config) -> Classifier | None:
        """Load the selected model if it has changed since the last call; return None if it has not changed.

        Each model is tried once. Returns None also while the model is missing, for example during its replacement.
        Raises UserError if the model cannot be used.
        """
        stamp = self.stamp()
        if stamp is None or stamp == self._stamp:
            return None
        return self.load(config)
