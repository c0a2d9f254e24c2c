"""Which Maildirs want a look, as far as watching noticed. A hint may be wrong, late or lost; a scan is the truth."""

import threading
from collections.abc import Callable

from spamlstm.maildir.names import Part

NEW: tuple[Part, ...] = ("new",)
WHOLE: tuple[Part, ...] = ("new", "cur")


class Hints:
    """Maildirs where something arrived, and Maildirs in doubt. Threads put in, the loop takes out.

    A Maildir is there once, however much happens in it: that bounds the memory, and makes one look of a burst. What
    arrived goes first. `ring` is called when there is something after there was nothing. Apart from that stands where
    users may have moved mail, which waits for all that arrived.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._arrived: dict[str, None] = {}  # sets that keep the order
        self._doubtful: dict[str, None] = {}
        self._moved: dict[str, None] = {}
        self._all = False

    def arrived(self, maildir: str) -> None:
        """Something was delivered to its `new`."""
        with self._lock:
            quiet = self._quiet()
            self._arrived[maildir] = None
        if quiet:
            self._ring()

    def doubt(self, maildir: str) -> None:
        """Something in this Maildir may have been missed."""
        with self._lock:
            quiet = self._quiet()
            self._doubtful[maildir] = None
        if quiet:
            self._ring()

    def doubt_all(self) -> None:
        """The kernel has dropped events, of whichever Maildirs."""
        with self._lock:
            quiet = self._quiet()
            self._all = True
        if quiet:
            self._ring()

    def moved(self, maildir: str) -> None:
        """Something came into its junk folder or left it, by whoever's hand."""
        with self._lock:
            first = not self._moved
            self._moved[maildir] = None
        if first:
            self._ring()

    def take_moved(self) -> list[str]:
        """Where that was so since the last question."""
        if not self._moved:
            return []
        with self._lock:
            moved, self._moved = list(self._moved), {}
            return moved

    def take(self) -> tuple[str, tuple[Part, ...]] | None:
        """The Maildir that has waited longest and the parts of it to look at; from now on it no longer waits."""
        with self._lock:
            maildir = next(iter(self._arrived), None) or next(iter(self._doubtful), None)
            if maildir is None:
                return None
            whole = maildir in self._doubtful
            self._arrived.pop(maildir, None)
            self._doubtful.pop(maildir, None)
            return maildir, WHOLE if whole else NEW

    def take_all(self) -> bool:
        """Whether everything is in doubt; from now on it no longer is, and a look at all must follow."""
        with self._lock:
            everything, self._all = self._all, False
            return everything

    def is_all_in_doubt(self) -> bool:
        """Whether `take_all` would be true."""
        return self._all

    def clear(self) -> None:
        """Forget all, as a look at all is to come."""
        with self._lock:
            self._arrived.clear()
            self._doubtful.clear()
            self._all = False

    def __len__(self) -> int:
        """How many Maildirs wait."""
        with self._lock:
            return len(self._arrived.keys() | self._doubtful.keys())

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        with self._lock:
            return not self._quiet()

    def _quiet(self) -> bool:
        return not (self._arrived or self._doubtful or self._all)
