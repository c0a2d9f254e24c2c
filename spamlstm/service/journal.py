"""What was judged, and what was done about it, on disk before it is done."""

from pathlib import Path
from typing import Self


class Journal:
    """The record of one state folder. For one thread: the one that opened it."""

    @classmethod
    def open(cls, state: Path) -> Self:
        """Open the journal of a state folder; both are made, for their owner alone, if they are not there."""
        raise NotImplementedError

    def close(self) -> None:
        """Bring all to disk and let go of it."""
        raise NotImplementedError
