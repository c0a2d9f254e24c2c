"""Hints: notes by the watching thread that a Maildir may have new or moved mail, and a pipe that wakes the loop.

A hint may be wrong, late or missing. Only a scan finds what really changed.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator

from spamlstm.files import Closable
from spamlstm.maildir.names import DELIVERED, Part

NEW: tuple[Part, ...] = ("new",)


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
        """Request a scan of all Maildirs.

        Called when the kernel has dropped events, because it does not report the affected Maildirs.
        """
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
        """Remove the next Maildir from the queue, and return it with the parts to scan.

        Returns None if the queue is empty. Only `new` is scanned for a delivery; all parts are scanned for a rescan.
        Maildirs with deliveries come first, then Maildirs with rescans. Within each group, the Maildir that was queued
        first comes first.
        """
        with self._lock:
            maildir = next(iter(self._arrived), None) or next(iter(self._rescans), None)
            if maildir is None:
                return None
            whole = maildir in self._rescans
            self._arrived.pop(maildir, None)
            self._rescans.pop(maildir, None)
            return maildir, DELIVERED if whole else NEW

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
        """Return the number of Maildirs in the queue."""
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


class Wakeup(Closable):
    """A pipe through which other threads and signals wake a loop that sleeps in `wait`.

    If a wake-up comes while the loop is awake, the next `wait` returns immediately.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def wake(self) -> None:
        """Wake the loop. May be called from any thread and from a signal handler."""
        # If the pipe is full, the write fails, but the earlier bytes in the pipe wake the loop.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until a wake-up, at most `seconds`. Return whether there was a wake-up. Clears all earlier wake-ups."""
        awake = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if awake:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._reader, 4096)) == 4096:
                    pass
        return awake

    def wake_on_signals(self) -> None:
        """Wake the loop for each signal that has a handler.

        Python runs signal handlers only in the main thread, and only after the thread wakes up.
        """
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close the pipe."""
        with contextlib.suppress(ValueError):  # raised outside of the main thread, where the descriptor was never set
            if signal.set_wakeup_fd(-1) not in (-1, self._writer):
                raise RuntimeError("the signal wakeup descriptor belongs to other code")
        os.close(self._reader)
        os.close(self._writer)
