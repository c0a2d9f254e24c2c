"""Noticing that another model is in use than the one that is loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from spamlstm.config import Config
from spamlstm.model.classifier import Classifier


@dataclass
class ModelReload:
    """`stamp` is equal as long as the same model is in use; `open` loads and checks it, or raises a UserError."""

    stamp: Callable[[], object]
    open: Callable[[Config], Classifier]
    _stamp: object = None

    def load(self, config: Config) -> Classifier:
        """The model in use now."""
        # Before it is opened: what changes meanwhile is another one.
        self._stamp = self.stamp()
        return self.open(config)

    def newer(self, config: Config) -> Classifier | None:
        """Another one, if it is in use since the last question; a UserError if that cannot be used.

        Each is tried once: what could not be used is not asked for again until it changes. Where there is no model at
        the moment (somebody puts one in its place) there is none to load.
        """
        stamp = self.stamp()
        if stamp is None or stamp == self._stamp:
            return None
        return self.load(config)
