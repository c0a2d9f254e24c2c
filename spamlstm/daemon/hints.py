"""Hints: notes by the watching thread that a Maildir may have new or moved mail and should be scanned.

A hint may be wrong, late or missing. Only a scan finds what really changed.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from spamlstm.maildir.names import Part

NEW: tuple[Part, ...] = ("new",)
WHOLE: tuple[Part, ...] = ("new", "cur")


class Hints:
    """A queue of Maildirs to scan. Other threads fill the queue and the daemon's loop empties it.

    A Maildir is in the queue at most once, however many events it has. This limits the memory, and a burst of
    deliveries causes only one scan. Maildirs with deliveries come first. Maildirs in which users may have moved mail
    are kept in a separate list, because they wait until all deliveries are processed. `wake` is called when the first
    Maildir enters the empty queue or the empty list of moves.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._arrived: dict[str, None] = {}  # dicts used as ordered sets
        self._rescans: dict[str, None] = {}
        self._moved: dict[str, None] = {}
        self._all = False

    def arrived(self, maildir: str) -> None:
        """Queue a Maildir because a message was delivered to its `new`."""
        with self._waking():
            self._arrived[maildir] = None

    def rescan(self, maildir: str) -> None:
        """Queue a Maildir because an event may have been missed."""
        with self._waking():
            self._rescans[maildir] = None

    def rescan_all(self) -> None:
        """Request a scan of all Maildirs, because the kernel dropped events and does not say of which Maildirs."""
        with self._waking():
            self._all = True

    def moved(self, maildir: str) -> None:
        """Record that a file entered or left the junk folder of a Maildir."""
        with self._lock:
            first = not self._moved
            self._moved[maildir] = None
        if first:
            self._wake()

    def take_moved(self) -> list[str]:
        """Return the Maildirs recorded by `moved` since the last call of `take_moved`."""
        if not self._moved:
            return []
        with self._lock:
            moved, self._moved = list(self._moved), {}
            return moved

    def take(self) -> tuple[str, tuple[Part, ...]] | None:
        """Remove the next Maildir from the queue. Return the Maildir and the parts to scan; None if the queue is empty.

        Maildirs with deliveries come first, then rescans, each in the order in which they were queued.
        """
        with self._lock:
            maildir = next(iter(self._arrived), None) or next(iter(self._rescans), None)
            if maildir is None:
                return None
            whole = maildir in self._rescans
            self._arrived.pop(maildir, None)
            self._rescans.pop(maildir, None)
            return maildir, WHOLE if whole else NEW

    def take_all(self) -> bool:
        """Return whether a scan of all Maildirs was requested, and clear the request. The caller must do the scan."""
        with self._lock:
            everything, self._all = self._all, False
            return everything

    def is_full_scan_wanted(self) -> bool:
        """Return whether `take_all` would return True."""
        return self._all

    def clear(self) -> None:
        """Empty the queue before a scan of all Maildirs. The list of moves is left unchanged."""
        with self._lock:
            self._arrived.clear()
            self._rescans.clear()
            self._all = False

    def __len__(self) -> int:
        """Return the number of Maildirs to scan."""
        with self._lock:
            return len(self._arrived.keys() | self._rescans.keys())

    def __bool__(self) -> bool:
        """Return whether a Maildir is queued or a scan of all Maildirs is requested."""
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
