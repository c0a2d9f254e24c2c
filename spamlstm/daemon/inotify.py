"""The kernel's inotify: the events that are watched, and the instance that reports them."""

import errno
from typing import Any, Protocol, cast

from spamlstm.filtering.event_log import log_unexpected

# The watched events are deliveries by link (Postfix: IN_CREATE) and by rename (OpenSMTPD, Dovecot: IN_MOVED_TO), the
# end of writing by programs that break the Maildir rules and write directly into `new`, and the removal of the folder.
# Other events are not watched, because the events of readers would fill the kernel's queue. A symbolic link in place of
# the folder is not followed, see maildir.opened.
IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE = 0x8, 0x80, 0x100
IN_MOVED_FROM, IN_DELETE = 0x40, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT = 0x400, 0x800, 0x2000
IN_ONLYDIR, IN_DONT_FOLLOW = 0x1000000, 0x2000000
ARRIVES = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE
ENDS = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT
NEW_MASK = ARRIVES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW
JUNK_MASK = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
JUNK_MASK |= IN_ONLYDIR | IN_DONT_FOLLOW
# Arrivals in `new` of a junk folder are mostly filed by this program, and are not moves.
JUNK_NEW_MASK = JUNK_MASK & ~(IN_CREATE | IN_MOVED_TO)


class Inotify(Protocol):
    """The used methods of watchdog's InotifyFD, which is one inotify instance with the thread that reads its events."""

    def start(self) -> None:
        """Start the thread."""
        ...

    def stop(self) -> None:
        """End all watches, and make the thread end."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout` seconds."""
        ...

    def is_alive(self) -> bool:
        """Return whether the thread is running."""
        ...

    def add_callback(self, path: bytes, mask: int, callback: Any, id_: int) -> int:
        """Watch a path for the events in `mask`, and return the number of the watch, which is negative if refused.

        The thread calls the methods `on_…` of `callback`. A path that is watched already keeps its watch, and `id_`
        distinguishes the callbacks of one watch.
        """
        ...

    def remove_callbacks(self, callbacks: list[tuple[int, int]]) -> None:
        """Remove callbacks, given as numbers of watches with ids. A watch without callbacks ends."""
        ...


def open_inotify() -> Inotify:
    """Return a new inotify instance, whose thread logs the error that ends it.

    Raises OSError if inotify cannot be used for any reason.
    """
    try:
        from watchdog.observers.inotify_c import InotifyFD  # imported here, because its ctypes import takes 10 ms
    except Exception as error:  # ImportError, AttributeError, or an error of watchdog for an unknown libc
        raise OSError(errno.ENOSYS, f"inotify is not available ({error})") from error

    class LoggedInotify(InotifyFD):
        def run(self) -> None:
            try:
                super().run()
            except Exception as error:  # noqa: BLE001  the error is logged
                log_unexpected(error, "Maildirs are watched again, and scanned, by a new thread")

    opened: Inotify = cast("Any", LoggedInotify())  # the cast is needed because watchdog uses its own integer types
    return opened
