"""One program at a time over one Maildir, whichever state folder it has.

Two programs with a state folder each do not know each other's moves: each takes those of the other for the user's, and
a message that both tag is there twice. The lock is on the directory itself (flock), so that it is the same whatever
path or user leads to it; the kernel gives it back when the process ends.
"""

import contextlib
import fcntl
import os
import resource
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from spamlstm.config.maildirs import folder_identity
from spamlstm.errors import NoInputError, TemporaryError, UserError, reason_of
from spamlstm.maildir.opened import OpenMaildir

# Descriptors that are left for all else.
RESERVED = 256
MOST_FILES = 1 << 20
_NOBODY = -1


@dataclass(slots=True)
class _Held:
    handle: int
    identity: tuple[int, int]


class MaildirLocks:
    """The Maildirs that this process works on. For one thread."""

    def __init__(self, *, most: int | None = None) -> None:
        """`most` is how many Maildirs are locked at a time; as many as files may be open, unless it is given."""
        self.refused: dict[str, UserError] = {}
        """Those that cannot be used as of the last `keep`, each with the reason."""
        self._held: dict[str, _Held] = {}
        self._most = _raised_limit() - RESERVED if most is None else most

    def keep(self, maildirs: Iterable[str]) -> list[str]:
        """Lock these and no others; gives those that may be worked on, in their order. What is not there is among them.

        A Maildir beyond what the limit of open files allows is worked on without a lock, and so is one on a file
        system that has none, or on which another user holds it.
        """
        wanted = list(maildirs)
        for gone in self._held.keys() - set(wanted):
            os.close(self._held.pop(gone).handle)
        self.refused = {}
        return [maildir for maildir in wanted if self._keep(maildir)]

    def lock(self, maildir: str) -> None:
        """Lock one more Maildir. TemporaryError if another program is at work there, NoInputError if it is refused."""
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
            # A duplicate is the same open file, and holds the lock when the other is closed.
            self._held[maildir] = _Held(os.dup(mailbox.handle), mailbox.identity)
        return True

    def opened(self, maildir: str) -> OpenMaildir:
        """Open a Maildir for one visit as `OpenMaildir.open` does: the one that is locked, if it still lies there."""
        held = self._held.get(maildir)
        if held is not None and held.identity == folder_identity(maildir):
            return OpenMaildir(maildir, os.dup(held.handle))
        return OpenMaildir.open(maildir)

    def close(self) -> None:
        """Give all locks back."""
        while self._held:
            os.close(self._held.popitem()[1].handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def is_held_by_strangers(mailbox: OpenMaildir) -> bool:
    """Whether only processes of other users hold the lock of a Maildir: who may list a directory may lock it.

    It counts who started a process: neither its owner nor root, nor the user who runs this. False where the kernel does
    not say whose it is.
    """
    device, inode = mailbox.identity
    where = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    holders = [fields[4] for fields in _locks() if fields[1:2] == ["FLOCK"] and fields[5:6] == [where]]
    trusted = {0, os.geteuid(), mailbox.owner.uid}
    return bool(holders) and not any(_users(holder) <= trusted for holder in holders)


def _locks(table: Path = Path("/proc/locks")) -> Iterator[list[str]]:
    """The rows of `/proc/locks`: `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`; `->` in the second marks a waiter."""
    try:
        text = table.read_text("utf-8", "replace")
    except OSError:
        return
    yield from map(str.split, text.splitlines())


def _users(process: str) -> set[int]:
    """The real, effective, saved and file system user of a process; nobody's number if it has ended or is hidden."""
    try:
        text = Path("/proc", process, "status").read_text("utf-8", "replace")
    except OSError:
        return {_NOBODY}
    return {int(user) for line in text.splitlines() if line.startswith("Uid:") for user in line.split()[1:]}


def _held_elsewhere(mailbox: OpenMaildir) -> str:
    told = f"another spamlstm is at work on {mailbox.path}, with another state folder; stop one of the two"
    if os.fstat(mailbox.handle).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        told += f". If there is none, another user holds the lock: run chmod 700 {mailbox.path}"
    return told


def _raised_limit() -> int:
    """The most files that this process may have open, raised as far as it may raise it: each lock is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The units forbid it (@resources) and set LimitNOFILE themselves.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
