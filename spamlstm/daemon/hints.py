"""Which Maildirs to scan, as reported by watching. A hint may be wrong, late or missing; a scan finds the truth."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from spamlstm.maildir.names import Part

NEW: tuple[Part, ...] = ("new",)
WHOLE: tuple[Part, ...] = ("new", "cur")


class Hints:
    """A queue of Maildirs that threads fill and the loop empties.

    A Maildir is queued once, however many events it has: that bounds the memory and makes one scan of a burst.
    Maildirs with deliveries come first. Those in which users may have moved mail are kept apart, as they wait for all
    deliveries. `wake` is called when something is queued and nothing was before.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._arrived: dict[str, None] = {}  # sets in order
        self._rescans: dict[str, None] = {}
        self._moved: dict[str, None] = {}
        self._all = False

    def arrived(self, maildir: str) -> None:
        """Queue a Maildir because something was delivered to its `new`."""
        with self._waking():
            self._arrived[maildir] = None

    def rescan(self, maildir: str) -> None:
        """Queue a Maildir because an event may have been missed."""
        with self._waking():
            self._rescans[maildir] = None

    def rescan_all(self) -> None:
        """Ask for a scan of all Maildirs: the kernel dropped events of unknown ones."""
        with self._waking():
            self._all = True

    def moved(self, maildir: str) -> None:
        """Note that a file came into the junk folder of a Maildir or left it."""
        with self._lock:
            first = not self._moved
            self._moved[maildir] = None
        if first:
            self._wake()

    def take_moved(self) -> list[str]:
        """Return the Maildirs noted by `moved` since the last call."""
        if not self._moved:
            return []
        with self._lock:
            moved, self._moved = list(self._moved), {}
            return moved

    def take(self) -> tuple[str, tuple[Part, ...]] | None:
        """Remove the Maildir that has waited longest; return it and the parts to scan, or None."""
        with self._lock:
            maildir = next(iter(self._arrived), None) or next(iter(self._rescans), None)
            if maildir is None:
                return None
            whole = maildir in self._rescans
            self._arrived.pop(maildir, None)
            self._rescans.pop(maildir, None)
            return maildir, WHOLE if whole else NEW

    def take_all(self) -> bool:
        """Return whether a scan of all was asked for; the caller does it."""
        with self._lock:
            everything, self._all = self._all, False
            return everything

    def is_full_scan_wanted(self) -> bool:
        """Whether `take_all` would return true."""
        return self._all

    def clear(self) -> None:
        """Empty the queue, before a scan of all Maildirs."""
        with self._lock:
            self._arrived.clear()
            self._rescans.clear()
            self._all = False

    def __len__(self) -> int:
        """Return the number of Maildirs to scan."""
        with self._lock:
            return len(self._arrived.keys() | self._rescans.keys())

    def __bool__(self) -> bool:
        """Whether there is anything to scan."""
        with self._lock:
            return not self._is_idle()

    @contextlib.contextmanager
    def _waking(self) -> Iterator[None]:
        with self._lock:
            idle = self._is_idle()
            yield
        if idle:
            self._wake()

    def _is_idle(self) -> bool:
        return not (self._arrived or self._rescans or self._all)
