"""Locks that keep two programs with different state folders from working on the same Maildir.

Without locks, each program would mistake the moves of the other program for moves by the user, and a message that both
programs tag would exist twice. The lock (flock) is on the directory itself, so that the lock is the same for every path
of the Maildir and for every user. The kernel releases the lock when the process ends.
"""

import contextlib
import fcntl
import os
import resource
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm.config.maildirs import folder_identity
from spamlstm.errors import NoInputError, TemporaryError, UserError, reason_of
from spamlstm.files import Closable
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.wording import in_shell

# The number of file descriptors that are reserved for uses other than locks.
RESERVED = 256
MOST_FILES = 1 << 20
_NOBODY = -1


@dataclass(slots=True)
class _Lock:
    handle: int
    identity: tuple[int, int]


class MaildirLocks(Closable):
    """The locks of this process on Maildirs. Only one thread may use an instance."""

    def __init__(self, *, most: int | None = None) -> None:
        """Lock at most `most` Maildirs. By default, `most` is the limit of open files minus RESERVED."""
        self.refused: dict[str, UserError] = {}
        """The errors of the Maildirs that cannot be used, by path. Cleared when `keep` is called."""
        self._held: dict[str, _Lock] = {}
        self._most = _raised_limit() - RESERVED if most is None else most

    def keep(self, maildirs: Iterable[str]) -> list[str]:
        """Lock exactly these Maildirs, release all other locks, and return the usable Maildirs in the given order.

        Missing Maildirs are returned too. A Maildir is used without a lock if the limit of locks is reached, if its
        file system does not support locks, or if only processes of other users hold the lock.
        """
        wanted = list(maildirs)
        for gone in self._held.keys() - set(wanted):
            os.close(self._held.pop(gone).handle)
        self.refused = {}
        return [maildir for maildir in wanted if self._keep(maildir)]

    def lock(self, maildir: str) -> None:
        """Lock one more Maildir.

        Raises TemporaryError if another process holds the lock. Raises NoInputError if the Maildir cannot be used.
        """
        if not self._keep(maildir):
            raise self.refused[maildir]

    def _keep(self, maildir: str) -> bool:
        held = self._held.get(maildir)
        if held is not None:
            if held.identity == folder_identity(maildir):
                return True
            os.close(self._held.pop(maildir).handle)
        if len(self._held) >= self._most:
            return True
        try:
            mailbox = OpenMaildir.open(maildir)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            self.refused[maildir] = NoInputError(f"{maildir} cannot be used: {reason_of(error)}")
            return False
        except UserError as error:
            self.refused[maildir] = error
            return False
        with mailbox:
            try:
                fcntl.flock(mailbox.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if is_held_by_strangers(mailbox):
                    return True
                self.refused[maildir] = TemporaryError(_held_elsewhere(mailbox))
                return False
            except OSError:
                return True  # NFS does not support locks on directories
            # The duplicated descriptor refers to the same open file, so the lock remains when `mailbox` is closed.
            self._held[maildir] = _Lock(os.dup(mailbox.handle), mailbox.identity)
        return True

    def opened(self, maildir: str) -> OpenMaildir:
        """Open a Maildir like `OpenMaildir.open`.

        If this process holds a lock on the directory at this path, the descriptor of the lock is used.
        """
        held = self._held.get(maildir)
        if held is not None and held.identity == folder_identity(maildir):
            return OpenMaildir(maildir, os.dup(held.handle))
        return OpenMaildir.open(maildir)

    def close(self) -> None:
        """Release all locks."""
        while self._held:
            os.close(self._held.popitem()[1].handle)


def is_held_by_strangers(mailbox: OpenMaildir) -> bool:
    """Return whether only processes of other users hold the lock of a Maildir.

    Any user who may list a directory may lock it. Other users are all users except the owner of the Maildir, root and
    the user of this process. Returns False if the kernel does not show which process holds the lock.
    """
    device, inode = mailbox.identity
    where = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    holders = [fields[4] for fields in _locks() if fields[1:2] == ["FLOCK"] and fields[5:6] == [where]]
    trusted = {0, os.geteuid(), mailbox.owner.uid}
    return bool(holders) and not any(_users(holder) <= trusted for holder in holders)


def _locks() -> Iterator[list[str]]:
    """Yield the fields of each row of `/proc/locks`.

    A row looks like `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`. A row with `->` belongs to a process that
    waits for a lock.
    """
    try:
        text = Path("/proc/locks").read_text("utf-8", "replace")
    except OSError:
        return
    yield from map(str.split, text.splitlines())


def _users(process: str) -> set[int]:
    """Return the real, effective, saved and file system user ids of a process, or {-1} if they are unknown."""
    try:
        text = Path("/proc", process, "status").read_text("utf-8", "replace")
    except OSError:
        return {_NOBODY}
    return {int(user) for line in text.splitlines() if line.startswith("Uid:") for user in line.split()[1:]}


def _held_elsewhere(mailbox: OpenMaildir) -> str:
    sentence = f"another process holds a lock on {mailbox.path}: stop it if it is a spamlstm with another state folder"
    if os.fstat(mailbox.handle).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        sentence += f"; if it belongs to another user, run chmod 700 {in_shell(mailbox.path)}"
    return sentence


def _raised_limit() -> int:
    """Raise the limit of open files as far as allowed and return the limit. Each lock needs one open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Under the systemd units this call is forbidden (@resources); the units set LimitNOFILE instead.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
