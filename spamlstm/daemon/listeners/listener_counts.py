"""What one listener did, for the status and the metrics."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ListenerCounts:
    """The numbers of one listener since the start. Only the thread of the listeners changes them."""

    address: str
    connections: int = 0
    open: int = 0
    judged: Counter[str] = field(default_factory=Counter)
    """Numbers of answered requests by verdict."""
    labelled: int = 0
    """Number of labels that clients added or removed."""
    refused: int = 0
    """Number of requests that broke the protocol or a limit."""
    dropped: int = 0
    """Number of connections that were closed because they were slow or too many."""
    errors: int = 0
    """Number of bugs."""

    def snapshot(self) -> dict[str, Any]:
        """Return all values as a JSON-serializable dict."""
        return {
            "address": self.address,
            "connections": self.connections,
            "open": self.open,
            "judged": dict(self.judged),
            "labelled": self.labelled,
            "refused": self.refused,
            "dropped": self.dropped,
            "errors": self.errors,
        }
