"""The status of learning: numbers of labels, rounds and errors, and the paused label stores.

`spamlstm status` and the metrics show the status. A label store is paused while it cannot be used.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Pause:
    """A label store that could not be used and will be tried again later."""

    maildir: str | None
    """The Maildir whose labels are in the store, or None if all Maildirs share the store."""
    state: str
    """The folder of the store."""
    why: str
    delay: float
    """Seconds from the last try to the next try."""


@dataclass(slots=True)
class LearningStatus:
    """The status of learning, for `spamlstm status`.

    Only one thread changes the status. A reader in another thread may miss the newest label.
    """

    labels: dict[str, int] = field(default_factory=dict)
    """Number of labels in the shared store, by label. Empty if each Maildir has its own store."""
    moved: Counter[str] = field(default_factory=Counter)
    """Number of labels learned from moves since the start, by label."""
    failed: int = 0
    """Number of times that a store or a folder could not be used."""
    rescored: int = 0
    """Number of labels that were scored with a new model so far, or 0 if no labels are being scored."""
    paused: tuple[Pause, ...] = ()
    last: float | None = None
    """Time of the last added label in seconds since 1970, or None."""
    rounds: int = 0
    """Number of completed rounds. A round visits all Maildirs."""
    round_seconds: float = 0.0
    """Processor seconds of the last round."""

    def snapshot(self) -> dict[str, Any]:
        """Return all values as a JSON-serializable dict."""
        return {
            "labels": dict(self.labels),
            "moved": dict(self.moved),
            "failed": self.failed,
            "rescored": self.rescored,
            "paused": [asdict(pause) for pause in self.paused],
            "paused_stores": len(self.paused),
            "last": self.last,
            "rounds": self.rounds,
            "round_seconds": self.round_seconds,
        }
