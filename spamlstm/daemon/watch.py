"""Watching of the `new` folders and junk folders of many Maildirs with one inotify instance and one watchdog thread.

A watch is the kernel's subscription to events of one folder. A junk folder is watched at its `cur` and its `new`.
The Observer of the watchdog library is not used because it needs a thread for each folder; see
docs/decisions/0009-watching.md.
"""

# Up to 10,000 folders are checked often, and os is much faster than pathlib:
# ruff: noqa: PTH112, PTH116, PTH118

import errno
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spamlstm.daemon.hints import Hints
from spamlstm.daemon.inotify import ARRIVES, ENDS, JUNK_MASK, JUNK_NEW_MASK, NEW_MASK, Inotify, open_inotify
from spamlstm.daemon.status import Coverage, inotify_limit, watch_remarks
from spamlstm.files import Closable
from spamlstm.maildir.file_systems import remote_devices

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent


@dataclass(slots=True)
class _NewFolder:
    """The `new` folder of one Maildir at the last check: device and inode, modification time, and its watch, if any."""

    identity: tuple[int, int]
    changed_ns: int
    watch: int | None = None

    def differs(self, other: "_NewFolder | None") -> bool:
        """Return whether `other` is None or has another identity or modification time."""
        return other is None or (self.identity, self.changed_ns) != (other.identity, other.changed_ns)


@dataclass
class Watcher(Closable):
    """A watcher that puts a hint into `hints` for each delivery to the Maildirs given to `cover`.

    inotify misses a delivery while the folder is not watched yet, while the kernel's queue is full, and if another host
    delivers. In these cases a hint requests a rescan later. Only one thread may call the methods, except the
    callbacks (`on_…`), which watchdog calls in its own thread.
    """

    hints: Hints
    open_inotify: Callable[[], Inotify] = open_inotify
    remote: Callable[[], frozenset[int]] = remote_devices
    overflows: int = 0
    restarts: int = 0
    _inotify: Inotify | None = None
    _folders: dict[str, _NewFolder | None] = field(default_factory=dict)  # by Maildir; None if it is not a Maildir
    _maildirs: dict[int, str] = field(default_factory=dict)  # Maildir by the watch of its `new`
    _junks: dict[str, tuple[int, int]] = field(default_factory=dict)  # inode and watch by path of `cur` or `new`
    _junk_maildirs: dict[int, str] = field(default_factory=dict)  # Maildir by the watch of its junk folder
    _remote: frozenset[int] = frozenset()
    _most: int | None = None  # number of watches that the kernel allows; None if unknown
    _error: int = 0  # errno of the last watch that the kernel refused

    def cover(self, maildirs: Collection[str], *, beat: Callable[[], None] = lambda: None) -> Coverage:
        """Watch exactly these Maildirs, end all other watches, and return the coverage.

        The watch of an unchanged folder is kept. A folder that was replaced or moved, or whose watch ended, gets a new
        watch. A rescan is requested for a Maildir with a new watch, because its earlier deliveries were missed. The
        daemon calls this method at each scan of all Maildirs. `beat` is called before each Maildir.
        """
        if not self.is_alive():
            self._start()
        self._error = 0 if self._inotify is not None else self._error
        self._remote = self.remote()
        for gone in self._folders.keys() - set(maildirs):
            self._release(self._folders.pop(gone), gone)
            for watch in [watch for watch, maildir in list(self._junk_maildirs.items()) if maildir == gone]:
                self._end(watch)
        if len(self._junks) > 2 * len(self._junk_maildirs):
            self._junks = {path: one for path, one in self._junks.items() if one[1] in self._junk_maildirs}
        for maildir in maildirs:
            beat()
            self._check(maildir)
        return self._coverage()

    def watch_junk(self, maildir: str, path: str, inode: int) -> None:
        """Watch `cur` or `new` of a junk folder. A file that enters or leaves `cur`, or leaves `new`, causes a hint.

        `path` is the path of `cur` or `new`, and `inode` is its inode number. The watch only speeds up learning. If all
        watches are needed for deliveries, the folder is not watched, and the next learning round finds the moved file.
        """
        before = self._junks.get(path)
        if before is not None and before[0] == inode and before[1] in self._junk_maildirs:
            return
        if before is not None:
            self._end(before[1])
        if self._was_renamed(maildir, path, inode):
            return
        folder, inotify = self._folders.get(maildir), self._inotify
        if folder is None or folder.watch is None or inotify is None or not self._has_spare_watches():
            return
        try:
            watch = self._add(inotify, path, JUNK_NEW_MASK if path.endswith("/new") else JUNK_MASK, maildir)
        except OSError as error:
            # This error is not reported. A refused watch of a delivery folder is reported by `cover`.
            if error.errno == errno.ENOSPC:
                self._learn_most()
            return
        if watch >= 0:
            self._junks[path] = inode, watch
            self._junk_maildirs[watch] = maildir

    def lacks_junk(self, maildir: str) -> bool:
        """Return whether no junk folder of a watched Maildir is watched, although the kernel allows further watches."""
        folder = self._folders.get(maildir)
        return (
            folder is not None
            and self._is_watched(folder, maildir)
            and maildir not in list(self._junk_maildirs.values())
            and self._has_spare_watches()
        )

    def _was_renamed(self, maildir: str, path: str, inode: int) -> bool:
        """Return whether a watch for the former path of a renamed junk folder exists. It then belongs to `path`.

        The kernel would return the number of this watch again.
        """
        for former, (known, watch) in list(self._junks.items()):
            if known == inode and former != path and self._junk_maildirs.get(watch) == maildir:
                self._junks[path] = self._junks.pop(former)
                return True
        return False

    def poll(self, *, beat: Callable[[], None] = lambda: None) -> None:
        """Check all Maildirs without a watch. Request a rescan of each Maildir whose `new` has changed.

        Also tries to watch each Maildir without a watch, because a watch may have become possible.
        """
        for maildir in list(self._unwatched()):
            beat()
            self._check(maildir)

    def present(self) -> list[str]:
        """Return the Maildirs that existed at the last check."""
        return [maildir for maildir, folder in self._folders.items() if folder is not None]

    @property
    def polls(self) -> bool:
        """Return whether at least one Maildir has no watch, so that `poll` must be called."""
        return len(self._maildirs) < len(self._folders)

    def is_alive(self) -> bool:
        """Return whether the thread that reads events is running."""
        return self._inotify is not None and self._inotify.is_alive()

    def has_died(self) -> bool:
        """Return whether the thread that reads events ended unexpectedly.

        The next `cover` then starts a new thread and requests rescans.
        """
        return self._inotify is not None and not self._inotify.is_alive()

    def close(self) -> None:
        """End all watches and the thread that reads events."""
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join(timeout=1.0)
        self._inotify = None
        self._maildirs.clear()
        self._folders.clear()
        self._junks.clear()
        self._junk_maildirs.clear()

    # The following callbacks are called by watchdog in its thread.

    def on_event(self, event: "InotifyEvent") -> None:
        """Handle an event in a watched folder or of the folder itself."""
        maildir = self._maildirs.get(event.wd)
        if maildir is None:
            if (owner := self._junk_maildirs.get(event.wd)) is not None:
                if event.mask & ENDS:
                    self._end(event.wd)
                self.hints.moved(owner)
            return  # the watch has just ended, or is so new that a rescan will be requested
        if event.mask & ENDS:
            self._lose(event.wd)
        elif event.mask & ARRIVES and event.name and not event.name.startswith(b"."):
            self.hints.arrived(maildir)

    def on_watch_deleted(self, wd: int) -> None:
        """Handle the end of a watch. The kernel ends a watch when the folder is removed."""
        self._lose(wd)

    def on_queue_overflow(self) -> None:
        """Handle a full event queue of the kernel. Events were lost, so a scan of all Maildirs is requested."""
        self.overflows += 1
        self.hints.rescan_all()

    def _lose(self, watch: int) -> None:
        maildir = self._maildirs.get(watch)
        # `_folders` keeps the number of the ended watch, so the next check finds that the folder is not watched.
        self._end(watch)
        if maildir is not None:
            self.hints.rescan(maildir)

    def _end(self, watch: int) -> None:
        """End a watch. May be called from both threads.

        The thread that removes the number of the watch from the tables also ends the watch, so that each watch is
        ended only once.
        """
        inotify = self._inotify
        maildir = self._maildirs.pop(watch, None) or self._junk_maildirs.pop(watch, None)
        if maildir is not None and inotify is not None:
            inotify.remove_callbacks([(watch, hash(maildir))])

    # The following methods are called in the caller's thread.

    def _start(self) -> None:
        self.restarts += self._inotify is not None
        self.close()
        try:
            inotify = self.open_inotify()
        except OSError as error:
            self._error = error.errno or errno.EIO
            return
        inotify.start()
        self._inotify = inotify
        self._most = inotify_limit("max_user_watches")

    def _has_spare_watches(self) -> bool:
        """Return whether a further junk folder may be watched.

        Half of the watches that the kernel allows are reserved for deliveries. If the limit is unknown (systemd's
        ProcSubset=pid hides /proc/sys), junk folders may be watched until the kernel refuses a watch.
        """
        return self._most is None or 2 * (len(self._maildirs) + len(self._junk_maildirs)) < self._most

    def _learn_most(self) -> None:
        """Set an unknown limit to the current number of watches, because the kernel has refused a further watch."""
        if self._most is None:
            self._most = len(self._maildirs) + len(self._junk_maildirs)

    def _unwatched(self) -> Iterator[str]:
        for maildir, folder in self._folders.items():
            if folder is None or not self._is_watched(folder, maildir):
                yield maildir

    def _check(self, maildir: str) -> None:
        before, now = self._folders.get(maildir), _new_folder(maildir)
        self._folders[maildir] = now
        if now and before and before.identity == now.identity and self._is_watched(before, maildir):
            now.watch = before.watch
            return
        self._release(before, maildir)
        if now is None:
            return
        if now.identity[0] not in self._remote:
            now.watch = self._watch(maildir)
        if now.watch is not None or now.differs(before):
            self.hints.rescan(maildir)

    def _is_watched(self, folder: _NewFolder, maildir: str) -> bool:
        """Return whether the folder has a watch that belongs to this Maildir."""
        return folder.watch is not None and self._maildirs.get(folder.watch) == maildir

    def _release(self, folder: _NewFolder | None, maildir: str) -> None:
        if folder is not None and folder.watch is not None and self._is_watched(folder, maildir):
            self._end(folder.watch)

    def _watch(self, maildir: str) -> int | None:
        if self._inotify is None or self._error == errno.ENOSPC:
            return None
        try:
            watch = self._add(self._inotify, os.path.join(maildir, "new"), NEW_MASK, maildir)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENOSPC and self._junk_maildirs:
                self._learn_most()
                self._end(next(iter(self._junk_maildirs)))  # deliveries need the watch more
                return self._watch(maildir)
            self._error = error.errno or errno.EIO
            return None
        if watch < 0:  # watchdog returns a negative number if permission is denied
            self._error = errno.EACCES
            return None
        self._maildirs[watch] = maildir
        return watch

    def _add(self, inotify: Inotify, path: str, mask: int, maildir: str) -> int:
        """Add a watch and return its number, which is negative if permission is denied.

        A symbolic link in `path` may lead to the folder of another Maildir. The watch of the other Maildir is left
        unchanged. Raises FileNotFoundError if the folder is already watched for another Maildir.
        """
        watch = inotify.add_callback(os.fsencode(path), mask, self, hash(maildir))
        if (self._maildirs.get(watch) or self._junk_maildirs.get(watch) or maildir) != maildir:
            inotify.remove_callbacks([(watch, hash(maildir))])
            raise FileNotFoundError(errno.ENOENT, "it is watched for another Maildir", path)
        return watch

    def _coverage(self) -> Coverage:
        present = [(maildir, folder) for maildir, folder in self._folders.items() if folder is not None]
        watched = sum(self._is_watched(folder, maildir) for maildir, folder in present)
        remote = sum(folder.identity[0] in self._remote for _, folder in present)
        polled, total = len(present) - watched, len(present)
        remarks = watch_remarks(self._error, unwatched=polled - remote, remote=remote, total=total)
        return Coverage(watched, polled, len(self._folders) - total, tuple(remarks))


def _new_folder(maildir: str) -> _NewFolder | None:
    """Return the `new` folder of a Maildir, or None if the folder is not a Maildir."""
    try:
        status = os.stat(os.path.join(maildir, "new"))
    except (OSError, ValueError):
        return None
    if not all(os.path.isdir(os.path.join(maildir, part)) for part in ("cur", "tmp")):
        return None
    return _NewFolder((status.st_dev, status.st_ino), status.st_mtime_ns)
