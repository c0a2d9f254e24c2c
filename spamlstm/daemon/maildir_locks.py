"""Locks that keep two programs with different state folders from working on the same Maildir.

Such programs do not know each other's moves: each would take those of the other for the user's, and a message that both
tag would be there twice. The lock is on the directory itself (flock), so it is the same for every path and user; the
kernel drops it when the process ends.
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

# Descriptors that are kept free for everything else.
RESERVED = 256
MOST_FILES = 1 << 20
_NOBODY = -1


@dataclass(slots=True)
class _Lock:
    handle: int
    identity: tuple[int, int]


class MaildirLocks(Closable):
    """The Maildirs that this process has locked. For one thread."""

    def __init__(self, *, most: int | None = None) -> None:
        """Lock at most `most` Maildirs; by default as many as this process may have files open."""
        self.refused: dict[str, UserError] = {}
        """The Maildirs that could not be used at the last `keep`, each with the reason."""
        self._held: dict[str, _Lock] = {}
        self._most = _raised_limit() - RESERVED if most is None else most

    def keep(self, maildirs: Iterable[str]) -> list[str]:
        """Lock these Maildirs and no others; return those that may be used, in their order, missing ones included.

        A Maildir is used without a lock if the limit of open files is reached, if its file system has no locks, or if
        only processes of other users hold the lock.
        """
        wanted = list(maildirs)
        for gone in self._held.keys() - set(wanted):
            os.close(self._held.pop(gone).handle)
        self.refused = {}
        return [maildir for maildir in wanted if self._keep(maildir)]

    def lock(self, maildir: str) -> None:
        """Lock one more Maildir. TemporaryError if another process has locked it, NoInputError if it cannot be used."""
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
                return True  # NFS has no locks on directories
            # A duplicate is the same open file: it keeps the lock when the other is closed.
            self._held[maildir] = _Lock(os.dup(mailbox.handle), mailbox.identity)
        return True

    def opened(self, maildir: str) -> OpenMaildir:
        """Open a Maildir as `OpenMaildir.open` does: the one that is locked, if it still has this path."""
        held = self._held.get(maildir)
        if held is not None and held.identity == folder_identity(maildir):
            return OpenMaildir(maildir, os.dup(held.handle))
        return OpenMaildir.open(maildir)

    def close(self) -> None:
        """Drop all locks."""
        while self._held:
            os.close(self._held.popitem()[1].handle)


def is_held_by_strangers(mailbox: OpenMaildir) -> bool:
    """Whether only processes of other users hold the lock of a Maildir: any user who may list a directory may lock it.

    Other users are all but its owner, root, and the user of this process. False if the kernel does not show the holder.
    """
    device, inode = mailbox.identity
    where = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    holders = [fields[4] for fields in _locks() if fields[1:2] == ["FLOCK"] and fields[5:6] == [where]]
    trusted = {0, os.geteuid(), mailbox.owner.uid}
    return bool(holders) and not any(_users(holder) <= trusted for holder in holders)


def _locks(table: Path = Path("/proc/locks")) -> Iterator[list[str]]:
    """Yield the rows of `/proc/locks`: `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`; `->` marks a waiter."""
    try:
        text = table.read_text("utf-8", "replace")
    except OSError:
        return
    yield from map(str.split, text.splitlines())


def _users(process: str) -> set[int]:
    """Return the real, effective, saved and file system user of a process; -1 if it has ended or is hidden."""
    try:
        text = Path("/proc", process, "status").read_text("utf-8", "replace")
    except OSError:
        return {_NOBODY}
    return {int(user) for line in text.splitlines() if line.startswith("Uid:") for user in line.split()[1:]}


def _held_elsewhere(mailbox: OpenMaildir) -> str:
    sentence = f"another process holds a lock on {mailbox.path}: stop it if it is a spamlstm with another state folder"
    if os.fstat(mailbox.handle).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        sentence += f"; if it is another user's, run chmod 700 {mailbox.path}"
    return sentence


def _raised_limit() -> int:
    """Raise the limit of open files as far as allowed, since each lock is one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The systemd units forbid this (@resources) and set LimitNOFILE.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
