"""Watching the `new` of many Maildirs: one inotify instance and one thread of watchdog's for all of them.

Why not watchdog's Observer, which takes a thread for each folder: docs/decisions/0009-watching.md.
"""

# A list of 10,000 folders is looked at often, and os is many times as fast as pathlib:
# ruff: noqa: PTH116, PTH118

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from spamlstm.daemon.hints import Hints
from spamlstm.maildir.message_file import remote_devices

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent

# Deliveries by link (Postfix: IN_CREATE) and by rename (OpenSMTPD, Dovecot: IN_MOVED_TO), and the end of writing by
# those who break the rules and write in `new` itself; and the folder going away. Nothing else: what readers do would
# fill the kernel's queue. A link in place of the folder is not followed, see maildir.opened.
IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE = 0x8, 0x80, 0x100
IN_MOVED_FROM, IN_DELETE = 0x40, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT = 0x400, 0x800, 0x2000
IN_ONLYDIR, IN_DONT_FOLLOW = 0x1000000, 0x2000000
ARRIVES = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE
LEAVES = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT
MASK_OF_JUNK = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
MASK_OF_JUNK |= IN_ONLYDIR | IN_DONT_FOLLOW
MASK = ARRIVES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW

# Maildirs that are refused are named one by one in the log; more than these are counted only.
MOST_NAMED = 20
LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(slots=True)
class _Folder:
    """The `new` of one Maildir when last looked at: which it was, its time, and the number of its watch, if any."""

    which: tuple[int, int]
    changed: int
    number: int | None = None

    def differs(self, other: "_Folder | None") -> bool:
        """Whether it is another folder than before, or something came or went in it."""
        return other is None or (self.which, self.changed) != (other.which, other.changed)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many Maildirs the kernel tells of, how many are only looked at now and then, how many are not there.

    `refused` is how many are not used. `remarks` are sentences for the administrator, one for each reason why some are
    only looked at or refused.
    """

    watched: int = 0
    polled: int = 0
    missing: int = 0
    remarks: tuple[str, ...] = ()
    refused: int = 0

    def without(self, refused: Mapping[str, Exception]) -> Self:
        """The same with the Maildirs that are not used at all, by path; the first few are named in the remarks."""
        reasons = [str(error) for _, error in zip(range(MOST_NAMED), refused.values(), strict=False)]
        return replace(self, refused=len(refused), remarks=(*self.remarks, *reasons))


class _Inotify(Protocol):
    """What we use of watchdog's InotifyFD: one inotify instance and the thread that reads it."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...
    def add_callback(self, path: bytes, mask: int, callback: Any, id_: int) -> int: ...
    def remove_callbacks(self, callbacks: list[tuple[int, int]]) -> None: ...


def _open_inotify() -> _Inotify:
    """An OSError where there is no inotify, whatever the reason."""
    try:
        from watchdog.observers.inotify_c import InotifyFD  # ctypes: 10 ms, not for other commands
    except Exception as error:  # its own error for a foreign libc, ImportError, AttributeError
        raise OSError(errno.ENOSYS, f"there is no inotify here ({error})") from error
    opened: _Inotify = cast("Any", InotifyFD())  # it has a type of its own for each kind of int
    return opened


@dataclass
class Watcher:
    """Puts a hint for each delivery into the Maildirs it was told of by `cover`.

    A delivery goes unseen while its folder is not yet watched, when the kernel's queue is full, and where another host
    writes; wherever that may have been, the Maildir is put in doubt. All but the callbacks is for one thread.
    """

    hints: Hints
    open_inotify: Callable[[], _Inotify] = _open_inotify
    remote: Callable[[], frozenset[int]] = remote_devices
    overflows: int = 0
    restarts: int = 0
    _inotify: _Inotify | None = None
    _folders: dict[str, _Folder | None] = field(default_factory=dict)  # None: it is not there
    _maildirs: dict[int, str] = field(default_factory=dict)  # whose watch it is, by its number
    _junks: dict[str, tuple[int, int]] = field(default_factory=dict)  # by path: which folder it is, and its watch
    _junk_of: dict[int, str] = field(default_factory=dict)  # whose junk folder's watch it is, by its number
    _remote: frozenset[int] = frozenset()
    _most: int | None = None  # watches that the kernel allows, None where it does not say
    _refused: int = 0  # the errno with which the kernel last refused a watch

    def cover(self, maildirs: Collection[str], *, beat: Callable[[], None] = lambda: None) -> Coverage:
        """From now on watch these and no others; what is watched already and is still the same folder goes on.

        Folders that were made anew or moved, or whose watch ended, are watched again. A Maildir whose watch is new
        is put in doubt, as deliveries before it went unseen. Call it at each scan. `beat` is called before each look.
        """
        if not self.is_alive():
            self._start()
        self._refused = 0 if self._inotify is not None else self._refused
        self._remote = self.remote()
        for gone in self._folders.keys() - set(maildirs):
            self._release(self._folders.pop(gone), gone)
            for number in [number for number, maildir in list(self._junk_of.items()) if maildir == gone]:
                self._end(number)
        if len(self._junks) > 2 * len(self._junk_of):
            self._junks = {path: one for path, one in self._junks.items() if one[1] in self._junk_of}
        for maildir in maildirs:
            beat()
            self._look(maildir)
        return self._coverage()

    def watch_junk(self, maildir: str, path: str, which: int) -> None:
        """Put a hint when mail comes into this `cur` of a junk folder or leaves it, by which users speak.

        `which` is its inode. A convenience: where there is no watch, as deliveries need them, a scan finds it later.
        """
        before = self._junks.get(path)
        if before is not None and before[0] == which and before[1] in self._junk_of:
            return
        if before is not None:
            self._end(before[1])
        mailbox, inotify = self._folders.get(maildir), self._inotify
        if mailbox is None or mailbox.number is None or inotify is None or not self._spares_watches():
            return
        try:
            number = self._added(inotify, path, MASK_OF_JUNK, maildir)
        except OSError as error:
            # What is refused here is no news: where it is refused to deliveries, that is told.
            if error.errno == errno.ENOSPC:
                self._learn_most()
            return
        if number >= 0:
            self._junks[path] = which, number
            self._junk_of[number] = maildir

    def poll(self, *, beat: Callable[[], None] = lambda: None) -> None:
        """Look at those without a watch: their folder's time tells of deliveries, and a watch may be possible now."""
        for maildir in list(self._unwatched()):
            beat()
            self._look(maildir)

    def present(self) -> list[str]:
        """Those that were there at the last look."""
        return [maildir for maildir, folder in self._folders.items() if folder is not None]

    @property
    def polls(self) -> bool:
        """Whether there are any without a watch."""
        return len(self._maildirs) < len(self._folders)

    def is_alive(self) -> bool:
        """Whether the thread that hears the kernel lives."""
        return self._inotify is not None and self._inotify.is_alive()

    def has_died(self) -> bool:
        """Whether that thread once was and is no more; the next `cover` starts another and doubts everything."""
        return self._inotify is not None and not self._inotify.is_alive()

    def close(self) -> None:
        """Watch nothing any more."""
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join(timeout=1.0)
        self._inotify = None
        self._maildirs.clear()
        self._folders.clear()
        self._junks.clear()
        self._junk_of.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # What watchdog calls, in its thread.

    def on_event(self, event: "InotifyEvent") -> None:
        """Something has happened in a folder, or to it."""
        maildir = self._maildirs.get(event.wd)
        if maildir is None:
            if (owner := self._junk_of.get(event.wd)) is not None:
                if event.mask & LEAVES:
                    self._end(event.wd)
                self.hints.moved(owner)
            return  # its watch is so new that the Maildir is yet to be put in doubt, or it has just ended
        if event.mask & LEAVES:
            self._lose(event.wd)
        elif event.mask & ARRIVES and event.name and not event.name.startswith(b"."):
            self.hints.arrived(maildir)

    def on_watch_deleted(self, wd: int) -> None:
        """The kernel has ended a watch, as the folder is gone."""
        self._lose(wd)

    def on_queue_overflow(self) -> None:
        """The kernel's queue was full and events are lost, nobody knows whose."""
        self.overflows += 1
        self.hints.doubt_all()

    def _lose(self, number: int) -> None:
        maildir = self._maildirs.get(number)
        # The folder keeps its number, which from now on is nobody's: the next look finds that it has no watch.
        self._end(number)
        if maildir is not None:
            self.hints.doubt(maildir)

    def _end(self, number: int) -> None:
        """Both threads may come here for one watch; only the one that takes the number out ends it."""
        inotify = self._inotify
        ended = self._maildirs.pop(number, None) or self._junk_of.pop(number, None)
        if ended is not None and inotify is not None:
            inotify.remove_callbacks([(number, hash(ended))])

    # The rest is for the caller's thread.

    def _start(self) -> None:
        self.restarts += self._inotify is not None
        self.close()
        try:
            inotify = self.open_inotify()
        except OSError as error:
            self._refused = error.errno or errno.EIO
            return
        inotify.start()
        self._inotify = inotify
        self._most = limit("max_user_watches")

    def _spares_watches(self) -> bool:
        """Whether junk folders may have a further watch: deliveries keep half of what the kernel allows.

        Where the kernel does not say (systemd's ProcSubset=pid hides /proc/sys) there is no limit until it refuses one.
        """
        return self._most is None or 2 * (len(self._maildirs) + len(self._junk_of)) < self._most

    def _learn_most(self) -> None:
        """The kernel has refused a watch: if it does not say how many it allows, it allows those that there are."""
        if self._most is None:
            self._most = len(self._maildirs) + len(self._junk_of)

    def _unwatched(self) -> Iterator[str]:
        for maildir, folder in self._folders.items():
            if folder is None or not self._is_of(folder, maildir):
                yield maildir

    def _look(self, maildir: str) -> None:
        before, now = self._folders.get(maildir), _look_at(maildir)
        self._folders[maildir] = now
        if now is not None and before is not None and self._is_of(before, maildir) and before.which == now.which:
            now.number = before.number
            return
        self._release(before, maildir)
        if now is None:
            return
        if now.which[0] not in self._remote:
            now.number = self._watch(maildir)
        if now.number is not None or now.differs(before):
            self.hints.doubt(maildir)

    def _is_of(self, folder: _Folder, maildir: str) -> bool:
        """Whether a folder has a watch, and that is this Maildir's."""
        return folder.number is not None and self._maildirs.get(folder.number) == maildir

    def _release(self, folder: _Folder | None, maildir: str) -> None:
        if folder is not None and folder.number is not None and self._is_of(folder, maildir):
            self._end(folder.number)

    def _watch(self, maildir: str) -> int | None:
        if self._inotify is None or self._refused == errno.ENOSPC:
            return None
        try:
            number = self._added(self._inotify, os.path.join(maildir, "new"), MASK, maildir)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENOSPC and self._junk_of:
                self._learn_most()
                self._end(next(iter(self._junk_of)))  # deliveries come first
                return self._watch(maildir)
            self._refused = error.errno or errno.EIO
            return None
        if number < 0:  # so watchdog says that permission is denied
            self._refused = errno.EACCES
            return None
        self._maildirs[number] = maildir
        return number

    def _added(self, inotify: _Inotify, path: str, mask: int, maildir: str) -> int:
        """The number of a new watch; negative if permission is denied, a FileNotFoundError if it is another's folder.

        A link in the path may lead to a folder that is watched for another Maildir, and its watch stays with that.
        """
        number = inotify.add_callback(os.fsencode(path), mask, self, hash(maildir))
        if (self._maildirs.get(number) or self._junk_of.get(number) or maildir) != maildir:
            inotify.remove_callbacks([(number, hash(maildir))])
            raise FileNotFoundError(errno.ENOENT, "it is watched for another Maildir", path)
        return number

    def _coverage(self) -> Coverage:
        there = [(maildir, folder) for maildir, folder in self._folders.items() if folder is not None]
        folders = [folder for _, folder in there]
        watched = sum(self._is_of(folder, maildir) for maildir, folder in there)
        remote = sum(folder.which[0] in self._remote for folder in folders)
        unwatched = len(folders) - watched
        remarks = _remarks(self._refused, refused=unwatched - remote, remote=remote, of=len(folders))
        return Coverage(watched, unwatched, len(self._folders) - len(folders), tuple(remarks))


def _look_at(maildir: str) -> _Folder | None:
    try:
        status = os.stat(os.path.join(maildir, "new"))
    except (OSError, ValueError):
        return None
    return _Folder((status.st_dev, status.st_ino), status.st_mtime_ns)


def _remarks(why: int, *, refused: int, remote: int, of: int) -> Iterator[str]:
    some = "they are looked at every few seconds instead"
    if remote:
        yield f"{remote} of {of} Maildirs are on file systems where other hosts deliver without notice (NFS, …): {some}"
    if refused <= 0:
        return
    if why == errno.ENOSPC:
        most = limit("max_user_watches")
        yield (
            f"the kernel takes no more{'' if most is None else f' than {most}'} watches from this user, too few for"
            f" {refused} of {of} Maildirs: {some}; sysctl fs.inotify.max_user_watches={_round_up(2 * of)} would do"
        )
    elif why == errno.EMFILE:
        most = limit("max_user_instances")
        yield (
            f"the kernel gives this user no further inotify instance{'' if most is None else f' of its {most}'}: "
            f"{some}; sysctl fs.inotify.max_user_instances sets it"
        )
    else:
        yield f"{refused} of {of} Maildirs cannot be watched ({os.strerror(why) if why else 'they vanish'}): {some}"


def limit(name: str) -> int | None:
    """What the kernel allows a user, `max_user_watches` or `max_user_instances`; None where it does not say."""
    try:
        return int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return None


def _round_up(number: int) -> int:
    return max(65_536, -(-number // 8192) * 8192)
